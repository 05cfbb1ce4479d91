//! The batch loop as the polling thread sees it, and the records between the thread and the driver.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use rdkafka::{Message, message::BorrowedMessage};
use tokio::sync::{Notify, mpsc::UnboundedSender};
use tokio_util::sync::CancellationToken;
use waybill_contracts::Timestamp;
use waybill_telemetry::metrics::{Counter, Gauge, Label, Metric, counter, gauge_handle};

use super::ends::{self, Progress};
use crate::{
    Batch, BatchOptions, InRecord, Position, TopicPartition,
    consumer::{LastRead, Member, Order, REVOKE_DRAIN, Start},
    partitions::Partitions,
    probe::Health,
};

/// Where the handler's state stands, by partition.
pub(super) type Stored = Vec<(TopicPartition, Option<i64>)>;

/// What the polling thread asks the driver, and waits for.
pub(super) enum Ask {
    /// Where to begin; `None` when the loop is ending.
    Assigned { partitions: Vec<TopicPartition>, reply: mpsc::SyncSender<Option<Stored>> },
    /// To forget what was at hand of them.
    Revoked { partitions: Vec<TopicPartition>, reply: mpsc::SyncSender<()> },
}

/// One assignment of one partition.
pub(super) struct Owned {
    at: TopicPartition,
    gone: AtomicBool,
    state: Mutex<State>,
    last: LastRead,
    consumed: Counter,
}

struct State {
    /// What the handler has stored.
    stored: Option<i64>,
    /// Moved since it was last told to Kafka.
    moved: bool,
    /// Records below turned out to be applied already.
    skip_below: Option<i64>,
    progress: Progress,
}

impl Owned {
    pub(super) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// Whether a record that was read is to be applied.
    fn accepts(&self, offset: i64, timestamp: Timestamp) -> bool {
        let order = self.last.read(offset, timestamp);
        let state = self.state.lock();
        match order {
            Order::Repeat => return false,
            Order::Back => {
                tracing::error!(partition = %self.at, offset, "the partition went back; it is read again");
            }
            Order::Next => {}
        }
        // Applied by an earlier owner whose transaction ended after we were told where to begin.
        state.skip_below.is_none_or(|below| offset >= below)
    }
}

/// A record that waits to be applied.
pub(super) struct Item {
    pub(super) owned: Arc<Owned>,
    record: InRecord,
    read: Instant,
}

#[derive(Default)]
struct Queue {
    items: VecDeque<Item>,
    bytes: usize,
}

/// The polling thread's end of the loop.
pub(super) struct BatchMember {
    asks: UnboundedSender<Ask>,
    group: String,
    max_records: usize,
    max_bytes: usize,
    owned: Mutex<Partitions<Arc<Owned>>>,
    queue: Mutex<Queue>,
    /// The queue got its first record, or enough for a batch.
    filled: Notify,
    shutdown: CancellationToken,
    busy: AtomicBool,
    health: Arc<Health>,
    in_flight: Gauge,
    oldest: Gauge,
    handled: Counter,
}

impl BatchMember {
    pub(super) fn new(
        asks: UnboundedSender<Ask>,
        options: &BatchOptions,
        health: Arc<Health>,
        shutdown: CancellationToken,
    ) -> Self {
        let group = Label::Group(&options.group);
        Self {
            asks,
            group: options.group.clone(),
            max_records: options.max_records.max(1),
            max_bytes: options.max_bytes.max(1),
            owned: Mutex::default(),
            queue: Mutex::default(),
            filled: Notify::new(),
            shutdown,
            busy: AtomicBool::new(false),
            health,
            in_flight: gauge_handle(Metric::InFlight, &[group]),
            oldest: gauge_handle(Metric::OldestInFlightSeconds, &[group]),
            handled: counter(Metric::Handled, &[group, Label::Outcome("ok")]),
        }
    }

    /// Waits until the queue holds a batch, or its first record has waited `max_wait`.
    pub(super) async fn batch_is_due(&self, max_wait: Duration) {
        loop {
            let filled = self.filled.notified();
            let wait = {
                let queue = self.queue.lock();
                if queue.items.len() >= self.max_records || queue.bytes >= self.max_bytes {
                    return;
                }
                queue.items.front().map(|first| max_wait.saturating_sub(first.read.elapsed()))
            };
            match wait {
                Some(Duration::ZERO) => return,
                Some(wait) => drop(tokio::time::timeout(wait, filled).await),
                None => filled.await,
            }
        }
    }

    /// Takes the next batch off the queue; the loop is busy until it is applied.
    pub(super) fn next_batch(&self) -> Vec<Item> {
        let mut queue = self.queue.lock();
        let mut batch = Vec::new();
        let mut bytes = 0;
        while batch.len() < self.max_records && bytes < self.max_bytes {
            let Some(item) = queue.items.pop_front() else { break };
            bytes += item.record.size();
            batch.push(item);
        }
        queue.bytes -= bytes;
        self.busy.store(!batch.is_empty(), Ordering::Release);
        batch
    }

    /// The batch is applied and its positions are stored.
    pub(super) fn applied(&self, items: &[Item], positions: &[Position]) {
        let mut last: HashMap<&TopicPartition, (&Owned, Timestamp)> = HashMap::new();
        for item in items {
            last.insert(&item.owned.at, (&item.owned, item.record.timestamp));
        }
        for position in positions {
            let Some((owned, timestamp)) = last.get(&position.partition) else { continue };
            let mut state = owned.state.lock();
            state.stored = Some(position.next);
            state.moved = true;
            state.progress.applied(position.next, *timestamp);
        }
        self.handled.increment(items.len() as u64);
        self.idle();
    }

    /// The state stands at `stored`: leaves out of the batch at hand, and of the queue, what is below.
    pub(super) fn stored(&self, pending: &mut Vec<Item>, stored: &Stored) {
        for (at, offset) in stored {
            let Some(owned) = self.owned.lock().get(&at.topic, at.partition).cloned() else { continue };
            let mut state = owned.state.lock();
            if *offset > state.stored {
                tracing::warn!(partition = %at, stored = ?offset, "the state is ahead; what it holds is left out");
                state.stored = *offset;
                state.moved = true;
                // What is still on its way to us lies below as well, perhaps.
                state.skip_below = *offset;
                state.progress.skip_to(*offset);
            } else if *offset < state.stored {
                // Applying what we have would leave a gap, so the batch goes on failing until the partition is assigned anew.
                tracing::error!(partition = %at, stored = ?offset, known = ?state.stored, "the state went back");
            }
        }
        let is_new =
            |item: &Item| item.owned.state.lock().stored.is_none_or(|stored| item.record.offset >= stored);
        pending.retain(is_new);
        let mut queue = self.queue.lock();
        queue.items.retain(is_new);
        queue.bytes = queue.items.iter().map(|item| item.record.size()).sum();
    }

    /// Nothing is at hand.
    pub(super) fn idle(&self) {
        self.busy.store(false, Ordering::Release);
    }

    pub(super) fn watermark(&self) -> Option<Timestamp> {
        ends::watermark(self.owned.lock().values().map(|owned| owned.state.lock().progress.watermark()))
    }

    /// Asks the driver and waits, beating; `None` when it is too slow or gone.
    fn ask<T>(&self, ask: impl FnOnce(mpsc::SyncSender<T>) -> Ask, within: Option<Duration>) -> Option<T> {
        let (reply, answer) = mpsc::sync_channel(1);
        self.asks.send(ask(reply)).ok()?;
        let begun = Instant::now();
        loop {
            match answer.recv_timeout(Duration::from_millis(100)) {
                Ok(answer) => return Some(answer),
                Err(mpsc::RecvTimeoutError::Disconnected) => return None,
                Err(mpsc::RecvTimeoutError::Timeout) => self.health.beat(),
            }
            if within.is_some_and(|within| begun.elapsed() >= within) {
                return None;
            }
        }
    }
}

impl Member for BatchMember {
    fn assigned(&self, partitions: &[TopicPartition]) -> Start {
        if partitions.is_empty() {
            return Start::Committed;
        }
        let asked = partitions.to_vec();
        let offsets = self.ask(|reply| Ask::Assigned { partitions: asked, reply }, None);
        // Without an answer the loop is ending: nothing is owned then, so whatever is read is dropped.
        let Some(offsets) = offsets.flatten() else { return Start::Committed };
        let mut starts = Vec::new();
        for at in partitions {
            let stored = offsets.iter().find(|(of, _)| of == at).and_then(|(_, stored)| *stored);
            let consumed = counter(Metric::Consumed, &[Label::Topic(&at.topic), Label::Group(&self.group)]);
            let state =
                State { stored, moved: false, skip_below: None, progress: Progress::starting(stored) };
            let owned = Owned {
                at: at.clone(),
                gone: AtomicBool::new(false),
                state: Mutex::new(state),
                last: LastRead::default(),
                consumed,
            };
            self.owned.lock().insert(at, Arc::new(owned));
            starts.push((at.clone(), stored));
        }
        Start::At(starts)
    }

    fn revoked(&self, partitions: &[TopicPartition], lost: bool) -> Vec<(TopicPartition, i64)> {
        let going: Vec<Arc<Owned>> = {
            let mut owned = self.owned.lock();
            partitions.iter().filter_map(|at| owned.remove(at)).collect()
        };
        if going.is_empty() {
            return Vec::new();
        }
        for owned in &going {
            owned.gone.store(true, Ordering::Release);
        }
        let mut queue = self.queue.lock();
        queue.items.retain(|item| !item.owned.is_gone());
        queue.bytes = queue.items.iter().map(|item| item.record.size()).sum();
        drop(queue);
        let asked: Vec<_> = going.iter().map(|owned| owned.at.clone()).collect();
        if self.ask(|reply| Ask::Revoked { partitions: asked, reply }, Some(REVOKE_DRAIN)).is_none()
            && !self.shutdown.is_cancelled()
        {
            tracing::warn!("a batch was still running when its partitions were handed over");
        }
        let stored = |owned: Arc<Owned>| Some((owned.at.clone(), owned.state.lock().stored?));
        if lost { Vec::new() } else { going.into_iter().filter_map(stored).collect() }
    }

    fn has_room(&self) -> bool {
        let queue = self.queue.lock();
        // One batch is applied while the next is read.
        queue.items.len() < 2 * self.max_records && queue.bytes < 2 * self.max_bytes
    }

    fn take(&self, message: &BorrowedMessage<'_>) {
        let owned = self.owned.lock();
        let Some(owned) = owned.get(message.topic(), message.partition()).cloned() else { return };
        let record = InRecord::of(owned.at.topic.clone(), message);
        if !owned.accepts(record.offset, record.timestamp) {
            return;
        }
        owned.consumed.increment(1);
        let mut queue = self.queue.lock();
        queue.bytes += record.size();
        queue.items.push_back(Item { owned, record, read: Instant::now() });
        if queue.items.len() == 1 || queue.items.len() == self.max_records || queue.bytes >= self.max_bytes {
            drop(queue);
            self.filled.notify_one();
        }
    }

    fn dispatch(&self) {}

    fn moved(&self) -> Vec<(TopicPartition, i64)> {
        let queue = self.queue.lock();
        self.in_flight.set(queue.items.len() as f64);
        self.oldest.set(queue.items.front().map_or(0.0, |first| first.read.elapsed().as_secs_f64()));
        drop(queue);
        let moved = |owned: &Arc<Owned>| {
            let mut state = owned.state.lock();
            let moved = std::mem::take(&mut state.moved);
            state.stored.filter(|_| moved).map(|stored| (owned.at.clone(), stored))
        };
        self.owned.lock().values().filter_map(moved).collect()
    }

    fn ends(&self, look: &mut dyn FnMut(&TopicPartition) -> Option<(i64, i64)>) {
        let owned: Vec<Arc<Owned>> = self.owned.lock().values().cloned().collect();
        let mut silent = false;
        for owned in owned {
            // The clock is read first: what was written before that moment lies below the end that is named after it.
            let asked = Timestamp::now();
            // One that does not answer in time is enough; the others are unknown with it.
            let answer = if silent { None } else { look(&owned.at) };
            silent |= answer.is_none();
            owned.state.lock().progress.end(answer, asked);
        }
    }

    fn drain(&self) {
        // What was not begun stays for the next owner.
        let mut queue = self.queue.lock();
        queue.items.clear();
        queue.bytes = 0;
    }

    fn is_idle(&self) -> bool {
        !self.busy.load(Ordering::Acquire)
    }
}

/// Partitions of the records at hand.
pub(super) fn partitions(items: &[Item]) -> Vec<TopicPartition> {
    let mut partitions: Vec<_> = items.iter().map(|item| item.owned.at.clone()).collect();
    partitions.sort();
    partitions.dedup();
    partitions
}

/// The records at hand as the handler sees them.
pub(super) fn batch(items: &[Item]) -> Batch {
    let mut positions: Vec<Position> = Vec::new();
    let mut index: HashMap<*const Owned, usize> = HashMap::new();
    for item in items {
        let next = item.record.offset + 1;
        let at = *index.entry(Arc::as_ptr(&item.owned)).or_insert_with(|| {
            let previous = item.owned.state.lock().stored;
            positions.push(Position { partition: item.owned.at.clone(), previous, next });
            positions.len() - 1
        });
        positions[at].next = next;
    }
    Batch { records: items.iter().map(|item| item.record.clone()).collect(), positions }
}
