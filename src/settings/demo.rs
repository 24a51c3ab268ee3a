//! The settings of `demo`.

use clap::Args;
use secrecy::SecretString;

use super::{Environment, Faults, LoginArguments, login, reader::Reader, run::output};
use crate::{
    protocol::{Connection, Platform},
    report::Output,
};

/// The options of `demo`, as typed.
#[derive(Args, Clone, Debug, Default)]
pub struct DemoArguments {
    /// How many databases to make and build [default: 200].
    #[arg(long, value_name = "NUMBER")]
    pub targets: Option<String>,
    /// Keep databases, package and logs for good; the next demo removes them otherwise [default: false].
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub keep: Option<String>,
    /// Kind of the databases: SQLite, or PostgreSQL on --server [default: SQLite].
    #[arg(long, alias = "databaseplatform", value_name = "PLATFORM")]
    pub platform: Option<String>,
    /// PostgreSQL server on which the login may make databases, as host or host:port.
    #[arg(long, short = 's', value_name = "SERVER")]
    pub server: Option<String>,
    /// How to log in to the server.
    #[command(flatten)]
    pub login: LoginArguments,
    /// What goes to standard output: text or json [default: text].
    #[arg(long, value_name = "FORMAT")]
    pub output: Option<String>,
}

/// What the demonstration shows.
#[derive(Clone, Debug)]
pub struct DemoSettings {
    /// How many databases it makes; one of them fails.
    pub targets: usize,
    /// Whether everything stays after the next demo.
    pub keep: bool,
    /// Where the databases live.
    pub platform: Platform,
    /// The server; none for SQLite, whose servers are folders made for the demo.
    pub server: Option<String>,
    /// How to log in.
    pub connection: Connection,
    /// The password, where the server asks for one.
    pub password: Option<SecretString>,
    /// How to log in, as typed: the demo hands it on to the run.
    pub login: LoginArguments,
    /// What goes to standard output.
    pub output: Output,
}

impl DemoSettings {
    /// What the options mean.
    pub fn new(typed: &DemoArguments, environment: Environment<'_>) -> Result<Self, Faults> {
        let mut reader = Reader::new(environment);
        let platform = typed.platform.as_deref().unwrap_or("SQLite");
        let platform = reader.platform(Some(platform));
        let (connection, password) = login::read(&mut reader, &typed.login, platform);
        let settings = Self {
            targets: reader.number("--targets", typed.targets.as_deref(), 200, 1..=10_000),
            keep: reader.flag("--keep", typed.keep.as_deref(), false),
            platform,
            server: server(&mut reader, typed.server.as_deref(), platform),
            connection,
            password,
            login: typed.login.clone(),
            output: output(&mut reader, typed.output.as_deref()),
        };
        reader.finish()?;
        Ok(settings)
    }
}

fn server(reader: &mut Reader<'_>, given: Option<&str>, platform: Platform) -> Option<String> {
    let server = reader.text("--server", given);
    match (platform, &server) {
        (Platform::Sqlite, Some(_)) => {
            reader.fault(
                "--server",
                given,
                "the SQLite demo makes its own servers; leave it out",
            );
        }
        (Platform::PostgreSql, None) => {
            let needed = "needed: a PostgreSQL server on which the login may make databases, as host or host:port";
            reader.fault("--server", None, needed);
        }
        (Platform::MySql, _) => {
            let problem = "the demo has no words for it; accepted are SQLite and PostgreSQL";
            reader.fault("--platform", Some("MySQL"), problem);
        }
        _ => {}
    }
    server
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(
        platform: Option<&str>,
        server: Option<&str>,
        targets: &str,
    ) -> Result<DemoSettings, Faults> {
        let typed = DemoArguments {
            targets: Some(targets.into()),
            platform: platform.map(str::to_owned),
            server: server.map(str::to_owned),
            login: LoginArguments {
                username: platform.map(|_| "me".to_owned()),
                ..LoginArguments::default()
            },
            ..DemoArguments::default()
        };
        DemoSettings::new(&typed, &|_| None)
    }

    #[test]
    fn the_demo_needs_a_server_only_where_there_are_servers() {
        assert_eq!(
            settings(None, None, "3").unwrap().platform,
            Platform::Sqlite
        );
        assert!(settings(None, Some("h"), "3").is_err());
        assert!(settings(Some("postgresql"), Some("h"), "3").is_ok());
        assert!(settings(Some("postgresql"), None, "3").is_err());
        assert!(settings(Some("mysql"), Some("h"), "3").is_err());
    }

    #[test]
    fn the_fleet_has_a_size() {
        assert!(settings(None, None, "1").is_ok());
        for bad in ["0", "-1", "x", "10001"] {
            assert!(settings(None, None, bad).is_err(), "{bad}");
        }
    }
}
