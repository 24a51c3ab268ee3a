//! What a build does to databases, seen from outside, on every platform.

mod audit;
mod autocommit;
mod databases;
mod elsewhere;
mod locks;
mod once;
mod order;
mod places;
mod resumed;
mod revision;
mod stripping;
mod texts;
mod timeouts;
mod tokens;
mod tolerated;
mod trial;

use crate::support::fleet::{Platform, on_each_platform};

const TABLE: &str = "CREATE TABLE t (id int PRIMARY KEY);\n";

on_each_platform!(a_fleet_is_built_and_recorded, 3, |fleet| {
    let run = fleet
        .build(&[("1.sql", TABLE), ("2.sql", "INSERT INTO t VALUES (1);")])
        .expect_code(0);
    for index in 0..3 {
        assert_eq!(fleet.rows(index, "t"), Some(1));
        assert_eq!(fleet.rows(index, "SqlBuild_Logging"), Some(2));
        assert_eq!(
            fleet.value(index, "SELECT state FROM SqlBuild_Ledger"),
            "Committed"
        );
    }
    assert!(run.stdout.contains("3 committed"), "{}", run.stdout);
});

on_each_platform!(an_error_leaves_nothing_behind, 1, |fleet| {
    let script = "INSERT INTO t VALUES (1);\n\nINSERT INTO t\nVALUES (1);\n";
    // Where a table cannot be taken back it is there before.
    let first = if fleet.platform == Platform::MySql {
        fleet.sql(0, TABLE);
        "SELECT 1;"
    } else {
        TABLE
    };
    let run = fleet
        .build(&[("1.sql", first), ("sub/2.sql", script)])
        .expect_code(1);
    for table in ["t", "SqlBuild_Logging", "SqlBuild_Ledger"] {
        assert!(matches!(fleet.rows(0, table), None | Some(0)), "{table}");
    }
    assert!(run.stdout.contains("sub/2.sql:3:"), "{}", run.stdout);
});
