//! The engine contract on each platform. A new engine adds a module here.

mod sqlite {
    use std::sync::Arc;

    use sbm::engine::Sqlite;

    use crate::contract::{
        endings::{Ending, nothing_stays},
        engine::{Fixture, Words, engine_contract},
    };

    const ENDINGS: &[Ending] = &[
        nothing_stays("COMMIT"),
        nothing_stays("END TRANSACTION"),
        nothing_stays("COMMIT; SELECT * FROM no_such_table"),
        nothing_stays("COMMIT; BEGIN; INSERT INTO t VALUES (2)"),
        nothing_stays("ROLLBACK"),
        nothing_stays("ROLLBACK; INSERT INTO t VALUES (2)"),
        nothing_stays("ROLLBACK; BEGIN; INSERT INTO t VALUES (2); COMMIT"),
        nothing_stays("INSERT OR ROLLBACK INTO t VALUES (1)"),
        nothing_stays(
            "CREATE TRIGGER r BEFORE INSERT ON t BEGIN SELECT RAISE(ROLLBACK, 'no'); END; INSERT INTO t VALUES (2)",
        ),
    ];

    const WORDS: Words = Words {
        endings: ENDINGS,
        begins: "BEGIN TRANSACTION",
        wide: "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 256) \
               SELECT hex(zeroblob(500000)) FROM n",
        running: None,
        hides_tables: "CREATE TEMP TABLE SqlBuild_Ledger (x); CREATE TEMP TABLE SqlBuild_Logging (x)",
        old_audit_table: "CREATE TABLE SqlBuild_Logging (BuildFileName varchar(300) NOT NULL, \
            ScriptFileName varchar(300) NOT NULL, ScriptId text, ScriptFileHash varchar(100), \
            CommitDate timestamp NOT NULL, Sequence int, UserId varchar(50), AllowScriptBlock boolean DEFAULT 1, \
            AllowBlockUpdateId varchar(50)); \
            INSERT INTO SqlBuild_Logging (BuildFileName, ScriptFileName, CommitDate, Sequence) \
            VALUES ('old.sbm', 'old.sql', '2001-02-03 04:05:06', 7)",
        table_of_values: "CREATE TABLE v (id int PRIMARY KEY, number int, truth int, words text, ident text, moment text)",
    };

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
            words: WORDS,
        };
        Some((fixture, folder))
    }

    engine_contract!(fixture);
}

mod postgresql {
    use std::{sync::Arc, time::Duration};

    use sbm::{engine::Postgres, protocol::Connection};

    use crate::{
        contract::{
            endings::{Ending, nothing_stays, stays},
            engine::{Fixture, Words, engine_contract},
        },
        support::postgres::{Databases, Server},
    };

    const ENDINGS: &[Ending] = &[
        stays("COMMIT"),
        stays("END"),
        stays("COMMIT AND CHAIN"),
        stays("COMMIT; BEGIN; INSERT INTO t VALUES (2)"),
        stays("COMMIT; SELECT * FROM no_such_table"),
        stays("COMMIT; BEGIN; SELECT * FROM no_such_table"),
        stays("ROLLBACK; INSERT INTO t VALUES (2)"),
        nothing_stays("ROLLBACK"),
        nothing_stays("ROLLBACK AND CHAIN"),
        nothing_stays("ROLLBACK; BEGIN; INSERT INTO t VALUES (2)"),
        nothing_stays("ROLLBACK; BEGIN; SELECT * FROM no_such_table"),
    ];

    const WORDS: Words = Words {
        endings: ENDINGS,
        begins: "BEGIN TRANSACTION",
        wide: "SELECT repeat('x', 1000000) FROM generate_series(1, 256)",
        running: Some(
            "pg_stat_activity WHERE datname = current_database() AND state = 'active' AND wait_event = 'PgSleep'",
        ),
        hides_tables: "CREATE TEMP TABLE sqlbuild_ledger (x int); CREATE TEMP TABLE sqlbuild_logging (x int); \
                       SET search_path TO nowhere",
        old_audit_table: "CREATE TABLE sqlbuild_logging (buildfilename varchar(300) NOT NULL, \
            scriptfilename varchar(300) NOT NULL, scriptid uuid, scriptfilehash varchar(100), \
            commitdate timestamp NOT NULL DEFAULT now(), sequence int NOT NULL DEFAULT 0, userid varchar(50), \
            allowscriptblock boolean NOT NULL DEFAULT true, allowblockupdateid varchar(50), scripttext text, \
            tag varchar(200), buildrequestedby varchar(50), description varchar(150)); \
            INSERT INTO sqlbuild_logging (buildfilename, scriptfilename, commitdate, sequence) \
            VALUES ('old.sbm', 'old.sql', '2001-02-03 04:05:06', 7)",
        table_of_values: "CREATE TABLE v (id int PRIMARY KEY, number bigint, truth boolean, words text, ident uuid, \
            moment timestamp)",
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
            words: WORDS,
        };
        Some((fixture, databases))
    }

    engine_contract!(fixture);
}

mod sql_server {
    use std::sync::Arc;

    use sbm::engine::SqlServer;

    use crate::{
        contract::{
            endings::{Ending, nothing_stays, stays},
            engine::{Fixture, Words, engine_contract},
        },
        support::sql_server::{Databases, Server},
    };

    const ENDINGS: &[Ending] = &[
        stays("COMMIT"),
        stays("COMMIT; BEGIN TRANSACTION; INSERT INTO t VALUES (2)"),
        stays("COMMIT; SELECT * FROM no_such_table"),
        stays("BEGIN TRANSACTION; COMMIT; COMMIT"),
        stays("ROLLBACK; INSERT INTO t VALUES (2)"),
        stays("ROLLBACK; BEGIN TRANSACTION; INSERT INTO t VALUES (2); COMMIT"),
        nothing_stays("ROLLBACK"),
        nothing_stays("ROLLBACK; BEGIN TRANSACTION; INSERT INTO t VALUES (2)"),
        nothing_stays("BEGIN TRANSACTION; INSERT INTO t VALUES (2); ROLLBACK"),
        nothing_stays("SET XACT_ABORT ON; INSERT INTO t VALUES (1)"),
        nothing_stays(
            "BEGIN TRY INSERT INTO t VALUES (CAST('x' AS int)) END TRY BEGIN CATCH PRINT 'doomed' END CATCH",
        ),
    ];

    const WORDS: Words = Words {
        endings: ENDINGS,
        begins: "BEGIN TRANSACTION",
        wide: "SELECT TOP 256 REPLICATE(CAST('x' AS varchar(max)), 1000000) FROM sys.all_objects",
        running: Some("sys.dm_exec_requests WHERE database_id = DB_ID() AND wait_type = 'WAITFOR'"),
        hides_tables: "CREATE TABLE #SqlBuild_Ledger (x int); CREATE TABLE #SqlBuild_Logging (x int)",
        old_audit_table: "CREATE TABLE dbo.SqlBuild_Logging (BuildFileName varchar(300) NOT NULL, \
            ScriptFileName varchar(300) NOT NULL, ScriptId uniqueidentifier, ScriptFileHash varchar(100), \
            CommitDate datetime NOT NULL, Sequence int, UserId varchar(50), \
            AllowScriptBlock bit CONSTRAINT DF_SqlBuildLogging_AllowScriptBlock DEFAULT 1, \
            AllowBlockUpdateId varchar(50), ScriptText text, Tag varchar(200), BuildRequestedBy varchar(50), \
            Description varchar(50)); \
            INSERT INTO dbo.SqlBuild_Logging (BuildFileName, ScriptFileName, CommitDate, Sequence) \
            VALUES ('old.sbm', 'old.sql', '2001-02-03T04:05:06', 7)",
        table_of_values: "CREATE TABLE v (id int PRIMARY KEY, number bigint, truth bit, words nvarchar(max), \
            ident uniqueidentifier, moment datetime2(6))",
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
            words: WORDS,
        };
        Some((fixture, databases))
    }

    engine_contract!(fixture);
}

mod mysql {
    use std::sync::Arc;

    use sbm::engine::MySql;

    use crate::{
        contract::{
            endings::{Ending, nothing_stays, stays},
            engine::{Fixture, Words, engine_contract},
        },
        support::mysql::{Databases, Server},
    };

    const ENDINGS: &[Ending] = &[
        stays("COMMIT"),
        stays("COMMIT AND CHAIN"),
        stays("COMMIT; BEGIN; INSERT INTO t VALUES (2)"),
        stays("COMMIT; SELECT * FROM no_such_table"),
        stays("START TRANSACTION"),
        stays("CREATE TABLE more (id int)"),
        stays("CREATE TABLE t (id int)"),
        stays("TRUNCATE TABLE more; INSERT INTO t VALUES (2)"),
        stays("BEGIN NOT ATOMIC COMMIT; START TRANSACTION; END"),
        stays("BEGIN NOT ATOMIC COMMIT; SELECT * FROM no_such_table; END"),
        nothing_stays("ROLLBACK"),
        nothing_stays("SET autocommit = 0"),
        // Nobody looks into it, so the build ends here.
        nothing_stays("PREPARE s FROM 'COMMIT'"),
        nothing_stays("ROLLBACK AND CHAIN"),
        nothing_stays("ROLLBACK; INSERT INTO t VALUES (2)"),
    ];

    const WORDS: Words = Words {
        endings: ENDINGS,
        begins: "START TRANSACTION",
        wide: "SELECT repeat('x', 1000000) FROM seq_1_to_256",
        running: Some(
            "information_schema.processlist WHERE db = DATABASE() AND info LIKE 'SELECT SLEEP%'",
        ),
        hides_tables: "CREATE TEMPORARY TABLE sqlbuild_ledger (x int); \
            CREATE TEMPORARY TABLE sqlbuild_logging (x int); SET SESSION sql_mode = 'ANSI_QUOTES,ORACLE'; \
            SET NAMES latin1; SET sql_select_limit = 0; SET SESSION sql_safe_updates = 1; USE information_schema",
        old_audit_table: "CREATE TABLE sqlbuild_logging (buildfilename varchar(300) NOT NULL, \
            scriptfilename varchar(300) NOT NULL, scriptid char(36), scriptfilehash varchar(100), \
            commitdate datetime(6) NOT NULL, sequence int NOT NULL DEFAULT 0, userid varchar(50), \
            allowscriptblock tinyint(1) NOT NULL DEFAULT 1, allowblockupdateid varchar(50), scripttext longtext, \
            tag varchar(200), buildrequestedby varchar(50), description varchar(150)); \
            INSERT INTO sqlbuild_logging (buildfilename, scriptfilename, commitdate, sequence) \
            VALUES ('old.sbm', 'old.sql', '2001-02-03 04:05:06', 7)",
        table_of_values: "CREATE TABLE v (id int PRIMARY KEY, number bigint, truth tinyint(1), words longtext, \
            ident char(36), moment datetime(6))",
    };

    fn fixture(test: &str) -> Option<(Fixture, Databases)> {
        let server = Server::for_test(test)?;
        let databases = server.databases(1);
        let password = Some(server.password().into());
        let fixture = Fixture {
            engine: Arc::new(MySql::new(&server.connection(), password).unwrap()),
            server: server.name(),
            database: databases.names[0].clone(),
            endless: "SELECT SLEEP(600)",
            many: "SELECT seq, 'x' FROM seq_1_to_100000",
            commits: "COMMIT",
            refuses_commits: false,
            words: WORDS,
        };
        Some((fixture, databases))
    }

    engine_contract!(fixture);
}
