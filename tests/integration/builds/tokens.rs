//! Build tokens in scripts.

use crate::support::{
    fleet::{Fleet, Platform, on_each_platform},
    program::Program,
};

/// Everything that once was interpreted on its way into a script.
const DESCRIPTION: &str =
    "it's \"q\" $1 $& $$ 100% \\ #BuildFileName#\n-- second 'line'; DROP TABLE trace;";

fn build(fleet: &Fleet, script: &str) -> Program {
    fleet.package(&[("1.sql", script)]);
    fleet.threaded_run().option("--description", DESCRIPTION)
}

on_each_platform!(a_description_arrives_as_it_was_typed, 1, |fleet| {
    let fleet = fleet.with_trace();
    let script = "INSERT INTO trace (what) VALUES ('#BuildDescription#'), ('[#builddescription#]');\n\
                  -- #BuildDescription#\n/* #BuildDescription# */ INSERT INTO trace (what) VALUES ('end');";
    build(&fleet, script).run().expect_code(0);
    let bracketed = format!("[{DESCRIPTION}]");
    assert_eq!(fleet.trace(0), [DESCRIPTION, &bracketed, "end"]);
    assert_eq!(
        fleet.sql(0, "SELECT description, scripttext FROM SqlBuild_Logging"),
        [[DESCRIPTION, script]]
    );
});

on_each_platform!(package_tokens_name_the_package, 1, |fleet| {
    let fleet = fleet.with_trace();
    let script = "INSERT INTO trace (what) VALUES ('#BuildPackageHash#'), ('#BUILDFILENAME#');";
    build(&fleet, script).run().expect_code(0);
    let hash = Program::new(["gethash", "--packagename"])
        .words([fleet.folder.path().join("package")])
        .run()
        .expect_code(0);
    let hash = hash.stdout.trim();
    assert_eq!(hash.len(), 40, "{hash}");
    assert_eq!(fleet.trace(0), [hash, "package"]);
    assert_eq!(
        fleet.value(0, "SELECT buildprojecthash FROM SqlBuild_Logging"),
        hash
    );
});

#[test]
fn a_description_does_not_end_a_dollar_quote() {
    let test = "a_description_does_not_end_a_dollar_quote";
    let Some(fleet) = Fleet::new(Platform::Postgres, 1, test) else {
        return;
    };
    let fleet = fleet.with_trace();
    let script = "INSERT INTO trace (what) VALUES ($$#BuildDescription#$$), (E'\\t#BuildDescription#');\n\
                  DO $$ BEGIN INSERT INTO trace (what) VALUES ('#BuildDescription#'); END $$;";
    build(&fleet, script).run().expect_code(0);
    let tab = format!("\t{DESCRIPTION}");
    assert_eq!(fleet.trace(0), [DESCRIPTION, &tab, DESCRIPTION]);
}

on_each_platform!(lines_of_errors_are_those_of_the_script, 1, |fleet| {
    let fleet = fleet.with_trace();
    let script = "INSERT INTO trace (what) VALUES ('#BuildDescription#'); -- #BuildDescription#\n\n\
                  SELECT '#BuildDescription#', é FROM missing;\n";
    let run = build(&fleet, script)
        .option("--output", "json")
        .run()
        .expect_code(1);
    let error = run.only("failed")["errors"][0].clone();
    assert_eq!(
        (&error["script"], &error["line"]),
        (&"1.sql".into(), &3.into())
    );
    let column = error["column"].as_u64().unwrap();
    let found = script
        .lines()
        .nth(2)
        .unwrap()
        .chars()
        .skip(column as usize - 1);
    let found: String = found.collect();
    match fleet.platform {
        Platform::Postgres => assert!(found.starts_with("missing"), "{found}"),
        // SQLite gives no place for a missing table; the statement's is told.
        Platform::Sqlite => assert!(found.starts_with("SELECT"), "{found}"),
        // MySQL gives a place for syntax errors alone.
        Platform::MySql => assert!(found.starts_with("SELECT"), "{found}"),
        // SQL Server tells the line alone.
        Platform::SqlServer => assert!(found.starts_with("SELECT"), "{found}"),
    }
    fleet.assert_untouched(0);
});
