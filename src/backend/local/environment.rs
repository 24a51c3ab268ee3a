//! Which variables of this process workers get.

use std::ffi::{OsStr, OsString};

use secrecy::{ExposeSecret, SecretString};

/// Settings: several of them hold secrets, and a worker finds what it needs in its job. The second are those of workflows.
const SETTINGS: [&str; 2] = ["SBM", "INPUT"];

/// The names of variables that a worker does not get: all settings, and whatever has a secret as its value.
pub(super) fn kept_back(
    variables: impl Iterator<Item = (OsString, OsString)>,
    secrets: &[(String, SecretString)],
) -> Vec<OsString> {
    variables
        .filter(|(name, value)| is_setting(name) || is_secret(value, secrets))
        .map(|(name, _)| name)
        .collect()
}

fn is_setting(name: &OsStr) -> bool {
    // Some names have hyphens and small letters.
    let name = name.to_string_lossy().to_uppercase();
    name.split_once(['_', '-'])
        .is_some_and(|(first, _)| SETTINGS.contains(&first))
}

fn is_secret(value: &OsStr, secrets: &[(String, SecretString)]) -> bool {
    secrets.iter().any(|(_, secret)| {
        let secret = secret.expose_secret();
        !secret.is_empty() && value == OsStr::new(secret)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_and_secrets_stay_and_all_else_goes_on() {
        let variables = [
            ("SBM_PASSWORD", "x"),
            ("SBM_ACCESS_TOKEN", "x"),
            ("sbm-settingsfilekey", "x"),
            ("INPUT_PASSWORD", "x"),
            ("FROM_THE_VAULT", "geheim"),
            ("PATH", "/bin"),
            ("SBMX", "geheimer"),
            ("RUST_LOG", ""),
        ];
        let variables = variables.map(|(name, value)| (name.into(), value.into()));
        let secrets = [
            ("password".to_owned(), "geheim".into()),
            ("empty".to_owned(), "".into()),
        ];
        let kept = kept_back(variables.into_iter(), &secrets);
        assert_eq!(kept.len(), 5);
        for name in ["PATH", "SBMX", "RUST_LOG"] {
            assert!(!kept.contains(&name.into()), "{name}");
        }
    }
}
