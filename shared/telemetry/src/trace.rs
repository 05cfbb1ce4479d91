//! One trace per message: its trace id is the message id, from receipt to confirmation.
//!
//! Spans are made with [`root_span`] and [`child_of`]; a [`SpanHandle`] ends when it is dropped. Where no exporter is
//! configured they are no-ops that allocate nothing, but [`SpanHandle::context`] still gives the context to put into
//! the `traceparent` header, so that whichever service does export joins the right trace.

mod attr;
mod context;
mod export;
mod span;

pub use opentelemetry::trace::SpanKind;

pub use self::attr::Attr;
pub use self::context::{ParseTraceContextError, TraceContext, Traceparent};
pub use self::span::{
    SpanHandle, TARGET, batch_span, child_of, child_of_traceparent, export_enabled, root_span,
};

pub(crate) use self::export::{ExportSettings, provider};
pub(crate) use self::span::{set_tracer, tracer};
