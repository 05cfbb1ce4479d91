//! A record to be written.

use std::borrow::Cow;

use rdkafka::message::{Header, OwnedHeaders};
use waybill_contracts::{EventHeaders, TopicName};

/// A record to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutRecord {
    /// Where to.
    pub topic: TopicName,
    /// What decides the partition, and with it the order. Never readable patient data.
    pub key: Vec<u8>,
    /// Headers in order.
    pub headers: Vec<(Cow<'static, str>, Cow<'static, [u8]>)>,
    /// Encoded value.
    pub value: Vec<u8>,
    /// Fixed partition; only dead letters set it. On one topic use either keys or fixed partitions, never both: the
    /// order would not hold.
    pub partition: Option<i32>,
}

impl OutRecord {
    /// An event with its headers.
    pub fn event(topic: TopicName, key: impl Into<Vec<u8>>, headers: EventHeaders, value: Vec<u8>) -> Self {
        let headers = headers.into_pairs().map(|(name, value)| (name.into(), header_value(value)));
        Self { topic, key: key.into(), headers: headers.collect(), value, partition: None }
    }

    pub(crate) fn raw(&self) -> RawRecord<'_> {
        let headers = self
            .headers
            .iter()
            .fold(OwnedHeaders::new_with_capacity(self.headers.len()), |headers, (name, value)| {
                headers.insert(Header { key: name, value: Some(value.as_ref()) })
            });
        RawRecord {
            topic: self.topic.as_str(),
            partition: self.partition,
            key: Some(&self.key),
            value: Some(&self.value),
            headers,
        }
    }
}

/// Text as a header's value; what is compiled in is not copied.
fn header_value(text: Cow<'static, str>) -> Cow<'static, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

/// A record as the client takes it: dead letters carry keys and values that may be absent.
pub(crate) struct RawRecord<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: Option<i32>,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) headers: OwnedHeaders,
}
