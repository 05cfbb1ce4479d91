//! Which of two events is the later one.

use serde::{Deserialize, Serialize};
use waybill_contracts::{EventId, Timestamp, clinical::EventSource};

const HOUR: i64 = 3_600_000;

/// The place of an event in time: when it happened, when it was sent, what sort of event it is, its id.
///
/// Compared in this order, so that two events of the same moment have an order too, the same one everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Stamp {
    /// EVN-6, EVN-2 or MSH-7; the earliest moment there is when the event has no time at all.
    pub occurred: Timestamp,
    /// MSH-7.
    pub sent: Option<Timestamp>,
    /// What comes later in a stay has the higher rank; decides between events of the same second.
    pub(crate) rank: u8,
    /// Id of the event.
    pub id: EventId,
}

impl Stamp {
    /// From where the event came from; the time of arrival is no part of it.
    pub(crate) fn new(source: &EventSource, id: EventId, rank: u8) -> Self {
        let occurred = source.occurred_at.as_ref().and_then(|text| moment(text.expose(), source.sent_at));
        let occurred = occurred.or(source.sent_at).unwrap_or(Timestamp::from_millis(i64::MIN));
        Self { occurred, sent: source.sent_at, rank, id }
    }

    /// Whether the sender knew of `self` when it sent `other`: by the times of sending, else by the whole stamp.
    pub(crate) fn known_to(&self, other: &Self) -> bool {
        match (self.sent, other.sent) {
            (Some(mine), Some(theirs)) if mine != theirs => mine < theirs,
            _ => self <= other,
        }
    }
}

/// A FHIR dateTime as a moment. A day, month or year is no moment: the time of sending decides within it, because
/// midnight would put an event before others of its own day.
fn moment(text: &str, sent: Option<Timestamp>) -> Option<Timestamp> {
    if text.contains('T') {
        // A leap second, or a time without seconds, is still an instant of its minute.
        return Timestamp::parse_rfc3339(text).or_else(|| {
            let (date, time) = text.split_once('T')?;
            let offset = time.find(['Z', '+', '-'])?;
            Timestamp::parse_rfc3339(&format!("{date}T{}:00{}", time.get(..5)?, &time[offset..]))
        });
    }
    let mut parts = text.split('-');
    let year: i32 = parts.next()?.parse().ok()?;
    let month: Option<i32> = parts.next().map(str::parse).transpose().ok()?;
    let day: Option<i32> = parts.next().map(str::parse).transpose().ok()?;
    let midnight = |year: i32, month: i32, day: i32| {
        Timestamp::parse_rfc3339(&format!("{year:04}-{month:02}-{day:02}T00:00:00Z"))
    };
    let start = midnight(year, month.unwrap_or(1), day.unwrap_or(1))?;
    let end = match (month, day) {
        (_, Some(_)) => Timestamp::from_millis(start.as_millis() + 24 * HOUR),
        (None | Some(12), None) => midnight(year + 1, 1, 1)?,
        (Some(month), None) => midnight(year, month + 1, 1)?,
    };
    // The day of some place on earth: from UTC+14 to UTC-12.
    let (first, last) = (start.as_millis() - 14 * HOUR, end.as_millis() + 12 * HOUR);
    let within = sent.map_or(start.as_millis(), |sent| sent.as_millis().clamp(first, last));
    Some(Timestamp::from_millis(within))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).unwrap()
    }

    #[test]
    fn moments_are_read_with_their_offset() {
        assert_eq!(moment("2026-11-02T10:00:00-05:00", None), Some(at("2026-11-02T15:00:00Z")));
        assert_eq!(moment("2026-11-02T10:00:00.25Z", None), Some(at("2026-11-02T10:00:00.25Z")));
        assert_eq!(moment("2026-11-02T10:00Z", None), Some(at("2026-11-02T10:00:00Z")));
        assert_eq!(moment("2026-11-02T23:59:60Z", None), Some(at("2026-11-02T23:59:00Z")));
        for nonsense in ["", "x", "2026-13-01", "2026-02-30", "2026-11-02T", "2026-11-02T10:00:00"] {
            assert_eq!(moment(nonsense, None), None, "{nonsense}");
        }
    }

    #[test]
    fn within_a_day_the_time_of_sending_decides() {
        let sent = at("2026-11-03T02:00:00Z");
        assert_eq!(moment("2026-11-02", Some(sent)), Some(sent), "the evening of the second in New York");
        assert_eq!(moment("2026-11", Some(sent)), Some(sent));
        assert_eq!(moment("2026", Some(sent)), Some(sent));
        assert_eq!(moment("2026-11-02", None), Some(at("2026-11-02T00:00:00Z")));
        assert_eq!(
            moment("2026-11-02", Some(at("2026-12-24T00:00:00Z"))),
            Some(at("2026-11-03T12:00:00Z")),
            "sent long after: still on its day"
        );
        assert_eq!(moment("2026-12", Some(at("2027-03-01T00:00:00Z"))), Some(at("2027-01-01T12:00:00Z")));
    }
}
