//! The settings of `ledger script`.

#![expect(
    clippy::doc_markdown,
    reason = "help texts are made of these comments and show their backticks"
)]

use clap::Args;

use super::{Environment, Faults, build_options, reader::Reader};
use crate::protocol::Platform;

/// The options of `ledger script`, as typed.
#[derive(Args, Clone, Debug, Default)]
pub struct LedgerArguments {
    /// Kind of the database servers: SqlServer, PostgreSQL or SQLite [default: SqlServer].
    #[arg(long, alias = "databaseplatform", value_name = "PLATFORM")]
    pub platform: Option<String>,
    /// Schema of the audit table and the ledger [default: the login's own].
    #[arg(long, value_name = "SCHEMA")]
    pub ledgerschema: Option<String>,
    /// Login that runs the builds and gets the rights [default: a name to fill in].
    #[arg(long, short = 'u', value_name = "NAME")]
    pub username: Option<String>,
}

/// For what the script is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerSettings {
    /// Where the targets live.
    pub platform: Platform,
    /// The schema of the tables; none for the default one.
    pub schema: Option<String>,
    /// The login of the builds; none to leave it open.
    pub login: Option<String>,
}

impl LedgerSettings {
    /// What the options mean.
    pub fn new(typed: &LedgerArguments, environment: Environment<'_>) -> Result<Self, Faults> {
        let mut reader = Reader::new(environment);
        let platform = reader.platform(typed.platform.as_deref());
        let schema = typed.ledgerschema.as_deref();
        let schema = build_options::ledger_schema(&mut reader, schema, platform);
        let login = reader.text("--username", typed.username.as_deref());
        reader.finish()?;
        Ok(Self {
            platform,
            schema,
            login,
        })
    }
}
