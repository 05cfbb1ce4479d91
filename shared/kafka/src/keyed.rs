//! The keyed loop: one record at a time per key, many keys side by side, offsets in Kafka.
//!
//! - Records go to *lanes* by a hash of topic, partition and key; a lane works in order. A record that fails as
//!   `unavailable` or `configuration` is repeated in its lane until it succeeds: only that lane waits.
//! - An offset is done when its outputs are acknowledged by the broker, or its dead letter is. While they are on their
//!   way the lane goes on with its next record. [`watermark`](crate::watermark) commits what nothing is open below.
//! - If outputs are not acknowledged, the lane stops and sends them again with everything it sent after them, in order.
//! - A partition that is called back finishes what runs within four seconds; waits between attempts end at once, and then
//!   nothing of that lane and partition is handled any more, so that the next owner finds the order intact.

mod assignment;
mod lane;
mod letters;
mod member;

use std::{sync::Arc, time::Duration};

use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;
use waybill_contracts::Namespace;
use waybill_telemetry::metrics::{Counter, Label, Metric, counter};

use self::{
    assignment::{Gate, Work},
    lane::Lane,
    member::KeyedMember,
};
use crate::{
    KafkaConfig, KafkaError, KeyedHandler, KeyedOptions, Probe, Producer,
    consumer::{self, Settings},
    probe::Health,
};

/// Runs the keyed loop until `shutdown`, then drains, commits and leaves the group.
///
/// A broker that is down, a missing topic or a missing right make `probe` not ready and pass by themselves. An error means
/// that the loop cannot go on; the process should end.
pub async fn run_keyed<H: KeyedHandler>(
    config: &KafkaConfig,
    options: KeyedOptions,
    handler: Arc<H>,
    producer: Producer,
    probe: Arc<dyn Probe>,
    shutdown: CancellationToken,
) -> Result<(), KafkaError> {
    let namespace = config.namespace()?;
    let settings = Settings {
        group: namespace.group(&options.group),
        topics: options.topics.clone(),
        drain: options.drain,
    };
    let health = consumer::health(probe);
    let gate = Arc::new(Gate::default());
    let shared = Arc::new(Shared::new(handler, producer, options, namespace, health.clone()));

    let mut tasks = JoinSet::new();
    let lanes = (0..shared.options.lanes.max(1)).map(|index| {
        let (sender, receiver) = mpsc::unbounded_channel::<Vec<Work>>();
        tasks.spawn(Lane::new(index, shared.clone()).run(receiver));
        sender
    });
    let member =
        Arc::new(KeyedMember::new(lanes.collect(), gate, &shared.options, shared.rebalanced.clone()));

    let polling = consumer::run(config, settings, member.clone(), health, shutdown);
    tokio::select! {
        result = polling => result,
        // Lanes end with their channels, which the member holds; earlier only by a panic of our own.
        Some(_) = tasks.join_next() => Err(KafkaError::Thread("lane")),
    }
}

/// What all lanes use.
struct Shared<H> {
    handler: Arc<H>,
    producer: Producer,
    options: KeyedOptions,
    namespace: Namespace,
    health: Arc<Health>,
    /// Told when partitions are called back or lost.
    rebalanced: Arc<tokio::sync::Notify>,
    handled: Counter,
    set_aside: Counter,
    abandoned: Counter,
}

impl<H> Shared<H> {
    fn new(
        handler: Arc<H>,
        producer: Producer,
        options: KeyedOptions,
        namespace: Namespace,
        health: Arc<Health>,
    ) -> Self {
        let handled =
            |outcome| counter(Metric::Handled, &[Label::Group(&options.group), Label::Outcome(outcome)]);
        let (handled, set_aside, abandoned) = (handled("ok"), handled("dead-lettered"), handled("abandoned"));
        let rebalanced = Arc::new(tokio::sync::Notify::new());
        Self { handler, producer, options, namespace, health, rebalanced, handled, set_aside, abandoned }
    }

    /// The wait after the `attempt`th failure.
    fn wait(&self, attempt: u32) -> Duration {
        self.options.backoff.delay(attempt, crate::random())
    }
}
