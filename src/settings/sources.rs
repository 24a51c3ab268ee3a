//! Where values come from: argument > environment > settings file > places that keep secrets > default.

#![expect(
    clippy::doc_markdown,
    reason = "help texts are made of these comments and show their backticks"
)]

use std::fmt;

use clap::Args;
use secrecy::SecretString;

use crate::secrets::{Error, SecretName, Secrets};

/// The settings file of a command.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Settings file")]
pub struct SettingsFileArguments {
    /// File with settings that neither options nor variables give [env: SBM_SETTINGSFILE].
    #[arg(long, value_name = "FILE")]
    pub settingsfile: Option<String>,
    /// Key of its secrets, or the path of a file with the key. Prefer the variable [env: SBM_SETTINGSFILEKEY].
    #[arg(long, value_name = "KEY", value_parser = secret, allow_hyphen_values = true)]
    pub settingsfilekey: Option<SecretString>,
    /// The secrets in the file are clear text, even those that look encrypted [default: false].
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub decrypted: Option<String>,
    /// Key vault, by its name or address, that is asked for secrets that nothing else gives [env: SBM_KEYVAULTNAME].
    #[arg(long, alias = "kv", value_name = "TEXT")]
    pub keyvaultname: Option<String>,
}

/// Keeps a value from being printed.
pub(super) fn secret(text: &str) -> Result<SecretString, std::convert::Infallible> {
    Ok(SecretString::from(text))
}

/// Where the value of a setting comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// An option on the command line.
    Argument,
    /// The environment variable of this name.
    Variable(String),
    /// The settings file of this path.
    File(String),
    /// A place that keeps secrets.
    Place(String),
    /// Nobody said anything.
    Default,
}

impl Source {
    /// The word for the kind of source, as JSON output has it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Argument => "argument",
            Self::Variable(_) => "variable",
            Self::File(_) => "file",
            Self::Place(_) => "vault",
            Self::Default => "default",
        }
    }

    /// The variable, the path or the place.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Variable(name) | Self::File(name) | Self::Place(name) => Some(name),
            Self::Argument | Self::Default => None,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())?;
        match self.name() {
            Some(name) => write!(f, " {name}"),
            None => Ok(()),
        }
    }
}

/// A setting, its value and where that comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The option without hyphens, or the place in the settings file.
    pub name: String,
    /// The value, masked when it is secret; none for nothing.
    pub value: Option<String>,
    /// Where it comes from.
    pub source: Source,
}

/// What a place that keeps secrets has answered. It is asked before settings are read, because that may take time.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    place: String,
    secrets: Vec<(SecretName, SecretString)>,
}

impl Answers {
    /// Asks `place` for these secrets.
    pub async fn ask(place: &dyn Secrets, names: &[SecretName]) -> Result<Self, Error> {
        let mut secrets = Vec::new();
        for name in names {
            if let Some(secret) = place.get(*name).await? {
                secrets.push((*name, secret));
            }
        }
        Ok(Self {
            place: place.to_string(),
            secrets,
        })
    }

    /// A secret, and the place that has it.
    pub(super) fn get(&self, name: SecretName) -> Option<(SecretString, Source)> {
        let (_, secret) = self.secrets.iter().find(|(known, _)| *known == name)?;
        Some((secret.clone(), Source::Place(self.place.clone())))
    }
}
