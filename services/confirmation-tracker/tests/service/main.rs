//! The service as a process on the real stack; without one the tests say so and pass, except under CI.
#![expect(clippy::unwrap_used, reason = "tests")]

mod failures;
mod journey;
mod writer;

use std::time::Duration;

use waybill_testkit::{Unit, compliance::compliance};

/// Ample on a busy machine; everything waited for takes a second or two.
const SOON: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
async fn it_shows_what_every_service_must_show() {
    compliance(Unit::ConfirmationTracker).await.unwrap();
}
