//! The waybill of one message: what came in, what it became, and what became of that.
//!
//! A record of any topic is turned into a small waybill ([`crate::record`]) and joined to what is known. The watermark
//! is a fact like the others, and only grows; therefore the state is a function of the facts alone, whatever their
//! order, repetition or grouping, and whichever replica joins them.

use std::collections::{BTreeMap, btree_map::Entry};

use serde::{Deserialize, Serialize};
use waybill_contracts::{
    EventId, Timestamp,
    delivery::{MessageState, Outcome},
    reason,
};

use crate::line::{Due, Failure, Line, is_exception, merge};

/// Topic of an event. What the normalizer says beats what a receipt says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum EventTopic {
    /// From a receipt or a dead letter.
    #[serde(rename = "r")]
    Reported(String),
    /// From the normalizer's manifest.
    #[serde(rename = "m")]
    Made(String),
}

impl EventTopic {
    /// Topic without the namespace.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Reported(topic) | Self::Made(topic) => topic,
        }
    }
}

/// An event with its lines, one per destination.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its topic, once known.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<EventTopic>,
    /// When the normalizer first named it: its consumers' time runs from there.
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
    pub made_at: Option<Timestamp>,
    /// Lines by consumer group or target.
    #[serde(rename = "l", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lines: BTreeMap<String, Line>,
}

impl Event {
    fn join(self, other: Self) -> Self {
        Self {
            topic: self.topic.max(other.topic),
            made_at: merge(self.made_at, other.made_at, Ord::min),
            lines: join_maps(self.lines, other.lines, Line::join),
        }
    }
}

/// Refused at the door.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Refusal {
    /// When.
    #[serde(rename = "t")]
    pub at: Timestamp,
    /// Reason code.
    #[serde(rename = "r")]
    pub reason: String,
}

/// The normalizer's manifest is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Normalized {
    /// The first manifest.
    #[serde(rename = "f")]
    pub first_at: Timestamp,
    /// The last one, when the mapping ran again.
    #[serde(rename = "l")]
    pub last_at: Timestamp,
    /// Why the last one has no events.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Normalized {
    fn join(self, other: Self) -> Self {
        let last = (self.last_at, self.reason).max((other.last_at, other.reason));
        Self { first_at: self.first_at.min(other.first_at), last_at: last.0, reason: last.1 }
    }
}

/// Everything known of one message. The serialized form is stored: fields may be added, names never change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waybill {
    /// Feed.
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    pub feed: Option<String>,
    /// MSH-9.
    #[serde(rename = "y", default, skip_serializing_if = "Option::is_none")]
    pub message_type: Option<String>,
    /// MSH-10.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub control_id: Option<String>,
    /// When it first came in and was accepted.
    #[serde(rename = "i", default, skip_serializing_if = "Option::is_none")]
    pub received_at: Option<Timestamp>,
    /// It was refused at the door; counts only while it was never accepted.
    #[serde(rename = "x", default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refusal>,
    /// The normalizer accounted for it.
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    pub normalized: Option<Normalized>,
    /// The normalizer put it into its dead-letter topic; counts only until it accounts for it.
    #[serde(rename = "q", default, skip_serializing_if = "Option::is_none")]
    pub not_normalized: Option<Failure>,
    /// By when the normalizer must account for it.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Due>,
    /// First record of any kind that named it.
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    pub first_seen: Option<Timestamp>,
    /// What it became.
    #[serde(rename = "e", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub events: BTreeMap<EventId, Event>,
    /// All input up to here had been read when deadlines were last looked at.
    #[serde(rename = "w", default, skip_serializing_if = "Option::is_none")]
    pub watermark: Option<Timestamp>,
}

/// State with its reason code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// State.
    pub state: MessageState,
    /// Reason code, where the state has one.
    pub reason: Option<String>,
}

impl Waybill {
    /// The join: commutative, associative, idempotent.
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        Self {
            feed: self.feed.max(other.feed),
            message_type: self.message_type.max(other.message_type),
            control_id: self.control_id.max(other.control_id),
            received_at: merge(self.received_at, other.received_at, Ord::min),
            refused: merge(self.refused, other.refused, Ord::min),
            normalized: merge(self.normalized, other.normalized, Normalized::join),
            not_normalized: self.not_normalized.max(other.not_normalized),
            due: merge(self.due, other.due, Due::join),
            first_seen: merge(self.first_seen, other.first_seen, Ord::min),
            events: join_maps(self.events, other.events, Event::join),
            watermark: self.watermark.max(other.watermark),
        }
    }

    /// All input up to `watermark` has been read.
    #[must_use]
    pub fn read_up_to(mut self, watermark: Timestamp) -> Self {
        self.watermark = self.watermark.max(Some(watermark));
        self
    }

    /// Where the message stands.
    ///
    /// Exceptions come before what is late, what is late before what is open: the state names the worst of the lines.
    pub fn standing(&self) -> Standing {
        let plain = |state| Standing { state, reason: None };
        let because =
            |state, reason: &str| Standing { state, reason: (!reason.is_empty()).then(|| reason.to_owned()) };
        if let (Some(refusal), true) = (&self.refused, self.is_only_refused()) {
            return because(MessageState::Refused, &refusal.reason);
        }
        if let Some(reason) = self.exception() {
            return because(MessageState::Exception, reason);
        }
        if self.normalized.is_none() && self.passed(self.due.map(Due::at)) {
            let orphan = matches!(self.due, Some(Due::Grace(_)));
            let reason = if orphan { reason::ORPHAN } else { reason::MANIFEST_OVERDUE };
            return because(MessageState::Overdue, reason.as_str());
        }
        if self.lines().any(|(_, _, line)| line.is_overdue(self.watermark)) {
            return because(MessageState::Overdue, reason::LINE_OVERDUE.as_str());
        }
        let Some(normalized) = &self.normalized else { return plain(MessageState::Open) };
        if self.lines().any(|(_, _, line)| !line.is_settled()) {
            return plain(MessageState::Open);
        }
        if self.lines().next().is_none() {
            return match self.events.is_empty() {
                true => because(
                    MessageState::NoDestination,
                    normalized.reason.as_deref().unwrap_or(reason::EVENT_NOT_MAPPED.as_str()),
                ),
                // Until everything written before the manifest has been read, a subscription may still be unread.
                false if self.passed(Some(normalized.last_at)) => {
                    because(MessageState::NoDestination, reason::NO_SUBSCRIBER.as_str())
                }
                false => plain(MessageState::Open),
            };
        }
        if self.lines().all(|(_, _, line)| line.outcome() == Outcome::Filtered) {
            let reason = self.lines().find_map(|(_, _, line)| line.reason());
            return because(MessageState::NoDestination, reason.unwrap_or_default());
        }
        plain(MessageState::Delivered)
    }

    /// The next moment whose passing can change the state or the balance; the watermark must pass it, the clock is
    /// not asked.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let accounting = match &self.normalized {
            None if self.is_only_refused() || self.not_normalized.is_some() => None,
            None => self.due.map(Due::at),
            Some(normalized) if self.is_unclaimed() => Some(normalized.last_at),
            Some(_) => None,
        };
        self.lines()
            .filter_map(|(_, _, line)| line.awaited_until())
            .chain(accounting)
            .filter(|due| !self.passed(Some(*due)))
            .min()
    }

    /// Events, each destination and its line, in a fixed order.
    pub fn lines(&self) -> impl Iterator<Item = ((EventId, &Event), &str, &Line)> {
        self.events.iter().flat_map(|(id, event)| {
            event.lines.iter().map(move |(destination, line)| ((*id, event), destination.as_str(), line))
        })
    }

    /// It became events, and no line is known for any of them.
    pub fn is_unclaimed(&self) -> bool {
        self.normalized.is_some() && !self.events.is_empty() && self.lines().next().is_none()
    }

    /// When it came in, or else its first sign: the hour it is accounted under.
    pub fn accounted_at(&self) -> Timestamp {
        self.received_at.or(self.first_seen).unwrap_or_default()
    }

    fn is_only_refused(&self) -> bool {
        self.refused.is_some()
            && self.received_at.is_none()
            && self.normalized.is_none()
            && self.events.is_empty()
    }

    /// Reason of the earliest failure, empty when it has none.
    fn exception(&self) -> Option<&str> {
        let unmapped = self.not_normalized.as_ref().filter(|_| self.normalized.is_none());
        self.lines()
            .filter(|(_, _, line)| is_exception(line.outcome()))
            .map(|(_, _, line)| (line.at(), line.reason()))
            .chain(unmapped.map(|failure| (Some(failure.at), failure.reason.as_deref())))
            .min()
            .map(|(_, reason)| reason.unwrap_or_default())
    }

    fn passed(&self, due: Option<Timestamp>) -> bool {
        matches!((due, self.watermark), (Some(due), Some(read)) if read > due)
    }
}

fn join_maps<K: Ord, V: Default>(
    a: BTreeMap<K, V>,
    b: BTreeMap<K, V>,
    join: impl Fn(V, V) -> V,
) -> BTreeMap<K, V> {
    let (mut into, from) = if a.len() >= b.len() { (a, b) } else { (b, a) };
    for (key, value) in from {
        match into.entry(key) {
            Entry::Vacant(vacant) => {
                vacant.insert(value);
            }
            Entry::Occupied(mut known) => {
                let joined = join(std::mem::take(known.get_mut()), value);
                known.insert(joined);
            }
        }
    }
    into
}
