//! The waybill of one message: laws of the join, and the cases an operator meets.

mod join_laws;
mod records;
mod standing;
