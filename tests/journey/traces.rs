//! One trace per message, whose id is the message's, from receipt to confirmation.

use waybill_contracts::MessageId;
use waybill_demo::scene::{PORTAL, PUBLIC_HEALTH, Receivers};
use waybill_testkit::{
    Installation, Stack,
    jaeger::{Span, Trace},
};

use crate::{SOON, installation, mllp};

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_one_trace_from_receipt_to_confirmation() {
    let Some(stack) = Stack::require().await else { return };
    let receivers = Receivers::start(None).await.unwrap();
    let waybill = installation(&stack, &receivers).start().await.unwrap();
    if waybill.jaeger().is_none() {
        return;
    }
    // The same message was traced in an earlier run under the same id: bytes of this run only.
    let control_id = format!("T{}", waybill.namespace().replace('-', "").to_uppercase());

    let answer = mllp::ask(waybill.mllp("lis").unwrap(), &mllp::result(&control_id), SOON).await.unwrap();
    assert_eq!(mllp::code(&answer), "AA", "{answer}");
    let stored = waybill.topics().decoded::<waybill_contracts::inbound::InboundMessage>("inbound.message.v1");
    let (record, message) = stored.await.unwrap().pop().unwrap();
    let id = message.message_id;
    let done = waybill.tracker().until(id, SOON, |waybill| waybill.state() == "delivered").await.unwrap();
    assert!(done.line(PORTAL).is_some() && done.line(PUBLIC_HEALTH).is_some(), "{done:?}");

    let names = |span: &Span, target: &str| span.tags.values().any(|value| value == target);
    let delivered = |trace: &Trace| {
        [PORTAL, PUBLIC_HEALTH].iter().all(|target| trace.spans.iter().any(|span| names(span, target)))
    };
    waybill.jaeger().unwrap().until(id, SOON, delivered).await.unwrap();
    let trace = is_whole(&waybill, id, &["confirmation-tracker", "ehr-ingest", "lab-distributor"]).await;
    let deliveries = trace.spans.iter().filter(|span| names(span, PORTAL) || names(span, PUBLIC_HEALTH));
    let last_delivery = deliveries.map(|span| span.start_micros).max().unwrap();
    let settle = trace.spans.iter().find(|span| span.name == "settle").unwrap();
    assert!(settle.start_micros + settle.duration_micros >= last_delivery, "{trace:?}");
    let parent = String::from_utf8(record.header("traceparent").unwrap().to_vec()).unwrap();
    assert!(parent.contains(&id.trace_id()), "{parent} is not of {id}");
}

/// One trace from receipt to settlement, with spans of these services and one root.
pub(crate) async fn is_whole(waybill: &Installation, id: MessageId, services: &[&str]) -> Trace {
    let jaeger = waybill.jaeger().unwrap();
    // Each service exports its spans in its own time, so the last span by time is not the last one to arrive.
    let whole = |trace: &Trace| {
        let roots: Vec<_> = trace.roots().iter().map(|span| span.name.as_str()).collect();
        trace.names().contains(&"settle") && trace.services() == services && roots == ["receive"]
    };
    jaeger.until(id, SOON, whole).await.unwrap()
}
