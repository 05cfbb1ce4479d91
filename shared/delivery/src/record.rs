//! Records of the topics as small waybills, ready to be joined.

use std::{collections::BTreeMap, time::Duration};

use waybill_contracts::{
    EventId, Record as _, Timestamp,
    delivery::{Manifest, ManifestStage, Outcome, Receipt},
    inbound::InboundMessage,
};

use crate::{
    line::{Due, Evidence, Failure, Line},
    subscriptions::Subscriptions,
    waybill::{Event, EventTopic, Normalized, Refusal, Waybill},
};

/// Times that the tracker allows by configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowances {
    /// From receipt of a message until the normalizer must have accounted for it.
    pub manifest_within: Duration,
    /// How long receipts may stand without the message or line they belong to.
    pub orphan_grace: Duration,
}

/// What the headers of an `inbound.message` record say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Feed.
    pub feed: Option<String>,
    /// When the message came in.
    pub received_at: Timestamp,
}

/// What the tracker keeps of an `inbound.rejected` record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Feed.
    pub feed: String,
    /// MSH-9.
    pub message_type: Option<String>,
    /// MSH-10.
    pub control_id: Option<String>,
    /// When it came in.
    pub at: Timestamp,
    /// Reason code.
    pub reason: String,
}

/// What the headers of a dead letter say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Feed, when the original record named it.
    pub feed: Option<String>,
    /// Topic that the original record stood in, without namespace.
    pub topic: String,
    /// The event it carried; of `inbound.message` there is none.
    pub event_id: Option<EventId>,
    /// Consumer group, or target.
    pub destination: String,
    /// When it was set aside.
    pub at: Timestamp,
    /// Reason code.
    pub reason: Option<String>,
    /// Attempts before.
    pub attempts: u32,
}

/// A manifest that does not say what its stage demands. Class `data`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a routed manifest names the event and the consumer")]
pub struct IncompleteManifest;

/// A message came in and was accepted.
pub fn received(record: &Received, allow: &Allowances) -> Waybill {
    Waybill { feed: record.feed.clone(), ..accepted(record.received_at, allow) }
}

/// A message was refused at the door.
pub fn refused(record: &Refused) -> Waybill {
    Waybill {
        feed: Some(record.feed.clone()),
        message_type: record.message_type.clone(),
        control_id: record.control_id.clone(),
        refused: Some(Refusal { at: record.at, reason: record.reason.clone() }),
        first_seen: Some(record.at),
        ..Waybill::default()
    }
}

/// A manifest: normalized, it names the events, whose lines [`claim`] opens; routed, it settles the router's own line
/// and opens one per target.
pub fn manifest(record: &Manifest, allow: &Allowances) -> Result<Waybill, IncompleteManifest> {
    let mut waybill = match record.received_at {
        Some(received_at) => accepted(received_at, allow),
        None => unannounced(record.at, allow),
    };
    waybill.feed = Some(record.feed.clone());
    waybill.message_type.clone_from(&record.message_type);
    waybill.control_id.clone_from(&record.control_id);
    waybill.first_seen = waybill.first_seen.min(Some(record.at));
    match record.stage {
        ManifestStage::Normalized => {
            let reason = record.reason_code.clone();
            waybill.normalized = Some(Normalized { first_at: record.at, last_at: record.at, reason });
            for made in &record.events {
                let topic = Some(EventTopic::Made(made.topic.clone()));
                let event = Event { topic, made_at: Some(record.at), lines: BTreeMap::new() };
                waybill.events.insert(made.event_id, event);
            }
            Ok(waybill)
        }
        ManifestStage::Routed => {
            let (Some(event_id), Some(consumer)) = (record.event_id, record.consumer.clone()) else {
                return Err(IncompleteManifest);
            };
            let outcome = if record.targets.is_empty() { Outcome::Filtered } else { Outcome::Confirmed };
            let own = Evidence {
                outcome,
                at: record.at,
                reason: record.reason_code.clone(),
                acknowledgement: None,
                outbound_control_id: None,
            };
            let targets = record
                .targets
                .iter()
                .map(|target| (target.target.clone(), Line::expected(record.at, millis(target.deadline_ms))));
            let mut lines: BTreeMap<String, Line> = BTreeMap::new();
            // A target may bear the consumer's name: joined, not overwritten.
            for (destination, line) in targets.chain([(consumer, Line::observed(own, 1))]) {
                let known = lines.remove(&destination).unwrap_or_default();
                lines.insert(destination, known.join(line));
            }
            waybill.events.insert(event_id, Event { lines, ..Event::default() });
            Ok(waybill)
        }
    }
}

/// Opens the lines that subscribers owe for the events the normalizer made: the same for the same events and
/// subscriptions, however often it is done.
#[must_use]
pub fn claim(mut waybill: Waybill, subscriptions: &Subscriptions) -> Waybill {
    for event in waybill.events.values_mut() {
        let (Some(topic), Some(made_at)) = (&event.topic, event.made_at) else { continue };
        for (consumer, within) in subscriptions.owed(topic.as_str(), made_at) {
            let known = event.lines.remove(consumer).unwrap_or_default();
            event.lines.insert(consumer.to_owned(), known.join(Line::expected(made_at, within)));
        }
    }
    waybill
}

/// A receipt joins its line, announced or not.
pub fn receipt(record: &Receipt, feed: Option<String>, allow: &Allowances) -> Waybill {
    let evidence = Evidence {
        outcome: record.outcome,
        at: record.at,
        reason: record.reason_code.clone(),
        acknowledgement: record.acknowledgement.clone(),
        outbound_control_id: record.outbound_control_id.clone(),
    };
    let line = Line {
        due: Some(Due::Grace(record.at.saturating_add(allow.orphan_grace))),
        ..Line::observed(evidence, u32::try_from(record.attempt).unwrap_or(0))
    };
    let event = Event {
        topic: Some(EventTopic::Reported(record.topic.clone())),
        made_at: None,
        lines: BTreeMap::from([(record.destination.clone(), line)]),
    };
    Waybill { feed, events: BTreeMap::from([(record.event_id, event)]), ..unannounced(record.at, allow) }
}

/// A dead letter settles its line when no receipt does.
pub fn dead_letter(record: &DeadLetter, allow: &Allowances) -> Waybill {
    let failure = Failure { at: record.at, reason: record.reason.clone() };
    let mut waybill = Waybill { feed: record.feed.clone(), ..unannounced(record.at, allow) };
    if record.topic == InboundMessage::TOPIC {
        waybill.not_normalized = Some(failure);
    } else if let Some(event_id) = record.event_id {
        let line = Line { dead_letter: Some(failure), attempts: record.attempts, ..Line::default() };
        let lines = BTreeMap::from([(record.destination.clone(), line)]);
        waybill.events.insert(event_id, Event { lines, ..Event::default() });
    }
    waybill
}

fn accepted(received_at: Timestamp, allow: &Allowances) -> Waybill {
    Waybill {
        received_at: Some(received_at),
        first_seen: Some(received_at),
        due: Some(Due::Deadline(received_at.saturating_add(allow.manifest_within))),
        ..Waybill::default()
    }
}

fn unannounced(at: Timestamp, allow: &Allowances) -> Waybill {
    Waybill {
        first_seen: Some(at),
        due: Some(Due::Grace(at.saturating_add(allow.orphan_grace))),
        ..Waybill::default()
    }
}

fn millis(deadline_ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(deadline_ms).unwrap_or(0))
}
