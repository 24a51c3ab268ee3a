//! Folders as packages.

use std::time::Duration;

use tempfile::TempDir;

use super::{faults, folder, write};
use crate::package::{Fault, Limits, Package};

fn with(files: &[(&str, &str)]) -> TempDir {
    let folder = folder();
    for (name, text) in files {
        write(&folder, name, text);
    }
    folder
}

fn open(folder: &TempDir) -> Package {
    Package::open(folder.path(), &Limits::default()).unwrap()
}

fn refused(files: &[(&str, &str)]) -> Vec<Fault> {
    faults(Package::open(with(files).path(), &Limits::default()))
}

fn files(package: &Package) -> Vec<&str> {
    package
        .scripts
        .iter()
        .map(|script| script.file.as_str())
        .collect()
}

#[test]
fn scripts_come_in_natural_order_without_hidden_and_other_files() {
    let folder = with(&[
        ("10.sql", ""),
        ("9.SQL", ""),
        ("9a/2.sql", ""),
        ("9a/10.sql", ""),
        (".git/x.sql", ""),
        (".hidden.sql", ""),
        ("readme.md", ""),
    ]);
    let package = open(&folder);
    assert_eq!(
        files(&package),
        ["9.SQL", "9a/2.sql", "9a/10.sql", "10.sql"]
    );
    let orders: Vec<Option<f64>> = package.scripts.iter().map(|script| script.order).collect();
    assert_eq!(orders, [Some(1.0), Some(2.0), Some(3.0), Some(4.0)]);
    let name = folder.path().file_name().unwrap();
    assert_eq!(package.name, name.to_str().unwrap());
}

#[test]
fn ids_depend_on_the_path_alone() {
    let one = open(&with(&[("a.sql", "1"), ("b/a.sql", "1")]));
    let other = open(&with(&[("0.sql", ""), ("a.sql", "2"), ("b/a.sql", "1")]));
    assert_eq!(one.scripts[0].id, other.scripts[1].id);
    assert_eq!(one.scripts[1].id, other.scripts[2].id);
    assert_ne!(one.scripts[0].id, one.scripts[1].id);
    assert_eq!(one.scripts[0].id.get_version_num(), 8);
}

#[test]
fn settings_hold_for_all_scripts_and_entries_override_them() {
    let package = open(&with(&[
        (
            "sbm.yaml",
            "database: main\ntimeout: 30\nrun_once: true\ntag: t\ndescription: d\n\
             strip_transactions: true\nroll_back_on_error: false\ncauses_build_failure: false\n\
             scripts:\n- z.sql\n- file: sub/a.txt\n  database: other\n  timeout: 60\n  run_once: false\n\
             rest: append\n",
        ),
        ("b.sql", ""),
        ("sub/a.txt", "select 1"),
        ("z.sql", ""),
    ]));
    assert_eq!(files(&package), ["z.sql", "sub/a.txt", "b.sql"]);
    let [z, a, b] = &package.scripts[..] else {
        panic!()
    };
    for script in [z, b] {
        assert_eq!(script.database, "main");
        assert_eq!(script.timeout, Some(Duration::from_secs(30)));
        assert!(!script.allow_multiple_runs && script.strip_transaction_text);
        assert!(!script.roll_back_on_error && !script.causes_build_failure);
        assert_eq!(
            (script.tag.as_str(), script.description.as_str()),
            ("t", "d")
        );
    }
    assert_eq!(a.database, "other");
    assert_eq!(a.timeout, Some(Duration::from_secs(60)));
    assert!(a.allow_multiple_runs);
    assert_eq!(a.tag, "t");
}

#[test]
fn scripts_that_are_not_listed_are_refused_or_ignored() {
    let all = [
        ("sbm.yaml", "scripts: [b.sql]"),
        ("a.sql", ""),
        ("b.sql", ""),
    ];
    assert_eq!(
        refused(&all),
        [Fault::NotListed {
            file: "a.sql".into()
        }]
    );
    let ignoring = with(&[
        ("sbm.yaml", "scripts: [b.sql]\nrest: ignore"),
        ("a.sql", ""),
        ("b.sql", ""),
    ]);
    assert_eq!(files(&open(&ignoring)), ["b.sql"]);
}

#[test]
fn an_empty_settings_file_says_nothing() {
    for text in ["", "# nothing\n", "{}"] {
        assert_eq!(
            open(&with(&[("sbm.yaml", text), ("a.sql", "")]))
                .scripts
                .len(),
            1
        );
    }
}

#[test]
fn all_faults_of_a_folder_are_reported_together() {
    let found = refused(&[
        (
            "sbm.yaml",
            "databse: x\ntimeout: -1\nrun_once: 1\nrest: maybe\nscripts:\n- a.sql\n- a.sql\n- ../x.sql\n\
             - gone.sql\n- file: b.sql\n  colour: red\n- 5\n- tag: x\n",
        ),
        ("a.sql", ""),
        ("b.sql", ""),
        ("c.sql", ""),
        ("sub/sbm.yml", ""),
        ("sbm.yml", ""),
    ]);
    let texts: Vec<String> = found.iter().map(Fault::to_string).collect();
    for expected in [
        "unknown key `databse`",
        "`timeout` is `-1`",
        "`run_once` is `1`",
        "`rest` is `maybe`",
        "lists `a.sql` twice",
        "`../x.sql`",
        "lists `gone.sql`, which does not exist",
        "unknown key `colour`",
        "entry 6 of `scripts` in `sbm.yaml`: `file` is `5`",
        "entry 7 of `scripts` in `sbm.yaml`: `file` is missing",
        "`c.sql` is not listed",
        "`sbm.yml`, which is not read",
    ] {
        let hits = texts.iter().filter(|text| text.contains(expected)).count();
        assert_eq!(hits, 1, "{expected} in {texts:#?}");
    }
    assert_eq!(texts.len(), 12, "{texts:#?}");
}

#[test]
fn settings_that_are_no_mapping_are_refused() {
    for text in [
        "- a",
        "x",
        "a: [",
        "a: 1\na: 2",
        "scripts: a.sql\nrest: ignore",
    ] {
        assert!(
            !refused(&[("sbm.yaml", text), ("a.sql", "")]).is_empty(),
            "{text}"
        );
    }
}

#[test]
fn a_folder_without_scripts_is_refused() {
    assert_eq!(refused(&[("readme.md", "")]), [Fault::NoScripts]);
    assert_eq!(
        refused(&[("sbm.yaml", "scripts: []\nrest: ignore"), ("a.sql", "")]),
        [Fault::NoScripts]
    );
}

#[test]
fn limits_hold_for_folders_too() {
    let folder = with(&[("a.sql", "12345"), ("b.sql", "12345")]);
    let open_with = |script_bytes, package_bytes| {
        let limits = Limits {
            script_bytes,
            package_bytes,
            ..Limits::default()
        };
        Package::open(folder.path(), &limits).map(|package| package.scripts.len())
    };
    assert_eq!(open_with(5, 10).unwrap(), 2);
    let error = open_with(4, 10).unwrap_err().to_string();
    assert!(error.contains("`a.sql` has more than 4 bytes"), "{error}");
    let error = open_with(5, 9).unwrap_err().to_string();
    assert!(error.contains("the size of a package"), "{error}");
}

#[cfg(unix)]
#[test]
fn links_that_lead_back_and_names_with_separators_are_refused() {
    let folder = with(&[("a.sql", ""), ("x\\b.sql", "")]);
    std::os::unix::fs::symlink(folder.path(), folder.path().join("loop")).unwrap();
    let found = faults(Package::open(folder.path(), &Limits::default()));
    assert!(
        matches!(&found[..], [Fault::Loop { folder }, Fault::FolderName { file, .. }]
            if folder == "loop" && file == "x\\b.sql"),
        "{found:?}"
    );
}

#[test]
fn staging_a_folder_changes_no_hash_and_no_name() {
    let folder = with(&[
        ("a/1.sql", "select 1"),
        ("b/1.sql", "select 2"),
        ("a-1.sql", "select 3"),
        ("c/2.sql", "select 4"),
    ]);
    let package = open(&folder);
    let target = super::folder();
    let path = target.path().join("p.sbm");
    package.write_sbm(&path).unwrap();
    let staged = Package::open(&path, &Limits::default()).unwrap();
    assert_eq!(files(&staged), files(&package));
    assert_eq!(staged.sha256(), package.sha256());
    assert_eq!(staged.build_hash(), package.build_hash());
}

#[test]
fn a_script_folder_is_read_as_by_the_reference_program() {
    let folder = with(&[
        ("10.sql", ""),
        ("9.sql", ""),
        ("B.sql", ""),
        ("a.sql", ""),
        ("sub/c.sql", ""),
    ]);
    write(&folder, "sbm.yaml", "database: ignored");
    let package = Package::from_script_folder(folder.path(), &Limits::default()).unwrap();
    assert_eq!(files(&package), ["10.sql", "9.sql", "B.sql", "a.sql"]);
    for (position, script) in package.scripts.iter().enumerate() {
        assert_eq!(
            script.order,
            Some(f64::from(u8::try_from(position).unwrap()))
        );
        assert_eq!(script.timeout, Some(Duration::from_secs(20)));
        assert_eq!(script.database, "");
        assert!(!script.allow_multiple_runs);
        assert!(script.roll_back_on_error && script.causes_build_failure);
    }
    let empty = super::folder();
    assert_eq!(
        faults(Package::from_script_folder(
            empty.path(),
            &Limits::default()
        )),
        [Fault::NoScripts]
    );
}

#[test]
fn the_quickstart_example_is_a_package() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/quickstart");
    let package = Package::open(&path, &Limits::default()).unwrap();
    assert_eq!(package.name, "quickstart");
    assert_eq!(package.scripts.len(), 4);
}

#[test]
fn the_quickstart_example_runs_on_a_demo_database_once() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/quickstart");
    let package = Package::open(&path, &Limits::default()).unwrap();
    let database = rusqlite::Connection::open_in_memory().unwrap();
    database
        .execute_batch(
            "create table settings(name text primary key, value text not null);\
             insert into settings(name, value) values ('schema_version', '1');",
        )
        .unwrap();
    for script in &package.scripts {
        database.execute_batch(&script.text()).unwrap();
    }
    let done = "select count(*) from settings where name = 'quickstart' and value = 'done'";
    let rows: i64 = database.query_row(done, [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 1);
    let last = package.scripts.last().unwrap().text();
    assert!(database.execute_batch(&last).is_err());
}
