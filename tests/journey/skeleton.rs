//! The walking skeleton: traffic with an outage and a refusal; all parties must agree about all of it.

use std::time::Duration;

use waybill_demo::{
    audit::Audit,
    messages,
    scene::{self, PORTAL, PUBLIC_HEALTH, Pace, Receivers},
    screen::Screen,
};
use waybill_testkit::Stack;

use crate::installation;

#[tokio::test(flavor = "multi_thread")]
async fn every_message_is_accounted_for() {
    let Some(stack) = Stack::require().await else { return };
    let letters = messages::generated(20_261_124, 250);
    let plan = scene::plan(&letters);
    let receivers = Receivers::start(plan.refused_order.as_deref()).await.unwrap();
    let mut waybill = installation(&stack, &receivers).start().await.unwrap();
    let mut screen = Screen::default();

    let pace = Pace { rate: 100.0, outage: Duration::from_secs(2) };
    let sent = scene::play(&waybill, &receivers, letters, pace, &mut screen).await.unwrap();
    let evidence = scene::settle(&waybill, &receivers, sent, &mut screen).await.unwrap();

    let audit = Audit::of(&evidence, &plan);
    assert!(audit.findings.is_empty(), "{:#?}\n{}", audit.findings, waybill.tails());
    assert!(audit.accepted > 200 && audit.refused > 0, "{audit:?}");
    assert!(audit.confirmed[PORTAL] > 50 && audit.confirmed[PUBLIC_HEALTH] > 20, "{audit:?}");
    assert!(audit.rejected > 0 && audit.rejected_example.is_some(), "{audit:?}");
    assert!(audit.recovered_example.is_some(), "an outage, and nothing was repeated: {audit:?}");
    let balance = waybill.tracker().balance().await.unwrap();
    assert!(balance.balanced && balance.open() == 0, "{balance:?}");
    // Filtered: the results of FHIR Bundles, which no target here takes.
    let ended = balance.sum("confirmed") + balance.sum("exceptions") + balance.sum("filtered");
    assert_eq!(balance.sum("expected"), ended, "{balance:?}");
    let verified = waybill.tracker().json("balance?verify=true").await.unwrap().unwrap();
    assert_eq!(verified["verified"], true, "{verified}");

    // In good order, with everything done: each service ends with 0.
    waybill.stop().await.unwrap();
}
