//! A password never reaches anything that is printed or written.

use std::{fs, path::Path};

use crate::support::{
    fleet::{Fleet, Platform},
    postgres::Server,
    program::{Program, Run},
    run_files::all_files,
};

const PASSWORD: &str = "canary/7f3a+Zq%";

/// The password as it is, and in the forms in which it could slip through.
fn forms() -> Vec<String> {
    vec![
        PASSWORD.to_owned(),
        "canary%2F7f3a%2BZq%25".to_owned(),
        "canary%2f7f3a%2bZq%25".to_owned(),
        // Base64 at its three places in a text.
        "Y2FuYXJ5LzdmM2ErWnEl".to_owned(),
        "NhbmFyeS83ZjNhK1px".to_owned(),
        "jYW5hcnkvN2YzYStacS".to_owned(),
        "canary/7f3a".to_owned(),
    ]
}

fn check(what: &str, text: &str) {
    for form in forms() {
        assert!(!text.contains(&form), "{what} shows the password as {form}");
    }
}

fn check_files(folder: &Path) {
    for path in all_files(folder) {
        check(
            &path.display().to_string(),
            &String::from_utf8_lossy(&fs::read(&path).unwrap()),
        );
    }
}

#[test]
fn no_build_however_it_fails_shows_its_password() {
    let test = "secrets::no_build_however_it_fails_shows_its_password";
    let (Some(fleet), Some(server)) = (
        Fleet::new(Platform::Postgres, 1, test),
        Server::for_test(test),
    ) else {
        return;
    };
    // This role and its members have to give a password.
    let role = "sbm_password";
    let name = fleet.names[0].clone();
    fleet.sql(0, &format!("GRANT CREATE ON SCHEMA public TO {role}"));
    let role_of_test = format!("role_{name}");
    server.run(
        "postgres",
        &format!("CREATE ROLE {role_of_test} LOGIN PASSWORD '{PASSWORD}' IN ROLE {role}"),
    );

    fleet.package(&[("1.sql", "SELECT 1;")]);
    let good = fleet.list(&fleet.lines());
    let broken = fleet.folder.path().join("broken");
    fs::create_dir(&broken).unwrap();
    fs::write(broken.join("1.sql"), "SELECT pg_sleep(60);").unwrap();
    fs::write(broken.join("sbm.yaml"), "timeout: 1\n").unwrap();
    let package = fleet.folder.path().join("package");
    let list = |line: String| {
        let path = fleet.folder.path().join(format!("{}.cfg", line.len()));
        fs::write(&path, line).unwrap();
        path
    };
    let cases = [
        // A wrong password, a script that takes too long, an unknown database, a closed port, a certificate that nobody
        // knows, an option that is wrong, and everything right.
        (role, &package, good.clone(), vec![], 1),
        (role_of_test.as_str(), &broken, good.clone(), vec![], 1),
        (
            role,
            &package,
            list(format!("127.0.0.1:{}:no_such_database", server.port())),
            vec![],
            1,
        ),
        (
            role,
            &package,
            list(format!("127.0.0.1:1:{name}")),
            vec!["--connecttimeout", "1"],
            1,
        ),
        (
            role,
            &package,
            good.clone(),
            vec!["--sslmode", "verify-full"],
            1,
        ),
        (
            role,
            &package,
            good.clone(),
            vec!["--concurrency", "none"],
            2,
        ),
        (role_of_test.as_str(), &package, good.clone(), vec![], 0),
    ];
    for (number, (user, package, list, more, code)) in cases.into_iter().enumerate() {
        for (way, level) in [
            ("option", "warn"),
            ("variable", "trace"),
            ("equals", "debug"),
        ] {
            let logs = fleet.folder.path().join(format!("logs-{number}-{way}"));
            let mut program = Program::new(["threaded", "run", "--platform", "PostgreSQL"])
                .option("--username", user)
                .option("--packagename", package)
                .option("--override", &list)
                .option("--rootloggingpath", &logs)
                .variable("RUST_LOG", level)
                .words(&more);
            program = match way {
                "option" => program.option("--password", PASSWORD),
                "equals" => program.words([format!("--password={PASSWORD}")]),
                _ => program.variable("SBM_PASSWORD", PASSWORD),
            };
            let run: Run = program.run();
            assert_eq!(
                run.code,
                Some(code),
                "case {number}\n{}\n{}",
                run.stdout,
                run.stderr
            );
            check("standard output", &run.stdout);
            check("standard error", &run.stderr);
            if logs.exists() {
                check_files(&logs);
            }
        }
    }
    check_files(fleet.folder.path());
    // The password really is asked for.
    let program = Program::new(["threaded", "run", "--platform", "PostgreSQL"])
        .option("--username", &role_of_test);
    program
        .option("--packagename", &package)
        .option("--override", &good)
        .option("--rootloggingpath", fleet.logs())
        .run()
        .expect_code(1);
    fleet.sql(0, &format!("DROP OWNED BY {role_of_test}"));
    server.run("postgres", &format!("DROP ROLE {role_of_test}"));
}
