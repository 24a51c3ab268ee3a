//! Cells of answers of SQL Server as text.

use jiff::{
    ToSpan,
    civil::{Date, DateTime},
};
use tiberius::{Column, ColumnData, ColumnType, numeric::Numeric, time::Time};

use super::super::cell;

/// Minutes of an offset at most.
const MAX_OFFSET: u16 = 14 * 60;

/// A cell; `None` is NULL.
pub(super) fn text(column: &Column, cell: &ColumnData<'_>) -> Option<String> {
    let unreadable = || format!("unreadable: {cell:?}");
    Some(match cell {
        ColumnData::U8(number) => (*number)?.to_string(),
        ColumnData::I16(number) => (*number)?.to_string(),
        ColumnData::I32(number) => (*number)?.to_string(),
        ColumnData::I64(number) => (*number)?.to_string(),
        ColumnData::F32(number) => cell::single((*number)?),
        // The driver hands money on as a floating-point number, which is exact up to about 900 billion.
        ColumnData::F64(number) if is_money(column) => format!("{:.4}", (*number)?),
        ColumnData::F64(number) => cell::float((*number)?),
        ColumnData::Bit(truth) => (*truth)?.to_string(),
        ColumnData::String(text) => text.as_deref()?.to_owned(),
        ColumnData::Guid(id) => (*id)?.to_string(),
        ColumnData::Binary(bytes) => cell::bytes(bytes.as_deref()?),
        ColumnData::Numeric(number) => decimal((*number)?),
        ColumnData::Xml(document) => document.as_ref()?.to_string(),
        ColumnData::DateTime(time) => {
            let time = (*time)?;
            // A tick is the 300th part of a second; the server shows thousandths.
            let thousandths = (u64::from(time.seconds_fragments()) * 10 + 1) / 3;
            moment(1900, time.days().into(), thousandths, 3).unwrap_or_else(unreadable)
        }
        ColumnData::SmallDateTime(time) => {
            let time = (*time)?;
            let seconds = u64::from(time.seconds_fragments()) * 60;
            moment(1900, time.days().into(), seconds, 0).unwrap_or_else(unreadable)
        }
        ColumnData::Date(day) => day_text(1, (*day)?.days().into()).unwrap_or_else(unreadable),
        ColumnData::Time(time) => {
            let time = (*time)?;
            clock(time.increments(), time.scale()).unwrap_or_else(unreadable)
        }
        ColumnData::DateTime2(time) => {
            let (date, clock) = ((*time)?.date(), (*time)?.time());
            moment(1, date.days().into(), clock.increments(), clock.scale())
                .unwrap_or_else(unreadable)
        }
        ColumnData::DateTimeOffset(time) => {
            let (utc, offset) = ((*time)?.datetime2(), (*time)?.offset());
            with_offset(utc.date().days().into(), utc.time(), offset).unwrap_or_else(unreadable)
        }
    })
}

fn is_money(column: &Column) -> bool {
    matches!(column.column_type(), ColumnType::Money | ColumnType::Money4)
}

/// With all digits of its scale.
fn decimal(number: Numeric) -> String {
    let scale = usize::from(number.scale());
    let digits = number.value().unsigned_abs().to_string();
    let sign = if number.value() < 0 { "-" } else { "" };
    if scale == 0 {
        return format!("{sign}{digits}");
    }
    let digits = format!("{digits:0>width$}", width = scale + 1);
    // Digits are single bytes.
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    format!("{sign}{whole}.{fraction}")
}

/// A day, counted from the first of `year`.
fn day(year: i16, days: i64) -> Option<Date> {
    Date::new(year, 1, 1)
        .ok()?
        .checked_add(jiff::Span::new().try_days(days).ok()?)
        .ok()
}

fn day_text(year: i16, days: i64) -> Option<String> {
    Some(day(year, days)?.to_string())
}

/// A time of day from units of 10^-`scale` seconds, with as many digits.
fn clock(units: u64, scale: u8) -> Option<String> {
    let per_second = 10_u64.checked_pow(scale.into())?;
    let (seconds, fraction) = (units / per_second, units % per_second);
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    if hours > 23 {
        return None;
    }
    let mut text = format!("{hours:02}:{minutes:02}:{:02}", seconds % 60);
    if scale > 0 {
        text += &format!(".{fraction:0width$}", width = usize::from(scale));
    }
    Some(text)
}

fn moment(year: i16, days: i64, units: u64, scale: u8) -> Option<String> {
    Some(format!("{} {}", day(year, days)?, clock(units, scale)?))
}

/// The server sends the moment in UTC, and the offset of the place whose time is meant.
fn with_offset(days: i64, time: Time, offset: i16) -> Option<String> {
    if offset.unsigned_abs() > MAX_OFFSET {
        return None;
    }
    let per_second = 10_u64.checked_pow(time.scale().into())?;
    let seconds = i64::try_from(time.increments() / per_second).ok()?;
    let midnight: DateTime = day(1, days)?.into();
    let span = jiff::Span::new().try_seconds(seconds).ok()?;
    let local = midnight
        .checked_add(span)
        .ok()?
        .checked_add(i64::from(offset).minutes())
        .ok()?;
    let of_day = u64::try_from(
        local
            .time()
            .duration_since(jiff::civil::Time::midnight())
            .as_secs(),
    )
    .ok()?;
    let units = of_day * per_second + time.increments() % per_second;
    let sign = if offset < 0 { '-' } else { '+' };
    let minutes = offset.unsigned_abs();
    Some(format!(
        "{} {}{sign}{:02}:{:02}",
        local.date(),
        clock(units, time.scale())?,
        minutes / 60,
        minutes % 60
    ))
}

#[cfg(test)]
mod tests {
    use tiberius::time::{Date as Day, DateTime as Old, DateTime2, DateTimeOffset, SmallDateTime};

    use super::*;

    /// The first of January 2024, counted from the year 1.
    const DAY: u32 = 738_885;

    fn shown(cell: ColumnData<'_>) -> Option<String> {
        text(&Column::new("c".into(), ColumnType::Null), &cell)
    }

    #[test]
    fn every_type_has_one_form() {
        let time = Time::new(37_230_500_000, 7);
        let moment = DateTime2::new(Day::new(DAY), time);
        for (cell, expected) in [
            (ColumnData::U8(Some(255)), "255"),
            (ColumnData::I64(Some(i64::MIN)), "-9223372036854775808"),
            (ColumnData::F32(Some(0.1)), "0.1"),
            (ColumnData::F64(Some(1e300)), "1e300"),
            (ColumnData::Bit(Some(true)), "true"),
            (ColumnData::String(Some("ä\n".into())), "ä\n"),
            (
                ColumnData::Binary(Some([0, 255].as_slice().into())),
                "0x00FF",
            ),
            (ColumnData::Date(Some(Day::new(DAY))), "2024-01-01"),
            (ColumnData::Time(Some(Time::new(0, 0))), "00:00:00"),
            (
                ColumnData::Time(Some(Time::new(86_399_999, 3))),
                "23:59:59.999",
            ),
            (
                ColumnData::DateTime2(Some(moment)),
                "2024-01-01 01:02:03.0500000",
            ),
            (
                ColumnData::DateTime(Some(Old::new(-1, 25_919_999))),
                "1899-12-31 23:59:59.997",
            ),
            (
                ColumnData::SmallDateTime(Some(SmallDateTime::new(0, 90))),
                "1900-01-01 01:30:00",
            ),
            (
                ColumnData::DateTimeOffset(Some(DateTimeOffset::new(moment, -90))),
                "2023-12-31 23:32:03.0500000-01:30",
            ),
            (
                ColumnData::DateTimeOffset(Some(DateTimeOffset::new(moment, 330))),
                "2024-01-01 06:32:03.0500000+05:30",
            ),
        ] {
            assert_eq!(shown(cell).as_deref(), Some(expected));
        }
        for null in [
            ColumnData::I32(None),
            ColumnData::String(None),
            ColumnData::DateTime2(None),
            ColumnData::Numeric(None),
        ] {
            assert_eq!(shown(null), None);
        }
    }

    #[test]
    fn decimals_keep_their_digits_and_their_sign() {
        for (value, scale, expected) in [
            (150, 2, "1.50"),
            (-5, 2, "-0.05"),
            (0, 3, "0.000"),
            (-7, 0, "-7"),
            (
                12_345_678_901_234_567_890_123,
                5,
                "123456789012345678.90123",
            ),
        ] {
            assert_eq!(decimal(Numeric::new_with_scale(value, scale)), expected);
        }
        let money = Column::new("m".into(), ColumnType::Money);
        let cell = ColumnData::F64(Some(12.5));
        assert_eq!(text(&money, &cell).as_deref(), Some("12.5000"));
    }

    #[test]
    fn values_that_no_server_sends_are_called_unreadable() {
        for cell in [
            ColumnData::DateTime(Some(Old::new(i32::MAX, 0))),
            ColumnData::Time(Some(Time::new(u64::MAX, 0))),
            ColumnData::DateTimeOffset(Some(DateTimeOffset::new(
                DateTime2::new(Day::new(1), Time::new(0, 7)),
                i16::MIN,
            ))),
        ] {
            assert!(shown(cell).unwrap().starts_with("unreadable"));
        }
    }
}
