//! What a script file may look like.

use crate::support::{
    builds::note,
    fleet::{Platform, on_each_platform},
};

on_each_platform!(scripts_without_statements_succeed, 1, |fleet| {
    let fleet = fleet.with_trace();
    let names = ["1.sql", "2.sql", "3.sql", "4.sql", "5.sql"];
    let texts = [
        "",
        " \r\n\t\n",
        "-- nothing here\n/* nor\nGO\nhere */",
        "GO\nGO 5\n-- x\nGO\n",
        ";\n;",
    ];
    let files: Vec<(&str, &str)> = names.into_iter().zip(texts).collect();
    fleet.build(&files).expect_code(0);
    assert_eq!(fleet.audited(0), names);
    fleet.package(&files);
    fleet
        .threaded_run()
        .option("--transactional", "false")
        .run()
        .expect_code(0);
    assert_eq!(fleet.audited(0).len(), 10);
});

on_each_platform!(go_lines_split_and_repeat, 1, |fleet| {
    let fleet = fleet.with_trace();
    let script = format!(
        "{}GO\r\n{}go 3\n{}{}GO 2 -- twice\n{}",
        note("1"),
        note("2"),
        note("3"),
        note("4"),
        note("5")
    );
    fleet.build(&[("1.sql", &script)]).expect_code(0);
    let trace = ["1", "2", "2", "2", "3", "4", "3", "4", "5"];
    assert_eq!(fleet.trace(0), trace);
    assert_eq!(fleet.audited(0), ["1.sql"]);
});

on_each_platform!(go_inside_strings_and_comments_is_text, 1, |fleet| {
    let fleet = fleet.with_trace();
    let script = "INSERT INTO trace (what) VALUES ('a\nGO\nb'); /*\nGO\n*/ -- GO\nINSERT INTO trace (what) VALUES ('2');";
    fleet.build(&[("1.sql", script)]).expect_code(0);
    assert_eq!(fleet.trace(0), ["a\nGO\nb", "2"]);
});

fn utf16(text: &str, bytes_of: fn(u16) -> [u8; 2]) -> Vec<u8> {
    std::iter::once('\u{feff}')
        .chain(text.chars())
        .collect::<String>()
        .encode_utf16()
        .flat_map(bytes_of)
        .collect()
}

on_each_platform!(every_encoding_arrives_unharmed, 1, |fleet| {
    let fleet = fleet.with_trace();
    let text = "INSERT INTO trace (what) VALUES ('é€😀 ж');\r\n";
    let bom = [b"\xef\xbb\xbf", text.as_bytes()].concat();
    fleet.package_of_bytes(&[
        ("1.sql", text.as_bytes()),
        ("2.sql", &bom),
        ("3.sql", &utf16(text, u16::to_le_bytes)),
        ("4.sql", &utf16(text, u16::to_be_bytes)),
    ]);
    fleet.threaded_run().run().expect_code(0);
    assert_eq!(fleet.trace(0), ["é€😀 ж"; 4]);
    assert_eq!(
        fleet.column(0, "SELECT scripttext FROM SqlBuild_Logging"),
        [text; 4]
    );
    let hashes = "SELECT count(DISTINCT scriptfilehash) FROM SqlBuild_Logging";
    assert_eq!(fleet.value(0, hashes), "1");
});

on_each_platform!(bytes_that_are_no_text_are_refused, 1, |fleet| {
    let fleet = fleet.with_trace();
    let wide: Vec<u8> = note("x")
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    fleet.package_of_bytes(&[
        ("1.sql", b"-- caf\xe9\nSELECT 1;"),
        (
            "2.sql",
            b"SELECT 1;\nINSERT INTO trace (what) VALUES ('caf\xe9');",
        ),
        ("3.sql", &wide),
    ]);
    let run = fleet.threaded_run().run().expect_code(2);
    assert!(!run.stderr.contains("1.sql"), "{}", run.stderr);
    assert!(
        run.stderr.contains("2.sql:2:38: bytes that are no UTF-8"),
        "{}",
        run.stderr
    );
    assert!(
        run.stderr.contains("3.sql:1:2: a NUL character"),
        "{}",
        run.stderr
    );
    fleet.assert_untouched(0);
});

on_each_platform!(a_script_of_five_megabytes_runs, 1, |fleet| {
    let fleet = fleet.with_trace();
    // The most rows of one INSERT, and what tells the length of a text.
    let (most, length) = match fleet.platform {
        Platform::SqlServer => (1_000, "len"),
        _ => (usize::MAX, "length"),
    };
    let line = "INSERT INTO trace (what) VALUES ('0123456789012345678901234567890123456789');\n";
    let mut script = String::from("-- é\n/* ");
    script += &"x".repeat(3 * 1024 * 1024);
    script += " */\n";
    let rows = 2 * 1024 * 1024 / line.len();
    script += &format!(
        "INSERT INTO trace (what) VALUES ('first{}');\n",
        "('), ('".repeat((rows / 12).min(most - 1))
    );
    script += &line.repeat(1_000);
    script += &format!(
        "INSERT INTO trace (what) VALUES ('{}');\n",
        "y".repeat(2 * 1024 * 1024)
    );
    assert!(script.len() > 5 * 1024 * 1024);
    fleet.build(&[("1.sql", &script)]).expect_code(0);
    let count = fleet.rows(0, "trace").unwrap();
    assert!(count > 1_001, "{count}");
    let longest = format!("SELECT max({length}(what)) FROM trace");
    assert_eq!(fleet.value(0, &longest), (2 * 1024 * 1024).to_string());
    // Of a text this long the audit table keeps the beginning.
    let length = match fleet.platform {
        Platform::MySql => "char_length",
        _ => length,
    };
    let kept = format!("SELECT {length}(scripttext) FROM SqlBuild_Logging");
    let kept = fleet.value(0, &kept);
    assert_eq!(kept, (64 * 1024 - 1).to_string());
    // An error behind all that still has its line.
    script += "\nSELECT * FROM missing;";
    let run = fleet.build(&[("1.sql", &script)]).expect_code(1);
    let last = script.lines().count();
    assert!(
        run.stdout.contains(&format!("1.sql:{last}:")),
        "{}",
        run.stdout
    );
    assert_eq!(fleet.rows(0, "trace"), Some(count));
});
