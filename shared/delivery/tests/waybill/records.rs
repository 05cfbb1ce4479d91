//! Records of one message, generated.

use std::time::Duration;

use proptest::prelude::*;
use waybill_contracts::{
    EventId, MessageId, Timestamp,
    delivery::{
        Manifest, ManifestEvent, ManifestStage, ManifestTarget, Outcome, Receipt, Subscription,
        SubscriptionState,
    },
};
use waybill_delivery::{
    Subscriptions, Waybill,
    line::Evidence,
    record::{self, Allowances, DeadLetter, Received, Refused},
};

/// Small times, so that deadlines and records meet.
pub(crate) const ALLOW: Allowances =
    Allowances { manifest_within: Duration::from_millis(10), orphan_grace: Duration::from_millis(30) };

const TOPICS: [&str; 3] = ["lab.result.v1", "clinical.patient.v1", "clinical.encounter.v1"];
const DESTINATIONS: [&str; 3] = ["lab-distributor", "ward-ehr", "registry"];
const OUTCOMES: [Outcome; 9] = [
    Outcome::Attempted,
    Outcome::Unknown,
    Outcome::Accepted,
    Outcome::Rejected,
    Outcome::DeadLettered,
    Outcome::Expired,
    Outcome::Superseded,
    Outcome::Filtered,
    Outcome::Confirmed,
];

/// A record, or the watermark, as a fact about the message.
#[derive(Clone, Debug)]
pub(crate) enum Fact {
    Received { at: i64 },
    Refused { at: i64 },
    Normalized { at: i64, events: Vec<usize>, reason: Option<String> },
    Routed { at: i64, event: usize, targets: Vec<(usize, i64)> },
    Receipt { event: usize, destination: usize, evidence: Evidence, attempt: i32 },
    Confirmed { event: EventId, destination: String, at: i64 },
    DeadLetter { event: Option<usize>, destination: usize, at: i64 },
    Watermark { at: i64 },
}

pub(crate) fn message() -> MessageId {
    MessageId::derive("lis", "LAB|GH", None, b"MSH|")
}

pub(crate) fn event(index: usize) -> EventId {
    EventId::derive(message(), TOPICS[index], 0)
}

pub(crate) fn subscriptions() -> Subscriptions {
    [Subscription {
        consumer: "lab-distributor".into(),
        topic: TOPICS[0].into(),
        deadline_ms: 20,
        service: "lab-distributor".into(),
        version: "0".into(),
        state: SubscriptionState::Active,
        at: Timestamp::from_millis(0),
    }]
    .iter()
    .collect()
}

pub(crate) fn evidence() -> impl Strategy<Value = Evidence> {
    let text = || proptest::option::of("[ab]");
    (prop::sample::select(&OUTCOMES[..]), 0_i64..9, text(), text(), text()).prop_map(
        |(outcome, at, reason, acknowledgement, outbound_control_id)| Evidence {
            outcome,
            at: Timestamp::from_millis(at),
            reason,
            acknowledgement,
            outbound_control_id,
        },
    )
}

pub(crate) fn fact() -> impl Strategy<Value = Fact> {
    prop_oneof![
        (0_i64..20).prop_map(|at| Fact::Received { at }),
        (0_i64..20).prop_map(|at| Fact::Refused { at }),
        (0_i64..20, prop::sample::subsequence(vec![0, 1, 2], 0..=3), proptest::option::of("NRM-000[12]"))
            .prop_map(|(at, events, reason)| Fact::Normalized { at, events, reason }),
        (0_i64..20, 0_usize..3, proptest::collection::vec((0_usize..3, 0_i64..40), 0..3))
            .prop_map(|(at, event, targets)| Fact::Routed { at, event, targets }),
        (0_usize..3, 0_usize..3, evidence(), 0_i32..4).prop_map(|(event, destination, evidence, attempt)| {
            Fact::Receipt { event, destination, evidence, attempt }
        }),
        (proptest::option::of(0_usize..3), 0_usize..3, 0_i64..20)
            .prop_map(|(event, destination, at)| Fact::DeadLetter { event, destination, at }),
        (0_i64..60).prop_map(|at| Fact::Watermark { at }),
    ]
}

pub(crate) fn waybill_of(facts: &[Fact]) -> Waybill {
    facts.iter().fold(Waybill::default(), |known, fact| known.join(fact.waybill()))
}

impl Fact {
    /// The waybill it stands for.
    pub(crate) fn waybill(&self) -> Waybill {
        let at = Timestamp::from_millis;
        match self.clone() {
            Self::Received { at: then } => {
                record::received(&Received { feed: Some("lis".into()), received_at: at(then) }, &ALLOW)
            }
            Self::Refused { at: then } => record::refused(&Refused {
                feed: "lis".into(),
                message_type: None,
                control_id: Some("1".into()),
                at: at(then),
                reason: "ING-0002".into(),
            }),
            Self::Normalized { at: then, events, reason } => manifest(&Manifest {
                events: events
                    .iter()
                    .map(|index| ManifestEvent { event_id: event(*index), topic: TOPICS[*index].into() })
                    .collect(),
                reason_code: reason,
                ..blank(ManifestStage::Normalized, then)
            }),
            Self::Routed { at: then, event: index, targets } => manifest(&Manifest {
                event_id: Some(event(index)),
                consumer: Some(DESTINATIONS[0].into()),
                reason_code: targets.is_empty().then(|| "LAB-0001".into()),
                targets: targets
                    .iter()
                    .map(|(target, deadline_ms)| ManifestTarget {
                        target: DESTINATIONS[*target].into(),
                        deadline_ms: *deadline_ms,
                    })
                    .collect(),
                ..blank(ManifestStage::Routed, then)
            }),
            Self::Receipt { event: index, destination, evidence, attempt } => {
                receipt(event(index), DESTINATIONS[destination], &evidence, attempt)
            }
            Self::Confirmed { event, destination, at: then } => receipt(
                event,
                &destination,
                &Evidence {
                    outcome: Outcome::Confirmed,
                    at: at(then),
                    reason: None,
                    acknowledgement: Some("AA".into()),
                    outbound_control_id: None,
                },
                1,
            ),
            Self::DeadLetter { event: index, destination, at: then } => record::dead_letter(
                &DeadLetter {
                    feed: None,
                    topic: index.map_or("inbound.message.v1", |index| TOPICS[index]).into(),
                    event_id: index.map(event),
                    destination: DESTINATIONS[destination].into(),
                    at: at(then),
                    reason: Some("KAF-0001".into()),
                    attempts: 1,
                },
                &ALLOW,
            ),
            Self::Watermark { at: then } => Waybill::default().read_up_to(at(then)),
        }
    }
}

fn manifest(record: &Manifest) -> Waybill {
    record::manifest(record, &ALLOW)
        .map(|waybill| record::claim(waybill, &subscriptions()))
        .unwrap_or_default()
}

fn receipt(event_id: EventId, destination: &str, evidence: &Evidence, attempt: i32) -> Waybill {
    let record = Receipt {
        message_id: message(),
        event_id,
        topic: TOPICS[0].into(),
        destination: destination.into(),
        outcome: evidence.outcome,
        attempt,
        reason_code: evidence.reason.clone(),
        acknowledgement: evidence.acknowledgement.clone(),
        outbound_control_id: evidence.outbound_control_id.clone(),
        evidence_sha256: None,
        at: evidence.at,
    };
    record::receipt(&record, None, &ALLOW)
}

fn blank(stage: ManifestStage, at: i64) -> Manifest {
    Manifest {
        message_id: message(),
        stage,
        feed: "lis".into(),
        message_type: Some("ORU^R01".into()),
        control_id: Some("1".into()),
        received_at: None,
        events: Vec::new(),
        event_id: None,
        consumer: None,
        targets: Vec::new(),
        reason_code: None,
        version: "0".into(),
        at: Timestamp::from_millis(at),
    }
}
