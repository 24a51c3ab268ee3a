//! What an error in a script means, by its two settings: undo the script on an error, fail the build on an error.

use crate::support::{
    builds::note,
    fleet::{Fleet, Platform, on_each_platform},
    program::Run,
};

/// What a build leaves behind.
struct Wanted {
    trace: &'static [&'static str],
    audited: &'static [&'static str],
    state: &'static str,
}

const NOTHING: Wanted = Wanted {
    trace: &[],
    audited: &[],
    state: "RolledBack",
};

/// Three scripts, the second of which has an error in the second of its three batches.
fn build(fleet: &Fleet, undo: bool, fail: bool, options: [&str; 2]) -> Run {
    let yaml = format!(
        "scripts: [1.sql, {{file: 2.sql, roll_back_on_error: {undo}, causes_build_failure: {fail}}}, 3.sql]"
    );
    let script = format!(
        "{}GO\n{}INSERT INTO no_such_table VALUES (1);\nGO\n{}",
        note("a"),
        note("b"),
        note("c")
    );
    fleet.package(&[
        ("sbm.yaml", &yaml),
        ("1.sql", &note("before")),
        ("2.sql", &script),
        ("3.sql", &note("after")),
    ]);
    fleet
        .threaded_run()
        .option(options[0], options[1])
        .option("--output", "json")
        .run()
}

fn check(fleet: &Fleet, run: Run, wanted: &Wanted) {
    let fails = wanted.state != "Committed";
    let run = run.expect_code(i32::from(fails));
    let target = run.only(if fails { "failed" } else { "warnings" });
    assert_eq!(target["state"], wanted.state);
    if fails {
        let error = &target["errors"][0];
        assert_eq!(
            (&error["script"], &error["line"]),
            (&"2.sql".into(), &4.into())
        );
    } else {
        let warnings = target["warnings"].as_array().unwrap();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        let warning = warnings[0].as_str().unwrap();
        assert!(warning.starts_with("2.sql:4: "), "{warning}");
        assert!(warning.contains("no_such_table"), "{warning}");
    }
    assert_eq!(fleet.trace(0), wanted.trace);
    let audited = match fleet.rows(0, "SqlBuild_Logging") {
        Some(_) => fleet.audited(0),
        None => Vec::new(),
    };
    assert_eq!(audited, wanted.audited);
    let ledger = match fleet.rows(0, "SqlBuild_Ledger") {
        Some(_) => fleet.ledger(0),
        None => Vec::new(),
    };
    match wanted.state {
        "RolledBack" => assert!(ledger.is_empty(), "{ledger:?}"),
        state => assert_eq!(ledger, [state]),
    }
}

on_each_platform!(in_a_transaction_a_failing_script_undoes_all, 1, |fleet| {
    let fleet = fleet.with_trace();
    for undo in [true, false] {
        let run = build(&fleet, undo, true, ["--transactional", "true"]);
        check(&fleet, run, &NOTHING);
    }
});

on_each_platform!(in_a_transaction_a_script_is_undone_alone, 1, |fleet| {
    let fleet = fleet.with_trace();
    let run = build(&fleet, true, false, ["--transactional", "true"]);
    let wanted = Wanted {
        trace: &["before", "after"],
        audited: &["1.sql", "3.sql"],
        state: "Committed",
    };
    check(&fleet, run, &wanted);
});

on_each_platform!(in_a_transaction_a_batch_is_undone_alone, 1, |fleet| {
    let fleet = fleet.with_trace();
    let run = build(&fleet, false, false, ["--transactional", "true"]);
    let wanted = Wanted {
        trace: &["before", "a", "c", "after"],
        audited: &["1.sql", "3.sql"],
        state: "Committed",
    };
    check(&fleet, run, &wanted);
});

const PARTLY: Wanted = Wanted {
    trace: &["before", "a", "b"],
    audited: &["1.sql"],
    state: "Failed",
};

on_each_platform!(without_a_transaction_a_failing_script_stops, 2, |fleet| {
    let fleet = fleet.with_trace();
    let run = build(&fleet, true, true, ["--transactional", "false"]);
    check_first(&fleet, run, &PARTLY);
});

on_each_platform!(without_a_transaction_nothing_is_undone, 1, |fleet| {
    let fleet = fleet.with_trace();
    let run = build(&fleet, false, true, ["--transactional", "false"]);
    check(&fleet, run, &PARTLY);
    let detail = fleet.value(0, "SELECT detail FROM SqlBuild_Ledger");
    assert!(detail.contains("no_such_table"), "{detail}");
});

/// Two databases fail alike.
fn check_first(fleet: &Fleet, run: Run, wanted: &Wanted) {
    let run = run.expect_code(1);
    assert_eq!(run.count("failed"), 2);
    for index in 0..2 {
        assert_eq!(fleet.trace(index), wanted.trace);
        assert_eq!(fleet.audited(index), wanted.audited);
        assert_eq!(fleet.ledger(index), [wanted.state]);
    }
    assert_eq!(run.json()["clusters"]["listed"][0]["count"], 2);
}

on_each_platform!(
    without_a_transaction_the_rest_of_a_script_is_left_out,
    1,
    |fleet| {
        let fleet = fleet.with_trace();
        let run = build(&fleet, true, false, ["--transactional", "false"]);
        let wanted = Wanted {
            trace: &["before", "a", "b", "after"],
            audited: &["1.sql", "3.sql"],
            state: "Committed",
        };
        check(&fleet, run, &wanted);
    }
);

on_each_platform!(without_a_transaction_the_next_statement_runs, 1, |fleet| {
    let fleet = fleet.with_trace();
    let run = build(&fleet, false, false, ["--transactional", "false"]);
    let wanted = Wanted {
        trace: &["before", "a", "b", "c", "after"],
        audited: &["1.sql", "3.sql"],
        state: "Committed",
    };
    check(&fleet, run, &wanted);
});

on_each_platform!(a_tolerated_error_is_told_in_the_text, 1, |fleet| {
    let fleet = fleet.with_trace();
    build(&fleet, true, false, ["--transactional", "true"]).expect_code(0);
    let run = fleet.threaded_run().run().expect_code(0);
    assert!(run.stdout.contains("2.sql:4: "), "{}", run.stdout);
    assert!(run.stdout.contains("no_such_table"), "{}", run.stdout);
});

/// SQLite undoes the whole transaction when a statement that writes is interrupted; nothing can be tolerated then.
#[test]
fn a_lost_transaction_is_not_tolerated() {
    let test = "a_lost_transaction_is_not_tolerated";
    let Some(fleet) = Fleet::new(Platform::Sqlite, 1, test) else {
        return;
    };
    let fleet = fleet.with_trace();
    let endless = "INSERT INTO trace (what) WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) \
                   SELECT x FROM c WHERE x < 0;";
    let yaml = "causes_build_failure: false\nroll_back_on_error: false\ntimeout: 1";
    let run = fleet
        .build(&[
            ("sbm.yaml", yaml),
            ("1.sql", &note("1")),
            ("2.sql", endless),
            ("3.sql", &note("3")),
        ])
        .expect_code(1);
    assert!(run.stdout.contains("2.sql:1"), "{}", run.stdout);
    fleet.assert_untouched(0);
}

/// A conflict may take the transaction with it; then nothing can be tolerated either.
#[test]
fn a_transaction_that_a_conflict_rolled_back_is_not_tolerated() {
    let test = "a_transaction_that_a_conflict_rolled_back_is_not_tolerated";
    let Some(fleet) = Fleet::new(Platform::Sqlite, 1, test) else {
        return;
    };
    let fleet = fleet.with_trace();
    let conflict =
        "INSERT INTO trace VALUES (7, 'x');\nINSERT OR ROLLBACK INTO trace VALUES (7, 'y');";
    let run = fleet
        .build(&[
            ("sbm.yaml", "causes_build_failure: false"),
            ("1.sql", &note("1")),
            ("2.sql", conflict),
            ("3.sql", &note("3")),
        ])
        .expect_code(1);
    assert!(run.stdout.contains("2.sql:2"), "{}", run.stdout);
    fleet.assert_untouched(0);
}
