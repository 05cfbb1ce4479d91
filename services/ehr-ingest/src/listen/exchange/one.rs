//! One message on its way.

use std::time::Instant;

use bytes::Bytes;
use futures_util::FutureExt;
use waybill_contracts::{MessageId, ReasonCode, Timestamp, inbound::InboundRejected, reason};
use waybill_delivery::{Classify, ErrorClass};
use waybill_hl7v2::{Index, batch::is_several, mllp::HEAD_BYTES};
use waybill_kafka::{Delivery, ProduceError};
use waybill_telemetry::trace::{Attr, SpanHandle, SpanKind, TraceContext, child_of};

use super::{
    super::{
        feed::OpenFeed,
        recent::{Known, Seen, Slot},
        store::{PutError, Store},
    },
    show::{receive_span, rejected_span, shown},
};
use crate::accept::{self, Envelope, Reply, Verdict};

/// A message that came in and is not answered yet.
pub(super) struct One<'a> {
    feed: &'a OpenFeed,
    id: MessageId,
    /// Where a repeat of it would be found, once it is stored.
    slot: Option<Slot>,
    /// Kept for the answer that must be made when storing fails.
    bytes: Bytes,
    /// When it came in first.
    received_at: Timestamp,
    received: Instant,
    /// The record on its way; `None`: nothing to wait for.
    delivery: Option<Delivery>,
    reply: Reply,
    /// A frame that was no message: whatever happens, nothing is answered.
    is_silent: bool,
    is_stored: bool,
    /// Both end with the exchange; nothing while traces are not exported.
    receive: SpanHandle,
    send: Option<SpanHandle>,
}

/// What a frame turned out to be.
#[expect(clippy::large_enum_variant, reason = "one message is the rule, and must not cost an allocation")]
pub(super) enum Begun<'a> {
    One(One<'a>),
    /// More than one message; nothing was done.
    Several,
}

impl<'a> One<'a> {
    /// Judges a message and sends it on its way. `around` is what is wrong around it, as codes of its record.
    pub(super) fn begin(
        feed: &'a OpenFeed,
        store: &Store,
        bytes: Bytes,
        envelope: &Envelope<'_>,
        started: Instant,
        index: &mut Index,
        around: &[&str],
    ) -> Begun<'a> {
        let (slot, seen) = match envelope.control_id() {
            b"" => (None, Seen::New),
            _ => {
                let (slot, seen) = feed.memory.look(envelope.control(), envelope.id());
                (Some(slot), seen)
            }
        };
        if let Seen::Repeat(known) = seen {
            return Begun::One(Self::repeat(feed, bytes, envelope, known, index));
        }
        if !store.admits() {
            if is_several(&bytes) {
                return Begun::Several;
            }
            // The root of the trace is for the receipt that counts, when it comes again.
            let first = TraceContext::for_message(envelope.id());
            let receive =
                child_of(&first, "receive deferred", SpanKind::Server, &[Attr::Feed(&feed.feed.name)]);
            return Begun::One(Self::refused_for_now(feed, bytes, envelope, receive));
        }
        let verdict = accept::judge(&feed.feed, envelope, index);
        if matches!(verdict, Verdict::Several) {
            return Begun::Several;
        }
        let receive = receive_span(feed, envelope, started);
        if seen == Seen::Reused {
            feed.meters.reused.increment(1);
            tracing::warn!(
                feed = feed.feed.name, message_id = %envelope.id(), control_id = %shown(envelope),
                "a control id came again with other bytes; accepted as another message"
            );
        }
        let mut one = match verdict {
            Verdict::Store { mut message, key, reply } => {
                message.warnings.extend(around.iter().map(|code| (*code).to_owned()));
                if seen == Seen::Reused {
                    message.warnings.push("CONTROL_ID_REUSED".to_owned());
                }
                let send = child_of(
                    &receive.context(),
                    "send inbound.message.v1",
                    SpanKind::Producer,
                    &[Attr::Topic(store.message_topic())],
                );
                let sent = store.put_message(&message, key, send.context());
                if matches!(sent, Some(Err(PutError::TooLarge))) {
                    return Begun::One(Self::too_large(feed, store, head_of(&bytes), started));
                }
                Self::sent(feed, bytes, envelope, receive, send, sent, reply)
            }
            Verdict::Refuse { rejected, reply } => {
                Self::refused(feed, store, bytes, envelope, receive, &rejected, reply)
            }
            Verdict::Several => return Begun::Several,
        };
        one.slot = slot;
        Begun::One(one)
    }

    /// A frame over the limit, of which the beginning is there.
    pub(super) fn too_large(feed: &'a OpenFeed, store: &Store, head: Bytes, started: Instant) -> Self {
        let content = head.clone();
        let envelope = Envelope::read(&feed.feed, &content, Timestamp::now());
        let receive = receive_span(feed, &envelope, started);
        match accept::refuse_too_large(&envelope) {
            Verdict::Refuse { rejected, reply } if store.admits() => {
                Self::refused(feed, store, head, &envelope, receive, &rejected, reply)
            }
            _ => Self::refused_for_now(feed, head, &envelope, receive),
        }
    }

    /// A frame that there is no room for, of which the beginning is there.
    pub(super) fn no_room(feed: &'a OpenFeed, head: Bytes, started: Instant) -> Self {
        let content = head.clone();
        let envelope = Envelope::read(&feed.feed, &content, Timestamp::now());
        let receive = receive_span(feed, &envelope, started);
        Self::refused_for_now(feed, head, &envelope, receive)
    }

    /// A frame without its end: kept for whoever looks for it, never answered.
    pub(super) fn quarantine(feed: &'a OpenFeed, store: &Store, content: Bytes, started: Instant) -> Self {
        let kept = content.clone();
        let envelope = Envelope::read(&feed.feed, &kept, Timestamp::now());
        let receive = receive_span(feed, &envelope, started);
        let rejected = envelope.rejected(&Reply::NotOwed, reason::MALFORMED_FRAME, None, None);
        let send = rejected_span(&receive, store);
        let sent = store.put_rejected(&rejected, send.context());
        if matches!(sent, Some(Err(PutError::TooLarge))) {
            return Self::quarantine(feed, store, head_of(&content), started);
        }
        let mut one = Self::new(feed, content, &envelope, receive, Reply::NotOwed);
        one.is_silent = true;
        one.put(sent, send, &envelope);
        one.receive.set_error(reason::MALFORMED_FRAME.as_str());
        one
    }

    /// Stored already, or refused already: answered from memory, byte for byte as the first time.
    fn repeat(
        feed: &'a OpenFeed,
        bytes: Bytes,
        envelope: &Envelope<'_>,
        known: Known,
        index: &mut Index,
    ) -> Self {
        feed.meters.repeats.increment(1);
        tracing::info!(
            feed = feed.feed.name, message_id = %envelope.id(), control_id = %shown(envelope),
            "a repeat of a message; answered again"
        );
        let first = TraceContext::for_message(envelope.id());
        let receive = child_of(&first, "receive repeat", SpanKind::Server, &[Attr::Feed(&feed.feed.name)]);
        let envelope = envelope.clone().first_received(known.received_at);
        let reply = match known.code {
            None => Reply::NotOwed,
            Some(code) if code.is_positive() => envelope.acknowledge(code, &[]),
            // What was refused is refused for the same: neither its bytes nor the feed have changed.
            Some(_) => match accept::judge(&feed.feed, &envelope, index) {
                Verdict::Store { reply, .. } | Verdict::Refuse { reply, .. } => reply,
                Verdict::Several => Reply::NotOwed,
            },
        };
        let mut one = Self::new(feed, bytes, &envelope, receive, reply);
        one.is_stored = true;
        one
    }

    /// Refused for its content: the refusal is stored before it is told.
    fn refused(
        feed: &'a OpenFeed,
        store: &Store,
        bytes: Bytes,
        envelope: &Envelope<'_>,
        mut receive: SpanHandle,
        rejected: &InboundRejected,
        reply: Reply,
    ) -> Self {
        tracing::warn!(
            feed = feed.feed.name, message_id = %envelope.id(), control_id = %shown(envelope),
            code = rejected.reason_code, ack = rejected.ack_code,
            location = rejected.error_location.as_deref().unwrap_or_default(), "a message was refused"
        );
        receive.set_error(&rejected.reason_code);
        let send = rejected_span(&receive, store);
        let sent = store.put_rejected(rejected, send.context());
        if matches!(sent, Some(Err(PutError::TooLarge))) {
            return Self::too_large(feed, store, head_of(&bytes), Instant::now());
        }
        Self::sent(feed, bytes, envelope, receive, send, sent, reply)
    }

    /// Nothing can be stored now: the sender is told at once and shall repeat it.
    fn refused_for_now(
        feed: &'a OpenFeed,
        bytes: Bytes,
        envelope: &Envelope<'_>,
        receive: SpanHandle,
    ) -> Self {
        let mut one = Self::new(feed, bytes, envelope, receive, Reply::Close);
        one.fall_back(reason::STORAGE_UNAVAILABLE, "nothing can be stored now", envelope);
        one
    }

    fn sent(
        feed: &'a OpenFeed,
        bytes: Bytes,
        envelope: &Envelope<'_>,
        receive: SpanHandle,
        send: SpanHandle,
        sent: Option<Result<Delivery, PutError>>,
        reply: Reply,
    ) -> Self {
        let mut one = Self::new(feed, bytes, envelope, receive, reply);
        one.put(sent, send, envelope);
        one
    }

    fn put(&mut self, sent: Option<Result<Delivery, PutError>>, send: SpanHandle, envelope: &Envelope<'_>) {
        self.send = Some(send);
        match sent {
            Some(Ok(delivery)) => self.delivery = Some(delivery),
            Some(Err(error)) => self.fall_back(error.reason(), &error.to_string(), envelope),
            None => self.fall_back(reason::STORAGE_UNAVAILABLE, "the store is not open yet", envelope),
        }
    }

    fn new(
        feed: &'a OpenFeed,
        bytes: Bytes,
        envelope: &Envelope<'_>,
        receive: SpanHandle,
        reply: Reply,
    ) -> Self {
        Self {
            feed,
            id: envelope.id(),
            slot: None,
            bytes,
            received_at: envelope.received_at(),
            received: Instant::now(),
            delivery: None,
            reply,
            is_silent: false,
            is_stored: false,
            receive,
            send: None,
        }
    }

    /// When it came in, of a repeat the first time.
    pub(super) const fn first_received_at(&self) -> Timestamp {
        self.received_at
    }

    /// Whether it was no message.
    pub(super) const fn is_silent(&self) -> bool {
        self.is_silent
    }

    /// Whether there is a record of it.
    pub(super) const fn is_stored(&self) -> bool {
        self.is_stored
    }

    /// The answer, when there is nothing to wait for.
    pub(super) fn settled(&mut self) -> Option<Reply> {
        let result = match &mut self.delivery {
            None => Ok(()),
            Some(delivery) => delivery.now_or_never()?,
        };
        Some(self.conclude(result.map_err(Failure::Produce)))
    }

    /// Waits for the broker's acknowledgement, at most for the feed's time, and gives the answer.
    pub(super) async fn settle(&mut self) -> Reply {
        let deadline = self.received + self.feed.settings.ack_timeout.get();
        let result = match &mut self.delivery {
            None => Ok(()),
            // Given up, the record may be stored all the same: the repeat has the same id.
            Some(delivery) => match tokio::time::timeout_at(deadline.into(), delivery).await {
                Ok(result) => result.map_err(Failure::Produce),
                Err(_) => Err(Failure::Timeout),
            },
        };
        self.conclude(result)
    }

    fn conclude(&mut self, result: Result<(), Failure>) -> Reply {
        // Ends the span of the record.
        let send = self.send.take();
        match result {
            Ok(()) => self.is_stored |= self.delivery.is_some(),
            Err(failure) => {
                if let Some(mut send) = send {
                    send.set_error(failure.reason().as_str());
                }
                let (feed, bytes) = (self.feed, self.bytes.clone());
                let envelope = Envelope::read(&feed.feed, &bytes, self.received_at);
                match failure.class() {
                    ErrorClass::Data => self.too_large_to_store(&envelope),
                    _ => self.fall_back(failure.reason(), &failure.to_string(), &envelope),
                }
            }
        }
        let code = self.reply.code();
        if let Some(code) = code {
            self.receive.set_attr(Attr::AckCode(code.as_str()));
        }
        self.feed.meters.answered(code);
        self.feed.meters.ack_seconds.record(self.received.elapsed().as_secs_f64());
        if let (true, Some(slot)) = (self.is_stored, self.slot) {
            let known = Known { received_at: self.received_at, code };
            self.feed.memory.remember(slot, self.id, known);
        }
        std::mem::replace(&mut self.reply, Reply::NotOwed)
    }

    /// 207: not stored, to be sent again.
    fn fall_back(&mut self, code: ReasonCode, why: &str, envelope: &Envelope<'_>) {
        if let Some(unsaid) = self.feed.quiet.not_stored.say(Instant::now()) {
            tracing::warn!(
                feed = self.feed.feed.name, message_id = %envelope.id(), code = %code, why, unsaid,
                "a message could not be stored; its sender was told to repeat it"
            );
        }
        self.receive.set_error(code.as_str());
        self.delivery = None;
        if !self.is_silent {
            self.reply = envelope.busy();
        }
    }

    /// The broker will never take it: to be told like any other message that is too large.
    fn too_large_to_store(&mut self, envelope: &Envelope<'_>) {
        tracing::warn!(feed = self.feed.feed.name, message_id = %envelope.id(), code = %reason::TOO_LARGE, "a message is too large for its topic");
        self.receive.set_error(reason::TOO_LARGE.as_str());
        self.delivery = None;
        if let Verdict::Refuse { reply, .. } = accept::refuse_too_large(envelope) {
            self.reply = reply;
        }
    }
}

/// What is kept of a message that no topic takes.
pub(super) fn head_of(message: &Bytes) -> Bytes {
    message.slice(..message.len().min(HEAD_BYTES))
}

/// Why a record is not known to be stored.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Produce(#[from] ProduceError),
    #[error("Kafka did not acknowledge the record in the time that the sender waits")]
    Timeout,
}

impl Classify for Failure {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Produce(error) => error.class(),
            Self::Timeout => ErrorClass::Unavailable,
        }
    }

    fn reason(&self) -> ReasonCode {
        reason::STORAGE_UNAVAILABLE
    }
}
