//! Values and errors between our terms and the driver's.

use std::error::Error as _;

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use mysql_async::{DriverError, Error as MysqlError, IoError, Value as Cell};

use super::super::{Error, SqlError, TransactionFate, Value};

/// Errors after which the same build may succeed.
///
/// Source: «Server Error Message Reference» of MySQL and «MariaDB Error Codes».
const TRANSIENT: &[u16] = &[
    1040, // ER_CON_COUNT_ERROR: too many connections
    1047, // WSREP has not yet prepared node for application use
    1053, // ER_SERVER_SHUTDOWN
    1135, // ER_CANT_CREATE_THREAD
    1203, // ER_TOO_MANY_USER_CONNECTIONS
    1205, // ER_LOCK_WAIT_TIMEOUT
    1213, // ER_LOCK_DEADLOCK
    1226, // ER_USER_LIMIT_REACHED
    1290, // ER_OPTION_PREVENTS_STATEMENT: the server is read-only, as during a failover
    1637, // ER_TOO_MANY_CONCURRENT_TRXS
    1836, // ER_READ_ONLY_MODE
    3058, // ER_USER_LOCK_DEADLOCK
    3101, // ER_TRANSACTION_ROLLBACK_DURING_COMMIT: group replication
];

/// Errors with which a connection ends.
const LOST: &[u16] = &[
    1053, // ER_SERVER_SHUTDOWN
    1152, // ER_ABORTING_CONNECTION
    1153, // ER_NET_PACKET_TOO_LARGE
    1158, // ER_NET_READ_ERROR
    1159, // ER_NET_READ_INTERRUPTED
    1160, // ER_NET_ERROR_ON_WRITE
    1161, // ER_NET_WRITE_INTERRUPTED
    1184, // ER_NEW_ABORTING_CONNECTION
    1927, // ER_CONNECTION_KILLED of MariaDB
    3169, // ER_SESSION_WAS_KILLED
    4031, // ER_CLIENT_INTERACTION_TIMEOUT
];

/// Errors at a COMMIT that was certainly not carried out.
const NOT_COMMITTED: &[u16] = &[1205, 1213, 1290, 1568, 1792, 1836, 3101];

/// Errors with which the server rolls back the whole transaction, or may do so by its settings.
const ROLLED_BACK: &[u16] = &[1020, 1205, 1206, 1213, 1614, 1637, 3101];

/// Whether a COMMIT that was answered with `code` has certainly not committed.
pub(super) fn is_certain(code: u16) -> bool {
    NOT_COMMITTED.contains(&code)
}

/// Whether the server rolls a transaction back with this error.
pub(super) fn rolls_back(code: u16) -> bool {
    ROLLED_BACK.contains(&code)
}

/// Whether the server has said that it has no TLS.
pub(super) fn server_cannot_encrypt(error: &MysqlError) -> bool {
    matches!(
        error,
        MysqlError::Driver(DriverError::NoClientSslFlagFromServer)
    )
}

/// A name that a trusted certificate has, when it was refused for not having the server's.
pub(super) fn presented_name(error: &MysqlError) -> Option<String> {
    use rustls::{CertificateError::NotValidForNameContext, Error::InvalidCertificate};
    let MysqlError::Io(IoError::Io(error)) = error else {
        return None;
    };
    let refused = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    let InvalidCertificate(NotValidForNameContext { presented, .. }) = refused else {
        return None;
    };
    let name = presented.first()?;
    // As `DnsName("*.example.com")`, `IpAddress(10.0.0.1)`, or as it is.
    let inner = name
        .split_once('(')
        .and_then(|(_, rest)| rest.strip_suffix(')'))
        .unwrap_or(name);
    Some(inner.trim_matches('"').replace('*', "any"))
}

/// The error with all its causes, each once.
pub(super) fn chain(error: &MysqlError) -> String {
    if let MysqlError::Server(answer) = error {
        return format!("{} ({})", answer.message, answer.code);
    }
    let mut text = match error.source() {
        Some(cause) => cause.to_string(),
        None => error.to_string(),
    };
    let mut source = error.source().and_then(std::error::Error::source);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// A login that failed. A refused password or an unknown database stays so; a network may recover.
pub(super) fn login_error(place: &str, error: &MysqlError) -> Error {
    let (message, code, transient) = match error {
        MysqlError::Server(answer) => (
            answer.message.clone(),
            Some(answer.code.to_string()),
            TRANSIENT.contains(&answer.code) || LOST.contains(&answer.code),
        ),
        error if server_cannot_encrypt(error) => (
            "the server offers no encryption, and --sslmode asks for it".to_owned(),
            None,
            false,
        ),
        error => (chain(error), None, is_network(error)),
    };
    Error::Connect {
        place: place.to_owned(),
        message,
        code,
        transient,
    }
}

fn is_network(error: &MysqlError) -> bool {
    match error {
        // TLS failures arrive as `InvalidData` too; a certificate does not become good by waiting.
        MysqlError::Io(IoError::Io(error)) => error.kind() != std::io::ErrorKind::InvalidData,
        MysqlError::Driver(DriverError::ConnectionClosed) => true,
        _ => false,
    }
}

/// An error of a statement; [`Error::Lost`] when the connection did not survive it.
pub(super) fn statement_error(error: &MysqlError) -> Error {
    match error {
        MysqlError::Server(answer) if !LOST.contains(&answer.code) => {
            Error::Sql(Box::new(SqlError {
                code: Some(answer.code.to_string()),
                severity: None,
                message: answer.message.clone(),
                offset: None,
                fate: TransactionFate::Alive,
                transient: TRANSIENT.contains(&answer.code),
                messages: Vec::new(),
            }))
        }
        error => Error::Lost(chain(error)),
    }
}

/// An error of our own about a statement that is not sent.
pub(super) fn refused(message: String, offset: usize) -> Error {
    Error::Sql(Box::new(SqlError {
        code: None,
        severity: None,
        message,
        offset: Some(offset),
        fate: TransactionFate::Alive,
        transient: false,
        messages: Vec::new(),
    }))
}

/// `ER_PARSE_ERROR`: the statement was not understood, so nothing of it ran.
pub(super) const SYNTAX: u16 = 1064;

/// Where in `statement` an error of its syntax is. Of other errors servers tell no place.
pub(super) fn syntax_place(statement: &str, error: &SqlError) -> Option<usize> {
    (error.code.as_deref() == Some(SYNTAX.to_string().as_str()))
        .then(|| place(statement, &error.message))
        .flatten()
}

/// The place by the server's words: `… near 'TEXT' at line N`.
fn place(statement: &str, message: &str) -> Option<usize> {
    let (before, number) = message.rsplit_once(' ')?;
    let line: usize = number.parse().ok()?;
    let start = statement
        .split_inclusive('\n')
        .take(line.checked_sub(1)?)
        .map(str::len)
        .sum::<usize>();
    let rest = statement.get(start..)?;
    let first = start + (rest.len() - rest.trim_start().len());
    let quoted = || {
        let (_, text) = before.split_once('\'')?;
        let (text, _) = text.rsplit_once('\'')?;
        // It goes on to the end of the statement, unless it is long: then servers cut it.
        if !text.is_empty() && rest.ends_with(text) {
            return Some(rest.len() - text.len());
        }
        let text = text.lines().next().filter(|text| !text.is_empty())?;
        rest.find(text)
    };
    Some(quoted().map_or(first, |within| start + within))
}

/// A value as a parameter.
pub(super) fn cell(value: &Value) -> Cell {
    match value {
        Value::Null => Cell::NULL,
        Value::Int(number) => Cell::Int(*number),
        Value::Bool(truth) => Cell::Int(i64::from(*truth)),
        Value::Text(text) => Cell::Bytes(text.clone().into_bytes()),
        Value::Uuid(id) => Cell::Bytes(id.to_string().into_bytes()),
        Value::Time(time) => date(*time),
    }
}

fn date(time: Timestamp) -> Cell {
    let utc = time.to_zoned(TimeZone::UTC).datetime();
    let small = |number: i8| u8::try_from(number).unwrap_or_default();
    Cell::Date(
        u16::try_from(utc.year()).unwrap_or_default(),
        small(utc.month()),
        small(utc.day()),
        small(utc.hour()),
        small(utc.minute()),
        small(utc.second()),
        u32::try_from(utc.subsec_nanosecond() / 1_000).unwrap_or_default(),
    )
}

/// A result cell in our terms.
pub(super) fn value(cell: Cell) -> Value {
    match cell {
        Cell::NULL => Value::Null,
        Cell::Int(number) => Value::Int(number),
        Cell::UInt(number) => i64::try_from(number).map_or_else(|_| text(&number), Value::Int),
        Cell::Bytes(bytes) => Value::Text(
            String::from_utf8(bytes)
                .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
        ),
        Cell::Date(year, month, day, hour, minute, second, micros) => moment(
            [year.into(), month.into(), day.into(), hour.into()],
            minute,
            second,
            micros,
        )
        .map_or(Value::Null, Value::Time),
        Cell::Float(number) => text(&number),
        Cell::Double(number) => text(&number),
        Cell::Time(..) => Value::Text(cell.as_sql(true).trim_matches('\'').to_owned()),
    }
}

fn text(number: &impl ToString) -> Value {
    Value::Text(number.to_string())
}

/// A moment that is stored in UTC; none for dates that no calendar has, such as 0000-00-00.
fn moment(parts: [u32; 4], minute: u8, second: u8, micros: u32) -> Option<Timestamp> {
    let [year, month, day, hour] = parts;
    let small = |number: u32| i8::try_from(number).ok();
    DateTime::new(
        i16::try_from(year).ok()?,
        small(month)?,
        small(day)?,
        small(hour)?,
        small(minute.into())?,
        small(second.into())?,
        i32::try_from(micros).ok()?.checked_mul(1_000)?,
    )
    .ok()?
    .to_zoned(TimeZone::UTC)
    .ok()
    .map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_the_server_lead_to_the_place() {
        let near = |text: &str, line: u32| {
            format!(
                "You have an error in your SQL syntax; check the manual near '{text}' at line {line}"
            )
        };
        let statement = "INSERT INTO t\n  VALUES (1,\n  'it''s' oops, 2)";
        for (message, expected) in [
            (near("oops, 2)", 3), statement.find("oops")),
            (near("", 3), statement.find("'it")),
            (near("nowhere", 2), statement.find("VALUES")),
            ("Duplicate entry '1' for key 'PRIMARY'".to_owned(), None),
            (near("x", 0), None),
            (near("x", 4_000_000_000), Some(statement.len())),
        ] {
            assert_eq!(place(statement, &message), expected, "{message}");
        }
        assert_eq!(place("SELEC 'ä' 2", &near("SELEC 'ä' 2", 1)), Some(0));
        assert_eq!(place("a\nb\nc", &near("b\nc", 2)), Some(2));
        assert_eq!(place("SELECT 2 FROM FROM", &near("FROM", 1)), Some(14));
    }

    #[test]
    fn moments_keep_their_microseconds() {
        for text in [
            "2026-11-24T10:02:57.123456Z",
            "1969-12-31T23:59:59.999999Z",
            "1970-01-01T00:00:00Z",
        ] {
            let time: Timestamp = text.parse().unwrap();
            assert_eq!(value(cell(&Value::Time(time))), Value::Time(time));
        }
        assert_eq!(value(Cell::Date(0, 0, 0, 0, 0, 0, 0)), Value::Null);
    }
}
