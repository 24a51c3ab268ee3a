//! The engine contract on each platform. A new engine adds a module here.

mod sqlite {
    use std::sync::Arc;

    use sbm::engine::Sqlite;

    use crate::contract::engine::{Fixture, engine_contract};

    fn fixture(_: &str) -> Option<(Fixture, tempfile::TempDir)> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.db"), "").unwrap();
        let fixture = Fixture {
            engine: Arc::new(Sqlite::new()),
            server: folder.path().display().to_string(),
            database: "a.db".into(),
            endless: "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
            many: "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) SELECT i, 'x' FROM n",
            commits: "COMMIT",
            refuses_commits: true,
        };
        Some((fixture, folder))
    }

    engine_contract!(fixture);
}

mod postgresql {
    use std::{sync::Arc, time::Duration};

    use sbm::{engine::Postgres, protocol::Connection};

    use crate::{
        contract::engine::{Fixture, engine_contract},
        support::postgres::{Databases, Server},
    };

    fn fixture(test: &str) -> Option<(Fixture, Databases)> {
        let server = Server::for_test(test)?;
        let databases = server.databases(1);
        let connection = Connection {
            user: Some(server.user().to_owned()),
            connect_timeout: Duration::from_secs(20),
            ..Connection::default()
        };
        let fixture = Fixture {
            engine: Arc::new(Postgres::new(&connection, None, None).unwrap()),
            server: server.name(),
            database: databases.names[0].clone(),
            endless: "SELECT pg_sleep(600)",
            many: "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) SELECT i, 'x' FROM n",
            commits: "COMMIT",
            refuses_commits: false,
        };
        Some((fixture, databases))
    }

    engine_contract!(fixture);
}

mod sql_server {
    use std::sync::Arc;

    use sbm::engine::SqlServer;

    use crate::{
        contract::engine::{Fixture, engine_contract},
        support::sql_server::{Databases, Server},
    };

    fn fixture(test: &str) -> Option<(Fixture, Databases)> {
        let server = Server::for_test(test)?;
        let databases = server.databases(1);
        let password = Some(server.password().into());
        let fixture = Fixture {
            engine: Arc::new(SqlServer::new(&server.connection(), password, None).unwrap()),
            server: server.name(),
            database: databases.names[0].clone(),
            endless: "WAITFOR DELAY '00:10:00'",
            many: "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) \
                   SELECT i, 'x' FROM n OPTION (MAXRECURSION 0)",
            commits: "COMMIT",
            refuses_commits: false,
        };
        Some((fixture, databases))
    }

    engine_contract!(fixture);
}
