//! The route role on the keyed loop: decodes, routes, encodes, traces.

use std::{collections::HashMap, sync::Arc};

use waybill_contracts::{
    EventHeaders, EventId, Namespace, Record, Timestamp, TopicName,
    delivery::{Manifest, Outcome, Receipt},
    lab::{LabDelivery, LabResult},
    reason, topics,
};
use waybill_kafka::{Codec, Encoder, HandlerError, InRecord, KeyedHandler, OutRecord, RegistryError};
use waybill_telemetry::trace::{self, Attr, SpanHandle, SpanKind};

use crate::{
    receipts::{Receipts, headers},
    route::{GROUP, delivery_topic, route},
    routing::RoutingTable,
};

/// Encoders of what the role writes.
pub(crate) struct Encoders {
    deliveries: HashMap<String, (TopicName, Encoder<LabDelivery>)>,
    manifest: (TopicName, Encoder<Manifest>),
}

impl Encoders {
    /// Looks all of them up.
    pub(crate) async fn look_up(
        codec: &Codec,
        namespace: &Namespace,
        table: &RoutingTable,
    ) -> Result<Self, RegistryError> {
        let mut deliveries = HashMap::new();
        for target in &table.targets {
            let topic = delivery_topic(namespace, &target.name);
            let encoder = codec.encoder(&topic).await?;
            deliveries.insert(target.name.clone(), (topic, encoder));
        }
        let topic = namespace.topic(Manifest::TOPIC);
        let encoder = codec.encoder(&topic).await?;
        Ok(Self { deliveries, manifest: (topic, encoder) })
    }
}

/// Routes records.
pub(crate) struct RouteHandler {
    pub(crate) table: Arc<RoutingTable>,
    pub(crate) codec: Codec,
    pub(crate) encoders: Encoders,
    pub(crate) receipts: Receipts,
}

impl KeyedHandler for RouteHandler {
    async fn handle(&self, record: &InRecord, _attempt: u32) -> Result<Vec<OutRecord>, HandlerError> {
        let incoming = event_headers(record)?;
        let result: LabResult = self.codec.decode(record.value().unwrap_or_default()).await?;
        let event_id: EventId = incoming.id.parse().map_err(|_| invalid("ce_id is not an event id"))?;
        let now = Timestamp::now();
        let span = trace::child_of_traceparent(
            incoming.traceparent.as_deref(),
            result.source.message_id,
            "process lab.result.v1",
            SpanKind::Consumer,
            &[
                Attr::MessageId(result.source.message_id),
                Attr::EventId(event_id),
                Attr::Group(GROUP),
                Attr::Partition(record.partition),
                Attr::Offset(record.offset),
                Attr::QueueMs(now.since(record.timestamp).as_millis() as u64),
            ],
        );
        let routed = route(&self.table, &result, event_id, now);
        let mut out = Vec::with_capacity(routed.deliveries.len() + 1);
        for delivery in &routed.deliveries {
            let (topic, encoder) = self
                .encoders
                .deliveries
                .get(&delivery.target)
                .ok_or_else(|| invalid("a target without a topic"))?;
            let sent = trace::child_of(
                &span.context(),
                "send lab.delivery.v1",
                SpanKind::Producer,
                &[Attr::Target(&delivery.target)],
            );
            let name = topics::lab_delivery(&delivery.target);
            let headers = headers(&delivery.control_id, name, &incoming, event_id, now, &sent);
            let key = record.key().unwrap_or_default().to_vec();
            out.push(OutRecord::event(topic.clone(), key, headers, encoder.encode(delivery)?));
        }
        let (topic, encoder) = &self.encoders.manifest;
        let message_id = result.source.message_id;
        let headers = headers(&message_id.to_string(), Manifest::TOPIC, &incoming, event_id, now, &span);
        let value = encoder.encode(&routed.manifest)?;
        out.push(OutRecord::event(topic.clone(), *message_id.as_bytes(), headers, value));
        Ok(out)
    }

    fn dead_letter(&self, record: &InRecord, error: &HandlerError) -> Vec<OutRecord> {
        let Ok(incoming) = record.event_headers() else { return Vec::new() };
        let Ok(event_id) = incoming.id.parse() else { return Vec::new() };
        let span = dead_letter_span(&incoming, error);
        let receipt = Receipt {
            message_id: incoming.correlation_id,
            event_id,
            topic: LabResult::TOPIC.to_owned(),
            destination: GROUP.to_owned(),
            outcome: Outcome::DeadLettered,
            attempt: 1,
            reason_code: Some(error.reason.into()),
            acknowledgement: None,
            outbound_control_id: None,
            evidence_sha256: None,
            at: Timestamp::now(),
        };
        self.receipts.record(&receipt, &incoming, &span).into_iter().collect()
    }
}

/// The headers of an event; without them nothing can be accounted for.
pub(crate) fn event_headers(record: &InRecord) -> Result<EventHeaders, HandlerError> {
    record.event_headers().map_err(|error| {
        HandlerError::new(waybill_delivery::ErrorClass::Data, reason::UNDECODABLE, error.to_string())
    })
}

pub(crate) fn dead_letter_span(incoming: &EventHeaders, error: &HandlerError) -> SpanHandle {
    let mut span = trace::child_of_traceparent(
        incoming.traceparent.as_deref(),
        incoming.correlation_id,
        "dead letter",
        SpanKind::Internal,
        &[Attr::MessageId(incoming.correlation_id)],
    );
    span.set_error(error.reason.as_str());
    span
}

fn invalid(detail: &str) -> HandlerError {
    HandlerError::new(waybill_delivery::ErrorClass::Data, reason::INVALID_RECORD, detail)
}
