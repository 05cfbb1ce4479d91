//! What a dead letter's headers say. The topic is `<topic>.dlq.<group>`, the partition the same; key, value and headers
//! of the record are kept byte for byte, these come behind them.

use std::{borrow::Cow, str::FromStr};

use rdkafka::message::{Header, OwnedHeaders};
use waybill_contracts::{HeaderError, Timestamp};
use waybill_delivery::ErrorClass;

use crate::{InRecord, out::RawRecord};

/// Names of the headers; every value is text.
pub mod name {
    /// All begin so.
    pub const PREFIX: &str = "waybill-dlq-";
    /// Topic where the record first failed.
    pub const TOPIC: &str = "waybill-dlq-topic";
    /// Its partition.
    pub const PARTITION: &str = "waybill-dlq-partition";
    /// Its offset.
    pub const OFFSET: &str = "waybill-dlq-offset";
    /// `data` or `defect`.
    pub const CLASS: &str = "waybill-dlq-class";
    /// Reason code.
    pub const CODE: &str = "waybill-dlq-code";
    /// Consumer group without namespace.
    pub const GROUP: &str = "waybill-dlq-group";
    /// Service that gave up.
    pub const SERVICE: &str = "waybill-dlq-service";
    /// Its version.
    pub const VERSION: &str = "waybill-dlq-version";
    /// Attempts before it did.
    pub const ATTEMPTS: &str = "waybill-dlq-attempts";
    /// First failure, RFC 3339.
    pub const FIRST_FAILED_AT: &str = "waybill-dlq-first-failed-at";
    /// Last failure, RFC 3339.
    pub const FAILED_AT: &str = "waybill-dlq-failed-at";
    /// How often it has been replayed.
    pub const REPLAY_COUNT: &str = "waybill-dlq-replay-count";
}

/// Headers of a dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are the header names, described in `name`")]
pub struct DeadLetterHeaders {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub class: ErrorClass,
    pub code: String,
    pub group: String,
    pub service: String,
    pub version: String,
    pub attempts: u32,
    pub first_failed_at: Timestamp,
    pub failed_at: Timestamp,
    pub replay_count: u32,
}

impl DeadLetterHeaders {
    /// As name and value, in a fixed order.
    pub fn to_pairs(&self) -> [(&'static str, Cow<'_, str>); 12] {
        [
            (name::TOPIC, Cow::from(&self.topic)),
            (name::PARTITION, self.partition.to_string().into()),
            (name::OFFSET, self.offset.to_string().into()),
            (name::CLASS, self.class.as_str().into()),
            (name::CODE, Cow::from(&self.code)),
            (name::GROUP, Cow::from(&self.group)),
            (name::SERVICE, Cow::from(&self.service)),
            (name::VERSION, Cow::from(&self.version)),
            (name::ATTEMPTS, self.attempts.to_string().into()),
            (name::FIRST_FAILED_AT, self.first_failed_at.to_rfc3339().into()),
            (name::FAILED_AT, self.failed_at.to_rfc3339().into()),
            (name::REPLAY_COUNT, self.replay_count.to_string().into()),
        ]
    }

    /// Reads them from a dead letter.
    pub fn read(record: &InRecord) -> Result<Self, HeaderError> {
        Ok(Self {
            topic: text(record, name::TOPIC)?.to_owned(),
            partition: parsed(record, name::PARTITION)?,
            offset: parsed(record, name::OFFSET)?,
            class: ErrorClass::parse(text(record, name::CLASS)?).ok_or(HeaderError::Invalid(name::CLASS))?,
            code: text(record, name::CODE)?.to_owned(),
            group: text(record, name::GROUP)?.to_owned(),
            service: text(record, name::SERVICE)?.to_owned(),
            version: text(record, name::VERSION)?.to_owned(),
            attempts: parsed(record, name::ATTEMPTS)?,
            first_failed_at: time(record, name::FIRST_FAILED_AT)?,
            failed_at: time(record, name::FAILED_AT)?,
            replay_count: parsed(record, name::REPLAY_COUNT)?,
        })
    }

    /// Of a record that has been a dead letter before and was replayed, the origin and the first failure stay.
    #[must_use]
    pub(crate) fn keeping_origin(mut self, record: &InRecord) -> Self {
        if let Ok(earlier) = Self::read(record) {
            self.topic = earlier.topic;
            self.partition = earlier.partition;
            self.offset = earlier.offset;
            self.first_failed_at = earlier.first_failed_at;
            self.replay_count = earlier.replay_count;
        }
        self
    }
}

fn text<'a>(record: &'a InRecord, header: &'static str) -> Result<&'a str, HeaderError> {
    let value = record.header(header).ok_or(HeaderError::Missing(header))?;
    std::str::from_utf8(value).map_err(|_| HeaderError::Invalid(header))
}

fn parsed<T: FromStr>(record: &InRecord, header: &'static str) -> Result<T, HeaderError> {
    text(record, header)?.parse().map_err(|_| HeaderError::Invalid(header))
}

fn time(record: &InRecord, header: &'static str) -> Result<Timestamp, HeaderError> {
    Timestamp::parse_rfc3339(text(record, header)?).ok_or(HeaderError::Invalid(header))
}

/// The dead letter of a record.
pub(crate) fn dead_letter<'a>(
    topic: &'a str,
    record: &'a InRecord,
    headers: &DeadLetterHeaders,
) -> RawRecord<'a> {
    let kept = record.raw_headers().filter(|header| !header.key.starts_with(name::PREFIX));
    let kept = kept.fold(OwnedHeaders::new(), OwnedHeaders::insert);
    let all = headers
        .to_pairs()
        .iter()
        .fold(kept, |all, (name, value)| all.insert(Header { key: name, value: Some(value.as_bytes()) }));
    RawRecord {
        topic,
        partition: Some(record.partition),
        key: record.key(),
        value: record.value(),
        headers: all,
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::message::Headers;

    use super::*;
    use crate::TopicPartition;

    fn headers() -> DeadLetterHeaders {
        DeadLetterHeaders {
            topic: "lab.result.v1".into(),
            partition: 5,
            offset: 4711,
            class: ErrorClass::Defect,
            code: "KAF-0002".into(),
            group: "lab-distributor".into(),
            service: "lab-distributor".into(),
            version: "0.1.0".into(),
            attempts: 3,
            first_failed_at: Timestamp::from_millis(1_700_000_000_123),
            failed_at: Timestamp::from_millis(1_700_000_100_456),
            replay_count: 2,
        }
    }

    fn record() -> InRecord {
        let at = TopicPartition::new("replay", 1);
        InRecord::new(&at, 9, Timestamp::from_millis(0), b"\xff\x00key", b"\x00\x01")
            .with_header("ce_id", b"\xfe")
    }

    /// What the broker would hand back.
    fn back(raw: &RawRecord<'_>) -> InRecord {
        let at = TopicPartition::new(raw.topic, raw.partition.unwrap());
        let empty = InRecord::new(&at, 0, Timestamp::from_millis(0), raw.key.unwrap(), raw.value.unwrap());
        raw.headers.iter().fold(empty, |record, header| record.with_header(header.key, header.value.unwrap()))
    }

    #[test]
    fn every_header_round_trips_and_the_record_is_kept() {
        let original = record();
        let letter = back(&dead_letter("t.dlq.g", &original, &headers()));
        assert_eq!(DeadLetterHeaders::read(&letter), Ok(headers()));
        assert_eq!((letter.key(), letter.value()), (original.key(), original.value()));
        assert_eq!(letter.header("ce_id"), Some(&b"\xfe"[..]));
        assert_eq!(letter.partition, original.partition);
        let size: usize = headers().to_pairs().iter().map(|(name, value)| name.len() + value.len()).sum();
        assert!(size < 1024, "{size}");
    }

    #[test]
    fn a_replayed_record_keeps_its_origin() {
        let replayed = back(&dead_letter("t.dlq.g", &record(), &headers()));
        let again = DeadLetterHeaders {
            topic: "t.replay.g".into(),
            partition: 1,
            offset: 1,
            attempts: 7,
            ..headers()
        };
        let kept = again.keeping_origin(&replayed);
        assert_eq!(
            (kept.topic.as_str(), kept.offset, kept.attempts, kept.replay_count),
            ("lab.result.v1", 4711, 7, 2)
        );
        let letter = dead_letter("t.dlq.g", &replayed, &kept);
        assert_eq!(letter.headers.iter().filter(|header| header.key == name::TOPIC).count(), 1);
    }
}
