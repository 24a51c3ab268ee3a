//! The job description: everything a worker must know beside its target. It holds no secret.

use std::{fmt, str::FromStr, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Conduct, DocumentError, Platform, WorkerLimits, document, seconds};

/// One run, as told to every worker. Stored as `job.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobSpec {
    /// The version of this form; a worker refuses one it does not know.
    pub version: u32,
    /// The run. Ledger rows, result lines and events carry it.
    pub run_id: Uuid,
    /// What is built.
    pub package: PackageRef,
    /// Where the targets live.
    pub platform: Platform,
    /// How to log in.
    pub connection: Connection,
    /// How to build.
    pub build: BuildOptions,
    /// How many at once.
    pub concurrency: Concurrency,
    /// How long what a worker does may take.
    #[serde(default)]
    pub limits: WorkerLimits,
    /// How the run as a whole is conducted.
    #[serde(default)]
    pub conduct: Conduct,
    /// The names of the secrets that a worker must be given; their values come by another way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// When the run was made.
    pub created: Timestamp,
}

impl JobSpec {
    /// The version that this program writes and reads.
    pub const VERSION: u32 = 1;

    /// The name of the secret with which workers log in to databases.
    pub const PASSWORD: &str = "password";

    /// Reads what was stored. What earlier programs did not write has its default.
    pub fn read(bytes: &[u8]) -> Result<Self, DocumentError> {
        document::read("the job", Self::VERSION, bytes)
    }

    /// What is stored.
    pub fn to_json(&self) -> Vec<u8> {
        // A structure of texts, numbers and lists cannot fail to become JSON.
        serde_json::to_vec_pretty(self).unwrap_or_default()
    }
}

#[cfg(test)]
impl JobSpec {
    /// A job with the defaults of the command line.
    pub(crate) fn sample() -> Self {
        Self {
            version: Self::VERSION,
            run_id: Uuid::from_u128(7),
            package: PackageRef {
                name: "p".into(),
                build_hash: "H".into(),
                sha256: "s".into(),
            },
            platform: Platform::Sqlite,
            connection: Connection {
                connect_timeout: Duration::from_secs(20),
                ..Connection::default()
            },
            build: BuildOptions {
                transactional: true,
                trial: false,
                description: String::new(),
                build_revision: None,
                log_to_database: None,
                ledger_schema: None,
                ledger_keep_days: 90,
                default_script_timeout: Duration::from_secs(500),
                timeout_retry_count: 0,
                lock_wait: Duration::from_secs(300),
                finish_partial: false,
                redo_interrupted: false,
                redo_failed: false,
                requested_by: "me".into(),
            },
            concurrency: Concurrency {
                kind: ConcurrencyType::Count,
                limit: 10,
                max_slots: 32,
            },
            limits: WorkerLimits::default(),
            conduct: Conduct::default(),
            secrets: Vec::new(),
            created: Timestamp::UNIX_EPOCH,
        }
    }
}

/// The package of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PackageRef {
    /// The base name of its file or folder; recorded as `BuildFileName`.
    pub name: String,
    /// The reference program's hash, recorded as `BuildProjectHash`.
    pub build_hash: String,
    /// SHA-256 over raw scripts and order; what the ledger records.
    pub sha256: String,
}

/// How to log in. The password is not part of it: workers get secrets by another way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Connection {
    /// The login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The identity of Entra ID that logs in, in place of a password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<IdentityLogin>,
    /// How the connection is encrypted and the server verified.
    pub ssl_mode: SslMode,
    /// A PEM file with the certificate authorities to trust, instead of the built-in ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssl_root_cert: Option<String>,
    /// How long a login may take.
    #[serde(with = "seconds")]
    pub connect_timeout: Duration,
}

/// An identity of Entra ID that logs in to databases by its tokens. Whoever logs in gets them from its own environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IdentityLogin {
    /// Which identities may be meant.
    pub kind: IdentityKind,
    /// The client id of the one that is meant, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// Its tenant, where the environment does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
}

/// Which identities may be meant, by the reference program's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum IdentityKind {
    /// That of the machine, the container or the pod.
    ManagedIdentity,
    /// Whatever the environment has.
    #[serde(rename = "AzureADDefault")]
    AzureAdDefault,
}

/// How a connection is encrypted, in PostgreSQL's terms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SslMode {
    /// `verify-full`, but `prefer` for servers on this machine.
    #[default]
    Auto,
    /// Never encrypted.
    Disable,
    /// Encrypted when the server can; the server is not verified.
    Prefer,
    /// Encrypted; the server is not verified.
    Require,
    /// Encrypted; the server's certificate must come from a trusted authority.
    VerifyCa,
    /// Encrypted; the certificate must be trusted and name the server.
    VerifyFull,
}

impl SslMode {
    /// Every mode.
    pub const ALL: [Self; 6] = [
        Self::Auto,
        Self::Disable,
        Self::Prefer,
        Self::Require,
        Self::VerifyCa,
        Self::VerifyFull,
    ];

    /// The name that users write.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Disable => "disable",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }
}

/// How to build each target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildOptions {
    /// One transaction per database. Without it each statement stands by itself.
    pub transactional: bool,
    /// Roll back at the end, whatever happened.
    pub trial: bool,
    /// Recorded in the audit table and put in place of `#BuildDescription#`.
    pub description: String,
    /// A version recorded by an additional last script in the target's `Versions` table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_revision: Option<String>,
    /// Another database on the target's server that gets the audit rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_to_database: Option<String>,
    /// The schema of audit table and ledger, where the platform has schemas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ledger_schema: Option<String>,
    /// Ledger rows older than this many days are removed.
    pub ledger_keep_days: u32,
    /// The time-out of scripts that name none.
    #[serde(with = "seconds")]
    pub default_script_timeout: Duration,
    /// How often a target is built again after a script time-out.
    pub timeout_retry_count: u32,
    /// How long to wait for a database that another build holds.
    #[serde(with = "seconds")]
    pub lock_wait: Duration,
    /// Run the databases that an earlier attempt of this run left out of a target it partly committed.
    pub finish_partial: bool,
    /// Run targets again whose non-transactional build was interrupted.
    pub redo_interrupted: bool,
    /// Run targets again whose build left a part applied.
    pub redo_failed: bool,
    /// The person or pipeline that asked for the build.
    pub requested_by: String,
}

/// How many targets are built at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Concurrency {
    /// What the number limits.
    pub kind: ConcurrencyType,
    /// The number of `--concurrency`.
    pub limit: usize,
    /// The most that one worker builds at once.
    pub max_slots: usize,
}

/// What `--concurrency` limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConcurrencyType {
    /// All targets together.
    Count,
    /// One target at a time on each server; the number is not used.
    Server,
    /// The targets on each server.
    MaxPerServer,
    /// One target at a time of each tag; the number is not used.
    Tag,
    /// The targets of each tag.
    MaxPerTag,
}

impl ConcurrencyType {
    /// Every type.
    pub const ALL: [Self; 5] = [
        Self::Count,
        Self::Server,
        Self::MaxPerServer,
        Self::Tag,
        Self::MaxPerTag,
    ];

    /// Whether targets need a tag.
    pub fn needs_tag(self) -> bool {
        matches!(self, Self::Tag | Self::MaxPerTag)
    }
}

impl fmt::Display for ConcurrencyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The text is none of the accepted words.
#[derive(Debug, thiserror::Error)]
#[error("`{value}` is not accepted here; accepted are {accepted}, in any case")]
pub struct UnknownWord {
    value: String,
    accepted: String,
}

fn word<T: Copy>(text: &str, all: &[T], name: impl Fn(T) -> String) -> Result<T, UnknownWord> {
    all.iter()
        .copied()
        .find(|value| name(*value).eq_ignore_ascii_case(text.trim()))
        .ok_or_else(|| UnknownWord {
            value: text.to_owned(),
            accepted: all
                .iter()
                .map(|value| name(*value))
                .collect::<Vec<_>>()
                .join(", "),
        })
}

impl FromStr for ConcurrencyType {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        word(text, &Self::ALL, |value| value.to_string())
    }
}

impl fmt::Display for SslMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for SslMode {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        word(text, &Self::ALL, |value| value.name().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_of_an_earlier_program_is_read_with_defaults() {
        let mut job = serde_json::to_value(JobSpec::sample()).unwrap();
        let fields = job.as_object_mut().unwrap();
        fields.remove("limits");
        let read = JobSpec::read(job.to_string().as_bytes()).unwrap();
        assert_eq!(read, JobSpec::sample());
        assert_eq!(read.limits.message_lock, Duration::from_secs(60));
        job["limits"] = serde_json::json!({"messageLock": 30.0});
        let read = JobSpec::read(job.to_string().as_bytes()).unwrap();
        assert_eq!(read.limits.message_lock, Duration::from_secs(30));
        assert_eq!(read.limits.drain_timeout, Duration::from_secs(60));
    }

    #[test]
    fn what_is_written_is_read_and_another_version_refused() {
        let mut job = JobSpec::sample();
        job.secrets = vec![JobSpec::PASSWORD.to_owned()];
        job.limits.hard_deadline = Some(Timestamp::UNIX_EPOCH);
        assert_eq!(JobSpec::read(&job.to_json()).unwrap(), job);
        job.version = 9;
        let error = JobSpec::read(&job.to_json()).unwrap_err().to_string();
        assert_eq!(error, "the job has version 9; this program reads version 1");
    }
}
