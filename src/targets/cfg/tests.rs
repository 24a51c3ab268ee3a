use proptest::{collection::vec, option, prelude::*};

use super::*;
use crate::protocol::Pair;

fn target(server: &str, pairs: &[(&str, &str)], tag: Option<&str>) -> Target {
    Target {
        server: server.into(),
        pairs: pairs
            .iter()
            .map(|(default, database)| Pair {
                default: (*default).into(),
                database: (*database).into(),
            })
            .collect(),
        tag: tag.map(Into::into),
    }
}

fn read(line: &str) -> Target {
    let mut listed = parse_cfg(line).unwrap_or_else(|faults| panic!("{line}: {faults}"));
    assert_eq!(listed.len(), 1, "{line}");
    listed.remove(0).target
}

fn faults(text: &str) -> Vec<String> {
    match parse_cfg(text) {
        Ok(targets) => panic!("{text}: read as {targets:?}"),
        Err(faults) => faults.faults.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn lines_of_the_reference_program_read_as_there() {
    let one = &[("default", "target")];
    let two = &[("default", "target"), ("default2", "target2")];
    assert_eq!(
        read("SERVER:default,target;default2,target2"),
        target("SERVER", two, None)
    );
    assert_eq!(
        read("SERVER:targetDb"),
        target("SERVER", &[("", "targetDb")], None)
    );
    assert_eq!(
        read("SERVER:'defaultDb',targetDb"),
        target("SERVER", &[("defaultDb", "targetDb")], None)
    );
    assert_eq!(
        read("  SERVER  :  default  ,  target  "),
        target("SERVER", one, None)
    );
    assert_eq!(
        read("SERVER:default,target#TagA"),
        target("SERVER", one, Some("TagA"))
    );
    assert_eq!(
        read("SERVER:default,target# TagA "),
        target("SERVER", one, Some("TagA"))
    );
    assert_eq!(read("SERVER:default,target#"), target("SERVER", one, None));
    assert_eq!(
        read("(local)\\SQLEXPRESS:client,A;client2,B"),
        target(
            "(local)\\SQLEXPRESS",
            &[("client", "A"), ("client2", "B")],
            None
        )
    );
}

#[test]
fn the_sample_of_the_reference_program_is_read() {
    let text = include_str!("../../../tests/fixtures/targets/double-database.cfg");
    assert!(text.starts_with('\u{feff}'));
    let listed = parse_cfg(text).unwrap();
    assert_eq!(listed.len(), 5);
    let pairs = &[("client", "SqlBuildTest9"), ("client2", "SqlBuildTest10")];
    assert_eq!(listed[4].target, target("(local)\\SQLEXPRESS", pairs, None));
    assert_eq!(listed[4].line, 5);
}

#[test]
fn servers_of_every_form_are_read_from_a_file() {
    let listed = parse_cfg(include_str!("../../../tests/fixtures/targets/servers.cfg")).unwrap();
    let servers: Vec<&str> = listed
        .iter()
        .map(|listed| listed.target.server.as_str())
        .collect();
    assert_eq!(
        servers,
        [
            "host.example.com:5432",
            "host.example.com,1433",
            "tcp:host.example.com,1433",
            "host\\instance",
            "[2001:db8::1]:5432",
            "C:\\databases",
            "/srv/databases",
            "./databases",
            "/srv/a;b",
        ]
    );
    assert_eq!(listed.last().map(|listed| listed.line), Some(12));
}

#[test]
fn an_override_that_is_blank_reads_as_the_default() {
    assert_eq!(read("s:d,"), target("s", &[("d", "d")], None));
    assert_eq!(
        read("s:'d', ;e,x"),
        target("s", &[("d", "d"), ("e", "x")], None)
    );
    assert_eq!(read("s:,x"), target("s", &[("", "x")], None));
    assert_eq!(read("s:d,\"\""), target("s", &[("d", "d")], None));
}

#[test]
fn quoted_names_hold_separators_quotes_and_blanks() {
    assert_eq!(
        read("\"h:1\" : \"a;b\"\"c\" , \"'d'\" ; \"x#y\" # \"t#u\""),
        target("h:1", &[("a;b\"c", "'d'"), ("", "x#y")], Some("t#u"))
    );
    assert_eq!(
        read("s:\"'a'\",\" b \""),
        target("s", &[("'a'", " b ")], None)
    );
    assert_eq!(read("s:E\"a\\nb\""), target("s", &[("", "a\nb")], None));
    assert_eq!(
        read("s:d,t#a:b;c,d"),
        target("s", &[("d", "t")], Some("a:b;c,d"))
    );
}

#[test]
fn all_line_ends_blank_lines_and_comments_are_understood() {
    let text = "\u{feff}# list\r\n\r\na:1\rb:2\n  -- c:3\n\t\nd:4\r\r\ne:5";
    let listed = parse_cfg(text).unwrap();
    let found: Vec<(String, u32)> = listed
        .iter()
        .map(|listed| (listed.target.to_string(), listed.line))
        .collect();
    let expected = [("a:1", 3), ("b:2", 4), ("d:4", 7), ("e:5", 9)];
    assert_eq!(found, expected.map(|(text, line)| (text.to_owned(), line)));
    for empty in ["", "\u{feff}", "\n", " \r\n\r\n", "# only"] {
        assert_eq!(parse_cfg(empty), Ok(Vec::new()), "{empty:?}");
    }
}

#[test]
fn every_fault_of_a_file_is_named_with_its_line() {
    let text = include_str!("../../../tests/fixtures/targets/faulty.cfg");
    let expected = include_str!("../../../tests/fixtures/targets/faulty.txt");
    let found = parse_cfg(text).unwrap_err().of("faulty.cfg");
    assert_eq!(found.to_string(), expected.trim_end());
}

#[test]
fn several_faults_of_one_line_are_all_named() {
    let found = faults("s:a,b,c;;x,1;X,2#t#u");
    assert_eq!(found.len(), 4, "{found:#?}");
    assert!(found[0].starts_with("line 1: `a,b,c`: a pair has more than two names"));
    assert!(found[1].starts_with("line 1: `s:a,b,c;;x,1;X,2#t#u`: a pair has no name"));
    assert!(found[2].contains("a further `#`"));
    assert!(found[3].contains("`X` stands for `1` and for `2`"));
}

#[test]
fn one_name_for_two_databases_is_a_fault_but_a_repeat_is_none() {
    assert_eq!(faults("s:a,x;A,y").len(), 1);
    assert_eq!(faults("s:x;y").len(), 1);
    assert_eq!(read("s:a,x;A,x").pairs.len(), 2);
    assert_eq!(read("s:a,x;b,x").pairs.len(), 2);
}

#[test]
fn simple_lines_are_written_as_the_reference_program_writes_them() {
    for line in [
        "SERVER:default,target;default2,target2#Tag A",
        "SERVER:targetDb",
        "(local)\\SQLEXPRESS:client,A;client2,B",
        "tcp:host,1433:a,b",
        "host:5432:a,b",
        "[::1]:5432:b",
        "C:\\dbs:a.db",
        "host:5432",
        "c:x",
        "s:it's,a\"b",
    ] {
        let again = format_line(&read(line));
        let expected = line.replace("it's", "its");
        assert_eq!(again, expected);
    }
}

#[test]
fn names_that_need_it_are_quoted() {
    for (server, pairs, tag, line) in [
        ("::1", &[("", "a")], None, "\"::1\":a"),
        ("c", &[("", "/x")], None, "\"c\":/x"),
        ("#s", &[("", "a")], None, "\"#s\":a"),
        ("--s", &[("", "a")], None, "\"--s\":a"),
        ("s", &[("it's", "a")], None, "s:\"it's\",a"),
        ("s", &[("", "\"")], Some("#"), "s:\"\"\"\"#\"#\""),
        ("s", &[("a\r", "b\\")], Some(" "), "s:E\"a\\r\",b\\"),
    ] {
        assert_eq!(format_line(&target(server, pairs, tag)), line);
    }
    let two = [
        target("a", &[("", "b")], None),
        target("c", &[("", "d")], None),
    ];
    assert_eq!(format_cfg(&two), "a:b\nc:d\n");
}

#[test]
fn every_example_of_the_documentation_is_read_as_it_says() {
    let page = include_str!("../../../docs/targets.md");
    let (_, examples) = page.split_once("## Examples").unwrap();
    let (examples, _) = examples.split_once("## Rules").unwrap();
    let rows: Vec<&str> = examples
        .lines()
        .filter(|line| line.starts_with("| `"))
        .collect();
    assert_eq!(rows.len(), 13);
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let target = read(cells[0].trim_matches('`'));
        let pairs: Vec<String> = target
            .pairs
            .iter()
            .map(|pair| match pair.default.as_str() {
                "" => format!("any → `{}`", pair.database),
                default => format!("`{default}` → `{}`", pair.database),
            })
            .collect();
        assert_eq!(pairs.join(", "), cells[2], "{row}");
        assert_eq!(
            target.tag.unwrap_or_default(),
            cells[3].trim_matches('`'),
            "{row}"
        );
    }
}

/// Text full of what means something in a line.
fn nasty() -> impl Strategy<Value = String> {
    let pieces = prop_oneof![
        Just(":"),
        Just(";"),
        Just(","),
        Just("#"),
        Just("\""),
        Just("'"),
        Just("\\"),
        Just("/"),
        Just("["),
        Just("]"),
        Just(" "),
        Just("\n"),
        Just("\r"),
        Just("-"),
        Just("--"),
        Just("tcp:"),
        Just("E\""),
        Just("c"),
        Just("C:\\"),
        Just("n"),
        Just("5432"),
        Just("::1"),
        Just("host"),
        Just("ß"),
        Just("\u{feff}"),
        Just("\u{a0}"),
        Just("\0"),
        Just("\\\\?\\"),
    ];
    prop_oneof![
        4 => vec(pieces, 0..5).prop_map(|pieces| pieces.concat()),
        1 => any::<String>(),
    ]
}

fn named() -> impl Strategy<Value = String> {
    nasty().prop_filter("names are not blank", |name| !name.trim().is_empty())
}

fn targets() -> impl Strategy<Value = Target> {
    (named(), vec((nasty(), named()), 1..4), option::of(named()))
        .prop_map(|(server, pairs, tag)| Target {
            server,
            pairs: pairs
                .into_iter()
                .map(|(default, database)| Pair { default, database })
                .collect(),
            tag,
        })
        .prop_filter("one database for each name", |target| {
            let pairs = &target.pairs;
            pairs.iter().enumerate().all(|(at, pair)| {
                pairs[..at].iter().all(|other| {
                    Pair::fold(&other.default) != Pair::fold(&pair.default)
                        || other.database == pair.database
                })
            })
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn any_target_is_read_as_it_was_written(targets in vec(targets(), 1..4)) {
        let text = format_cfg(&targets);
        prop_assert_eq!(text.lines().count(), targets.len());
        let listed = parse_cfg(&text).map_err(|faults| TestCaseError::fail(format!("{text}: {faults}")))?;
        let again: Vec<Target> = listed.into_iter().map(|listed| listed.target).collect();
        prop_assert_eq!(again, targets);
    }

    #[test]
    fn any_text_that_can_be_read_is_written_to_the_same_targets(text in nasty(), more in nasty()) {
        let text = format!("{text}:{more}");
        if let Ok(listed) = parse_cfg(&text) {
            let targets: Vec<Target> = listed.into_iter().map(|listed| listed.target).collect();
            let written = format_cfg(&targets);
            let again = parse_cfg(&written).map_err(|faults| TestCaseError::fail(format!("{written}: {faults}")))?;
            let again: Vec<Target> = again.into_iter().map(|listed| listed.target).collect();
            prop_assert_eq!(&again, &targets);
            prop_assert_eq!(format_cfg(&again), written);
        }
    }

    #[test]
    fn no_text_makes_the_readers_panic(text in nasty(), more in any::<String>()) {
        for text in [&text, &more, &format!("{text}{more}"), &format!("s:{text},{more}")] {
            drop(parse_cfg(text).map_err(|faults| faults.to_string()));
            drop(crate::targets::parse_inline(text, Some(&more)).map_err(|faults| faults.to_string()));
        }
    }

    #[test]
    fn lines_of_simple_names_are_written_unchanged(
        server in "[A-Za-z][A-Za-z0-9.-]{0,9}(\\\\[A-Z]{1,4})?(,[1-9][0-9]{0,3})?",
        pairs in vec(("[a-z_][a-z0-9_ $]{0,6}[a-z0-9]", "[A-Za-z0-9_$]{1,8}"), 1..4),
        tag in option::of("[A-Za-z0-9]{1,8}"),
    ) {
        let pairs: Vec<String> = pairs
            .iter()
            .enumerate()
            .map(|(at, (default, database))| format!("{default}{at},{database}"))
            .collect();
        let tag = tag.map(|tag| format!("#{tag}")).unwrap_or_default();
        let line = format!("{server}:{}{tag}", pairs.join(";"));
        prop_assert_eq!(format_line(&read(&line)), line);
    }
}
