//! A record that was read.

use std::sync::Arc;

use rdkafka::{
    Message,
    message::{BorrowedMessage, Header, Headers, OwnedHeaders},
};
use waybill_contracts::{EventHeaders, HeaderError, Timestamp};

/// One partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// The topic as the cluster knows it.
    pub topic: Arc<str>,
    /// Number of the partition.
    pub partition: i32,
}

impl TopicPartition {
    /// From its parts.
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

impl std::fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}

/// A record that was read; cheap to clone. Its `Debug` shows where it stands, never what it says.
#[derive(Clone)]
pub struct InRecord {
    /// The topic as the cluster knows it.
    pub topic: Arc<str>,
    /// Number of the partition.
    pub partition: i32,
    /// Offset in the partition.
    pub offset: i64,
    /// Time that the producer, or the broker, gave it.
    pub timestamp: Timestamp,
    /// Shared, so that a batch that must be applied again is not copied.
    content: Arc<Content>,
}

#[derive(Clone)]
struct Content {
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Option<OwnedHeaders>,
}

impl InRecord {
    /// Builds one, for tests of handlers.
    pub fn new(at: &TopicPartition, offset: i64, timestamp: Timestamp, key: &[u8], value: &[u8]) -> Self {
        let (topic, partition) = (at.topic.clone(), at.partition);
        let content = Content { key: Some(key.to_vec()), value: Some(value.to_vec()), headers: None };
        Self { topic, partition, offset, timestamp, content: Arc::new(content) }
    }

    /// The same with one more header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &[u8]) -> Self {
        let content = Arc::make_mut(&mut self.content);
        let headers = content.headers.take().unwrap_or_default();
        content.headers = Some(headers.insert(Header { key: name, value: Some(value) }));
        self
    }

    /// The same with an event's headers.
    #[must_use]
    pub fn with_event_headers(self, headers: &EventHeaders) -> Self {
        let pairs = headers.clone().into_pairs();
        pairs.fold(self, |record, (name, value)| record.with_header(name, value.as_bytes()))
    }

    /// Without the value: a tombstone.
    #[must_use]
    pub fn tombstone(mut self) -> Self {
        Arc::make_mut(&mut self.content).value = None;
        self
    }

    pub(crate) fn of(topic: Arc<str>, message: &BorrowedMessage<'_>) -> Self {
        Self {
            topic,
            partition: message.partition(),
            offset: message.offset(),
            timestamp: Timestamp::from_millis(message.timestamp().to_millis().unwrap_or(0)),
            content: Arc::new(Content {
                key: message.key().map(<[u8]>::to_vec),
                value: message.payload().map(<[u8]>::to_vec),
                headers: message.headers().map(rdkafka::message::BorrowedHeaders::detach),
            }),
        }
    }

    /// The key, if it has one.
    pub fn key(&self) -> Option<&[u8]> {
        self.content.key.as_deref()
    }

    /// The value; a tombstone has none.
    pub fn value(&self) -> Option<&[u8]> {
        self.content.value.as_deref()
    }

    /// The last header of this name; one without a value counts as absent.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.raw_headers().filter(|header| header.key == name).filter_map(|header| header.value).last()
    }

    /// The headers that have a value, in order.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.raw_headers().filter_map(|header| Some((header.key, header.value?)))
    }

    /// The `CloudEvents` headers.
    pub fn event_headers(&self) -> Result<EventHeaders, HeaderError> {
        EventHeaders::from_pairs(self.headers())
    }

    /// Where it stands.
    pub fn topic_partition(&self) -> TopicPartition {
        TopicPartition { topic: self.topic.clone(), partition: self.partition }
    }

    pub(crate) fn raw_headers(&self) -> impl Iterator<Item = Header<'_, &[u8]>> {
        self.content.headers.iter().flat_map(Headers::iter)
    }

    /// Bytes of key and value: what a bound of memory counts.
    pub(crate) fn size(&self) -> usize {
        self.key().map_or(0, <[u8]>::len) + self.value().map_or(0, <[u8]>::len)
    }
}

impl std::fmt::Debug for InRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InRecord")
            .field("topic", &self.topic)
            .field("partition", &self.partition)
            .field("offset", &self.offset)
            .field("bytes", &self.size())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_no_content_and_the_last_header_counts() {
        let at = TopicPartition::new("lab.result.v1", 2);
        let record = InRecord::new(&at, 7, Timestamp::from_millis(1), b"key", b"Smith^John")
            .with_header("a", b"1")
            .with_header("b", b"2")
            .with_header("a", b"3");
        assert_eq!(record.header("a"), Some(&b"3"[..]));
        assert_eq!(record.headers().count(), 3);
        assert_eq!(record.header("c"), None);
        let shown = format!("{record:?}");
        assert!(shown.contains("offset: 7") && !shown.contains("Smith") && !shown.contains("key"), "{shown}");
        assert_eq!(record.tombstone().value(), None);
    }
}
