//! The settings of the commands for a job that is there already.

use std::{path::PathBuf, time::Duration};

use secrecy::{ExposeSecret, SecretString};

use super::{
    JobArguments, JobPasswordArguments, LocalCleanupArguments, LocalDeployArguments,
    LocalDequeueArguments, LocalEnqueueArguments, LocalMonitorArguments, place,
};
use crate::{
    report::Output,
    secrets::SecretName,
    settings::{Answers, Environment, Faults, login::TOKEN_VARIABLE, reader::Reader, run::output},
};

/// A job that is there already, and what one of its steps is told.
#[derive(Clone, Debug)]
pub struct LocalJobSettings {
    /// The name of the job, in small letters.
    pub job_name: String,
    /// The folder of all jobs.
    pub store: PathBuf,
    /// How many processes build; none for as many as the job says. For `deploy`.
    pub workers: Option<usize>,
    /// The password that the job's login needs, if any was given. For `deploy` and `monitor`.
    pub password: Option<SecretString>,
    /// The access token of the environment, for a job on SQL Server that has no login name; none when a password was typed. For
    /// `deploy` and `monitor`.
    pub access_token: Option<SecretString>,
    /// How long running builds may go on after the run was cancelled; none for as long as the job says. For `monitor`.
    pub drain_timeout: Option<Duration>,
    /// What goes to standard output. For `monitor`.
    pub output: Output,
    /// Whether results and logs are removed, too. For `cleanup`.
    pub delete_logs: bool,
}

impl LocalJobSettings {
    /// The settings of `local enqueue`.
    pub fn enqueue(
        typed: &LocalEnqueueArguments,
        environment: Environment<'_>,
    ) -> Result<Self, Faults> {
        read(environment, &typed.job, |_, settings| settings)
    }

    /// The settings of `local deploy`.
    pub fn deploy(
        typed: &LocalDeployArguments,
        environment: Environment<'_>,
    ) -> Result<Self, Faults> {
        Self::deploy_with(typed, environment, &Answers::default())
    }

    /// The same, with what a place that keeps secrets has answered: it counts where no other source gives anything.
    pub fn deploy_with(
        typed: &LocalDeployArguments,
        environment: Environment<'_>,
        answers: &Answers,
    ) -> Result<Self, Faults> {
        read(environment, &typed.job, |reader, settings| Self {
            workers: workers(reader, typed.workers.as_deref()),
            ..with_secrets(reader, &typed.password, answers, settings)
        })
    }

    /// The settings of `local monitor`.
    pub fn monitor(
        typed: &LocalMonitorArguments,
        environment: Environment<'_>,
    ) -> Result<Self, Faults> {
        Self::monitor_with(typed, environment, &Answers::default())
    }

    /// The same, with what a place that keeps secrets has answered: it counts where no other source gives anything.
    pub fn monitor_with(
        typed: &LocalMonitorArguments,
        environment: Environment<'_>,
        answers: &Answers,
    ) -> Result<Self, Faults> {
        read(environment, &typed.job, |reader, settings| Self {
            drain_timeout: drain_timeout(reader, typed.draintimeout.as_deref()),
            output: output(reader, typed.output.as_deref()),
            ..with_secrets(reader, &typed.password, answers, settings)
        })
    }

    /// The settings of `local dequeue`.
    pub fn dequeue(
        typed: &LocalDequeueArguments,
        environment: Environment<'_>,
    ) -> Result<Self, Faults> {
        read(environment, &typed.job, |_, settings| settings)
    }

    /// The settings of `local cleanup`.
    pub fn cleanup(
        typed: &LocalCleanupArguments,
        environment: Environment<'_>,
    ) -> Result<Self, Faults> {
        read(environment, &typed.job, |reader, settings| Self {
            delete_logs: reader.flag("--deletelogs", typed.deletelogs.as_deref(), false),
            ..settings
        })
    }
}

/// Reads which job, and what more its step has.
fn read(
    environment: Environment<'_>,
    typed: &JobArguments,
    more: impl FnOnce(&mut Reader<'_>, LocalJobSettings) -> LocalJobSettings,
) -> Result<LocalJobSettings, Faults> {
    let mut reader = Reader::new(environment);
    let settings = LocalJobSettings {
        job_name: place::known_job_name(&mut reader, typed.jobname.as_deref()),
        store: place::store(&mut reader, typed.store.as_deref()),
        workers: None,
        password: None,
        access_token: None,
        drain_timeout: None,
        output: Output::default(),
        delete_logs: false,
    };
    let settings = more(&mut reader, settings);
    reader.finish()?;
    Ok(settings)
}

fn with_secrets(
    reader: &mut Reader<'_>,
    typed: &JobPasswordArguments,
    answers: &Answers,
    settings: LocalJobSettings,
) -> LocalJobSettings {
    reader.open_file(&typed.file);
    reader.use_answers(answers);
    // What a variable holds may be meant for other commands than one with a typed password.
    let access_token = match typed.password {
        Some(_) => None,
        None => reader.variable(TOKEN_VARIABLE).map(SecretString::from),
    };
    LocalJobSettings {
        password: reader
            .secret("--password", SecretName::Password, typed.password.as_ref())
            .filter(|password| !password.expose_secret().is_empty()),
        access_token,
        ..settings
    }
}

fn workers(reader: &mut Reader<'_>, given: Option<&str>) -> Option<usize> {
    given?;
    Some(reader.number("--workers", given, 1, 1..=64))
}

fn drain_timeout(reader: &mut Reader<'_>, given: Option<&str>) -> Option<Duration> {
    given?;
    Some(reader.seconds("--draintimeout", given, 60, 0..=86_400))
}
