//! Partitions that are ours, and the records of theirs that are in flight.

use std::{
    collections::HashMap,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread::Thread,
    time::Instant,
};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use waybill_telemetry::metrics::{Counter, Label, Metric, counter};

use crate::{InRecord, TopicPartition, consumer::LastRead, partitions::Partitions, watermark::Tracker};

/// One assignment of one partition, from when it came until it went; a partition that comes back is another one.
pub(super) struct Assignment {
    pub(super) at: TopicPartition,
    tracker: Mutex<Tracker>,
    pub(super) last: LastRead,
    /// Records of it that exist anywhere in the loop.
    in_flight: AtomicUsize,
    /// It is being called back: wait for nothing any more.
    pub(super) draining: CancellationToken,
    /// It is gone: stop what runs.
    pub(super) gone: CancellationToken,
    pub(super) consumed: Counter,
}

impl Assignment {
    fn new(at: TopicPartition, group: &str) -> Self {
        let consumed = counter(Metric::Consumed, &[Label::Topic(&at.topic), Label::Group(group)]);
        Self {
            at,
            tracker: Mutex::default(),
            last: LastRead::default(),
            in_flight: AtomicUsize::new(0),
            draining: CancellationToken::new(),
            gone: CancellationToken::new(),
            consumed,
        }
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Acquire)
    }

    pub(super) fn span(&self) -> usize {
        self.tracker.lock().span()
    }

    pub(super) fn oldest(&self) -> Option<Instant> {
        self.tracker.lock().oldest()
    }

    pub(super) fn committable(&self) -> Option<i64> {
        self.tracker.lock().committable()
    }

    /// It goes: nothing moves its offset any more.
    pub(super) fn close(&self) -> Option<i64> {
        self.draining.cancel();
        self.gone.cancel();
        let mut tracker = self.tracker.lock();
        tracker.close();
        tracker.committable()
    }
}

/// The partitions that are ours.
#[derive(Default)]
pub(super) struct Assignments {
    ours: Partitions<Arc<Assignment>>,
    /// What was last given out for storing.
    given: HashMap<TopicPartition, i64>,
}

impl Assignments {
    pub(super) fn assign(&mut self, at: &TopicPartition, group: &str) {
        self.ours.insert(at, Arc::new(Assignment::new(at.clone(), group)));
    }

    pub(super) fn get(&self, topic: &str, partition: i32) -> Option<&Arc<Assignment>> {
        self.ours.get(topic, partition)
    }

    pub(super) fn remove(&mut self, at: &TopicPartition) {
        self.given.remove(at);
        self.ours.remove(at);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Assignment>> {
        self.ours.values()
    }

    /// Offsets that moved since the last call.
    pub(super) fn moved(&mut self) -> Vec<(TopicPartition, i64)> {
        let now: Vec<_> = self
            .iter()
            .filter_map(|assignment| Some((assignment.at.clone(), assignment.committable()?)))
            .collect();
        now.into_iter()
            .filter(|(at, offset)| self.given.insert(at.clone(), *offset) != Some(*offset))
            .collect()
    }
}

/// Bounds what is in flight over all partitions, and wakes the polling thread when there is room again.
#[derive(Default)]
pub(super) struct Gate {
    records: AtomicUsize,
    bytes: AtomicUsize,
    poller: OnceLock<Thread>,
}

impl Gate {
    pub(super) fn records(&self) -> usize {
        self.records.load(Ordering::Acquire)
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Acquire)
    }

    /// From the polling thread, which waits parked.
    pub(super) fn adopt(&self) {
        self.poller.get_or_init(std::thread::current);
    }
}

/// A record in flight. Wherever it is dropped it no longer counts; only [`done`](Self::done) moves the offset.
pub(super) struct Work {
    pub(super) record: InRecord,
    pub(super) assignment: Arc<Assignment>,
    gate: Arc<Gate>,
}

impl Work {
    /// Tracks a record that was just read.
    pub(super) fn new(record: InRecord, assignment: &Arc<Assignment>, gate: &Arc<Gate>) -> Self {
        // Where the partition went back, the record is worked on and moves nothing.
        assignment.tracker.lock().track(record.offset, Instant::now());
        assignment.in_flight.fetch_add(1, Ordering::AcqRel);
        assignment.consumed.increment(1);
        gate.records.fetch_add(1, Ordering::AcqRel);
        gate.bytes.fetch_add(record.size(), Ordering::AcqRel);
        Self { record, assignment: assignment.clone(), gate: gate.clone() }
    }

    /// Its outputs, or its dead letter, are acknowledged.
    pub(super) fn done(self) {
        self.assignment.tracker.lock().ack(self.record.offset);
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.gate.bytes.fetch_sub(self.record.size(), Ordering::AcqRel);
        self.gate.records.fetch_sub(1, Ordering::AcqRel);
        self.assignment.in_flight.fetch_sub(1, Ordering::AcqRel);
        if let Some(poller) = self.gate.poller.get() {
            poller.unpark();
        }
    }
}
