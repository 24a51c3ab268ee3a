//! Files of the reference program in all their forms, by way of the program.

use std::{fs, path::Path};

use crate::support::{
    fleet::{Fleet, on_each_platform},
    program::{Program, Run},
};

const FILES: &[(&str, &str)] = &[
    ("sbm.yaml", "database: client\n"),
    ("1.sql", "CREATE TABLE effect (id int);"),
];

/// The name of a database as text of XML and JSON.
fn server(fleet: &Fleet) -> (String, String) {
    let server = fleet.server();
    assert!(!server.contains(['<', '&', '"']), "{server}");
    (server.clone(), server.replace('\\', "\\\\"))
}

fn pair(database: &str) -> String {
    format!(
        "<DatabaseOverride><DefaultDbTarget>CLIENT</DefaultDbTarget><OverrideDbTarget>{database}</OverrideDbTarget>\
         <QueryRowData><QueryRowItem ColumnName=\"Company\" Value=\"{database}\"/></QueryRowData></DatabaseOverride>"
    )
}

on_each_platform!(
    a_list_in_each_form_of_multi_db_builds_its_databases,
    3,
    |fleet| {
        let (xml_server, json_server) = server(&fleet);
        let item = format!(
            "<item><key><string>1</string></key><value><ArrayOfDatabaseOverride>{}</ArrayOfDatabaseOverride></value></item>",
            pair(&fleet.names[1])
        );
        let document = |inside: &str| {
            format!(
                "<?xml version=\"1.0\" encoding=\"utf-16\"?><ArrayOfServerData><ServerData>\
             <ServerName>{xml_server}</ServerName>{inside}</ServerData></ArrayOfServerData>"
            )
        };
        let present = document(&format!("<Overrides>{}</Overrides>", pair(&fleet.names[0])));
        let older = document(&format!("<OverrideSequence>{item}</OverrideSequence>"));
        let json = format!(
            "[{{\"ServerName\": \"{json_server}\", \"Overrides\": [{{\"DefaultDbTarget\": \"client\", \
         \"OverrideDbTarget\": \"{}\"}}]}}]",
            fleet.names[2]
        );
        fleet.package(FILES);
        for (index, text) in [present, older, json].into_iter().enumerate() {
            let list = fleet.folder.path().join("list.MultiDb");
            fs::write(&list, text).unwrap();
            assert_eq!(fleet.rows(index, "effect"), None);
            fleet.threaded_run_on(&list).run().expect_code(0);
            assert_eq!(fleet.rows(index, "effect"), Some(0));
        }
    }
);

#[test]
fn all_faults_of_a_multi_db_list_are_told_with_those_of_the_package() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("package")).unwrap();
    fs::write(folder.path().join("package/1.sql"), "select 1").unwrap();
    fs::write(folder.path().join("package/sbm.yaml"), "database: client\n").unwrap();
    let list = folder.path().join("list.multiDb");
    let text = "<ArrayOfServerData>\n<ServerData/>\n<ServerData><ServerName>s</ServerName><Overrides>\n\
                <DatabaseOverride><DefaultDbTarget>other</DefaultDbTarget></DatabaseOverride>\n\
                </Overrides></ServerData>\n</ArrayOfServerData>";
    fs::write(&list, text).unwrap();
    let run = Program::new(["threaded", "run", "--platform", "SQLite"])
        .option("--packagename", folder.path().join("package"))
        .option("--override", &list)
        .option("--rootloggingpath", folder.path().join("logs"))
        .run()
        .expect_code(2);
    for part in [
        "3 faults in ",
        "line 2: the server has no name",
        "line 2: the server has no database",
        "line 3: no pair serves the scripts of `client` (1.sql)",
    ] {
        assert!(run.stderr.contains(part), "{part} is not in {}", run.stderr);
    }
    assert!(!folder.path().join("logs").exists());
}

#[test]
fn a_wanted_schema_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wanted.dacpac");
    fs::write(&path, "PK").unwrap();
    let run = Program::new(["build", "--platform", "SQLite", "--server", "s"])
        .option("--packagename", &path)
        .run()
        .expect_code(2);
    assert!(
        run.stderr
            .contains("a DACPAC cannot be built by this version yet"),
        "{}",
        run.stderr
    );
}

fn sbm(folder: &Path, words: &[&str]) -> Run {
    let words: Vec<String> = words
        .iter()
        .map(|word| match word.strip_prefix("./") {
            Some(file) => folder.join(file).display().to_string(),
            None => (*word).to_owned(),
        })
        .collect();
    Program::new(words).run()
}

#[test]
fn scripts_are_added_to_a_package_and_shown_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for name in ["a", "b", "c"] {
        fs::write(
            folder.join(format!("{name}.sql")),
            format!("select '{name}'"),
        )
        .unwrap();
    }
    sbm(
        folder,
        &[
            "create",
            "fromscripts",
            "-o",
            "./whole.sbm",
            "-s",
            "./a.sql",
            "./b.sql",
            "./c.sql",
        ],
    )
    .expect_code(0);
    sbm(
        folder,
        &["create", "fromscripts", "-o", "./part.sbm", "-s", "./a.sql"],
    )
    .expect_code(0);
    let added = sbm(
        folder,
        &[
            "add",
            "--outputsbm",
            "./part.sbm",
            "-s",
            "./b.sql",
            "-s",
            "./c.sql",
        ],
    )
    .expect_code(0);
    let places: Vec<usize> = ["| a.sql ", "| b.sql ", "| c.sql "]
        .iter()
        .map(|name| added.stdout.find(name).unwrap())
        .collect();
    assert!(places.is_sorted(), "{}", added.stdout);
    let hash = |name: &str| sbm(folder, &["gethash", "-P", name]).expect_code(0).stdout;
    assert_eq!(hash("./part.sbm"), hash("./whole.sbm"));
    assert!(
        added
            .stdout
            .contains(&format!("(Package Hash: {})", hash("./part.sbm").trim()))
    );

    let again = sbm(
        folder,
        &["add", "-o", "./part.sbm", "-s", "./b.sql", "./gone.sql"],
    )
    .expect_code(2);
    assert_eq!(again.stdout, "");
    for part in [
        "scripts `b.sql` and `b.sql` have one file name",
        "gone.sql cannot be read",
    ] {
        assert!(
            again.stderr.contains(part),
            "{part} is not in {}",
            again.stderr
        );
    }
    assert_eq!(hash("./part.sbm"), hash("./whole.sbm"));
    sbm(folder, &["add", "-o", "./none.sbm", "-s", "./b.sql"]).expect_code(2);
}

#[test]
fn manifests_of_a_folder_are_packed_and_the_bad_ones_told() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (place, name) in [("x", "a"), ("x/y", "b")] {
        fs::create_dir_all(folder.join(place)).unwrap();
        fs::write(folder.join(format!("{name}.sql")), "select 1").unwrap();
        let output = format!("./{place}/{name}.sbx");
        let script = format!("./{name}.sql");
        sbm(
            folder,
            &["create", "fromscripts", "-o", &output, "-s", &script],
        )
        .expect_code(0);
    }
    for command in [["package", "--directory", "./x"], ["pack", "--dir", "./x"]] {
        let run = sbm(folder, &command).expect_code(0);
        let made = ["x/a.sbm", "x/y/b.sbm"].map(|name| folder.join(name).display().to_string());
        assert_eq!(run.stdout.lines().collect::<Vec<_>>(), made);
    }
    fs::remove_file(folder.join("x/y/b.sql")).unwrap();
    let run = sbm(folder, &["package", "--directory", "./x"]).expect_code(2);
    assert_eq!(run.stdout.lines().count(), 1);
    assert!(run.stderr.contains("b.sbx"), "{}", run.stderr);
    assert!(
        run.stderr.contains("script `b.sql` has no file"),
        "{}",
        run.stderr
    );
    let run = sbm(folder, &["package", "--directory", "./x/nothing"]).expect_code(2);
    assert!(run.stderr.contains("cannot read"), "{}", run.stderr);
}
