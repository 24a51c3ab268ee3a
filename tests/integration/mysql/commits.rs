//! Statements that commit, and tables that know no transactions: the state says what is so.

use super::fleet;
use crate::support::{
    builds::{eventually, note},
    fleet::Fleet,
    program::Program,
};

fn json(fleet: &Fleet) -> Program {
    fleet.threaded_run().option("--output", "json")
}

#[test]
fn a_package_with_a_commit_of_its_own_is_never_called_rolled_back() {
    let Some(fleet) =
        fleet("mysql::a_package_with_a_commit_of_its_own_is_never_called_rolled_back")
    else {
        return;
    };
    fleet.sql(0, "CREATE PROCEDURE p() COMMIT");
    for (number, statement) in [
        "CREATE TABLE made (x int)",
        "CALL p()",
        "PREPARE s FROM 'DROP TABLE made'; EXECUTE s",
        "/*!40000 ALTER TABLE trace ENGINE = InnoDB */",
    ]
    .iter()
    .enumerate()
    {
        let texts = [
            note(&number.to_string()),
            format!("SELECT 1;\n{statement};\nINSERT INTO missing VALUES (1);"),
        ];
        fleet.package(&[("1.sql", &texts[0]), ("2.sql", &texts[1])]);
        let run = json(&fleet).run().expect_code(1);
        let failed = run.only("failed");
        assert_eq!(failed["state"], "Failed", "{statement}");
        assert_eq!(failed["errors"][0]["line"], 3, "{statement}");
        assert_eq!(fleet.trace(0).len(), number + 1, "{statement}");
        assert_eq!(fleet.ledger(0), vec!["Failed"; number + 1], "{statement}");
        let id = fleet.run_id();
        let run = json(&fleet).option("--resume", &id).run().expect_code(1);
        assert_eq!(run.only("failed")["state"], "Failed", "{statement}");
        assert_eq!(fleet.trace(0).len(), number + 1, "{statement}");
    }
}

#[test]
fn a_trial_of_what_cannot_be_taken_back_is_refused() {
    let Some(fleet) = fleet("mysql::a_trial_of_what_cannot_be_taken_back_is_refused") else {
        return;
    };
    fleet.package(&[
        ("1.sql", &note("1")),
        ("sub/2.sql", "SELECT 1;\n\nCREATE TABLE made (x int);"),
        ("3.sql", "CALL p();"),
    ]);
    let run = fleet
        .threaded_run()
        .option("--trial", "true")
        .run()
        .expect_code(2);
    for part in [
        "sub/2.sql:3: CREATE TABLE commits by itself",
        "3.sql:1: CALL may commit",
    ] {
        assert!(run.stderr.contains(part), "{part}: {}", run.stderr);
    }
    fleet.assert_untouched(0);
    assert!(!fleet.has_table(0, "made") && !fleet.has_table(0, "SqlBuild_Ledger"));
    assert!(!fleet.logs().exists());
}

#[test]
fn what_a_table_without_transactions_keeps_is_told() {
    let Some(fleet) = fleet("mysql::what_a_table_without_transactions_keeps_is_told") else {
        return;
    };
    fleet.sql(0, "CREATE TABLE kept (x int) ENGINE = MyISAM");
    let writes = format!("{}INSERT INTO kept VALUES (1);\n", note("1"));
    let fails = "INSERT INTO missing VALUES (1);\n";

    fleet.package(&[("1.sql", &writes), ("2.sql", fails)]);
    let run = json(&fleet).run().expect_code(1);
    assert_eq!(run.only("failed")["state"], "Failed");
    assert_eq!(fleet.rows(0, "kept"), Some(1));
    assert!(fleet.trace(0).is_empty());
    assert_eq!(fleet.ledger(0), ["Failed"]);

    // The same in a trial, and in a script that the build could go on without.
    fleet.package(&[("1.sql", &writes)]);
    let run = json(&fleet).option("--trial", "true").run().expect_code(1);
    assert_eq!(run.only("failed")["state"], "Failed");
    let tolerated = format!("{writes}{fails}");
    fleet.package(&[
        ("sbm.yaml", "causes_build_failure: false"),
        ("1.sql", &tolerated),
    ]);
    let run = json(&fleet).run().expect_code(1);
    assert_eq!(run.only("failed")["state"], "Failed");
    assert!(fleet.trace(0).is_empty());
}

#[test]
fn a_dead_lock_is_rolled_back_and_tried_again() {
    let Some(fleet) = fleet("mysql::a_dead_lock_is_rolled_back_and_tried_again") else {
        return;
    };
    fleet.sql(
        0,
        "CREATE TABLE a (id int PRIMARY KEY, n int); INSERT INTO a VALUES (1, 0), (2, 0)",
    );
    let fleet = fleet.with_gate();
    let script = format!(
        "{}UPDATE a SET n = n + 1 WHERE id = 1;\nGO\nSELECT wait_at_gate();\nGO\nUPDATE a SET n = n + 1 WHERE id = 2;\n",
        note("once")
    );
    fleet.package(&[("1.sql", &script)]);
    let child = json(&fleet).start();
    eventually("the build waits at the gate", || {
        fleet.database_logs().contains("batch 2 ")
    });
    // Somebody who has done more, so that the server gives up the build.
    let other = {
        let (server, name) = (fleet.mysql().clone(), fleet.names[0].clone());
        std::thread::spawn(move || {
            server.run(
                &name,
                "START TRANSACTION; INSERT INTO a SELECT seq, 0 FROM seq_10_to_1000; \
                 UPDATE a SET n = n + 10 WHERE id = 2; CREATE TEMPORARY TABLE waits (x int); \
                 UPDATE a SET n = n + 10 WHERE id = 1; COMMIT",
            );
        })
    };
    eventually("the other one waits for the build", || {
        let sql = "SELECT count(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT' \
                   AND trx_query LIKE '%n + 10 WHERE id = 1%'";
        fleet.value(0, sql) != "0"
    });
    fleet.open_gate(0);
    let output = child.wait_with_output().unwrap();
    other.join().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert_eq!(fleet.trace(0), ["once"]);
    assert_eq!(
        fleet.column(0, "SELECT n FROM a WHERE id < 3 ORDER BY id"),
        ["11", "11"]
    );
}

#[test]
fn the_lock_is_named_after_the_database_and_its_loss_ends_the_build() {
    let Some(fleet) =
        fleet("mysql::the_lock_is_named_after_the_database_and_its_loss_ends_the_build")
    else {
        return;
    };
    let lock = "concat('sbm-', left(sha2(database(), 256), 40))";
    let script = format!("INSERT INTO trace (what) SELECT is_used_lock({lock}) = connection_id();");
    fleet.build(&[("1.sql", &script)]).expect_code(0);
    assert_eq!(fleet.trace(0), ["1"]);
    eventually("the lock is free", || {
        fleet.value(0, &format!("SELECT is_free_lock({lock})")) == "1"
    });

    let run = fleet
        .build(&[
            ("1.sql", &note("2")),
            ("2.sql", "SELECT RELEASE_ALL_LOCKS();"),
        ])
        .expect_code(1);
    assert!(run.stdout.contains("has lost its lock"), "{}", run.stdout);
    assert_eq!(fleet.trace(0), ["1"]);
}

#[test]
fn an_administrator_s_script_lets_a_login_without_rights_build() {
    let Some(fleet) = fleet("mysql::an_administrator_s_script_lets_a_login_without_rights_build")
    else {
        return;
    };
    let (name, user) = (&fleet.names[0], format!("u{}", &fleet.names[0]));
    fleet.sql(
        0,
        &format!("CREATE USER {user} IDENTIFIED BY 'secret'; GRANT SELECT, INSERT ON {name}.trace TO {user}"),
    );
    fleet.package(&[("1.sql", &note("1"))]);
    let list = fleet.list(&fleet.lines());
    let build = || {
        Program::new(["threaded", "run", "--platform", "MySQL"])
            .option("--packagename", fleet.folder.path().join("package"))
            .option("--override", &list)
            .option("--rootloggingpath", fleet.logs())
            .option("--username", &user)
            .variable("SBM_PASSWORD", "secret")
            .run()
    };
    let run = build().expect_code(1);
    assert!(
        run.stdout.contains("sbm ledger script --platform MySQL"),
        "{}",
        run.stdout
    );
    fleet.assert_untouched(0);
    let script = Program::new([
        "ledger",
        "script",
        "--platform",
        "MySQL",
        "--username",
        &user,
    ])
    .run()
    .expect_code(0);
    fleet.sql(0, &script.stdout);
    build().expect_code(0);
    assert_eq!(fleet.trace(0), ["1"]);
    assert_eq!(fleet.ledger(0), ["Committed"]);
    fleet.sql(0, &format!("DROP USER {user}"));
}
