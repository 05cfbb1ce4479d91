//! What goes in and what comes out.

use std::{collections::BTreeMap, time::Duration};

use waybill_contracts::{
    Record as _,
    delivery::{Manifest, MessageState, Outcome, Status},
    lab::LabResult,
};
use waybill_testkit::{Exit, Installation, Stack, Unit, eventually, pending};

use crate::{
    SOON,
    writer::{Writer, message},
};

#[tokio::test(flavor = "multi_thread")]
async fn every_message_ends_where_its_records_say() {
    let Some(stack) = Stack::require().await else { return };
    let mut installation = Installation::on(&stack).prepare().await.unwrap();
    let writer = Writer::new(&stack, &installation);
    let [delivered, nowhere, unmapped, rejected, dead, late, orphan, torn] =
        [0, 1, 2, 3, 4, 5, 6, 7].map(message);
    // The manifests stand in their topic before the tracker has seen any subscription.
    writer.subscribe().await;
    writer.send(writer.story(delivered).await).await;
    let mut records = Vec::new();
    for id in [nowhere, unmapped, rejected, dead, late] {
        records.push(writer.received(id));
    }
    records.push(writer.normalized(nowhere, &["clinical.patient.v1"]).await);
    records.push(writer.normalized(unmapped, &[]).await);
    for id in [rejected, dead, late] {
        records.push(writer.normalized(id, &[LabResult::TOPIC]).await);
    }
    records.push(writer.dead_letter(dead));
    records.push(writer.routed(rejected, SOON).await);
    records.push(writer.receipt(rejected, Outcome::Rejected).await);
    records.push(writer.routed(late, Duration::from_millis(1)).await);
    records.push(writer.receipt(orphan, Outcome::Confirmed).await);
    records.push(writer.raw(Manifest::TOPIC, torn, &torn.to_string(), b"torn".to_vec()));
    // A name that no database takes must not stop the others.
    records.push(writer.receipt_at(torn, "ward\0ehr", Outcome::Confirmed).await);
    writer.send(records).await;

    installation.set(Unit::ConfirmationTracker, "accounting.orphan_grace", "1s");
    installation.start(Unit::ConfirmationTracker).unwrap();
    installation.wait_ready(SOON).await.unwrap();
    let tracker = installation.tracker();
    for (id, state, reason) in [
        (delivered, "delivered", None),
        (nowhere, "no-destination", Some("TRK-0001")),
        (unmapped, "no-destination", Some("NRM-0001")),
        (rejected, "exception", Some("LAB-0002")),
        (dead, "exception", Some("KAF-0001")),
        (late, "overdue", Some("TRK-0004")),
        (orphan, "overdue", Some("TRK-0003")),
    ] {
        let waybill = tracker.until(id, SOON, |waybill| waybill.state() == state).await.unwrap();
        assert_eq!(waybill.reason_code.as_deref(), reason, "{waybill:?}");
    }
    writer.send(vec![writer.receipt(late, Outcome::Confirmed).await]).await;
    tracker.until(late, SOON, |waybill| waybill.state() == "delivered").await.unwrap();

    // What cannot be decoded stands in our dead-letter topic, byte for byte.
    let letters =
        installation.topics().records("delivery.manifest.v1.dlq.confirmation-tracker").await.unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].value(), Some(&b"torn"[..]));
    assert_eq!(
        installation.topics().records("delivery.receipt.v1.dlq.confirmation-tracker").await.unwrap().len(),
        1
    );

    let balance = tracker.json("balance?verify=true").await.unwrap().unwrap();
    assert_eq!((&balance["balanced"], &balance["verified"]), (&true.into(), &true.into()), "{balance}");
    assert!(balance["watermark"].is_string(), "{balance}");

    // Each state that was reached was told, in order.
    let topic = installation.topics();
    let told = eventually("statuses are told", SOON, async || {
        let mut told: BTreeMap<_, Vec<MessageState>> = BTreeMap::new();
        for (record, status) in topic.decoded::<Status>(Status::TOPIC).await? {
            assert_eq!(record.key(), Some(&status.message_id.as_bytes()[..]));
            told.entry(status.message_id).or_default().push(status.state);
        }
        let whole = told.get(&late).is_some_and(|states| states.last() == Some(&MessageState::Delivered));
        if whole { Ok(told) } else { pending(format!("{told:?}")) }
    });
    let told = told.await.unwrap();
    assert_eq!(told[&delivered].last(), Some(&MessageState::Delivered));
    assert_eq!(told[&late], [MessageState::Overdue, MessageState::Delivered]);
    assert_eq!(told.len(), 7);

    // The end of the journey stands in the message's own trace.
    if let Some(jaeger) = installation.jaeger() {
        jaeger.until(delivered, SOON, |trace| trace.names().contains(&"settle")).await.unwrap();
    }

    let exit = installation.unit(Unit::ConfirmationTracker).unwrap().terminate(SOON).await.unwrap();
    assert_eq!(exit, Exit::Code(0));
}

/// Two replicas, each killed again and again while messages flow: everything is accounted for, once.
#[tokio::test(flavor = "multi_thread")]
async fn killed_replicas_lose_nothing_and_count_nothing_twice() {
    let Some(stack) = Stack::require().await else { return };
    let mut installation = Installation::on(&stack)
        .set(Unit::ConfirmationTracker, "kafka.session_timeout", "6s")
        .set(Unit::ConfirmationTracker, "intake.max_records", 20)
        .prepare()
        .await
        .unwrap();
    let writer = Writer::new(&stack, &installation);
    writer.subscribe().await;
    installation.start(Unit::ConfirmationTracker).unwrap();
    installation.wait_ready(SOON).await.unwrap();
    let (mut replica, _) = installation.start_replica(Unit::ConfirmationTracker, "replica").unwrap();
    replica.wait_ready(SOON).await.unwrap();
    let messages = 300;
    for number in 0..messages {
        writer.send(writer.story(message(number)).await).await;
        match number % 100 {
            25 => {
                replica.kill9().await.unwrap();
                replica.start_again().unwrap();
            }
            75 => {
                let first = installation.unit(Unit::ConfirmationTracker).unwrap();
                first.kill9().await.unwrap();
                first.start_again().unwrap();
            }
            _ => {}
        }
    }
    installation.wait_ready(SOON).await.unwrap();
    let tracker = installation.tracker();
    tracker.until_settled(u64::from(messages), SOON * 2).await.unwrap();
    let balance = tracker.json("balance?verify=true").await.unwrap().unwrap();
    assert_eq!(balance["verified"], true, "{balance}");
    assert_eq!(balance["messages"]["byState"], serde_json::json!({ "DELIVERED": messages }));
    assert_eq!(balance["total"]["confirmed"], 2 * messages);
    assert_eq!(balance["total"]["expected"], 2 * messages);
}
