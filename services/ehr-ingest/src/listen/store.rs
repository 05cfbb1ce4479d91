//! Where messages are stored: one record on `inbound.message`, or on `inbound.rejected`.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
};

use waybill_contracts::{
    EventHeaders, MessageId, Namespace, ReasonCode, Record, Timestamp, TopicName,
    inbound::{InboundMessage, InboundRejected},
    reason,
};
use waybill_delivery::Classify;
use waybill_kafka::{Codec, CodecError, Delivery, Encoder, OutRecord, Probe, Producer, RegistryError};
use waybill_telemetry::trace::TraceContext;

/// Largest value: the topics take 16 MiB with key and headers. A body is compressed in it already.
const MAX_VALUE: usize = 16 * 1024 * 1024 - 4096;

/// Why a record was not sent on its way.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PutError {
    #[error(transparent)]
    Codec(#[from] CodecError),
    #[error("the record is larger than its topic takes")]
    TooLarge,
}

impl PutError {
    pub(crate) fn reason(&self) -> ReasonCode {
        match self {
            Self::Codec(error) => error.reason(),
            Self::TooLarge => reason::TOO_LARGE,
        }
    }
}

/// Writes to the two topics of the door.
pub(crate) struct Store {
    producer: Producer,
    broker: Arc<BrokerProbe>,
    schemas: OnceLock<Schemas>,
    messages: TopicName,
    rejections: TopicName,
    admit_below: usize,
}

/// The schemas as registered; without them nothing is stored.
pub(crate) struct Schemas {
    message: Encoder<InboundMessage>,
    rejected: Encoder<InboundRejected>,
}

impl Schemas {
    pub(crate) async fn look_up(codec: &Codec, namespace: &Namespace) -> Result<Self, RegistryError> {
        Ok(Self {
            message: codec.encoder(&namespace.topic(InboundMessage::TOPIC)).await?,
            rejected: codec.encoder(&namespace.topic(InboundRejected::TOPIC)).await?,
        })
    }
}

impl Store {
    /// `max_in_flight` is the producer's own bound.
    pub(crate) fn new(
        producer: Producer,
        broker: Arc<BrokerProbe>,
        namespace: &Namespace,
        max_in_flight: usize,
    ) -> Self {
        Self {
            producer,
            broker,
            schemas: OnceLock::new(),
            messages: namespace.topic(InboundMessage::TOPIC),
            rejections: namespace.topic(InboundRejected::TOPIC),
            // Room for what is on its way here from other connections.
            admit_below: max_in_flight - max_in_flight / 8,
        }
    }

    /// Topics and schemas have been found: messages can be stored from now on.
    pub(crate) fn open(&self, schemas: Schemas) {
        // Opened once; a second time would find the same.
        let _ = self.schemas.set(schemas);
    }

    /// Whether a message would be stored now; a sender that must wait is better told at once.
    pub(crate) fn admits(&self) -> bool {
        self.broker.is_ready() && self.schemas.get().is_some() && self.producer.in_flight() < self.admit_below
    }

    /// Sends a message on its way; `None` before the store is open.
    pub(crate) fn put_message(
        &self,
        message: &InboundMessage,
        key: [u8; 16],
        trace: TraceContext,
    ) -> Option<Result<Delivery, PutError>> {
        let schemas = self.schemas.get()?;
        let (id, feed, at) = (message.message_id, &message.feed, message.received_at);
        let headers = headers(InboundMessage::TOPIC, id, feed, at, trace);
        Some(self.send(&self.messages, &key, headers, schemas.message.encode(message)))
    }

    /// Sends a refusal on its way; `None` before the store is open.
    pub(crate) fn put_rejected(
        &self,
        rejected: &InboundRejected,
        trace: TraceContext,
    ) -> Option<Result<Delivery, PutError>> {
        let schemas = self.schemas.get()?;
        let (id, feed, at) = (rejected.message_id, &rejected.feed, rejected.received_at);
        let headers = headers(InboundRejected::TOPIC, id, feed, at, trace);
        Some(self.send(&self.rejections, id.as_bytes(), headers, schemas.rejected.encode(rejected)))
    }

    fn send(
        &self,
        topic: &TopicName,
        key: &[u8],
        headers: EventHeaders,
        value: Result<Vec<u8>, CodecError>,
    ) -> Result<Delivery, PutError> {
        let value = value?;
        if value.len() > MAX_VALUE {
            return Err(PutError::TooLarge);
        }
        Ok(self.producer.send(vec![OutRecord::event(topic.clone(), key, headers, value)]))
    }

    pub(crate) fn message_topic(&self) -> &str {
        self.messages.as_str()
    }

    pub(crate) fn rejected_topic(&self) -> &str {
        self.rejections.as_str()
    }
}

fn headers(
    topic: &'static str,
    id: MessageId,
    feed: &str,
    time: Timestamp,
    trace: TraceContext,
) -> EventHeaders {
    EventHeaders {
        id: id.to_string(),
        source: crate::SOURCE.into(),
        event_type: topic.into(),
        time,
        correlation_id: id,
        causation_id: None,
        feed: Some(feed.into()),
        traceparent: Some(trace.traceparent().to_string()),
    }
}

/// Shows the producer's health, and remembers whether a broker answers.
pub(crate) struct BrokerProbe {
    shown: Arc<dyn Probe>,
    ready: AtomicBool,
}

impl BrokerProbe {
    pub(crate) fn new(shown: Arc<dyn Probe>) -> Self {
        Self { shown, ready: AtomicBool::new(false) }
    }

    fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }
}

impl Probe for BrokerProbe {
    fn ready(&self) {
        self.ready.store(true, Ordering::Relaxed);
        self.shown.ready();
    }

    fn not_ready(&self, reason: &str) {
        self.ready.store(false, Ordering::Relaxed);
        self.shown.not_ready(reason);
    }

    fn beat(&self) {
        self.shown.beat();
    }
}
