//! The settings of `demo`.

use std::path::PathBuf;

use clap::Args;

use super::{
    Environment, Faults,
    reader::Reader,
    run::{OutputFormat, output},
};

/// The options of `demo`, as typed.
#[derive(Args, Clone, Debug, Default)]
pub struct DemoArguments {
    /// How many SQLite databases to make and build [default: 20].
    #[arg(long, value_name = "NUMBER")]
    pub databases: Option<String>,
    /// How many of them are made such that a script fails [default: 1].
    #[arg(long, value_name = "NUMBER")]
    pub failing: Option<String>,
    /// Folder for databases, package and logs, which are kept there [default: a temporary folder, removed at the end].
    #[arg(long, alias = "dir", value_name = "FOLDER")]
    pub directory: Option<String>,
    /// What goes to standard output: text or json [default: text].
    #[arg(long, value_name = "FORMAT")]
    pub output: Option<String>,
}

/// What the demonstration shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DemoSettings {
    /// How many databases it makes.
    pub databases: usize,
    /// How many of them fail; never more than there are.
    pub failing: usize,
    /// Where everything is kept; none for a temporary folder.
    pub directory: Option<PathBuf>,
    /// What goes to standard output.
    pub output: OutputFormat,
}

impl DemoSettings {
    /// What the options mean.
    pub fn new(typed: &DemoArguments, environment: Environment<'_>) -> Result<Self, Faults> {
        let mut reader = Reader::new(environment);
        let databases = reader.number("--databases", typed.databases.as_deref(), 20, 1..=10_000);
        let failing = typed.failing.as_deref();
        let failing = reader.number("--failing", failing, 1, 0..=databases);
        let settings = Self {
            databases,
            failing,
            directory: reader.path("--directory", typed.directory.as_deref()),
            output: output(&mut reader, typed.output.as_deref()),
        };
        reader.finish()?;
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_databases_fail_than_there_are() {
        let settings = |databases: &str, failing: &str| {
            let typed = DemoArguments {
                databases: Some(databases.into()),
                failing: Some(failing.into()),
                ..DemoArguments::default()
            };
            DemoSettings::new(&typed, &|_| None)
        };
        assert_eq!(settings("3", "3").unwrap().failing, 3);
        assert!(settings("3", "4").is_err());
        assert!(settings("0", "0").is_err());
    }
}
