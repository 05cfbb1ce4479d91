//! A member of a consumer group on a thread of its own: what the two loops share.
//!
//! The thread polls and never works. It alone pauses, resumes, stores, commits and serves rebalances, so nothing of a
//! consumer is ever touched from two sides. A consumer polled from a thread has no wake-up that could be lost.

#[cfg(test)]
mod closing;
mod context;
mod poll;
mod repeat;

pub(crate) use repeat::{LastRead, Order};

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    thread,
    time::Duration,
};

use rdkafka::{
    config::FromClientConfigAndContext,
    consumer::{BaseConsumer, Consumer as _},
    message::BorrowedMessage,
};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use waybill_contracts::TopicName;

use self::context::Context;
use crate::{
    KafkaConfig, KafkaError, Probe, TopicPartition,
    probe::{Health, Trouble},
};

pub(crate) type Client<M> = BaseConsumer<Context<M>>;

/// Work that is running may go on this long after its partition was called back: half of what a hand-over costs anyway.
pub(crate) const REVOKE_DRAIN: Duration = Duration::from_secs(4);

/// Closing a consumer may hang in librdkafka; after this long it is left behind.
const CLOSE: Duration = Duration::from_secs(10);

/// Where partitions that were just assigned begin.
pub(crate) enum Start {
    /// At the group's committed offsets.
    Committed,
    /// Here; `None` is the earliest record.
    At(Vec<(TopicPartition, Option<i64>)>),
}

/// A loop as the polling thread sees it. All of it runs on that thread.
pub(crate) trait Member: Send + Sync + 'static {
    /// Partitions come.
    fn assigned(&self, partitions: &[TopicPartition]) -> Start;
    /// Partitions go: drains them and gives the offsets to commit. When they are `lost` another owner is at work already.
    fn revoked(&self, partitions: &[TopicPartition], lost: bool) -> Vec<(TopicPartition, i64)>;
    /// More records may be read.
    fn has_room(&self) -> bool;
    /// A record; taken even without room.
    fn take(&self, message: &BorrowedMessage<'_>);
    /// No more records for the moment: pass on what was taken.
    fn dispatch(&self);
    /// Offsets that moved since they were last asked for; five times a second.
    fn moved(&self) -> Vec<(TopicPartition, i64)>;
    /// Partitions that must wait for their oldest record.
    fn stuck(&self) -> Vec<TopicPartition> {
        Vec::new()
    }
    /// Whether ends of partitions are wanted, and what the broker said; `None` when it does not answer.
    fn ends(&self, look: &mut dyn FnMut(&TopicPartition) -> Option<(i64, i64)>) {
        let _ = look;
    }
    /// Shutdown: finish what runs; nothing new comes.
    fn drain(&self);
    /// Nothing is left to finish.
    fn is_idle(&self) -> bool;
}

/// What the thread is asked to do.
pub(crate) struct Control {
    phase: AtomicU8,
    /// Everything that could be committed is.
    committed: AtomicBool,
}

const RUN: u8 = 0;
const DRAIN: u8 = 1;
const STOP: u8 = 2;

impl Control {
    fn phase(&self) -> u8 {
        self.phase.load(Ordering::Acquire)
    }

    fn ask(&self, phase: u8) {
        self.phase.fetch_max(phase, Ordering::AcqRel);
    }
}

/// Stops the thread when the loop's future is dropped.
struct StopOnDrop(Arc<Control>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.ask(STOP);
    }
}

/// What a loop tells its consumer.
pub(crate) struct Settings {
    /// Group with namespace.
    pub(crate) group: String,
    pub(crate) topics: Vec<TopicName>,
    pub(crate) drain: Duration,
}

/// The health of a member before it has joined.
pub(crate) fn health(probe: Arc<dyn Probe>) -> Arc<Health> {
    let health = Arc::new(Health::new(probe));
    health.set(Trouble::Joining, "joining the consumer group");
    health
}

/// Polls for `member` until `shutdown`, then drains, commits and leaves the group.
pub(crate) async fn run<M: Member>(
    config: &KafkaConfig,
    settings: Settings,
    member: Arc<M>,
    health: Arc<Health>,
    shutdown: CancellationToken,
) -> Result<(), KafkaError> {
    let drain = settings.drain;
    let context = Context::new(member, health, &settings.group);
    let client = Client::from_config_and_context(&config.consumer(&settings.group), context)
        .map_err(|error| KafkaError::creation(&error))?;
    let topics: Vec<&str> = settings.topics.iter().map(TopicName::as_str).collect();
    client.subscribe(&topics).map_err(|error| KafkaError::creation(&error))?;

    let control = Arc::new(Control { phase: AtomicU8::new(RUN), committed: AtomicBool::new(false) });
    let _guard = StopOnDrop(control.clone());
    let (done, mut ended) = oneshot::channel();
    let thread_control = control.clone();
    thread::Builder::new()
        .name("kafka-poll".to_owned())
        .spawn(move || {
            let result = poll::Poller::new(&client, &settings, &thread_control).run();
            client.context().closing.store(true, Ordering::Release);
            drop(client);
            let _ = done.send(result);
        })
        .map_err(|_| KafkaError::Thread("kafka-poll"))?;

    tokio::select! {
        result = &mut ended => return result.unwrap_or(Err(KafkaError::Thread("kafka-poll"))),
        () = shutdown.cancelled() => control.ask(DRAIN),
    }
    match tokio::time::timeout(drain + REVOKE_DRAIN + CLOSE, ended).await {
        Ok(result) => result.unwrap_or(Err(KafkaError::Thread("kafka-poll"))),
        Err(_) if control.committed.load(Ordering::Acquire) => {
            tracing::warn!("the consumer does not close; its offsets are committed and it is left behind");
            Ok(())
        }
        Err(_) => Err(KafkaError::Fatal("the consumer neither drains nor closes".to_owned())),
    }
}
