//! The batch loop's handler: joins batches into the books and lets deadlines pass.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc, time::Duration};

use tokio::{sync::Notify, time::Instant};
use waybill_contracts::{
    Namespace, Record as _, Timestamp,
    delivery::{MessageState, Subscription},
};
use waybill_delivery::{Classify, ErrorClass};
use waybill_kafka::{
    Batch, BatchHandler, HandlerError, InRecord, KafkaConfig, OutRecord, Producer, TopicPartition,
    dead_letter::{self, DeadLetterHeaders},
    read_all,
};
use waybill_runtime::Component;
use waybill_store::{Move, Partition};
use waybill_telemetry::{
    metrics::{self, Label, Metric},
    trace::{self, Attr, SpanKind},
};

use crate::{
    GROUP, SERVICE,
    intake::{self, Reader},
    ledger::{Intake, Ledger, Transition, state_text},
    queries,
};

/// Every replica shows the same numbers: they are the installation's, so take their maximum, not their sum.
const COUNT_EVERY: Duration = Duration::from_secs(10);
const STATES: [MessageState; 7] = [
    MessageState::Open,
    MessageState::Delivered,
    MessageState::NoDestination,
    MessageState::Overdue,
    MessageState::Exception,
    MessageState::Refused,
    MessageState::Resolved,
];

/// Owns what one replica knows of its partitions.
pub(crate) struct Handler {
    pub(crate) ledger: Ledger,
    pub(crate) reader: Reader,
    pub(crate) kafka: KafkaConfig,
    pub(crate) producer: Producer,
    /// Every partition of the input, whoever reads it: the watermark needs them all.
    pub(crate) partitions: Vec<Partition>,
    pub(crate) slack: Duration,
    /// Shows the database to whoever asks for readiness.
    pub(crate) database: Component,
    /// Told when there is something in the outbox.
    pub(crate) outgoing: Arc<Notify>,
    /// Where this replica's partitions stand.
    pub(crate) standing: BTreeMap<Partition, Option<i64>>,
    /// When the messages were last counted for the metrics.
    pub(crate) counted_at: Timestamp,
}

impl BatchHandler for Handler {
    async fn stored_offsets(
        &mut self,
        assigned: &[TopicPartition],
    ) -> Result<Vec<(TopicPartition, Option<i64>)>, HandlerError> {
        // A manifest must not be settled as nobody's because the subscriptions have not been read yet.
        self.read_subscriptions().await?;
        let partitions: Vec<Partition> = assigned.iter().map(partition).collect();
        let offsets = self.shown(self.ledger.stored_offsets(&partitions).await)?;
        self.standing.extend(partitions.into_iter().zip(offsets.iter().copied()));
        Ok(assigned.iter().cloned().zip(offsets).collect())
    }

    async fn apply(&mut self, batch: Batch) -> Result<(), HandlerError> {
        let started = Instant::now();
        let now = Timestamp::now();
        let mut intake = Intake::default();
        let mut unusable = Vec::new();
        for record in &batch.records {
            match self.reader.read(record, &mut intake).await {
                Ok(()) => {}
                Err(error) if error.class == ErrorClass::Data => unusable.push((record, error)),
                Err(error) => return Err(error),
            }
        }
        self.set_aside(unusable, now).await?;
        let moves: Vec<Move> = batch
            .positions
            .iter()
            .map(|position| Move {
                partition: partition(&position.partition),
                previous: position.previous,
                next: position.next,
            })
            .collect();
        let transitions = self.shown(self.ledger.apply(&intake, &moves, now).await)?;
        self.standing.extend(moves.into_iter().map(|step| (step.partition, Some(step.next))));
        metrics::observe(Metric::TrackerBatchSeconds, started.elapsed().as_secs_f64(), &[]);
        self.tell(&transitions);
        Ok(())
    }

    async fn tick(&mut self, watermark: Option<Timestamp>) -> Result<(), HandlerError> {
        if let Some(watermark) = watermark {
            let standing: Vec<_> =
                self.standing.iter().map(|(partition, next)| (partition.clone(), *next)).collect();
            self.shown(self.ledger.read_up_to(&standing, watermark).await)?;
        }
        let now = Timestamp::now();
        let Some(read) = self.shown(self.ledger.watermark(&self.partitions).await)? else { return Ok(()) };
        metrics::gauge(Metric::TrackerWatermarkLagSeconds, now.since(read).as_secs_f64(), &[]);
        let passed = Timestamp::from_millis(read.as_millis().saturating_sub(millis(self.slack)));
        loop {
            let (transitions, more) = self.shown(self.ledger.pass(passed, now).await)?;
            self.tell(&transitions);
            if !more {
                break;
            }
        }
        if now.since(self.counted_at) >= COUNT_EVERY {
            self.counted_at = now;
            let known = self.shown(queries::messages_by_state(self.ledger.store()).await)?;
            for state in STATES {
                let messages = known.get(&state).copied().unwrap_or_default();
                metrics::gauge(Metric::TrackerMessages, messages as f64, &[Label::State(state_text(state))]);
            }
        }
        Ok(())
    }

    async fn revoked(&mut self, partitions: &[TopicPartition]) {
        for gone in partitions {
            self.standing.remove(&partition(gone));
        }
    }
}

impl Handler {
    async fn read_subscriptions(&self) -> Result<(), HandlerError> {
        let topic = self.reader.namespace.topic(Subscription::TOPIC);
        let records = read_all(&self.kafka, &topic).await?;
        let mut intake = Intake::default();
        for record in &records {
            match self.reader.read(record, &mut intake).await {
                Ok(()) => {}
                // It comes again with a batch, and is set aside there.
                Err(error) if error.class == ErrorClass::Data => {}
                Err(error) => return Err(error),
            }
        }
        self.shown(self.ledger.declare(&intake.subscriptions).await)
    }

    /// Puts records that cannot be used where a person finds them, before the offsets pass them.
    async fn set_aside(
        &self,
        unusable: Vec<(&InRecord, HandlerError)>,
        now: Timestamp,
    ) -> Result<(), HandlerError> {
        if unusable.is_empty() {
            return Ok(());
        }
        let mut letters = Vec::new();
        for (record, error) in unusable {
            tracing::error!(
                topic = &*record.topic,
                partition = record.partition,
                offset = record.offset,
                message_id = intake::message_of(record).map(tracing::field::display),
                code = %error.reason,
                detail = error.detail,
                "record set aside"
            );
            let labels = [
                Label::Topic(&record.topic),
                Label::Group(GROUP),
                Label::Class(error.class.as_str()),
                Label::Reason(error.reason.as_str()),
            ];
            metrics::count(Metric::DeadLetters, 1, &labels);
            letters.extend(letter(&self.reader.namespace, record, &error, now));
        }
        Ok(self.producer.send(letters).await?)
    }

    /// Says what changed, after it is committed.
    fn tell(&self, transitions: &[Transition]) {
        if transitions.is_empty() {
            return;
        }
        self.outgoing.notify_one();
        for transition in transitions {
            let state = transition.standing.state;
            let reason = transition.standing.reason.as_deref().unwrap_or_default();
            match state {
                MessageState::Open | MessageState::Resolved => continue,
                MessageState::Overdue => {
                    tracing::warn!(message_id = %transition.id, code = reason, "message is overdue");
                }
                MessageState::Exception => {
                    tracing::warn!(message_id = %transition.id, code = reason, "message needs attention");
                }
                MessageState::Delivered | MessageState::NoDestination | MessageState::Refused => {
                    tracing::debug!(message_id = %transition.id, state = state_text(state), code = reason, "settled");
                }
            }
            if state != MessageState::Overdue {
                metrics::count(Metric::TrackerSettled, 1, &[Label::State(state_text(state))]);
            }
            let attributes =
                [Attr::MessageId(transition.id), Attr::Outcome(state_text(state)), Attr::ReasonCode(reason)];
            let attributes = if reason.is_empty() { &attributes[..2] } else { &attributes };
            let parent = transition.traceparent.as_deref();
            let mut span =
                trace::child_of_traceparent(parent, transition.id, "settle", SpanKind::Internal, attributes);
            if matches!(state, MessageState::Overdue | MessageState::Exception) {
                span.set_error(reason);
            }
            span.end();
        }
    }

    /// Shows whether the database answers, and passes the result on.
    fn shown<T, E: Classify + std::fmt::Display>(&self, result: Result<T, E>) -> Result<T, HandlerError> {
        match result {
            Ok(value) => {
                self.database.ready();
                Ok(value)
            }
            Err(error) => {
                self.database.not_ready(error.to_string());
                Err(HandlerError::of(&error))
            }
        }
    }
}

/// The dead letter of a record, in our own topic; none for topics whose dead letters nobody keeps.
fn letter(
    namespace: &Namespace,
    record: &InRecord,
    error: &HandlerError,
    now: Timestamp,
) -> Option<OutRecord> {
    let name = namespace.strip(&record.topic)?;
    let entry = waybill_contracts::topics::find(name)?;
    entry.consumers.iter().find(|consumer| consumer.group == GROUP && consumer.dead_letters)?;
    let headers = DeadLetterHeaders {
        topic: record.topic.to_string(),
        partition: record.partition,
        offset: record.offset,
        class: error.class,
        code: error.reason.as_str().to_owned(),
        group: GROUP.to_owned(),
        service: SERVICE.name.to_owned(),
        version: SERVICE.version.to_owned(),
        attempts: 1,
        first_failed_at: now,
        failed_at: now,
        replay_count: 0,
    };
    let kept = record.headers().filter(|(name, _)| !name.starts_with(dead_letter::name::PREFIX));
    let kept = kept.map(|(name, value)| (Cow::Owned(name.to_owned()), value.to_vec().into()));
    let added =
        headers.to_pairs().map(|(name, value)| (Cow::Borrowed(name), value.into_owned().into_bytes().into()));
    Some(OutRecord {
        topic: namespace.topic(name).dead_letter(GROUP),
        key: record.key().unwrap_or_default().to_vec(),
        headers: kept.chain(added).collect(),
        value: record.value().unwrap_or_default().to_vec(),
        partition: Some(record.partition),
    })
}

fn partition(at: &TopicPartition) -> Partition {
    Partition { topic: at.topic.to_string(), partition: at.partition }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
