//! Which source gives a value, what the record says of it, and what becomes of secrets on the way.

mod faults;
mod login;
mod precedence;
mod shown;

use std::path::PathBuf;

use clap::{Args, Command, FromArgMatches};

use super::*;

const SECRET_NAME: &str = "user-in-the-file";
const CANARY: &str = "canary/7f3a+Zq%";
const KEY: &str = "a key of some length";

/// A folder with a package, a target list and settings files.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for file in ["a.sbm", "a.cfg"] {
            std::fs::write(folder.path().join(file), "").unwrap();
        }
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A settings file with a login, besides what `words` say.
    fn file(&self, words: &[&str]) -> String {
        let path = self.path("f.json");
        let text = path.to_str().unwrap().to_owned();
        let login = [
            "--settingsfile",
            &text,
            "--settingsfilekey",
            KEY,
            "-u",
            SECRET_NAME,
            "-p",
            CANARY,
        ];
        let typed: SaveArguments<Batch> = parse(&[&login, words].concat());
        save(&typed, &|_| None).unwrap().file.save().unwrap();
        text
    }

    fn run(&self, words: &[&str], variables: &[(&str, &str)]) -> Result<RunSettings, String> {
        let package = self.path("a.sbm");
        let list = self.path("a.cfg");
        let needed = [
            "-P",
            package.to_str().unwrap(),
            "--override",
            list.to_str().unwrap(),
        ];
        let typed: RunArguments = parse(&[&needed, words].concat());
        RunSettings::threaded(&typed, &environment(variables)).map_err(|faults| faults.to_string())
    }
}

fn environment(variables: &[(&str, &str)]) -> impl Fn(&str) -> Option<String> {
    let variables: Vec<(String, String)> = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    move |name| {
        let found = variables.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone())
    }
}

fn parse<T: Args + FromArgMatches>(words: &[&str]) -> T {
    let command = T::augment_args(Command::new("sbm").no_binary_name(true));
    T::from_arg_matches(&command.try_get_matches_from(words).unwrap()).unwrap()
}

fn shown(words: &[&str], variables: &[(&str, &str)]) -> Result<Vec<Setting>, String> {
    let typed: ShowArguments = parse(words);
    let shown = ShownSettings::new(&typed, &environment(variables));
    shown
        .map(|shown| shown.settings)
        .map_err(|faults| faults.to_string())
}

/// Value and source of a setting, with a blank between.
fn one(settings: &[Setting], name: &str) -> String {
    let setting = settings.iter().find(|setting| setting.name == name);
    let setting = setting.unwrap_or_else(|| panic!("{name} is missing in {settings:#?}"));
    let value = setting.value.as_deref().unwrap_or("-");
    format!("{value} {}", setting.source.kind())
}
