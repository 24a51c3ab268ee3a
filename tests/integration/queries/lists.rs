//! Target lists that come from a query, for queries and for builds.

use std::fs;

use super::{file, text};
use crate::support::{
    fleet::{Fleet, on_each_platform},
    program::Program,
};

/// Makes the table `fleet (server, name, database, ring)` of all but the first database in the first one.
fn catalogue(fleet: &Fleet) {
    fleet.sql(
        0,
        "CREATE TABLE fleet (server varchar(300), name varchar(20), db varchar(100), ring varchar(20))",
    );
    for (index, name) in fleet.names.iter().enumerate().skip(1) {
        let server = fleet.server();
        let ring = if index % 2 == 0 { "even" } else { "odd" };
        fleet.sql(
            0,
            &format!("INSERT INTO fleet VALUES ('{server}', 'client', '{name}', '{ring}')"),
        );
    }
}

const FIND: &str = "SELECT server, name, db, ring FROM fleet ORDER BY db";

fn multi_db_query(fleet: &Fleet, query: &str) -> std::path::PathBuf {
    let path = file(fleet, "fleet.multiDbQ");
    let config = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<MultiDbQueryConfig><SourceServer>{}</SourceServer>\
         <Database>{}</Database><Query>{query}</Query></MultiDbQueryConfig>",
        fleet.server(),
        fleet.names[0]
    );
    fs::write(&path, config).unwrap();
    path
}

fn sql_file(fleet: &Fleet, query: &str) -> std::path::PathBuf {
    let path = file(fleet, "fleet.sql");
    fs::write(&path, query).unwrap();
    path
}

/// `--server` and `--database` of the first database.
fn placed(fleet: &Fleet, program: Program) -> Program {
    program
        .option("--server", fleet.server())
        .option("--database", &fleet.names[0])
}

on_each_platform!(
    a_query_finds_what_is_asked_and_its_columns_go_before,
    3,
    |fleet| {
        catalogue(&fleet);
        let expected = format!(
            "\"Server\",\"Database\",\"RowCount\",\"Row #\",\"ring\",\"a\"\r\n\
         \"{server}\",\"{}\",\"1\",\"1\",\"odd\",\"1\"\r\n\"{server}\",\"{}\",\"1\",\"1\",\"even\",\"1\"\r\n",
            fleet.names[1],
            fleet.names[2],
            server = fleet.server()
        );
        let list = multi_db_query(&fleet, FIND);
        let run = fleet
            .threaded_query_on(&list, "SELECT 1 AS a")
            .run()
            .expect_code(0);
        assert_eq!(run.stdout, expected);

        let list = sql_file(&fleet, FIND);
        let query = fleet.threaded_query_on(&list, "SELECT 1 AS a");
        let run = placed(&fleet, query).run().expect_code(0);
        assert_eq!(run.stdout, expected);
    }
);

on_each_platform!(a_build_goes_to_what_a_query_finds, 3, |fleet| {
    catalogue(&fleet);
    fleet.package(&[("1.sql", "CREATE TABLE made (id int)")]);
    let list = sql_file(&fleet, "SELECT server, db FROM fleet");
    let build = fleet.threaded_run_on(&list);
    placed(&fleet, build).run().expect_code(0);
    for index in 0..3 {
        assert_eq!(fleet.has_table(index, "made"), index > 0, "{index}");
    }
    let list = multi_db_query(&fleet, FIND);
    fleet.package(&[("2.sql", "CREATE TABLE also (id int)")]);
    fleet
        .threaded_run_on(&list)
        .option("--concurrencytype", "Tag")
        .run()
        .expect_code(0);
    assert!(fleet.has_table(2, "also") && !fleet.has_table(0, "also"));
});

on_each_platform!(
    queries_that_find_nothing_usable_are_refused_with_the_reason,
    1,
    |fleet| {
        catalogue(&fleet);
        let run = |query: &str| {
            let list = sql_file(&fleet, query);
            let program = fleet.threaded_query_on(&list, "SELECT 1 AS a");
            placed(&fleet, program).run().expect_code(2).stderr
        };
        for (query, reason) in [
            ("SELECT server FROM fleet", "gives 1 column(s)"),
            ("SELECT server, db FROM fleet", "found no targets"),
            ("DELETE FROM fleet", "not one query that only reads"),
            ("SELECT\n no_such_column, db FROM fleet", "at line"),
            (
                "SELECT NULL AS a, 'x' AS b",
                "line 1: the first column, the server, is NULL",
            ),
            (
                "SELECT 's' AS a, 'x' AS b UNION ALL SELECT 's', 'x'",
                "line 2: repeats line 1 (s:x); accepted is each target once, or --allowduplicates",
            ),
        ] {
            let error = run(query);
            assert!(error.contains(reason), "{query}: {error}");
        }
        // Without a place.
        let list = sql_file(&fleet, FIND);
        let error = fleet
            .threaded_query_on(&list, "SELECT 1 AS a")
            .run()
            .expect_code(2)
            .stderr;
        assert!(error.contains("--server: needed") && error.contains("--database: needed"));
    }
);

on_each_platform!(each_database_of_a_line_is_asked_once, 3, |fleet| {
    let names = &fleet.names;
    let line = format!(
        "{}:a,{};b,{};c,{};{}#ring",
        fleet.server(),
        names[0],
        names[1],
        names[0],
        names[2]
    );
    let list = fleet.list(&[line]);
    let run = fleet
        .threaded_query_on(&list, "SELECT 1 AS a")
        .option("--outputfile", file(&fleet, "rows.csv"))
        .run()
        .expect_code(0);
    assert!(run.stdout.contains("3 of 3 databases"), "{}", run.stdout);
    let rows = text(&fleet, "rows.csv");
    assert!(rows.starts_with("\"Server\",\"Database\",\"RowCount\",\"Row #\",\"Tag\",\"a\"\r\n"));
    assert_eq!(rows.matches("\"1\",\"1\",\"ring\",\"1\"\r\n").count(), 3);
});
