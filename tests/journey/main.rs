//! Whole journeys: real binaries, the real stack, real sockets; each test in an installation of its own.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking and says what it saw"
)]

mod adt;
mod clinical;
mod compliance;
mod corpora;
mod fhir;
mod http;
mod mllp;
mod outages;
mod phi;
mod skeleton;
mod stock_client;
mod synthea;
mod topics;
mod traces;

use std::time::Duration;

use waybill_demo::scene::Receivers;
use waybill_testkit::{Builder, Installation, Stack};

/// Bound of what happens in a second or two on an idle machine.
const SOON: Duration = Duration::from_secs(60);

/// An installation that delivers to both receivers of the demo's scene.
fn installation(stack: &Stack, receivers: &Receivers) -> Builder {
    receivers.targets(Installation::on(stack))
}
