//! Logs, metrics, traces and redaction: what an operator sees of a running service.
//!
//! # What never leaves a service
//!
//! None of these may appear in a log line, a span, a metric label, an error text or a Kafka key:
//!
//! - any part of a message body: HL7 v2 segments or fields, FHIR resources, X12 elements, batch files;
//! - names, birth dates, addresses, telephone numbers, account, insurance and medical record numbers;
//! - free text of any kind: comments, notes, result values, order reasons, acknowledgement texts (MSA-3, ERR-8);
//! - control ids a sender chose (MSH-10), because some senders build them from record numbers;
//! - URLs with a query string, HTTP bodies and headers, SQL parameters;
//! - secrets: passwords, tokens, keys, connection strings that contain them.
//!
//! What identifies a message instead is its [message id](waybill_contracts::MessageId), which is also its trace id.
//! An error names a position (segment, field, byte offset), never the content found there.
//!
//! # How that is enforced
//!
//! - Patient data travels in [`Phi`], which has no `Display` and prints `[phi]` in `Debug`; secrets in [`Secret`].
//! - Span attributes are the typed [`trace::Attr`]; there is no way to set another one, and a second fence in front
//!   of the exporter removes every attribute, event and status text that did not come from it.
//! - Metric names are one enum ([`metrics::Metric`]), label keys another ([`metrics::Label`]).
//! - The panic hook that `waybill-runtime` installs prints where a panic happened, never a formatted payload.

pub mod metrics;
pub mod trace;

mod config;
mod duration;
mod init;
mod log;
mod progress;
mod secret;

pub use waybill_contracts::Phi;

pub use self::config::{LogFormat, TelemetryConfig};
pub use self::duration::{HumanDuration, ParseDurationError};
pub use self::init::{TelemetryError, TelemetryGuard, init};
pub use self::progress::Progress;
pub use self::secret::{SECRET_REFUSAL, Secret};
