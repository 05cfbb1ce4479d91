//! Topics that are missing or of the wrong shape: not ready, and the topic is named.

use waybill_demo::scene::Receivers;
use waybill_testkit::{Stack, Unit};

use crate::{SOON, installation};

#[tokio::test(flavor = "multi_thread")]
async fn missing_topics_are_named_until_they_are_there() {
    let Some(stack) = Stack::require().await else { return };
    let receivers = Receivers::start(None).await.unwrap();
    let mut waybill = installation(&stack, &receivers).without_topics().prepare().await.unwrap();
    waybill.start_all().unwrap();
    for (unit, topic) in [
        (Unit::EhrIngest, "inbound.message.v1"),
        (Unit::LabDistributor, "lab.result.v1"),
        (Unit::ConfirmationTracker, "delivery.manifest.v1"),
    ] {
        let name = waybill.topics().name(topic).to_string();
        waybill.unit(unit).unwrap().wait_not_ready(SOON, &[&name]).await.unwrap();
    }
    waybill.apply_topics().unwrap();
    for unit in Unit::ALL {
        // A schema that only deployment may register.
        waybill.unit(unit).unwrap().wait_not_ready(SOON, &["schema"]).await.unwrap();
    }
    waybill.register_schemas().unwrap();
    waybill.wait_ready(SOON).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_number_of_partitions_is_named() {
    let Some(stack) = Stack::require().await else { return };
    let receivers = Receivers::start(None).await.unwrap();
    let mut waybill = installation(&stack, &receivers).without_topics().prepare().await.unwrap();
    for topic in ["inbound.message.v1", "lab.result.v1", "delivery.manifest.v1"] {
        waybill.topics().create_one(topic, 2).await.unwrap();
    }
    let refused = waybill.apply_topics().unwrap_err().to_string();
    assert!(refused.contains("2 partitions, not 3"), "{refused}");
    waybill.register_schemas().unwrap();
    waybill.start_all().unwrap();
    // A topic and its dead letters, manifests and receipts: what goes together must have the same number.
    for (unit, topic) in [
        (Unit::EhrIngest, "inbound.message.v1"),
        (Unit::LabDistributor, "delivery.manifest.v1"),
        (Unit::ConfirmationTracker, "delivery.manifest.v1"),
    ] {
        let name = waybill.topics().name(topic).to_string();
        let words = [&name, "3 partitions", "has 2", "they must be equal"];
        waybill.unit(unit).unwrap().wait_not_ready(SOON, &words).await.unwrap();
    }
    waybill.stop().await.unwrap();
}
