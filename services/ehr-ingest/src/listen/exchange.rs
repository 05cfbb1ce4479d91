//! One message on its way: sent to Kafka, then answered.

use std::time::Instant;

use bytes::Bytes;
use futures_util::FutureExt;
use waybill_contracts::{MessageId, ReasonCode, Timestamp, inbound::InboundRejected, reason};
use waybill_delivery::{Classify, ErrorClass};
use waybill_hl7v2::{Index, ack::AckCode, mllp::HEAD_BYTES};
use waybill_kafka::{Delivery, ProduceError};
use waybill_telemetry::trace::{
    Attr, SpanHandle, SpanKind, TraceContext, child_of, export_enabled, root_span,
};

use super::{
    feed::OpenFeed,
    recent::{Seen, Slot},
    store::{PutError, Store},
};
use crate::accept::{self, Envelope, Verdict};

/// What to do with the connection.
pub(crate) enum Answer {
    /// Write this.
    Write(Vec<u8>),
    /// Nothing is owed.
    Nothing,
    /// Close it: an answer could not refer to anything.
    Close,
}

/// A message that came in and is not answered yet.
pub(crate) struct Exchange<'a> {
    feed: &'a OpenFeed,
    id: MessageId,
    /// Where a repeat of it would be found.
    slot: Option<Slot>,
    /// Kept for the answer that must be made when storing fails.
    bytes: Bytes,
    received_at: Timestamp,
    received: Instant,
    /// The record on its way; `None`: nothing to wait for.
    delivery: Option<Delivery>,
    reply: Reply,
    /// Both end with the exchange; nothing while traces are not exported.
    receive: SpanHandle,
    send: Option<SpanHandle>,
}

/// What is answered once the record is stored.
enum Reply {
    /// An acknowledgement.
    Ack { code: AckCode, ack: Vec<u8> },
    /// Nothing that an answer could refer to.
    Close,
    /// A frame that was no message.
    Silence,
}

impl Reply {
    fn of(code: AckCode, ack: Option<Vec<u8>>) -> Self {
        ack.map_or(Self::Close, |ack| Self::Ack { code, ack })
    }

    const fn code(&self) -> Option<AckCode> {
        match self {
            Self::Ack { code, .. } => Some(*code),
            Self::Close | Self::Silence => None,
        }
    }
}

impl<'a> Exchange<'a> {
    /// A complete frame. `started` is when its first byte was seen.
    pub(crate) fn message(
        feed: &'a OpenFeed,
        store: &Store,
        bytes: Bytes,
        started: Instant,
        index: &mut Index,
    ) -> Self {
        let content = bytes.clone();
        let envelope = Envelope::read(&feed.feed, &content, Timestamp::now());
        feed.meters.bytes.record(content.len() as f64);
        let slot = (!envelope.control_id().is_empty()).then(|| feed.slots.of(envelope.control()));
        let seen = slot.map_or(Seen::New, |slot| feed.recent.lock().look(slot, envelope.id()));
        match seen {
            Seen::New => {}
            Seen::Repeat => return Self::repeat(feed, bytes, &envelope),
            Seen::Reused => {
                feed.meters.reused.increment(1);
                tracing::warn!(
                    feed = feed.feed.name, message_id = %envelope.id(), control_id = %shown(&envelope),
                    "a control id came again with other bytes; accepted as another message"
                );
            }
        }
        if !store.admits() {
            // The root of the trace is for the receipt that counts, when it comes again.
            let first = TraceContext::for_message(envelope.id());
            let receive =
                child_of(&first, "receive deferred", SpanKind::Server, &[Attr::Feed(&feed.feed.name)]);
            return Self::refused_for_now(feed, bytes, &envelope, receive);
        }
        let receive = receive_span(feed, &envelope, started);
        match accept::judge(&feed.feed, &envelope, index) {
            Verdict::Store { message, key, ack } => {
                let send = child_of(
                    &receive.context(),
                    "send inbound.message.v1",
                    SpanKind::Producer,
                    &[Attr::Topic(store.message_topic())],
                );
                let sent = store.put_message(&message, key, send.context());
                if matches!(sent, Some(Err(PutError::TooLarge))) {
                    return Self::too_large(feed, store, head_of(&bytes), started);
                }
                let reply = Reply::Ack { code: AckCode::AA, ack };
                let mut exchange = Self::sent(feed, bytes, &envelope, receive, send, sent, reply);
                exchange.slot = slot;
                exchange
            }
            Verdict::Refuse { rejected, ack } => {
                Self::refused(feed, store, bytes, &envelope, receive, &rejected, ack)
            }
        }
    }

    /// A frame over the limit, of which the beginning is there.
    pub(crate) fn too_large(feed: &'a OpenFeed, store: &Store, head: Bytes, started: Instant) -> Self {
        let content = head.clone();
        let envelope = Envelope::read(&feed.feed, &content, Timestamp::now());
        let receive = receive_span(feed, &envelope, started);
        match accept::refuse_too_large(&envelope) {
            Verdict::Refuse { rejected, ack } if store.admits() => {
                Self::refused(feed, store, head, &envelope, receive, &rejected, ack)
            }
            _ => Self::refused_for_now(feed, head, &envelope, receive),
        }
    }

    /// A frame that there is no room for, of which the beginning is there: its sender shall send it again.
    pub(crate) fn no_room(feed: &'a OpenFeed, head: Bytes, started: Instant) -> Self {
        let content = head.clone();
        let envelope = Envelope::read(&feed.feed, &content, Timestamp::now());
        let receive = receive_span(feed, &envelope, started);
        Self::refused_for_now(feed, head, &envelope, receive)
    }

    /// A frame without its end: kept for whoever looks for it, never answered.
    pub(crate) fn quarantine(feed: &'a OpenFeed, store: &Store, content: Bytes, started: Instant) -> Self {
        let kept = content.clone();
        let envelope = Envelope::read(&feed.feed, &kept, Timestamp::now());
        let receive = receive_span(feed, &envelope, started);
        let rejected = envelope.rejected(None, reason::MALFORMED_FRAME, None, None);
        let send = rejected_span(&receive, store);
        let sent = store.put_rejected(&rejected, send.context());
        if matches!(sent, Some(Err(PutError::TooLarge))) {
            return Self::quarantine(feed, store, head_of(&content), started);
        }
        let mut exchange = Self::sent(feed, content, &envelope, receive, send, sent, Reply::Silence);
        exchange.receive.set_error(reason::MALFORMED_FRAME.as_str());
        exchange
    }

    /// Stored already: answered from memory.
    fn repeat(feed: &'a OpenFeed, bytes: Bytes, envelope: &Envelope<'_>) -> Self {
        feed.meters.repeats.increment(1);
        tracing::info!(
            feed = feed.feed.name, message_id = %envelope.id(), control_id = %shown(envelope),
            "a repeat of a stored message; answered again"
        );
        let first = TraceContext::for_message(envelope.id());
        let receive = child_of(&first, "receive repeat", SpanKind::Server, &[Attr::Feed(&feed.feed.name)]);
        let reply = Reply::Ack { code: AckCode::AA, ack: envelope.ack(AckCode::AA, &[]) };
        Self::new(feed, bytes, envelope, receive, reply)
    }

    /// Refused for its content: the refusal is stored before it is told.
    fn refused(
        feed: &'a OpenFeed,
        store: &Store,
        bytes: Bytes,
        envelope: &Envelope<'_>,
        mut receive: SpanHandle,
        rejected: &InboundRejected,
        ack: Option<Vec<u8>>,
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
        let code = AckCode::parse(rejected.ack_code.as_bytes()).unwrap_or(AckCode::AR);
        Self::sent(feed, bytes, envelope, receive, send, sent, Reply::of(code, ack))
    }

    /// Nothing can be stored now: the sender is told at once and shall repeat it.
    fn refused_for_now(
        feed: &'a OpenFeed,
        bytes: Bytes,
        envelope: &Envelope<'_>,
        receive: SpanHandle,
    ) -> Self {
        let mut exchange = Self::new(feed, bytes, envelope, receive, Reply::Close);
        exchange.fall_back(reason::STORAGE_UNAVAILABLE, "nothing can be stored now", envelope);
        exchange
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
        let mut exchange = Self::new(feed, bytes, envelope, receive, reply);
        exchange.send = Some(send);
        match sent {
            Some(Ok(delivery)) => exchange.delivery = Some(delivery),
            Some(Err(error)) => exchange.fall_back(error.reason(), &error.to_string(), envelope),
            None => exchange.fall_back(reason::STORAGE_UNAVAILABLE, "the store is not open yet", envelope),
        }
        exchange
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
            receive,
            send: None,
        }
    }

    /// The answer, when there is nothing to wait for.
    pub(crate) fn settled(&mut self) -> Option<Answer> {
        let result = match &mut self.delivery {
            None => Ok(()),
            Some(delivery) => delivery.now_or_never()?,
        };
        Some(self.conclude(result.map_err(Failure::Produce)))
    }

    /// Waits for the broker's acknowledgement, at most for the feed's time, and gives the answer.
    pub(crate) async fn settle(&mut self) -> Answer {
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

    fn conclude(&mut self, result: Result<(), Failure>) -> Answer {
        // Ends the span of the record.
        let send = self.send.take();
        if let Err(failure) = result {
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
        let code = self.reply.code();
        if let Some(code) = code {
            self.receive.set_attr(Attr::AckCode(code.as_str()));
        }
        self.feed.meters.answered(code);
        self.feed.meters.ack_seconds.record(self.received.elapsed().as_secs_f64());
        match std::mem::replace(&mut self.reply, Reply::Silence) {
            Reply::Ack { ack, code } => {
                if let (AckCode::AA, Some(slot)) = (code, self.slot) {
                    self.feed.recent.lock().remember(slot, self.id);
                }
                Answer::Write(ack)
            }
            Reply::Close => Answer::Close,
            Reply::Silence => Answer::Nothing,
        }
    }

    /// AR with 207: not stored, to be sent again.
    fn fall_back(&mut self, code: ReasonCode, why: &str, envelope: &Envelope<'_>) {
        if let Some(unsaid) = self.feed.quiet.not_stored.say(Instant::now()) {
            tracing::warn!(
                feed = self.feed.feed.name, message_id = %envelope.id(), code = %code, why, unsaid,
                "a message could not be stored; its sender was told to repeat it"
            );
        }
        self.receive.set_error(code.as_str());
        self.delivery = None;
        // A frame that was no message is owed no answer.
        if !matches!(self.reply, Reply::Silence) {
            self.reply = Reply::of(AckCode::AR, envelope.busy());
        }
    }

    /// The broker will never take it: to be told like any other message that is too large.
    fn too_large_to_store(&mut self, envelope: &Envelope<'_>) {
        tracing::warn!(feed = self.feed.feed.name, message_id = %envelope.id(), code = %reason::TOO_LARGE, "a message is too large for its topic");
        self.receive.set_error(reason::TOO_LARGE.as_str());
        if let Verdict::Refuse { ack, .. } = accept::refuse_too_large(envelope) {
            self.reply = Reply::of(AckCode::AR, ack);
        }
    }
}

/// What is kept of a message that no topic takes.
fn head_of(message: &Bytes) -> Bytes {
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

/// The root of the message's trace, from its first byte on.
fn receive_span(feed: &OpenFeed, envelope: &Envelope<'_>, started: Instant) -> SpanHandle {
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

fn rejected_span(receive: &SpanHandle, store: &Store) -> SpanHandle {
    let attributes = [Attr::Topic(store.rejected_topic())];
    child_of(&receive.context(), "send inbound.rejected.v1", SpanKind::Producer, &attributes)
}

/// MSH-10 for the log: an identifier of the message, not of a person; cut where somebody puts more into it.
fn shown<'a>(envelope: &Envelope<'a>) -> std::borrow::Cow<'a, str> {
    let control_id = envelope.control_id();
    String::from_utf8_lossy(&control_id[..control_id.len().min(40)])
}
