//! An error leads to the line that caused it.

use serde_json::Value;

use crate::support::{
    builds::note,
    fleet::{Fleet, Platform, on_each_platform},
};

/// The decisive error of a build of this script.
fn error_of(fleet: &Fleet, script: &str, transactional: &str) -> Value {
    fleet.package(&[("0.sql", "SELECT 1;"), ("sub/1.sql", script)]);
    let run = fleet
        .threaded_run()
        .option("--output", "json")
        .option("--transactional", transactional)
        .run()
        .expect_code(1);
    let error = run.only("failed")["errors"][0].clone();
    assert_eq!(error["script"], "sub/1.sql");
    assert_eq!(error["database"], fleet.names[0].as_str());
    error
}

/// The error is where the script says `HERE:`, which is taken out. SQL Server tells the line alone, so there it is where the
/// first code of that line begins, by this mark or by `LINE:`. The error of both kinds of build.
fn check(fleet: &Fleet, marked: &str) -> [Value; 2] {
    let of_line = fleet.platform == Platform::SqlServer && marked.contains("LINE:");
    let mark = if of_line { "LINE:" } else { "HERE:" };
    let marked = &marked.replace(if of_line { "HERE:" } else { "LINE:" }, "");
    let (before, _) = marked.split_once(mark).unwrap();
    let line = before.matches('\n').count() + 1;
    let column = before
        .chars()
        .rev()
        .take_while(|character| *character != '\n')
        .count()
        + 1;
    let script = marked.replace(mark, "");
    ["true", "false"].map(|transactional| {
        let error = error_of(fleet, &script, transactional);
        let place = (error["line"].as_u64(), error["column"].as_u64());
        let wanted = (Some(line as u64), Some(column as u64));
        assert_eq!(
            place, wanted,
            "transactional {transactional}: {marked}\n{error}"
        );
        error
    })
}

on_each_platform!(a_syntax_error_has_its_place, 1, |fleet| {
    let fleet = fleet.with_trace();
    let texts = [
        "HERE:SELEC 1;",
        "SELECT 1;\n\n  HERE:SELEC 2;\n",
        "LINE:SELECT 'é€😀', 1; HERE:SELEC 2;",
        "SELECT 1;\r\nGO\r\n-- é\r\nSELECT 2;\r\n/* é */ HERE:SELEC 3;\r\nGO\r\n",
        "\u{feff}-- mark\nHERE:SELEC 1;",
        "SELECT\n  1\nFROM trace\nLINE:WHERE HERE:FROM trace;",
    ];
    for text in texts {
        for error in check(&fleet, text) {
            let message = error["message"].as_str().unwrap();
            let words: &[&str] = match fleet.platform {
                // At the start of a batch an unknown word is the name of a procedure.
                Platform::SqlServer => &["Incorrect syntax", "stored procedure 'SELEC'"],
                Platform::MySql => &["an error in your SQL syntax"],
                _ => &["syntax error"],
            };
            assert!(
                words.iter().any(|words| message.contains(words)),
                "{message}"
            );
        }
    }
    let run = fleet.threaded_run().run().expect_code(1);
    assert!(run.stdout.contains("sub/1.sql:4:7"), "{}", run.stdout);
});

on_each_platform!(a_run_time_error_has_its_statement, 1, |fleet| {
    let fleet = fleet.with_trace();
    fleet.sql(0, "CREATE TABLE k (id int PRIMARY KEY)");
    // Without a transaction the first statement of each text stays, so it is one that does not mind.
    let texts = [
        "DELETE FROM k; INSERT INTO k VALUES (1);\n HERE:INSERT INTO k VALUES (1);\nSELECT 1;",
        "DELETE FROM k;\n-- é\nINSERT INTO k VALUES (1), (2);;\n;/* x */ HERE:UPDATE k\nSET id = 2;",
        "DELETE FROM k;\nGO\nINSERT INTO k VALUES (1);\nGO\nSELECT 1;\n  HERE:INSERT INTO k VALUES (1);",
    ];
    for text in texts {
        for error in check(&fleet, text) {
            let statement = error["statement"].as_str().unwrap();
            assert!(
                statement.starts_with("INSERT INTO k") || statement.starts_with("UPDATE k"),
                "{statement}"
            );
            let code = error["code"].as_str().unwrap();
            match fleet.platform {
                Platform::Sqlite => assert_eq!(code, "1555"),
                Platform::MySql => assert_eq!(code, "1062"),
                Platform::SqlServer => {
                    assert_eq!(code, "2627");
                    assert_eq!(error["severity"], "14");
                }
                Platform::Postgres => {
                    assert_eq!(code, "23505");
                    assert_eq!(error["severity"], "ERROR");
                }
            }
        }
    }
});

#[test]
fn an_error_inside_a_body_has_the_statement_around_it() {
    let test = "an_error_inside_a_body_has_the_statement_around_it";
    let Some(fleet) = Fleet::new(Platform::Postgres, 1, test) else {
        return;
    };
    let texts = [
        "SELECT 1;\n\nHERE:DO $$\nBEGIN\n  PERFORM 1;\n  PERFORM 1 / 0;\nEND $$;\nSELECT 2;",
        "SELECT 1;\nGO\nCREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $f$\nBEGIN\n  RETURN 1 / 0;\nEND $f$;\n\
         SELECT 2;\nSELECT 3;\n  HERE:SELECT f();",
        "SELECT 1;\n  HERE:DO $$ BEGIN RAISE EXCEPTION 'on purpose'; END $$;",
    ];
    for text in texts {
        for error in check(&fleet, text) {
            let message = error["message"].as_str().unwrap();
            assert!(
                message.contains("where:") && message.contains("line"),
                "{message}"
            );
        }
    }
    // A body that cannot be read is told by the server at its very place.
    let text =
        "SELECT 1;\nCREATE FUNCTION g() RETURNS int LANGUAGE sql AS $$\n  SELECT HERE:missing\n$$;";
    for error in check(&fleet, text) {
        assert_eq!(error["code"], "42703");
    }
    // A name inside the text of a query that a body puts together has no place in the script.
    let text = "SELECT 1;\nHERE:DO $$ BEGIN EXECUTE 'SELECT missing'; END $$;";
    check(&fleet, text);
}

#[test]
fn a_deferred_constraint_is_told_at_the_commit() {
    let test = "a_deferred_constraint_is_told_at_the_commit";
    let Some(fleet) = Fleet::new(Platform::Postgres, 1, test) else {
        return;
    };
    let fleet = fleet.with_trace();
    fleet.sql(
        0,
        "CREATE TABLE parent (id int PRIMARY KEY); \
         CREATE TABLE child (id int REFERENCES parent DEFERRABLE INITIALLY DEFERRED)",
    );
    fleet.package(&[(
        "1.sql",
        &format!("{}INSERT INTO child VALUES (1);", note("1")),
    )]);
    let run = fleet
        .threaded_run()
        .option("--output", "json")
        .run()
        .expect_code(1);
    let failed = run.only("failed");
    assert_eq!(failed["state"], "RolledBack");
    assert_eq!(failed["errors"][0]["code"], "23503");
    assert_eq!(failed["errors"][0]["database"], fleet.names[0].as_str());
    fleet.assert_untouched(0);
}

on_each_platform!(a_long_statement_is_cut, 1, |fleet| {
    let script = format!("SELECT 1;\nSELECT '{}' FROM missing;", "é".repeat(1_000));
    let error = error_of(&fleet, &script, "true");
    let statement = error["statement"].as_str().unwrap();
    assert!(statement.starts_with("SELECT 'éé"), "{statement}");
    assert!(
        statement.chars().count() <= 200,
        "{}",
        statement.chars().count()
    );
    assert_eq!(error["line"], 2);
});

on_each_platform!(an_error_without_script_names_the_database, 2, |fleet| {
    let fleet = fleet.with_trace();
    fleet.package(&[("1.sql", &note("1"))]);
    let mut lines = fleet.lines();
    lines[1] += "_missing";
    let list = fleet.list(&lines);
    let run = fleet
        .threaded_run_on(&list)
        .option("--output", "json")
        .run()
        .expect_code(1);
    let failed = run.only("failed");
    assert_eq!(failed["state"], "RolledBack");
    let error = &failed["errors"][0];
    assert_eq!(error["script"], Value::Null);
    assert_eq!(
        error["database"].as_str().unwrap(),
        format!("{}_missing", fleet.names[1])
    );
    assert_eq!(fleet.trace(0), ["1"]);
});
