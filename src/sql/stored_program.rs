//! The blocks of MySQL's stored programs, whose keywords are also functions (`IF(…)`) and names (`begin`, `end`).

use super::{TokenKind, words::Code};

/// The blocks that are open in the body of a procedure, function, trigger or event.
#[derive(Clone, Debug, Default)]
pub(super) struct StoredProgram {
    blocks: Vec<Block>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Block {
    /// Its statements each have a separator, so `END` comes right after one.
    Statements,
    /// `CASE` in an expression, and `REPEAT … UNTIL condition`: an operand comes before `END`.
    Expression,
    Repeat,
}

/// After these words a statement can start.
const BEFORE_STATEMENT: &[&str] = &[
    "BEGIN",
    "THEN",
    "ELSE",
    "DO",
    "LOOP",
    "REPEAT",
    "ATOMIC",
    "ROW",
    "DETERMINISTIC",
    "DATA",
    "SQL",
    "INVOKER",
    "DEFINER",
    "SQLEXCEPTION",
    "SQLWARNING",
    "FOUND",
];

/// After these words `begin` and `end` are names of columns or variables.
const BEFORE_NAME: &[&str] = &[
    "SELECT", "DISTINCT", "FROM", "JOIN", "INTO", "WHERE", "AND", "OR", "XOR", "NOT", "BY",
    "HAVING", "SET", "ON", "AS", "IN", "IS", "LIKE", "BETWEEN", "DIV", "MOD", "INTERVAL", "IF",
    "WHEN", "WHILE", "UNTIL", "RETURN", "CASE", "DECLARE", "UPDATE", "TABLE", "COLUMN", "ADD",
    "CALL",
];

impl StoredProgram {
    /// Whether a block is open.
    pub(super) fn is_open(&self) -> bool {
        !self.blocks.is_empty()
    }

    /// Opens a block of statements.
    pub(super) fn open_block(&mut self) {
        self.blocks.push(Block::Statements);
    }

    /// Takes note of the next piece of code and of the two before it.
    pub(super) fn observe(
        &mut self,
        code: Code<'_>,
        last: Option<Code<'_>>,
        before: Option<Code<'_>>,
    ) {
        if code.is("END") {
            if self.can_end(last) {
                self.blocks.pop();
            }
            return;
        }
        // `END IF`, `END CASE` and so on.
        if last.is_none_or(|last| last.is("END")) {
            return;
        }
        self.blocks.extend(self.opened_by(code, last, before));
    }

    fn opened_by(
        &self,
        code: Code<'_>,
        last: Option<Code<'_>>,
        before: Option<Code<'_>>,
    ) -> Option<Block> {
        let in_expression = self.blocks.last() == Some(&Block::Expression);
        let at_statement = !in_expression && can_start_statement(last, before);
        if code.is("BEGIN") {
            return (!in_expression && !precedes_name(last)).then_some(Block::Statements);
        }
        if code.is("CASE") && !last.is_some_and(|last| last.is_mark(".")) {
            return Some(if at_statement {
                Block::Statements
            } else {
                Block::Expression
            });
        }
        if code.is("REPEAT") && at_statement {
            return Some(Block::Repeat);
        }
        let opens = code.is_one_of(&["IF", "WHILE", "LOOP"]) && at_statement
            // `FOR` also follows closing parentheses and names in queries and declarations.
            || code.is("FOR") && at_statement && !last.is_some_and(ends_operand);
        opens.then_some(Block::Statements)
    }

    fn can_end(&self, last: Option<Code<'_>>) -> bool {
        match (self.blocks.last(), last) {
            (Some(Block::Statements), Some(last)) => {
                last.kind == TokenKind::Separator
                    || last.kind == TokenKind::ExecutableComment
                    || last.is_one_of(&["BEGIN", "ATOMIC", "THEN", "ELSE", "DO", "LOOP"])
            }
            (Some(_), last) => !precedes_name(last),
            (None, _) => false,
        }
    }
}

fn can_start_statement(last: Option<Code<'_>>, before: Option<Code<'_>>) -> bool {
    last.is_some_and(|last| {
        last.kind == TokenKind::Separator
            || last.is_mark(":")
            || ends_operand(last)
            || last.is_one_of(BEFORE_STATEMENT)
    }) || before.is_some_and(|before| before.is_one_of(&["RETURNS", "FOLLOWS", "PRECEDES"]))
}

/// Whether nothing but a new statement can start with a keyword after it, for no expression goes on so.
fn ends_operand(code: Code<'_>) -> bool {
    code.is_mark(")")
        || matches!(
            code.kind,
            TokenKind::String | TokenKind::EscapeString | TokenKind::Number
        )
}

fn precedes_name(last: Option<Code<'_>>) -> bool {
    last.is_some_and(|last| {
        let operator = last.kind == TokenKind::Punctuation && !matches!(last.text, ")" | ":");
        operator || last.is_one_of(BEFORE_NAME)
    })
}
