//! Audit rows that go to another database on the server.

use crate::support::{
    builds::note,
    fleet::{Fleet, Platform, on_each_platform},
    program::Program,
};

/// Builds all databases but the last, which gets the rows.
fn run(fleet: &Fleet) -> Program {
    let last = fleet.names.len() - 1;
    let list = fleet.list(&fleet.lines()[..last]);
    fleet
        .threaded_run_on(&list)
        .option("--logtodatabasename", &fleet.names[last])
        .option("--output", "json")
}

fn pending(fleet: &Fleet, index: usize) -> String {
    fleet.value(index, "SELECT auditpending FROM SqlBuild_Ledger")
}

/// Takes the last database away, or gives it back.
fn set_reachable(fleet: &Fleet, reachable: bool) {
    let last = fleet.names.len() - 1;
    match fleet.platform {
        Platform::Sqlite => {
            let (here, away) = (fleet.path_of(last), fleet.folder.path().join("away"));
            if reachable {
                std::fs::rename(away, here).unwrap();
            } else {
                std::fs::rename(here, away).unwrap();
            }
        }
        Platform::SqlServer => {
            let name = &fleet.names[last];
            let state = if reachable {
                "ONLINE"
            } else {
                "OFFLINE WITH ROLLBACK IMMEDIATE"
            };
            fleet.sql(0, &format!("ALTER DATABASE {name} SET {state}"));
        }
        // Nothing closes a database there; an empty one comes back.
        Platform::MySql => {
            let word = if reachable { "CREATE" } else { "DROP" };
            fleet.sql(0, &format!("{word} DATABASE {}", fleet.names[last]));
        }
        Platform::Postgres => {
            let name = &fleet.names[last];
            let sql = format!("ALTER DATABASE {name} ALLOW_CONNECTIONS {reachable}");
            fleet.sql(0, &sql);
        }
    }
}

const TARGETS: &str = "SELECT targetdatabase, scriptfilename, sequence FROM SqlBuild_Logging \
                       ORDER BY targetdatabase, sequence";

on_each_platform!(rows_go_to_the_other_database, 3, |fleet| {
    let fleet = fleet.with_trace();
    fleet.package(&[("1.sql", &note("1")), ("2.sql", &note("2"))]);
    let result = run(&fleet).run().expect_code(0);
    assert_eq!(result.count("committed"), 2);
    let (one, two) = (fleet.names[0].as_str(), fleet.names[1].as_str());
    assert_eq!(
        fleet.sql(2, TARGETS),
        [
            [one, "1.sql", "0"],
            [one, "2.sql", "1"],
            [two, "1.sql", "0"],
            [two, "2.sql", "1"]
        ]
    );
    for index in 0..2 {
        assert_eq!(fleet.rows(index, "SqlBuild_Logging").unwrap_or(0), 0);
        assert_eq!(fleet.ledger(index), ["Committed"]);
        assert!(["0", "f"].contains(&pending(&fleet, index).as_str()));
        assert_eq!(
            fleet.value(index, "SELECT detail FROM SqlBuild_Ledger"),
            "NULL"
        );
    }
    assert!(fleet.trace(2).is_empty());
});

on_each_platform!(rows_that_cannot_be_written_follow_later, 2, |fleet| {
    let fleet = fleet.with_trace();
    fleet.package(&[("1.sql", &note("1")), ("2.sql", &note("2"))]);
    set_reachable(&fleet, false);
    let result = run(&fleet).run().expect_code(0);
    let warning = result.only("warnings")["warnings"][0].to_string();
    assert!(warning.contains("audit rows"), "{warning}");
    assert!(warning.contains("--resume"), "{warning}");
    assert_eq!(fleet.trace(0), ["1", "2"]);
    assert_eq!(fleet.ledger(0), ["Committed"]);
    assert!(["1", "t"].contains(&pending(&fleet, 0).as_str()));
    let id = fleet.run_id();

    // Still away: the build is committed, and nothing is forgotten.
    let result = run(&fleet).option("--resume", &id).run().expect_code(0);
    let warning = result.only("warnings")["warnings"][0].to_string();
    assert!(warning.contains("still not written"), "{warning}");

    set_reachable(&fleet, true);
    let detail = fleet.value(0, "SELECT detail FROM SqlBuild_Ledger");
    let yes = match fleet.platform {
        Platform::Sqlite | Platform::SqlServer | Platform::MySql => "1",
        Platform::Postgres => "true",
    };
    for round in 0..3 {
        if round == 2 {
            // As a crash between the two commits leaves it: the rows are there, and the ledger does not know.
            let update = "UPDATE SqlBuild_Ledger SET auditpending";
            fleet.sql(0, &format!("{update} = {yes}, detail = '{detail}'"));
        }
        let result = run(&fleet).option("--resume", &id).run().expect_code(0);
        assert_eq!(result.count("alreadyCommitted"), 1);
        let name = fleet.names[0].as_str();
        assert_eq!(
            fleet.sql(1, TARGETS),
            [[name, "1.sql", "0"], [name, "2.sql", "1"]]
        );
        assert!(["0", "f"].contains(&pending(&fleet, 0).as_str()));
        assert_eq!(fleet.trace(0), ["1", "2"]);
    }
});

on_each_platform!(rows_of_a_failed_build_go_there_too, 2, |fleet| {
    let fleet = fleet.with_trace();
    fleet.package(&[
        ("sbm.yaml", "run_once: true"),
        ("1.sql", &note("1")),
        ("2.sql", "INSERT INTO later VALUES (1);"),
    ]);
    let run = || run(&fleet).option("--transactional", "false");
    run().run().expect_code(1);
    assert_eq!(fleet.audited(1), ["1.sql"]);
    assert_eq!(fleet.ledger(0), ["Failed"]);
    let detail = fleet.value(0, "SELECT detail FROM SqlBuild_Ledger");
    assert!(detail.contains("later"), "{detail}");

    fleet.sql(0, "CREATE TABLE later (a int)");
    let id = fleet.run_id();
    run()
        .option("--resume", &id)
        .option("--redo", "failed")
        .run()
        .expect_code(0);
    assert_eq!(fleet.trace(0), ["1"]);
    assert_eq!(fleet.rows(0, "later"), Some(1));
    assert_eq!(fleet.audited(1), ["1.sql", "2.sql"]);
    assert_eq!(fleet.ledger(0), ["Committed"]);
    run().option("--resume", &id).run().expect_code(0);
    assert_eq!(fleet.audited(1), ["1.sql", "2.sql"]);
});

on_each_platform!(rows_of_the_other_database_itself_stay_in_it, 1, |fleet| {
    let fleet = fleet.with_trace();
    fleet.package(&[("1.sql", &note("1"))]);
    fleet
        .threaded_run()
        .option("--logtodatabasename", &fleet.names[0])
        .run()
        .expect_code(0);
    assert_eq!(fleet.audited(0), ["1.sql"]);
    assert_eq!(fleet.ledger(0), ["Committed"]);
});
