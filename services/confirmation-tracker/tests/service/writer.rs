//! Writes what the other services write.

use std::{sync::Arc, time::Duration};

use waybill_contracts::{
    EventHeaders, EventId, MessageId, Namespace, Record, Timestamp,
    delivery::{
        Manifest, ManifestEvent, ManifestStage, ManifestTarget, Outcome, Receipt, Subscription,
        SubscriptionState,
    },
    lab::LabResult,
};
use waybill_kafka::{
    Codec, NoProbe, OutRecord, Producer, ProducerOptions, Registry, RegistryConfig,
    dead_letter::DeadLetterHeaders,
};
use waybill_testkit::{Installation, Stack};

pub(crate) const ROUTER: &str = "lab-distributor";
pub(crate) const TARGET: &str = "ward-ehr";

pub(crate) struct Writer {
    producer: Producer,
    codec: Codec,
    pub(crate) namespace: Namespace,
}

impl Writer {
    pub(crate) fn new(stack: &Stack, installation: &Installation) -> Self {
        let config = installation.topics().config();
        let producer = Producer::start(config, ProducerOptions::default(), Arc::new(NoProbe)).unwrap();
        let registry = RegistryConfig { url: stack.registry.clone(), ..RegistryConfig::default() };
        let codec = Codec::start(Arc::new(Registry::new(&registry).unwrap()));
        Self { producer, codec, namespace: config.namespace().unwrap() }
    }

    pub(crate) async fn send(&self, records: Vec<OutRecord>) {
        self.producer.send(records).await.unwrap();
    }

    pub(crate) async fn record<T: Record>(&self, id: MessageId, record: &T) -> OutRecord {
        let topic = self.namespace.topic(T::TOPIC);
        let value = self.codec.encoder::<T>(&topic).await.unwrap().encode(record).unwrap();
        self.raw(T::TOPIC, id, &id.to_string(), value)
    }

    pub(crate) fn raw(&self, topic: &str, id: MessageId, event: &str, value: Vec<u8>) -> OutRecord {
        let headers = EventHeaders {
            id: event.to_owned(),
            source: "/test".into(),
            event_type: topic.to_owned().into(),
            time: Timestamp::now(),
            correlation_id: id,
            causation_id: None,
            feed: Some("lis".into()),
            traceparent: Some(format!("00-{}-0102030405060708-01", id.trace_id())),
        };
        OutRecord::event(self.namespace.topic(topic), *id.as_bytes(), headers, value)
    }

    pub(crate) async fn subscribe(&self) {
        let subscription = Subscription {
            consumer: ROUTER.into(),
            topic: LabResult::TOPIC.into(),
            deadline_ms: 60_000,
            service: ROUTER.into(),
            version: "test".into(),
            state: SubscriptionState::Active,
            at: Timestamp::now(),
        };
        self.send(vec![self.record(MessageId::from_bytes([0; 16]), &subscription).await]).await;
    }

    /// The body is of no concern to the tracker, and here no body at all.
    pub(crate) fn received(&self, id: MessageId) -> OutRecord {
        self.raw("inbound.message.v1", id, &id.to_string(), b"not avro".to_vec())
    }

    pub(crate) async fn normalized(&self, id: MessageId, topics: &[&str]) -> OutRecord {
        let events = topics
            .iter()
            .map(|topic| ManifestEvent { event_id: EventId::derive(id, topic, 0), topic: (*topic).into() });
        let reason_code = topics.is_empty().then(|| "NRM-0001".to_owned());
        self.record(
            id,
            &Manifest { events: events.collect(), reason_code, ..blank(id, ManifestStage::Normalized) },
        )
        .await
    }

    pub(crate) async fn routed(&self, id: MessageId, deadline: Duration) -> OutRecord {
        let target = ManifestTarget { target: TARGET.into(), deadline_ms: deadline.as_millis() as i64 };
        let manifest = Manifest {
            event_id: Some(event(id)),
            consumer: Some(ROUTER.into()),
            targets: vec![target],
            ..blank(id, ManifestStage::Routed)
        };
        self.record(id, &manifest).await
    }

    pub(crate) async fn receipt(&self, id: MessageId, outcome: Outcome) -> OutRecord {
        self.receipt_at(id, TARGET, outcome).await
    }

    pub(crate) async fn receipt_at(&self, id: MessageId, destination: &str, outcome: Outcome) -> OutRecord {
        let receipt = Receipt {
            message_id: id,
            event_id: event(id),
            topic: LabResult::TOPIC.into(),
            destination: destination.into(),
            outcome,
            attempt: 1,
            reason_code: (outcome == Outcome::Rejected).then(|| "LAB-0002".into()),
            acknowledgement: None,
            outbound_control_id: None,
            evidence_sha256: None,
            at: Timestamp::now(),
        };
        self.record(id, &receipt).await
    }

    /// All the records of a message that is delivered.
    pub(crate) async fn story(&self, id: MessageId) -> Vec<OutRecord> {
        vec![
            self.received(id),
            self.normalized(id, &[LabResult::TOPIC]).await,
            self.routed(id, Duration::from_mins(5)).await,
            self.receipt(id, Outcome::Confirmed).await,
        ]
    }

    pub(crate) fn dead_letter(&self, id: MessageId) -> OutRecord {
        let now = Timestamp::now();
        let mut record = self.raw(LabResult::TOPIC, id, &event(id).to_string(), b"torn".to_vec());
        let headers = DeadLetterHeaders {
            topic: record.topic.to_string(),
            partition: 0,
            offset: 0,
            class: waybill_delivery::ErrorClass::Data,
            code: "KAF-0001".into(),
            group: ROUTER.into(),
            service: ROUTER.into(),
            version: "test".into(),
            attempts: 2,
            first_failed_at: now,
            failed_at: now,
            replay_count: 0,
        };
        let pairs = headers.to_pairs();
        record
            .headers
            .extend(pairs.map(|(name, value)| (name.into(), value.into_owned().into_bytes().into())));
        record.topic = record.topic.dead_letter(ROUTER);
        record.partition = Some(0);
        record
    }
}

pub(crate) fn message(number: u32) -> MessageId {
    MessageId::derive("lis", "LAB|GH", None, &number.to_be_bytes())
}

fn event(id: MessageId) -> EventId {
    EventId::derive(id, LabResult::TOPIC, 0)
}

fn blank(id: MessageId, stage: ManifestStage) -> Manifest {
    Manifest {
        message_id: id,
        stage,
        feed: "lis".into(),
        message_type: Some("ORU^R01^ORU_R01".into()),
        control_id: Some(id.to_string()[24..].to_owned()),
        received_at: Some(Timestamp::now()),
        events: Vec::new(),
        event_id: None,
        consumer: None,
        targets: Vec::new(),
        reason_code: None,
        version: "test".into(),
        at: Timestamp::now(),
    }
}
