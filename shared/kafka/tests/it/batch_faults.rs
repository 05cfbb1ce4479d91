//! The batch loop on a cluster that misbehaves.

use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use waybill_contracts::Timestamp;

use crate::{
    batch_real::{Join, Running},
    support::{Mock, mock, numbered, producer, topic},
};

const TOTAL: usize = 4000;

async fn survives(fault: impl AsyncFnOnce(&Mock, &Running, &Join)) {
    let cluster = Mock::new(3).unwrap();
    cluster.create_topic("in", 4, 3).unwrap();
    let config = mock(&cluster);
    let from = topic(&config, "in");
    let source = producer(&config);
    source.send(numbered(&from, 0..TOTAL as u64 / 2, 100)).await.unwrap();
    let join = Join::default();
    let running = Running::batch(&config, &from, &join);
    running.shown.wait_for("ready").await;
    fault(&cluster, &running, &join).await;
    source.send(numbered(&from, TOTAL as u64 / 2..TOTAL as u64, 100)).await.unwrap();
    let written = Timestamp::now();
    join.wait_until(|table| table.counts.len() == TOTAL).await;
    join.wait_until(|table| table.watermark > Some(written)).await;
    running.stop().await;
    let table = join.table.lock();
    assert!(table.counts.values().all(|count| *count == 1), "each record is joined exactly once");
    assert_eq!(table.offsets.values().sum::<i64>(), TOTAL as i64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn survives_leaders_that_move() {
    survives(async |cluster, _, _| {
        (0..4).for_each(|one| cluster.partition_leader("in", one, Some(1 + (one + 1) % 3)).unwrap());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn survives_commits_that_fail() {
    survives(async |cluster, _, _| {
        let error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS;
        cluster.request_errors(RDKafkaApiKey::OffsetCommit, &[error; 10]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_watermark_is_unknown_while_no_broker_answers() {
    survives(async |cluster, running, join| {
        join.wait_until(|table| table.watermark.is_some()).await;
        (1..=3).for_each(|broker| cluster.broker_down(broker).unwrap());
        running.shown.wait_for("no broker answers").await;
        join.wait_until(|table| table.watermark.is_none()).await;
        (1..=3).for_each(|broker| cluster.broker_up(broker).unwrap());
        running.shown.wait_for("ready").await;
    })
    .await;
}
