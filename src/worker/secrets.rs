//! The secrets of a worker, as they come on standard input: one line of JSON, `{"password": "…"}`, or nothing.

use std::{
    collections::HashMap,
    io::{self, BufRead},
    thread,
    time::Duration,
};

use secrecy::SecretString;
use serde::Deserialize;
use tokio::{sync::oneshot, time::timeout};

use crate::protocol::JobSpec;

/// Why secrets cannot be taken. None of them is shown.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// Standard input does not give them.
    #[error("cannot read secrets from standard input: {0}")]
    Input(#[from] std::io::Error),
    /// Standard input is open and gives nothing.
    #[error(
        "the job needs the secrets {}, and standard input has given nothing for {} s", .names.join(", "), after.as_secs()
    )]
    Silent {
        /// What the job needs.
        names: Vec<String>,
        /// How long was waited.
        after: Duration,
    },
    /// They are something else.
    #[error(
        "secrets on standard input: accepted is one line of JSON with texts, {{\"password\": \"…\"}}"
    )]
    Form,
    /// The job needs others.
    #[error("the job needs the secrets {}, and standard input does not give them", .0.join(", "))]
    Missing(Vec<String>),
}

/// How long secrets are waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// The standard input of a worker, read by a thread: nothing but the end of the process may end such a read.
pub(super) struct Input {
    line: oneshot::Receiver<Result<Secrets, SecretsError>>,
    /// Ready when the input of an attached worker has ended; an error at once or later for one that is not.
    pub(super) end: oneshot::Receiver<()>,
}

impl Input {
    /// Begins to read: one line, and up to the end when `attached`. One that is to give neither is left alone.
    pub(super) fn read(mut from: Box<dyn BufRead + Send>, needed: bool, attached: bool) -> Self {
        let (give, line) = oneshot::channel();
        let (tell_end, end) = oneshot::channel();
        if needed || attached {
            thread::spawn(move || {
                give.send(Secrets::read(&mut *from)).ok();
                if attached {
                    io::copy(&mut from, &mut io::sink()).ok();
                    tell_end.send(()).ok();
                }
            });
        }
        Self { line, end }
    }

    /// What the job needs; nothing is waited for when it needs nothing.
    pub(super) async fn secrets(&mut self, job: &JobSpec) -> Result<Secrets, SecretsError> {
        if job.secrets.is_empty() {
            return Ok(Secrets::default());
        }
        log::info!("the secrets of the job are waited for");
        let Ok(given) = timeout(PATIENCE, &mut self.line).await else {
            return Err(SecretsError::Silent {
                names: job.secrets.clone(),
                after: PATIENCE,
            });
        };
        // A thread that ended without a word has given nothing.
        let given = given.unwrap_or_else(|_| Ok(Secrets::default()))?;
        given.check(job)?;
        Ok(given)
    }
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
