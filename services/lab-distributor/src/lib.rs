//! Brings laboratory results to their targets and proves that they arrived.
//!
//! - **route**: consumes `lab.result.v1`, emits one `lab.delivery.<target>.v1` per target and one routed manifest per
//!   result, keyed by patient. No rule matches: the manifest says `LAB-0001`, and the line ends as filtered.
//! - **deliver**, one consumer group per target: consumes `lab.delivery.<target>.v1`, sends the original over MLLP with
//!   a stable MSH-10, and emits a receipt. Only the target's own acknowledgement of that MSH-10 confirms.
//! - Rejects with `LAB-0002` what the target refuses (AE, CE): dead letter and receipt, the lane goes on.
//! - Ordering: per patient, through both roles; a target that is down holds back its own topic and no other.

pub mod config;
mod deliver;
mod mllp_client;
mod receipts;
pub mod reply;
pub mod route;
mod route_handler;
pub mod routing;
mod service;

use waybill_runtime::Service;

use crate::config::Config;

/// The service as a value.
pub const SERVICE: Service<Config> = Service {
    name: env!("CARGO_PKG_NAME"),
    version: env!("CARGO_PKG_VERSION"),
    about: "Brings laboratory results to their targets and proves that they arrived",
    run: |context| Box::pin(service::run(context)),
};
