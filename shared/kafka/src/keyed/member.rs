//! The keyed loop as the polling thread sees it.

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher},
    mem,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use rdkafka::{Message, message::BorrowedMessage};
use tokio::sync::{Notify, mpsc::UnboundedSender};
use waybill_telemetry::metrics::{Gauge, Label, Metric, gauge_handle};

use super::assignment::{Assignment, Assignments, Gate, Work};
use crate::{
    InRecord, KeyedOptions, TopicPartition,
    consumer::{Member, Order, REVOKE_DRAIN, Start},
};

/// The polling thread's end of the loop.
pub(super) struct KeyedMember {
    /// One channel per lane; unbounded, because [`Gate`] bounds all of them together.
    lanes: Vec<UnboundedSender<Vec<Work>>>,
    group: String,
    max_in_flight: usize,
    max_in_flight_bytes: usize,
    max_span: usize,
    gate: Arc<Gate>,
    assignments: Mutex<Assignments>,
    /// Taken and not passed on yet, by lane.
    taken: Mutex<Vec<Vec<Work>>>,
    stuck: Mutex<HashSet<TopicPartition>>,
    rebalanced: Arc<Notify>,
    draining: AtomicBool,
    in_flight: Gauge,
    oldest: Gauge,
}

impl KeyedMember {
    pub(super) fn new(
        lanes: Vec<UnboundedSender<Vec<Work>>>,
        gate: Arc<Gate>,
        options: &KeyedOptions,
        rebalanced: Arc<Notify>,
    ) -> Self {
        let taken = Mutex::new(lanes.iter().map(|_| Vec::new()).collect());
        Self {
            lanes,
            group: options.group.clone(),
            max_in_flight: options.max_in_flight.max(1),
            max_in_flight_bytes: options.max_in_flight_bytes.max(1),
            max_span: options.max_span.max(2),
            gate,
            assignments: Mutex::default(),
            taken,
            stuck: Mutex::default(),
            rebalanced,
            draining: AtomicBool::new(false),
            in_flight: gauge_handle(Metric::InFlight, &[Label::Group(&options.group)]),
            oldest: gauge_handle(Metric::OldestInFlightSeconds, &[Label::Group(&options.group)]),
        }
    }

    fn lane(&self, record: &InRecord) -> usize {
        let mut hasher = DefaultHasher::new();
        // Without a key the whole partition is one order.
        (&record.topic, record.partition, record.key()).hash(&mut hasher);
        (hasher.finish() % self.lanes.len() as u64) as usize
    }

    fn show(&self, assignments: &Assignments) {
        self.in_flight.set(self.gate.records() as f64);
        let oldest = assignments.iter().filter_map(|assignment| assignment.oldest()).min();
        self.oldest.set(oldest.map_or(0.0, |at| at.elapsed().as_secs_f64()));
    }
}

impl Member for KeyedMember {
    fn assigned(&self, partitions: &[TopicPartition]) -> Start {
        self.gate.adopt();
        let mut assignments = self.assignments.lock();
        for at in partitions {
            assignments.assign(at, &self.group);
        }
        Start::Committed
    }

    fn revoked(&self, partitions: &[TopicPartition], lost: bool) -> Vec<(TopicPartition, i64)> {
        let going: Vec<Arc<Assignment>> = {
            let assignments = self.assignments.lock();
            partitions.iter().filter_map(|at| assignments.get(&at.topic, at.partition).cloned()).collect()
        };
        let is_going = |work: &Work| going.iter().any(|assignment| Arc::ptr_eq(assignment, &work.assignment));
        self.taken.lock().iter_mut().for_each(|lane| lane.retain(|work| !is_going(work)));
        for assignment in &going {
            assignment.draining.cancel();
            if lost {
                assignment.gone.cancel();
            }
        }
        self.rebalanced.notify_waiters();
        let begun = Instant::now();
        while !lost
            && begun.elapsed() < REVOKE_DRAIN
            && going.iter().any(|assignment| assignment.in_flight() > 0)
        {
            thread::park_timeout(Duration::from_millis(10));
        }
        let mut offsets = Vec::new();
        for assignment in &going {
            let offset = assignment.close();
            offsets.extend(offset.filter(|_| !lost).map(|offset| (assignment.at.clone(), offset)));
            self.assignments.lock().remove(&assignment.at);
            self.stuck.lock().remove(&assignment.at);
        }
        self.rebalanced.notify_waiters();
        offsets
    }

    fn has_room(&self) -> bool {
        self.gate.records() < self.max_in_flight && self.gate.bytes() < self.max_in_flight_bytes
    }

    fn take(&self, message: &BorrowedMessage<'_>) {
        let assignments = self.assignments.lock();
        // Without an assignment the record is not ours any more.
        let Some(assignment) = assignments.get(message.topic(), message.partition()) else { return };
        let record = InRecord::of(assignment.at.topic.clone(), message);
        match assignment.last.read(record.offset, record.timestamp) {
            Order::Repeat => return,
            Order::Back => {
                tracing::error!(partition = %assignment.at, record.offset, "the partition went back; it is read again");
            }
            Order::Next => {}
        }
        let lane = self.lane(&record);
        let work = Work::new(record, assignment, &self.gate);
        drop(assignments);
        self.taken.lock()[lane].push(work);
    }

    fn dispatch(&self) {
        let mut taken = self.taken.lock();
        for (lane, works) in self.lanes.iter().zip(taken.iter_mut()) {
            if !works.is_empty() {
                // Fails when the lane has died; the loop is ending then.
                let _ = lane.send(mem::take(works));
            }
        }
    }

    fn moved(&self) -> Vec<(TopicPartition, i64)> {
        let mut assignments = self.assignments.lock();
        self.show(&assignments);
        assignments.moved()
    }

    fn stuck(&self) -> Vec<TopicPartition> {
        let mut stuck = self.stuck.lock();
        for assignment in self.assignments.lock().iter() {
            let span = assignment.span();
            if span >= self.max_span {
                stuck.insert(assignment.at.clone());
            } else if span <= self.max_span / 2 {
                stuck.remove(&assignment.at);
            }
        }
        stuck.iter().cloned().collect()
    }

    fn drain(&self) {
        self.dispatch();
        if !self.draining.swap(true, Ordering::AcqRel) {
            self.assignments.lock().iter().for_each(|assignment| assignment.draining.cancel());
            self.rebalanced.notify_waiters();
        }
    }

    fn is_idle(&self) -> bool {
        self.gate.records() == 0
    }
}
