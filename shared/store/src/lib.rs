//! PostgreSQL for stateful services: state, input offsets and outgoing records change in one transaction or not at all.
//!
//! - [`Store`]: a bounded pool; nothing waits for a dead database longer than its timeouts.
//! - [`migrate`]: versioned SQL with checksums; replicas may start together.
//! - [`Offsets`]: how far each input partition has been applied, moved by compare-and-set in the state's transaction.
//! - [`outbox`]: records to write to Kafka, enqueued with the state that made them.
//! - [`StoreError`]: classified once, and without any value that was sent to the database.
//!
//! Deliberately unknown here: Kafka, and what the state of a service is.

mod config;
mod error;
mod migrate;
mod offsets;
pub mod outbox;
mod pool;
#[cfg(feature = "testing")]
pub mod testing;

pub use config::PostgresConfig;
pub use deadpool_postgres::{GenericClient, Transaction};
pub use error::StoreError;
pub use migrate::{Migration, migrate};
pub use offsets::{Advanced, Move, Offsets, Partition};
pub use pool::{Connection, Store};
pub use tokio_postgres::{Row, types::ToSql};
