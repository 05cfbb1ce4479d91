//! The keyed loop on a cluster that misbehaves.

use std::sync::Arc;

use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use tokio::sync::watch;
use waybill_kafka::read_all;

use crate::{
    keyed_pressure::{Held, State},
    support::{Copy, Mock, Running, check, mock, numbered, producer, topic, wait_for_all},
};

const TOTAL: u64 = 4000;

fn cluster() -> Mock {
    let cluster = Mock::new(3).unwrap();
    cluster.create_topic("in", 4, 3).unwrap();
    cluster.create_topic("out", 4, 3).unwrap();
    cluster.create_topic("in.dlq.copier", 4, 3).unwrap();
    cluster
}

/// Writes, copies, lets `fault` happen in the middle and checks that everything arrives.
async fn survives(fault: impl AsyncFnOnce(&Mock, &Running)) {
    let cluster = cluster();
    let config = mock(&cluster);
    let (from, to) = (topic(&config, "in"), topic(&config, "out"));
    let source = producer(&config);
    source.send(numbered(&from, 0..TOTAL / 2, 100)).await.unwrap();
    let running = Running::keyed(&config, &from, Arc::new(Copy::to(&to)));
    running.shown.wait_for("ready").await;
    fault(&cluster, &running).await;
    source.send(numbered(&from, TOTAL / 2..TOTAL, 100)).await.unwrap();
    wait_for_all(&config, &to, TOTAL).await;
    running.stop().await;
    let records = read_all(&config, &to).await.unwrap();
    let letters = read_all(&config, &from.dead_letter("copier")).await.unwrap();
    assert!(letters.is_empty(), "a broker's fault is never a record's");
    check(&records, TOTAL);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn survives_leaders_that_move() {
    survives(async |cluster, _| {
        for partition in 0..4 {
            cluster.partition_leader("in", partition, Some(1 + (partition + 1) % 3)).unwrap();
            cluster.partition_leader("out", partition, Some(1 + (partition + 2) % 3)).unwrap();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn survives_not_enough_replicas() {
    survives(async |cluster, _| {
        let error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS;
        cluster.request_errors(RDKafkaApiKey::Produce, &[error; 8]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn survives_commits_that_fail() {
    survives(async |cluster, _| {
        let errors = [
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE,
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN,
        ];
        cluster.request_errors(RDKafkaApiKey::OffsetCommit, &errors);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn survives_a_cluster_that_is_gone_for_a_while() {
    survives(async |cluster, running| {
        (1..=3).for_each(|broker| cluster.broker_down(broker).unwrap());
        running.shown.wait_for("no broker answers").await;
        (1..=3).for_each(|broker| cluster.broker_up(broker).unwrap());
        running.shown.wait_for("ready").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_committed_comes_again_after_a_crash() {
    let cluster = cluster();
    let config = mock(&cluster);
    let (from, to) = (topic(&config, "in"), topic(&config, "out"));
    let source = producer(&config);
    source.send(numbered(&from, 0..TOTAL, 100)).await.unwrap();
    let crashing = Running::keyed(&config, &from, Arc::new(Copy::to(&to)));
    crashing.shown.wait_for("ready").await;
    crashing.kill();
    let running = Running::keyed(&config, &from, Arc::new(Copy::to(&to)));
    let records = wait_for_all(&config, &to, TOTAL).await;
    running.stop().await;
    check(&records, TOTAL);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outputs_that_were_not_acknowledged_are_sent_again_in_order() {
    let cluster = cluster();
    let config = mock(&cluster);
    let (from, to) = (topic(&config, "in"), topic(&config, "out"));
    producer(&config).send(numbered(&from, 0..1000, 10)).await.unwrap();
    let (tell, state) = watch::channel(State::Hold);
    let handler = Held::new(&to, state, true);
    let running = Running::keyed(&config, &from, handler.clone());
    running.shown.wait_for("ready").await;
    running.producer_shown.wait_for("ready").await;
    handler.started.subscribe().wait_for(|started| *started >= 5).await.unwrap();
    (1..=3).for_each(|broker| cluster.broker_down(broker).unwrap());
    running.shown.wait_for("no broker answers").await;
    tell.send_replace(State::Go);
    // Outputs time out now, and only what the lanes send again can arrive.
    running.producer_shown.wait_for("no broker acknowledges records").await;
    (1..=3).for_each(|broker| cluster.broker_up(broker).unwrap());
    let records = wait_for_all(&config, &to, 1000).await;
    running.stop().await;
    check(&records, 1000);
}
