//! What scripts say, as far as running them needs it: batches, statements, transactions, hazards, build tokens, positions.
//!
//! Everything here is pure text work and never fails: text that no server would accept is passed on, so that the server's
//! own message reaches the user. All offsets are byte offsets on character boundaries of the text that was handed in, and
//! every function takes time linear in its length. The hash of a script does not use this module: it must stay equal to
//! the reference program's, which splits batches more crudely.

mod batch;
mod blank;
mod dialect;
mod flow;
mod hazard;
mod lexer;
mod line;
mod nesting;
mod position;
mod query;
mod render;
mod scan;
mod statement;
mod stored_program;
mod strip;
mod strip_tsql;
mod tokens;
mod transaction;
mod use_database;
mod words;

#[cfg(test)]
mod samples;

pub use batch::{Batch, batches};
pub use dialect::Dialect;
pub use hazard::{Hazard, HazardKind, hazards};
pub use lexer::{Lexer, Token, TokenKind};
pub use position::{LineIndex, excerpt, offset_of_char};
pub use query::single_query;
pub use render::Rendered;
pub use statement::{longest_statement, statements, too_long};
pub use strip::strip_transactions;
pub use tokens::{TokenValues, replace_tokens};
pub use use_database::blank_use;
