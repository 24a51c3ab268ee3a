//! The key of a settings file: a text, the text of a file, or a variable.

use std::{fs, path::Path};

use base64::{Engine, prelude::BASE64_STANDARD};
use secrecy::{ExposeSecret, SecretString};

use super::document::is_blank;
use crate::settings::{Environment, Fault};

/// The option that gives the key.
pub(crate) const KEY_OPTION: &str = "--settingsfilekey";
/// The variables that hold it, ours and that of the reference program, which no shell can set.
const VARIABLES: [&str; 2] = ["SBM_SETTINGSFILEKEY", "sbm-settingsfilekey"];
/// A key that saves secrets has at least so many characters.
const LEAST: usize = 16;
/// No key file is longer.
const LONGEST_FILE: u64 = 64 * 1024;

/// The key, and where it comes from.
#[derive(Clone, Debug)]
pub(crate) struct SettingsKey {
    key: SecretString,
    from: String,
}

impl SettingsKey {
    /// The key that option or variables give; none when they give none.
    pub(crate) fn find(
        typed: Option<&SecretString>,
        environment: Environment<'_>,
    ) -> Result<Option<Self>, Fault> {
        match typed.filter(|text| !is_blank(text)) {
            Some(text) => Self::from_option(text).map(Some),
            None => Ok(VARIABLES.into_iter().find_map(|name| {
                let key = SecretString::from(environment(name)?);
                (!is_blank(&key)).then(|| Self {
                    key,
                    from: name.to_owned(),
                })
            })),
        }
    }

    /// A file of this name holds the key; any other text is the key, unless somebody must have meant a file.
    fn from_option(text: &SecretString) -> Result<Self, Fault> {
        let path = Path::new(text.expose_secret());
        if path.exists() {
            return Self::from_file(path);
        }
        if looks_like_a_path(text.expose_secret()) {
            let problem = format!(
                "looks like the path of a file, and there is none; give the path of a file with the key, or the key \
                 itself in the variable {}, which may hold any text",
                VARIABLES[0]
            );
            return Err(fault(problem));
        }
        Ok(Self {
            key: text.clone(),
            from: KEY_OPTION.to_owned(),
        })
    }

    fn from_file(path: &Path) -> Result<Self, Fault> {
        // The name of an existing file is no key.
        let from = path.display().to_string();
        let length = fs::metadata(path).map_or(0, |data| data.len());
        if length > LONGEST_FILE {
            return Err(fault(format!("{from} is too long for a key file")));
        }
        let text = fs::read_to_string(path)
            .map_err(|error| fault(format!("cannot read {from}: {error}")))?;
        let key = text.trim_start_matches('\u{feff}').trim();
        if key.is_empty() {
            return Err(fault(format!("{from} is empty; it has to hold the key")));
        }
        Ok(Self {
            key: key.into(),
            from,
        })
    }

    /// The key itself.
    pub(crate) fn key(&self) -> &SecretString {
        &self.key
    }

    /// The option, the variable or the file that gave it.
    pub(crate) fn from(&self) -> &str {
        &self.from
    }

    /// The variable, when one gave it.
    pub(crate) fn variable(&self) -> Option<&str> {
        VARIABLES
            .contains(&self.from.as_str())
            .then_some(&self.from)
    }

    /// Refuses a key that is too short to save secrets with. Reading has no such limit.
    pub(crate) fn check_length(&self) -> Result<(), Fault> {
        if self.key.expose_secret().chars().count() >= LEAST {
            return Ok(());
        }
        let from = match self.from.as_str() {
            KEY_OPTION => String::new(),
            from => format!(" from {from}"),
        };
        Err(fault(format!(
            "the key{from} is too short to save secrets with; accepted are {LEAST} characters or more"
        )))
    }
}

fn fault(problem: String) -> Fault {
    Fault {
        option: KEY_OPTION.to_owned(),
        value: None,
        problem,
    }
}

/// Starts like a path, ends like the name of a file, or has separators within. Of these Base64 may hold slashes, which
/// mean something only behind the name of a folder.
fn looks_like_a_path(text: &str) -> bool {
    let text = text.trim();
    let drive =
        matches!(text.as_bytes(), [letter, b':', b'\\' | b'/', ..] if letter.is_ascii_alphabetic());
    let start = ["/", "./", "../", "~/", "\\\\", ".\\", "..\\"]
        .iter()
        .any(|start| text.starts_with(start));
    let end = [".txt", ".key", ".pem", ".secret"]
        .iter()
        .any(|end| text.to_ascii_lowercase().ends_with(end));
    let within = text.contains(['/', '\\']);
    let folder = Path::new(text).parent().is_some_and(Path::is_dir);
    drive || start || end || within && (folder || BASE64_STANDARD.decode(text).is_err())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(
        typed: Option<&str>,
        variables: &[(&str, &str)],
    ) -> Result<Option<(String, String)>, String> {
        let environment = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let typed = typed.map(SecretString::from);
        match SettingsKey::find(typed.as_ref(), &environment) {
            Ok(key) => Ok(key.map(|key| (key.key.expose_secret().to_owned(), key.from))),
            Err(fault) => Err(fault.to_string()),
        }
    }

    fn key(key: &str, from: &str) -> Result<Option<(String, String)>, String> {
        Ok(Some((key.to_owned(), from.to_owned())))
    }

    #[test]
    fn an_option_wins_over_the_variables_and_ours_over_the_other() {
        let both = [
            ("sbm-settingsfilekey", " theirs "),
            ("SBM_SETTINGSFILEKEY", "ours"),
        ];
        assert_eq!(find(Some(" a b "), &both), key(" a b ", KEY_OPTION));
        assert_eq!(find(None, &both), key("ours", "SBM_SETTINGSFILEKEY"));
        assert_eq!(
            find(Some(" "), &both[..1]),
            key(" theirs ", "sbm-settingsfilekey")
        );
        assert_eq!(find(None, &[("SBM_SETTINGSFILEKEY", "")]), Ok(None));
    }

    #[test]
    fn a_file_holds_the_key_and_is_not_taken_for_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let path = path.to_str().unwrap();
        let missing = find(Some(path), &[]).unwrap_err();
        assert!(
            missing.contains("there is none") && !missing.contains(path),
            "{missing}"
        );
        std::fs::write(path, "\u{feff} the key \r\n").unwrap();
        assert_eq!(find(Some(path), &[]), key("the key", path));
        std::fs::write(path, " \n").unwrap();
        assert!(find(Some(path), &[]).is_err());
        assert!(find(Some(folder.path().to_str().unwrap()), &[]).is_err());
    }

    #[test]
    fn a_misspelt_path_is_no_key_and_base64_is_one() {
        for path in [
            "/a",
            "./a",
            "../a/b",
            "~/key",
            "C:\\keys\\a",
            "c:/a",
            "\\\\host\\a",
            "my.key",
            "A.TXT",
            "secrets/sbm-settings",
            "secrets\\sbm",
            // Base64, but a file could be there.
            "src/settings0000",
        ] {
            assert!(looks_like_a_path(path), "{path}");
        }
        for text in [
            "TestPassword123!",
            "ab/cd+efgQ==",
            "ab/cd+eg",
            "a:b:c",
            "C:",
            "key.with.dots",
        ] {
            assert!(!looks_like_a_path(text), "{text}");
        }
    }

    #[test]
    fn what_saves_secrets_is_counted_in_characters() {
        let check = |text: &str| {
            let typed = SecretString::from(text);
            let key = SettingsKey::find(Some(&typed), &|_| None).unwrap().unwrap();
            key.check_length()
        };
        assert!(check("0123456789abcdef").is_ok());
        assert!(check("0123456789abcdé").is_err());
    }
}
