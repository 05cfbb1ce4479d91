//! Accounts for every message at every destination.
//!
//! - Consumes `inbound.message.v1` (headers only), `inbound.rejected.v1`, `delivery.subscription.v1`,
//!   `delivery.manifest.v1`, `delivery.receipt.v1` and the dead-letter topics of the others; emits `delivery.status.v1`
//!   whenever the state of a message changes, keyed by message.
//! - Every record is joined to its message's waybill ([`waybill_delivery::waybill`]) in the PostgreSQL transaction that
//!   stores the input offsets: repeats, disorder, crashes and any number of replicas give the same books.
//! - A deadline passes when everything written before it has been read, by all replicas; the clock is not asked.
//! - Rejects records that cannot be decoded into its own dead-letter topics, and goes on.
//! - Answers over HTTP where a message is, and whether the balance is zero ([`api`]).
//!
//! Deliberately unknown here: patients. No record that the tracker keeps anything of can identify one.

pub mod api;
pub mod config;
mod handler;
pub mod intake;
pub mod ledger;
mod outbox;
pub mod queries;
mod service;
mod text;

use waybill_runtime::Service;

use crate::config::Config;

/// Consumer group, without namespace.
pub const GROUP: &str = "confirmation-tracker";

/// The service as a value.
pub const SERVICE: Service<Config> = Service {
    name: env!("CARGO_PKG_NAME"),
    version: env!("CARGO_PKG_VERSION"),
    about: "Accounts for every message at every destination",
    run: |context| Box::pin(service::run(context)),
};
