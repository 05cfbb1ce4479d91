//! The waybill of one message: laws of the join, and the cases an operator meets.
#![expect(clippy::unwrap_used, reason = "tests")]

mod join_laws;
mod records;
mod standing;
