//! What the result looks like in each form.

use super::{file, fill, text};
use crate::support::fleet::on_each_platform;

/// What stands before the values in a line of CSV.
fn start(server: &str, database: &str, count: u64, number: u64) -> String {
    format!("\"{server}\",\"{database}\",\"{count}\",\"{number}\",")
}

on_each_platform!(csv_has_one_header_and_the_order_of_the_list, 4, |fleet| {
    fill(&fleet);
    let run = fleet
        .threaded_query("SELECT id, name, NULL AS absent, 'a,\"b\"' AS odd FROM t ORDER BY id;\n")
        .option("--outputfile", file(&fleet, "rows.csv"))
        .run()
        .expect_code(0);
    let server = fleet.server();
    let mut expected =
        "\"Server\",\"Database\",\"RowCount\",\"Row #\",\"id\",\"name\",\"absent\",\"odd\"\r\n"
            .to_owned();
    for (index, name) in fleet.names.iter().enumerate() {
        let count = index as u64;
        if count == 0 {
            expected += &format!("{}\"\",\"\",\"\",\"\"\r\n", start(&server, name, 0, 1));
        }
        for id in 0..count {
            expected += &format!(
                "{}\"{id}\",\"n{id}\",NULL,\"a,\"\"b\"\"\"\r\n",
                start(&server, name, count, id + 1)
            );
        }
    }
    assert_eq!(text(&fleet, "rows.csv"), expected);
    assert!(
        run.stdout.contains("4 of 4 databases answered with 6 rows"),
        "{}",
        run.stdout
    );
    // Nothing else is left beside the result.
    let left = std::fs::read_dir(fleet.folder.path()).unwrap();
    let names: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert!(
        names
            .iter()
            .all(|name| !name.to_string_lossy().starts_with('.')),
        "{names:?}"
    );
});

on_each_platform!(
    rows_go_to_standard_output_and_the_rest_does_not,
    2,
    |fleet| {
        fill(&fleet);
        let run = fleet
            .threaded_query("SELECT id FROM t")
            .run()
            .expect_code(0);
        let line = start(&fleet.server(), &fleet.names[1], 1, 1);
        assert!(
            run.stdout.ends_with(&format!("{line}\"0\"\r\n")),
            "{}",
            run.stdout
        );
        assert_eq!(run.stdout.lines().count(), 3, "{}", run.stdout);
        assert!(
            run.stderr.contains("2 of 2 databases answered"),
            "{}",
            run.stderr
        );
    }
);

on_each_platform!(json_lines_take_any_columns, 2, |fleet| {
    fleet.sql(
        0,
        "CREATE TABLE t (a int, b int); INSERT INTO t VALUES (1, NULL)",
    );
    fleet.sql(
        1,
        "CREATE TABLE t (c varchar(9)); INSERT INTO t VALUES ('x')",
    );
    let run = fleet
        .threaded_query("SELECT * FROM t")
        .option("--outputfile", file(&fleet, "rows.jsonl"))
        .option("--output", "json")
        .run()
        .expect_code(0);
    let rows: Vec<serde_json::Value> = text(&fleet, "rows.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(rows[0]["values"], serde_json::json!({"a": "1", "b": null}));
    assert_eq!(rows[0]["database"], fleet.names[0].as_str());
    assert_eq!(rows[1]["values"], serde_json::json!({"c": "x"}));
    let outcome: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(outcome["totals"]["rows"], 2);
    assert_eq!(outcome["format"], "jsonl");
});

on_each_platform!(columns_that_differ_are_a_failure_in_csv, 3, |fleet| {
    fleet.sql(0, "CREATE TABLE t (a int); INSERT INTO t VALUES (1)");
    fleet.sql(
        1,
        "CREATE TABLE t (a int, b int); INSERT INTO t VALUES (1, 2)",
    );
    fleet.sql(2, "CREATE TABLE t (A int); INSERT INTO t VALUES (3)");
    let run = fleet
        .threaded_query("SELECT * FROM t")
        .option("--outputfile", file(&fleet, "rows.csv"))
        .run()
        .expect_code(1);
    assert_eq!(text(&fleet, "rows.csv").lines().count(), 3);
    assert!(
        run.stdout.contains("its columns (a, b) are not those"),
        "{}",
        run.stdout
    );
    let failed = text(&fleet, "logs/query/failuredatabases.cfg");
    assert_eq!(failed, format!("{}:{}\n", fleet.server(), fleet.names[1]));
});

on_each_platform!(columns_get_names_that_differ, 1, |fleet| {
    let run = fleet
        .threaded_query("SELECT 1 AS a, 2 AS a, 3 AS \"x \"\"y\"\", z\"")
        .run()
        .expect_code(0);
    let header = run.stdout.lines().next().unwrap();
    assert!(
        header.ends_with("\"a\",\"a2\",\"x \"\"y\"\", z\""),
        "{header}"
    );
});

on_each_platform!(a_table_is_for_people, 2, |fleet| {
    fill(&fleet);
    let run = fleet
        .threaded_query("SELECT id, name FROM t")
        .option("--outputformat", "table")
        .run()
        .expect_code(0);
    let server = fleet.server();
    let [empty, full] = [0, 1].map(|index| format!("{server}:{}", fleet.names[index]));
    let shown = |place: &str| place.chars().take(60).collect::<String>();
    let (empty, full) = (shown(&empty), shown(&full));
    let starts: Vec<&str> = run.stdout.lines().map(str::trim_end).collect();
    assert!(
        starts[0].starts_with(empty.get(..20).unwrap_or(&empty)),
        "{starts:?}"
    );
    assert!(
        starts[0].ends_with("(0 rows)") && starts[1] == "  id  name",
        "{starts:?}"
    );
    assert!(
        starts[4].starts_with(full.get(..20).unwrap_or(&full)),
        "{starts:?}"
    );
    assert_eq!(starts[7], "  0   n0", "{starts:?}");
});
