//! What was typed: one field per option, nothing parsed, nothing defaulted.
//!
//! The command line fills these; the help texts are part of it. Defaults named in a help text are those that the
//! settings apply.

#![expect(
    clippy::doc_markdown,
    reason = "help texts are made of these comments and show their backticks"
)]

use clap::Args;
use secrecy::SecretString;

use super::{SettingsFileArguments, sources::secret};

/// The options of `threaded run`.
#[derive(Args, Clone, Debug, Default)]
pub struct RunArguments {
    /// Where settings come from that are not typed.
    #[command(flatten)]
    pub file: SettingsFileArguments,
    /// What is built.
    #[command(flatten)]
    pub package: PackageArguments,
    /// How large a package may be.
    #[command(flatten)]
    pub limits: LimitArguments,
    /// Which databases are built.
    #[command(flatten)]
    pub targets: TargetArguments,
    /// How to log in to them.
    #[command(flatten)]
    pub login: LoginArguments,
    /// How each is built.
    #[command(flatten)]
    pub build: BuildOptionArguments,
    /// How many at once.
    #[command(flatten)]
    pub concurrency: ConcurrencyArguments,
    /// How the run as a whole behaves.
    #[command(flatten)]
    pub run: RunOptionArguments,
    /// What the reference program can do and this version cannot.
    #[command(flatten)]
    pub unavailable: UnavailableArguments,
}

/// The options of `build`: those of `threaded run`, which may name a target in place of a list.
#[derive(Args, Clone, Debug, Default)]
pub struct BuildArguments {
    /// What both commands have.
    #[command(flatten)]
    pub run: RunArguments,
}

/// What is built.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Package")]
pub struct PackageArguments {
    /// The package: an .sbm or .sbx file, or a folder of .sql scripts.
    #[arg(long, alias = "buildfilename", short = 'P', value_name = "PATH")]
    pub packagename: Option<String>,
    /// Folder whose .sql scripts are built in place of a package.
    #[arg(long, value_name = "FOLDER")]
    pub scriptsrcdir: Option<String>,
}

/// How large a package may be, so that a broken or hostile one does no harm.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Package limits")]
pub struct LimitArguments {
    /// Largest script, in bytes or with KiB, MiB or GiB [default: 64MiB].
    #[arg(long, value_name = "SIZE")]
    pub maxscriptsize: Option<String>,
    /// Largest package, unpacked, in bytes or with KiB, MiB or GiB [default: 256MiB].
    #[arg(long, value_name = "SIZE")]
    pub maxpackagesize: Option<String>,
    /// How many times its packed size a file may unpack to [default: 200].
    #[arg(long, value_name = "NUMBER")]
    pub maxratio: Option<String>,
}

/// Which databases are built.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Targets")]
pub struct TargetArguments {
    /// Target list: a .cfg, .multiDb, .multiDbQ or .sql file. `build` also takes one pair, `default,database`.
    #[arg(long, value_name = "FILE")]
    pub r#override: Option<String>,
    /// Server on which a .sql list finds the targets. With `build` and no list: the server of the database to build; a folder
    /// for SQLite.
    #[arg(long, short = 's')]
    pub server: Option<String>,
    /// Database in which a .sql list finds the targets. With `build` and no list: the database to build; without it the one that
    /// the package's scripts name.
    #[arg(long, short = 'd')]
    pub database: Option<String>,
    /// Kind of the database servers: SqlServer, PostgreSQL, MySQL or SQLite [default: SqlServer].
    #[arg(long, alias = "databaseplatform", value_name = "PLATFORM")]
    pub platform: Option<String>,
    /// Drop exact repeats in the target list with a warning, where they are an error otherwise [default: false].
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub allowduplicates: Option<String>,
}

/// How to log in to the database servers.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Login")]
pub struct LoginArguments {
    /// Login name; SQLite needs none [env: SBM_USERNAME].
    #[arg(long, short = 'u', value_name = "NAME")]
    pub username: Option<String>,
    /// Password. Other users of the machine may see command lines: prefer the variable [env: SBM_PASSWORD].
    // A password may begin with a hyphen. Nothing may quote it, so clap must not take it for an unknown option.
    #[arg(long, short = 'p', value_name = "SECRET", value_parser = secret, allow_hyphen_values = true)]
    pub password: Option<SecretString>,
    /// How to prove who logs in: Password [default: Password].
    #[arg(long, value_name = "TYPE")]
    pub authtype: Option<String>,
    /// Encryption: auto, disable, prefer, require, verify-ca or verify-full. `auto` is verify-full, but prefer for
    /// servers on this machine [default: auto].
    #[arg(long, value_name = "MODE")]
    pub sslmode: Option<String>,
    /// PEM file with the certificate authorities to trust in place of the built-in ones.
    #[arg(long, value_name = "FILE")]
    pub sslrootcert: Option<String>,
    /// Encrypt, but trust whatever certificate the server shows; the same as --sslmode require [default: false].
    #[arg(long, alias = "trustcert", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub trustservercertificate: Option<String>,
    /// How long a login may take [default: 20].
    #[arg(long, value_name = "SECONDS")]
    pub connecttimeout: Option<String>,
}

/// How each database is built.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Build")]
pub struct BuildOptionArguments {
    /// Roll every database back at the end, whatever happened [default: false].
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub trial: Option<String>,
    /// One transaction per database; without it a failure leaves behind what ran before it [default: true].
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub transactional: Option<String>,
    /// Text for the audit table and for #BuildDescription# in scripts.
    #[arg(long, value_name = "TEXT")]
    pub description: Option<String>,
    /// Version that a last script records in the table Versions of each database.
    #[arg(long, value_name = "TEXT")]
    pub buildrevision: Option<String>,
    /// Another database on each server that gets the audit rows.
    #[arg(long, value_name = "DATABASE")]
    pub logtodatabasename: Option<String>,
    /// How often a database is built again after a script time-out [default: 0].
    #[arg(long, value_name = "NUMBER")]
    pub timeoutretrycount: Option<String>,
    /// Time-out of scripts that name none [default: 500].
    #[arg(long, value_name = "SECONDS")]
    pub defaultscripttimeout: Option<String>,
    /// How long to wait for a database that another build holds [default: the package's time-outs and five minutes].
    #[arg(long, value_name = "SECONDS")]
    pub lockwait: Option<String>,
    /// Schema of the audit table and the ledger [default: the login's own].
    #[arg(long, value_name = "SCHEMA")]
    pub ledgerschema: Option<String>,
    /// Ledger rows older than this are removed [default: 90].
    #[arg(long, value_name = "DAYS")]
    pub ledgerkeep: Option<String>,
}

/// How many databases are built at once.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Concurrency")]
pub struct ConcurrencyArguments {
    /// How many databases are built at once; what is counted depends on --concurrencytype [default: 10].
    #[arg(long, value_name = "NUMBER")]
    pub concurrency: Option<String>,
    /// What the number counts: Count (all; with `local`, all of a worker), Server (one per server), MaxPerServer, Tag (one per tag) or MaxPerTag
    /// [default: Count].
    #[arg(long, value_name = "TYPE")]
    pub concurrencytype: Option<String>,
    /// Never more than this at once, whatever the type [default: 32].
    #[arg(long, value_name = "NUMBER")]
    pub maxslots: Option<String>,
}

/// How the run as a whole behaves.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Run")]
pub struct RunOptionArguments {
    /// Start no more databases once more than this many have failed: a number, or a percentage such as 5%.
    #[arg(long, value_name = "N or P%")]
    pub maxfailures: Option<String>,
    /// How long running builds may go on after Ctrl-C or SIGTERM before they are rolled back [default: 60].
    #[arg(long, value_name = "SECONDS")]
    pub draintimeout: Option<String>,
    /// Go on with an earlier run; without its id, with the last one in --rootloggingpath.
    #[arg(long, value_name = "RUN", num_args = 0..=1, default_missing_value = "last")]
    pub resume: Option<String>,
    /// With --resume: also run targets again that ended so: interrupted, failed, or both with a comma.
    #[arg(long, value_name = "STATES")]
    pub redo: Option<String>,
    /// With --resume: run the missing databases of partly committed targets [default: false].
    #[arg(
        long = "finish-partial",
        alias = "finishpartial",
        value_name = "BOOL",
        num_args = 0..=1,
        default_missing_value = "true"
    )]
    pub finish_partial: Option<String>,
    /// Folder for logs and results; %NAME% and ${NAME} are replaced by environment variables [default: logs].
    #[arg(long, value_name = "FOLDER")]
    pub rootloggingpath: Option<String>,
    /// What goes to standard output: text or json [default: text].
    #[arg(long, value_name = "FORMAT")]
    pub output: Option<String>,
}

/// Options of the reference program that are understood, and refused, until this program can do the same.
#[derive(Args, Clone, Debug, Default)]
pub struct UnavailableArguments {
    /// Wanted state as a DACPAC.
    #[arg(long, alias = "pd", hide = true)]
    pub platinumdacpac: Option<String>,
    /// Present state as a DACPAC.
    #[arg(long, alias = "td", hide = true)]
    pub targetdacpac: Option<String>,
    /// A script per target.
    #[arg(long, hide = true, num_args = 0..=1, default_missing_value = "true")]
    pub forcecustomdacpac: Option<String>,
    /// Database to make the wanted state from.
    #[arg(long, hide = true)]
    pub platinumdbsource: Option<String>,
    /// Its server.
    #[arg(long, hide = true)]
    pub platinumserversource: Option<String>,
}
