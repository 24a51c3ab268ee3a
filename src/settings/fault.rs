//! Faults of an input, collected so that all are told together.

use std::fmt;

/// One thing that the user has to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The option or variable, as the user writes it.
    pub option: String,
    /// What was given, when something was. Never a secret.
    pub value: Option<String>,
    /// What is wrong, and what would be accepted.
    pub problem: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.option)?;
        if let Some(value) = &self.value {
            write!(f, " `{}`", value.escape_debug())?;
        }
        write!(f, ": {}", self.problem)
    }
}

/// Every fault of an input, in the order in which the options are listed in the help; at least one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// The faults as an error, when there are any.
    pub fn check(faults: Vec<Fault>) -> Result<(), Self> {
        if faults.is_empty() {
            return Ok(());
        }
        Err(Self(faults))
    }

    /// The faults.
    pub fn list(&self) -> &[Fault] {
        &self.0
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [fault] = self.0.as_slice() {
            return write!(f, "{fault}");
        }
        write!(f, "{} things need to be changed", self.0.len())?;
        for fault in &self.0 {
            write!(f, "\n  - {fault}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(value: Option<&str>) -> Fault {
        Fault {
            option: "--x".into(),
            value: value.map(str::to_owned),
            problem: "accepted is y".into(),
        }
    }

    #[test]
    fn one_fault_is_a_line_and_several_are_a_list() {
        assert_eq!(Faults::check(vec![]), Ok(()));
        let one = Faults::check(vec![fault(Some("a\nb"))]).unwrap_err();
        assert_eq!(one.to_string(), "--x `a\\nb`: accepted is y");
        let two = Faults::check(vec![fault(None), fault(None)]).unwrap_err();
        assert_eq!(
            two.to_string(),
            "2 things need to be changed\n  - --x: accepted is y\n  - --x: accepted is y"
        );
    }
}
