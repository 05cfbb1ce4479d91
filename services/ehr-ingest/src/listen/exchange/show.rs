//! How an exchange shows in traces and logs.

use std::{borrow::Cow, time::Instant};

use waybill_telemetry::trace::{Attr, SpanHandle, SpanKind, child_of, export_enabled, root_span};

use super::super::{feed::OpenFeed, store::Store};
use crate::accept::Envelope;

/// The root of the message's trace, from its first byte on.
pub(super) fn receive_span(feed: &OpenFeed, envelope: &Envelope<'_>, started: Instant) -> SpanHandle {
    if !export_enabled() {
        return root_span(envelope.id(), "receive", SpanKind::Server, None, &[]);
    }
    let (message_type, trigger) = envelope.message_type();
    let attributes = [
        Attr::Feed(&feed.feed.name),
        Attr::MessageType(&message_type),
        Attr::Trigger(&trigger),
        Attr::Bytes(envelope.bytes().len() as u64),
    ];
    root_span(envelope.id(), "receive", SpanKind::Server, Some(started), &attributes)
}

pub(super) fn rejected_span(receive: &SpanHandle, store: &Store) -> SpanHandle {
    let attributes = [Attr::Topic(store.rejected_topic())];
    child_of(&receive.context(), "send inbound.rejected.v1", SpanKind::Producer, &attributes)
}

/// MSH-10 for the log: an identifier of the message, not of a person; cut where somebody puts more into it.
pub(super) fn shown<'a>(envelope: &Envelope<'a>) -> Cow<'a, str> {
    let control_id = envelope.control_id();
    String::from_utf8_lossy(&control_id[..control_id.len().min(40)])
}
