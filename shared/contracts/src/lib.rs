//! What the services agree on: topics, records, ids, headers, receipts.
//!
//! - `schemas/*.avsc` is the source of truth for every record; the types here are tested against it.
//! - `schemas/topics.yaml` is the catalogue of topics; [`topics`] reads it.
//! - An id is made from what it names and never at random ([`ids`]), so a repeat is recognised anywhere.
//! - Whatever can identify a person is a [`Phi`]: it has no `Display`, and its `Debug` says `[phi]`.
//!
//! Deliberately unknown here: Kafka clients, the schema registry, HTTP, HL7 parsing, and every other crate of ours.

pub mod avro;
pub mod billing;
pub mod body;
pub mod bytes_text;
pub mod clinical;
pub mod delivery;
pub mod fhir;
pub mod headers;
pub mod ids;
pub mod inbound;
pub mod lab;
pub mod phi;
pub mod reason;
mod symbol;
pub mod timestamp;
pub mod topics;

pub use avro::{DatumError, Record};
pub use body::{Body, BodyEncoding, BodyError};
pub use headers::{EventHeaders, HeaderError};
pub use ids::{EventId, MessageId, PatientKey, PatientKeyer};
pub use phi::Phi;
pub use reason::ReasonCode;
pub use timestamp::Timestamp;
pub use topics::{Namespace, TopicName};
