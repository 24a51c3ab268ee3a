//! A COMMIT whose answer does not come: the ledger knows whether it was carried out.

use std::sync::atomic::Ordering;

use super::{fleet, proxy::Proxy};
use crate::support::builds::note;

fn has_one_effect(test: &str, arrives: bool) {
    let Some(fleet) = fleet(test) else {
        return;
    };
    let proxy = Proxy::spoils_a_commit(fleet.mysql().port(), arrives);
    let package = fleet.package(&[("1.sql", &note("1"))]);
    let line = format!("{}:{}", proxy.name, fleet.names[0]);
    let run = fleet
        .run_of(&package, &[line])
        .option("--sslmode", "disable")
        .option("--output", "json")
        .run()
        .expect_code(0);
    assert!(proxy.spoilt.load(Ordering::SeqCst));
    assert_eq!(run.count("committed"), 1, "{}", run.stdout);
    assert_eq!(fleet.trace(0), ["1"]);
    assert_eq!(fleet.audited(0), ["1.sql"]);
    assert_eq!(fleet.ledger(0), ["Committed"]);
}

#[test]
fn a_commit_whose_answer_is_lost_has_one_effect() {
    has_one_effect("mysql::a_commit_whose_answer_is_lost_has_one_effect", true);
}

#[test]
fn a_commit_that_never_arrives_has_one_effect() {
    has_one_effect("mysql::a_commit_that_never_arrives_has_one_effect", false);
}
