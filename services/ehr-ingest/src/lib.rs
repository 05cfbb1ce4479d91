//! Takes messages from EHRs and laboratories, stores them before it acknowledges them, and makes events of them.
//!
//! - **listen**: HL7 v2 over MLLP and HTTP, FHIR R4 over HTTP; one record on `inbound.message.v1` per message or Bundle, then
//!   the answer: AA and 2xx mean stored. What is refused is stored on `inbound.rejected.v1` and answered AE or AR with an ERR,
//!   or an OperationOutcome; what cannot be stored now is answered AR with 207, or 503.
//! - **normalize**: consumes `inbound.message.v1`, emits `clinical.*`, `lab.order.v1`, `lab.result.v1` and
//!   `billing.charge.v1`, and one manifest per message on `delivery.manifest.v1` that says what it became, or why nothing.
//! - Ordering: per patient. All records of a patient have the same key, from the listener's record to the last event.
//! - Rejects at the door with `ING-…`; a message without events has `NRM-0001` or `NRM-0002` in its manifest.
//!
//! [`accept`] and [`mapping`] are pure; sockets are in `listen`, topics in `normalize`.

pub mod accept;
pub mod config;
pub mod feed;
pub mod mapping;
pub mod profile;

mod listen;
mod normalize;
mod patient_id;
mod service;

use waybill_runtime::Service;

use crate::config::Config;

/// `ce_source` of everything this service writes.
pub(crate) const SOURCE: &str = "/ehr-ingest";

/// The service as a value.
pub const SERVICE: Service<Config> = Service {
    name: env!("CARGO_PKG_NAME"),
    version: env!("CARGO_PKG_VERSION"),
    about: "Takes messages in, stores them before it acknowledges them, and makes events of them",
    run: |context| Box::pin(service::run(context)),
};
