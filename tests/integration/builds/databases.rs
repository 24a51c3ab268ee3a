//! Which database a script runs in, and that all databases of a target are built or none.

use crate::support::{
    builds::note,
    fleet::{Fleet, on_each_platform},
};

const YAML: &str = "scripts:\n  - {file: a.sql, database: client}\n  - {file: b.sql, database: Other}\n  - {file: c.sql, database: CLIENT}\n";

/// Three scripts for two databases.
fn two_databases(fleet: &Fleet, last: &str) -> std::path::PathBuf {
    fleet.package(&[
        ("sbm.yaml", YAML),
        ("a.sql", &note("a")),
        ("b.sql", &note("b")),
        ("c.sql", last),
    ])
}

/// A line of a target list with these pairs, in which `#` and a number stands for a database.
fn line(fleet: &Fleet, pairs: &str) -> String {
    let mut text = format!("{}:{pairs}", fleet.server());
    for (index, name) in fleet.names.iter().enumerate() {
        text = text.replace(&format!("#{index}"), name);
    }
    text
}

on_each_platform!(pairs_lead_each_script_to_its_database, 2, |fleet| {
    let fleet = fleet.with_trace();
    let package = two_databases(&fleet, &note("c"));
    let line = line(&fleet, "Client,#0;other,#1");
    fleet.run_of(&package, &[line]).run().expect_code(0);
    assert_eq!(fleet.trace(0), ["a", "c"]);
    assert_eq!(fleet.trace(1), ["b"]);
    let rows =
        "SELECT scriptfilename, sequence, targetdatabase FROM SqlBuild_Logging ORDER BY sequence";
    assert_eq!(
        fleet.sql(0, rows),
        [
            ["a.sql", "0", &fleet.names[0]],
            ["c.sql", "2", &fleet.names[0]]
        ]
    );
    assert_eq!(fleet.sql(1, rows), [["b.sql", "1", &fleet.names[1]]]);
    assert_eq!([fleet.ledger(0), fleet.ledger(1)], [["Committed"]; 2]);
});

on_each_platform!(two_names_may_mean_one_database, 1, |fleet| {
    let fleet = fleet.with_trace();
    let package = two_databases(&fleet, &note("c"));
    let line = line(&fleet, "client,#0;Other,#0");
    fleet.run_of(&package, &[line]).run().expect_code(0);
    assert_eq!(fleet.trace(0), ["a", "b", "c"]);
    assert_eq!(fleet.ledger(0), ["Committed"]);
});

on_each_platform!(a_pair_without_default_serves_every_name, 1, |fleet| {
    let fleet = fleet.with_trace();
    let package = two_databases(&fleet, &note("c"));
    fleet.run_of(&package, &fleet.lines()).run().expect_code(0);
    assert_eq!(fleet.trace(0), ["a", "b", "c"]);
});

on_each_platform!(a_name_mapped_to_itself_is_a_database, 1, |fleet| {
    let fleet = fleet.with_trace();
    let yaml = format!("database: {}", fleet.names[0]);
    let package = fleet.package(&[("sbm.yaml", &yaml), ("1.sql", &note("1"))]);
    let line = line(&fleet, "#0,#0");
    fleet.run_of(&package, &[line]).run().expect_code(0);
    assert_eq!(fleet.trace(0), ["1"]);
});

on_each_platform!(scripts_without_a_name_run_in_the_only_pair, 1, |fleet| {
    let fleet = fleet.with_trace();
    let package = fleet.package(&[("1.sql", &note("1"))]);
    let line = line(&fleet, "client,#0");
    fleet.run_of(&package, &[line]).run().expect_code(0);
    assert_eq!(fleet.trace(0), ["1"]);
});

on_each_platform!(
    an_error_in_the_second_database_leaves_nothing_in_the_first,
    2,
    |fleet| {
        let fleet = fleet.with_trace();
        let yaml = YAML.replace("CLIENT", "other");
        let package = fleet.package(&[
            ("sbm.yaml", &yaml),
            ("a.sql", &note("a")),
            ("b.sql", &note("b")),
            ("c.sql", "INSERT INTO no_such_table VALUES (1);"),
        ]);
        let line = line(&fleet, "client,#0;other,#1");
        let run = fleet
            .run_of(&package, &[line])
            .option("--output", "json")
            .run()
            .expect_code(1);
        let failed = run.only("failed");
        assert_eq!(failed["state"], "RolledBack");
        assert_eq!(failed["errors"][0]["database"], fleet.names[1].as_str());
        fleet.assert_untouched(0);
        fleet.assert_untouched(1);
    }
);

on_each_platform!(
    a_name_without_a_pair_is_refused_before_anything_runs,
    2,
    |fleet| {
        let fleet = fleet.with_trace();
        let package = two_databases(&fleet, &note("c"));
        let good = line(&fleet, "client,#0;other,#0");
        let bad = line(&fleet, "client,#1");
        let run = fleet.run_of(&package, &[good, bad]).run().expect_code(2);
        for part in ["line 2", "`Other`", "b.sql", "Other,DATABASE"] {
            assert!(run.stderr.contains(part), "{part}: {}", run.stderr);
        }
        for index in 0..2 {
            fleet.assert_untouched(index);
            assert!(!fleet.has_table(index, "SqlBuild_Ledger"));
        }
        assert!(!fleet.logs().exists());
    }
);

on_each_platform!(a_build_infers_the_databases_of_its_scripts, 2, |fleet| {
    let fleet = fleet.with_trace();
    let yaml = YAML
        .replace("client", &fleet.names[0])
        .replace("CLIENT", &fleet.names[0])
        .replace("Other", &fleet.names[1]);
    let package = fleet.package(&[
        ("sbm.yaml", &yaml),
        ("a.sql", &note("a")),
        ("b.sql", &note("b")),
        ("c.sql", &note("c")),
    ]);
    let build = || {
        fleet
            .single_build(&package)
            .option("--server", fleet.server())
    };
    build().run().expect_code(0);
    assert_eq!(fleet.trace(0), ["a", "c"]);
    assert_eq!(fleet.trace(1), ["b"]);
    build()
        .option("--database", &fleet.names[1])
        .run()
        .expect_code(0);
    assert_eq!(fleet.trace(0), ["a", "c"]);
    assert_eq!(fleet.trace(1), ["b", "a", "b", "c"]);
});

on_each_platform!(a_build_takes_one_pair, 1, |fleet| {
    let fleet = fleet.with_trace();
    let yaml = "database: client";
    let package = fleet.package(&[("sbm.yaml", yaml), ("1.sql", &note("1"))]);
    let build = |pair: &str| {
        fleet
            .single_build(&package)
            .option("--server", fleet.server())
            .option("--override", pair.replace('#', &fleet.names[0]))
            .run()
    };
    build("client,#").expect_code(0);
    assert_eq!(fleet.trace(0), ["1"]);
    let run = build("other,#").expect_code(2);
    assert!(run.stderr.contains("client,DATABASE"), "{}", run.stderr);
    assert_eq!(fleet.trace(0), ["1"]);
});

on_each_platform!(targets_that_share_a_database_are_refused, 3, |fleet| {
    let fleet = fleet.with_trace();
    let package = two_databases(&fleet, &note("c"));
    let lines = [
        line(&fleet, "client,#0;other,#1"),
        line(&fleet, "client,#2;other,#2"),
        line(&fleet, "client,#1;other,#2"),
    ];
    let run = fleet.run_of(&package, &lines).run().expect_code(2);
    for (database, other) in [(1, 1), (2, 2)] {
        let part = format!(
            "line 3: shares the database `{}` on `{}` with line {other}",
            fleet.names[database],
            fleet.server()
        );
        assert!(run.stderr.contains(&part), "{part}: {}", run.stderr);
    }
    let run = fleet
        .run_of(&package, &lines)
        .option("--allowduplicates", "true")
        .run()
        .expect_code(2);
    assert!(run.stderr.contains("line 3: shares"), "{}", run.stderr);
    (0..3).for_each(|index| fleet.assert_untouched(index));
});

on_each_platform!(exact_repeats_are_dropped_on_request, 2, |fleet| {
    let fleet = fleet.with_trace();
    let package = two_databases(&fleet, &note("c"));
    let one = line(&fleet, "client,#0;other,#1");
    let again = line(&fleet, "Client,#0;other,#1");
    let lines = [one, again];
    fleet.run_of(&package, &lines).run().expect_code(2);
    fleet.assert_untouched(0);
    let run = fleet
        .run_of(&package, &lines)
        .option("--allowduplicates", "true")
        .run()
        .expect_code(0);
    assert!(
        run.stdout.contains("line 2") || run.stderr.contains("line 2"),
        "{}{}",
        run.stdout,
        run.stderr
    );
    assert_eq!(fleet.trace(0), ["a", "c"]);
});
