//! Result lines for tests.

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::protocol::{ErrorReport, Pair, Platform, ResultLine, State, Target};

/// The run of every line made here.
pub(crate) const RUN: Uuid = Uuid::from_u128(0x0190_aaaa_bbbb_4ccc_8ddd_eeee_ffff_0001);

/// The start of every line made here: 2026-01-02 03:04:05 UTC.
pub(crate) fn start() -> Timestamp {
    Timestamp::from_second(1_767_323_045).unwrap()
}

/// A target with one database.
pub(crate) fn target(server: &str, database: &str) -> Target {
    Target {
        server: server.to_owned(),
        pairs: vec![Pair {
            default: String::new(),
            database: database.to_owned(),
        }],
        tag: None,
    }
}

/// A final line of a build that took two seconds.
pub(crate) fn line(server: &str, database: &str, state: State) -> ResultLine {
    let target = target(server, database);
    let key = target.key(Platform::PostgreSql);
    let mut line = ResultLine::new(RUN, key, target, "worker-1", state);
    line.attempt_id = Uuid::from_u128(7);
    line.started = start();
    line.finished = start() + SignedDuration::from_secs(2);
    line
}

/// A final line of a build that was rolled back by an error.
pub(crate) fn failed(server: &str, database: &str, script: &str, message: &str) -> ResultLine {
    let mut line = line(server, database, State::RolledBack);
    line.errors.push(ErrorReport {
        script: Some(script.to_owned()),
        line: Some(14),
        column: Some(5),
        database: Some(database.to_owned()),
        code: Some("42P01".to_owned()),
        severity: Some("ERROR".to_owned()),
        message: message.to_owned(),
        statement: Some("ALTER TABLE orders\n    ADD note text".to_owned()),
    });
    line
}
