//! Reads typed values and keeps the faults, so that reading goes on after the first one.

use std::{fmt::Display, ops::RangeInclusive, path::PathBuf, str::FromStr, time::Duration};

use super::{
    Environment, Fault, Faults, Setting, SettingsFile, environment::expand, resolve::Faulty,
    sources::Answers,
};
use crate::protocol::Platform;

/// Turns texts into values. After a fault it answers with the default, for nothing but to find the next fault.
///
/// What an option does not give, its variable may give, or the settings file: see `resolve`.
pub(super) struct Reader<'a> {
    pub(super) environment: Environment<'a>,
    pub(super) file: Option<SettingsFile>,
    pub(super) answers: Answers,
    pub(super) faults: Vec<Faulty>,
    pub(super) settings: Vec<Setting>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(environment: Environment<'a>) -> Self {
        Self {
            environment,
            file: None,
            answers: Answers::default(),
            faults: Vec::new(),
            settings: Vec::new(),
        }
    }

    /// The faults met so far, as an error when there are any.
    pub(super) fn finish(self) -> Result<(), Faults> {
        Faults::check(self.faults.into_iter().map(|faulty| faulty.fault).collect())
    }

    /// Keeps a fault, once. It names what gave the value: the option, the variable or the place in the file.
    pub(super) fn fault(&mut self, option: &str, value: Option<&str>, problem: impl Display) {
        let fault = self.new_fault(option, value, problem);
        self.keep(option, fault);
    }

    /// Keeps a fault of a value that is a good one, but of no use to this program: it can be shown all the same.
    pub(super) fn fault_unless_shown(&mut self, option: &str, value: &str, problem: impl Display) {
        let fault = self.new_fault(option, Some(value), problem);
        self.push(option, fault, true);
    }

    fn new_fault(&self, option: &str, value: Option<&str>, problem: impl Display) -> Fault {
        Fault {
            option: self.origin(option),
            value: value.map(str::to_owned),
            problem: problem.to_string(),
        }
    }

    /// Keeps a fault of `option`, once.
    pub(super) fn keep(&mut self, option: &str, fault: Fault) {
        self.push(option, fault, false);
    }

    fn push(&mut self, option: &str, fault: Fault, can_be_shown: bool) {
        if !self.faults.iter().any(|known| known.fault == fault) {
            self.faults.push(Faulty {
                option: option.to_owned(),
                fault,
                can_be_shown,
            });
        }
    }

    /// Whether the value of `option` has been refused, so that what would follow from it need not be asked for.
    pub(super) fn is_refused(&self, option: &str) -> bool {
        self.faults.iter().any(|faulty| faulty.option == option)
    }

    /// The value of an environment variable; one without any text counts as not set.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        (self.environment)(name).filter(|value| !value.is_empty())
    }

    /// `true` or `false` in any case.
    pub(super) fn flag(&mut self, option: &str, given: Option<&str>, default: bool) -> bool {
        let Some(text) = self.given(option, given, &default) else {
            return default;
        };
        match text.trim().to_ascii_lowercase().as_str() {
            "true" => true,
            "false" => false,
            _ => {
                self.fault(option, Some(&text), "accepted are true and false");
                default
            }
        }
    }

    /// A whole number within `accepted`.
    pub(super) fn number<T>(
        &mut self,
        option: &str,
        given: Option<&str>,
        default: T,
        accepted: RangeInclusive<T>,
    ) -> T
    where
        T: FromStr + PartialOrd + Display + Copy,
    {
        let Some(text) = self.given(option, given, &default) else {
            return default;
        };
        match text.trim().parse() {
            Ok(number) if accepted.contains(&number) => number,
            _ => {
                let (from, to) = (accepted.start(), accepted.end());
                let problem = format!("accepted is a whole number from {from} to {to}");
                self.fault(option, Some(&text), problem);
                default
            }
        }
    }

    /// A whole number of seconds within `accepted`.
    pub(super) fn seconds(
        &mut self,
        option: &str,
        given: Option<&str>,
        default: u64,
        accepted: RangeInclusive<u64>,
    ) -> Duration {
        Duration::from_secs(self.number(option, given, default, accepted))
    }

    /// One of the words of `T`, whose error says which these are.
    pub(super) fn word<T>(&mut self, option: &str, given: Option<&str>, default: T) -> T
    where
        T: FromStr<Err: Display> + Display,
    {
        let Some(text) = self.given(option, given, &default) else {
            return default;
        };
        text.parse().unwrap_or_else(|problem: T::Err| {
            // The problem names the value already.
            self.fault(option, None, problem);
            default
        })
    }

    /// A text that is more than blanks.
    pub(super) fn text(&mut self, option: &str, given: Option<&str>) -> Option<String> {
        self.note(option, given, "");
        self.check_text(option, given)
    }

    pub(super) fn check_text(&mut self, option: &str, given: Option<&str>) -> Option<String> {
        let text = given?.trim();
        if text.is_empty() {
            self.fault(
                option,
                given,
                "needs some text; leave the option out for none",
            );
            return None;
        }
        if text.contains('\0') {
            self.fault(option, given, "must not contain a NUL character");
            return None;
        }
        Some(text.to_owned())
    }

    /// A path, with the environment variables in it replaced.
    pub(super) fn path(&mut self, option: &str, given: Option<&str>) -> Option<PathBuf> {
        let given = self.given(option, given, &"");
        let text = self.check_text(option, given.as_deref())?;
        match expand(&text, self.environment) {
            Ok(path) => Some(PathBuf::from(path)),
            Err(name) => {
                let problem = format!("the environment variable {name} is not set");
                self.fault(option, given.as_deref(), problem);
                None
            }
        }
    }

    /// The platform of all databases.
    pub(super) fn platform(&mut self, given: Option<&str>) -> Platform {
        self.word("--platform", given, Platform::SqlServer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T>(read: impl FnOnce(&mut Reader<'_>) -> T) -> Result<T, String> {
        let mut reader = Reader::new(&|_| None);
        let value = read(&mut reader);
        match reader.finish() {
            Ok(()) => Ok(value),
            Err(faults) => Err(faults.to_string()),
        }
    }

    #[test]
    fn flags_are_read_in_any_case_and_nothing_else_is() {
        for (text, expected) in [("true", true), ("TRUE", true), ("False", false)] {
            assert_eq!(read(|r| r.flag("--x", Some(text), !expected)), Ok(expected));
        }
        assert_eq!(read(|r| r.flag("--x", None, true)), Ok(true));
        for text in ["", "yes", "1", "tru"] {
            let fault = read(|r| r.flag("--x", Some(text), true)).unwrap_err();
            assert_eq!(fault, format!("--x `{text}`: accepted are true and false"));
        }
    }

    #[test]
    fn numbers_outside_of_the_range_are_refused_with_the_range() {
        assert_eq!(read(|r| r.number("--x", Some(" 5 "), 1_u8, 2..=9)), Ok(5));
        for text in ["1", "10", "300", "-3", "x", "2.5", ""] {
            let fault = read(|r| r.number("--x", Some(text), 3_u8, 2..=9)).unwrap_err();
            assert!(
                fault.ends_with("accepted is a whole number from 2 to 9"),
                "{fault}"
            );
        }
    }

    #[test]
    fn platforms_are_read_in_any_case() {
        assert_eq!(read(|r| r.platform(Some("sqlite"))), Ok(Platform::Sqlite));
        for given in [None, Some("sqlserver")] {
            assert_eq!(read(|r| r.platform(given)), Ok(Platform::SqlServer));
        }
        assert_eq!(read(|r| r.platform(Some("mysql"))), Ok(Platform::MySql));
        let fault = read(|r| r.platform(Some("Oracle"))).unwrap_err();
        assert_eq!(fault.matches("--platform").count(), 1, "{fault}");
    }

    #[test]
    fn blank_texts_and_unset_variables_are_refused() {
        assert!(read(|r| r.text("--x", Some("  "))).is_err());
        assert!(read(|r| r.text("--x", Some("a\0"))).is_err());
        assert_eq!(read(|r| r.text("--x", Some(" a "))), Ok(Some("a".into())));
        let fault = read(|r| r.path("--x", Some("%NONE%"))).unwrap_err();
        assert!(fault.contains("variable NONE is not set"), "{fault}");
    }
}
