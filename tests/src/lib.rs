//! Tests of the whole system, each a program of its own; what they share is in `waybill-testkit` and `waybill-demo`.
//!
//! - `journey`: messages on their whole way, on the real stack.
//! - `conformance`: what becomes of the public samples, field by field.
//! - `hapi`: HAPI as an independent sender.
//! - `chaos`: processes are killed and connections cut under load, and nothing may be lost.
//! - `bench`: figures of merit beside other systems.
