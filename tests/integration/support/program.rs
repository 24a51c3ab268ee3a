//! The real program in its own process.

use std::{
    ffi::OsStr,
    process::{Child, Command, Output, Stdio},
};

/// A command line of `sbm`.
#[derive(Debug)]
pub(crate) struct Program {
    command: Command,
}

impl Program {
    pub(crate) fn new<I: AsRef<OsStr>>(words: impl IntoIterator<Item = I>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sbm"));
        command
            .args(words)
            .stdin(Stdio::null())
            .env_remove("SBM_PASSWORD")
            .env_remove("SBM_USERNAME")
            .env_remove("SBM_SETTINGSFILE")
            .env_remove("SBM_SETTINGSFILEKEY");
        command.env_remove("RUST_LOG").env_remove("NO_COLOR");
        Self { command }
    }

    /// Adds an option and its value.
    pub(crate) fn option(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.arg(name).arg(value);
        self
    }

    pub(crate) fn words<I: AsRef<OsStr>>(mut self, words: impl IntoIterator<Item = I>) -> Self {
        self.command.args(words);
        self
    }

    pub(crate) fn variable(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// The same, started by another program, whose last words it is.
    pub(crate) fn within<I: AsRef<OsStr>>(self, words: impl IntoIterator<Item = I>) -> Self {
        let mut words = words.into_iter();
        let mut command = Command::new(words.next().unwrap());
        command.args(words).arg(self.command.get_program());
        command.args(self.command.get_args()).stdin(Stdio::null());
        for (name, value) in self.command.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        Self { command }
    }

    /// What was given for an option.
    pub(crate) fn value_of(&self, name: &str) -> Option<String> {
        let mut words = self.command.get_args().skip_while(|word| *word != name);
        words.nth(1)?.to_str().map(str::to_owned)
    }

    /// What was given for a variable.
    pub(crate) fn value_of_variable(&self, name: &str) -> Option<String> {
        let mut variables = self.command.get_envs();
        let (_, value) = variables.find(|(known, _)| *known == name)?;
        value?.to_str().map(str::to_owned)
    }

    /// Runs to the end.
    pub(crate) fn run(mut self) -> Run {
        Run::new(self.command.output().unwrap())
    }

    /// Starts and returns at once; its output is kept.
    pub(crate) fn start(mut self) -> Child {
        self.command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }
}

/// What a run gave.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    pub(crate) fn new(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Fails the test, with everything that was printed, unless the program ended with `code`.
    pub(crate) fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "\n{}\n{}", self.stdout, self.stderr);
        self
    }

    /// The document of `--output json`.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}\n{}\n{}", self.stdout, self.stderr))
    }
}
