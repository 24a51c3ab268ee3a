//! Values, placeholders and errors between our terms and the driver's.

use jiff::{
    Timestamp,
    civil::{Date, DateTime},
    tz::TimeZone,
};
use tiberius::{
    ColumnData, ToSql,
    error::{Error as Driver, TokenError},
    time::{Date as Day, DateTime2, Time},
};

use super::{
    super::{Error, SqlError, TransactionFate, Value},
    tap::Heard,
};
use crate::sql::{Dialect, Lexer, TokenKind};

/// Errors after which the same build may succeed, when they come with a statement.
///
/// Sources: «Troubleshoot transient connection errors in Azure SQL», «Resource management in Azure SQL Database», the lists
/// of errors that Microsoft.Data.SqlClient (`SqlConfigurableRetryFactory`) and Entity Framework Core
/// (`SqlServerTransientExceptionDetector`) repeat, and «Transactions with snapshot isolation» for 3960 and 3966.
const TRANSIENT: &[u32] = &[
    20,    // the instance does not support encryption: a half-open connection
    64,    // the connection was there, then an error came at login
    121,   // the network was silent for too long
    233,   // no process on the other end
    601,   // a scan met rows that moved
    615,   // the database id has changed
    617,   // an object's descriptor is gone
    1204,  // no lock resources left
    1205,  // dead-lock victim
    1222,  // a lock was not given within the time that the script has set
    3960,  // snapshot update conflict
    3966,  // the version of a row that a snapshot needs is gone
    4221,  // login to a read-only secondary that still waits for old versions
    8628,  // no time left to optimise the query
    8645,  // no memory to run the query within the time
    8651,  // less memory than the query needs at least
    10053, // connection aborted by this machine
    10054, // connection reset by the server
    10060, // no answer to the connection attempt
    10928, // resource limit reached
    10929, // resource limit reached, minimum guarantee
    10936, // resource limit of the elastic pool reached
    40143, // the service met an error
    40197, // the service met an error: fail-over, upgrade
    40501, // the service is busy
    40540, // the service met an error
    40613, // the database is not available now
    41301, // a transaction that this one depends on did not commit
    41302, // a row in memory has changed since the transaction began
    41305, // a row in memory that was read has changed
    41325, // a row in memory has come up in what was read
    41839, // too many transactions depend on each other
    42108, // cannot connect to the pool while it is paused
    42109, // the pool is warming up
    49918, // not enough resources for the request
    49919, // too many create or update operations
    49920, // too many operations
    49977, // the elastic pool is busy with another operation
    49983, // the operation did not end; it may be repeated
];

/// Errors after which another login may succeed, besides those.
///
/// 4060 (cannot open the database) and 18456 (login failed) are in some lists, too, but mean a wrong name or password
/// nearly always, and that should be said at once.
const TRANSIENT_AT_LOGIN: &[u32] = &[
    921,   // the database has not been recovered yet
    922,   // the database is being recovered
    926,   // recovery of the database did not succeed yet
    976,   // the replica is not the primary
    978,   // the replica takes readers only
    983,   // the availability database is in no role to be opened
    997,   // overlapped operation in progress
    6005,  // the server shuts down
    17142, // the server is paused
    18401, // the server upgrades its own scripts
];

pub(super) fn is_transient(number: u32) -> bool {
    TRANSIENT.contains(&number)
}

pub(super) fn is_transient_at_login(number: u32) -> bool {
    is_transient(number) || TRANSIENT_AT_LOGIN.contains(&number)
}

/// The severity from which on the server ends the connection.
pub(super) const FATAL: u8 = 20;

/// What a login failed with.
pub(super) fn login_error(place: &str, error: &Driver) -> Error {
    let (message, code, transient) = match error {
        Driver::Server(error) => {
            let number = error.code();
            (
                said(error),
                Some(number.to_string()),
                is_transient_at_login(number),
            )
        }
        Driver::Io { message, .. } => (message.clone(), None, true),
        Driver::Tls(message) => (tls_message(message), None, false),
        // Its question or its answer is a datagram, which may get lost.
        Driver::Conversion(message) if message.starts_with("SQL browser timeout") => (
            "SQL Server Browser does not answer on UDP port 1434; name the port of the instance as host,port if it must not"
                .into(),
            None,
            true,
        ),
        Driver::Protocol(message) if is_encryption_refusal(error) => (
            format!("{message} Encryption is left out with --sslmode disable"),
            None,
            false,
        ),
        other => (other.to_string(), None, false),
    };
    Error::Connect {
        place: place.to_owned(),
        message,
        code,
        transient,
    }
}

/// Whether the server has no encryption to offer.
pub(super) fn is_encryption_refusal(error: &Driver) -> bool {
    matches!(error, Driver::Protocol(message) if message.contains("does not allow the requested encryption"))
}

/// The driver advises calls of its own; users have options.
fn tls_message(message: &str) -> String {
    match message.split_once(" To connect anyway you can") {
        Some((reason, _)) => format!(
            "{reason} Name the authority that issued it with --sslrootcert, or trust every certificate with \
             --trustservercertificate true"
        ),
        None => format!("the connection cannot be encrypted: {message}"),
    }
}

/// The server's words, with the state, and the procedure where there is one.
fn said(error: &TokenError) -> String {
    let mut text = error.message().trim_end().to_owned();
    let mut details = vec![format!("state {}", error.state())];
    if !error.procedure().is_empty() {
        details.push(format!(
            "procedure {}, line {}",
            error.procedure(),
            error.line()
        ));
    }
    text += &format!(" ({})", details.join(", "));
    text
}

/// An error that the server answered a statement with. The driver returns the first one of a batch; the further ones were
/// heard, and go with the messages.
pub(super) fn statement_error(
    error: &TokenError,
    sql: &str,
    heard: Heard,
    fate: TransactionFate,
) -> Error {
    let mut messages = heard.messages;
    let further = heard.errors.iter().skip(1);
    messages.extend(further.map(|(number, text)| format!("error {number}: {text}")));
    Error::Sql(Box::new(SqlError {
        code: Some(error.code().to_string()),
        severity: Some(error.class().to_string()),
        message: said(error),
        offset: offset(error, sql),
        fate,
        transient: is_transient(error.code()),
        messages,
    }))
}

/// A batch whose result this program cannot read, with the connection dropped for it.
pub(super) fn unreadable(error: &Driver, heard: Heard, fate: TransactionFate) -> Error {
    Error::Sql(Box::new(SqlError {
        code: None,
        severity: None,
        message: format!("a result of this batch cannot be read: {error}"),
        offset: None,
        fate,
        transient: false,
        messages: heard.messages,
    }))
}

/// Where the code of the error's line begins in `sql`: the server does not tell the column.
///
/// The line counts from the start of the batch, except in a procedure, where it counts from the start of the procedure: that
/// is this text only when the batch is the procedure's definition.
fn offset(error: &TokenError, sql: &str) -> Option<usize> {
    if !error.procedure().is_empty() && !defines(sql, error.procedure()) {
        return None;
    }
    line_start(sql, error.line()).map(|start| code_start(sql, start))
}

/// The first code of the line that begins at `start`; the line's first character when it has none.
fn code_start(sql: &str, start: usize) -> usize {
    let line = sql.get(start..).unwrap_or_default();
    let end = start + line.find('\n').unwrap_or(line.len());
    let visible = start + line.len() - line.trim_start_matches([' ', '\t']).len();
    Lexer::new(sql, Dialect::TSql)
        .skip_while(|token| token.range.end <= start)
        .take_while(|token| token.range.start < end)
        .find(|token| {
            let is_end = token.kind == TokenKind::Separator;
            token.kind.is_code() && !is_end
        })
        .map_or(visible, |token| token.range.start.max(visible))
}

fn line_start(sql: &str, line: u32) -> Option<usize> {
    let before = usize::try_from(line).ok()?.checked_sub(1)?;
    if before == 0 {
        return Some(0);
    }
    let (end, _) = sql.match_indices('\n').nth(before - 1)?;
    Some(end + 1)
}

/// Whether `sql` creates or alters the procedure, function, trigger or view `name`, as far as that can be told quickly.
fn defines(sql: &str, name: &str) -> bool {
    let bare = name.rsplit('.').next().unwrap_or(name).to_lowercase();
    let code = crate::sql::statements(sql, Dialect::TSql);
    let first = code
        .first()
        .and_then(|range| sql.get(range.clone()))
        .unwrap_or(sql);
    let mut words = first
        .split_whitespace()
        .skip_while(|word| word.starts_with("--"));
    let creates = words.next().is_some_and(|word| {
        word.eq_ignore_ascii_case("CREATE") || word.eq_ignore_ascii_case("ALTER")
    });
    creates && first.to_lowercase().contains(&bare)
}

/// `?` becomes `@P1`, `@P2` …; our own statements have no other question mark. A NULL goes into the text: as a parameter the
/// driver would send it without a type.
pub(super) fn placeholders(sql: &str, values: &[Value]) -> String {
    let mut text = String::with_capacity(sql.len() + 32);
    let mut number = 0;
    for (index, piece) in sql.split('?').enumerate() {
        if index > 0 {
            if matches!(values.get(index - 1), Some(Value::Null)) {
                text += "NULL";
            } else {
                number += 1;
                text += &format!("@P{number}");
            }
        }
        text += piece;
    }
    text
}

/// The values that [`placeholders`] has numbered.
pub(super) fn bound(values: &[Value]) -> Vec<Parameter<'_>> {
    values
        .iter()
        .filter(|value| !matches!(value, Value::Null))
        .map(Parameter)
        .collect()
}

/// A text as a literal.
pub(super) fn literal(text: &str) -> String {
    format!("N'{}'", text.replace('\'', "''"))
}

/// A name in brackets.
pub(super) fn quote_name(name: &str) -> String {
    format!("[{}]", name.replace(']', "]]"))
}

/// A value on its way to the server.
pub(super) struct Parameter<'a>(pub(super) &'a Value);

impl ToSql for Parameter<'_> {
    fn to_sql(&self) -> ColumnData<'_> {
        match self.0 {
            Value::Null => ColumnData::String(None),
            Value::Int(number) => ColumnData::I64(Some(*number)),
            Value::Bool(truth) => ColumnData::Bit(Some(*truth)),
            Value::Text(text) => ColumnData::String(Some(text.as_str().into())),
            Value::Uuid(id) => ColumnData::Guid(Some(*id)),
            Value::Time(time) => ColumnData::DateTime2(date_time(*time)),
        }
    }
}

/// The moment in UTC, as exactly as the server can keep it. It makes a `datetime` of it where a column is one.
fn date_time(time: Timestamp) -> Option<DateTime2> {
    let utc = time.to_zoned(TimeZone::UTC).datetime();
    let days = utc.date().since(Date::new(1, 1, 1).ok()?).ok()?.get_days();
    let nanoseconds = utc.time().since(jiff::civil::Time::midnight()).ok()?;
    let nanoseconds = u64::try_from(nanoseconds.total(jiff::Unit::Nanosecond).ok()? as i64).ok()?;
    Some(DateTime2::new(
        Day::new(u32::try_from(days).ok()?),
        Time::new(nanoseconds / 100, 7),
    ))
}

/// A cell of a result of our own statements.
pub(super) fn value(cell: &ColumnData<'_>) -> Value {
    let int = |number: Option<i64>| number.map_or(Value::Null, Value::Int);
    match cell {
        ColumnData::U8(number) => int(number.map(i64::from)),
        ColumnData::I16(number) => int(number.map(i64::from)),
        ColumnData::I32(number) => int(number.map(i64::from)),
        ColumnData::I64(number) => int(*number),
        ColumnData::Bit(truth) => truth.map_or(Value::Null, Value::Bool),
        ColumnData::String(text) => Value::text_or_null(text.as_deref()),
        ColumnData::Guid(id) => id.map_or(Value::Null, Value::Uuid),
        ColumnData::DateTime(Some(time)) => {
            let nanoseconds = u64::from(time.seconds_fragments()) * 1_000_000_000 / 300;
            moment(1900, i64::from(time.days()), nanoseconds)
        }
        ColumnData::DateTime2(Some(time)) => {
            let clock = time.time();
            let unit = 10_u64.pow(9_u32.saturating_sub(u32::from(clock.scale())));
            moment(
                1,
                i64::from(time.date().days()),
                clock.increments().saturating_mul(unit),
            )
        }
        ColumnData::DateTime(None) | ColumnData::DateTime2(None) => Value::Null,
        other => Value::Text(format!("{other:?}")),
    }
}

/// A moment in UTC: days since the first day of `year`, and nanoseconds within the day.
fn moment(year: i16, days: i64, nanoseconds: u64) -> Value {
    let found = || -> Option<Timestamp> {
        let first = Date::new(year, 1, 1).ok()?;
        let midnight: DateTime = first
            .checked_add(jiff::Span::new().try_days(days).ok()?)
            .ok()?
            .into();
        let span = jiff::Span::new()
            .try_nanoseconds(i64::try_from(nanoseconds).ok()?)
            .ok()?;
        let zoned = midnight
            .checked_add(span)
            .ok()?
            .to_zoned(TimeZone::UTC)
            .ok()?;
        Some(zoned.timestamp())
    };
    found().map_or(Value::Null, Value::Time)
}

#[cfg(test)]
mod tests {
    use tiberius::time::DateTime as Old;

    use super::*;

    #[test]
    fn lines_lead_to_their_first_byte() {
        let sql = "SELECT 1;\r\nINSERT ä\n  x;\n";
        assert_eq!(line_start(sql, 1), Some(0));
        assert_eq!(line_start(sql, 2), Some(11));
        assert_eq!(sql.get(line_start(sql, 3).unwrap()..), Some("  x;\n"));
        assert_eq!(line_start(sql, 4), Some(sql.len()));
        assert_eq!(line_start(sql, 5), None);
        assert_eq!(line_start(sql, 0), None);
    }

    #[test]
    fn the_place_is_the_first_code_of_the_line() {
        let sql =
            "/* a\nb */ ; SELECT 1;\n-- c\n  ;/* d */ UPDATE t SET a = 'x\n y'; SELECT 2;\n\t";
        let place = |line| {
            let start = line_start(sql, line).unwrap();
            sql.get(code_start(sql, start)..).unwrap()
        };
        assert!(place(1).starts_with("/* a"));
        assert!(place(2).starts_with("SELECT 1"));
        assert!(place(3).starts_with("-- c"));
        assert!(place(4).starts_with("UPDATE t"));
        assert!(place(5).starts_with("y'"));
        assert_eq!(place(6), "");
    }

    #[test]
    fn a_line_of_a_procedure_is_one_of_the_batch_only_in_its_definition() {
        for (sql, name, expected) in [
            ("CREATE PROCEDURE dbo.p AS SELECT 1/0", "p", true),
            ("-- note\ncreate or alter proc [P] AS x", "p", true),
            ("ALTER FUNCTION f() RETURNS int AS BEGIN END", "dbo.f", true),
            ("EXEC p", "p", false),
            ("ALTER TABLE t ADD x int", "ddl_trigger", false),
            ("INSERT INTO t VALUES (1)", "trigger_of_t", false),
        ] {
            assert_eq!(defines(sql, name), expected, "{sql}");
        }
    }

    #[test]
    fn placeholders_are_numbered() {
        assert_eq!(
            placeholders(
                "a = ? AND b IN (?, ?)",
                &[Value::Int(1), Value::Int(2), Value::Int(3)]
            ),
            "a = @P1 AND b IN (@P2, @P3)"
        );
        assert_eq!(placeholders("SELECT 1", &[]), "SELECT 1");
        let values = [Value::Null, Value::Int(1), Value::Null, Value::Int(2)];
        assert_eq!(placeholders("?, ?, ?, ?", &values), "NULL, @P1, NULL, @P2");
        assert_eq!(bound(&values).len(), 2);
    }

    #[test]
    fn names_and_literals_cannot_be_left() {
        assert_eq!(quote_name("a]b; DROP"), "[a]]b; DROP]");
        assert_eq!(literal("it's"), "N'it''s'");
    }

    #[test]
    fn times_survive_the_way_there_and_back() {
        for text in [
            "2026-11-24T09:30:15.123456Z",
            "0001-01-01T00:00:00Z",
            "1969-12-31T23:59:59.999999Z",
        ] {
            let time = Value::Time(text.parse().unwrap());
            assert_eq!(value(&Parameter(&time).to_sql()), time, "{text}");
        }
        let old = ColumnData::DateTime(Some(Old::new(0, 300)));
        assert_eq!(
            value(&old),
            Value::Time("1900-01-01T00:00:01Z".parse().unwrap())
        );
        let broken = ColumnData::DateTime(Some(Old::new(i32::MAX, 0)));
        assert_eq!(value(&broken), Value::Null);
    }

    #[test]
    fn every_value_has_its_type() {
        let id = uuid::Uuid::new_v4();
        for value in [
            Value::Null,
            Value::Int(-5),
            Value::Bool(true),
            Value::from("ä"),
            Value::Uuid(id),
        ] {
            assert_eq!(super::value(&Parameter(&value).to_sql()), value);
        }
    }

    #[test]
    fn what_passes_is_told_from_what_does_not() {
        for number in [
            40613, 40501, 40197, 49918, 49919, 49920, 10928, 10929, 10053, 10054, 10060, 233, 64,
            20, 4221, 1205, 615,
        ] {
            assert!(
                is_transient(number) && is_transient_at_login(number),
                "{number}"
            );
        }
        for number in [921, 926, 18401] {
            assert!(
                !is_transient(number) && is_transient_at_login(number),
                "{number}"
            );
        }
        for number in [18456, 4060, 208, 2627, 102, 0] {
            assert!(!is_transient_at_login(number), "{number}");
        }
    }

    #[test]
    fn a_refused_certificate_names_the_options() {
        let message = "the server's certificate was rejected: UnknownIssuer. To connect anyway you can: (1) trust_cert_ca";
        let text = login_error("s:d", &Driver::Tls(message.into())).to_string();
        assert!(
            text.contains("--sslrootcert") && !text.contains("trust_cert_ca"),
            "{text}"
        );
    }
}
