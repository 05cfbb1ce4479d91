//! `delivery.*`: what must be confirmed, and what was (architecture §5).

use serde::{Deserialize, Serialize};

use crate::{
    Timestamp,
    avro::record_of,
    bytes_text,
    ids::{EventId, MessageId},
    symbol,
};

type Text = Option<String>;

/// Outcome of a line, in the rank order of the join. The discriminants are stored: never renumber.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[repr(u8)]
pub enum Outcome {
    /// Must come.
    Expected = 0,
    /// A try failed before anything was sent.
    Attempted = 1,
    /// Sent, no answer: it may have arrived. Also what a newer writer's outcome reads as: never final.
    #[default]
    Unknown = 2,
    /// The receiver stored it (commit ACK, HTTP 202).
    Accepted = 3,
    /// The receiver refused it.
    Rejected = 4,
    /// It stands in a dead-letter topic.
    DeadLettered = 5,
    /// Given up after its time.
    Expired = 6,
    /// A later version of the same went instead.
    Superseded = 7,
    /// Deliberately not delivered, with a reason.
    Filtered = 8,
    /// The receiver's own acknowledgement says it has it.
    Confirmed = 9,
}

/// Whether a consumer still confirms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SubscriptionState {
    /// It confirms. Also what a newer writer's state reads as: rather a line too many than one too few.
    #[default]
    Active,
    /// It no longer does.
    Retired,
}

/// Consumer C confirms every event of topic T within D (`delivery.subscription.v1`, compacted by consumer and topic).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subscription {
    /// Consumer group.
    pub consumer: String,
    /// Topic without the namespace.
    pub topic: String,
    /// Milliseconds from the manifest until the line is overdue.
    pub deadline_ms: i64,
    /// Service name.
    pub service: String,
    /// Service version.
    pub version: String,
    /// Whether it still confirms.
    #[serde(deserialize_with = "symbol::or_default")]
    pub state: SubscriptionState,
    /// When it was declared.
    pub at: Timestamp,
}
record_of!(Subscription, "delivery.subscription.v1");

/// What a manifest accounts for. A stage that is not known cannot be read: guessing one would close lines wrongly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ManifestStage {
    /// Message M became events E1…En.
    Normalized,
    /// Event E goes to targets T1…Tk.
    Routed,
}

/// An event made from the message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ManifestEvent {
    /// The event.
    pub event_id: EventId,
    /// Topic without the namespace.
    pub topic: String,
}

/// A target the event goes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ManifestTarget {
    /// The target.
    pub target: String,
    /// Milliseconds from the manifest until the line is overdue.
    pub deadline_ms: i64,
}

/// Message M became events; or event E goes to targets (`delivery.manifest.v1`).
///
/// A routed manifest is also the receipt of the router's own line: one record, so that the line cannot be
/// confirmed before the lines it opens are known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Inbound message id.
    pub message_id: MessageId,
    /// What it accounts for.
    pub stage: ManifestStage,
    /// Feed.
    pub feed: String,
    /// MSH-9.
    #[serde(default)]
    pub message_type: Text,
    /// MSH-10.
    #[serde(default)]
    pub control_id: Text,
    /// When the message came in.
    #[serde(default)]
    pub received_at: Option<Timestamp>,
    /// Normalized: the events.
    #[serde(default)]
    pub events: Vec<ManifestEvent>,
    /// Routed: the event that was routed.
    #[serde(default)]
    pub event_id: Option<EventId>,
    /// Routed: the consumer that routed it.
    #[serde(default)]
    pub consumer: Text,
    /// Routed: the targets.
    #[serde(default)]
    pub targets: Vec<ManifestTarget>,
    /// Why there are no events, or no targets.
    #[serde(default)]
    pub reason_code: Text,
    /// Mapping or routing version (content hash).
    pub version: String,
    /// When it was made.
    pub at: Timestamp,
}
record_of!(Manifest, "delivery.manifest.v1");

/// What became of an event at a consumer or target (`delivery.receipt.v1`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// Inbound message id.
    pub message_id: MessageId,
    /// The event.
    pub event_id: EventId,
    /// Topic of the event without the namespace.
    pub topic: String,
    /// Consumer group, or target.
    pub destination: String,
    /// Outcome.
    #[serde(deserialize_with = "symbol::or_default")]
    pub outcome: Outcome,
    /// Attempt, from 1.
    pub attempt: i32,
    /// Reason code, see `docs/reasons`.
    #[serde(default)]
    pub reason_code: Text,
    /// MSA-1, HTTP status or the like.
    #[serde(default)]
    pub acknowledgement: Text,
    /// MSH-10 sent.
    #[serde(default)]
    pub outbound_control_id: Text,
    /// SHA-256 of the acknowledgement's bytes.
    #[serde(default, with = "bytes_text::option")]
    pub evidence_sha256: Option<Vec<u8>>,
    /// When it was observed.
    pub at: Timestamp,
}
record_of!(Receipt, "delivery.receipt.v1");

/// State of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum MessageState {
    /// Lines, or the manifest itself, are still to come. Also what a newer writer's state reads as.
    #[default]
    Open,
    /// Every line is confirmed, filtered or superseded, and not all are filtered.
    Delivered,
    /// It goes nowhere, with a reason: no events, no subscriber, or every line filtered.
    NoDestination,
    /// A deadline passed with a line still open.
    Overdue,
    /// A line was rejected, dead-lettered or expired.
    Exception,
    /// Refused at the door; the sender was told.
    Refused,
    /// An exception that a person closed.
    Resolved,
}

/// One line of a waybill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusLine {
    /// The event.
    pub event_id: EventId,
    /// Topic of the event without the namespace.
    pub topic: String,
    /// Consumer group, or target.
    pub destination: String,
    /// Outcome.
    #[serde(deserialize_with = "symbol::or_default")]
    pub outcome: Outcome,
    /// Attempts so far.
    pub attempts: i32,
    /// Reason code.
    #[serde(default)]
    pub reason_code: Text,
    /// When the outcome was observed.
    #[serde(default)]
    pub at: Option<Timestamp>,
}

/// State of a message with its lines, whenever the state changes (`delivery.status.v1`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Inbound message id.
    pub message_id: MessageId,
    /// Feed.
    pub feed: String,
    /// MSH-9.
    #[serde(default)]
    pub message_type: Text,
    /// MSH-10.
    #[serde(default)]
    pub control_id: Text,
    /// State.
    #[serde(deserialize_with = "symbol::or_default")]
    pub state: MessageState,
    /// Reason of the state.
    #[serde(default)]
    pub reason_code: Text,
    /// Lines.
    #[serde(default)]
    pub lines: Vec<StatusLine>,
    /// When the state changed.
    pub at: Timestamp,
}
record_of!(Status, "delivery.status.v1");
