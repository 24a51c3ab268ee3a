//! Settings files: what one command saved counts for another, as far as nothing else says otherwise.

use std::{fs, path::Path};

use crate::support::{
    fleet::{Fleet, Platform, on_each_platform},
    postgres::Server,
    program::{Program, Run},
    run_files::all_files,
};

const KEY: &str = "the key of these tests";
const PASSWORD: &str = "canary/7f3a+Zq%";
const EFFECT: &str = "CREATE TABLE effect (id int);\n";
const SEALED: &str = "ARAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vnmPfedFbsaHoqyxOcp0vkWwts322aOa7Ygb1IEsIca7nY4FZ7BybzA/revYG+2O6Itndd12zhAXeU/O2XgsC3g==";
const BARE: &str = "kWjkYZD2mej9lJ6YltINXQMS09IP2575k2b2NtK6P60=";

/// Who may log in to the databases of a fleet with a password; nobody where databases are files.
struct Login {
    user: String,
    password: String,
    role: Option<(Server, String)>,
}

impl Login {
    fn new(fleet: &Fleet, test: &str) -> Option<Self> {
        match fleet.platform {
            Platform::Sqlite => None,
            Platform::Postgres => Some(Self::role(fleet, Server::for_test(test)?)),
            _ => {
                let program = fleet.login(Program::new(["x"]));
                Some(Self {
                    user: program.value_of("--username")?,
                    password: program.value_of_variable("SBM_PASSWORD")?,
                    role: None,
                })
            }
        }
    }

    /// Only members of a certain role have to give their password.
    fn role(fleet: &Fleet, server: Server) -> Self {
        let user = format!("role_{}", fleet.names[0]);
        let make = format!("CREATE ROLE {user} LOGIN PASSWORD '{PASSWORD}' IN ROLE sbm_password");
        server.run("postgres", &make);
        fleet.sql(0, &format!("GRANT CREATE ON SCHEMA public TO {user}"));
        Self {
            user: user.clone(),
            password: PASSWORD.to_owned(),
            role: Some((server, user)),
        }
    }

    fn remove(self, fleet: &Fleet) {
        if let Some((server, role)) = self.role {
            fleet.sql(0, &format!("DROP OWNED BY {role}"));
            server.run("postgres", &format!("DROP ROLE {role}"));
        }
    }
}

/// `batch savesettings` of a fleet's platform into `path`, with the key in its variable.
fn save(fleet: &Fleet, path: &Path, user: Option<&str>) -> Program {
    let login = fleet.login(Program::new(["x"]));
    let mut program = Program::new(["batch", "savesettings", "--concurrency", "3"])
        .option("--settingsfile", path)
        .variable("SBM_SETTINGSFILEKEY", KEY);
    if let Some(user) = user {
        program = program.option("--username", user);
    }
    for option in ["--platform", "--trustservercertificate"] {
        // The reference program, whose form this is, knows no databases that are files.
        let value = login.value_of(option).filter(|value| value != "SQLite");
        if let Some(value) = value {
            program = program.option(option, value);
        }
    }
    program
}

/// `threaded run` on a fleet with a settings file in place of platform and login.
fn run(fleet: &Fleet, settings: &Path) -> Program {
    let list = fleet.list(&fleet.lines());
    let program = Program::new(["threaded", "run"])
        .option("--packagename", fleet.folder.path().join("package"))
        .option("--override", list)
        .option("--rootloggingpath", fleet.logs())
        .option("--settingsfile", settings);
    match fleet.platform {
        Platform::Sqlite => program.option("--platform", "SQLite"),
        _ => program,
    }
}

/// The secret as it is, and in the forms in which it could slip through.
fn check(what: &str, text: &str, secret: &str) {
    let percent: String = secret
        .bytes()
        .map(|byte| match byte.is_ascii_alphanumeric() {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect();
    let mut forms = vec![secret.to_owned(), percent.to_lowercase(), percent];
    if secret == PASSWORD {
        // Base64 at its three places in a text.
        forms.extend(
            [
                "Y2FuYXJ5LzdmM2ErWnEl",
                "NhbmFyeS83ZjNhK1px",
                "jYW5hcnkvN2YzYStacS",
            ]
            .map(str::to_owned),
        );
    }
    for form in forms {
        assert!(!text.contains(&form), "{what} shows the secret as {form}");
    }
}

fn check_run(run: &Run, secret: &str) {
    check("standard output", &run.stdout, secret);
    check("standard error", &run.stderr, secret);
}

/// Value and source of a setting of `settings show --output json`.
fn shown(run: &Run, name: &str) -> String {
    let json = run.json();
    let settings = json["settings"].as_array().unwrap();
    let setting = settings.iter().find(|setting| setting["name"] == name);
    let setting = setting.unwrap_or_else(|| panic!("{name} is missing in {json:#}"));
    let value = setting["value"].as_str().unwrap_or("-");
    format!("{value} {}", setting["source"].as_str().unwrap())
}

on_each_platform!(what_was_saved_logs_in, 1, |fleet| {
    let test = module_path!();
    fleet.package(&[("1.sql", EFFECT)]);
    let login = Login::new(&fleet, test);
    let path = fleet.folder.path().join("settings.json");
    let mut saving = save(
        &fleet,
        &path,
        login.as_ref().map(|login| login.user.as_str()),
    );
    if let Some(login) = &login {
        saving = saving.variable("SBM_PASSWORD", &login.password);
    }
    let saved = saving.run().expect_code(0);
    assert_eq!(saved.stdout.trim(), path.to_str().unwrap());

    let key_file = fleet.folder.path().join("key");
    fs::write(&key_file, format!("{KEY}\n")).unwrap();
    if let Some(login) = &login {
        // A wrong key, and none, end the run before anything is touched.
        for wrong in [Some("another key of some length"), None] {
            let mut program = run(&fleet, &path);
            if let Some(wrong) = wrong {
                program = program.option("--settingsfilekey", wrong);
            }
            let refused = program.run().expect_code(2);
            assert!(
                refused.stderr.contains("--settingsfilekey"),
                "{}",
                refused.stderr
            );
            assert_eq!(
                refused.stderr.matches("error").count(),
                1,
                "{}",
                refused.stderr
            );
            check_run(&refused, &login.password);
        }
        assert!(!fleet.logs().exists());
    }
    let done = run(&fleet, &path)
        .option("--settingsfilekey", &key_file)
        .variable("RUST_LOG", "trace")
        .run()
        .expect_code(0);
    assert!(fleet.has_table(0, "effect"));
    if let Some(login) = login {
        check_run(&done, &login.password);
        fs::remove_file(&key_file).unwrap();
        for file in all_files(fleet.folder.path()) {
            let text = fs::read(&file).unwrap();
            check(
                &file.display().to_string(),
                &String::from_utf8_lossy(&text),
                &login.password,
            );
        }
        login.remove(&fleet);
    }
});

on_each_platform!(
    an_option_wins_over_a_variable_that_over_the_file_and_that_over_the_default,
    1,
    |fleet| {
        let test = module_path!();
        fleet.package(&[("1.sql", "SELECT 1;\n")]);
        let login = Login::new(&fleet, test);
        let path = fleet.folder.path().join("settings.json");
        let user = login.as_ref().map(|_| "nobody_of_this_name");
        save(&fleet, &path, user).run().expect_code(0);

        let show = |words: &[&str], variable: &str| {
            Program::new(["settings", "show", "--output", "json"])
                .words(words)
                .variable("SBM_CONCURRENCY", variable)
                .run()
                .expect_code(0)
        };
        let file = path.to_str().unwrap();
        for (words, variable, expected) in [
            (
                &["--settingsfile", file, "--concurrency", "5"][..],
                "4",
                "5 argument",
            ),
            (&["--settingsfile", file], "4", "4 variable"),
            (&["--settingsfile", file], "", "3 file"),
            (&[], "", "10 default"),
        ] {
            assert_eq!(shown(&show(words, variable), "concurrency"), expected);
        }

        let Some(login) = login else {
            return;
        };
        // The name in the file cannot log in; that of the variable can; that of the option cannot.
        let program = || {
            run(&fleet, &path)
                .variable("SBM_SETTINGSFILEKEY", KEY)
                .variable("SBM_PASSWORD", &login.password)
        };
        program().run().expect_code(1);
        program()
            .variable("SBM_USERNAME", &login.user)
            .run()
            .expect_code(0);
        program()
            .variable("SBM_USERNAME", &login.user)
            .option("--username", "nobody_of_this_name")
            .run()
            .expect_code(1);
        login.remove(&fleet);
    }
);

#[test]
fn a_misspelt_file_or_name_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("settings.json");
    let list = folder.path().join("targets.cfg");
    fs::write(&list, "server:a,b\n").unwrap();
    let refused = || {
        let run = Program::new(["threaded", "run", "--platform", "SQLite"])
            .option("--packagename", folder.path())
            .option("--override", &list)
            .option("--rootloggingpath", folder.path().join("logs"))
            .option("--settingsfile", &path)
            .run()
            .expect_code(2);
        assert!(!folder.path().join("logs").exists());
        assert!(!run.stderr.contains("canary"), "{}", run.stderr);
        run.stderr
    };
    let error = refused();
    assert!(error.contains("settings.json`: no such file"), "{error}");
    let text = r#"{ "Concurency": 3, "AuthenticationArgs": { "Pasword": "canary", "password": "canary" } }"#;
    fs::write(&path, text).unwrap();
    let error = refused();
    for part in [
        "did you mean Concurrency?",
        "AuthenticationArgs.Pasword",
        "AuthenticationArgs.password",
        "did you mean Password?",
        "3 things need to be changed",
    ] {
        assert!(error.contains(part), "{part} is missing in {error}");
    }
    fs::write(&path, "{ \"Concurrency\": 3,\n}").unwrap();
    assert!(refused().contains("no JSON"));
    let misspelt = Program::new(["settings", "show", "--setingsfile", "x"])
        .run()
        .expect_code(2);
    assert!(
        misspelt.stderr.contains("--settingsfile"),
        "{}",
        misspelt.stderr
    );
}

#[test]
fn values_that_the_reference_program_encrypted_are_read() {
    let test = "settings_files::values_that_the_reference_program_encrypted_are_read";
    let Some(fleet) = Fleet::new(Platform::Postgres, 1, test) else {
        return;
    };
    let Some(server) = Server::for_test(test) else {
        return;
    };
    // What the two values hold.
    let (user, password) = ("\"Legacy secret value\"", "Sample secret é");
    server.run("postgres", &format!("DROP ROLE IF EXISTS {user}"));
    server.run(
        "postgres",
        &format!("CREATE ROLE {user} LOGIN PASSWORD '{password}' IN ROLE sbm_password"),
    );
    fleet.sql(0, &format!("GRANT CREATE ON SCHEMA public TO {user}"));
    fleet.package(&[("1.sql", EFFECT)]);
    let path = fleet.folder.path().join("settings.json");
    let json = serde_json::json!({ "AuthenticationArgs": {
        "UserName": BARE, "Password": SEALED, "AuthenticationType": "Password", "DatabasePlatform": "PostgreSQL",
        "TrustServerCertificate": false
    } });
    fs::write(&path, json.to_string()).unwrap();
    let done = run(&fleet, &path)
        // The variable of the reference program.
        .variable("sbm-settingsfilekey", "TestPassword123!")
        .variable("RUST_LOG", "debug")
        .run()
        .expect_code(0);
    assert!(fleet.has_table(0, "effect"));
    assert!(!done.stderr.contains(password) && !done.stdout.contains(password));
    fleet.sql(0, &format!("DROP OWNED BY {user}"));
    server.run("postgres", &format!("DROP ROLE {user}"));
}

#[test]
fn files_of_every_backend_are_saved_and_shown_without_their_secrets() {
    for (command, needed) in [
        ("containerapp", &[][..]),
        ("ca", &[]),
        ("k8s", &[]),
        ("aks", &[]),
        ("batch", &[]),
        ("aci", &["--aciname", "a", "--acirg", "rg"]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.json");
        let program = || {
            Program::new([command, "savesettings"])
                .words(needed)
                .option("--settingsfile", &path)
                .option("--settingsfilekey", KEY)
                .words([
                    "-u",
                    "me",
                    "-sb",
                    "Endpoint=sb://x/;SharedAccessKey=canary/7f3a+Zq%",
                    "--eh:namespace|hub",
                ])
                .option("--password", PASSWORD)
                .option("--storageaccountkey", PASSWORD)
        };
        check_run(&program().run().expect_code(0), PASSWORD);
        check(command, &fs::read_to_string(&path).unwrap(), PASSWORD);
        let again = program().run().expect_code(2);
        assert!(again.stderr.contains("exists already"), "{}", again.stderr);
        check_run(&program().words(["--force"]).run().expect_code(0), PASSWORD);

        for output in ["text", "json"] {
            let run = Program::new(["settings", "show", "--output", output])
                .option("--settingsfile", &path)
                .variable("SBM_SETTINGSFILEKEY", KEY)
                .variable("RUST_LOG", "trace")
                .run()
                .expect_code(0);
            check_run(&run, PASSWORD);
            check_run(&run, KEY);
            if output == "json" {
                assert_eq!(shown(&run, "password"), "*** file");
                assert_eq!(shown(&run, "storageaccountkey"), "*** file");
                assert_eq!(shown(&run, "servicebustopicconnection"), "*** file");
                assert_eq!(shown(&run, "eventhubconnection"), "namespace|hub file");
            }
        }
    }
}

#[test]
fn secrets_are_never_saved_without_a_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("settings.json");
    let program = || {
        Program::new(["batch", "savesettings"])
            .option("--settingsfile", &path)
            .option("--password", PASSWORD)
    };
    for more in [
        &[][..],
        &["--cleartext"],
        &["--settingsfilekey", "short"],
        &["--settingsfilekey", "./no-key"],
    ] {
        let run = program().words(more).run().expect_code(2);
        assert!(run.stderr.contains("--settingsfilekey"), "{}", run.stderr);
        check_run(&run, PASSWORD);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

#[test]
fn a_key_vault_that_is_not_asked_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("settings.json");
    Program::new(["k8s", "savesettings", "--keyvaultname", "fleet-vault"])
        .option("--settingsfile", &path)
        .run()
        .expect_code(0);
    let run = Program::new(["settings", "show"])
        .option("--settingsfile", &path)
        .run()
        .expect_code(0);
    assert_eq!(
        run.stderr.matches("key vault fleet-vault").count(),
        1,
        "{}",
        run.stderr
    );
}

#[test]
fn no_error_shows_a_part_of_a_key() {
    for words in [
        &["--settingsfilekey", "two", "canary-7f3a"][..],
        &["--settingsfilekey=canary-7f3a", "--nonsense"],
        &["--settingsfilekey", "/canary-7f3a"],
    ] {
        let run = Program::new(["threaded", "run"])
            .words(words)
            .run()
            .expect_code(2);
        assert!(!run.stderr.contains("canary"), "{}", run.stderr);
    }
}
