//! What reading promises on each platform: `Session::read`.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sbm::engine::{Answer, Error, Session};
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::support::{
    fleet::{Fleet, Platform, on_each_platform},
    postgres::runtime,
};

/// Long enough for everything that is to succeed.
const PATIENCE: Duration = Duration::from_secs(600);

/// What platforms do not share.
struct Words {
    /// Makes the server write values in other ways, for all sessions of the database.
    settings: fn(&str) -> String,
    /// A query of one value of each type, and how its cells read.
    cells: &'static [(&'static str, Option<&'static str>)],
    /// Texts that would change something if they were run; there is a table `t (id int)` with one row.
    changes: &'static [&'static str],
    /// A query that runs for minutes.
    endless: &'static str,
    /// Where the server shows that it still runs: what follows `SELECT count(*) FROM`.
    running: Option<&'static str>,
    /// A query of the numbers from 1 to 100,000.
    many: &'static str,
    /// A query of one text of 5,000,000 letters.
    wide: &'static str,
}

fn words(platform: Platform) -> &'static Words {
    match platform {
        Platform::Sqlite => &SQLITE,
        Platform::Postgres => &POSTGRES,
        Platform::SqlServer => &SQL_SERVER,
        Platform::MySql => &MYSQL,
    }
}

const SQLITE: Words = Words {
    settings: |_| "SELECT 1".into(),
    cells: &[
        ("1", Some("1")),
        ("-9223372036854775807 - 1", Some("-9223372036854775808")),
        ("0.1", Some("0.1")),
        ("1.0", Some("1")),
        ("1e300", Some("1e300")),
        (
            "'it''s \"x\", ä' || char(10) || ';'",
            Some("it's \"x\", ä\n;"),
        ),
        ("x'00ABff'", Some("0x00ABFF")),
        ("''", Some("")),
        ("NULL", None),
    ],
    changes: &[
        "INSERT INTO t VALUES (2)",
        "DELETE FROM t",
        "WITH x AS (SELECT 1) DELETE FROM t",
        "WITH x AS (SELECT 1 AS a) INSERT INTO t SELECT a FROM x",
        "SELECT 1; DELETE FROM t",
        "DROP TABLE t",
        "PRAGMA user_version = 7",
        "ATTACH ':memory:' AS m",
        "VACUUM",
        "BEGIN",
        "SELECT 1 /* */; /* */ COMMIT",
        "EXPLAIN DELETE FROM t; DELETE FROM t",
    ],
    endless: "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
    running: None,
    many: "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) SELECT i FROM n",
    wide: "SELECT replace(hex(zeroblob(2500000)), '0', 'x')",
};

const POSTGRES: Words = Words {
    settings: |database| {
        [
            "datestyle = 'SQL, DMY'",
            "intervalstyle = 'iso_8601'",
            "bytea_output = 'escape'",
            "timezone = 'Asia/Kolkata'",
            "extra_float_digits = -10",
        ]
        .map(|setting| format!("ALTER DATABASE {database} SET {setting}"))
        .join("; ")
    },
    cells: &[
        ("1::smallint", Some("1")),
        (
            "(-9223372036854775808)::bigint",
            Some("-9223372036854775808"),
        ),
        ("1234567.8900::numeric(20,4)", Some("1234567.8900")),
        ("0.1::float8 + 0.2::float8", Some("0.30000000000000004")),
        ("1e300::float8", Some("1e300")),
        ("0.1::real", Some("0.1")),
        ("'NaN'::float8", Some("NaN")),
        ("true", Some("true")),
        ("false", Some("false")),
        ("date '2024-01-02'", Some("2024-01-02")),
        ("time '03:04:05.5'", Some("03:04:05.5")),
        (
            "timestamp '2024-01-02 03:04:05.123456'",
            Some("2024-01-02 03:04:05.123456"),
        ),
        (
            "timestamptz '2024-01-02 03:04:05+05:30'",
            Some("2024-01-01 21:34:05+00:00"),
        ),
        ("interval '1 day 2 hours'", Some("1 day 02:00:00")),
        ("'\\x00abff'::bytea", Some("0x00ABFF")),
        (
            "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'::uuid",
            Some("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        ),
        ("'{\"a\":1}'::jsonb", Some("{\"a\": 1}")),
        ("ARRAY[1,2]", Some("{1,2}")),
        ("row(1, 'x')", Some("(1,x)")),
        (
            "'it''s \"x\", ä' || chr(10) || ';'",
            Some("it's \"x\", ä\n;"),
        ),
        ("''", Some("")),
        ("NULL::int", None),
    ],
    changes: &[
        "INSERT INTO t VALUES (2)",
        "DELETE FROM t",
        "WITH x AS (DELETE FROM t RETURNING id) SELECT * FROM x",
        "WITH x AS (SELECT 1) INSERT INTO t VALUES (2) RETURNING id",
        "SELECT 1; DELETE FROM t",
        "SELECT 1; COMMIT; DELETE FROM t",
        "DROP TABLE t",
        "SELECT * INTO s FROM t",
        "SELECT nextval('q')",
        "SELECT changes()",
        "EXPLAIN ANALYZE DELETE FROM t",
        "DO $$ BEGIN DELETE FROM t; END $$",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
        "SELECT set_config('transaction_read_only', 'off', false), changes()",
        "COPY t TO PROGRAM 'true'",
        "COMMIT",
    ],
    endless: "SELECT pg_sleep(600)",
    running: Some(
        "pg_stat_activity WHERE datname = current_database() AND state = 'active' AND wait_event = 'PgSleep'",
    ),
    many: "SELECT i FROM generate_series(1, 100000) AS i",
    wide: "SELECT repeat('x', 5000000)",
};

const SQL_SERVER: Words = Words {
    settings: |_| "SELECT 1".into(),
    cells: &[
        ("CAST(255 AS tinyint)", Some("255")),
        (
            "CAST(-9223372036854775808 AS bigint)",
            Some("-9223372036854775808"),
        ),
        ("CAST(-0.05 AS decimal(10,2))", Some("-0.05")),
        ("CAST(1234567.89 AS money)", Some("1234567.8900")),
        ("CAST(0.1 AS float)", Some("0.1")),
        ("CAST(1e300 AS float)", Some("1e300")),
        ("CAST(1 AS bit)", Some("true")),
        ("CAST('2024-01-02' AS date)", Some("2024-01-02")),
        ("CAST('03:04:05.5' AS time(3))", Some("03:04:05.500")),
        (
            "CAST('2024-01-02T03:04:05.123456' AS datetime2(6))",
            Some("2024-01-02 03:04:05.123456"),
        ),
        (
            "CAST('2024-01-02T03:04:05.997' AS datetime)",
            Some("2024-01-02 03:04:05.997"),
        ),
        (
            "CAST('2024-01-02T03:04:05+05:30' AS datetimeoffset(0))",
            Some("2024-01-02 03:04:05+05:30"),
        ),
        ("0x00ABff", Some("0x00ABFF")),
        (
            "CAST('A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11' AS uniqueidentifier)",
            Some("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        ),
        (
            "N'it''s \"x\", ä' + NCHAR(10) + N';'",
            Some("it's \"x\", ä\n;"),
        ),
        ("''", Some("")),
        ("CAST(NULL AS int)", None),
    ],
    changes: &[
        "INSERT INTO t VALUES (2)",
        "DELETE FROM t",
        "SELECT 1 DELETE FROM t",
        "SELECT 1 COMMIT DELETE FROM t",
        "WITH x AS (SELECT id FROM t) DELETE FROM x",
        "SELECT * INTO s FROM t",
        "DROP TABLE t",
        "EXEC('DELETE FROM t')",
        "SELECT 1; COMMIT; DELETE FROM t",
        "TRUNCATE TABLE t",
        "MERGE t USING (SELECT 1 AS a) AS s ON 1 = 1 WHEN MATCHED THEN DELETE;",
    ],
    endless: "SELECT COUNT_BIG(*) FROM sys.all_columns a CROSS JOIN sys.all_columns b CROSS JOIN sys.all_columns c",
    running: Some(
        "sys.dm_exec_requests WHERE database_id = DB_ID() AND command = 'SELECT' AND session_id <> @@SPID",
    ),
    many: "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) SELECT i FROM n OPTION (MAXRECURSION 0)",
    wide: "SELECT REPLICATE(CAST('x' AS varchar(max)), 5000000)",
};

const MYSQL: Words = Words {
    settings: |_| "SELECT 1".into(),
    cells: &[
        ("CAST(-1 AS signed)", Some("-1")),
        ("18446744073709551615", Some("18446744073709551615")),
        ("CAST(1234567.89 AS decimal(20,4))", Some("1234567.8900")),
        ("0.1e0 + 0.2e0", Some("0.30000000000000004")),
        ("1e300", Some("1e300")),
        ("true", Some("1")),
        ("b'1' + 0", Some("1")),
        ("date '2024-01-02'", Some("2024-01-02")),
        ("time '-03:04:05.5'", Some("-03:04:05.5")),
        (
            "timestamp '2024-01-02 03:04:05.123456'",
            Some("2024-01-02 03:04:05.123456"),
        ),
        ("from_unixtime(0)", Some("1970-01-01 00:00:00")),
        ("x'00ABff'", Some("0x00ABFF")),
        (
            "lower('A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11')",
            Some("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        ),
        ("json_object('a', 1)", Some("{\"a\": 1}")),
        (
            "concat('it''s \"x\", ä', char(10 USING utf8mb4), ';')",
            Some("it's \"x\", ä\n;"),
        ),
        ("''", Some("")),
        ("NULL", None),
    ],
    changes: &[
        "INSERT INTO t VALUES (2)",
        "INSERT INTO t VALUES (2) RETURNING id",
        "DELETE FROM t",
        "REPLACE INTO t VALUES (2)",
        "TRUNCATE TABLE t",
        "DROP TABLE t",
        "SELECT 1; DELETE FROM t",
        "SELECT 1; COMMIT; DELETE FROM t",
        "SELECT 1 /*! ; COMMIT; DELETE FROM t */",
        "/*! DELETE FROM t */",
        "/*!99999 SELECT */ DELETE FROM t",
        "DELIMITER //\nSELECT 1; COMMIT; DELETE FROM t//",
        "SELECT id FROM t INTO OUTFILE 'out'",
        "SELECT changes()",
        "SELECT nextval(q)",
        "SET @a = 1",
        "DO changes()",
        "PREPARE s FROM 'DELETE FROM t'",
        "COMMIT",
    ],
    endless: "SELECT SLEEP(600)",
    running: Some(
        "information_schema.processlist WHERE db = DATABASE() AND info LIKE 'SELECT SLEEP%'",
    ),
    many: "SELECT seq FROM seq_1_to_100000",
    wide: "SELECT repeat('x', 5000000)",
};

async fn connect(fleet: &Fleet) -> Box<dyn Session> {
    let engine = fleet.engine();
    engine
        .connect(&fleet.server(), &fleet.names[0])
        .await
        .unwrap()
}

/// Reads an answer to its end.
async fn read_with(session: &mut dyn Session, query: &str) -> (Result<u64, Error>, Vec<Answer>) {
    let (to, mut from) = mpsc::channel(16);
    let stop = CancellationToken::new();
    let collect = async {
        let mut all = Vec::new();
        while let Some(answer) = from.recv().await {
            all.push(answer);
        }
        all
    };
    let reading = async move { session.read(query, PATIENCE, &stop, &to).await };
    tokio::join!(reading, collect)
}

/// Reads an answer to its end; columns and rows.
fn read(fleet: &Fleet, query: &str) -> (Vec<String>, Vec<Vec<Option<String>>>) {
    let (result, answers) =
        runtime().block_on(async { read_with(&mut *connect(fleet).await, query).await });
    let count = result.unwrap_or_else(|error| panic!("{query}: {error}"));
    let mut answers = answers.into_iter();
    let Some(Answer::Columns(columns)) = answers.next() else {
        panic!("{query}: the columns come first");
    };
    let rows: Vec<_> = answers
        .map(|answer| match answer {
            Answer::Row(row) => row,
            Answer::Columns(_) => panic!("{query}: the columns come once"),
        })
        .collect();
    assert_eq!(count, rows.len() as u64, "{query}");
    (columns, rows)
}

on_each_platform!(cells_are_text_that_depends_on_no_setting, 1, |fleet| {
    let words = words(fleet.platform);
    fleet.sql(0, &(words.settings)(&fleet.names[0]));
    let values: Vec<&str> = words.cells.iter().map(|(value, _)| *value).collect();
    let (columns, rows) = read(&fleet, &format!("SELECT {}", values.join(", ")));
    assert_eq!((columns.len(), rows.len()), (values.len(), 1));
    for ((value, expected), cell) in words.cells.iter().zip(&rows[0]) {
        assert_eq!(cell.as_deref(), *expected, "{value}");
    }
});

on_each_platform!(no_text_changes_anything, 1, |fleet| {
    fleet.sql(0, "CREATE TABLE t (id int); INSERT INTO t VALUES (1)");
    if fleet.platform == Platform::Postgres {
        fleet.sql(
            0,
            "CREATE SEQUENCE q; CREATE FUNCTION changes() RETURNS int LANGUAGE plpgsql AS \
             $$ BEGIN DELETE FROM t; RETURN 1; END $$",
        );
    }
    if fleet.platform == Platform::MySql {
        fleet.sql(
            0,
            "CREATE SEQUENCE q; CREATE FUNCTION changes() RETURNS int BEGIN DELETE FROM t; RETURN 1; END",
        );
    }
    for text in words(fleet.platform).changes {
        let (result, _) =
            runtime().block_on(async { read_with(&mut *connect(&fleet).await, text).await });
        let error = result.expect_err(text);
        assert!(
            matches!(error, Error::NotAQuery(_) | Error::Sql(_)),
            "{text}: {error:?}"
        );
        assert_eq!(fleet.rows(0, "t"), Some(1), "{text}");
        assert!(!fleet.has_table(0, "s"), "{text}");
    }
    if fleet.platform == Platform::Postgres {
        assert_eq!(fleet.value(0, "SELECT is_called FROM q"), "f");
    }
});

on_each_platform!(
    a_session_reads_on_after_a_refusal_and_an_error,
    1,
    |fleet| {
        runtime().block_on(async {
            let mut session = connect(&fleet).await;
            for text in ["DELETE FROM t", "SELECT x FROM no_such_table"] {
                assert!(read_with(&mut *session, text).await.0.is_err());
            }
            let (result, answers) = read_with(&mut *session, "SELECT 1 AS a").await;
            assert_eq!((result.unwrap(), answers.len()), (1, 2));
        });
    }
);

/// Nothing of the endless query goes on on the server.
fn ends_on_the_server(fleet: &Fleet) {
    let Some(running) = words(fleet.platform).running else {
        return;
    };
    let query = format!("SELECT count(*) FROM {running}");
    for _ in 0..600 {
        if fleet.value(0, &query) == "0" {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("the query goes on after a minute");
}

on_each_platform!(a_query_that_takes_too_long_is_cancelled, 1, |fleet| {
    let error = runtime().block_on(async {
        let mut session = connect(&fleet).await;
        let (to, _from) = mpsc::channel(16);
        let (limit, stop) = (Duration::from_millis(300), CancellationToken::new());
        let reading = session.read(words(fleet.platform).endless, limit, &stop, &to);
        timeout(PATIENCE, reading).await.unwrap().unwrap_err()
    });
    assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
    ends_on_the_server(&fleet);
});

on_each_platform!(a_query_is_stopped_on_request, 1, |fleet| {
    let error = runtime().block_on(async {
        let mut session = connect(&fleet).await;
        let (to, _from) = mpsc::channel(16);
        let stop = CancellationToken::new();
        let later = stop.clone();
        tokio::spawn(async move {
            sleep(Duration::from_millis(300)).await;
            later.cancel();
        });
        let reading = session.read(words(fleet.platform).endless, PATIENCE, &stop, &to);
        timeout(PATIENCE, reading).await.unwrap().unwrap_err()
    });
    assert!(matches!(error, Error::Stopped), "{error:?}");
    ends_on_the_server(&fleet);
});

/// A port in front of a server, which can fall silent for good.
struct Hush {
    name: String,
    is_silent: Arc<AtomicBool>,
}

impl Hush {
    fn before(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let name = listener.local_addr().unwrap().to_string();
        let is_silent = Arc::new(AtomicBool::new(false));
        let (silent, server) = (Arc::clone(&is_silent), server.to_owned());
        // The threads end with the process of the tests.
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = TcpStream::connect(&server).unwrap();
                let back = (server.try_clone().unwrap(), client.try_clone().unwrap());
                for (mut from, mut to) in [(client, server), back] {
                    let silent = Arc::clone(&silent);
                    std::thread::spawn(move || {
                        let mut buffer = [0; 8192];
                        while let Ok(length @ 1..) = from.read(&mut buffer) {
                            if !silent.load(Ordering::SeqCst)
                                && to.write_all(&buffer[..length]).is_err()
                            {
                                return;
                            }
                        }
                    });
                }
            }
        });
        Self { name, is_silent }
    }
}

#[test]
fn a_query_whose_server_falls_silent_is_bounded_from_its_first_statement_on() {
    // Far less than a statement of our own may take.
    const BOUND: Duration = Duration::from_secs(120);
    for platform in [Platform::Postgres, Platform::MySql] {
        let name = "reads::a_query_whose_server_falls_silent";
        let Some(fleet) = Fleet::new(platform, 1, name) else {
            continue;
        };
        for stops in [false, true] {
            let error = runtime().block_on(async {
                let hush = Hush::before(&fleet.server());
                let engine = fleet.engine();
                let connected = engine.connect(&hush.name, &fleet.names[0]).await;
                let mut session = connected.unwrap();
                hush.is_silent.store(true, Ordering::SeqCst);
                let (to, _from) = mpsc::channel(16);
                let stop = CancellationToken::new();
                let mut limit = Duration::from_secs(1);
                if stops {
                    stop.cancel();
                    limit = PATIENCE;
                }
                let reading = session.read("SELECT 1 AS a", limit, &stop, &to);
                timeout(BOUND, reading).await.unwrap().unwrap_err()
            });
            match stops {
                true => assert!(matches!(error, Error::Stopped), "{error:?}"),
                false => assert!(matches!(error, Error::Timeout { .. }), "{error:?}"),
            }
        }
    }
}

on_each_platform!(a_query_ends_when_nobody_reads, 1, |fleet| {
    runtime().block_on(async {
        let stop = CancellationToken::new();
        // In the middle of an answer, of which there is more than anybody buffers.
        let mut session = connect(&fleet).await;
        let (to, mut from) = mpsc::channel(1);
        let reader = tokio::spawn(async move {
            for _ in 0..3 {
                from.recv().await.unwrap();
            }
        });
        let reading = session.read(words(fleet.platform).many, PATIENCE, &stop, &to);
        timeout(PATIENCE, reading).await.unwrap().unwrap();
        reader.await.unwrap();

        // And while nothing comes.
        let mut session = connect(&fleet).await;
        let (to, from) = mpsc::channel(1);
        tokio::spawn(async move {
            sleep(Duration::from_millis(300)).await;
            drop(from);
        });
        let reading = session.read(words(fleet.platform).endless, PATIENCE, &stop, &to);
        timeout(PATIENCE, reading).await.unwrap().unwrap();
    });
    ends_on_the_server(&fleet);
});

on_each_platform!(an_error_is_placed, 1, |fleet| {
    let query = "-- a note\n\nSELECT 1,\n  no_such_column\nFROM (SELECT 1 AS a) AS t";
    let (result, _) =
        runtime().block_on(async { read_with(&mut *connect(&fleet).await, query).await });
    let Err(Error::Sql(error)) = result else {
        panic!("{result:?}");
    };
    assert!(error.message.contains("no_such_column"), "{error}");
    let offset = error.offset.unwrap();
    // To the column or to its line; SQL Server names the line at which the statement starts.
    let rest = query.get(offset..).unwrap();
    assert!(
        rest.starts_with("no_such_column") || rest.starts_with("SELECT 1,\n"),
        "{rest}"
    );
});

on_each_platform!(columns_come_without_rows_and_as_they_are, 1, |fleet| {
    let query =
        "SELECT a AS x, a AS x, a AS \"a;b, \"\"c\"\"\" FROM (SELECT 1 AS a) AS t WHERE 1 = 0";
    let (columns, rows) = read(&fleet, query);
    assert_eq!(columns, ["x", "x", "a;b, \"c\""]);
    assert!(rows.is_empty());
});

on_each_platform!(long_answers_and_wide_rows_arrive_whole, 1, |fleet| {
    let words = words(fleet.platform);
    let (_, rows) = read(&fleet, words.many);
    assert_eq!(rows.len(), 100_000);
    for (index, row) in rows.iter().enumerate() {
        assert_eq!(row[0].as_deref(), Some((index + 1).to_string().as_str()));
    }
    let (_, rows) = read(&fleet, words.wide);
    let cell = rows[0][0].as_ref().unwrap();
    assert_eq!(cell.len(), 5_000_000);
    assert!(cell.bytes().all(|byte| byte == b'x'));
});
