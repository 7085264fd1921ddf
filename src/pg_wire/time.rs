//! Dates and times in both formats. The binary ones count from 2000-01-01.

use std::fmt::Write as _;

use arrow::datatypes::Date32Type;
use bytes::{BufMut, BytesMut};
use chrono::{DateTime, Datelike, NaiveDateTime, Offset, TimeZone, Timelike};
use chrono_tz::Tz;

use super::fault::{Fault, Outcome};

/// Days from 1970-01-01 to 2000-01-01.
const EPOCH_DAYS: i32 = 10_957;
/// The same in microseconds.
const EPOCH_MICROS: i64 = 10_957 * 86_400_000_000;

const MICROS_PER_SECOND: i64 = 1_000_000;

/// A date, in days since 1970.
pub(super) fn put_date(days: i32, is_binary: bool, out: &mut BytesMut) {
    if is_binary {
        out.put_i32(days.saturating_sub(EPOCH_DAYS));
        return;
    }
    let Some(date) = Date32Type::to_naive_date_opt(days) else {
        out.put_slice(if days < 0 { b"-infinity" } else { b"infinity" });
        return;
    };
    put_day(date.year(), date.month(), date.day(), out);
    put_era(date.year(), out);
}

/// A time without a zone, in microseconds since 1970.
pub(super) fn put_timestamp(micros: i64, is_binary: bool, out: &mut BytesMut) {
    if is_binary {
        out.put_i64(micros.saturating_sub(EPOCH_MICROS));
        return;
    }
    match DateTime::from_timestamp_micros(micros) {
        Some(time) => {
            put_moment(&time.naive_utc(), out);
            put_era(time.year(), out);
        }
        None => out.put_slice(if micros < 0 { b"-infinity" } else { b"infinity" }),
    }
}

/// A time in UTC, in microseconds since 1970, as clocks in `zone` show it. At
/// the very ends of what is counted there may be no such time.
pub(super) fn put_timestamp_with_zone(
    micros: i64,
    zone: Tz,
    is_binary: bool,
    out: &mut BytesMut,
) -> Outcome<()> {
    let time = DateTime::from_timestamp_micros(micros).filter(|_| !is_binary);
    let Some(time) = time else {
        put_timestamp(micros, is_binary, out);
        return Ok(());
    };
    let time = time.naive_utc();
    let offset = zone.offset_from_utc_datetime(&time).fix();
    let local = time.checked_add_offset(offset).ok_or_else(|| {
        let message = format!("timestamp out of range in {zone}; SET TimeZone TO 'UTC'");
        Fault::new("22008", message)
    })?;
    put_moment(&local, out);
    let seconds = offset.local_minus_utc();
    let (sign, seconds) = (if seconds < 0 { '-' } else { '+' }, seconds.unsigned_abs());
    let _ = write!(out, "{sign}{:02}", seconds / 3600);
    if seconds % 3600 != 0 {
        let _ = write!(out, ":{:02}", seconds / 60 % 60);
    }
    if seconds % 60 != 0 {
        let _ = write!(out, ":{:02}", seconds % 60);
    }
    put_era(local.year(), out);
    Ok(())
}

/// A time of day, in microseconds.
pub(super) fn put_time(micros: i64, is_binary: bool, out: &mut BytesMut) {
    if is_binary {
        out.put_i64(micros);
    } else {
        put_clock(micros, out);
    }
}

/// Months, days and microseconds.
pub(super) fn put_interval(
    (months, days, micros): (i32, i32, i64),
    is_binary: bool,
    out: &mut BytesMut,
) {
    if is_binary {
        out.put_i64(micros);
        out.put_i32(days);
        out.put_i32(months);
        return;
    }
    let start = out.len();
    // A part is signed wherever one before it was negative.
    let mut was_negative = false;
    let parts = [(months / 12, "year"), (months % 12, "mon"), (days, "day")];
    for (count, unit) in parts.into_iter().filter(|(count, _)| *count != 0) {
        let space = if out.len() > start { " " } else { "" };
        let plus = if was_negative && count > 0 { "+" } else { "" };
        let many = if count == 1 { "" } else { "s" };
        let _ = write!(out, "{space}{plus}{count} {unit}{many}");
        was_negative = count < 0;
    }
    if micros != 0 || out.len() == start {
        let space = if out.len() > start { " " } else { "" };
        let sign = match micros {
            ..0 => "-",
            _ if was_negative => "+",
            _ => "",
        };
        let _ = write!(out, "{space}{sign}");
        put_clock(micros.saturating_abs(), out);
    }
}

fn put_moment(time: &NaiveDateTime, out: &mut BytesMut) {
    put_day(time.year(), time.month(), time.day(), out);
    out.put_u8(b' ');
    let seconds = i64::from(time.num_seconds_from_midnight());
    let micros = i64::from(time.nanosecond() / 1_000).min(MICROS_PER_SECOND - 1);
    put_clock(seconds * MICROS_PER_SECOND + micros, out);
}

fn put_day(year: i32, month: u32, day: u32, out: &mut BytesMut) {
    // There is no year 0: it is the first before the era.
    let year = if year > 0 { year } else { 1 - year };
    let _ = write!(out, "{year:04}-{month:02}-{day:02}");
}

fn put_era(year: i32, out: &mut BytesMut) {
    if year <= 0 {
        out.put_slice(b" BC");
    }
}

fn put_clock(micros: i64, out: &mut BytesMut) {
    let (seconds, fraction) = (micros / MICROS_PER_SECOND, micros % MICROS_PER_SECOND);
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let _ = write!(out, "{hours:02}:{minutes:02}:{:02}", seconds % 60);
    if fraction != 0 {
        let digits = format!("{fraction:06}");
        let _ = write!(out, ".{}", digits.trim_end_matches('0'));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(put: impl Fn(&mut BytesMut)) -> String {
        let mut out = BytesMut::new();
        put(&mut out);
        String::from_utf8(out.to_vec()).expect("text")
    }

    #[test]
    fn dates_and_times_are_written_in_the_iso_style() {
        assert_eq!(text(|out| put_date(20_000, false, out)), "2024-10-04");
        assert_eq!(text(|out| put_date(-719_163, false, out)), "0001-12-31 BC");
        assert_eq!(text(|out| put_timestamp(1_500_000, false, out)), "1970-01-01 00:00:01.5");
        assert_eq!(text(|out| put_timestamp(-1, false, out)), "1969-12-31 23:59:59.999999");
        assert_eq!(text(|out| put_time(3_600_000_001, false, out)), "01:00:00.000001");
    }

    #[test]
    fn a_time_with_a_zone_shows_the_clock_there() {
        let micros = 1_782_864_000_000_000; // 2026-07-01T00:00:00Z
        let there = |zone: Tz| {
            text(|out| put_timestamp_with_zone(micros, zone, false, out).expect("written"))
        };
        assert_eq!(there(Tz::UTC), "2026-07-01 00:00:00+00");
        assert_eq!(there(Tz::Europe__Berlin), "2026-07-01 02:00:00+02");
        assert_eq!(there(Tz::Asia__Kolkata), "2026-07-01 05:30:00+05:30");
        assert_eq!(there(Tz::America__New_York), "2026-06-30 20:00:00-04");
    }

    #[test]
    fn a_time_that_no_clock_there_shows_is_refused() {
        let last = DateTime::<chrono::Utc>::MAX_UTC.timestamp_micros();
        let first = DateTime::<chrono::Utc>::MIN_UTC.timestamp_micros();
        let put = |micros, zone| {
            put_timestamp_with_zone(micros, zone, false, &mut BytesMut::new())
                .map_err(|fault| fault.code)
        };
        assert_eq!(put(last, Tz::Asia__Kolkata), Err("22008"));
        assert_eq!(put(first, Tz::America__New_York), Err("22008"));
        assert_eq!(put(last, Tz::UTC), Ok(()));
    }

    #[test]
    fn an_interval_is_written_as_postgresql_does() {
        let interval = |parts| text(|out| put_interval(parts, false, out));
        assert_eq!(interval((14, 3, 14_706_789_000)), "1 year 2 mons 3 days 04:05:06.789");
        assert_eq!(interval((0, 0, 0)), "00:00:00");
        assert_eq!(interval((-1, 2, 0)), "-1 mons +2 days");
        assert_eq!(interval((0, 0, -3_600_000_000)), "-01:00:00");
    }

    #[test]
    fn the_binary_forms_count_from_2000() {
        let mut out = BytesMut::new();
        put_date(EPOCH_DAYS + 1, true, &mut out);
        put_timestamp(EPOCH_MICROS - 1, true, &mut out);
        assert_eq!(
            out.to_vec(),
            [1_i32.to_be_bytes().to_vec(), (-1_i64).to_be_bytes().to_vec()].concat()
        );
    }
}
