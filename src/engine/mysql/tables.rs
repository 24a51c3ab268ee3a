//! Our two tables on MySQL and MariaDB.

use super::super::schema::Table;

/// What follows the columns. Rows must go with the build's transaction, and names compare exactly.
pub(in super::super) const OPTIONS: &str =
    " ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin";

/// The columns of a table, with their types.
pub(in super::super) fn definition(table: Table) -> &'static [(&'static str, &'static str)] {
    match table {
        Table::Audit => AUDIT,
        Table::Ledger => LEDGER,
    }
}

const AUDIT: &[(&str, &str)] = &[
    ("BuildFileName", "varchar(300) NOT NULL"),
    ("ScriptFileName", "varchar(300) NOT NULL"),
    ("ScriptId", "char(36) NOT NULL"),
    ("ScriptFileHash", "varchar(100)"),
    (
        "CommitDate",
        "datetime(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)",
    ),
    ("Sequence", "int NOT NULL DEFAULT 0"),
    ("UserId", "varchar(100)"),
    ("AllowScriptBlock", "tinyint(1) NOT NULL DEFAULT 1"),
    ("AllowBlockUpdateId", "varchar(200)"),
    ("ScriptText", "longtext"),
    ("Tag", "varchar(200)"),
    ("TargetDatabase", "varchar(200)"),
    ("RunWithVersion", "varchar(50)"),
    ("BuildProjectHash", "varchar(100)"),
    ("BuildRequestedBy", "varchar(256)"),
    ("ScriptRunStart", "datetime(6)"),
    ("ScriptRunEnd", "datetime(6)"),
    ("Description", "varchar(500)"),
];

const LEDGER: &[(&str, &str)] = &[
    ("RunId", "char(36) NOT NULL"),
    ("TargetKey", "varchar(400) NOT NULL"),
    ("DatabaseName", "varchar(128) NOT NULL"),
    ("Attempt", "int NOT NULL"),
    ("PackageSha256", "varchar(64) NOT NULL"),
    ("Worker", "varchar(200) NOT NULL"),
    ("State", "varchar(20) NOT NULL"),
    ("Started", "datetime(6) NOT NULL"),
    ("Finished", "datetime(6)"),
    ("AuditPending", "tinyint(1) NOT NULL DEFAULT 0"),
    ("Detail", "longtext"),
];
