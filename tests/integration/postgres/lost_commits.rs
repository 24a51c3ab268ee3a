//! A COMMIT that is sent, and an answer that does not come or says no.

use std::fs;

use super::{EFFECT, behind_proxy, plain};
use crate::support::{
    fleet::{Fleet, Platform},
    postgres::Server,
    program::Run,
    proxy::{Commit, Proxy},
};

/// More connections than any run tries.
const FOR_EVER: usize = usize::MAX;

/// How many effects and ledger rows there are.
fn effects(fleet: &Fleet, index: usize) -> (Option<u64>, Option<u64>) {
    (fleet.rows(index, "t"), fleet.rows(index, "SqlBuild_Ledger"))
}

#[test]
fn a_commit_whose_answer_is_lost_is_found_in_the_ledger() {
    let Some((fleet, proxy, list)) = behind_proxy("postgres::a_commit_whose_answer_is_lost") else {
        return;
    };
    // The very first COMMIT makes the tables; those of the other runs are the builds'.
    for build in 1..=3 {
        proxy.next_commit(Commit::LosesItsAnswer);
        let run = plain(&fleet, &list).run().expect_code(0);
        assert!(proxy.has_struck());
        assert_eq!(run.count("committed"), 1, "{}", run.stdout);
        assert_eq!(effects(&fleet, 0), (Some(build), Some(build)));
    }
}

#[test]
fn a_commit_that_never_arrived_is_repeated_with_one_effect() {
    let Some((fleet, proxy, list)) = behind_proxy("postgres::a_commit_that_never_arrived") else {
        return;
    };
    for build in 1..=2 {
        proxy.next_commit(Commit::NeverArrives);
        let run = plain(&fleet, &list).run().expect_code(0);
        assert!(proxy.has_struck());
        assert_eq!(run.count("committed"), 1, "{}", run.stdout);
        assert_eq!(effects(&fleet, 0), (Some(build), Some(build)));
    }
}

/// A failover takes longer than the four logins with which a build begins.
#[test]
fn a_server_that_is_away_for_a_while_is_asked_when_it_is_back() {
    let Some((fleet, proxy, list)) = behind_proxy("postgres::a_server_that_is_away") else {
        return;
    };
    plain(&fleet, &list).run().expect_code(0);
    let before = proxy.connections();
    proxy.refuse_after_cut(5);
    proxy.next_commit(Commit::LosesItsAnswer);
    let run = plain(&fleet, &list).run().expect_code(0);
    assert!(proxy.has_struck());
    // It is this very build that finds out, so it is not called already committed.
    assert_eq!(run.count("committed"), 1, "{}", run.stdout);
    assert_eq!(proxy.connections(), before + 1 + 5 + 1);
    assert_eq!(effects(&fleet, 0), (Some(2), Some(2)));
}

/// The run after which nobody knows, and the one that goes on with it when the server is back.
fn unknown_then_resumed(test: &str, commit: Commit) -> Option<Run> {
    let (fleet, proxy, list) = behind_proxy(test)?;
    plain(&fleet, &list).run().expect_code(0);
    proxy.next_commit(commit);
    proxy.refuse_after_cut(FOR_EVER);
    let run = plain(&fleet, &list)
        .option("--connecttimeout", "1")
        .run()
        .expect_code(5);
    assert!(proxy.has_struck());
    assert_eq!(run.count("unknown"), 1, "{}", run.stdout);
    let unresolved = fs::read_to_string(fleet.logs().join("unresolveddatabases.cfg")).unwrap();
    assert!(unresolved.contains(&fleet.names[0]), "{unresolved}");
    proxy.heal();
    let run = plain(&fleet, &list)
        .words(["--resume"])
        .run()
        .expect_code(0);
    assert_eq!(effects(&fleet, 0), (Some(2), Some(2)));
    Some(run)
}

#[test]
fn a_commit_about_which_nobody_can_be_asked_is_unknown_until_somebody_can() {
    let test = "postgres::a_commit_about_which_nobody_can_be_asked";
    let Some(run) = unknown_then_resumed(test, Commit::LosesItsAnswer) else {
        return;
    };
    assert_eq!(run.count("alreadyCommitted"), 1, "{}", run.stdout);
}

#[test]
fn a_commit_that_never_arrived_at_a_server_that_is_away_is_built_when_it_is_back() {
    let test = "postgres::a_commit_that_never_arrived_at_a_server_that_is_away";
    let Some(run) = unknown_then_resumed(test, Commit::NeverArrives) else {
        return;
    };
    assert_eq!(run.count("committed"), 1, "{}", run.stdout);
}

/// Two databases of one target behind a proxy, both built once.
fn pair_behind_proxy(test: &str) -> Option<(Fleet, Proxy, std::path::PathBuf)> {
    let fleet = Fleet::new(Platform::Postgres, 2, test)?;
    let proxy = Proxy::start("127.0.0.1", Server::for_test(test)?.port());
    let yaml = "scripts: [{file: a.sql, database: a}, {file: b.sql, database: b}]";
    fleet.package(&[("sbm.yaml", yaml), ("a.sql", EFFECT), ("b.sql", EFFECT)]);
    let [one, two] = fleet.names.as_slice() else {
        unreachable!("two are made");
    };
    let list = fleet.list(&[format!("{}:a,{one};b,{two}", proxy.name)]);
    plain(&fleet, &list).run().expect_code(0);
    Some((fleet, proxy, list))
}

/// The target is told to be committed in the first database alone, and is completed on request.
fn is_partly_committed_then_finished(
    fleet: &Fleet,
    list: &std::path::Path,
    run: &Run,
    mend: impl FnOnce(),
) {
    let target = run.only("unresolved");
    assert_eq!(target["state"], "PartlyCommitted");
    assert_eq!(target["committed"], serde_json::json!([fleet.names[0]]));
    assert_eq!(target["missing"], serde_json::json!([fleet.names[1]]));
    let unresolved = fs::read_to_string(fleet.logs().join("unresolveddatabases.cfg")).unwrap();
    assert!(unresolved.contains(&fleet.names[1]), "{unresolved}");
    assert_eq!(effects(fleet, 0), (Some(2), Some(2)));
    assert_eq!(effects(fleet, 1), (Some(1), Some(1)));
    mend();
    let again = plain(fleet, list).words(["--resume"]).run().expect_code(1);
    assert_eq!(again.only("unresolved")["state"], "PartlyCommitted");
    let run = plain(fleet, list)
        .words(["--resume", "--finish-partial"])
        .run()
        .expect_code(0);
    assert_eq!(run.count("committed"), 1, "{}", run.stdout);
    assert_eq!(effects(fleet, 0), (Some(2), Some(2)));
    assert_eq!(effects(fleet, 1), (Some(2), Some(2)));
}

/// What scripts leave to the end of the transaction is checked before the first COMMIT; a trigger of an administrator on our own
/// table can still put something there.
#[test]
fn a_second_commit_that_the_server_refuses_is_told_and_finished_on_request() {
    let test = "postgres::a_second_commit_that_the_server_refuses";
    let Some((fleet, _proxy, list)) = pair_behind_proxy(test) else {
        return;
    };
    fleet.sql(
        1,
        "CREATE TABLE pit (id int UNIQUE DEFERRABLE INITIALLY DEFERRED); \
         CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         SET CONSTRAINTS ALL DEFERRED; INSERT INTO pit VALUES (1), (1); RETURN NULL; END $$; \
         CREATE TRIGGER refuse AFTER INSERT ON sqlbuild_ledger FOR EACH ROW EXECUTE FUNCTION refuse()",
    );
    let run = plain(&fleet, &list).run().expect_code(1);
    let error = &run.only("unresolved")["errors"][0];
    assert_eq!(error["code"], "23505", "{error}");
    assert_eq!(error["database"], fleet.names[1].as_str(), "{error}");
    is_partly_committed_then_finished(&fleet, &list, &run, || {
        fleet.sql(1, "DROP TRIGGER refuse ON sqlbuild_ledger");
    });
}

#[test]
fn a_second_commit_that_never_arrives_is_told_and_finished_on_request() {
    let test = "postgres::a_second_commit_that_never_arrives";
    let Some((fleet, proxy, list)) = pair_behind_proxy(test) else {
        return;
    };
    proxy.after_commits(1, Commit::NeverArrives);
    let run = plain(&fleet, &list).run().expect_code(1);
    assert!(proxy.has_struck());
    is_partly_committed_then_finished(&fleet, &list, &run, || {});
}

#[test]
fn a_second_commit_whose_answer_is_lost_completes_the_target() {
    let test = "postgres::a_second_commit_whose_answer_is_lost";
    let Some((fleet, proxy, list)) = pair_behind_proxy(test) else {
        return;
    };
    proxy.after_commits(1, Commit::LosesItsAnswer);
    let run = plain(&fleet, &list).run().expect_code(0);
    assert!(proxy.has_struck());
    assert_eq!(run.count("committed"), 1, "{}", run.stdout);
    for index in 0..2 {
        assert_eq!(effects(&fleet, index), (Some(2), Some(2)));
    }
}
