//! HL7 time stamps (TS, DTM, DT): `YYYY[MM[DD[HH[MM[SS[.S…]]]]]][+/-ZZZZ]`.

use std::fmt;

/// How much of a time stamp was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Precision {
    /// YYYY
    Year,
    /// YYYYMM
    Month,
    /// YYYYMMDD
    Day,
    /// YYYYMMDDHH
    Hour,
    /// YYYYMMDDHHMM
    Minute,
    /// YYYYMMDDHHMMSS
    Second,
    /// With a fraction of this many digits, 1 to 9.
    Fraction(u8),
}

/// A time stamp with the precision and offset it was sent with.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Dtm {
    year: u16,
    month: u8,
    day: u8,
    hour: u8,
    minute: u8,
    second: u8,
    nanosecond: u32,
    precision: Precision,
    offset_minutes: Option<i16>,
}

impl Dtm {
    /// Reads a time stamp (component 1 of a TS); `None` when it is none or no day of the calendar.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = text.trim_ascii();
        let sign = text.iter().position(|byte| matches!(byte, b'+' | b'-'));
        let (local, offset) = text.split_at(sign.unwrap_or(text.len()));
        let (digits, fraction) = match local.iter().position(|byte| *byte == b'.') {
            Some(point) => (&local[..point], Some(&local[point + 1..])),
            None => (local, None),
        };
        let part = |at: usize| digits.get(at..at + 2).map_or(Some(None), |two| number(two).map(Some));
        let year = number(digits.get(..4)?)? as u16;
        let (month, day) = (part(4)?, part(6)?);
        let (hour, minute, second) = (part(8)?, part(10)?, part(12)?);
        let (nanosecond, precision) = match (digits.len(), fraction) {
            (14, Some(fraction)) => (nanoseconds(fraction)?, Precision::Fraction(fraction.len() as u8)),
            (_, Some(_)) => return None,
            (4, _) => (0, Precision::Year),
            (6, _) => (0, Precision::Month),
            (8, _) => (0, Precision::Day),
            (10, _) => (0, Precision::Hour),
            (12, _) => (0, Precision::Minute),
            (14, _) => (0, Precision::Second),
            _ => return None,
        };
        let dtm = Self {
            year,
            month: month.unwrap_or(1) as u8,
            day: day.unwrap_or(1) as u8,
            hour: hour.unwrap_or(0) as u8,
            minute: minute.unwrap_or(0) as u8,
            second: second.unwrap_or(0) as u8,
            nanosecond,
            precision,
            offset_minutes: if offset.is_empty() { None } else { Some(offset_minutes(offset)?) },
        };
        dtm.is_real().then_some(dtm)
    }

    /// The time stamp of a moment, in milliseconds since 1970-01-01 UTC, as seen at an offset; `None` outside of the years 1
    /// to 9999.
    pub fn from_unix_millis(millis: i64, offset_minutes: i16) -> Option<Self> {
        let local = millis.checked_add(i64::from(offset_minutes) * 60_000)?;
        let (days, in_day) = (local.div_euclid(86_400_000), local.rem_euclid(86_400_000));
        let (year, month, day) = civil(days)?;
        let dtm = Self {
            year,
            month,
            day,
            hour: (in_day / 3_600_000) as u8,
            minute: (in_day / 60_000 % 60) as u8,
            second: (in_day / 1000 % 60) as u8,
            nanosecond: (in_day % 1000) as u32 * 1_000_000,
            precision: Precision::Fraction(3),
            offset_minutes: Some(offset_minutes),
        };
        dtm.is_real().then_some(dtm)
    }

    /// How much was given.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Whether a time of day was given.
    pub fn has_time(&self) -> bool {
        self.precision > Precision::Day
    }

    /// Minutes east of UTC, where given.
    pub fn offset_minutes(&self) -> Option<i16> {
        self.offset_minutes
    }

    /// FHIR `dateTime`, such as `2024-01-31T10:15:00.123-05:00`. FHIR wants an offset with every time of day: where none was
    /// sent `default_offset_minutes` is taken, and without that only the date is left. Missing minutes and seconds
    /// become zero, as FHIR has them all or none.
    pub fn to_fhir(&self, default_offset_minutes: Option<i16>) -> String {
        let mut text = self.to_fhir_date();
        let offset = self.offset_minutes.or(default_offset_minutes);
        let Some(offset) = offset.filter(|_| self.has_time()) else { return text };
        for (before, part) in [('T', self.hour), (':', self.minute), (':', self.second)] {
            text.push(before);
            put_two(&mut text, part);
        }
        self.put_fraction(&mut text);
        put_offset(&mut text, offset, Some(':'));
        text
    }

    /// FHIR `date`: `2024`, `2024-01` or `2024-01-31`.
    pub fn to_fhir_date(&self) -> String {
        // Room for a dateTime with milliseconds and offset.
        let mut text = String::with_capacity("YYYY-MM-DDThh:mm:ss.sss+zz:zz".len());
        self.put_year(&mut text);
        for (precision, part) in [(Precision::Month, self.month), (Precision::Day, self.day)] {
            if self.precision >= precision {
                text.push('-');
                put_two(&mut text, part);
            }
        }
        text
    }

    /// Milliseconds since 1970-01-01 UTC of the moment where the time stamp starts; `None` when there is no offset and no
    /// default either.
    pub fn unix_millis(&self, default_offset_minutes: Option<i16>) -> Option<i64> {
        let offset = i64::from(self.offset_minutes.or(default_offset_minutes)?);
        let minutes = (days(self.year, self.month, self.day) * 24 + i64::from(self.hour)) * 60;
        let seconds = (minutes + i64::from(self.minute) - offset) * 60 + i64::from(self.second);
        Some(seconds * 1000 + i64::from(self.nanosecond / 1_000_000))
    }

    fn is_real(&self) -> bool {
        let leap =
            self.year.is_multiple_of(4) && (!self.year.is_multiple_of(100) || self.year.is_multiple_of(400));
        let last = match self.month {
            4 | 6 | 9 | 11 => 30,
            2 if leap => 29,
            2 => 28,
            _ => 31,
        };
        // 60 is a leap second, which FHIR allows too.
        self.year > 0
            && (1..=12).contains(&self.month)
            && (1..=last).contains(&self.day)
            && self.hour < 24
            && self.minute < 60
            && self.second <= 60
    }

    fn put_year(&self, text: &mut String) {
        put_two(text, (self.year / 100) as u8);
        put_two(text, (self.year % 100) as u8);
    }

    fn put_fraction(&self, text: &mut String) {
        if let Precision::Fraction(digits) = self.precision {
            text.push('.');
            text.extend((0..u32::from(digits)).map(|place| digit(self.nanosecond / 10_u32.pow(8 - place))));
        }
    }
}

impl fmt::Display for Dtm {
    /// HL7 text, as it was sent.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity("YYYYMMDDhhmmss.sss+zzzz".len());
        self.put_year(&mut text);
        let parts = [
            (Precision::Month, self.month),
            (Precision::Day, self.day),
            (Precision::Hour, self.hour),
            (Precision::Minute, self.minute),
            (Precision::Second, self.second),
        ];
        for (precision, part) in parts {
            if self.precision >= precision {
                put_two(&mut text, part);
            }
        }
        self.put_fraction(&mut text);
        if let Some(offset) = self.offset_minutes {
            put_offset(&mut text, offset, None);
        }
        f.write_str(&text)
    }
}

impl fmt::Debug for Dtm {
    /// The precision only: a date of birth is patient data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dtm({:?})", self.precision)
    }
}

/// The last decimal digit.
fn digit(number: u32) -> char {
    char::from(b'0' + (number % 10) as u8)
}

/// A number below 100 in two digits: many times as fast as formatting it, and every event and answer has such.
fn put_two(text: &mut String, number: u8) {
    text.extend([digit(u32::from(number) / 10), digit(u32::from(number))]);
}

fn put_offset(text: &mut String, minutes: i16, between: Option<char>) {
    text.push(if minutes < 0 { '-' } else { '+' });
    let minutes = minutes.unsigned_abs();
    put_two(text, (minutes / 60) as u8);
    text.extend(between);
    put_two(text, (minutes % 60) as u8);
}

fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + u32::from(digit - b'0')))
}

fn nanoseconds(fraction: &[u8]) -> Option<u32> {
    let scale = 9_u32.checked_sub(fraction.len() as u32)?;
    if fraction.is_empty() { None } else { Some(number(fraction)? * 10_u32.pow(scale)) }
}

/// `+HHMM` or `-HHMM`, up to 14 hours as in FHIR.
fn offset_minutes(text: &[u8]) -> Option<i16> {
    let [sign, digits @ ..] = text else { return None };
    if digits.len() != 4 {
        return None;
    }
    let (hours, minutes) = (number(&digits[..2])?, number(&digits[2..])?);
    let total = (hours * 60 + minutes) as i16;
    if minutes > 59 || total > 14 * 60 {
        return None;
    }
    Some(if *sign == b'-' { -total } else { total })
}

/// Days since 1970-01-01 of a date of the Gregorian calendar (H. Hinnant, "chrono-compatible low-level date algorithms").
fn days(year: u16, month: u8, day: u8) -> i64 {
    let year = i64::from(year) - i64::from(month <= 2);
    let (era, in_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((i64::from(month) + 9) % 12) + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + in_era * 365 + in_era / 4 - in_era / 100 + day_of_year - 719_468
}

/// The date of a number of days since 1970-01-01; the inverse of [`days`].
fn civil(days: i64) -> Option<(u16, u8, u8)> {
    let days = days.checked_add(719_468)?;
    let (era, in_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (in_era - in_era / 1460 + in_era / 36_524 - in_era / 146_096) / 365;
    let day_of_year = in_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let year = u16::try_from(year).ok().filter(|year| *year <= 9999)?;
    Some((year, month as u8, day as u8))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dtm(text: &str) -> Dtm {
        Dtm::parse(text.as_bytes()).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn precision_and_offset_are_kept() {
        for (text, precision, fhir) in [
            ("2024", Precision::Year, "2024"),
            ("202402", Precision::Month, "2024-02"),
            ("20240229", Precision::Day, "2024-02-29"),
            ("20240131-0500", Precision::Day, "2024-01-31"),
            ("2024013110+0000", Precision::Hour, "2024-01-31T10:00:00+00:00"),
            ("202401311015+0530", Precision::Minute, "2024-01-31T10:15:00+05:30"),
            ("20240131101500-0500", Precision::Second, "2024-01-31T10:15:00-05:00"),
            ("20240131101500.123-0500", Precision::Fraction(3), "2024-01-31T10:15:00.123-05:00"),
            ("20240131101500.0010-0500", Precision::Fraction(4), "2024-01-31T10:15:00.0010-05:00"),
        ] {
            let read = dtm(text);
            assert_eq!(
                (read.precision(), read.to_fhir(None).as_str(), read.to_string().as_str()),
                (precision, fhir, text)
            );
        }
    }

    #[test]
    fn without_an_offset_the_default_counts_or_only_the_date_is_left() {
        let local = dtm("20240131101500");
        assert_eq!(local.to_fhir(Some(-300)), "2024-01-31T10:15:00-05:00");
        assert_eq!(local.to_fhir(None), "2024-01-31");
        assert_eq!(local.unix_millis(None), None);
        assert_eq!(local.unix_millis(Some(-300)), dtm("20240131151500+0000").unix_millis(None));
        assert_eq!(dtm("20240131101500+0000").to_fhir(Some(-300)), "2024-01-31T10:15:00+00:00");
    }

    #[test]
    fn moments_are_milliseconds_since_1970() {
        assert_eq!(dtm("19700101000000+0000").unix_millis(None), Some(0));
        assert_eq!(dtm("20240131101500.123-0500").unix_millis(None), Some(1_706_714_100_123));
        assert_eq!(dtm("19691231235959+0000").unix_millis(None), Some(-1000));
        let back = Dtm::from_unix_millis(1_706_714_100_123, -300).unwrap();
        assert_eq!(back.to_string(), "20240131101500.123-0500");
        assert_eq!(Dtm::from_unix_millis(i64::MAX, 0), None);
        assert_eq!(Dtm::from_unix_millis(-99_999_999_999_999, 0), None);
    }

    #[test]
    fn days_and_dates_are_inverse() {
        for day in (-719_162..2_932_896).step_by(17) {
            let (year, month, date) = civil(day).unwrap();
            assert_eq!(days(year, month, date), day);
        }
    }

    #[test]
    fn what_is_no_time_stamp_is_none() {
        for text in [
            "",
            "2",
            "202",
            "20241",
            "202413",
            "20240230",
            "20230229",
            "20240131240000",
            "202401311060",
            "20240131101561",
            "00000101",
            "2024013110150",
            "20240131.5",
            "20240131101500.",
            "20240131101500.1234567891",
            "2024-01-31",
            "20240131101500-05:00",
            "20240131101500-9900",
            "20240131101500+",
            "x",
            "2024013110150x",
            "20240131101500Z",
        ] {
            assert_eq!(Dtm::parse(text.as_bytes()), None, "{text}");
        }
    }
}
