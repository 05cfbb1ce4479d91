//! The crate against a real broker and registry, and against librdkafka's mock cluster where faults are injected.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, reason = "tests")]

mod batch_faults;
mod batch_real;
mod keyed_faults;
mod keyed_pressure;
mod keyed_real;
mod producer;
mod registry;
mod support;
mod tail;
