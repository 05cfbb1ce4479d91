//! Receipts as records, and the headers of everything this service writes.

use waybill_contracts::{EventHeaders, EventId, Record, Timestamp, TopicName, delivery::Receipt};
use waybill_kafka::{Encoder, OutRecord};
use waybill_telemetry::trace::SpanHandle;

/// Writes receipts.
#[derive(Clone)]
pub(crate) struct Receipts {
    pub(crate) topic: TopicName,
    pub(crate) encoder: Encoder<Receipt>,
}

impl Receipts {
    /// The record of a receipt; `None` when it does not fit its schema, which the drift test excludes.
    pub(crate) fn record(
        &self,
        receipt: &Receipt,
        cause: &EventHeaders,
        span: &SpanHandle,
    ) -> Option<OutRecord> {
        let id = receipt.message_id.to_string();
        let headers = headers(&id, Receipt::TOPIC, cause, receipt.event_id, receipt.at, span);
        let value = self.encoder.encode(receipt).ok()?;
        Some(OutRecord::event(self.topic.clone(), *receipt.message_id.as_bytes(), headers, value))
    }
}

/// Headers of a record on `topic` that the event `caused_by` led to.
pub(crate) fn headers(
    id: &str,
    topic: impl Into<std::borrow::Cow<'static, str>>,
    incoming: &EventHeaders,
    caused_by: EventId,
    now: Timestamp,
    span: &SpanHandle,
) -> EventHeaders {
    EventHeaders {
        id: id.to_owned(),
        source: "/lab-distributor".into(),
        event_type: topic.into(),
        time: now,
        correlation_id: incoming.correlation_id,
        causation_id: Some(caused_by),
        feed: incoming.feed.clone(),
        traceparent: Some(span.context().traceparent().to_string()),
    }
}
