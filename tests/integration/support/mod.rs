//! What tests share: databases, the program, and how a test says that it is skipped.

pub(crate) mod builds;
pub(crate) mod faulty_storage;
pub(crate) mod fleet;
pub(crate) mod live;
pub(crate) mod many;
pub(crate) mod mysql;
pub(crate) mod postgres;
pub(crate) mod program;
pub(crate) mod proxy;
pub(crate) mod run_files;
pub(crate) mod sandbox;
pub(crate) mod scripted;
pub(crate) mod silent;
pub(crate) mod sql_server;
pub(crate) mod tds_stub;
pub(crate) mod token;

use std::io::Write;

/// Says that `test` does not run because `variable` is not set. The count at the end of `./test.sh` includes it.
pub(crate) fn skip(variable: &str, test: &str) {
    let line = format!("skipped: set {variable} to run {test}\n");
    match std::env::var_os("SBM_TEST_SKIPPED_FILE") {
        Some(path) => {
            let mut file = std::fs::File::options()
                .append(true)
                .create(true)
                .open(path)
                .unwrap();
            file.write_all(line.as_bytes()).unwrap();
        }
        None => std::io::stderr().write_all(line.as_bytes()).unwrap(),
    }
}
