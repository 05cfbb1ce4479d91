//! Broker, registry and database out of reach: a clear reason, an answer to every sender, recovery without a hand.

use std::time::{Duration, Instant};

use waybill_contracts::{Record as _, inbound::InboundMessage};
use waybill_demo::scene::{PORTAL, Receivers};
use waybill_testkit::{Installation, Proxy, Stack, Unit, eventually, pending};

use crate::{SOON, installation, mllp};

/// What the feeds promise in these tests.
const ACK_TIMEOUT: Duration = Duration::from_secs(1);
/// A sender must have its answer by then, whatever is broken.
const ANSWERED: Duration = Duration::from_secs(5);

/// The stack behind proxies.
struct Wires {
    kafka: Proxy,
    registry: Proxy,
    postgres: Proxy,
}

impl Wires {
    async fn new(stack: &Stack) -> (Self, Stack) {
        let wires = Self {
            kafka: Proxy::kafka(stack.kafka_address().unwrap()).await.unwrap(),
            registry: Proxy::plain(stack.registry_address().unwrap()).await.unwrap(),
            postgres: Proxy::plain(stack.postgres_address().unwrap()).await.unwrap(),
        };
        let through = |url: &str, from: String, to: &Proxy| url.replace(&from, &to.address().to_string());
        let via = Stack {
            kafka: wires.kafka.address().to_string(),
            registry: through(
                &stack.registry,
                stack.registry_address().unwrap().to_string(),
                &wires.registry,
            ),
            postgres: through(
                &stack.postgres,
                stack.postgres_address().unwrap().to_string(),
                &wires.postgres,
            ),
            ..stack.clone()
        };
        (wires, via)
    }
}

async fn prepare(stack: &Stack, receivers: &Receivers, via: Stack) -> Installation {
    installation(stack, receivers)
        .via(via)
        .set(Unit::EhrIngest, "feed.0.ack_timeout", "1s")
        .set(Unit::EhrIngest, "feed.1.ack_timeout", "1s")
        .set_all("kafka.session_timeout", "6s")
        .prepare()
        .await
        .unwrap()
}

/// AR with 207, within bounded time.
async fn turned_away(waybill: &Installation, message: &[u8]) {
    let begun = Instant::now();
    let answer = mllp::ask(waybill.mllp("lis").unwrap(), message, ANSWERED).await.unwrap();
    assert_eq!(mllp::code(&answer), "AR", "{answer}");
    assert!(answer.contains("|207"), "no 207: {answer}");
    println!("turned away after {:?} (bound {ACK_TIMEOUT:?} and a little)", begun.elapsed());
}

/// Accepted, delivered, accounted for, and once. As a sender does: the same bytes again after AR with 207.
async fn delivered(waybill: &Installation, receivers: &Receivers, message: &[u8], control_id: &str) {
    let address = waybill.mllp("lis").unwrap();
    eventually("the message is accepted", SOON, async || {
        let answer = mllp::ask(address, message, ANSWERED).await?;
        if answer.contains("|207") {
            return pending(answer);
        }
        assert_eq!(mllp::code(&answer), "AA", "{answer}");
        Ok(())
    })
    .await
    .unwrap();
    settled(waybill, receivers, control_id).await;
}

async fn settled(waybill: &Installation, receivers: &Receivers, control_id: &str) {
    let what = format!("{control_id} is delivered");
    let found = eventually(&what, SOON, async || {
        let found = waybill.tracker().by_control_id(control_id).await?;
        match &found[..] {
            [one] if one.state() == "delivered" => Ok(one.clone()),
            other => pending(format!("{other:?}")),
        }
    });
    let found = found.await.unwrap_or_else(|error| panic!("{error:#}\n{}", waybill.tails()));
    let line = found.line(PORTAL).unwrap();
    let event: waybill_contracts::EventId = line.event_id.as_deref().unwrap().parse().unwrap();
    let outbound = event.outbound_control_id(PORTAL);
    let portal = receivers.history().remove(PORTAL).unwrap();
    let taken = portal
        .iter()
        .filter(|received| received.control_id == outbound && received.taken && !received.duplicate);
    assert_eq!(taken.count(), 1, "{control_id} at the portal");
}

#[tokio::test(flavor = "multi_thread")]
async fn services_that_start_before_the_stack_wait_and_say_for_what() {
    let Some(stack) = Stack::require().await else { return };
    let receivers = Receivers::start(None).await.unwrap();
    let (wires, via) = Wires::new(&stack).await;
    for wire in [&wires.kafka, &wires.registry, &wires.postgres] {
        wire.close();
    }
    let mut waybill = prepare(&stack, &receivers, via).await;
    waybill.start_all().unwrap();
    for (unit, words) in [
        (Unit::EhrIngest, &["listen", "broker"][..]),
        (Unit::LabDistributor, &["broker"]),
        (Unit::ConfirmationTracker, &["database does not answer"]),
    ] {
        waybill.unit(unit).unwrap().wait_not_ready(SOON, words).await.unwrap();
    }
    turned_away(&waybill, &mllp::result("START1")).await;

    wires.kafka.open().await.unwrap();
    // The schema registry is still out of reach, and that is what they say.
    for unit in [Unit::EhrIngest, Unit::LabDistributor] {
        waybill.unit(unit).unwrap().wait_not_ready(SOON, &["registry"]).await.unwrap();
    }
    turned_away(&waybill, &mllp::result("START1")).await;
    wires.registry.open().await.unwrap();
    waybill.unit(Unit::ConfirmationTracker).unwrap().wait_not_ready(SOON, &["database"]).await.unwrap();
    wires.postgres.open().await.unwrap();

    waybill.wait_ready(SOON).await.unwrap();
    delivered(&waybill, &receivers, &mllp::result("START1"), "START1").await;
    waybill.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_goes_away_in_flight_costs_nothing_but_time() {
    let Some(stack) = Stack::require().await else { return };
    let receivers = Receivers::start(None).await.unwrap();
    let (wires, via) = Wires::new(&stack).await;
    let mut waybill = prepare(&stack, &receivers, via).await;
    waybill.start_all().unwrap();
    waybill.wait_ready(SOON).await.unwrap();
    delivered(&waybill, &receivers, &mllp::result("BEFORE1"), "BEFORE1").await;

    wires.kafka.close();
    turned_away(&waybill, &mllp::result("DURING1")).await;
    for unit in Unit::ALL {
        waybill.unit(unit).unwrap().wait_not_ready(SOON, &[]).await.unwrap();
    }
    turned_away(&waybill, &mllp::result("DURING1")).await;
    wires.kafka.open().await.unwrap();
    waybill.wait_ready(SOON).await.unwrap();
    delivered(&waybill, &receivers, &mllp::result("DURING1"), "DURING1").await;

    // It hangs: connections stay, nothing comes back.
    wires.kafka.freeze();
    turned_away(&waybill, &mllp::result("FROZEN1")).await;
    wires.kafka.thaw();
    // The record may have been on its way: the same bytes again are the same message.
    delivered(&waybill, &receivers, &mllp::result("FROZEN1"), "FROZEN1").await;
    waybill.stop().await.unwrap();
}

/// The price of a producer without idempotence (docs/adr/0013): its client sends again what the broker has written already.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_whose_storing_the_broker_cannot_report_is_stored_twice_and_delivered_once() {
    let Some(stack) = Stack::require().await else { return };
    let receivers = Receivers::start(None).await.unwrap();
    let (wires, via) = Wires::new(&stack).await;
    let builder = installation(&stack, &receivers)
        .via(via)
        .set(Unit::EhrIngest, "feed.0.ack_timeout", "30s")
        .set(Unit::EhrIngest, "feed.1.ack_timeout", "30s");
    let mut waybill = builder.prepare().await.unwrap();
    waybill.start_all().unwrap();
    waybill.wait_ready(SOON).await.unwrap();
    delivered(&waybill, &receivers, &mllp::result("FIRST3"), "FIRST3").await;

    wires.kafka.hold_answers();
    let address = waybill.mllp("lis").unwrap();
    let asked = tokio::spawn(async move { mllp::ask(address, &mllp::result("TWICE3"), SOON).await });
    stored(&waybill, "TWICE3", 1).await;
    assert!(!asked.is_finished(), "no answer before Kafka's");
    wires.kafka.close();
    wires.kafka.thaw();
    wires.kafka.open().await.unwrap();
    let answer = asked.await.unwrap().unwrap();
    assert_eq!(mllp::code(&answer), "AA", "{answer}");
    stored(&waybill, "TWICE3", 2).await;
    waybill.wait_ready(SOON).await.unwrap();
    // What comes after it, for the same patient, has been through when this is.
    delivered(&waybill, &receivers, &mllp::result("THIRD3"), "THIRD3").await;
    settled(&waybill, &receivers, "TWICE3").await;
    waybill.stop().await.unwrap();
}

/// As many records hold the message.
async fn stored(waybill: &Installation, control_id: &str, times: usize) {
    let what = format!("{control_id} is stored {times} times");
    eventually(&what, SOON, async || {
        let records = waybill.topics().decoded::<InboundMessage>(InboundMessage::TOPIC).await?;
        let found = records.iter().filter(|(_, message)| message.control_id.as_deref() == Some(control_id));
        match found.count() {
            found if found == times => Ok(()),
            found => pending(format!("{found} times")),
        }
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_or_registry_that_goes_away_in_flight_costs_nothing_but_time() {
    let Some(stack) = Stack::require().await else { return };
    let receivers = Receivers::start(None).await.unwrap();
    let (wires, via) = Wires::new(&stack).await;
    let mut waybill = prepare(&stack, &receivers, via).await;
    waybill.start_all().unwrap();
    waybill.wait_ready(SOON).await.unwrap();
    delivered(&waybill, &receivers, &mllp::result("BEFORE2"), "BEFORE2").await;

    wires.postgres.close();
    // The way of a message does not lead through the database: it is delivered all the same.
    let answer = mllp::ask(waybill.mllp("lis").unwrap(), &mllp::result("NODB2"), SOON).await.unwrap();
    assert_eq!(mllp::code(&answer), "AA", "{answer}");
    waybill.unit(Unit::ConfirmationTracker).unwrap().wait_not_ready(SOON, &["database"]).await.unwrap();
    eventually("the portal has both", SOON, async || {
        let taken = receivers.portal().stats().taken;
        if taken == 2 { Ok(()) } else { pending(format!("{taken}")) }
    })
    .await
    .unwrap();
    wires.postgres.open().await.unwrap();
    waybill.wait_ready(SOON).await.unwrap();
    settled(&waybill, &receivers, "NODB2").await;

    // Schemas are known by now: the registry is asked at the start only.
    wires.registry.close();
    delivered(&waybill, &receivers, &mllp::result("NOREG2"), "NOREG2").await;
    waybill.stop().await.unwrap();
}
