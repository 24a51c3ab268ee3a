//! How scripts are read, sent and kept apart.

use super::fleet;
use crate::support::builds::note;

#[test]
fn a_delimiter_is_obeyed_and_programs_arrive_whole() {
    let Some(fleet) = fleet("mysql::a_delimiter_is_obeyed_and_programs_arrive_whole") else {
        return;
    };
    let script = "DELIMITER //\n\
        CREATE PROCEDURE p(IN times int) BEGIN\n  WHILE times > 0 DO\n    INSERT INTO trace (what) VALUES ('p');\n\
        \x20   SET times = times - 1;\n  END WHILE;\nEND//\n\
        CREATE TRIGGER g BEFORE INSERT ON trace FOR EACH ROW BEGIN SET NEW.what = concat(NEW.what, ';'); END//\n\
        DELIMITER ;\n\
        CALL p(2);\nINSERT INTO trace (what) VALUES ('//');\n";
    let run = fleet.build(&[("1.sql", script)]).expect_code(0);
    assert_eq!(fleet.trace(0), ["p;", "p;", "//;"]);
    let why = "1.sql:2: CREATE PROCEDURE commits by itself";
    assert!(
        run.stderr.contains(why) || run.stdout.contains(why),
        "{run:?}"
    );
    assert_eq!(fleet.ledger(0), ["Committed"]);
    // Behind a delimiter there may be several statements, of which each has run.
    let script = "DELIMITER $$\nINSERT INTO trace (what) VALUES ('a'); INSERT INTO trace (what) VALUES ('b')$$\n";
    fleet.build(&[("1.sql", script)]).expect_code(0);
    assert_eq!(fleet.trace(0)[3..], ["a;", "b;"]);
}

#[test]
fn an_error_behind_a_delimiter_has_its_line() {
    let Some(fleet) = fleet("mysql::an_error_behind_a_delimiter_has_its_line") else {
        return;
    };
    let script = "DELIMITER //\nSELECT 1//\n\nSELECT 2\n  FROM FROM//\n";
    let run = fleet.build(&[("1.sql", script)]).expect_code(1);
    assert!(run.stdout.contains("1.sql:5:8"), "{}", run.stdout);
    fleet.assert_untouched(0);
}

#[test]
fn variables_of_a_script_end_with_it() {
    let Some(fleet) = fleet("mysql::variables_of_a_script_end_with_it") else {
        return;
    };
    let first = "SET @a = 'one', @`b c` := 'two';\nGO\nSELECT @a INTO @d;\n\
                 INSERT INTO trace (what) VALUES (concat(@a, @`b c`, @d));\n";
    let second =
        "INSERT INTO trace (what) VALUES (coalesce(@a, @`b c`, @d, 'nothing'));\nSET @a = 1;\n";
    fleet
        .build(&[("1.sql", first), ("2.sql", second)])
        .expect_code(0);
    assert_eq!(fleet.trace(0), ["onetwoone", "nothing"]);
    assert_eq!(fleet.ledger(0), ["Committed"]);
}

#[test]
fn options_of_a_script_end_with_it_and_do_not_reach_our_rows() {
    let Some(fleet) = fleet("mysql::options_of_a_script_end_with_it_and_do_not_reach_our_rows")
    else {
        return;
    };
    let show = "INSERT INTO trace (what) SELECT concat_ws(' ', @@sql_mode, @@foreign_key_checks, @@time_zone, \
                @@sql_select_limit, @@max_error_count, @@tx_isolation, @@character_set_client, @@wait_timeout);\n";
    let change = "SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES', foreign_key_checks = 0, @@session.time_zone = '+05:00';\n\
                  SET SESSION sql_select_limit = 0, max_error_count = 3, wait_timeout = 1000;\n\
                  SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE;\nSET NAMES latin1;\nSET sql_safe_updates = 1;\n";
    fleet
        .build(&[
            ("1.sql", show),
            ("2.sql", change),
            ("3.sql", show),
            ("4.sql", change),
        ])
        .expect_code(0);
    let trace = fleet.trace(0);
    assert_eq!(trace.len(), 2);
    assert_eq!(trace[0], trace[1]);
    assert!(trace[0].ends_with("utf8mb4 110"), "{trace:?}");
    assert_eq!(fleet.audited(0).len(), 4);
    assert_eq!(fleet.ledger(0), ["Committed"]);
}

#[test]
fn text_that_the_server_would_misread_is_not_sent() {
    let Some(fleet) = fleet("mysql::text_that_the_server_would_misread_is_not_sent") else {
        return;
    };
    let script = "SET NAMES latin1;\nINSERT INTO trace (what) VALUES ('plain');\nINSERT INTO trace (what) VALUES ('é');\n";
    let run = fleet.build(&[("1.sql", script)]).expect_code(1);
    assert!(run.stdout.contains("1.sql:3:1"), "{}", run.stdout);
    assert!(
        run.stdout.contains("character_set_client to latin1"),
        "{}",
        run.stdout
    );
    fleet.assert_untouched(0);
    // The next script begins anew.
    let second = note("é");
    fleet
        .build(&[("1.sql", "SET NAMES latin1;"), ("2.sql", &second)])
        .expect_code(0);
    assert_eq!(fleet.trace(0), ["é"]);
}

#[test]
fn a_statement_that_the_server_would_not_take_is_not_sent() {
    let Some(fleet) = fleet("mysql::a_statement_that_the_server_would_not_take_is_not_sent") else {
        return;
    };
    let limit: usize = fleet
        .value(0, "SELECT @@max_allowed_packet")
        .parse()
        .unwrap();
    let script = format!("{}{}", note("1"), note(&"x".repeat(limit)));
    let run = fleet.build(&[("1.sql", &script)]).expect_code(1);
    assert!(run.stdout.contains("1.sql:2:1"), "{}", run.stdout);
    assert!(run.stdout.contains("max_allowed_packet"), "{}", run.stdout);
    fleet.assert_untouched(0);
    // It is found before anything runs, as not every build can be taken back.
    let run = fleet
        .build(&[("0.sql", "CREATE TABLE made (x int);"), ("1.sql", &script)])
        .expect_code(1);
    assert!(run.stdout.contains("1.sql:2:1"), "{}", run.stdout);
    assert!(!fleet.has_table(0, "made"));
    fleet.assert_untouched(0);
}

#[test]
fn all_results_of_a_procedure_are_read() {
    let Some(fleet) = fleet("mysql::all_results_of_a_procedure_are_read") else {
        return;
    };
    fleet.sql(
        0,
        "CREATE PROCEDURE good() BEGIN SELECT 1; SELECT 2, 3 FROM seq_1_to_500; INSERT INTO trace (what) VALUES ('in'); END",
    );
    fleet.sql(
        0,
        "CREATE PROCEDURE bad() BEGIN SELECT 1; SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'on purpose'; END",
    );
    let script = format!("CALL good();\n{}", note("after"));
    fleet.build(&[("1.sql", &script)]).expect_code(0);
    assert_eq!(fleet.trace(0), ["in", "after"]);
    assert!(
        fleet.database_logs().contains("500"),
        "{}",
        fleet.database_logs()
    );
    let script = format!("SELECT 1;\nCALL bad();\n{}", note("never"));
    let run = fleet.build(&[("1.sql", &script)]).expect_code(1);
    assert!(run.stdout.contains("1.sql:2:1"), "{}", run.stdout);
    assert!(run.stdout.contains("on purpose"), "{}", run.stdout);
    assert_eq!(fleet.trace(0), ["in", "after"]);
}

#[test]
fn warnings_are_logged_and_do_not_come_between_two_statements() {
    let Some(fleet) = fleet("mysql::warnings_are_logged_and_do_not_come_between_two_statements")
    else {
        return;
    };
    fleet.sql(0, "CREATE TABLE narrow (a varchar(3))");
    let first = "SET sql_mode = '';\nINSERT INTO narrow VALUES ('too long');\n";
    let second = "SET sql_mode = '';\nINSERT INTO narrow VALUES ('too long'), ('as long');\n\
                  INSERT INTO trace (what) VALUES (ROW_COUNT());\n";
    fleet
        .build(&[("1.sql", first), ("2.sql", second)])
        .expect_code(0);
    assert_eq!(fleet.trace(0), ["2"]);
    let logs = fleet.database_logs();
    assert!(logs.contains("Warning 1265"), "{logs}");
}

#[test]
fn files_of_the_client_are_refused_before_anything_runs() {
    let Some(fleet) = fleet("mysql::files_of_the_client_are_refused_before_anything_runs") else {
        return;
    };
    let script = format!(
        "{}LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE trace (what);\n",
        note("1")
    );
    let run = fleet.build(&[("1.sql", &script)]).expect_code(2);
    assert!(
        run.stderr.contains("1.sql:2: LOAD DATA LOCAL"),
        "{}",
        run.stderr
    );
    fleet.assert_untouched(0);
}
