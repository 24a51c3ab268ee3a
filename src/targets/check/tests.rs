use super::*;
use crate::{
    package::Script,
    targets::{RowItem, parse_cfg},
};

fn list(text: &str) -> TargetList {
    TargetList {
        name: "list.cfg".into(),
        targets: parse_cfg(text).unwrap(),
        faults: Vec::new(),
    }
}

fn package(scripts: &[(&str, &str)]) -> Package {
    let script = |(file, database): &(&str, &str)| Script {
        database: (*database).into(),
        ..Script::new(*file, Vec::new())
    };
    Package {
        name: "p".into(),
        scripts: scripts.iter().map(script).collect(),
        ..Package::default()
    }
}

fn rules(platform: Platform) -> Rules<'static> {
    Rules {
        platform,
        concurrency: ConcurrencyType::Count,
        package: None,
        allow_duplicates: false,
    }
}

fn faults(text: &str, rules: &Rules<'_>) -> String {
    check(list(text), rules).unwrap_err().to_string()
}

fn names(checked: &Checked) -> Vec<String> {
    checked.targets.iter().map(ToString::to_string).collect()
}

#[test]
fn targets_that_share_no_database_are_accepted_in_order() {
    let checked = check(list("b:y\na:x\na:y,z;w,v"), &rules(Platform::SqlServer)).unwrap();
    assert_eq!(names(&checked), ["b:y", "a:x", "a:z;v"]);
    assert!(checked.warnings.is_empty());
}

#[test]
fn an_empty_list_is_a_fault() {
    let text = faults("# none\n", &rules(Platform::MySql));
    assert_eq!(text, "1 fault in list.cfg\n  the list names no target");
}

#[test]
fn a_shared_database_names_both_lines() {
    let text = faults(
        "s:c,A;d,B\ns:c,X\ntcp:S,1433:e,b\ns:c,A;d,B\nS:d,B;c,a",
        &rules(Platform::SqlServer),
    );
    assert_eq!(
        text,
        "3 faults in list.cfg\n  \
         line 3: shares the database `b` on `tcp:S,1433` with line 1, and the lines differ; accepted is each database once\n  \
         line 4: repeats line 1 (s:A); accepted is each target once, or --allowduplicates\n  \
         line 5: repeats line 1 (S:B); accepted is each target once, or --allowduplicates"
    );
}

#[test]
fn names_fold_as_the_platform_folds_them() {
    assert!(check(list("s:a\ns:A"), &rules(Platform::PostgreSql)).is_ok());
    assert!(check(list("s:a\ns:A"), &rules(Platform::SqlServer)).is_err());
    assert!(check(list("s:a\nS:5432:a"), &rules(Platform::PostgreSql)).is_err());
    assert!(check(list("s:a\nS:5433:a"), &rules(Platform::PostgreSql)).is_ok());
}

#[test]
fn two_spellings_of_one_database_in_a_line_are_a_fault_that_names_both() {
    let text = "s:a,Foo;b,foo;c,FOO\nt:a,Foo;b,Foo";
    for allow_duplicates in [false, true] {
        let rules = Rules {
            allow_duplicates,
            ..rules(Platform::SqlServer)
        };
        assert_eq!(
            faults(text, &rules),
            "1 fault in list.cfg\n  line 1: `Foo` and `foo` are the same database on `s`; accepted is one spelling of it"
        );
    }
    for platform in [Platform::PostgreSql, Platform::MySql] {
        assert!(check(list(text), &rules(platform)).is_ok());
    }
    assert!(faults("/srv:a,x;b,./x", &rules(Platform::Sqlite)).contains("`x` and `./x`"));
}

#[cfg(unix)]
#[test]
fn files_are_compared_by_path_where_servers_are_folders() {
    let rules = rules(Platform::Sqlite);
    assert!(check(list("/srv:a.db\n/srv/x:a.db\n/srv:b.db"), &rules).is_ok());
    for text in [
        "/srv:x/a.db\n/srv/x:a.db",
        "/srv/x/..:a.db\n/srv:a.db",
        "./x:a\nx:./a",
    ] {
        assert!(faults(text, &rules).contains(" line 1"), "{text}");
    }
}

#[test]
fn exact_repeats_are_left_out_with_a_warning_when_allowed() {
    let rules = Rules {
        allow_duplicates: true,
        ..rules(Platform::SqlServer)
    };
    let checked = check(list("s:c,A;d,B\nt:x\nS:D,b;C,a\ns:c,A;d,B"), &rules).unwrap();
    assert_eq!(names(&checked), ["s:A;B", "t:x"]);
    let warning = "list.cfg: targets that repeat an earlier one are left out: line 3 (as line 1), line 4 (as line 1)";
    assert_eq!(checked.warnings, [warning]);
}

#[test]
fn overlaps_that_are_no_repeats_stay_faults() {
    let rules = Rules {
        allow_duplicates: true,
        ..rules(Platform::SqlServer)
    };
    for text in [
        "s:c,A\ns:d,A",
        "s:c,A;d,B\ns:c,A",
        "s:c,A#x\ns:c,A#y",
        "s:A\ns:c,A",
    ] {
        assert!(
            faults(text, &rules).contains("line 2: shares the database `A`"),
            "{text}"
        );
    }
}

#[test]
fn every_line_without_a_needed_tag_is_named() {
    let text = "s:a\ns:b#t\ns:c#\ns:d\ns:e";
    for concurrency in [ConcurrencyType::Tag, ConcurrencyType::MaxPerTag] {
        let rules = Rules {
            concurrency,
            ..rules(Platform::MySql)
        };
        let found = faults(text, &rules);
        assert!(
            found.contains("lines 1, 3-5: the concurrency type"),
            "{found}"
        );
    }
    let rules = Rules {
        concurrency: ConcurrencyType::Server,
        ..rules(Platform::MySql)
    };
    assert!(check(list(text), &rules).is_ok());
}

#[test]
fn scripts_without_a_database_are_named_with_the_lines() {
    let package = package(&[
        ("1.sql", "client"),
        ("2.sql", "Other"),
        ("3.sql", "CLIENT"),
        ("4.sql", ""),
    ]);
    let rules = Rules {
        package: Some(&package),
        ..rules(Platform::SqlServer)
    };
    let found = faults("s:a\ns:client,b\ns:client,c;other,d\nt:x,y", &rules);
    assert_eq!(
        found,
        "3 faults in list.cfg\n  \
         line 4: no pair serves the scripts of `client` (1.sql, 3.sql); add the pair `client,DATABASE`\n  \
         lines 2, 4: no pair serves the scripts of `Other` (2.sql); add the pair `Other,DATABASE`\n  \
         line 3: no pair serves scripts that name no database (4.sql); name one in the package, or use a single pair"
    );
}

#[test]
fn long_groups_are_cut_after_twenty() {
    let names: Vec<String> = (1..=23).map(|number| format!("{number}.sql")).collect();
    let scripts: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x")).collect();
    let package = package(&scripts);
    let lines: String = (0..50).map(|n| format!("s:y,{n}\n\n")).collect();
    let rules = Rules {
        package: Some(&package),
        ..rules(Platform::SqlServer)
    };
    let found = faults(&lines, &rules);
    assert!(found.contains("37, 39 and 30 more: no pair"), "{found}");
    assert!(found.contains("19.sql, 20.sql and 3 more"), "{found}");
}

#[test]
fn faults_of_all_kinds_are_reported_together() {
    let package = package(&[("1.sql", "client")]);
    let rules = Rules {
        package: Some(&package),
        concurrency: ConcurrencyType::Tag,
        ..rules(Platform::SqlServer)
    };
    let found = check(list("s:other,a\ns:client,a"), &rules).unwrap_err();
    assert_eq!(found.faults.len(), 3, "{found}");
}

#[test]
fn lines_that_cannot_be_read_are_reported_with_everything_else() {
    let (targets, faults) = crate::targets::cfg::read_cfg("s:a\nnonsense\ns:a\n");
    let list = TargetList {
        name: "list.cfg".into(),
        targets,
        faults,
    };
    let message = check(list, &rules(Platform::Sqlite))
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("line 2") && message.contains("line 3: repeats line 1"),
        "{message}"
    );
}

#[test]
fn row_data_stays_with_its_target() {
    let mut list = list("s:a\nt:b\ns:a\nu:c");
    for (number, listed) in list.targets.iter_mut().enumerate() {
        let item = RowItem {
            column: "number".into(),
            value: number.to_string(),
        };
        listed.row_data = RowData::new(vec![vec![item]]);
    }
    let rules = Rules {
        allow_duplicates: true,
        ..rules(Platform::SqlServer)
    };
    let checked = check(list, &rules).unwrap();
    let numbers: Vec<&str> = checked
        .row_data
        .iter()
        .map(|row| row.of_pair(0)[0].value.as_str())
        .collect();
    assert_eq!(names(&checked), ["s:a", "t:b", "u:c"]);
    assert_eq!(numbers, ["0", "1", "3"]);
}
