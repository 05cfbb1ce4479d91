//! What it means to account for a delivery, as plain values.
//!
//! - [`ErrorClass`] and [`Classify`]: every error is judged once, at the port where it happens (architecture §6).
//! - [`Backoff`]: how long to wait before the next try.
//! - [`line`]: one event at one destination; [`waybill`]: one message with all its lines. Both are joined, never
//!   overwritten: the join is commutative, associative and idempotent, so no repeat and no order of records matters.
//! - [`balance`]: expected = confirmed + filtered + superseded + exceptions + open + overdue.
//!
//! Deliberately unknown here: clocks, randomness, Kafka, PostgreSQL. Time and chance are arguments.

pub mod backoff;
pub mod class;

pub use backoff::Backoff;
pub use class::{Classify, ErrorClass};
pub use waybill_contracts::delivery::Outcome;
