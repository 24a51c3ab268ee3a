//! The two tables on SQL Server.
//!
//! The audit table has the columns, types and names of the reference program's, with Unicode texts where a table is new. A
//! table that exists keeps its types; only columns that are too narrow grow.

use super::{
    super::schema::{Column, Table},
    convert::{literal, quote_name},
};

const AUDIT: &[(&str, &str)] = &[
    ("BuildFileName", "nvarchar(300) NOT NULL"),
    ("ScriptFileName", "nvarchar(300) NOT NULL"),
    ("ScriptId", "uniqueidentifier NULL"),
    ("ScriptFileHash", "varchar(100) NULL"),
    ("CommitDate", "datetime NOT NULL"),
    ("Sequence", "int NULL"),
    ("UserId", "nvarchar(100) NULL"),
    (
        "AllowScriptBlock",
        "bit NULL CONSTRAINT DF_SqlBuildLogging_AllowScriptBlock DEFAULT (1)",
    ),
    ("AllowBlockUpdateId", "nvarchar(200) NULL"),
    ("ScriptText", "nvarchar(max) NULL"),
    ("Tag", "nvarchar(200) NULL"),
    ("TargetDatabase", "nvarchar(200) NULL"),
    ("RunWithVersion", "varchar(50) NULL"),
    ("BuildProjectHash", "varchar(100) NULL"),
    ("BuildRequestedBy", "nvarchar(256) NULL"),
    ("ScriptRunStart", "datetime NULL"),
    ("ScriptRunEnd", "datetime NULL"),
    ("Description", "nvarchar(500) NULL"),
];

/// Keys are compared byte by byte, whatever the collation of the database: target keys may differ in an accent alone.
const LEDGER: &[(&str, &str)] = &[
    ("RunId", "nvarchar(36) COLLATE Latin1_General_BIN2 NOT NULL"),
    (
        "TargetKey",
        "nvarchar(400) COLLATE Latin1_General_BIN2 NOT NULL",
    ),
    (
        "DatabaseName",
        "nvarchar(128) COLLATE Latin1_General_BIN2 NOT NULL",
    ),
    ("Attempt", "int NOT NULL"),
    ("PackageSha256", "varchar(64) NOT NULL"),
    ("Worker", "nvarchar(200) NOT NULL"),
    ("State", "varchar(20) NOT NULL"),
    ("Started", "datetime2(6) NOT NULL"),
    ("Finished", "datetime2(6) NULL"),
    ("AuditPending", "bit NOT NULL DEFAULT (0)"),
    ("Detail", "nvarchar(max) NULL"),
];

/// The columns and their types.
pub(in super::super) fn definition(table: Table) -> &'static [(&'static str, &'static str)] {
    match table {
        Table::Audit => AUDIT,
        Table::Ledger => LEDGER,
    }
}

/// The statements that make `table` under its full `name`.
pub(in super::super) fn create(table: Table, name: &str) -> Vec<String> {
    let columns: Vec<String> = definition(table)
        .iter()
        .map(|(column, kind)| format!("  {column} {kind}"))
        .collect();
    // 1,128 bytes: a clustered key may have 900, another one 1,700.
    let key = match table {
        Table::Audit => "",
        Table::Ledger => {
            ",\n  CONSTRAINT PK_SqlBuild_Ledger PRIMARY KEY NONCLUSTERED (RunId, TargetKey, DatabaseName)"
        }
    };
    let mut statements = vec![format!(
        "CREATE TABLE {name} (\n{}{key}\n)",
        columns.join(",\n")
    )];
    let indexes: &[&str] = match table {
        Table::Audit => &[
            "CREATE INDEX IX_SqlBuild_Logging ON {} (BuildFileName)",
            "CREATE INDEX IX_SqlBuild_Logging_1 ON {} (ScriptFileName)",
            "CREATE CLUSTERED INDEX IX_SqlBuild_Logging_2 ON {} (ScriptId)",
            "CREATE INDEX IX_SqlBuild_Logging_CommitCheck ON {} (ScriptId ASC, CommitDate DESC) \
             INCLUDE (ScriptFileHash, AllowScriptBlock)",
        ],
        Table::Ledger => &["CREATE INDEX IX_SqlBuild_Ledger_Finished ON {} (Finished)"],
    };
    statements.extend(indexes.iter().map(|index| index.replace("{}", name)));
    statements
}

/// The statements that bring a table up to date which an older program made.
pub(in super::super) fn upgrade(table: Table, name: &str, existing: &[Column]) -> Vec<String> {
    let mut statements = Vec::new();
    for (column, kind) in definition(table) {
        let found = existing
            .iter()
            .find(|has| has.name.eq_ignore_ascii_case(column));
        match found {
            None => statements.push(format!(
                "ALTER TABLE {name} ADD {column} {}",
                for_old_rows(kind)
            )),
            Some(Column {
                max_chars: Some(has),
                ..
            }) if width(kind).is_some_and(|wanted| *has < wanted) => {
                statements.push(format!("ALTER TABLE {name} ALTER COLUMN {column} {kind}"));
            }
            Some(_) => {}
        }
    }
    statements
}

/// The type for a column that is added to rows that exist: they have no value for it, unless it has a default.
fn for_old_rows(kind: &str) -> String {
    if kind.contains("DEFAULT") {
        // Without WITH VALUES the old rows would get NULL in a column that allows it.
        format!("{kind} WITH VALUES")
    } else {
        kind.replace(" NOT NULL", " NULL")
    }
}

/// The characters in `varchar(N)`; none for `max`.
fn width(kind: &str) -> Option<u32> {
    let (_, rest) = kind.split_once("varchar(")?;
    rest.split_once(')')?.0.parse().ok()
}

/// What an administrator runs once in each database.
pub(in super::super) fn script(schema: &str, login: &str) -> String {
    let mut text = String::from(
        "-- Tables that sbm needs in each SqlServer database. Run in the database, as an administrator.\n\
         -- The login needs a user in the database.\n",
    );
    for table in Table::ALL {
        let bare = table.name(crate::protocol::Platform::SqlServer);
        let name = format!("{}.{}", quote_name(schema), quote_name(bare));
        let rights = match table {
            Table::Audit => "SELECT, INSERT",
            Table::Ledger => "SELECT, INSERT, UPDATE, DELETE",
        };
        text += &format!("IF OBJECT_ID({}, N'U') IS NULL\nBEGIN\n", literal(&name));
        for statement in create(table, &name) {
            text += &statement;
            text += ";\n";
        }
        text += &format!("END;\nGRANT {rights} ON {name} TO {};\n", quote_name(login));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(table: Table, width_of: impl Fn(&str, &str) -> Option<u32>) -> Vec<Column> {
        definition(table)
            .iter()
            .map(|(name, kind)| Column {
                name: (*name).to_owned(),
                max_chars: width_of(name, kind),
            })
            .collect()
    }

    #[test]
    fn the_audit_table_has_the_names_of_the_reference_program() {
        let statements = create(Table::Audit, "[d].[dbo].[SqlBuild_Logging]").join("\n");
        for part in [
            "CONSTRAINT DF_SqlBuildLogging_AllowScriptBlock DEFAULT (1)",
            "ScriptText nvarchar(max) NULL",
            "CREATE CLUSTERED INDEX IX_SqlBuild_Logging_2 ON [d].[dbo].[SqlBuild_Logging] (ScriptId)",
            "IX_SqlBuild_Logging_CommitCheck",
        ] {
            assert!(statements.contains(part), "{part} in {statements}");
        }
        assert_eq!(AUDIT.len(), 18);
    }

    #[test]
    fn a_table_of_today_needs_nothing() {
        for table in Table::ALL {
            let existing = columns(table, |_, kind| width(kind));
            assert_eq!(upgrade(table, "t", &existing), Vec::<String>::new());
            let without_limits = columns(table, |_, _| None);
            assert_eq!(upgrade(table, "t", &without_limits), Vec::<String>::new());
        }
    }

    #[test]
    fn old_tables_get_the_missing_and_the_wider_columns() {
        let mut existing = columns(Table::Audit, |name, kind| match name {
            "Description" => Some(150),
            "BuildProjectHash" => Some(45),
            _ => width(kind),
        });
        existing.retain(|column| !["Tag", "AllowScriptBlock"].contains(&column.name.as_str()));
        assert_eq!(
            upgrade(Table::Audit, "t", &existing),
            [
                "ALTER TABLE t ADD AllowScriptBlock bit NULL CONSTRAINT DF_SqlBuildLogging_AllowScriptBlock \
                 DEFAULT (1) WITH VALUES",
                "ALTER TABLE t ADD Tag nvarchar(200) NULL",
                "ALTER TABLE t ALTER COLUMN BuildProjectHash varchar(100) NULL",
                "ALTER TABLE t ALTER COLUMN Description nvarchar(500) NULL",
            ]
        );
    }

    #[test]
    fn no_column_that_an_index_has_is_ever_altered() {
        let narrow = columns(Table::Audit, |name, kind| match name {
            // These have always had their width.
            "BuildFileName" | "ScriptFileName" | "ScriptFileHash" => width(kind),
            _ => width(kind).map(|_| 1),
        });
        for statement in upgrade(Table::Audit, "t", &narrow) {
            for indexed in [
                "BuildFileName",
                "ScriptFileName",
                "ScriptId",
                "ScriptFileHash",
            ] {
                assert!(!statement.contains(indexed), "{statement}");
            }
        }
    }

    #[test]
    fn the_key_of_the_ledger_fits_an_index() {
        let keys = ["RunId", "TargetKey", "DatabaseName"];
        let bytes: u32 = LEDGER
            .iter()
            .filter(|(name, _)| keys.contains(name))
            .filter_map(|(_, kind)| width(kind))
            .map(|chars| chars * 2)
            .sum();
        assert_eq!(bytes, 1_128);
    }

    #[test]
    fn the_script_names_schema_and_login_safely() {
        let text = script("a]b", "o'x]");
        assert!(
            text.contains("IF OBJECT_ID(N'[a]]b].[SqlBuild_Ledger]', N'U') IS NULL"),
            "{text}"
        );
        assert!(
            text.contains("GRANT SELECT, INSERT ON [a]]b].[SqlBuild_Logging] TO [o'x]]];"),
            "{text}"
        );
        assert!(
            text.contains("UPDATE, DELETE ON [a]]b].[SqlBuild_Ledger]"),
            "{text}"
        );
    }
}
