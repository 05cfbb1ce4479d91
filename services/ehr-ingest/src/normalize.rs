//! The role `normalize`: turns stored messages into events and says so in a manifest.

use std::{collections::HashMap, sync::Arc};

use waybill_contracts::{
    EventHeaders, Namespace, Record, Timestamp, TopicName,
    billing::ChargeEvent,
    clinical::{AppointmentEvent, EncounterEvent, PatientEvent},
    delivery::{Manifest, ManifestEvent, ManifestStage},
    inbound::InboundMessage,
    lab::{LabOrder, LabResult},
    reason,
};
use waybill_delivery::ErrorClass;
use waybill_kafka::{
    Codec, CodecError, Encoder, HandlerError, InRecord, KeyedHandler, OutRecord, RegistryError,
};
use waybill_telemetry::trace::{Attr, SpanKind, TraceContext, child_of, child_of_traceparent};

use crate::{
    feed::Feed,
    mapping::{self, Event, Mapped, Payload},
};

/// Consumer group, without namespace.
pub(crate) const GROUP: &str = "ehr-ingest.normalize";

/// Topics that this role writes, without namespace.
pub(crate) const OUTPUTS: [&str; 7] = [
    PatientEvent::TOPIC,
    EncounterEvent::TOPIC,
    AppointmentEvent::TOPIC,
    LabOrder::TOPIC,
    LabResult::TOPIC,
    ChargeEvent::TOPIC,
    Manifest::TOPIC,
];

/// The handler of `inbound.message`.
pub(crate) struct Normalizer {
    codec: Codec,
    feeds: HashMap<String, Arc<Feed>>,
    outputs: Outputs,
}

/// Where events go, and how they are written.
pub(crate) struct Outputs {
    patient: Output<PatientEvent>,
    encounter: Output<EncounterEvent>,
    appointment: Output<AppointmentEvent>,
    order: Output<LabOrder>,
    result: Output<LabResult>,
    charge: Output<ChargeEvent>,
    manifest: Output<Manifest>,
}

struct Output<T> {
    topic: TopicName,
    encoder: Encoder<T>,
}

impl<T: Record> Output<T> {
    async fn look_up(codec: &Codec, namespace: &Namespace) -> Result<Self, RegistryError> {
        let topic = namespace.topic(T::TOPIC);
        Ok(Self { encoder: codec.encoder(&topic).await?, topic })
    }

    fn record(&self, key: &[u8], headers: EventHeaders, value: &T) -> Result<OutRecord, CodecError> {
        Ok(OutRecord::event(self.topic.clone(), key, headers, self.encoder.encode(value)?))
    }
}

impl Outputs {
    pub(crate) async fn look_up(codec: &Codec, namespace: &Namespace) -> Result<Self, RegistryError> {
        Ok(Self {
            patient: Output::look_up(codec, namespace).await?,
            encounter: Output::look_up(codec, namespace).await?,
            appointment: Output::look_up(codec, namespace).await?,
            order: Output::look_up(codec, namespace).await?,
            result: Output::look_up(codec, namespace).await?,
            charge: Output::look_up(codec, namespace).await?,
            manifest: Output::look_up(codec, namespace).await?,
        })
    }

    fn event(&self, event: &Event, headers: EventHeaders) -> Result<OutRecord, CodecError> {
        let key = event.key.as_bytes();
        match &event.payload {
            Payload::Patient(patient) => self.patient.record(key, headers, patient),
            Payload::Encounter(encounter) => self.encounter.record(key, headers, encounter),
            Payload::Appointment(appointment) => self.appointment.record(key, headers, appointment),
            Payload::Order(order) => self.order.record(key, headers, order),
            Payload::Result(result) => self.result.record(key, headers, result),
            Payload::Charge(charge) => self.charge.record(key, headers, charge),
        }
    }
}

impl Normalizer {
    pub(crate) fn new(codec: Codec, feeds: Vec<Feed>, outputs: Outputs) -> Self {
        let feeds = feeds.into_iter().map(|feed| (feed.name.clone(), Arc::new(feed))).collect();
        Self { codec, feeds, outputs }
    }

    async fn normalize(&self, record: &InRecord, attempt: u32) -> Result<Vec<OutRecord>, HandlerError> {
        let inbound: InboundMessage = self.codec.decode(record.value().unwrap_or_default()).await?;
        let now = Timestamp::now();
        let traceparent = record.header("traceparent").and_then(|header| std::str::from_utf8(header).ok());
        let mut span = child_of_traceparent(
            traceparent,
            inbound.message_id,
            "process inbound.message.v1",
            SpanKind::Consumer,
            &[
                Attr::Feed(&inbound.feed),
                Attr::Topic(&record.topic),
                Attr::Partition(record.partition),
                Attr::Offset(record.offset),
                Attr::Group(GROUP),
                Attr::Attempt(attempt),
                Attr::QueueMs(now.since(record.timestamp).as_millis() as u64),
            ],
        );
        let written = self.write(&inbound, now, &span.context());
        match &written {
            Ok(records) => span.set_attr(Attr::Count(records.len() as u64 - 1)),
            Err(error) => span.set_error(error.reason.as_str()),
        }
        written
    }

    fn write(
        &self,
        inbound: &InboundMessage,
        now: Timestamp,
        trace: &TraceContext,
    ) -> Result<Vec<OutRecord>, HandlerError> {
        let feed = self.feeds.get(inbound.feed.as_str()).ok_or_else(|| {
            let detail = format!("the feed {} is not configured", inbound.feed);
            HandlerError::new(ErrorClass::Configuration, reason::FEED_UNKNOWN, detail)
        })?;
        let bytes = inbound
            .body
            .bytes()
            .map_err(|error| HandlerError::new(ErrorClass::Data, reason::UNDECODABLE, error.to_string()))?;
        let mapped = mapping::map(inbound, &bytes, feed)
            .map_err(|error| HandlerError::new(ErrorClass::Data, error.reason, error.detail))?;
        let (events, reason) = match mapped {
            Mapped::Events(events) => (events, None),
            Mapped::NoDestination(reason) => (Vec::new(), Some(reason)),
        };
        let mut records = Vec::with_capacity(events.len() + 1);
        let named = events
            .iter()
            .map(|event| ManifestEvent { event_id: event.id, topic: event.payload.topic().to_owned() });
        let manifest = Manifest {
            message_id: inbound.message_id,
            stage: ManifestStage::Normalized,
            feed: inbound.feed.to_string(),
            message_type: inbound.message_type.as_deref().map(str::to_owned),
            control_id: inbound.control_id.as_deref().map(str::to_owned),
            received_at: Some(inbound.received_at),
            events: named.collect(),
            event_id: None,
            consumer: None,
            targets: Vec::new(),
            reason_code: reason.map(String::from),
            version: feed.profile.to_string(),
            at: now,
        };
        for event in &events {
            let headers = headers(&event.id.to_string(), event.payload.topic(), inbound, now, trace);
            records.push(self.outputs.event(event, headers)?);
        }
        records.push(self.manifest(&manifest, trace)?);
        Ok(records)
    }

    fn manifest(&self, manifest: &Manifest, trace: &TraceContext) -> Result<OutRecord, HandlerError> {
        let id = manifest.message_id;
        let send =
            child_of(trace, "send delivery.manifest.v1", SpanKind::Producer, &[Attr::Topic(Manifest::TOPIC)]);
        let headers = EventHeaders {
            id: id.to_string(),
            source: crate::SOURCE.into(),
            event_type: Manifest::TOPIC.into(),
            time: manifest.at,
            correlation_id: id,
            causation_id: None,
            feed: Some(manifest.feed.clone()),
            traceparent: Some(send.context().traceparent().to_string()),
        };
        Ok(self.outputs.manifest.record(id.as_bytes(), headers, manifest)?)
    }
}

/// Headers of an event, with a span for its way to Kafka.
fn headers(
    id: &str,
    topic: &'static str,
    inbound: &InboundMessage,
    now: Timestamp,
    trace: &TraceContext,
) -> EventHeaders {
    let name = match topic {
        PatientEvent::TOPIC => "send clinical.patient.v1",
        EncounterEvent::TOPIC => "send clinical.encounter.v1",
        AppointmentEvent::TOPIC => "send clinical.appointment.v1",
        LabOrder::TOPIC => "send lab.order.v1",
        ChargeEvent::TOPIC => "send billing.charge.v1",
        _ => "send lab.result.v1",
    };
    let send = child_of(trace, name, SpanKind::Producer, &[Attr::Topic(topic)]);
    EventHeaders {
        id: id.to_owned(),
        source: crate::SOURCE.into(),
        event_type: topic.into(),
        time: now,
        correlation_id: inbound.message_id,
        causation_id: None,
        feed: Some(inbound.feed.to_string()),
        traceparent: Some(send.context().traceparent().to_string()),
    }
}

/// A dead letter comes without a manifest: a manifest says that the message is settled, and this one waits for somebody.
impl KeyedHandler for Normalizer {
    fn handle(
        &self,
        record: &InRecord,
        attempt: u32,
    ) -> impl Future<Output = Result<Vec<OutRecord>, HandlerError>> + Send {
        self.normalize(record, attempt)
    }
}
