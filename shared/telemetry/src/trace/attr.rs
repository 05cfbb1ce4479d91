//! The attributes a span may have: a closed list, so that nothing else can be exported.

use opentelemetry::{KeyValue, Value};
use waybill_contracts::{EventId, MessageId};

/// An attribute of a span. There is no other way to set one.
///
/// What can come from outside (message type, trigger) is held to the shape of a code; anything else becomes `other`.
#[derive(Clone, Copy, Debug)]
pub enum Attr<'a> {
    /// Id of the inbound message.
    MessageId(MessageId),
    /// Id of the event.
    EventId(EventId),
    /// Feed the message came in on.
    Feed(&'a str),
    /// Message type, `ORU` or a FHIR resource type.
    MessageType(&'a str),
    /// Trigger event, `R01`.
    Trigger(&'a str),
    /// Kafka topic.
    Topic(&'a str),
    /// Kafka partition.
    Partition(i32),
    /// Kafka offset.
    Offset(i64),
    /// Kafka consumer group.
    Group(&'a str),
    /// Delivery target.
    Target(&'a str),
    /// Number of the attempt, from 1.
    Attempt(u32),
    /// Acknowledgement code: `AA`, `AE`, `AR`, `CA`, an HTTP status.
    AckCode(&'static str),
    /// Reason code, the name of a page in `docs/reasons/`.
    ReasonCode(&'a str),
    /// Outcome of the step.
    Outcome(&'static str),
    /// Class of an error: `data`, `unavailable`, `configuration`, `defect`.
    ErrorClass(&'static str),
    /// Size of the message or record in bytes.
    Bytes(u64),
    /// Records in a batch, events of a message, observations of a report.
    Count(u64),
    /// Milliseconds between production and processing of a record.
    QueueMs(u64),
}

/// The keys, in the order of the variants; the exporter lets no other key through.
pub(super) const KEYS: [&str; 18] = [
    "waybill.message_id",
    "waybill.event_id",
    "waybill.feed",
    "waybill.message_type",
    "waybill.trigger",
    "messaging.destination.name",
    "messaging.destination.partition.id",
    "messaging.kafka.offset",
    "messaging.consumer.group.name",
    "waybill.target",
    "waybill.attempt",
    "waybill.ack_code",
    "waybill.reason_code",
    "waybill.outcome",
    "error.type",
    "waybill.bytes",
    "messaging.batch.message_count",
    "waybill.queue_ms",
];

impl Attr<'_> {
    pub(super) fn to_otel(self) -> KeyValue {
        let (index, value): (usize, Value) = match self {
            Self::MessageId(id) => (0, id.to_string().into()),
            Self::EventId(id) => (1, id.to_string().into()),
            Self::Feed(name) => (2, name_or_other(name)),
            Self::MessageType(code) => (3, code_or_other(code)),
            Self::Trigger(code) => (4, code_or_other(code)),
            Self::Topic(name) => (5, name_or_other(name)),
            // The semantic conventions want the partition as text.
            Self::Partition(number) => (6, number.to_string().into()),
            Self::Offset(number) => (7, number.into()),
            Self::Group(name) => (8, name_or_other(name)),
            Self::Target(name) => (9, name_or_other(name)),
            Self::Attempt(number) => (10, i64::from(number).into()),
            Self::AckCode(code) => (11, code.into()),
            Self::ReasonCode(code) => (12, name_or_other(code)),
            Self::Outcome(outcome) => (13, outcome.into()),
            Self::ErrorClass(class) => (14, class.into()),
            Self::Bytes(number) => (15, (number as i64).into()),
            Self::Count(number) => (16, (number as i64).into()),
            Self::QueueMs(number) => (17, (number as i64).into()),
        };
        KeyValue::new(KEYS[index], value)
    }
}

/// Names from configuration: a token without spaces.
pub(super) fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'/');
    !text.is_empty() && text.len() <= 128 && text.bytes().all(allowed)
}

fn name_or_other(text: &str) -> Value {
    if is_name(text) { text.to_owned().into() } else { "other".into() }
}

/// Codes from a message: HL7 v2 types and triggers have 3 letters and digits, FHIR type names are one word. Digits
/// alone would let a record number through.
fn code_or_other(text: &str) -> Value {
    let code = text.len() <= 32
        && text.starts_with(|first: char| first.is_ascii_uppercase())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && text.bytes().filter(u8::is_ascii_digit).count() <= 2;
    if code { text.to_owned().into() } else { "other".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_is_not_a_code_does_not_become_an_attribute() {
        for (text, exported) in [
            ("ORU", "ORU"),
            ("R01", "R01"),
            ("DiagnosticReport", "DiagnosticReport"),
            ("DOE^JOHN", "other"),
            ("4711123", "other"),
            ("A123456", "other"),
            ("", "other"),
            ("Müller", "other"),
        ] {
            assert_eq!(Attr::MessageType(text).to_otel().value.as_str(), exported, "{text}");
        }
        assert_eq!(Attr::Feed("john doe").to_otel().value.as_str(), "other");
        assert_eq!(Attr::Feed("lis-a.east").to_otel().value.as_str(), "lis-a.east");
    }
}
