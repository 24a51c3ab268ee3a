//! Which source gives a value, and the record of it.

use std::{fmt::Display, path::Path};

use secrecy::SecretString;

use super::{
    Fault, Faults, Setting, SettingsFile, SettingsFileArguments, Source,
    file::{
        document::MASK,
        key::{KEY_OPTION, SettingsKey},
        member::{self, Member},
    },
    reader::Reader,
    sources::Answers,
    vault,
};
use crate::secrets::SecretName;

const FILE_OPTION: &str = "--settingsfile";

/// A fault, and the option whose value it is about.
pub(super) struct Faulty {
    pub(super) option: String,
    pub(super) fault: Fault,
    /// Whether the value is a good one that is of no use to builds.
    pub(super) can_be_shown: bool,
}

impl Reader<'_> {
    /// Opens the settings file that options or variables name, so that it is asked from now on.
    pub(super) fn open_file(&mut self, typed: &SettingsFileArguments) {
        self.open_file_itself(typed);
        vault::name(self, typed.keyvaultname.as_deref());
    }

    fn open_file_itself(&mut self, typed: &SettingsFileArguments) {
        let clear = self.flag("--decrypted", typed.decrypted.as_deref(), false);
        let key = self.settings_key(typed.settingsfilekey.as_ref());
        let Some(path) = self.own_variable(FILE_OPTION, typed.settingsfile.as_deref()) else {
            if typed.settingsfilekey.is_some() {
                self.fault(KEY_OPTION, None, "used only with --settingsfile");
            }
            if typed.decrypted.is_some() && clear {
                self.fault("--decrypted", None, "used only with --settingsfile");
            }
            return;
        };
        let Some(path) = self.check_text(FILE_OPTION, Some(&path)) else {
            return;
        };
        match SettingsFile::open(Path::new(&path), key, clear) {
            Ok(file) => self.file = Some(file),
            Err(faults) => {
                for fault in faults {
                    self.keep(FILE_OPTION, fault);
                }
            }
        }
    }

    /// Has what a place that keeps secrets has answered: it counts where no other source gives anything.
    pub(super) fn use_answers(&mut self, answers: &Answers) {
        self.answers = answers.clone();
    }

    /// The key of the settings file.
    pub(super) fn settings_key(&mut self, typed: Option<&SecretString>) -> Option<SettingsKey> {
        let key = match SettingsKey::find(typed, self.environment) {
            Ok(Some(key)) => key,
            Ok(None) => {
                self.note(KEY_OPTION, None, "");
                return None;
            }
            Err(fault) => {
                self.record(KEY_OPTION, Some(MASK.to_owned()), Source::Argument);
                self.keep(KEY_OPTION, fault);
                return None;
            }
        };
        let source = match key.variable() {
            Some(name) => Source::Variable(name.to_owned()),
            None => Source::Argument,
        };
        self.record(KEY_OPTION, Some(MASK.to_owned()), source);
        Some(key)
    }

    /// The text of the first source that has one: what was typed, else the variable of the option, else the file. The
    /// last two are asked for what a settings file can hold.
    pub(super) fn given(
        &mut self,
        option: &str,
        typed: Option<&str>,
        default: &dyn Display,
    ) -> Option<String> {
        let (text, source) = match (typed, member::of_option(option)) {
            (None, Some(member)) => self.beyond_options(member),
            _ => (typed.map(str::to_owned), Source::Argument),
        };
        if text.is_none() {
            self.note(option, None, default);
        } else {
            self.record(option, text.clone(), source);
        }
        text
    }

    pub(super) fn beyond_options(&self, member: &Member) -> (Option<String>, Source) {
        let variable = member.variable();
        if let Some(text) = self.variable(&variable) {
            return (Some(text), Source::Variable(variable));
        }
        let Some(file) = &self.file else {
            return (None, Source::Default);
        };
        (file.text(member), Source::File(file.to_string()))
    }

    /// What was typed, else the variable of the option, for options that no file can hold.
    fn own_variable(&mut self, option: &str, typed: Option<&str>) -> Option<String> {
        let variable = member::variable(option);
        let (text, source) = match typed {
            Some(text) => (Some(text.to_owned()), Source::Argument),
            None => match self.variable(&variable) {
                Some(text) => (Some(text), Source::Variable(variable)),
                None => (None, Source::Default),
            },
        };
        self.record(option, text.clone(), source);
        text
    }

    /// A secret from the first source that has one: what was typed, else the variable, the file, or the answers.
    pub(super) fn secret(
        &mut self,
        option: &str,
        name: SecretName,
        typed: Option<&SecretString>,
    ) -> Option<SecretString> {
        if let Some(secret) = typed {
            self.record(option, Some(MASK.to_owned()), Source::Argument);
            return Some(secret.clone());
        }
        let (secret, source) = self.secret_beyond_options(&member::variable(option), name);
        let value = (source != Source::Default).then(|| MASK.to_owned());
        self.record(option, value, source);
        secret
    }

    /// The variable, the file, then the answers. A file whose secret cannot be opened is the source all the same.
    pub(super) fn secret_beyond_options(
        &mut self,
        variable: &str,
        name: SecretName,
    ) -> (Option<SecretString>, Source) {
        if let Some(text) = self.variable(variable) {
            return (Some(text.into()), Source::Variable(variable.to_owned()));
        }
        let in_file = self
            .file
            .as_ref()
            .map(|file| (file.secret(name), file.to_string()));
        match in_file {
            Some((Ok(Some(secret)), file)) => (Some(secret), Source::File(file)),
            Some((Err(error), file)) => {
                self.fault(KEY_OPTION, None, error);
                (None, Source::File(file))
            }
            _ => match self.answers.get(name) {
                Some((secret, source)) => (Some(secret), source),
                None => (None, Source::Default),
            },
        }
    }

    /// Records an option that has no other source than the command line.
    pub(super) fn note(&mut self, option: &str, typed: Option<&str>, default: impl Display) {
        match typed {
            Some(text) => self.record(option, Some(text.to_owned()), Source::Argument),
            None => {
                let default = Some(default.to_string()).filter(|text| !text.is_empty());
                self.record(option, default, Source::Default);
            }
        }
    }

    /// Records where the value of an option comes from.
    pub(super) fn record(&mut self, option: &str, value: Option<String>, source: Source) {
        let name = option.trim_start_matches('-').to_owned();
        let setting = Setting {
            name,
            value,
            source,
        };
        match self
            .settings
            .iter_mut()
            .find(|known| known.name == setting.name)
        {
            Some(known) => *known = setting,
            None => self.settings.push(setting),
        }
    }

    fn source_of(&self, option: &str) -> Option<&Source> {
        let name = option.trim_start_matches('-');
        let setting = self.settings.iter().find(|setting| setting.name == name)?;
        Some(&setting.source)
    }

    /// How the user finds the place from which the value of an option comes.
    pub(super) fn origin(&self, option: &str) -> String {
        match (self.source_of(option), member::of_option(option)) {
            (Some(Source::Variable(name)), _) => name.clone(),
            (Some(Source::File(file)), Some(member)) => format!("{} in {file}", member.path()),
            _ => option.to_owned(),
        }
    }

    /// The record; the faults of what somebody gave are an error, while what nobody gave may be missing.
    pub(super) fn finish_given(self) -> Result<Vec<Setting>, Faults> {
        let given: Vec<Fault> = self
            .faults
            .iter()
            .filter(|faulty| !faulty.can_be_shown)
            .filter(|faulty| {
                faulty.option == FILE_OPTION
                    || !matches!(self.source_of(&faulty.option), None | Some(Source::Default))
            })
            .map(|faulty| faulty.fault.clone())
            .collect();
        Faults::check(given)?;
        Ok(self.settings)
    }
}
