//! Transaction statements in scripts: taken out when the package says so, refused otherwise.

use crate::support::fleet::{Fleet, Platform, on_each_platform};

/// Another word for COMMIT, where there is one.
fn end(fleet: &Fleet) -> &'static str {
    match fleet.platform {
        // To T-SQL, END is the end of a block.
        Platform::MySql | Platform::SqlServer => "COMMIT WORK",
        _ => "END",
    }
}

on_each_platform!(
    transaction_statements_are_taken_out_when_asked,
    1,
    |fleet| {
        let fleet = fleet.with_trace();
        let begin = fleet.begins();
        let script = format!(
            "{begin};\nINSERT INTO trace (what) VALUES ('COMMIT; ROLLBACK;');\n-- COMMIT;\n/* ROLLBACK; */\nCOMMIT;\n\
             BEGIN TRANSACTION; INSERT INTO trace (what) VALUES ('2'); {};\nROLLBACK;\n",
            end(&fleet)
        );
        let files = [
            ("sbm.yaml", "strip_transactions: true"),
            ("1.sql", script.as_str()),
        ];
        fleet.build(&files).expect_code(0);
        assert_eq!(fleet.trace(0), ["COMMIT; ROLLBACK;", "2"]);
        // What is kept for people is the text as it was written.
        assert_eq!(
            fleet.value(0, "SELECT scripttext FROM SqlBuild_Logging"),
            script
        );
    }
);

on_each_platform!(a_stripped_build_is_still_one_transaction, 1, |fleet| {
    let fleet = fleet.with_trace();
    let script = format!(
        "{};\nINSERT INTO trace (what) VALUES ('1');\nCOMMIT;\n",
        fleet.begins()
    );
    fleet
        .build(&[
            ("sbm.yaml", "strip_transactions: true"),
            ("1.sql", &script),
            ("2.sql", "INSERT INTO no_such_table VALUES (1);"),
        ])
        .expect_code(1);
    fleet.assert_untouched(0);
});

#[test]
fn words_inside_dollar_quotes_stay() {
    let Some(fleet) = Fleet::new(Platform::Postgres, 1, "words_inside_dollar_quotes_stay") else {
        return;
    };
    let fleet = fleet.with_trace();
    let script = "BEGIN;\n\
        CREATE FUNCTION f() RETURNS text LANGUAGE plpgsql AS $f$\nBEGIN\n  RETURN 'COMMIT;';\nEND;\n$f$;\n\
        INSERT INTO trace (what) SELECT f();\n\
        DO $$ BEGIN INSERT INTO trace (what) VALUES ('x'); END; $$;\n\
        INSERT INTO trace (what) VALUES ($q$BEGIN; COMMIT;$q$);\n\
        COMMIT;\n";
    let files = [("sbm.yaml", "strip_transactions: true"), ("1.sql", script)];
    fleet.build(&files).expect_code(0);
    assert_eq!(fleet.trace(0), ["COMMIT;", "x", "BEGIN; COMMIT;"]);
}

#[test]
fn words_inside_triggers_stay() {
    let Some(fleet) = Fleet::new(Platform::Sqlite, 1, "words_inside_triggers_stay") else {
        return;
    };
    let fleet = fleet.with_trace();
    let script = "BEGIN IMMEDIATE;\nCREATE TABLE t (a);\n\
        CREATE TRIGGER after_t AFTER INSERT ON t BEGIN INSERT INTO trace (what) VALUES (new.a); END;\n\
        INSERT INTO t VALUES ('fired');\nEND TRANSACTION;\n";
    let files = [("sbm.yaml", "strip_transactions: true"), ("1.sql", script)];
    fleet.build(&files).expect_code(0);
    assert_eq!(fleet.trace(0), ["fired"]);
}

on_each_platform!(
    transaction_statements_are_refused_before_anything_runs,
    1,
    |fleet| {
        let fleet = fleet.with_trace();
        if fleet.platform == Platform::SqlServer {
            return transactions_of_tsql_nest(&fleet);
        }
        let run = fleet
            .build(&[
                ("1.sql", "INSERT INTO trace (what) VALUES ('1');"),
                ("sub/2.sql", "SELECT 1;\n\nSELECT 2; COMMIT;\n"),
                ("3.sql", &format!("BEGIN;\nSELECT 1;\n{};", end(&fleet))),
            ])
            .expect_code(2);
        for part in [
            "sub/2.sql:3: COMMIT",
            "3.sql:1: BEGIN",
            match fleet.platform {
                Platform::MySql => "3.sql:3: COMMIT",
                _ => "3.sql:3: END",
            },
            "strip_transactions: true",
            "--transactional false",
        ] {
            assert!(run.stderr.contains(part), "{part}: {}", run.stderr);
        }
        assert!(!fleet.has_table(0, "SqlBuild_Ledger"));
        assert!(!fleet.logs().exists());
        fleet.assert_untouched(0);
    }
);

/// In T-SQL transactions nest, so those of scripts do no harm; one COMMIT more than there are is found when it was done.
fn transactions_of_tsql_nest(fleet: &Fleet) {
    let nested = "BEGIN TRANSACTION;\nINSERT INTO trace (what) VALUES ('1');\nCOMMIT;\n";
    fleet
        .build(&[("1.sql", nested), ("2.sql", "SELECT * FROM missing;")])
        .expect_code(1);
    fleet.assert_untouched(0);
    fleet
        .build(&[("1.sql", nested), ("2.sql", "BEGIN TRAN; SELECT 2;")])
        .expect_code(0);
    assert_eq!(fleet.trace(0), ["1"]);
    assert_eq!(fleet.ledger(0), ["Committed"]);

    fleet.package(&[("1.sql", nested), ("2.sql", "SELECT 1;\nCOMMIT;")]);
    let run = fleet
        .threaded_run()
        .option("--output", "json")
        .run()
        .expect_code(1);
    let failed = run.only("failed");
    assert_eq!(failed["state"], "Failed");
    assert_eq!(failed["errors"][0]["script"], "2.sql");
    assert_eq!(fleet.trace(0), ["1", "1"]);
}

/// A procedure cannot commit inside the build's transaction: the server refuses it.
#[test]
fn a_commit_in_a_procedure_is_refused_by_the_server() {
    let test = "a_commit_in_a_procedure_is_refused_by_the_server";
    let Some(fleet) = Fleet::new(Platform::Postgres, 1, test) else {
        return;
    };
    let fleet = fleet.with_trace();
    let call = "CREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$;\nCALL p();\n";
    let run = fleet.build(&[("1.sql", call)]).expect_code(1);
    assert!(run.stdout.contains("1.sql:2:"), "{}", run.stdout);
    fleet.assert_untouched(0);
}

/// Where a backslash hides a quote, as the database says and no look at the text can know, a COMMIT is found only after
/// it was done.
#[test]
fn a_hidden_commit_is_noticed() {
    let Some(fleet) = Fleet::new(Platform::Postgres, 1, "a_hidden_commit_is_noticed") else {
        return;
    };
    let fleet = fleet.with_trace();
    let name = &fleet.names[0];
    fleet.sql(
        0,
        &format!("ALTER DATABASE {name} SET standard_conforming_strings TO off"),
    );
    let hidden = "INSERT INTO trace (what) VALUES ('\\''); COMMIT; SELECT '\\'';\n";
    for (last, traces) in [("SELECT 1;", 1), ("SELECT * FROM missing;", 2)] {
        let script = format!("{hidden}{last}");
        fleet.package(&[
            ("1.sql", &script),
            ("2.sql", "INSERT INTO trace (what) VALUES ('2');"),
        ]);
        let run = fleet
            .threaded_run()
            .option("--output", "json")
            .run()
            .expect_code(1);
        let failed = run.only("failed");
        assert_eq!(failed["state"], "Failed");
        assert_eq!(failed["errors"][0]["script"], "1.sql");
        let id = fleet.run_id();
        let run = fleet.resume(&id).run().expect_code(1);
        assert!(run.stdout.contains("--redo failed"), "{}", run.stdout);
        assert_eq!(fleet.trace(0), vec!["'"; traces]);
    }
    assert_eq!(fleet.ledger(0), ["Failed", "Failed"]);
    assert_eq!(fleet.rows(0, "SqlBuild_Logging"), Some(0));
}
