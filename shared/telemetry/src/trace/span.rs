//! Making spans.

use std::cell::Cell;
use std::sync::OnceLock;
use std::time::{Instant, SystemTime};

use opentelemetry::trace::{
    Link, Span as _, SpanBuilder, SpanId, SpanKind, Status, TraceContextExt as _, TraceId, Tracer as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator, SdkTracer};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use waybill_contracts::MessageId;

use super::attr::is_name;
use super::{Attr, TraceContext};

/// Target of `tracing` spans that are exported as well, once [`SpanHandle::attach`] has given them their parent.
/// Spans with any other target, library spans above all, stay in the log.
pub const TARGET: &str = "waybill::trace";

/// Most links of a batch's span; the specification's default limit.
const MAX_LINKS: usize = 128;

static TRACER: OnceLock<SdkTracer> = OnceLock::new();

pub(crate) fn set_tracer(tracer: SdkTracer) {
    // `init` runs once a process and checks that itself.
    let _ = TRACER.set(tracer);
}

pub(crate) fn tracer() -> Option<&'static SdkTracer> {
    TRACER.get()
}

/// Whether spans are exported at all.
pub fn export_enabled() -> bool {
    TRACER.get().is_some()
}

/// Starts the trace of a message: the span that stands at [`TraceContext::for_message`]. `started` is when the work
/// began, which for a received message is before its id is known.
///
/// Only the first receipt of a message has one; a known repeat is a child of `for_message`, else two spans share an id.
pub fn root_span(
    message_id: MessageId,
    name: &'static str,
    kind: SpanKind,
    started: Option<Instant>,
    attrs: &[Attr<'_>],
) -> SpanHandle {
    let context = TraceContext::for_message(message_id);
    let span = TRACER.get().map(|tracer| {
        let ids = Chosen { trace_id: context.trace_id(), span_id: context.span_id() };
        let _reset = ids.choose();
        let builder = SpanBuilder { start_time: started.map(wall_clock), ..builder(name, kind, attrs) };
        Box::new(tracer.build_with_context(builder, &Context::new()))
    });
    SpanHandle { context, of_message: true, span }
}

/// Starts a span under the one that `parent` names, in this process or another.
pub fn child_of(parent: &TraceContext, name: &'static str, kind: SpanKind, attrs: &[Attr<'_>]) -> SpanHandle {
    let span = TRACER.get().map(|tracer| {
        // Recorded whatever the parent's flag says: which traces are kept is decided where whole traces are seen.
        let context = Context::new().with_remote_span_context(TraceContext::to_otel(*parent));
        Box::new(tracer.build_with_context(builder(name, kind, attrs), &context))
    });
    let context = span.as_ref().map_or(*parent, |span| TraceContext::from_otel(span.span_context()));
    SpanHandle { context, of_message: true, span }
}

/// Starts a span under the `traceparent` header of a record; without a usable header, under the message's root.
///
/// A header of another trace (a producer outside the project) is not followed: a message's trace id is its id.
pub fn child_of_traceparent(
    header: Option<&str>,
    message_id: MessageId,
    name: &'static str,
    kind: SpanKind,
    attrs: &[Attr<'_>],
) -> SpanHandle {
    let root = TraceContext::for_message(message_id);
    let parent = header.and_then(TraceContext::parse).filter(|parent| parent.trace_id() == root.trace_id());
    child_of(&parent.unwrap_or(root), name, kind, attrs)
}

/// Starts the span of a batch: a trace of its own, linked to at most 128 of the traces it serves.
pub fn batch_span(
    name: &'static str,
    kind: SpanKind,
    links: impl IntoIterator<Item = TraceContext>,
    attrs: &[Attr<'_>],
) -> SpanHandle {
    let span = TRACER.get().map(|tracer| {
        let links =
            links.into_iter().take(MAX_LINKS).map(|link| Link::with_context(link.to_otel())).collect();
        let builder = SpanBuilder { links: Some(links), ..builder(name, kind, attrs) };
        Box::new(tracer.build_with_context(builder, &Context::new()))
    });
    // While nothing is exported there is no trace to be in; the nil message's root stands for "none".
    let none = || TraceContext::for_message(MessageId::from_bytes([0; 16]));
    let context = span.as_ref().map_or_else(none, |span| TraceContext::from_otel(span.span_context()));
    SpanHandle { context, of_message: false, span }
}

/// A span that is being recorded, or the place where it would be. Dropping it ends it.
#[derive(Debug)]
#[must_use = "a span ends when its handle is dropped"]
pub struct SpanHandle {
    context: TraceContext,
    of_message: bool,
    span: Option<Box<opentelemetry_sdk::trace::Span>>,
}

impl SpanHandle {
    /// What to give to those who continue from here: into a record's `traceparent` header, or to [`child_of`].
    pub const fn context(&self) -> TraceContext {
        self.context
    }

    /// Sets an attribute that was not known at the start.
    pub fn set_attr(&mut self, attr: Attr<'_>) {
        if let Some(span) = &mut self.span {
            span.set_attribute(attr.to_otel());
        }
    }

    /// Refers to a span of another trace that led to this one: the original of a replay.
    pub fn link(&mut self, context: TraceContext) {
        if let Some(span) = &mut self.span {
            span.add_link(context.to_otel(), Vec::new());
        }
    }

    /// Marks the step as failed for the reason.
    pub fn set_error(&mut self, reason_code: &str) {
        if let Some(span) = &mut self.span {
            let reason = if is_name(reason_code) { reason_code.to_owned() } else { "other".to_owned() };
            span.set_status(Status::error(reason));
            span.set_attribute(Attr::ReasonCode(reason_code).to_otel());
        }
    }

    /// Ends the span now.
    pub fn end(self) {
        drop(self);
    }

    /// Ends the span at an earlier moment, when the end is noticed late.
    pub fn end_at(mut self, at: Instant) {
        if let Some(span) = &mut self.span {
            span.end_with_timestamp(wall_clock(at));
        }
    }

    /// A `tracing` span for the log: lines written inside it carry the message's id. It is not exported.
    pub fn log_span(&self) -> tracing::Span {
        if !self.of_message {
            return match self.context.trace_id() {
                0 => tracing::info_span!("batch"),
                trace_id => tracing::info_span!("batch", trace_id = %HexId(trace_id)),
            };
        }
        let message_id = MessageId::from_bytes(self.context.trace_id().to_be_bytes());
        tracing::info_span!("message", %message_id)
    }

    /// Makes a `tracing` span with target [`TARGET`] that was not entered yet a child of this span, and of its trace.
    /// False: it was entered already, and is now in a trace of its own.
    pub fn attach(&self, span: &tracing::Span) -> bool {
        span.set_parent(Context::new().with_remote_span_context(self.context.to_otel())).is_ok()
    }
}

fn builder(name: &'static str, kind: SpanKind, attrs: &[Attr<'_>]) -> SpanBuilder {
    let attributes: Vec<KeyValue> = attrs.iter().map(|attr| attr.to_otel()).collect();
    SpanBuilder::from_name(name).with_kind(kind).with_attributes(attributes)
}

/// The wall-clock time of a moment of the monotonic clock.
#[expect(clippy::disallowed_methods, reason = "spans are stamped with the wall clock, in nanoseconds")]
fn wall_clock(at: Instant) -> SystemTime {
    SystemTime::now() - at.elapsed()
}

struct HexId(u128);

impl std::fmt::Display for HexId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Ids for the next span that this thread starts. `SpanBuilder` cannot carry them; the generator is asked on the
/// thread that starts the span.
#[derive(Clone, Copy)]
struct Chosen {
    trace_id: u128,
    span_id: u64,
}

thread_local! {
    static CHOSEN: Cell<Option<Chosen>> = const { Cell::new(None) };
}

impl Chosen {
    fn choose(self) -> impl Drop {
        struct Reset;
        impl Drop for Reset {
            fn drop(&mut self) {
                CHOSEN.set(None);
            }
        }
        CHOSEN.set(Some(self));
        Reset
    }
}

/// Random ids, except where [`Chosen`] says otherwise.
#[derive(Debug, Default)]
pub(super) struct MessageIds(RandomIdGenerator);

impl IdGenerator for MessageIds {
    fn new_trace_id(&self) -> TraceId {
        CHOSEN.get().map_or_else(|| self.0.new_trace_id(), |chosen| TraceId::from(chosen.trace_id))
    }

    fn new_span_id(&self) -> SpanId {
        CHOSEN.get().map_or_else(|| self.0.new_span_id(), |chosen| SpanId::from(chosen.span_id))
    }
}
