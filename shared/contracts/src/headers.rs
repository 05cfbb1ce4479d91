//! CloudEvents 1.0 in Kafka's binary mode, and the W3C trace context beside it.

use std::{borrow::Cow, str::FromStr};

use crate::{
    ids::{EventId, MessageId},
    timestamp::Timestamp,
};

/// Names of the headers.
pub mod name {
    /// CloudEvents id.
    pub const ID: &str = "ce_id";
    /// CloudEvents source: `/<service>`.
    pub const SOURCE: &str = "ce_source";
    /// CloudEvents type: the topic without its namespace.
    pub const TYPE: &str = "ce_type";
    /// CloudEvents time, RFC 3339.
    pub const TIME: &str = "ce_time";
    /// CloudEvents version.
    pub const SPEC_VERSION: &str = "ce_specversion";
    /// Content type of the value.
    pub const CONTENT_TYPE: &str = "content-type";
    /// The inbound message's id.
    pub const CORRELATION_ID: &str = "ce_correlationid";
    /// The event this one was made from.
    pub const CAUSATION_ID: &str = "ce_causationid";
    /// Feed of the inbound message.
    pub const FEED: &str = "ce_feed";
    /// W3C trace context.
    pub const TRACEPARENT: &str = "traceparent";
}

const AVRO: &str = "application/avro";

/// Headers of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventHeaders {
    /// Id of the record: the event's, or the message's on `inbound.*` and `delivery.*`.
    pub id: String,
    /// `/<service>`.
    pub source: Cow<'static, str>,
    /// Topic without its namespace.
    pub event_type: Cow<'static, str>,
    /// When the record was made.
    pub time: Timestamp,
    /// The inbound message's id.
    pub correlation_id: MessageId,
    /// The event this one was made from.
    pub causation_id: Option<EventId>,
    /// Feed of the inbound message.
    pub feed: Option<String>,
    /// W3C `traceparent`.
    pub traceparent: Option<String>,
}

/// A header that is missing or unreadable. Class `data`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Not there.
    #[error("header {0} is missing")]
    Missing(&'static str),
    /// There, but not of its form.
    #[error("header {0} is not of its form")]
    Invalid(&'static str),
}

impl EventHeaders {
    /// As name and value, in a fixed order.
    pub fn into_pairs(self) -> impl Iterator<Item = (&'static str, Cow<'static, str>)> {
        let always = [
            (name::ID, self.id.into()),
            (name::SOURCE, self.source),
            (name::TYPE, self.event_type),
            (name::TIME, self.time.to_rfc3339().into()),
            (name::SPEC_VERSION, "1.0".into()),
            (name::CONTENT_TYPE, AVRO.into()),
            (name::CORRELATION_ID, self.correlation_id.to_string().into()),
        ];
        let causation_id = self.causation_id.map(|id| (name::CAUSATION_ID, id.to_string().into()));
        let feed = self.feed.map(|feed| (name::FEED, feed.into()));
        let traceparent = self.traceparent.map(|parent| (name::TRACEPARENT, parent.into()));
        always.into_iter().chain(causation_id).chain(feed).chain(traceparent)
    }

    /// Reads them; of a repeated header the last counts. Unknown headers are ignored.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Result<Self, HeaderError> {
        let mut found: [Option<&[u8]>; NAMES.len()] = [None; NAMES.len()];
        for (header, value) in pairs {
            if let Some(at) = NAMES.iter().position(|known| *known == header) {
                found[at] = Some(value);
            }
        }
        let text = |at: usize| match found[at].map(std::str::from_utf8) {
            None => Ok(None),
            Some(Ok(text)) => Ok(Some(text)),
            Some(Err(_)) => Err(HeaderError::Invalid(NAMES[at])),
        };
        let required = |at: usize| text(at)?.ok_or(HeaderError::Missing(NAMES[at]));
        Ok(Self {
            id: required(0)?.to_owned(),
            source: required(1)?.to_owned().into(),
            event_type: required(2)?.to_owned().into(),
            time: Timestamp::parse_rfc3339(required(3)?).ok_or(HeaderError::Invalid(name::TIME))?,
            correlation_id: parsed(required(4)?, name::CORRELATION_ID)?,
            causation_id: text(5)?.map(|value| parsed(value, name::CAUSATION_ID)).transpose()?,
            feed: text(6)?.map(str::to_owned),
            traceparent: text(7)?.map(str::to_owned),
        })
    }
}

const NAMES: [&str; 8] = [
    name::ID,
    name::SOURCE,
    name::TYPE,
    name::TIME,
    name::CORRELATION_ID,
    name::CAUSATION_ID,
    name::FEED,
    name::TRACEPARENT,
];

fn parsed<T: FromStr>(value: &str, header: &'static str) -> Result<T, HeaderError> {
    value.parse().map_err(|_| HeaderError::Invalid(header))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn headers_round_trip(millis in 0_i64..4_000_000_000_000, feed in proptest::option::of("[a-z]{1,9}"), caused in any::<bool>()) {
            let message = MessageId::derive("lis", "", None, &millis.to_be_bytes());
            let headers = EventHeaders {
                id: message.to_string(),
                source: "/ehr-ingest".into(),
                event_type: "inbound.message.v1".into(),
                time: Timestamp::from_millis(millis),
                correlation_id: message,
                causation_id: caused.then(|| EventId::derive(message, "t", 0)),
                feed,
                traceparent: caused.then(|| format!("00-{}-0102030405060708-01", message.trace_id())),
            };
            let pairs: Vec<_> = headers.clone().into_pairs().collect();
            let read = EventHeaders::from_pairs(pairs.iter().map(|(name, value)| (*name, value.as_bytes())));
            prop_assert_eq!(read, Ok(headers));
        }
    }

    #[test]
    fn a_missing_header_is_named() {
        assert_eq!(EventHeaders::from_pairs([("ce_id", &b"1"[..])]), Err(HeaderError::Missing("ce_source")));
    }
}
