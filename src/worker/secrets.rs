//! The secrets of a worker, as they come on standard input: one line of JSON, `{"password": "…"}`, or nothing.

use std::{collections::HashMap, io::BufRead};

use secrecy::SecretString;
use serde::Deserialize;

use crate::protocol::JobSpec;

/// Why secrets cannot be taken. None of them is shown.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// Standard input does not give them.
    #[error("cannot read secrets from standard input: {0}")]
    Input(#[from] std::io::Error),
    /// They are something else.
    #[error(
        "secrets on standard input: accepted is one line of JSON with texts, {{\"password\": \"…\"}}"
    )]
    Form,
    /// The job needs others.
    #[error("the job needs the secrets {}, and standard input does not give them", .0.join(", "))]
    Missing(Vec<String>),
}

/// What was given.
#[derive(Default)]
pub(super) struct Secrets(HashMap<String, SecretText>);

struct SecretText(SecretString);

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(|text| Self(SecretString::from(text)))
    }
}

impl Secrets {
    /// Reads one line, and nothing behind it.
    pub(super) fn read(from: &mut dyn BufRead) -> Result<Self, SecretsError> {
        let mut line = String::new();
        from.read_line(&mut line)?;
        if line.trim().is_empty() {
            return Ok(Self::default());
        }
        // What the parser says could show a part.
        let given = serde_json::from_str(&line).map_err(|_| SecretsError::Form);
        // Not a guarantee, but the text does not outlive its use by more than it must.
        zeroed(line);
        given.map(Self)
    }

    /// Whether everything is there that `job` names.
    pub(super) fn check(&self, job: &JobSpec) -> Result<(), SecretsError> {
        let missing: Vec<String> = job
            .secrets
            .iter()
            .filter(|name| !self.0.contains_key(*name))
            .cloned()
            .collect();
        if missing.is_empty() {
            Ok(())
        } else {
            Err(SecretsError::Missing(missing))
        }
    }

    /// The password for the databases.
    pub(super) fn take_password(&mut self) -> Option<SecretString> {
        self.0.remove(JobSpec::PASSWORD).map(|text| text.0)
    }
}

/// Hands the text to a secret, which is wiped when it is dropped.
fn zeroed(line: String) {
    drop(SecretString::from(line));
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn read(text: &str) -> Result<Secrets, SecretsError> {
        Secrets::read(&mut text.as_bytes())
    }

    #[test]
    fn one_line_is_read_and_what_follows_stays() {
        let mut input: &[u8] = b"{\"password\": \"geheim\", \"other\": \"x\"}\nrest";
        let mut secrets = Secrets::read(&mut input).unwrap();
        assert_eq!(input, b"rest");
        let password = secrets.take_password().unwrap();
        assert_eq!(password.expose_secret(), "geheim");
        assert!(read("").unwrap().take_password().is_none());
        assert!(read("\n").unwrap().take_password().is_none());
    }

    #[test]
    fn what_is_wrong_is_told_without_showing_it() {
        for text in [
            "geheim",
            "{\"password\": geheim}",
            "{\"password\": 7}",
            "[\"geheim\"]",
        ] {
            let error = read(text).err().unwrap().to_string();
            assert!(error.contains("one line of JSON") && !error.contains("geheim"));
        }
    }

    #[test]
    fn a_job_names_what_it_needs() {
        let mut job = JobSpec::sample();
        assert!(read("").unwrap().check(&job).is_ok());
        job.secrets = vec!["password".into(), "token".into()];
        assert!(
            read("{\"password\": \"p\", \"token\": \"t\"}")
                .unwrap()
                .check(&job)
                .is_ok()
        );
        let error = read("{\"password\": \"p\"}")
            .unwrap()
            .check(&job)
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "the job needs the secrets token, and standard input does not give them"
        );
    }
}
