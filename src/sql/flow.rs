//! Reads T-SQL, where statements need no separator, just well enough to know where one may be taken out.

use super::{Dialect, Lexer, Token, TokenKind, nesting::Nesting, words::Code};

/// The code of a T-SQL text with what is known of the place that each piece stands in.
#[derive(Clone, Debug)]
pub(super) struct Flow<'a> {
    lexer: Lexer<'a>,
    nesting: Nesting<'a>,
    parentheses: usize,
    /// An `IF`, `ELSE` or `WHILE` still waits for its statement.
    governed: bool,
}

/// A piece of code and its place.
#[derive(Clone, Debug)]
pub(super) struct Spot<'a> {
    pub(super) token: Token,
    pub(super) code: Code<'a>,
    /// The piece of code before it, and where that ends.
    pub(super) last: Option<Code<'a>>,
    /// Whether it is the body of a procedure, function or trigger.
    pub(super) in_module: bool,
    /// Whether it is in a `BEGIN … END` or `CASE … END`.
    pub(super) in_block: bool,
    /// Whether it is in parentheses.
    pub(super) in_parentheses: bool,
    /// Whether the statement that starts here is all that an `IF`, `ELSE` or `WHILE` has.
    pub(super) governed: bool,
}

/// Words that start a statement after the condition of an `IF` or `WHILE`.
const STATEMENTS: &[&str] = &[
    "SELECT",
    "INSERT",
    "UPDATE",
    "DELETE",
    "MERGE",
    "EXEC",
    "EXECUTE",
    "DECLARE",
    "SET",
    "RETURN",
    "PRINT",
    "RAISERROR",
    "THROW",
    "GOTO",
    "CREATE",
    "ALTER",
    "DROP",
    "TRUNCATE",
    "GRANT",
    "REVOKE",
    "DENY",
    "OPEN",
    "CLOSE",
    "FETCH",
    "DEALLOCATE",
    "USE",
    "WAITFOR",
    "BREAK",
    "CONTINUE",
    "BACKUP",
    "RESTORE",
    "DBCC",
    "BULK",
    "CHECKPOINT",
    "KILL",
    "RECONFIGURE",
    "REVERT",
    "SHUTDOWN",
    "COMMIT",
    "ROLLBACK",
    "SAVE",
    "BEGIN",
    "END",
    "WITH",
];

/// Whether `word` can start or end a statement, so that it is no name.
pub(super) fn is_keyword(word: Code<'_>) -> bool {
    word.is_one_of(STATEMENTS) || word.is_one_of(&["IF", "ELSE", "WHILE"])
}

impl<'a> Flow<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            lexer: Lexer::new(text, Dialect::TSql),
            nesting: Nesting::new(Dialect::TSql),
            parentheses: 0,
            governed: false,
        }
    }

    /// The next code without its place, to look ahead with on a clone.
    pub(super) fn peek(&self, count: usize) -> Vec<(Token, Code<'a>)> {
        let mut lexer = self.lexer.clone();
        let mut found = Vec::with_capacity(count);
        while found.len() < count
            && let Some(token) = lexer.next_code()
        {
            let code = code(&lexer, &token);
            found.push((token, code));
        }
        found
    }

    fn enter(&mut self, code: Code<'a>) {
        match code.kind {
            TokenKind::BatchLine => {
                self.nesting = Nesting::new(Dialect::TSql);
                self.parentheses = 0;
                self.governed = false;
                return;
            }
            TokenKind::Separator if !self.nesting.holds() => {
                self.nesting = Nesting::new(Dialect::TSql);
                self.governed = false;
                return;
            }
            TokenKind::Separator => self.governed = false,
            _ if code.is_mark("(") => self.parentheses += 1,
            _ if code.is_mark(")") => self.parentheses = self.parentheses.saturating_sub(1),
            _ => {}
        }
        self.nesting.observe(code);
        if self.parentheses == 0 {
            let waits =
                code.is_one_of(&["IF", "WHILE"]) || code.is("ELSE") && !self.nesting.in_case();
            self.governed = waits || self.governed && !code.is_one_of(STATEMENTS);
        }
    }
}

impl<'a> Iterator for Flow<'a> {
    type Item = Spot<'a>;

    fn next(&mut self) -> Option<Spot<'a>> {
        let token = self.lexer.next_code()?;
        let code = code(&self.lexer, &token);
        let spot = Spot {
            token,
            code,
            last: self.nesting.last(),
            in_module: self.nesting.in_module(),
            in_block: self.nesting.in_block(),
            in_parentheses: self.parentheses > 0,
            governed: self.governed,
        };
        self.enter(code);
        Some(spot)
    }
}

fn code<'a>(lexer: &Lexer<'a>, token: &Token) -> Code<'a> {
    Code {
        kind: token.kind,
        text: lexer.text_of(token),
        end: token.range.end,
    }
}
