//! The settings of `threaded query`.

use std::{
    io::IsTerminal,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use secrecy::SecretString;

use super::{
    ConcurrencyArguments, Environment, Faults, LoginArguments, TargetArguments, TargetSource,
    login,
    reader::Reader,
    run::{concurrency, output, root_logging_path},
    target_source,
};
use crate::{
    protocol::{Concurrency, Connection, Platform},
    query::{Format, Question},
    report::Output,
};

/// The options of `threaded query`, as typed.
#[derive(Args, Clone, Debug, Default)]
pub struct QueryArguments {
    /// What is asked.
    #[command(flatten)]
    pub query: QueryTextArguments,
    /// Which databases are asked.
    #[command(flatten)]
    pub targets: TargetArguments,
    /// How to log in to them.
    #[command(flatten)]
    pub login: LoginArguments,
    /// How many at once.
    #[command(flatten)]
    pub concurrency: ConcurrencyArguments,
    /// Where the answers go.
    #[command(flatten)]
    pub result: QueryResultArguments,
}

/// What is asked.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Query")]
pub struct QueryTextArguments {
    /// File with one query that only reads.
    #[arg(long, value_name = "FILE")]
    pub queryfile: Option<String>,
    /// The query itself, in place of a file.
    #[arg(long, value_name = "SQL")]
    pub query: Option<String>,
    /// How long the whole answer of one database may take [default: 500].
    #[arg(long, value_name = "SECONDS")]
    pub defaultscripttimeout: Option<String>,
    /// How often a database is asked again after a time-out [default: 0].
    #[arg(long, value_name = "NUMBER")]
    pub timeoutretrycount: Option<String>,
}

/// Where the answers go.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Result")]
pub struct QueryResultArguments {
    /// File for the rows of all databases [default: standard output].
    #[arg(long, value_name = "FILE")]
    pub outputfile: Option<String>,
    /// Form of the rows: csv, jsonl or table [default: by the extension of --outputfile, else csv; table on a terminal].
    #[arg(long, value_name = "FORMAT")]
    pub outputformat: Option<String>,
    /// Replace a file that is there already [default: false].
    #[arg(long, alias = "force", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub silent: Option<String>,
    /// Folder for the lists of databases and the outcome, which are put into `query` in it; %NAME% and ${NAME} are replaced by
    /// environment variables [default: logs].
    #[arg(long, value_name = "FOLDER")]
    pub rootloggingpath: Option<String>,
    /// What is told at the end, on standard output when the rows go to a file: text or json [default: text].
    #[arg(long, value_name = "FORMAT")]
    pub output: Option<String>,
}

/// Everything that a query needs to know.
#[derive(Clone, Debug)]
pub struct QuerySettings {
    /// What is asked.
    pub question: Question,
    /// How long the whole answer of one database may take.
    pub timeout: Duration,
    /// How often a database is asked again after a time-out.
    pub timeout_retries: u32,
    /// Which databases are asked.
    pub targets: TargetSource,
    /// Whether exact repeats in the target list are dropped; they are an error otherwise.
    pub allow_duplicates: bool,
    /// Where they live.
    pub platform: Platform,
    /// How to log in.
    pub connection: Connection,
    /// The password; none where the server asks for none.
    pub password: Option<SecretString>,
    /// How many at once.
    pub concurrency: Concurrency,
    /// The file of the rows; none for standard output.
    pub output_file: Option<PathBuf>,
    /// Whether a file that is there already is replaced.
    pub replace: bool,
    /// The form of the rows.
    pub format: Format,
    /// The folder in which lists and outcome have a folder of their own.
    pub root_logging_path: PathBuf,
    /// How the outcome is told.
    pub output: Output,
}

impl QuerySettings {
    /// What the options mean. Reads the query, so that one that cannot be asked is told with the other faults.
    pub fn new(typed: &QueryArguments, environment: Environment<'_>) -> Result<Self, Faults> {
        let mut reader = Reader::new(environment);
        let settings = read(&mut reader, typed);
        reader.finish()?;
        Ok(settings)
    }
}

/// Faults come in the order of the help, but for those of the query, which needs the platform.
fn read(reader: &mut Reader<'_>, typed: &QueryArguments) -> QuerySettings {
    let platform = reader.platform(typed.targets.platform.as_deref());
    let question = question(reader, &typed.query, platform);
    let timeout = typed.query.defaultscripttimeout.as_deref();
    let timeout = reader.seconds("--defaultscripttimeout", timeout, 500, 1..=604_800);
    let retries = typed.query.timeoutretrycount.as_deref();
    let timeout_retries = reader.number("--timeoutretrycount", retries, 0, 0..=1_000);
    let targets = target_source::read_list(reader, &typed.targets);
    let duplicates = typed.targets.allowduplicates.as_deref();
    let allow_duplicates = reader.flag("--allowduplicates", duplicates, false);
    let (connection, password) = login::read(reader, &typed.login, platform);
    let concurrency = concurrency(reader, &typed.concurrency);
    let result = &typed.result;
    let replace = reader.flag("--silent", result.silent.as_deref(), false);
    let output_file = output_file(reader, result.outputfile.as_deref(), replace);
    let format = format(
        reader,
        result.outputformat.as_deref(),
        output_file.as_deref(),
    );
    let root_logging_path = root_logging_path(reader, result.rootloggingpath.as_deref());
    let output = output(reader, result.output.as_deref());
    if output == Output::Json && result.outputfile.is_none() {
        let problem = "the rows go to standard output; give them a file with --outputfile";
        reader.fault("--output", result.output.as_deref(), problem);
    }
    QuerySettings {
        question,
        timeout,
        timeout_retries,
        targets,
        allow_duplicates,
        platform,
        connection,
        password,
        concurrency,
        output_file,
        replace,
        format,
        root_logging_path,
        output,
    }
}

fn question(reader: &mut Reader<'_>, typed: &QueryTextArguments, platform: Platform) -> Question {
    let (file, text) = (typed.queryfile.as_deref(), typed.query.as_deref());
    let (option, given, question) = match (file, text) {
        (Some(_), Some(_)) => {
            let problem = "not used with --queryfile; leave one of the two out";
            reader.fault("--query", None, problem);
            return nothing();
        }
        (None, None) => {
            reader.fault("--queryfile", None, "needed: a file with one query");
            return nothing();
        }
        (Some(_), None) => {
            let Some(path) = reader.path("--queryfile", file) else {
                return nothing();
            };
            ("--queryfile", file, Question::open(&path, platform))
        }
        (None, Some(text)) => {
            let question = Question::new("--query".into(), text.to_owned(), platform);
            ("--query", None, question)
        }
    };
    question.unwrap_or_else(|problem| {
        reader.fault(option, given, problem);
        nothing()
    })
}

/// Stands for a query where a fault was met.
fn nothing() -> Question {
    Question {
        name: String::new(),
        text: String::new(),
    }
}

fn output_file(reader: &mut Reader<'_>, given: Option<&str>, replace: bool) -> Option<PathBuf> {
    let path = reader.path("--outputfile", given)?;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let problem = if path.exists() && !path.is_file() {
        Some("this is no ordinary file")
    } else if path.exists() && !replace {
        Some("there is such a file already; --silent replaces it")
    } else if folder.is_some_and(|folder| !folder.is_dir()) {
        Some("its folder does not exist")
    } else {
        None
    };
    if let Some(problem) = problem {
        reader.fault("--outputfile", given, problem);
    }
    // A link stays one: what it leads to is replaced.
    Some(path.canonicalize().unwrap_or(path))
}

fn format(reader: &mut Reader<'_>, given: Option<&str>, file: Option<&Path>) -> Format {
    let default = match file {
        Some(path) => Format::of_file(path),
        None if std::io::stdout().is_terminal() => Format::Table,
        None => Format::Csv,
    };
    match given.map_or(Ok(default), str::parse) {
        Ok(format) => format,
        Err(_) => {
            reader.fault("--outputformat", given, "accepted are csv, jsonl and table");
            default
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command, FromArgMatches};

    use super::*;

    fn understood(words: &[String]) -> Result<QuerySettings, String> {
        let command = QueryArguments::augment_args(Command::new("sbm").no_binary_name(true));
        let matches = command.try_get_matches_from(words).unwrap();
        let typed = QueryArguments::from_arg_matches(&matches).unwrap();
        QuerySettings::new(&typed, &|_| None).map_err(|faults| faults.to_string())
    }

    struct Files(tempfile::TempDir);

    impl Files {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            for (file, text) in [
                ("q.sql", "SELECT 1"),
                ("change.sql", "DELETE FROM t"),
                ("there.csv", ""),
                ("a.cfg", ""),
                ("b.cfg", ""),
                ("ca.pem", ""),
            ] {
                std::fs::write(folder.path().join(file), text).unwrap();
            }
            Self(folder)
        }

        fn path(&self, file: &str) -> String {
            self.0.path().join(file).to_str().unwrap().to_owned()
        }

        /// The least that is needed, and more words; an option that stands among these is left out of the former.
        fn with(&self, more: &[(&str, &str)]) -> Vec<String> {
            let least = [
                ("queryfile", self.path("q.sql")),
                ("override", self.path("a.cfg")),
                ("platform", "PostgreSQL".to_owned()),
                ("username", "me".to_owned()),
            ];
            let kept = least
                .into_iter()
                .filter(|(name, _)| more.iter().all(|(other, _)| other != name));
            let more = more
                .iter()
                .filter(|(_, value)| !value.is_empty())
                .map(|(name, value)| (*name, (*value).to_owned()));
            kept.chain(more)
                .flat_map(|(name, value)| [format!("--{name}"), value])
                .collect()
        }
    }

    #[test]
    fn every_option_makes_a_difference() {
        let files = Files::new();
        let with = |more: &[(&str, &str)]| format!("{:?}", understood(&files.with(more)));
        let least = with(&[]);
        assert!(least.starts_with("Ok("), "{least}");
        let (list, pem) = (files.path("b.cfg"), files.path("ca.pem"));
        let command = QueryArguments::augment_args(Command::new("sbm"));
        for argument in command.get_arguments() {
            let long = argument.get_long().unwrap();
            let value = match long {
                "queryfile" => "/no/such.sql",
                "query" => "SELECT 2",
                "override" => &list,
                "sslrootcert" => &pem,
                "platform" => "SqlServer",
                "authtype" => "Windows",
                "sslmode" => "require",
                "concurrencytype" => "Server",
                "outputformat" => "table",
                "output" => "json",
                "outputfile" | "rootloggingpath" | "username" | "server" | "database" => "other",
                "allowduplicates" | "trustservercertificate" | "silent" => "true",
                // Secrets are not shown.
                "password" => continue,
                _ => "3",
            };
            assert_ne!(with(&[(long, value)]), least, "--{long} has no effect");
        }
    }

    #[test]
    fn what_cannot_be_asked_is_refused_before_any_login() {
        let files = Files::new();
        let fault = |more: &[(&str, &str)]| understood(&files.with(more)).unwrap_err();
        for (more, reason) in [
            (&[("queryfile", "")][..], "--queryfile: needed"),
            (&[("queryfile", "none.sql")], "cannot be read"),
            (
                &[("queryfile", &files.path("change.sql"))],
                "it starts with `DELETE`",
            ),
            (&[("query", "SELECT 2")], "leave one of the two out"),
            (
                &[("outputfile", &files.path("there.csv"))],
                "--silent replaces it",
            ),
            (&[("outputfile", &files.path("none/a.csv"))], "folder"),
            (&[("outputfile", &files.path(""))], "no ordinary file"),
            (&[("outputformat", "xml")], "csv, jsonl and table"),
            (&[("output", "json")], "--outputfile"),
        ] {
            let fault = fault(more);
            assert!(fault.contains(reason), "{fault}");
        }
    }

    #[test]
    fn the_form_follows_the_file() {
        let files = Files::new();
        let format = |more: &[(&str, &str)]| understood(&files.with(more)).unwrap().format;
        assert_eq!(format(&[("outputfile", "a.jsonl")]), Format::JsonLines);
        assert_eq!(format(&[("outputfile", "a.dat")]), Format::Csv);
        let both = [("outputfile", "a.jsonl"), ("outputformat", "CSV")];
        assert_eq!(format(&both), Format::Csv);
        let replaced = [
            ("outputfile", files.path("there.csv")),
            ("silent", "true".into()),
        ];
        let replaced = replaced
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        assert!(understood(&files.with(&replaced)).unwrap().replace);
    }
}
