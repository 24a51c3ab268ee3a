//! A fleet of databases on one platform, so that one test body serves every platform.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use rusqlite::{Connection, types::ValueRef};
use sbm::{
    engine::{self, Engine},
    protocol::{Connection as Login, Platform as Product},
};
use tempfile::TempDir;

use super::{
    mysql,
    postgres::{Databases, Server},
    program::{Program, Run},
    sql_server,
};

/// A platform that the tests can build on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Platform {
    Sqlite,
    Postgres,
    SqlServer,
    MySql,
}

/// Some databases, and a folder for package, list and logs.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(crate) platform: Platform,
    pub(crate) folder: TempDir,
    /// The databases' names.
    pub(crate) names: Vec<String>,
    postgres: Option<Databases>,
    sql_server: Option<sql_server::Databases>,
    mysql: Option<mysql::Databases>,
}

impl Fleet {
    /// `count` empty databases; none when the platform's server is missing, and then the test is skipped.
    pub(crate) fn new(platform: Platform, count: usize, test: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let (mut postgres, mut sql_server, mut mysql) = (None, None, None);
        let names = match platform {
            Platform::Sqlite => {
                fs::create_dir(folder.path().join("server")).unwrap();
                let names: Vec<String> = (0..count).map(|index| format!("db_{index}")).collect();
                for name in &names {
                    fs::write(folder.path().join("server").join(name), "").unwrap();
                }
                names
            }
            Platform::Postgres => {
                let databases = Server::for_test(test)?.databases(count);
                postgres.insert(databases).names.clone()
            }
            Platform::SqlServer => {
                let databases = sql_server::Server::for_test(test)?.databases(count);
                sql_server.insert(databases).names.clone()
            }
            Platform::MySql => {
                let databases = mysql::Server::for_test(test)?.databases(count);
                mysql.insert(databases).names.clone()
            }
        };
        Some(Self {
            platform,
            folder,
            names,
            postgres,
            sql_server,
            mysql,
        })
    }

    /// The server of all databases, as a target list names it.
    pub(crate) fn server(&self) -> String {
        match (&self.postgres, &self.sql_server, &self.mysql) {
            (Some(databases), ..) => databases.server.name(),
            (_, Some(databases), _) => databases.server.name(),
            (.., Some(databases)) => databases.server.name(),
            _ => self.folder.path().join("server").display().to_string(),
        }
    }

    /// Runs statements in the database with this number; the rows of the last one that returns any.
    pub(crate) fn sql(&self, index: usize, sql: &str) -> Vec<Vec<String>> {
        let name = &self.names[index];
        match (&self.postgres, &self.sql_server, &self.mysql) {
            (Some(databases), ..) => databases.server.run(name, sql),
            (_, Some(databases), _) => databases.server.run(name, sql),
            (.., Some(databases)) => {
                // Names of tables have their case there.
                let sql = sql
                    .replace("SqlBuild_Logging", "sqlbuild_logging")
                    .replace("SqlBuild_Ledger", "sqlbuild_ledger");
                databases.server.run(name, &sql)
            }
            _ => sqlite(&self.path_of(index), sql),
        }
    }

    /// The first cell of a query, as text.
    pub(crate) fn value(&self, index: usize, sql: &str) -> String {
        self.sql(index, sql)[0][0].clone()
    }

    /// How many rows a table has; none when there is no such table.
    pub(crate) fn rows(&self, index: usize, table: &str) -> Option<u64> {
        self.has_table(index, table).then(|| {
            self.value(index, &format!("SELECT count(*) FROM {table}"))
                .parse()
                .unwrap()
        })
    }

    pub(crate) fn has_table(&self, index: usize, table: &str) -> bool {
        let table = table.to_lowercase();
        let sql = match self.platform {
            Platform::Postgres => {
                format!("SELECT count(*) FROM pg_tables WHERE tablename = '{table}'")
            }
            Platform::SqlServer => {
                format!("SELECT count(*) FROM sys.tables WHERE lower(name) = '{table}'")
            }
            Platform::MySql => format!(
                "SELECT count(*) FROM information_schema.tables WHERE table_schema = DATABASE() \
                 AND lower(table_name) = '{table}'"
            ),
            Platform::Sqlite => {
                format!("SELECT count(*) FROM sqlite_master WHERE lower(name) = '{table}'")
            }
        };
        self.value(index, &sql) != "0"
    }

    /// The MySQL server of the fleet.
    pub(crate) fn mysql(&self) -> &mysql::Server {
        &self.mysql.as_ref().unwrap().server
    }

    /// The file of a SQLite database.
    pub(crate) fn path_of(&self, index: usize) -> PathBuf {
        self.folder.path().join("server").join(&self.names[index])
    }

    /// Writes a folder package of these files; its path.
    pub(crate) fn package(&self, files: &[(&str, &str)]) -> PathBuf {
        let package = self.folder.path().join("package");
        if package.exists() {
            fs::remove_dir_all(&package).unwrap();
        }
        for (name, content) in files {
            let path = package.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        package
    }

    /// Writes a target list of these lines; its path.
    pub(crate) fn list(&self, lines: &[String]) -> PathBuf {
        let path = self.folder.path().join("targets.cfg");
        fs::write(&path, lines.join("\n")).unwrap();
        path
    }

    /// One line per database.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.names
            .iter()
            .map(|name| format!("{}:{name}", self.server()))
            .collect()
    }

    /// The folder for logs.
    pub(crate) fn logs(&self) -> PathBuf {
        self.folder.path().join("logs")
    }

    /// `sbm threaded run` on all databases with the package that was written last; more options may follow.
    pub(crate) fn threaded_run(&self) -> Program {
        let list = self.list(&self.lines());
        self.threaded_run_on(&list)
    }

    /// The same with another target list.
    pub(crate) fn threaded_run_on(&self, list: &std::path::Path) -> Program {
        let program = Program::new(["threaded", "run"])
            .option("--packagename", self.folder.path().join("package"))
            .option("--override", list)
            .option("--rootloggingpath", self.logs());
        self.login(program)
    }

    /// `sbm threaded query` on all databases; more options may follow.
    pub(crate) fn threaded_query(&self, text: &str) -> Program {
        let list = self.list(&self.lines());
        self.threaded_query_on(&list, text)
    }

    /// The same with another target list.
    pub(crate) fn threaded_query_on(&self, list: &std::path::Path, text: &str) -> Program {
        let file = self.folder.path().join("query.sql");
        fs::write(&file, text).unwrap();
        let program = Program::new(["threaded", "query"])
            .option("--queryfile", file)
            .option("--override", list)
            .option("--rootloggingpath", self.logs());
        self.login(program)
    }

    /// Platform and login.
    pub(crate) fn login(&self, program: Program) -> Program {
        match (&self.postgres, &self.sql_server, &self.mysql) {
            (Some(databases), ..) => program
                .option("--platform", "PostgreSQL")
                .option("--username", databases.server.user()),
            (.., Some(databases)) => program
                .option("--platform", "MySQL")
                .option("--username", databases.server.user())
                .variable("SBM_PASSWORD", databases.server.password()),
            (_, Some(databases), _) => program
                .option("--platform", "SqlServer")
                .option("--trustservercertificate", "true")
                .option("--username", databases.server.user())
                .variable("SBM_PASSWORD", databases.server.password()),
            _ => program.option("--platform", "SQLite"),
        }
    }

    /// The engine that reaches the databases.
    pub(crate) fn engine(&self) -> Arc<dyn Engine> {
        let (product, login, password) = match (&self.postgres, &self.sql_server, &self.mysql) {
            (Some(databases), ..) => {
                let login = Login {
                    user: Some(databases.server.user().to_owned()),
                    connect_timeout: Duration::from_secs(30),
                    ..Login::default()
                };
                (Product::PostgreSql, login, None)
            }
            (.., Some(databases)) => {
                let password = databases.server.password().to_owned();
                let login = databases.server.connection();
                (Product::MySql, login, Some(password.into()))
            }
            (_, Some(databases), _) => {
                let password = databases.server.password().to_owned();
                let login = databases.server.connection();
                (Product::SqlServer, login, Some(password.into()))
            }
            _ => (Product::Sqlite, Login::default(), None),
        };
        engine::connect(product, &login, password, None).unwrap()
    }

    /// Builds all databases with a package of these files.
    pub(crate) fn build(&self, files: &[(&str, &str)]) -> Run {
        self.package(files);
        self.threaded_run().run()
    }
}

fn sqlite(path: &std::path::Path, sql: &str) -> Vec<Vec<String>> {
    let connection = Connection::open(path).unwrap();
    connection
        .busy_timeout(std::time::Duration::from_secs(10))
        .unwrap();
    let mut all = Vec::new();
    let mut batch = rusqlite::Batch::new(&connection, sql);
    while let Some(mut statement) = rusqlite::fallible_iterator::FallibleIterator::next(&mut batch)
        .unwrap_or_else(|error| panic!("{sql}: {error}"))
    {
        let columns = statement.column_count();
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next().unwrap_or_else(|error| panic!("{sql}: {error}")) {
            all.push(
                (0..columns)
                    .map(|column| cell(row.get_ref(column).unwrap()))
                    .collect(),
            );
        }
    }
    all
}

fn cell(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(text) | ValueRef::Blob(text) => String::from_utf8_lossy(text).into_owned(),
    }
}

/// Makes a test of `body(Fleet)` on each platform: `on_each_platform!(name, databases, |fleet| { … });`
macro_rules! on_each_platform {
    ($name:ident, $count:expr, $body:expr) => {
        mod $name {
            #[allow(unused_imports, reason = "not every body needs what its file imports")]
            use super::*;

            fn body(platform: $crate::support::fleet::Platform, test: &str) {
                let body: fn($crate::support::fleet::Fleet) = $body;
                if let Some(fleet) = $crate::support::fleet::Fleet::new(platform, $count, test) {
                    body(fleet);
                }
            }

            #[test]
            fn on_sqlite() {
                body(
                    $crate::support::fleet::Platform::Sqlite,
                    concat!(module_path!(), "::on_sqlite"),
                );
            }

            #[test]
            fn on_postgresql() {
                body(
                    $crate::support::fleet::Platform::Postgres,
                    concat!(module_path!(), "::on_postgresql"),
                );
            }

            #[test]
            fn on_sql_server() {
                body(
                    $crate::support::fleet::Platform::SqlServer,
                    concat!(module_path!(), "::on_sql_server"),
                );
            }

            #[test]
            fn on_mysql() {
                body(
                    $crate::support::fleet::Platform::MySql,
                    concat!(module_path!(), "::on_mysql"),
                );
            }
        }
    };
}
pub(crate) use on_each_platform;
