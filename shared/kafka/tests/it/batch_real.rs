//! The batch loop against the real broker.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{sync::Notify, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;
use waybill_contracts::{Timestamp, TopicName, reason};
use waybill_delivery::{Backoff, ErrorClass};
use waybill_kafka::{
    Batch, BatchHandler, BatchOptions, HandlerError, KafkaConfig, KafkaError, TopicPartition, read_all,
    run_batch,
};

use crate::support::{PATIENCE, Shown, clean_up, create, number, numbered, producer, real, topic};

/// What a database would hold: how often each record was joined, and the offsets.
#[derive(Default)]
pub(crate) struct Table {
    pub(crate) counts: BTreeMap<u64, u32>,
    pub(crate) offsets: BTreeMap<TopicPartition, i64>,
    pub(crate) watermark: Option<Timestamp>,
    pub(crate) fenced: u32,
    pub(crate) failures: u32,
    /// Commits that succeed and whose answer is lost.
    pub(crate) lost_answers: u32,
}

/// A handler over such a table; "commits" state and offsets together, and checks `previous` as SQL would.
#[derive(Clone, Default)]
pub(crate) struct Join {
    pub(crate) table: Arc<Mutex<Table>>,
    pub(crate) changed: Arc<Notify>,
}

impl Join {
    /// Waits until the table is as wished.
    pub(crate) async fn wait_until(&self, wish: impl Fn(&Table) -> bool) {
        let waited = timeout(PATIENCE, async {
            loop {
                let changed = self.changed.notified();
                if wish(&self.table.lock()) {
                    return;
                }
                changed.await;
            }
        });
        let result = waited.await;
        let table = self.table.lock();
        assert!(result.is_ok(), "{} joined, watermark {:?}", table.counts.len(), table.watermark);
    }
}

impl BatchHandler for Join {
    async fn stored_offsets(
        &mut self,
        assigned: &[TopicPartition],
    ) -> Result<Vec<(TopicPartition, Option<i64>)>, HandlerError> {
        let table = self.table.lock();
        Ok(assigned.iter().map(|at| (at.clone(), table.offsets.get(at).copied())).collect())
    }

    async fn apply(&mut self, batch: Batch) -> Result<(), HandlerError> {
        let mut table = self.table.lock();
        if table.failures > 0 {
            table.failures -= 1;
            return Err(HandlerError::new(
                ErrorClass::Unavailable,
                reason::BROKER_UNAVAILABLE,
                "no database",
            ));
        }
        if batch.positions.iter().any(|at| table.offsets.get(&at.partition).copied() != at.previous) {
            table.fenced += 1;
            return Err(HandlerError::new(
                ErrorClass::Unavailable,
                reason::BROKER_UNAVAILABLE,
                "another owner",
            ));
        }
        for position in batch.positions {
            table.offsets.insert(position.partition, position.next);
        }
        for record in &batch.records {
            *table.counts.entry(number(record)).or_default() += 1;
        }
        let lost = table.lost_answers > 0;
        table.lost_answers = table.lost_answers.saturating_sub(1);
        drop(table);
        self.changed.notify_waiters();
        if lost {
            return Err(HandlerError::new(
                ErrorClass::Unavailable,
                reason::BROKER_UNAVAILABLE,
                "connection lost",
            ));
        }
        Ok(())
    }

    async fn tick(&mut self, watermark: Option<Timestamp>) -> Result<(), HandlerError> {
        self.table.lock().watermark = watermark;
        self.changed.notify_waiters();
        Ok(())
    }

    async fn revoked(&mut self, _: &[TopicPartition]) {}
}

/// A batch loop that runs.
pub(crate) struct Running {
    pub(crate) shown: Arc<Shown>,
    stop: CancellationToken,
    task: JoinHandle<Result<(), KafkaError>>,
}

impl Running {
    pub(crate) fn batch(config: &KafkaConfig, from: &TopicName, join: &Join) -> Self {
        let (shown, stop) = (Shown::new(), CancellationToken::new());
        let mut options = BatchOptions::new("joiner", vec![from.clone()]);
        options.max_records = 500;
        options.tick = Duration::from_millis(200);
        options.backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(1));
        let (config, join, probe, token) = (config.clone(), join.clone(), shown.clone(), stop.clone());
        let task = tokio::spawn(async move { run_batch(&config, options, join, probe, token).await });
        Self { shown, stop, task }
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        timeout(PATIENCE, self.task).await.expect("it stops in time").unwrap().unwrap();
    }

    pub(crate) fn kill(self) {
        self.task.abort();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn goes_on_at_the_stored_offsets_and_joins_each_record_once() {
    let Some(config) = real() else { return };
    let from = topic(&config, "in.v1");
    create(&config, &[(&from, 3)]).await;
    let source = producer(&config);
    source.send(numbered(&from, 0..5000, 50)).await.unwrap();
    let join = Join::default();
    join.table.lock().failures = 3;
    let first = Running::batch(&config, &from, &join);
    join.wait_until(|table| table.counts.len() > 1000).await;
    first.kill();
    let second = Running::batch(&config, &from, &join);
    second.shown.wait_for("ready").await;
    source.send(numbered(&from, 5000..6000, 50)).await.unwrap();
    join.wait_until(|table| table.counts.len() == 6000).await;
    let third = Running::batch(&config, &from, &join);
    third.shown.wait_for("ready").await;
    source.send(numbered(&from, 6000..7000, 50)).await.unwrap();
    join.wait_until(|table| table.counts.len() == 7000).await;
    second.stop().await;
    source.send(numbered(&from, 7000..8000, 50)).await.unwrap();
    join.wait_until(|table| table.counts.len() == 8000).await;
    third.stop().await;
    let written = read_all(&config, &from).await.unwrap();
    assert_eq!(written.len(), 8000, "the topic itself holds no repeats");
    let twice: Vec<_> = {
        let table = join.table.lock();
        eprintln!("fenced {} times", table.fenced);
        let twice = written.iter().filter(|record| table.counts[&number(record)] != 1);
        twice.map(|record| (record.partition, record.offset, table.counts[&number(record)])).collect()
    };
    assert!(twice.is_empty(), "not joined once (partition, offset, times): {twice:?}");
    clean_up(&config).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_watermark_follows_the_clock_once_everything_is_read() {
    let Some(config) = real() else { return };
    let from = topic(&config, "in.v1");
    create(&config, &[(&from, 3)]).await;
    let join = Join::default();
    let running = Running::batch(&config, &from, &join);
    let begun = Timestamp::now();
    join.wait_until(|table| table.watermark > Some(begun)).await;
    producer(&config).send(numbered(&from, 0..100, 10)).await.unwrap();
    let written = Timestamp::now();
    join.wait_until(|table| table.watermark > Some(written)).await;
    assert_eq!(join.table.lock().counts.len(), 100, "nothing is passed unread");
    // While the handler fails, records are read and not applied: the watermark stays before them.
    join.table.lock().failures = u32::MAX;
    let before = Timestamp::now();
    producer(&config).send(numbered(&from, 100..200, 10)).await.unwrap();
    running.shown.wait_for("no database").await;
    let ticks = async {
        for _ in 0..10 {
            join.changed.notified().await;
        }
    };
    timeout(PATIENCE, ticks).await.unwrap();
    let stuck = join.table.lock().watermark.unwrap();
    assert!(stuck.since(before) < Duration::from_secs(1), "{stuck} is far behind {before}");
    join.table.lock().failures = 0;
    join.wait_until(|table| {
        table.counts.len() == 200 && table.watermark > Some(before.saturating_add(Duration::from_secs(2)))
    })
    .await;
    running.shown.wait_for("ready").await;
    running.stop().await;
    clean_up(&config).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_away_for_long_makes_no_repeats_and_no_gaps() {
    let Some(config) = real() else { return };
    let from = topic(&config, "in.v1");
    create(&config, &[(&from, 3)]).await;
    let source = producer(&config);
    source.send(numbered(&from, 0..9000, 50)).await.unwrap();
    let join = Join::default();
    join.table.lock().failures = u32::MAX;
    let running = Running::batch(&config, &from, &join);
    running.shown.wait_for("no database").await;
    // Longer than the five seconds after which the partitions are paused.
    let early = timeout(Duration::from_secs(7), join.wait_until(|table| !table.counts.is_empty())).await;
    assert!(early.is_err(), "joined without a database");
    join.table.lock().failures = 0;
    join.wait_until(|table| table.counts.len() == 9000).await;
    running.stop().await;
    assert!(join.table.lock().counts.values().all(|count| *count == 1), "each record is joined exactly once");
    clean_up(&config).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_was_lost_is_not_applied_again() {
    let Some(config) = real() else { return };
    let from = topic(&config, "in.v1");
    create(&config, &[(&from, 3)]).await;
    let source = producer(&config);
    let join = Join::default();
    join.table.lock().lost_answers = 2;
    let running = Running::batch(&config, &from, &join);
    source.send(numbered(&from, 0..3000, 50)).await.unwrap();
    join.wait_until(|table| table.counts.len() == 3000).await;
    // Nothing comes after the last batch, and its answer is lost too.
    join.table.lock().lost_answers = 1;
    source.send(numbered(&from, 3000..3001, 50)).await.unwrap();
    let written = Timestamp::now();
    join.wait_until(|table| table.counts.len() == 3001 && table.watermark > Some(written)).await;
    running.shown.wait_for("ready").await;
    running.stop().await;
    assert!(join.table.lock().counts.values().all(|count| *count == 1), "each record is joined exactly once");
    clean_up(&config).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_was_overtaken_goes_on_where_the_state_stands() {
    let Some(config) = real() else { return };
    let from = topic(&config, "in.v1");
    create(&config, &[(&from, 1)]).await;
    let source = producer(&config);
    source.send(numbered(&from, 0..1000, 50)).await.unwrap();
    let join = Join::default();
    join.table.lock().failures = u32::MAX;
    let running = Running::batch(&config, &from, &join);
    running.shown.wait_for("no database").await;
    {
        // The former owner's last transaction: 700 records, committed after we were told where to begin.
        let mut table = join.table.lock();
        table.offsets.insert(TopicPartition::new(from.as_str(), 0), 700);
        table.counts.extend((0..700).map(|n| (n, 1)));
        table.failures = 0;
    }
    join.wait_until(|table| table.counts.len() == 1000).await;
    running.stop().await;
    assert!(join.table.lock().counts.values().all(|count| *count == 1), "each record is joined exactly once");
    clean_up(&config).await;
}
