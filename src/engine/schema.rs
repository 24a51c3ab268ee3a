//! The two tables that builds keep in every database: the audit table of the reference program, and the ledger.

use super::{Error, Session, audit, ledger, mysql, sql_server::tables};
use crate::protocol::Platform;

/// One of our tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// `SqlBuild_Logging`: which script was committed when. The reference program reads and writes it too.
    Audit,
    /// `SqlBuild_Ledger`: which run has done what with the database.
    Ledger,
}

impl Table {
    /// Both tables.
    pub const ALL: [Self; 2] = [Self::Audit, Self::Ledger];

    /// The table's name as the platform's catalog shows it.
    pub fn name(self, platform: Platform) -> &'static str {
        match (self, platform) {
            (Self::Audit, Platform::SqlServer | Platform::Sqlite) => "SqlBuild_Logging",
            (Self::Audit, Platform::PostgreSql | Platform::MySql) => "sqlbuild_logging",
            (Self::Ledger, Platform::SqlServer | Platform::Sqlite) => "SqlBuild_Ledger",
            (Self::Ledger, Platform::PostgreSql | Platform::MySql) => "sqlbuild_ledger",
        }
    }

    fn definition(self, platform: Platform) -> &'static [(&'static str, &'static str)] {
        match (self, platform) {
            (_, Platform::SqlServer) => tables::definition(self),
            (_, Platform::MySql) => mysql::tables::definition(self),
            (Self::Audit, Platform::Sqlite) => audit::SQLITE_COLUMNS,
            (Self::Audit, _) => audit::POSTGRES_COLUMNS,
            (Self::Ledger, Platform::Sqlite) => ledger::SQLITE_COLUMNS,
            (Self::Ledger, _) => ledger::POSTGRES_COLUMNS,
        }
    }

    /// What follows the columns in the table's definition.
    fn constraint(self) -> &'static str {
        match self {
            Self::Audit => "",
            Self::Ledger => ",\n  PRIMARY KEY (RunId, TargetKey, DatabaseName)",
        }
    }

    fn indexes(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Audit => &[
                ("ix_sqlbuild_logging", "BuildFileName"),
                ("ix_sqlbuild_logging_1", "ScriptFileName"),
                (
                    "ix_sqlbuild_logging_commitcheck",
                    "ScriptId, CommitDate DESC",
                ),
            ],
            Self::Ledger => &[("ix_sqlbuild_ledger_finished", "Finished")],
        }
    }
}

/// A column that a table has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// The characters that it holds at most, where it has a limit.
    pub max_chars: Option<u32>,
}

/// What to do before the first build of a database.
#[derive(Debug, Default)]
pub struct Changes(Vec<String>);

impl Changes {
    /// Compares both tables with what this program needs.
    pub async fn needed(session: &mut dyn Session, platform: Platform) -> Result<Self, Error> {
        let mut statements = Vec::new();
        for table in Table::ALL {
            let existing = session.columns(table).await?;
            let name = session.table_name(table);
            if existing.is_empty() {
                statements.extend(create(platform, table, &name));
            } else {
                statements.extend(upgrade(platform, table, &name, &existing));
            }
        }
        Ok(Self(statements))
    }

    /// Whether the tables are as they should be.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Makes the changes; an error names the command that prints them for a person with more rights.
    pub async fn apply(&self, session: &mut dyn Session, platform: Platform) -> Result<(), Error> {
        for statement in &self.0 {
            if let Err(error) = session.execute(statement, &[]).await {
                return Err(explain(error, platform));
            }
        }
        Ok(())
    }
}

/// Makes the tables that are missing, and opens the build's transaction: after that, or before when a trial shall leave
/// nothing. Whether the tables are there.
///
/// MySQL cannot take a table back, so there a trial makes none.
pub async fn prepare(
    session: &mut dyn Session,
    platform: Platform,
    trial: bool,
) -> Result<bool, Error> {
    let changes = Changes::needed(session, platform).await?;
    if trial {
        session.begin().await?;
        if platform == Platform::MySql {
            return Ok(changes.is_empty());
        }
        changes.apply(session, platform).await?;
        return Ok(true);
    }
    if !changes.is_empty() {
        changes.apply(session, platform).await?;
    }
    session.begin().await?;
    Ok(true)
}

/// Adds to an answer of the server what its reader can do about it.
fn explain(error: Error, platform: Platform) -> Error {
    match error {
        // Who waited in vain for a lock has learnt nothing about its rights.
        Error::Sql(mut error) if !error.transient => {
            error.message += &format!(
                "; the tables for audit and ledger are missing or old and this login cannot make them: \
                 let `sbm ledger script --platform {platform}` print the statements for an administrator"
            );
            Error::Sql(error)
        }
        other => other,
    }
}

/// The script that an administrator runs once in each database when the build's login has no right to make tables.
pub fn script(
    platform: Platform,
    schema: Option<&str>,
    login: Option<&str>,
) -> Result<String, Error> {
    let login = login.unwrap_or("BUILD_LOGIN");
    if platform == Platform::SqlServer {
        return Ok(tables::script(schema.unwrap_or("dbo"), login));
    }
    let mut text =
        format!("-- Tables that sbm needs in each {platform} database. Run as an administrator.\n");
    if let Some(schema) = schema.filter(|_| platform == Platform::PostgreSql) {
        text += &format!(
            "GRANT USAGE ON SCHEMA {} TO {};\n",
            quote_name(schema),
            quote_name(login)
        );
    }
    let grantee = match platform {
        Platform::MySql => account(login),
        _ => quote_name(login),
    };
    for table in Table::ALL {
        let name = match schema.filter(|_| platform == Platform::PostgreSql) {
            Some(schema) => format!("{}.{}", quote_name(schema), table.name(platform)),
            None => table.name(platform).to_owned(),
        };
        for statement in create(platform, table, &name) {
            let statement = statement
                .replacen("CREATE TABLE ", "CREATE TABLE IF NOT EXISTS ", 1)
                .replacen("CREATE INDEX ", "CREATE INDEX IF NOT EXISTS ", 1);
            text += &statement;
            text += ";\n";
        }
        if platform != Platform::Sqlite {
            let rights = match table {
                Table::Audit => "SELECT, INSERT",
                Table::Ledger => "SELECT, INSERT, UPDATE, DELETE",
            };
            text += &format!("GRANT {rights} ON {name} TO {grantee};\n");
        }
    }
    Ok(text)
}

/// An account of MySQL, `name` or `name@host`.
fn account(login: &str) -> String {
    let (name, host) = login.rsplit_once('@').unwrap_or((login, "%"));
    let quote = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"));
    format!("{}@{}", quote(name), quote(host))
}

/// A name in back-ticks.
pub(super) fn quote_back_ticks(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A name in double quotes.
pub(super) fn quote_name(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn create(platform: Platform, table: Table, name: &str) -> Vec<String> {
    if platform == Platform::SqlServer {
        return tables::create(table, name);
    }
    let columns: Vec<String> = table
        .definition(platform)
        .iter()
        .map(|(column, kind)| format!("  {column} {kind}"))
        .collect();
    if platform == Platform::MySql {
        return vec![create_whole(table, name, &columns)];
    }
    let mut statements = vec![format!(
        "CREATE TABLE {name} (\n{}{}\n)",
        columns.join(",\n"),
        table.constraint()
    )];
    // SQLite does not take a schema here; the index goes where the table is.
    let on = if platform == Platform::Sqlite {
        table.name(platform)
    } else {
        name
    };
    for (index, columns) in table.indexes() {
        statements.push(format!("CREATE INDEX {index} ON {on} ({columns})"));
    }
    statements
}

/// With its indexes in one statement: on MySQL each commits by itself, and a table must not be left without them.
fn create_whole(table: Table, name: &str, columns: &[String]) -> String {
    let indexes = table.indexes().iter();
    let indexes: String = indexes
        .map(|(index, columns)| format!(",\n  INDEX {index} ({columns})"))
        .collect();
    format!(
        "CREATE TABLE {name} (\n{}{}{indexes}\n){}",
        columns.join(",\n"),
        table.constraint(),
        mysql::tables::OPTIONS
    )
}

/// Adds columns that older versions of the reference program did not have, and widens those that were narrower.
fn upgrade(platform: Platform, table: Table, name: &str, existing: &[Column]) -> Vec<String> {
    if platform == Platform::SqlServer {
        return tables::upgrade(table, name, existing);
    }
    let mut statements = Vec::new();
    for (column, kind) in table.definition(platform) {
        let found = existing
            .iter()
            .find(|existing| existing.name.eq_ignore_ascii_case(column));
        match (found, width(kind)) {
            (None, _) => statements.push(format!(
                "ALTER TABLE {name} ADD COLUMN {column} {}",
                nullable(kind)
            )),
            (
                Some(Column {
                    max_chars: Some(has),
                    ..
                }),
                Some(wanted),
            ) if *has < wanted => {
                statements.push(match platform {
                    Platform::MySql => format!("ALTER TABLE {name} MODIFY COLUMN {column} {kind}"),
                    _ => format!("ALTER TABLE {name} ALTER COLUMN {column} TYPE varchar({wanted})"),
                });
            }
            _ => {}
        }
    }
    statements
}

/// The type for a column that is added to rows that exist: they have no value for it, unless it has a default.
fn nullable(kind: &str) -> &str {
    if kind.contains("DEFAULT") {
        kind
    } else {
        kind.trim_end_matches(" NOT NULL")
    }
}

/// The characters in `varchar(N)`.
fn width(kind: &str) -> Option<u32> {
    let (_, rest) = kind.split_once("varchar(")?;
    rest.split_once(')')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refusal_that_stays_is_explained_by_missing_rights() {
        for transient in [false, true] {
            let error = crate::engine::SqlError {
                code: None,
                severity: None,
                message: "no".into(),
                offset: None,
                fate: crate::engine::TransactionFate::RolledBack,
                transient,
                messages: Vec::new(),
            };
            let explained = explain(Error::Sql(error.into()), Platform::Sqlite).to_string();
            assert_eq!(explained.contains("sbm ledger script"), !transient);
        }
    }

    #[test]
    fn old_tables_get_the_missing_and_the_wider_columns() {
        let existing: Vec<Column> = Table::Audit
            .definition(Platform::PostgreSql)
            .iter()
            .filter(|(name, _)| !matches!(*name, "Tag" | "AllowScriptBlock"))
            .map(|(name, kind)| Column {
                name: name.to_lowercase(),
                max_chars: if *name == "Description" {
                    Some(150)
                } else {
                    width(kind)
                },
            })
            .collect();
        assert_eq!(
            upgrade(Platform::PostgreSql, Table::Audit, "t", &existing),
            [
                "ALTER TABLE t ADD COLUMN AllowScriptBlock boolean NOT NULL DEFAULT true",
                "ALTER TABLE t ADD COLUMN Tag varchar(200)",
                "ALTER TABLE t ALTER COLUMN Description TYPE varchar(500)",
            ]
        );
    }

    #[test]
    fn script_names_schema_and_login_safely() {
        let text = script(Platform::PostgreSql, Some("a\"b"), Some("me")).unwrap();
        assert!(
            text.contains("CREATE TABLE IF NOT EXISTS \"a\"\"b\".sqlbuild_ledger ("),
            "{text}"
        );
        assert!(
            text.contains("GRANT SELECT, INSERT ON \"a\"\"b\".sqlbuild_logging TO \"me\";"),
            "{text}"
        );
    }

    #[test]
    fn script_for_mysql_grants_to_an_account() {
        let text = script(Platform::MySql, None, Some("o'me@10.%")).unwrap();
        assert!(
            text.contains("CREATE TABLE IF NOT EXISTS sqlbuild_ledger ("),
            "{text}"
        );
        assert!(
            text.contains("GRANT SELECT, INSERT ON sqlbuild_logging TO 'o''me'@'10.%';"),
            "{text}"
        );
        assert_eq!(account("me"), "'me'@'%'");
    }
}
