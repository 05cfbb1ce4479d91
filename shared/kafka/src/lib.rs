//! Kafka and the schema registry: the only crate that knows rdkafka and `schema_registry_converter`.
//!
//! - [`Producer`]: `acks=all`, records of a key in order, groups of records acknowledged together.
//! - [`run_keyed`]: one record at a time per key, offsets in Kafka; an offset is done when its outputs are acknowledged.
//! - [`run_batch`]: batches, offsets in the handler's own transaction.
//! - [`Registry`], [`Codec`], [`Encoder`]: Avro in the Confluent wire format.
//! - [`dead_letter`]: what a dead letter's headers say. [`admin`]: topics. [`read_all`]: for tools and tests.
//!
//! No rdkafka type appears in a public signature.

pub mod admin;
mod batch;
mod cluster;
mod codec;
mod config;
mod consumer;
pub mod dead_letter;
mod error;
mod handler;
mod keyed;
mod out;
mod partitions;
mod probe;
mod producer;
mod read;
mod record;
mod registry;
mod tail;
mod watermark;

pub use batch::run_batch;
pub use cluster::{Cluster, TopicPlan, TopicState};
pub use codec::{Codec, Encoder};
pub use config::{Compression, KafkaConfig, Protocol, RegistryConfig, SaslMechanism, Security};
pub use error::{CodecError, KafkaError, ProduceError};
pub use handler::{Batch, BatchHandler, BatchOptions, HandlerError, KeyedHandler, KeyedOptions, Position};
pub use keyed::run_keyed;
pub use out::OutRecord;
pub use probe::{NoProbe, Probe};
pub use producer::{Delivery, Producer, ProducerOptions, RequestsPerBroker};
pub use read::read_all;
pub use record::{InRecord, TopicPartition};
pub use registry::{Registry, RegistryError, SchemaId};
pub use tail::Tail;

/// A number in 0..1 for jitter. The standard library seeds its hashers at random; nothing here needs more than that.
fn random() -> f64 {
    use std::hash::{BuildHasher, Hasher};
    let bits = std::hash::RandomState::new().build_hasher().finish();
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}
