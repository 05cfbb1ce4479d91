//! The deliver role: one delivery, one exchange with the target, one receipt.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::Instant,
};

use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use waybill_contracts::{
    EventHeaders, EventId, MessageId, ReasonCode, Record, Timestamp,
    delivery::{Outcome, Receipt},
    lab::{LabDelivery, LabResult},
    reason,
};
use waybill_delivery::ErrorClass;
use waybill_hl7v2::{Path, edit, path};
use waybill_kafka::{Codec, HandlerError, InRecord, KeyedHandler, OutRecord};
use waybill_telemetry::{
    metrics::{self, Label, Metric},
    trace::{self, Attr, SpanHandle, SpanKind},
};

use crate::{
    mllp_client::{Connections, Exchange},
    receipts::Receipts,
    reply::{self, Verdict},
    route_handler::{dead_letter_span, event_headers},
    routing::Target,
};

/// MSH-10.
const CONTROL_ID: Path = path!("MSH-10");
/// Confirmed deliveries remembered per target, so that a repeat after a crash of the router is not sent again.
const REMEMBERED: usize = 20_000;

/// Delivers to one target.
pub(crate) struct Deliver {
    target: Target,
    group: String,
    connections: Connections,
    codec: Codec,
    receipts: Receipts,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    /// Sends that were not answered: a later "duplicate control id" proves them delivered.
    unknown: HashSet<EventId>,
    confirmed: HashMap<EventId, Receipt>,
    order: VecDeque<EventId>,
}

impl Deliver {
    pub(crate) fn new(
        target: Target,
        group: String,
        max_answer_bytes: usize,
        codec: Codec,
        receipts: Receipts,
    ) -> Self {
        let connections = Connections::new(target.clone(), max_answer_bytes);
        Self { target, group, connections, codec, receipts, memory: Mutex::default() }
    }

    /// Sends, judges the answer, and says what the receipt says.
    async fn attempt(&self, delivery: &LabDelivery, attempt: u32) -> Result<Receipt, Failure> {
        if delivery.target != self.target.name {
            return Err(Failure::data(
                reason::TARGET_UNKNOWN,
                &"the record names another target than its topic",
            ));
        }
        let original =
            delivery.body.bytes().map_err(|error| Failure::data(reason::INVALID_RECORD, &error))?;
        let message = edit::replace_field(&original, CONTROL_ID, delivery.control_id.as_bytes())
            .map_err(|error| Failure::data(reason::INVALID_RECORD, &error))?;
        let before = self.memory.lock().unknown.contains(&delivery.event_id);
        let judge = |answer: &[u8]| reply::judge(answer, &delivery.control_id, before);
        let in_step = |answer: &[u8]| !matches!(judge(answer), Verdict::Failed { in_step: false, .. });
        let exchange = self.connections.exchange(message.into(), in_step).await;
        let (verdict, evidence) = match &exchange {
            Exchange::Unreachable => {
                return Err(Failure::unavailable(reason::TARGET_UNREACHABLE, Outcome::Attempted));
            }
            Exchange::Unsendable => {
                return Err(Failure::data(
                    reason::INVALID_RECORD,
                    &"the message holds an MLLP block character",
                ));
            }
            Exchange::Silence => (reply::SILENCE, None),
            Exchange::Answer(answer) => (judge(answer), Some(Sha256::digest(answer).to_vec())),
        };
        match verdict {
            Verdict::Confirmed { acknowledgement } => Ok(Receipt {
                acknowledgement: Some(acknowledgement.to_owned()),
                evidence_sha256: evidence,
                ..self.receipt(delivery.message_id, delivery.event_id, Outcome::Confirmed, attempt)
            }),
            Verdict::Failed { class, reason, outcome, acknowledgement, .. } => {
                Err(Failure { class, reason, outcome, acknowledgement, evidence, detail: String::new() })
            }
        }
    }

    fn receipt(&self, message_id: MessageId, event_id: EventId, outcome: Outcome, attempt: u32) -> Receipt {
        Receipt {
            message_id,
            event_id,
            topic: LabResult::TOPIC.to_owned(),
            destination: self.target.name.clone(),
            outcome,
            attempt: i32::try_from(attempt).unwrap_or(i32::MAX),
            reason_code: None,
            acknowledgement: None,
            outbound_control_id: Some(event_id.outbound_control_id(&self.target.name)),
            evidence_sha256: None,
            at: Timestamp::now(),
        }
    }

    fn settle(&self, receipt: &Receipt) {
        let mut memory = self.memory.lock();
        memory.unknown.remove(&receipt.event_id);
        if memory.confirmed.insert(receipt.event_id, receipt.clone()).is_none() {
            memory.order.push_back(receipt.event_id);
        }
        if memory.order.len() > REMEMBERED
            && let Some(oldest) = memory.order.pop_front()
        {
            memory.confirmed.remove(&oldest);
        }
    }

    fn failed(
        &self,
        incoming: &EventHeaders,
        delivery: &LabDelivery,
        failure: Failure,
        attempt: u32,
        span: &mut SpanHandle,
    ) -> HandlerError {
        span.set_error(failure.reason.as_str());
        if failure.outcome == Outcome::Unknown {
            self.memory.lock().unknown.insert(delivery.event_id);
        }
        // What was sent says what came of it: now if it is tried again, with the dead letter if it is not.
        let emit = if failure.class == ErrorClass::Data && failure.reason != reason::TARGET_REFUSED {
            Vec::new()
        } else {
            let receipt = Receipt {
                reason_code: Some(failure.reason.into()),
                acknowledgement: failure.acknowledgement.map(str::to_owned),
                evidence_sha256: failure.evidence,
                ..self.receipt(delivery.message_id, delivery.event_id, failure.outcome, attempt)
            };
            self.receipts.record(&receipt, incoming, span).into_iter().collect()
        };
        HandlerError::new(failure.class, failure.reason, failure.detail).emitting(emit)
    }
}

impl KeyedHandler for Deliver {
    async fn handle(&self, record: &InRecord, attempt: u32) -> Result<Vec<OutRecord>, HandlerError> {
        let incoming = event_headers(record)?;
        let delivery: LabDelivery = self.codec.decode(record.value().unwrap_or_default()).await?;
        let remembered = self.memory.lock().confirmed.get(&delivery.event_id).cloned();
        let attrs = [
            Attr::MessageId(delivery.message_id),
            Attr::EventId(delivery.event_id),
            Attr::Target(&self.target.name),
            Attr::Group(&self.group),
            Attr::Attempt(attempt),
            Attr::QueueMs(Timestamp::now().since(delivery.routed_at).as_millis() as u64),
        ];
        let mut span = trace::child_of_traceparent(
            incoming.traceparent.as_deref(),
            delivery.message_id,
            "deliver",
            SpanKind::Client,
            &attrs,
        );
        let target = [Label::Target(&self.target.name)];
        let receipt = match remembered {
            Some(receipt) => receipt,
            None => {
                metrics::count(Metric::DeliveryAttempts, 1, &target);
                let started = Instant::now();
                let outcome = self.attempt(&delivery, attempt).await;
                metrics::observe(Metric::DeliverySeconds, started.elapsed().as_secs_f64(), &target);
                outcome.map_err(|failure| self.failed(&incoming, &delivery, failure, attempt, &mut span))?
            }
        };
        metrics::count(
            Metric::Deliveries,
            1,
            &[Label::Target(&self.target.name), Label::Outcome("confirmed")],
        );
        span.set_attr(Attr::Outcome("confirmed"));
        self.settle(&receipt);
        let written = self.receipts.record(&receipt, &incoming, &span);
        written.map(|record| vec![record]).ok_or_else(|| {
            HandlerError::new(
                ErrorClass::Defect,
                reason::HANDLER_DEFECT,
                "the receipt does not fit its schema",
            )
        })
    }

    fn dead_letter(&self, record: &InRecord, error: &HandlerError) -> Vec<OutRecord> {
        let Ok(incoming) = record.event_headers() else { return Vec::new() };
        let Some(event_id) = incoming.causation_id else { return Vec::new() };
        let refused = error.reason == reason::TARGET_REFUSED;
        let name = if refused { "rejected" } else { "dead-lettered" };
        metrics::count(Metric::Deliveries, 1, &[Label::Target(&self.target.name), Label::Outcome(name)]);
        if refused {
            // Its receipt, with the evidence, came with the error.
            return Vec::new();
        }
        let span = dead_letter_span(&incoming, error);
        let receipt = Receipt {
            reason_code: Some(error.reason.into()),
            ..self.receipt(incoming.correlation_id, event_id, Outcome::DeadLettered, 1)
        };
        self.receipts.record(&receipt, &incoming, &span).into_iter().collect()
    }
}

struct Failure {
    class: ErrorClass,
    reason: ReasonCode,
    outcome: Outcome,
    acknowledgement: Option<&'static str>,
    evidence: Option<Vec<u8>>,
    detail: String,
}

impl Failure {
    fn data(reason: ReasonCode, detail: &dyn std::fmt::Display) -> Self {
        let outcome = Outcome::DeadLettered;
        Self {
            class: ErrorClass::Data,
            reason,
            outcome,
            acknowledgement: None,
            evidence: None,
            detail: detail.to_string(),
        }
    }

    fn unavailable(reason: ReasonCode, outcome: Outcome) -> Self {
        let class = ErrorClass::Unavailable;
        Self { class, reason, outcome, acknowledgement: None, evidence: None, detail: String::new() }
    }
}
