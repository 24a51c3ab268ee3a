//! Faults of files, keys and values, and what they name.

use secrecy::ExposeSecret;

use super::*;

#[test]
fn a_fault_names_the_place_that_gave_the_value() {
    let place = Place::new();
    let path = place.path("g.json");
    let path = path.to_str().unwrap();
    std::fs::write(
        path,
        r#"{ "Concurrency": -1, "AuthenticationArgs": { "AuthenticationType": "Windows" } }"#,
    )
    .unwrap();
    let variables = [("SBM_CONCURRENCYTYPE", "Many"), ("SBM_SETTINGSFILE", path)];
    let told = place
        .run(&["--defaultscripttimeout", "0", "-u", "x"], &variables)
        .unwrap_err();
    for part in [
        format!(
            "AuthenticationArgs.AuthenticationType in {path} `Windows`: needs a signed-in Windows user"
        ),
        format!("Concurrency in {path} `-1`: accepted is a whole number from 1"),
        "SBM_CONCURRENCYTYPE: ".to_owned(),
        "--defaultscripttimeout `0`".to_owned(),
    ] {
        assert!(told.contains(&part), "{part} is missing in {told}");
    }
}

#[test]
fn a_wrong_key_is_one_error_and_a_missing_one_too() {
    let place = Place::new();
    let file = place.file(&["--platform", "PostgreSQL"]);
    for (variables, part) in [
        (
            &[("SBM_SETTINGSFILEKEY", "another key of some length")][..],
            "the key from SBM_SETTINGSFILEKEY",
        ),
        (&[], "are encrypted; give their key with --settingsfilekey"),
    ] {
        let told = place
            .run(&["--settingsfile", &file], variables)
            .unwrap_err();
        assert!(
            told.contains(part) && !told.contains("things need to be changed"),
            "{told}"
        );
    }
    // What gives the values itself needs no key.
    let words = ["--settingsfile", &file, "-u", "x", "-p", "y"];
    assert!(place.run(&words, &[]).is_ok());
    let told = shown(
        &[
            "--settingsfile",
            &file,
            "--settingsfilekey",
            "another key of some length",
        ],
        &[],
    );
    assert!(told.unwrap_err().contains("does not open the secrets"));
    // Without a key it can be shown that there are secrets.
    let settings = shown(&["--settingsfile", &file], &[]).unwrap();
    assert_eq!(one(&settings, "password"), "*** file");
}

#[test]
fn key_and_clear_text_belong_to_a_file() {
    let place = Place::new();
    let login = ["-u", "x"];
    for words in [&["--settingsfilekey", KEY][..], &["--decrypted"]] {
        let told = place.run(&[&login, words].concat(), &[]).unwrap_err();
        assert!(told.contains("used only with --settingsfile"), "{told}");
    }
    // The variable may be there for other commands.
    assert!(place.run(&login, &[("SBM_SETTINGSFILEKEY", KEY)]).is_ok());
    let missing = place
        .run(
            &[&login[..], &["--settingsfile", "none.json"]].concat(),
            &[],
        )
        .unwrap_err();
    assert!(
        missing.contains("--settingsfile `none.json`: no such file"),
        "{missing}"
    );

    // What looks encrypted may be clear text.
    let path = place.path("clear.json");
    let looks = "kWjkYZD2mej9lJ6YltINXQMS09IP2575k2b2NtK6P60=";
    let json = serde_json::json!({ "AuthenticationArgs": { "UserName": "x", "Password": looks } });
    std::fs::write(&path, json.to_string()).unwrap();
    let path = path.to_str().unwrap();
    assert!(place.run(&["--settingsfile", path], &[]).is_err());
    let settings = place
        .run(&["--settingsfile", path, "--decrypted"], &[])
        .unwrap();
    assert_eq!(settings.password.unwrap().expose_secret(), looks);
}
