//! What happens when something around the service is missing, slow or too much.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail by panicking")]

#[path = "support/harness.rs"]
mod harness;

use std::{
    process::Command,
    time::{Duration, Instant},
};

use harness::{Door, SOON, TOPICS, bodies, framed, message};
use tokio::io::AsyncReadExt;
use waybill_contracts::{Record, inbound::InboundMessage};
use waybill_kafka::admin;
use waybill_testkit::{Proxy, Stack, eventually, http, pending};

/// Not ready, and the reason says all of `words`.
async fn not_ready(door: &Door, words: &[&str]) {
    let found = eventually("the service says why it is not ready", SOON, async || {
        let answer = http::ask(&format!("http://{}/ready", door.admin)).await?;
        let said = answer.status == 503 && words.iter().all(|word| answer.body.contains(word));
        if said { Ok(()) } else { pending(format!("{} {}", answer.status, answer.body)) }
    });
    let found = found.await;
    assert!(found.is_ok(), "{found:?}\n{}", door.log());
}

#[tokio::test]
async fn without_a_broker_senders_are_told_to_repeat_until_there_is_one() {
    let Some(door) = Door::prepare("nobroker").await else { return };
    let broker = Proxy::kafka(Stack::from_env().kafka_address().unwrap()).await.unwrap();
    broker.close();
    let door = door
        .set("kafka.bootstrap_servers", broker.address().to_string())
        .set("feed.ack_timeout", "1s")
        .start();
    let mut sender = door.connect().await;
    let asked = Instant::now();
    sender.exchange(&message("ADT^A01", "B1")).await.is("AR", "B1", Some("207"));
    assert!(asked.elapsed() < Duration::from_secs(3), "told after {:?}", asked.elapsed());
    not_ready(&door, &["broker"]).await;

    broker.open().await.unwrap();
    door.ready().await;
    // The same connection, the same message.
    sender.exchange(&message("ADT^A01", "B1")).await.is("AA", "B1", None);

    // A sender that wants no answer must not take silence for success.
    let silent =
        String::from_utf8(message("ADT^A01", "B9")).unwrap().replacen("|2.5.1\r", "|2.5.1|||NE|AL\r", 1);
    let enhanced = silent.replace("NE|AL", "AL|NE");

    // In flight: the wire is there, but nothing comes back.
    broker.freeze();
    let asked = Instant::now();
    sender.exchange(&message("ADT^A01", "B2")).await.is("AR", "B2", Some("207"));
    assert!(asked.elapsed() < Duration::from_secs(4), "told after {:?}", asked.elapsed());
    door.connect().await.exchange(enhanced.as_bytes()).await.is("CE", "B9", Some("207"));
    let mut closed = door.connect().await;
    closed.write(&framed(silent.as_bytes())).await;
    assert_eq!(closed.reply().await, None);
    broker.thaw();
    loop {
        let reply = sender.exchange(&message("ADT^A01", "B2")).await;
        if reply.code == "AA" {
            break;
        }
        reply.is("AR", "B2", Some("207"));
    }
    let stored = bodies(&door.at_least(2).await);
    assert!(stored.contains_key("B1") && stored.contains_key("B2"));
    door.close().await;
}

#[tokio::test]
async fn without_a_registry_nothing_is_taken_until_there_is_one() {
    let Some(door) = Door::prepare("noregistry").await else { return };
    let stack = Stack::from_env();
    let upstream = stack.registry_address().unwrap();
    let registry = Proxy::plain(upstream).await.unwrap();
    registry.close();
    let url = stack.registry.replace(&upstream.to_string(), &registry.address().to_string());
    let door = door.set("registry.url", url).start();
    not_ready(&door, &["registry"]).await;
    let mut sender = door.connect().await;
    sender.exchange(&message("ADT^A01", "S1")).await.is("AR", "S1", Some("207"));
    registry.open().await.unwrap();
    door.ready().await;
    sender.exchange(&message("ADT^A01", "S1")).await.is("AA", "S1", None);
    door.close().await;
}

#[tokio::test]
async fn a_missing_topic_and_dead_letters_without_their_partitions_are_named() {
    let Some(door) = Door::without_topics("topics").await else { return };
    door.register().await;
    let rejected = door.topic("inbound.rejected.v1");
    let letters = door.topic("inbound.message.v1.dlq.ehr-ingest.normalize");
    // A larger installation: any number will do.
    let partitions = |name: &str| if name == InboundMessage::TOPIC { 5 } else { 1 };
    let others = TOPICS.iter().filter(|(name, _)| *name != "inbound.rejected.v1");
    let others: Vec<_> = others.map(|(name, _)| (door.topic(name), partitions(name))).collect();
    admin::create_topics(&door.kafka, &others).await.unwrap();
    let door = door.start();
    not_ready(&door, &["inbound.rejected.v1", "does not exist"]).await;
    let mut sender = door.connect().await;
    sender.exchange(&message("ADT^A01", "T1")).await.is("AR", "T1", Some("207"));
    admin::create_topics(&door.kafka, &[(rejected, 2)]).await.unwrap();
    // The door can store now; a letter of the fifth partition would have no place.
    not_ready(&door, &["dlq.ehr-ingest.normalize has 1 partitions", "inbound.message.v1 has 5", "equal"])
        .await;
    admin::delete_topics(&door.kafka, std::slice::from_ref(&letters)).await.unwrap();
    not_ready(&door, &["dlq.ehr-ingest.normalize", "does not exist"]).await;
    admin::create_topics(&door.kafka, &[(letters, 5)]).await.unwrap();
    door.ready().await;
    sender.exchange(&message("ADT^A01", "T1")).await.is("AA", "T1", None);
    door.close().await;
}

#[tokio::test]
async fn a_frame_without_end_is_cut_off_and_an_idle_connection_closed() {
    let Some(door) = Door::prepare("slow").await else { return };
    let door = door.set("feed.frame_timeout", "700ms").set("feed.idle_timeout", "3s").start();
    door.ready().await;
    let mut slow = door.connect().await;
    slow.write(b"\x0bMSH|^~\\&|EHR").await;
    let mut idle = door.connect().await;
    idle.exchange(&message("ADT^A01", "I1")).await.is("AA", "I1", None);
    let begun = Instant::now();
    // A byte now and then does not help.
    let mut closed = false;
    while !closed && begun.elapsed() < Duration::from_secs(10) {
        let mut byte = [0];
        let read = tokio::time::timeout(Duration::from_millis(200), slow.stream.read(&mut byte)).await;
        closed = matches!(read, Ok(Ok(0) | Err(_)));
        if !closed {
            slow.write(b"x").await;
        }
    }
    assert!(
        closed && begun.elapsed() < Duration::from_secs(3),
        "closed {closed} after {:?}",
        begun.elapsed()
    );
    assert_eq!(idle.reply().await, None, "closed when nothing came");
    door.close().await;
}

#[tokio::test]
async fn five_hundred_idle_connections_do_no_harm_and_one_too_many_is_closed() {
    let Some(door) = Door::prepare("idle").await else { return };
    let door = door.set("feed.max_connections", 502).start();
    door.ready().await;
    let mut idle = Vec::new();
    for _ in 0..500 {
        idle.push(door.connect().await);
    }
    let mut sender = door.connect().await;
    for number in 0..20 {
        let id = format!("N{number}");
        sender.exchange(&message("ADT^A01", &id)).await.is("AA", &id, None);
    }
    // Every one of them is still good.
    idle[0].exchange(&message("ADT^A01", "FIRST")).await.is("AA", "FIRST", None);
    idle[499].exchange(&message("ADT^A01", "LAST")).await.is("AA", "LAST", None);
    idle.push(door.connect().await);
    let mut one_too_many = door.connect().await;
    assert_eq!(one_too_many.reply().await, None);
    assert!((door.metric("waybill_connections_refused_total", "door").await - 1.0).abs() < 0.1);
    assert!((door.metric("waybill_connections{", "door").await - 502.0).abs() < 0.1);
    door.close().await;
}

#[tokio::test]
async fn a_stop_answers_what_was_read_and_exits_with_zero() {
    let Some(mut door) = Door::started("stop").await else { return };
    let mut senders = Vec::new();
    for number in 0..8 {
        let mut sender = door.connect().await;
        let wire: Vec<u8> =
            (0..20).flat_map(|at| framed(&message("ADT^A01", &format!("Z{number}-{at}")))).collect();
        sender.write(&wire).await;
        senders.push(sender);
    }
    assert_eq!(door.terminate().await, Some(0), "{}", door.log());
    let mut acknowledged = Vec::new();
    for sender in &mut senders {
        while let Some(reply) = sender.reply().await {
            assert_eq!(reply.code, "AA");
            acknowledged.push(reply.control_id);
        }
    }
    let stored = bodies(&door.records::<InboundMessage>().await);
    assert!(acknowledged.iter().all(|id| stored.contains_key(id)), "acknowledged is stored");
    assert_eq!(InboundMessage::TOPIC, "inbound.message.v1");
    door.close().await;
}

#[test]
fn an_unknown_key_is_bad_usage_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    std::fs::write(&file, "[patient_key]\nallow_development_secret = true\n[[feed]]\nlisten_on = \"x\"\n")
        .unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_ehr-ingest"))
        .arg("--check-config")
        .arg("--config")
        .arg(&file)
        .output();
    let output = run.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(64), "{said}");
    assert!(said.contains("listen_on"), "{said}");
}
