//! `date`, `dateTime` and `instant` (R4 §2.24.0.1): checked against form and calendar, kept as sent.

use std::fmt;

use serde::{Deserialize, Deserializer, de};
use time::{Date as CalendarDate, Duration, Month, OffsetDateTime, Time, UtcOffset};

use crate::json::{NOT_A_DATE, NOT_A_DATE_TIME, Text};

/// A `date`: YYYY, YYYY-MM or YYYY-MM-DD.
#[derive(Clone, PartialEq, Eq)]
pub struct Date<'a>(pub Text<'a>);

/// A `dateTime`, or an `instant`.
#[derive(Clone, PartialEq, Eq)]
pub struct DateTime<'a>(pub Text<'a>);

macro_rules! checked {
    ($name:ident, $check:expr, $message:expr) => {
        impl $name<'_> {
            /// As it was sent.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Debug for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("[date]")
            }
        }
        impl<'de: 'a, 'a> Deserialize<'de> for $name<'a> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Text::deserialize(deserializer)?;
                if $check(&text) { Ok(Self(text)) } else { Err(de::Error::custom($message)) }
            }
        }
    };
}
checked!(Date, |text: &str| span(text).is_some() && text.len() <= 10, NOT_A_DATE);
checked!(DateTime, |text: &str| span(text).is_some(), NOT_A_DATE_TIME);

impl DateTime<'_> {
    /// Milliseconds since the epoch at which it begins; a date without a time begins at midnight UTC.
    pub fn unix_millis(&self) -> Option<i64> {
        let span = span(self.as_str())?;
        i64::try_from(span.first.unix_timestamp_nanos().div_euclid(1_000_000)).ok()
    }

    /// Surely before `other`: its last moment is before the first of `other`.
    pub fn is_before(&self, other: &DateTime<'_>) -> bool {
        // A date without an offset may be anywhere on earth; two of them are of the same place.
        const ANYWHERE: Duration = Duration::hours(14);
        match (span(self.as_str()), span(other.as_str())) {
            (Some(own), Some(other)) if own.has_offset == other.has_offset => own.last < other.first,
            (Some(own), Some(other)) => own.last.checked_add(ANYWHERE).is_some_and(|last| last < other.first),
            _ => false,
        }
    }
}

struct Span {
    first: OffsetDateTime,
    last: OffsetDateTime,
    has_offset: bool,
}

/// First and last moment that the text may mean, in UTC where it has no offset; `None` when it is not of the form, or no
/// day of the calendar.
fn span(text: &str) -> Option<Span> {
    let bytes = text.as_bytes();
    let year = digits(bytes.get(..4)?)?;
    let (year, month, day) = match bytes.len() {
        4 => (year, None, None),
        7 if bytes[4] == b'-' => (year, Some(digits(&bytes[5..7])?), None),
        10.. if bytes[4] == b'-' && bytes[7] == b'-' => {
            (year, Some(digits(&bytes[5..7])?), Some(digits(&bytes[8..10])?))
        }
        _ => return None,
    };
    if year == 0 {
        return None;
    }
    let calendar = |month: i32, day: i32| {
        let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
        CalendarDate::from_calendar_date(year, month, u8::try_from(day).ok()?).ok()
    };
    if bytes.len() > 10 {
        let at = time_of(&text[10..], calendar(month?, day?)?)?;
        return Some(Span { first: at, last: at, has_offset: true });
    }
    let last_month = month.unwrap_or(12);
    let last_day = || (28..=31).rev().find_map(|day| calendar(last_month, day));
    let first = calendar(month.unwrap_or(1), day.unwrap_or(1))?;
    let last = match day {
        Some(_) => first,
        None => last_day()?,
    };
    let last = last.with_time(Time::from_hms(23, 59, 59).ok()?).assume_utc();
    Some(Span { first: first.midnight().assume_utc(), last, has_offset: false })
}

/// `T23:59:59.999+01:00`: seconds and an offset are demanded once there is a time.
fn time_of(text: &str, date: CalendarDate) -> Option<OffsetDateTime> {
    let bytes = text.as_bytes();
    if bytes.len() < 10 || bytes[0] != b'T' || bytes[3] != b':' || bytes[6] != b':' {
        return None;
    }
    let part = |from: usize| digits(&bytes[from..from + 2]);
    let (hour, minute, second) = (part(1)?, part(4)?, part(7)?);
    let mut rest = &bytes[9..];
    let mut nanos = 0;
    if let Some((b'.', fraction)) = rest.split_first() {
        let length = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if length == 0 {
            return None;
        }
        let digits = fraction[..length].iter().map(|digit| u32::from(digit - b'0'));
        nanos = digits.chain(std::iter::repeat(0)).take(9).fold(0, |nanos, digit| nanos * 10 + digit);
        rest = &fraction[length..];
    }
    let offset = match rest {
        b"Z" => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (digits(&[*h1, *h2])?, digits(&[*m1, *m2])?);
            if hours > 14 || minutes > 59 || (hours == 14 && minutes > 0) {
                return None;
            }
            (hours * 60 + minutes) * if *sign == b'-' { -60 } else { 60 }
        }
        _ => return None,
    };
    // A leap second counts as the second before it: R4 allows 60.
    let second = if second == 60 { 59 } else { second };
    let time =
        Time::from_hms_nano(hour.try_into().ok()?, minute.try_into().ok()?, second.try_into().ok()?, nanos)
            .ok()?;
    Some(date.with_time(time).assume_offset(UtcOffset::from_whole_seconds(offset).ok()?))
}

fn digits(bytes: &[u8]) -> Option<i32> {
    bytes
        .iter()
        .try_fold(0, |number, byte| byte.is_ascii_digit().then(|| number * 10 + i32::from(byte - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date_time(text: &str) -> Option<DateTime<'_>> {
        serde_json::from_value::<String>(text.into()).ok()?;
        span(text).map(|_| DateTime(Text(text.into())))
    }

    #[test]
    fn forms_and_calendar() {
        for good in [
            "2026",
            "2026-02",
            "2024-02-29",
            "2026-05-01T10:00:00Z",
            "2026-05-01T10:00:60.123456789123+14:00",
            "0001-01-01",
            "9999-12-31T23:59:59-12:00",
        ] {
            assert!(span(good).is_some(), "{good}");
        }
        for wrong in [
            "19",
            "2026-13",
            "2026-02-30",
            "2026-2-3",
            "2026-05-01T10:00Z",
            "2026-05-01T10:00:00",
            "20260501",
            "2026-05-01T24:00:00Z",
            "2026-05-01T10:00:00.Z",
            "2026-05-01T10:00:00+15:00",
            "2026-05-01 10:00:00Z",
            "0000",
            "+026",
            "",
            "2026-",
            "2026-05-01T",
            "éé",
            "2026-05-01é",
            "not a date",
        ] {
            assert!(span(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn order_counts_only_where_it_is_sure() {
        let before = |a: &str, b: &str| date_time(a).unwrap().is_before(&date_time(b).unwrap());
        assert!(before("2026-05-01T10:00:00Z", "2026-05-01T12:00:01+02:00"));
        assert!(!before("2026-05-01T10:00:00Z", "2026-05-01T12:00:00+02:00"));
        assert!(!before("2026-05-01", "2026-05-01T00:00:00Z"));
        assert!(!before("2026-05", "2026-05-31"));
        assert!(before("2025", "2026-05-31"));
        assert!(before("2026-02-28", "2026-03-01") && !before("2026-02-28", "2026-02-28"));
        assert!(
            !before("2026-02-28", "2026-03-01T10:00:00Z") && before("2026-02-28", "2026-03-01T15:00:00Z")
        );
        assert_eq!(date_time("1970-01-01T00:00:01.5Z").unwrap().unix_millis(), Some(1_500));
    }
}
