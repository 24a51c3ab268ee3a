//! What is fed with arbitrary input, and what must hold whatever that input is.
//!
//! Each function takes one input and panics when a promise does not hold. `just fuzz` lets libFuzzer look for such
//! inputs; the ordinary tests run the same functions on the files in `seeds` and on changed copies of them, so that
//! what was found once stays mended: it is kept there as a file.

mod formats;
pub mod mutate;
mod scripts;
mod settings_files;

use sbm::sql::Dialect;

/// One thing that is tried: its name, which is also that of its folder in `seeds`, and what is done with an input.
pub type Target = (&'static str, fn(&[u8]));

/// Everything that is tried.
pub const TARGETS: [Target; 10] = [
    ("batches_mysql", batches_mysql),
    ("batches_postgres", batches_postgres),
    ("batches_reference", batches_reference),
    ("batches_sqlite", batches_sqlite),
    ("batches_tsql", batches_tsql),
    ("package", package),
    ("settings", settings),
    ("targets_cfg", targets_cfg),
    ("targets_multi_db", targets_multi_db),
    ("targets_multi_db_query", targets_multi_db_query),
];

/// Batches, statements and everything else that is done with the text of a script for SQL Server.
pub fn batches_tsql(data: &[u8]) {
    scripts::check(&text(data), Dialect::TSql);
}

/// The same for PostgreSQL.
pub fn batches_postgres(data: &[u8]) {
    scripts::check(&text(data), Dialect::Postgres);
}

/// The same for MySQL and MariaDB.
pub fn batches_mysql(data: &[u8]) {
    scripts::check(&text(data), Dialect::MySql);
}

/// The same for SQLite.
pub fn batches_sqlite(data: &[u8]) {
    scripts::check(&text(data), Dialect::Sqlite);
}

/// The batches that hashes are computed over.
pub fn batches_reference(data: &[u8]) {
    scripts::check_reference(&text(data));
}

/// Archives, and manifests in an archive: whatever can be read survives a rewrite.
pub fn package(data: &[u8]) {
    formats::check_package(data);
}

/// Settings files, and the encrypted secrets in them.
pub fn settings(data: &[u8]) {
    settings_files::check(&text(data));
}

/// `.cfg` lists, and lists on the command line.
pub fn targets_cfg(data: &[u8]) {
    formats::check_cfg(&text(data));
}

/// `.multiDb` lists in XML and in JSON.
pub fn targets_multi_db(data: &[u8]) {
    formats::check_multi_db(&text(data));
}

/// `.multiDbQ` files.
pub fn targets_multi_db_query(data: &[u8]) {
    formats::check_multi_db_query(&text(data));
}

fn text(data: &[u8]) -> String {
    String::from_utf8_lossy(data).into_owned()
}
