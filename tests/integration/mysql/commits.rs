//! Statements that commit, and tables that know no transactions: the state says what is so.

use super::fleet;
use crate::support::{
    builds::{eventually, note},
    fleet::Fleet,
    program::{Program, Run},
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
fn what_commits_behind_a_delimiter_is_never_called_rolled_back() {
    let Some(fleet) = fleet("mysql::what_commits_behind_a_delimiter_is_never_called_rolled_back")
    else {
        return;
    };
    let script = "DELIMITER //\nDROP TEMPORARY TABLE IF EXISTS x; CREATE TABLE x (a int); \
                  INSERT INTO missing VALUES (1)//\n";
    fleet.package(&[("1.sql", &note("1")), ("2.sql", script)]);
    let run = json(&fleet).run().expect_code(1);
    assert_eq!(run.only("failed")["state"], "Failed");
    assert_eq!(fleet.trace(0), ["1"]);
    assert!(fleet.has_table(0, "x"));
    assert_eq!(fleet.ledger(0), ["Failed"]);
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
        (
            "4.sql",
            "DELIMITER //\nDROP TEMPORARY TABLE IF EXISTS x; CREATE TABLE x (a int); INSERT INTO missing VALUES (1)//",
        ),
        ("5.sql", "/*!99999 SELECT */ DROP TABLE trace;"),
    ]);
    let run = fleet
        .threaded_run()
        .option("--trial", "true")
        .run()
        .expect_code(2);
    for part in [
        "sub/2.sql:3: CREATE TABLE commits by itself",
        "3.sql:1: CALL may commit",
        "4.sql:2: DROP may commit",
        "5.sql:1: DROP TABLE commits by itself",
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

/// Builds a package that meets somebody else in a dead-lock, in which the server gives up the build. Both begin with a
/// statement of their own.
fn meet_in_a_dead_lock(fleet: &Fleet, build_begins: &str, other_begins: &str) -> Run {
    fleet.sql(
        0,
        "CREATE TABLE a (id int PRIMARY KEY, n int); INSERT INTO a VALUES (1, 0), (2, 0)",
    );
    let script = format!(
        "{build_begins}UPDATE a SET n = n + 1 WHERE id = 1;\nGO\nSELECT wait_at_gate();\nGO\nUPDATE a SET n = n + 1 WHERE id = 2;\n",
    );
    fleet.package(&[("1.sql", &script)]);
    let child = json(fleet).start();
    eventually("the build waits at the gate", || {
        fleet.database_logs().contains("batch 2 ")
    });
    // It does more than the build, so that the server gives up the build, whoever of them closes the circle.
    let (server, name) = (fleet.mysql().clone(), fleet.names[0].clone());
    let lock = format!("{name}-has-2");
    let sql = format!(
        "SET SESSION innodb_lock_wait_timeout = 600; START TRANSACTION; \
         INSERT INTO a SELECT seq, 0 FROM seq_10_to_1000; {other_begins}\
         UPDATE a SET n = n + 10 WHERE id = 2; SELECT GET_LOCK('{lock}', 0); \
         UPDATE a SET n = n + 10 WHERE id = 1; COMMIT"
    );
    let other = std::thread::spawn(move || server.run(&name, &sql));
    eventually("the other one has locked its row", || {
        fleet.value(0, &format!("SELECT IS_USED_LOCK('{lock}') IS NOT NULL")) == "1"
    });
    fleet.open_gate(0);
    let output = child.wait_with_output().unwrap();
    other.join().unwrap();
    Run::new(output)
}

#[test]
fn a_dead_lock_is_rolled_back_and_tried_again() {
    let Some(fleet) = fleet("mysql::a_dead_lock_is_rolled_back_and_tried_again") else {
        return;
    };
    let fleet = fleet.with_gate();
    let run = meet_in_a_dead_lock(&fleet, &note("once"), "").expect_code(0);
    assert_eq!(run.count("committed"), 1, "{}", run.stdout);
    assert!(
        fleet.database_logs().contains("-- tried again"),
        "{}",
        fleet.database_logs()
    );
    assert_eq!(fleet.trace(0), ["once"]);
    assert_eq!(
        fleet.column(0, "SELECT n FROM a WHERE id < 3 ORDER BY id"),
        ["11", "11"]
    );
}

#[test]
fn after_a_dead_lock_nothing_is_written_twice_into_a_table_without_transactions() {
    let test =
        "mysql::after_a_dead_lock_nothing_is_written_twice_into_a_table_without_transactions";
    let Some(fleet) = fleet(test) else {
        return;
    };
    fleet.sql(0, "CREATE TABLE kept (x int) ENGINE = MyISAM");
    let fleet = fleet.with_gate();
    // The server would rather give up somebody who has written to no such table.
    let (build, other) = (
        "INSERT INTO kept VALUES (1);\n",
        "INSERT INTO kept VALUES (2); ",
    );
    let run = meet_in_a_dead_lock(&fleet, build, other).expect_code(1);
    assert_eq!(run.only("failed")["state"], "Failed");
    assert_eq!(fleet.column(0, "SELECT x FROM kept ORDER BY x"), ["1", "2"]);
    assert_eq!(fleet.ledger(0), ["Failed"]);
}

#[test]
fn after_a_lost_connection_nothing_is_written_twice_into_a_table_without_transactions() {
    let test =
        "mysql::after_a_lost_connection_nothing_is_written_twice_into_a_table_without_transactions";
    let Some(fleet) = fleet(test) else {
        return;
    };
    fleet.sql(0, "CREATE TABLE kept (x int) ENGINE = Aria");
    let fleet = fleet.with_gate();
    let writes = format!("{}INSERT INTO kept VALUES (1);\n", note("1"));
    fleet.package(&[("1.sql", &writes), ("2.sql", fleet.gate())]);
    let child = json(&fleet).start();
    eventually("the build is cut off at the gate", || {
        let waits = "SELECT id FROM information_schema.processlist WHERE db = DATABASE() \
                     AND id <> CONNECTION_ID() AND command <> 'Sleep'";
        let found = fleet.column(0, waits);
        if !fleet.database_logs().contains("2.sql") || found.is_empty() {
            return false;
        }
        fleet
            .mysql()
            .try_run("", &format!("KILL CONNECTION {}", found[0]))
            .is_ok()
    });
    fleet.open_gate(0);
    let run = Run::new(child.wait_with_output().unwrap()).expect_code(1);
    let failed = run.only("failed");
    assert_eq!(failed["state"], "Failed");
    let message = failed["errors"][0]["message"].as_str().unwrap();
    assert!(message.contains("tables without transactions"), "{message}");
    assert_eq!(fleet.rows(0, "kept"), Some(1));
    assert!(fleet.trace(0).is_empty());
    assert_eq!(fleet.ledger(0), ["Failed"]);
}

#[test]
fn a_failed_build_that_switched_autocommit_off_is_in_the_ledger() {
    let Some(fleet) = fleet("mysql::a_failed_build_that_switched_autocommit_off_is_in_the_ledger")
    else {
        return;
    };
    let script = format!(
        "{}SET autocommit = 0;\n{}INSERT INTO missing VALUES (1);\n",
        note("1"),
        note("2")
    );
    fleet.package(&[("1.sql", &script)]);
    let run = json(&fleet)
        .option("--transactional", "false")
        .run()
        .expect_code(1);
    assert_eq!(run.only("failed")["state"], "Failed");
    assert_eq!(fleet.trace(0), ["1"]);
    assert_eq!(fleet.ledger(0), ["Failed"]);
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
