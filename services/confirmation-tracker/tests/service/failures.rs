//! What is missing is named, and when it comes, everything goes on by itself.

use std::time::Duration;

use waybill_contracts::{Record as _, delivery::Receipt};
use waybill_testkit::{Installation, Proxy, Stack, Unit};

use crate::{
    SOON,
    writer::{Writer, message},
};

const TRACKER: Unit = Unit::ConfirmationTracker;

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_topic_and_a_wrong_partition_count_are_named_and_recover() {
    let Some(stack) = Stack::require().await else { return };
    let mut installation = Installation::on(&stack).prepare().await.unwrap();
    installation.topics().delete_one(Receipt::TOPIC).await.unwrap();
    installation.start(TRACKER).unwrap();
    let process = installation.unit(TRACKER).unwrap();
    process.wait_not_ready(SOON, &["delivery.receipt.v1"]).await.unwrap();
    installation.topics().create_one(Receipt::TOPIC, 1).await.unwrap();
    installation
        .unit(TRACKER)
        .unwrap()
        .wait_not_ready(SOON, &["delivery.receipt.v1", "partition"])
        .await
        .unwrap();
    installation.topics().delete_one(Receipt::TOPIC).await.unwrap();
    installation.apply_topics().unwrap();
    installation.wait_ready(SOON).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_goes_and_comes_is_waited_for() {
    let Some(stack) = Stack::require().await else { return };
    let proxy = Proxy::plain(stack.postgres_address().unwrap()).await.unwrap();
    proxy.close();
    let mut via = stack.clone();
    let direct = stack.postgres_address().unwrap().to_string();
    via.postgres = stack.postgres.replace(&direct, &proxy.address().to_string());
    let mut installation = Installation::on(&stack)
        .via(via)
        .set(TRACKER, "postgres.statement_timeout", "1s")
        .set(TRACKER, "postgres.connect_timeout", "1s")
        .prepare()
        .await
        .unwrap();
    let writer = Writer::new(&stack, &installation);
    writer.subscribe().await;
    installation.start(TRACKER).unwrap();
    installation.unit(TRACKER).unwrap().wait_not_ready(SOON, &["database"]).await.unwrap();
    proxy.open().await.unwrap();
    installation.wait_ready(SOON).await.unwrap();
    let tracker = installation.tracker();
    for round in 0..2 {
        writer.send(writer.story(message(2 * round)).await).await;
        tracker.until(message(2 * round), SOON, |waybill| waybill.state() == "delivered").await.unwrap();
        // Once refused, once silent.
        if round == 0 {
            proxy.close();
        } else {
            proxy.freeze();
        }
        writer.send(writer.story(message(2 * round + 1)).await).await;
        installation.unit(TRACKER).unwrap().wait_not_ready(SOON, &["database"]).await.unwrap();
        if round == 0 {
            proxy.open().await.unwrap();
        } else {
            proxy.thaw();
        }
        tracker.until(message(2 * round + 1), SOON, |waybill| waybill.state() == "delivered").await.unwrap();
        installation.wait_ready(SOON).await.unwrap();
    }
    let balance = tracker.json("balance?verify=true").await.unwrap().unwrap();
    assert_eq!(balance["verified"], true, "{balance}");
    assert_eq!(balance["messages"]["total"], 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_and_a_registry_that_go_and_come_are_waited_for() {
    let Some(stack) = Stack::require().await else { return };
    let broker = Proxy::kafka(stack.kafka_address().unwrap()).await.unwrap();
    let registry = Proxy::plain(stack.registry_address().unwrap()).await.unwrap();
    let mut via = stack.clone();
    via.kafka = broker.address().to_string();
    let direct = stack.registry_address().unwrap().to_string();
    via.registry = stack.registry.replace(&direct, &registry.address().to_string());
    let mut installation = Installation::on(&stack)
        .via(via)
        .set(TRACKER, "kafka.session_timeout", "6s")
        .prepare()
        .await
        .unwrap();
    let writer = Writer::new(&stack, &installation);
    writer.subscribe().await;
    broker.close();
    registry.close();
    installation.start(TRACKER).unwrap();
    installation.unit(TRACKER).unwrap().wait_not_ready(SOON, &["broker"]).await.unwrap();
    broker.open().await.unwrap();
    installation.unit(TRACKER).unwrap().wait_not_ready(SOON, &["registry"]).await.unwrap();
    registry.open().await.unwrap();
    installation.wait_ready(SOON).await.unwrap();
    let tracker = installation.tracker();
    writer.send(writer.story(message(0)).await).await;
    tracker.until(message(0), SOON, |waybill| waybill.state() == "delivered").await.unwrap();
    broker.close();
    installation.unit(TRACKER).unwrap().wait_not_ready(SOON, &["broker"]).await.unwrap();
    writer.send(writer.story(message(1)).await).await;
    broker.open().await.unwrap();
    tracker.until(message(1), SOON, |waybill| waybill.state() == "delivered").await.unwrap();
    installation.wait_ready(SOON).await.unwrap();
}

/// The tracker is down while a deadline passes and the confirmation comes: it reads both, and never says overdue.
#[tokio::test(flavor = "multi_thread")]
async fn a_tracker_that_lags_never_cries_wolf() {
    let Some(stack) = Stack::require().await else { return };
    let mut installation = Installation::on(&stack).prepare().await.unwrap();
    let writer = Writer::new(&stack, &installation);
    writer.subscribe().await;
    let id = message(0);
    writer.send(vec![writer.received(id), writer.normalized(id, &["lab.result.v1"]).await]).await;
    let routed = writer.routed(id, Duration::from_millis(500)).await;
    let confirmed = writer.receipt(id, waybill_contracts::delivery::Outcome::Confirmed).await;
    writer.send(vec![routed, confirmed]).await;
    // Many records stand between the manifest and its receipt in other partitions: none of them moves the deadline.
    for number in 1..200 {
        writer.send(writer.story(message(number)).await).await;
    }
    installation.start(TRACKER).unwrap();
    installation.wait_ready(SOON).await.unwrap();
    let tracker = installation.tracker();
    tracker.until_settled(200, SOON).await.unwrap();
    assert!(!installation.unit(TRACKER).unwrap().log().contains("overdue"), "cried wolf");
}
