//! Values, errors and placeholders between our terms and the driver's.

use std::error::Error as _;

use bytes::BytesMut;
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use tokio_postgres::error::Severity;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use uuid::Uuid;

use super::super::{Error, SqlError, TransactionFate, Value, schema::Column};

/// SQLSTATEs after which the same build may succeed.
///
/// Source: PostgreSQL documentation, appendix A "Error Codes", and section 13.5 "Serialization Failure Handling".
const TRANSIENT: &[&str] = &[
    "40001", // serialization_failure
    "40P01", // deadlock_detected
    "53300", // too_many_connections
    "57P01", // admin_shutdown
    "57P02", // crash_shutdown
    "57P03", // cannot_connect_now
    "57P05", // idle_session_timeout
    "25P03", // idle_in_transaction_session_timeout
];

/// Whether a SQLSTATE is transient: one of the list, or class 08, connection exceptions.
pub(super) fn is_transient(code: &str) -> bool {
    code.starts_with("08") || TRANSIENT.contains(&code)
}

/// The error with all its causes, which the driver does not print by itself.
pub(super) fn chain(error: &tokio_postgres::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
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
pub(super) fn login_error(place: &str, error: &tokio_postgres::Error) -> Error {
    let (message, code, transient) = match error.as_db_error() {
        Some(answer) => {
            let code = answer.code().code().to_owned();
            let transient = is_transient(&code);
            (answer.message().to_owned(), Some(code), transient)
        }
        None => (chain(error), None, is_network(error)),
    };
    Error::Connect {
        place: place.to_owned(),
        message,
        code,
        transient,
    }
}

fn is_network(error: &tokio_postgres::Error) -> bool {
    let mut source: Option<&(dyn std::error::Error + 'static)> = error.source();
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            // TLS failures arrive as `InvalidData`; a certificate does not become good by waiting.
            return io.kind() != std::io::ErrorKind::InvalidData;
        }
        source = cause.source();
    }
    error.is_closed()
}

/// An error of a statement; [`Error::Lost`] when the connection did not survive it.
pub(super) fn statement_error(error: &tokio_postgres::Error, lost: Option<String>) -> Error {
    let Some(answer) = error.as_db_error() else {
        if error.is_closed() || is_network(error) {
            return Error::Lost(lost.unwrap_or_else(|| chain(error)));
        }
        return Error::Sql(Box::new(SqlError {
            code: None,
            severity: None,
            message: format!(
                "the statement cannot be sent or its answer not be read ({}); COPY from or to the client is one such",
                chain(error)
            ),
            offset: None,
            fate: TransactionFate::RolledBack,
            transient: false,
            messages: Vec::new(),
        }));
    };
    let code = answer.code().code();
    // `severity()` is in the server's language; this is not.
    if matches!(
        answer.parsed_severity(),
        Some(Severity::Fatal | Severity::Panic)
    ) {
        return Error::Lost(format!("{} ({code})", answer.message()));
    }
    let mut message = answer.message().to_owned();
    for (label, more) in [
        ("detail", answer.detail()),
        ("hint", answer.hint()),
        ("where", answer.where_()),
    ] {
        if let Some(more) = more {
            message += &format!("; {label}: {more}");
        }
    }
    Error::Sql(Box::new(SqlError {
        code: Some(code.to_owned()),
        severity: Some(answer.severity().to_owned()),
        message,
        offset: None,
        fate: TransactionFate::Alive,
        transient: is_transient(code),
        messages: Vec::new(),
    }))
}

/// `?` becomes `$1`, `$2` …; our own statements have no other question mark.
pub(super) fn placeholders(sql: &str) -> String {
    let mut text = String::with_capacity(sql.len() + 16);
    for (index, piece) in sql.split('?').enumerate() {
        if index > 0 {
            text += &format!("${index}");
        }
        text += piece;
    }
    text
}

/// A column of a table, as a query of it tells.
pub(super) fn column(column: &tokio_postgres::Column) -> Column {
    // The driver gives the width and the four bytes that the server counts with it.
    let width = column.type_modifier().checked_sub(4);
    Column {
        name: column.name().to_owned(),
        max_chars: width
            .filter(|_| *column.type_() == Type::VARCHAR)
            .and_then(|width| u32::try_from(width).ok())
            .filter(|width| *width > 0),
    }
}

/// The type under which a value is sent.
pub(super) fn type_of(value: &Value) -> Type {
    match value {
        Value::Null => Type::UNKNOWN,
        Value::Int(_) => Type::INT8,
        Value::Bool(_) => Type::BOOL,
        Value::Text(_) => Type::TEXT,
        Value::Uuid(_) => Type::UUID,
        Value::Time(_) => Type::TIMESTAMP,
    }
}

impl ToSql for Value {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Int(number) => number.to_sql(kind, out),
            Self::Bool(truth) => truth.to_sql(kind, out),
            // A NUL cannot be stored; a text that has one is otherwise worth keeping.
            Self::Text(text) => text.replace('\0', "\u{fffd}").to_sql(kind, out),
            Self::Uuid(id) => id.to_sql(kind, out),
            Self::Time(time) => utc(*time).to_sql(kind, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

fn utc(time: Timestamp) -> DateTime {
    time.to_zoned(TimeZone::UTC).datetime()
}

impl<'a> FromSql<'a> for Value {
    fn from_sql(
        kind: &Type,
        raw: &'a [u8],
    ) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(match *kind {
            Type::INT2 => Self::Int(i64::from(i16::from_sql(kind, raw)?)),
            Type::INT4 => Self::Int(i64::from(i32::from_sql(kind, raw)?)),
            Type::INT8 => Self::Int(i64::from_sql(kind, raw)?),
            Type::BOOL => Self::Bool(bool::from_sql(kind, raw)?),
            Type::UUID => Self::Uuid(Uuid::from_sql(kind, raw)?),
            Type::TIMESTAMP => {
                let time = DateTime::from_sql(kind, raw)?;
                Self::Time(time.to_zoned(TimeZone::UTC)?.timestamp())
            }
            _ => Self::Text(<&str>::from_sql(kind, raw)?.to_owned()),
        })
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self::Null)
    }

    fn accepts(kind: &Type) -> bool {
        matches!(
            *kind,
            Type::INT2 | Type::INT4 | Type::INT8 | Type::BOOL | Type::UUID | Type::TIMESTAMP
        ) || <&str as FromSql<'_>>::accepts(kind)
    }
}
