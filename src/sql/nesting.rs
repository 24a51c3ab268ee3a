//! Tells whether a separator ends a statement or belongs to it, as in the body of a trigger.

use super::{Dialect, TokenKind, stored_program::StoredProgram, words::Code};

/// What has been seen of the current statement.
#[derive(Clone, Debug)]
pub(super) struct Nesting<'a> {
    dialect: Dialect,
    head: Head,
    blocks: Vec<Block>,
    program: StoredProgram,
    parentheses: usize,
    last: Option<Code<'a>>,
    before_last: Option<Code<'a>>,
    /// The block that the last word, `END`, closed.
    closed: Option<Block>,
}

/// How much of the beginning has been read: a body with separators is only looked for where one can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Head {
    Start,
    Create,
    /// MySQL's `CREATE DEFINER = …`, in which any name may come.
    Definer,
    /// It makes a procedure, function, trigger or event.
    Program,
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Block {
    Begin,
    Case,
}

impl<'a> Nesting<'a> {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            head: Head::Start,
            blocks: Vec::new(),
            program: StoredProgram::default(),
            parentheses: 0,
            last: None,
            before_last: None,
            closed: None,
        }
    }

    /// Takes note of the next piece of code; a separator only when it was held.
    pub(super) fn observe(&mut self, code: Code<'a>) {
        let closed = self.closed.take();
        self.head = self.head.after(code, self.dialect);
        match self.dialect {
            Dialect::TSql => self.observe_tsql(code, closed),
            Dialect::Postgres => self.observe_postgres(code),
            Dialect::MySql => self.observe_mysql(code),
            Dialect::Sqlite => {}
        }
        self.before_last = self.last.replace(code);
    }

    /// Whether a separator that comes now belongs to the statement.
    pub(super) fn holds(&self) -> bool {
        match self.dialect {
            Dialect::TSql => self.in_module() || !self.blocks.is_empty(),
            Dialect::Postgres => self.parentheses > 0 || !self.blocks.is_empty(),
            Dialect::MySql => self.program.is_open(),
            // Every statement of a trigger has its own separator, so the last one follows the `END` that follows one.
            Dialect::Sqlite => {
                let ended = self.last_is("END")
                    && self
                        .before_last
                        .is_some_and(|code| code.kind == TokenKind::Separator);
                self.in_module() && !ended
            }
        }
    }

    /// Whether the statement makes a procedure, function or trigger; in T-SQL that takes all the rest of the batch.
    pub(super) fn in_module(&self) -> bool {
        self.head == Head::Program
    }

    /// Whether a `BEGIN` or `CASE` is open.
    pub(super) fn in_block(&self) -> bool {
        !self.blocks.is_empty()
    }

    /// Whether a `CASE` is the innermost block.
    pub(super) fn in_case(&self) -> bool {
        self.blocks.last() == Some(&Block::Case)
    }

    /// The last piece of code, if any.
    pub(super) fn last(&self) -> Option<Code<'a>> {
        self.last
    }

    fn last_is(&self, keyword: &str) -> bool {
        self.last.is_some_and(|last| last.is(keyword))
    }

    fn observe_tsql(&mut self, code: Code<'_>, closed: Option<Block>) {
        let no_block = [
            "TRAN",
            "TRANSACTION",
            "DISTRIBUTED",
            "DIALOG",
            "CONVERSATION",
        ];
        if code.is("BEGIN") {
            self.blocks.push(Block::Begin);
        } else if code.is("CASE") {
            self.blocks.push(Block::Case);
        } else if code.is("END") {
            self.closed = self.blocks.pop();
        } else if self.last_is("BEGIN") && code.is_one_of(&no_block) {
            self.blocks.pop();
        } else if self.last_is("END") && code.is("CONVERSATION") {
            self.blocks.extend(closed);
        }
    }

    fn observe_postgres(&mut self, code: Code<'_>) {
        if code.is_mark("(") {
            self.parentheses += 1;
        } else if code.is_mark(")") {
            self.parentheses = self.parentheses.saturating_sub(1);
        }
        if !self.in_module() {
            return;
        }
        let is_name = self
            .last
            .is_some_and(|last| last.is_mark(".") || last.is("AS"));
        if self.last_is("BEGIN") && code.is("ATOMIC") {
            self.blocks.push(Block::Begin);
        } else if self.in_block() && !is_name {
            if code.is("CASE") {
                self.blocks.push(Block::Case);
            } else if code.is("END") {
                self.blocks.pop();
            }
        }
    }

    fn observe_mysql(&mut self, code: Code<'_>) {
        // MariaDB runs a block outside any program when it starts with these three words.
        let starts_block = code.is("ATOMIC")
            && self.last_is("NOT")
            && self.before_last.is_some_and(|code| code.is("BEGIN"));
        if starts_block && !self.in_module() {
            self.head = Head::Program;
            self.program.open_block();
        } else if self.in_module() {
            self.program.observe(code, self.last, self.before_last);
        }
    }
}

impl Head {
    fn after(self, code: Code<'_>, dialect: Dialect) -> Self {
        const MODIFIERS: &[&str] = &["OR", "REPLACE", "ALTER", "TEMP", "TEMPORARY", "AGGREGATE"];
        let alters = matches!(dialect, Dialect::TSql | Dialect::MySql);
        match self {
            Self::Start if code.is("CREATE") || alters && code.is("ALTER") => Self::Create,
            Self::Start
                if dialect == Dialect::Sqlite && code.is_one_of(&["EXPLAIN", "QUERY", "PLAN"]) =>
            {
                Self::Start
            }
            Self::Start => Self::Other,
            Self::Create if code.is_one_of(MODIFIERS) => Self::Create,
            Self::Create if dialect == Dialect::MySql && code.is("DEFINER") => Self::Definer,
            Self::Create | Self::Definer if code.is_one_of(programs(dialect)) => Self::Program,
            Self::Definer if !code.is("VIEW") => Self::Definer,
            Self::Create | Self::Definer => Self::Other,
            Self::Program | Self::Other => self,
        }
    }
}

fn programs(dialect: Dialect) -> &'static [&'static str] {
    match dialect {
        Dialect::TSql => &["PROC", "PROCEDURE", "FUNCTION", "TRIGGER"],
        Dialect::Postgres => &["FUNCTION", "PROCEDURE"],
        Dialect::MySql => &["PROCEDURE", "FUNCTION", "TRIGGER", "EVENT"],
        Dialect::Sqlite => &["TRIGGER"],
    }
}
