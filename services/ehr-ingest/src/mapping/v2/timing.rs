//! When and for how long: timings (TQ until 2.6, TQ1 since 2.5) and durations.

use smol_str::SmolStr;
use waybill_contracts::Phi;

use waybill_hl7v2::{Dtm, Field, Repetition, Segment};

use super::{
    datatypes::{Reading, Value, leaf, moment},
    statuses,
};

/// The moment in a component.
pub(super) fn moment_at(whole: &Repetition<'_>, component: usize, reading: &Reading) -> Option<Phi<SmolStr>> {
    moment(leaf(whole, component).raw(), reading).map(Phi::new)
}

/// What a TQ field or TQ1 segment says.
#[derive(Default)]
pub(super) struct Timing {
    pub(super) start: Option<Phi<SmolStr>>,
    pub(super) end: Option<Phi<SmolStr>>,
    /// FHIR request priority.
    pub(super) priority: Option<&'static str>,
    /// As sent.
    pub(super) priority_code: Option<SmolStr>,
}

impl Timing {
    /// TQ: start, end and priority in components 4 to 6.
    pub(super) fn of_field(field: &Field<'_>, reading: &Reading) -> Self {
        let whole = field.repetition(1);
        let code = leaf(&whole, 6).read(reading);
        Self {
            start: moment_at(&whole, 4, reading),
            end: moment_at(&whole, 5, reading),
            priority: code.as_deref().and_then(statuses::priority),
            priority_code: code,
        }
    }

    /// TQ1-7, TQ1-8, TQ1-9.
    pub(super) fn of_segment(tq1: &Segment<'_>, reading: &Reading) -> Self {
        let whole = |number| tq1.field(number).repetition(1);
        let code = leaf(&whole(9), 1).read(reading);
        Self {
            start: moment_at(&whole(7), 1, reading),
            end: moment_at(&whole(8), 1, reading),
            priority: code.as_deref().and_then(statuses::priority),
            priority_code: code,
        }
    }

    /// What is missing here is taken from `other`.
    pub(super) fn or(self, other: Self) -> Self {
        // A start and the end of another time make no period.
        let (start, end) = if self.start.is_some() || self.end.is_some() {
            (self.start, self.end)
        } else {
            (other.start, other.end)
        };
        Self {
            start,
            end,
            priority: self.priority.or(other.priority),
            priority_code: self.priority_code.or(other.priority_code),
        }
    }
}

/// A duration in whole minutes, a begun one counted; without a unit it is in seconds (HL7 v2 §10.6, SCH-10, AIS-8).
pub(super) fn minutes(number: Option<SmolStr>, unit: Option<SmolStr>) -> Option<i32> {
    let number = number?.parse::<f64>().ok().filter(|number| (0.0..=1e7).contains(number))?;
    let unit = unit.map(|unit| unit.to_ascii_lowercase());
    let seconds = match unit.as_deref().unwrap_or("s") {
        "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
        "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3_600.0,
        "d" | "day" | "days" => 86_400.0,
        "w" | "wk" | "week" | "weeks" => 604_800.0,
        _ => return None,
    };
    Some((number * seconds / 60.0).ceil() as i32)
}

/// The time of day so many minutes after an HL7 time stamp.
pub(super) fn after(start: &[u8], minutes: i32, reading: &Reading) -> Option<Phi<SmolStr>> {
    let start = Dtm::parse(start).filter(Dtm::has_time)?;
    let offset = start.offset_minutes().unwrap_or(reading.utc_offset);
    let millis = start.unix_millis(Some(offset))?.checked_add(i64::from(minutes) * 60_000)?;
    let text = Dtm::from_unix_millis(millis, offset)?.to_fhir(None);
    // Nobody sends thousandths of an appointment.
    Some(Phi::new(text.replacen(".000", "", 1).into()))
}

#[cfg(test)]
mod tests {
    use waybill_hl7v2::Charset;

    use super::*;

    #[test]
    fn durations_are_minutes() {
        let of = |number: &str, unit: Option<&str>| minutes(Some(number.into()), unit.map(SmolStr::from));
        assert_eq!(of("30", Some("min")), Some(30));
        assert_eq!(of("1.5", Some("HR")), Some(90));
        assert_eq!(of("61", None), Some(2));
        assert_eq!(of("60", Some("S")), Some(1));
        for (number, unit) in
            [("", None), ("-5", Some("min")), ("1e99", Some("d")), ("NaN", None), ("5", Some("moon"))]
        {
            assert_eq!(of(number, unit), None, "{number} {unit:?}");
        }
    }

    #[test]
    fn an_end_is_start_and_duration() {
        let reading = Reading { charset: Charset::utf8(), utc_offset: -300 };
        let end = |start: &[u8], minutes| after(start, minutes, &reading).map(Phi::into_exposed);
        assert_eq!(end(b"202602281145-0500", 45).as_deref(), Some("2026-02-28T12:30:00-05:00"));
        assert_eq!(end(b"202602282345", 30).as_deref(), Some("2026-03-01T00:15:00-05:00"));
        assert_eq!(end(b"20260228", 30), None);
        assert_eq!(end(b"", 30), None);
    }
}
