//! What only MySQL and MariaDB have. What they share with the other platforms is tested with those.

mod chaos;
mod commits;
mod logins;
mod lost_commits;
mod proxy;
mod scripts;
mod tokens;

use crate::support::fleet::{Fleet, Platform};

/// One database with a table for traces; none when there is no server, and then the test is skipped.
fn fleet(test: &str) -> Option<Fleet> {
    Fleet::new(Platform::MySql, 1, test).map(Fleet::with_trace)
}
