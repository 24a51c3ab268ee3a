//! The audit table, which the reference program's users know.

use crate::support::{
    builds::note,
    fleet::{Fleet, Platform, on_each_platform},
    program::Program,
};

/// The time in UTC, `seconds` from now, as the tables' texts show it.
fn utc(fleet: &Fleet, seconds: i32) -> String {
    let sql = match fleet.platform {
        Platform::Sqlite => format!("SELECT datetime('now', '{seconds} seconds')"),
        Platform::SqlServer => {
            format!(
                "SELECT CONVERT(varchar(23), DATEADD(second, {seconds}, SYSUTCDATETIME()), 121)"
            )
        }
        Platform::MySql => {
            format!("SELECT CAST(UTC_TIMESTAMP(6) + INTERVAL {seconds} SECOND AS char)")
        }
        Platform::Postgres => {
            format!("SELECT timezone('UTC', clock_timestamp()) + interval '{seconds} seconds'")
        }
    };
    fleet.value(0, &sql)
}

on_each_platform!(all_columns_are_filled, 1, |fleet| {
    let fleet = fleet.with_trace();
    if fleet.platform == Platform::Postgres {
        let name = &fleet.names[0];
        fleet.sql(
            0,
            &format!("ALTER DATABASE {name} SET timezone TO 'Asia/Tokyo'"),
        );
    }
    let second = "INSERT INTO trace (what) VALUES ('é€😀');\r\n-- größer\r\n";
    let yaml = "scripts: [{file: 1.sql, tag: T-1}, {file: sub/2.sql, tag: größer}]";
    let package = fleet.package(&[
        ("sbm.yaml", yaml),
        ("1.sql", &note("1")),
        ("sub/2.sql", second),
    ]);
    let before = utc(&fleet, -1);
    fleet
        .threaded_run()
        .option("--description", "größer als zuvor")
        .variable("TZ", "America/New_York")
        .variable("USER", "deployer")
        .variable("GITHUB_ACTOR", "octocat")
        .run()
        .expect_code(0);
    let after = utc(&fleet, 1);

    let list = Program::new(["list", "--withhash", "--packages"])
        .words([&package])
        .run()
        .expect_code(0);
    let columns = "SELECT buildfilename, scriptfilename, sequence, userid, allowscriptblock, allowblockupdateid, \
                   scripttext, tag, targetdatabase, runwithversion, buildprojecthash, buildrequestedby, description, \
                   scriptid, scriptfilehash FROM SqlBuild_Logging ORDER BY sequence";
    let rows = fleet.sql(0, columns);
    let hash = Program::new(["gethash", "--packagename"])
        .words([&package])
        .run()
        .expect_code(0);
    let wanted = |file: &str, sequence: &str, text: &str, tag: &str| {
        let allow = if fleet.platform == Platform::Postgres {
            "t"
        } else {
            "1"
        };
        [
            "package",
            file,
            sequence,
            "deployer",
            allow,
            "NULL",
            text,
            tag,
            &fleet.names[0],
            env!("CARGO_PKG_VERSION"),
            hash.stdout.trim(),
            "octocat",
            "größer als zuvor",
        ]
        .map(str::to_owned)
    };
    assert_eq!(rows[0][..13], wanted("1.sql", "0", &note("1"), "T-1"));
    assert_eq!(rows[1][..13], wanted("sub/2.sql", "1", second, "größer"));
    for row in &rows {
        let script_hash = &row[14];
        assert_eq!(script_hash.len(), 40);
        assert!(
            list.stdout.contains(script_hash),
            "{script_hash}: {}",
            list.stdout
        );
        assert_eq!(row[13].len(), 36);
    }
    let times =
        "SELECT scriptrunstart, scriptrunend, commitdate FROM SqlBuild_Logging ORDER BY sequence";
    let times = fleet.sql(0, times);
    let mut all = vec![before];
    all.extend(times[0][..2].iter().cloned());
    all.extend(times[1].iter().cloned());
    all.push(after);
    assert!(all.is_sorted(), "{all:?}");
    assert_eq!(times[0][2], times[1][2]);
});

#[test]
fn table_of_the_reference_program_is_used() {
    let test = "table_of_the_reference_program_is_used";
    let Some(fleet) = Fleet::new(Platform::Postgres, 1, test) else {
        return;
    };
    let fleet = fleet.with_trace();
    fleet.sql(
        0,
        "CREATE TABLE sqlbuild_logging (buildfilename varchar(300) NOT NULL, scriptfilename varchar(300) NOT NULL, \
         scriptid uuid NOT NULL, scriptfilehash varchar(100), commitdate timestamp NOT NULL DEFAULT now(), \
         sequence int NOT NULL DEFAULT 0, userid varchar(100), allowscriptblock boolean NOT NULL DEFAULT true, \
         allowblockupdateid varchar(200), scripttext text, tag varchar(200), targetdatabase varchar(200), \
         runwithversion varchar(50), buildprojecthash varchar(100), buildrequestedby varchar(256), \
         scriptrunstart timestamp, scriptrunend timestamp, description varchar(500)); \
         CREATE INDEX ix_sqlbuild_logging ON sqlbuild_logging (buildfilename); \
         CREATE INDEX ix_sqlbuild_logging_1 ON sqlbuild_logging (scriptfilename); \
         CREATE INDEX ix_sqlbuild_logging_commitcheck ON sqlbuild_logging (scriptid, commitdate DESC); \
         INSERT INTO sqlbuild_logging (buildfilename, scriptfilename, scriptid, scriptfilehash) \
         VALUES ('old.sbm', '1.sql', '00000000-0000-0000-0000-000000000001', 'OLD')",
    );
    let package = fleet.sbx(&[
        ("1.sql", "AllowMultipleRuns=\"false\"", &note("once")),
        ("2.sql", "", &note("2")),
    ]);
    let run = fleet.run_of(&package, &fleet.lines()).run().expect_code(0);
    assert!(run.stdout.contains("another text"), "{}", run.stdout);
    assert_eq!(fleet.trace(0), ["2"]);
    assert_eq!(fleet.audited(0), ["1.sql", "2.sql"]);
}

on_each_platform!(an_older_table_is_brought_up_to_date, 1, |fleet| {
    let fleet = fleet.with_trace();
    let (id, moment, narrow, truth) = match fleet.platform {
        Platform::Sqlite => ("text", "timestamp", "text", "boolean DEFAULT 1"),
        Platform::Postgres => ("uuid", "timestamp", "varchar(50)", "boolean DEFAULT true"),
        Platform::SqlServer => (
            "uniqueidentifier",
            "datetime",
            "varchar(50)",
            "bit CONSTRAINT DF_SqlBuildLogging_AllowScriptBlock DEFAULT 1",
        ),
        Platform::MySql => ("char(36)", "timestamp", "varchar(50)", "boolean DEFAULT 1"),
    };
    fleet.sql(
        0,
        &format!(
            "CREATE TABLE SqlBuild_Logging (BuildFileName varchar(300) NOT NULL, ScriptFileName varchar(300) NOT NULL, \
             ScriptId {id}, ScriptFileHash varchar(100), CommitDate {moment} NOT NULL, Sequence int, UserId {narrow}, \
             AllowScriptBlock {truth}, AllowBlockUpdateId varchar(50), BuildRequestedBy {narrow}); \
             INSERT INTO SqlBuild_Logging (BuildFileName, ScriptFileName, CommitDate, Sequence) \
             VALUES ('old.sbm', 'old.sql', '2001-02-03 04:05:06', 7)"
        ),
    );
    fleet.package(&[("1.sql", &note("1"))]);
    let description = "d".repeat(500);
    for _ in 0..2 {
        fleet
            .threaded_run()
            .option("--description", &description)
            .variable("GITHUB_ACTOR", "r".repeat(256))
            .run()
            .expect_code(0);
    }
    assert_eq!(fleet.audited(0), ["old.sql", "1.sql", "1.sql"]);
    let row = "SELECT description, buildrequestedby FROM SqlBuild_Logging ORDER BY commitdate DESC";
    assert_eq!(fleet.sql(0, row)[0], [description.clone(), "r".repeat(256)]);
    let old = "SELECT description, sequence FROM SqlBuild_Logging WHERE scriptfilename = 'old.sql'";
    assert_eq!(fleet.sql(0, old), [["NULL", "7"]]);
});

on_each_platform!(an_upgrade_needs_no_successful_build, 1, |fleet| {
    let failing = "INSERT INTO missing VALUES (1);";
    fleet.build(&[("1.sql", failing)]).expect_code(1);
    assert_eq!(fleet.rows(0, "SqlBuild_Logging"), Some(0));
    assert_eq!(fleet.rows(0, "SqlBuild_Ledger"), Some(0));
    fleet.build(&[("1.sql", "SELECT 1;")]).expect_code(0);
});

on_each_platform!(values_that_do_not_fit_are_refused_first, 1, |fleet| {
    let fleet = fleet.with_trace();
    let long = "x".repeat(201);
    let yaml = format!("tag: {long}");
    fleet.package(&[("sbm.yaml", &yaml), ("1.sql", &note("1"))]);
    let run = fleet
        .threaded_run()
        .option("--description", "ä".repeat(501))
        .run()
        .expect_code(2);
    for part in [
        "--description has 501 characters",
        "keeps 500",
        "tag of script `1.sql` has 201",
    ] {
        assert!(run.stderr.contains(part), "{part}: {}", run.stderr);
    }
    fleet.assert_untouched(0);
    assert!(!fleet.has_table(0, "SqlBuild_Ledger"));
    fleet.package(&[("1.sql", &note("1"))]);
    fleet
        .threaded_run()
        .option("--description", "ä".repeat(500))
        .run()
        .expect_code(0);
});

on_each_platform!(many_scripts_are_all_recorded, 1, |fleet| {
    let names: Vec<String> = (0..300).map(|number| format!("{number}.sql")).collect();
    let files: Vec<(&str, &str)> = names
        .iter()
        .map(|name| (name.as_str(), "SELECT 1;"))
        .collect();
    fleet.build(&files).expect_code(0);
    assert_eq!(fleet.audited(0), names);
    let last = "SELECT max(sequence), count(DISTINCT sequence) FROM SqlBuild_Logging";
    assert_eq!(fleet.sql(0, last), [["299", "300"]]);
});
