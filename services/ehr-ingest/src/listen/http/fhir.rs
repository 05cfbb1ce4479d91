//! `/fhir`: one Bundle or resource, judged by [`accept::fhir`], stored as one record, answered when it is stored.

use std::{sync::Arc, time::Instant};

use futures_util::future::try_join_all;
use hyper::http::request::Parts;
use waybill_contracts::{
    MessageId, ReasonCode, Timestamp,
    inbound::{InboundMessage, InboundRejected},
    reason,
};
use waybill_delivery::{Classify, ErrorClass};
use waybill_hl7v2::ack::AckCode;
use waybill_kafka::{Delivery, ProduceError};
use waybill_telemetry::trace::{Attr, SpanHandle, SpanKind, TraceContext, child_of, root_span};

use super::{
    Inner,
    answer::{Answer, Refusal},
    body::Received,
    route::Interaction,
};
use crate::{
    accept::fhir::{self, Request, Response, Verdict},
    listen::{
        feed::OpenFeed,
        recent::{Known, Seen, fhir_control},
        store::PutError,
    },
};

/// A body over this size is parsed in a thread that may be kept busy.
const INLINE: usize = 32 * 1024;
/// A body over this size is parsed alone: parsed it takes up many times its bytes.
const LARGE: usize = 8 * 1024 * 1024;
/// Refused entries of a batch that are on their way at the same time.
const PART: usize = 256;
/// Refused entries of a batch that the log names.
const SAID: usize = 20;
/// How much of a body is kept that no topic takes.
const HEAD_BYTES: usize = 4096;

/// `GET /fhir/metadata`.
pub(super) fn metadata() -> Answer {
    Answer::json(fhir::capability_statement())
}

/// A request whose body is there.
struct Task {
    site: Arc<Inner>,
    feed: Arc<OpenFeed>,
    interaction: Interaction,
    query: String,
    request_id: Option<String>,
    if_match: Option<String>,
    received: Received,
    received_at: Timestamp,
    started: Instant,
}

pub(super) async fn take(
    site: &Arc<Inner>,
    feed: Arc<OpenFeed>,
    head: &Parts,
    interaction: Interaction,
    received: Received,
    started: Instant,
) -> Result<Answer, Refusal> {
    let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    // Bundles are answered with what became of each entry, whatever is preferred (R4 §3.1.0.11.2).
    let is_minimal =
        !matches!(interaction, Interaction::Base) && header("prefer").is_some_and(prefers_minimal);
    let task = Arc::new(Task {
        site: site.clone(),
        feed,
        interaction,
        query: head.uri.query().unwrap_or_default().to_owned(),
        request_id: header("x-request-id").map(str::to_owned),
        if_match: header("if-match").map(str::to_owned),
        received,
        received_at: Timestamp::now(),
        started,
    });
    let arrived = Instant::now();
    task.feed.meters.bytes.record(task.received.bytes.len() as f64);
    let response = task.clone().run().await?;
    let code = match response.status {
        200..300 => AckCode::AA,
        503 => AckCode::AR,
        _ => AckCode::AE,
    };
    task.feed.meters.answered(Some(code));
    task.feed.meters.ack_seconds.record(arrived.elapsed().as_secs_f64());
    let wants_body = !(is_minimal && code == AckCode::AA);
    Ok(Answer::fhir(response, wants_body))
}

impl Task {
    async fn run(self: Arc<Self>) -> Result<Response, Refusal> {
        if !self.site.shared.store.admits() {
            return Ok(self.unavailable("nothing can be stored now"));
        }
        let verdict = self.clone().judge(self.received_at).await?;
        Ok(match verdict {
            Verdict::Store { message, key, refused, response } => {
                let id = message.message_id;
                let (slot, seen) = self.feed.memory.look(fhir_control(&id), id);
                if let Seen::Repeat(known) = seen {
                    return self.repeat(id, known).await;
                }
                let stored = self.store(&message, key, &refused, response).await;
                if (200..300).contains(&stored.status) {
                    let known = Known { received_at: self.received_at, code: Some(AckCode::AA) };
                    self.feed.memory.remember(slot, id, known);
                }
                stored
            }
            Verdict::Refuse { rejected, response } => self.refuse(&rejected, response).await,
        })
    }

    /// Stored already: answered as the first time, which was a function of the request and of when it came in.
    async fn repeat(self: Arc<Self>, id: MessageId, known: Known) -> Result<Response, Refusal> {
        self.feed.meters.repeats.increment(1);
        tracing::info!(
            feed = self.feed.feed.name, message_id = %id,
            "a repeat of a stored request; answered again"
        );
        let first = TraceContext::for_message(id);
        let _receive =
            child_of(&first, "receive repeat", SpanKind::Server, &[Attr::Feed(&self.feed.feed.name)]);
        Ok(match self.judge(known.received_at).await? {
            Verdict::Store { response, .. } | Verdict::Refuse { response, .. } => response,
        })
    }

    async fn judge(self: Arc<Self>, received_at: Timestamp) -> Result<Verdict, Refusal> {
        let size = self.received.size();
        if size <= INLINE {
            return Ok(fhir::accept(&self.feed.feed, &self.request(), received_at));
        }
        let permits = if size > LARGE { self.site.parsers } else { 1 };
        let site = self.site.clone();
        let permit = site.parsing.acquire_many(permits).await.map_err(|_| Refusal::ending())?;
        let task = self.clone();
        let judge = move || fhir::accept(&task.feed.feed, &task.request(), received_at);
        let verdict = tokio::task::spawn_blocking(judge).await.map_err(|_| Refusal::defect());
        drop(permit);
        verdict
    }

    fn request(&self) -> Request<'_> {
        let interaction = match &self.interaction {
            Interaction::Base => fhir::Interaction::Base,
            Interaction::Create(resource_type) => fhir::Interaction::Create { resource_type },
            Interaction::Update(resource_type, id) => fhir::Interaction::Update { resource_type, id },
            Interaction::ConditionalUpdate(resource_type) => {
                fhir::Interaction::ConditionalUpdate { resource_type, query: &self.query }
            }
        };
        Request {
            interaction,
            request_id: self.request_id.as_deref(),
            if_match: self.if_match.as_deref(),
            body: &self.received.bytes,
        }
    }

    async fn store(
        &self,
        message: &InboundMessage,
        key: [u8; 16],
        refused: &[InboundRejected],
        response: Response,
    ) -> Response {
        let kind = message.message_type.as_deref().unwrap_or_default();
        let attributes = [
            Attr::Feed(&self.feed.feed.name),
            Attr::MessageType(kind),
            Attr::Bytes(self.received.bytes.len() as u64),
        ];
        let mut receive =
            root_span(message.message_id, "receive", SpanKind::Server, Some(self.started), &attributes);
        let store = &self.site.shared.store;
        let attributes = [Attr::Topic(store.message_topic())];
        let mut send =
            child_of(&receive.context(), "send inbound.message.v1", SpanKind::Producer, &attributes);
        let stored = async {
            // In parts: no batch takes up the room of everybody else, or more than there is.
            for part in refused.chunks(PART) {
                let put = |rejected: &InboundRejected| {
                    store.put_rejected(rejected, TraceContext::for_message(rejected.message_id))
                };
                self.settle(part.iter().map(put).collect()).await?;
            }
            self.settle(vec![store.put_message(message, key, send.context())]).await
        };
        match stored.await {
            Ok(()) => {
                for rejected in refused.iter().take(SAID) {
                    self.say_refused(rejected);
                }
                if refused.len() > SAID {
                    tracing::warn!(
                        feed = self.feed.feed.name, message_id = %message.message_id, refused = refused.len(),
                        said = SAID, "more entries of a batch were refused than are told of one by one"
                    );
                }
                receive.set_attr(Attr::AckCode(AckCode::AA.as_str()));
                response
            }
            Err(failure) => {
                send.set_error(failure.reason().as_str());
                receive.set_error(failure.reason().as_str());
                drop(send);
                self.fail(&failure, &mut receive).await
            }
        }
    }

    async fn refuse(&self, rejected: &InboundRejected, response: Response) -> Response {
        self.say_refused(rejected);
        let attributes = [Attr::Feed(&self.feed.feed.name), Attr::AckCode(AckCode::AE.as_str())];
        let mut receive =
            root_span(rejected.message_id, "receive", SpanKind::Server, Some(self.started), &attributes);
        receive.set_error(&rejected.reason_code);
        match self.settle(vec![self.put_rejected(&receive, rejected)]).await {
            Ok(()) => response,
            Err(failure) => self.fail(&failure, &mut receive).await,
        }
    }

    fn put_rejected(
        &self,
        receive: &SpanHandle,
        rejected: &InboundRejected,
    ) -> Option<Result<Delivery, PutError>> {
        let store = &self.site.shared.store;
        let attributes = [Attr::Topic(store.rejected_topic())];
        let send = child_of(&receive.context(), "send inbound.rejected.v1", SpanKind::Producer, &attributes);
        store.put_rejected(rejected, send.context())
    }

    /// Waits until all is stored, at most for the feed's time.
    async fn settle(&self, sent: Vec<Option<Result<Delivery, PutError>>>) -> Result<(), Failure> {
        let mut deliveries = Vec::with_capacity(sent.len());
        for sent in sent {
            deliveries.push(sent.ok_or(Failure::NotOpen)??);
        }
        // Given up, the records may be stored all the same: the repeat has the same ids.
        match tokio::time::timeout(self.feed.settings.ack_timeout.get(), try_join_all(deliveries)).await {
            Ok(stored) => stored.map(drop).map_err(Failure::Produce),
            Err(_) => Err(Failure::Timeout),
        }
    }

    /// Not stored: too large for ever, or to be sent again.
    async fn fail(&self, failure: &Failure, receive: &mut SpanHandle) -> Response {
        if failure.class() != ErrorClass::Data {
            receive.set_attr(Attr::AckCode(AckCode::AR.as_str()));
            return self.unavailable(&failure.to_string());
        }
        let bytes = &self.received.bytes;
        let head = Request { body: &bytes[..bytes.len().min(HEAD_BYTES)], ..self.request() };
        let Verdict::Refuse { rejected, response } =
            fhir::refuse_too_large(&self.feed.feed, &head, self.received_at)
        else {
            return self.unavailable("a refusal could not be made");
        };
        self.say_refused(&rejected);
        match self.settle(vec![self.put_rejected(receive, &rejected)]).await {
            Ok(()) => response,
            Err(failure) => self.unavailable(&failure.to_string()),
        }
    }

    fn unavailable(&self, why: &str) -> Response {
        if let Some(unsaid) = self.feed.quiet.not_stored.say(Instant::now()) {
            let code = reason::STORAGE_UNAVAILABLE;
            tracing::warn!(
                feed = self.feed.feed.name, %code, why, unsaid,
                "a request could not be stored; its sender was told to repeat it"
            );
        }
        fhir::unavailable(&self.request())
    }

    fn say_refused(&self, rejected: &InboundRejected) {
        tracing::warn!(
            feed = self.feed.feed.name, message_id = %rejected.message_id, code = rejected.reason_code,
            location = rejected.error_location.as_deref().unwrap_or_default(), "a request was refused"
        );
    }
}

/// Why a record is not known to be stored.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the store is not open yet")]
    NotOpen,
    #[error(transparent)]
    Put(#[from] PutError),
    #[error(transparent)]
    Produce(ProduceError),
    #[error("Kafka did not acknowledge the record in the time that the sender waits")]
    Timeout,
}

impl Classify for Failure {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Put(PutError::TooLarge) => ErrorClass::Data,
            Self::Put(PutError::Codec(error)) => error.class(),
            Self::Produce(error) => error.class(),
            Self::NotOpen | Self::Timeout => ErrorClass::Unavailable,
        }
    }

    fn reason(&self) -> ReasonCode {
        match self {
            Self::Put(error) => error.reason(),
            _ => reason::STORAGE_UNAVAILABLE,
        }
    }
}

/// `Prefer: return=minimal` (RFC 7240 §4.2), among other preferences.
fn prefers_minimal(header: &str) -> bool {
    let mut preferences = header.split([',', ';']).map(str::trim);
    preferences.any(|preference| preference.eq_ignore_ascii_case("return=minimal"))
}
