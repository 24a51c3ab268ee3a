//! Transaction statements in scripts: taken out when the package says so, refused otherwise.

use crate::support::fleet::{Fleet, Platform, on_each_platform};

on_each_platform!(
    transaction_statements_are_taken_out_when_asked,
    1,
    |fleet| {
        let fleet = fleet.with_trace();
        let script = "BEGIN;\nINSERT INTO trace (what) VALUES ('COMMIT; ROLLBACK;');\n-- COMMIT;\n/* ROLLBACK; */\nCOMMIT;\n\
                  BEGIN TRANSACTION; INSERT INTO trace (what) VALUES ('2'); END;\nROLLBACK;\n";
        let files = [("sbm.yaml", "strip_transactions: true"), ("1.sql", script)];
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
    fleet
        .build(&[
            ("sbm.yaml", "strip_transactions: true"),
            (
                "1.sql",
                "BEGIN;\nINSERT INTO trace (what) VALUES ('1');\nCOMMIT;\n",
            ),
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
        let run = fleet
            .build(&[
                ("1.sql", "INSERT INTO trace (what) VALUES ('1');"),
                ("sub/2.sql", "SELECT 1;\n\nSELECT 2; COMMIT;\n"),
                ("3.sql", "BEGIN;\nSELECT 1;\nEND;"),
            ])
            .expect_code(2);
        for part in [
            "sub/2.sql:3: COMMIT",
            "3.sql:1: BEGIN",
            "3.sql:3: END",
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

/// What no look at the text can find, the database tells after the batch.
#[test]
fn a_hidden_commit_is_noticed() {
    let Some(fleet) = Fleet::new(Platform::Postgres, 1, "a_hidden_commit_is_noticed") else {
        return;
    };
    let fleet = fleet.with_trace();
    let hidden = "SELECT 1;\nCREATE TABLE t (a int);\nROLLBACK AND CHAIN;\n";
    let run = fleet.build(&[("1.sql", hidden)]).expect_code(2);
    assert!(run.stderr.contains("1.sql:3: ROLLBACK"), "{}", run.stderr);
    // A procedure cannot commit inside the build's transaction: the server refuses it.
    let call = "CREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$;\nCALL p();\n";
    let run = fleet.build(&[("1.sql", call)]).expect_code(1);
    assert!(run.stdout.contains("1.sql:2:"), "{}", run.stdout);
    fleet.assert_untouched(0);
}
