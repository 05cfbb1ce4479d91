//! What it means to account for a delivery, as plain values.
//!
//! - [`ErrorClass`] and [`Classify`]: every error is judged once, at the port where it happens (architecture §6).
//! - [`Backoff`]: how long to wait before the next try.
//! - [`mod@line`]: one event at one destination; [`waybill`]: one message with all its lines. Both are joined, never
//!   overwritten: the join is commutative, associative and idempotent, so no repeat and no order of records matters.
//! - [`record`]: each record of a topic as the small waybill it stands for; [`subscriptions`]: who owes a confirmation.
//! - [`balance`]: expected = confirmed + filtered + superseded + exceptions + open + overdue.
//!
//! Deliberately unknown here: clocks, randomness, Kafka, PostgreSQL. Time and chance are arguments.

pub mod backoff;
pub mod balance;
pub mod class;
pub mod line;
pub mod record;
pub mod subscriptions;
pub mod waybill;

pub use backoff::Backoff;
pub use class::{Classify, ErrorClass};
pub use line::{Bucket, Line};
pub use subscriptions::Subscriptions;
pub use waybill::Waybill;
pub use waybill_contracts::delivery::Outcome;
