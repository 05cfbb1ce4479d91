//! The batch loop: state and input offsets change in one transaction of the handler's.
//!
//! - On assignment the handler says where its state stands, and reading begins there; what Kafka knows of the group's
//!   offsets is for lag tools only.
//! - One batch is applied at a time. After an error the same records come again, without those of partitions that went
//!   meanwhile.
//! - A partition that is called back waits up to four seconds for the running batch. If that takes longer, the batch may
//!   still end: [`Position::previous`](crate::Position) tells the handler's transaction that another owner was faster.
//!   After every failure the loop asks again where the state stands, and leaves out what is stored already.
//! - Once a second the handler hears up to which time everything has been read and applied ([`ends`]).

mod ends;
mod member;

use std::sync::Arc;

use tokio::{
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};
use tokio_util::sync::CancellationToken;
use waybill_delivery::ErrorClass;
use waybill_telemetry::metrics::{Label, Metric, count};

use self::member::{Ask, BatchMember, Item, Stored};
use crate::{
    BatchHandler, BatchOptions, HandlerError, KafkaConfig, KafkaError, Probe, TopicPartition,
    consumer::{self, Settings},
    probe::{Health, Trouble},
};

/// Runs the batch loop until `shutdown`, then finishes the running batch and leaves the group.
///
/// A broker that is down, a missing topic or a failing handler make `probe` not ready and pass by themselves. An error
/// means that the loop cannot go on; the process should end.
pub async fn run_batch<H: BatchHandler>(
    config: &KafkaConfig,
    options: BatchOptions,
    handler: H,
    probe: Arc<dyn Probe>,
    shutdown: CancellationToken,
) -> Result<(), KafkaError> {
    let group = config.namespace()?.group(&options.group);
    let settings = Settings { group, topics: options.topics.clone(), drain: options.drain };
    let health = consumer::health(probe);
    let (asks, asked) = unbounded_channel();
    let member = Arc::new(BatchMember::new(asks, &options, health.clone(), shutdown.clone()));
    let driver = Driver {
        handler,
        member: member.clone(),
        options,
        health: health.clone(),
        shutdown: shutdown.clone(),
        failures: 0,
    };
    let polling = consumer::run(config, settings, member, health, shutdown);
    // Polled with the thread's end: whichever is over first ends the loop, and the driver only ends by that.
    tokio::select! {
        result = polling => result,
        () = driver.run(asked) => Err(KafkaError::Thread("batch driver")),
    }
}

/// Owns the handler and gives it one thing at a time.
struct Driver<H> {
    handler: H,
    member: Arc<BatchMember>,
    options: BatchOptions,
    health: Arc<Health>,
    shutdown: CancellationToken,
    /// Failures of the batch at hand.
    failures: u32,
}

impl<H: BatchHandler> Driver<H> {
    async fn run(mut self, mut asked: UnboundedReceiver<Ask>) {
        let mut tick = interval(self.options.tick);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut pending: Vec<Item> = Vec::new();
        let mut retry_at = None;
        loop {
            tokio::select! {
                biased;
                ask = asked.recv() => match ask {
                    Some(ask) => self.answer(ask, &mut pending).await,
                    None => return,
                },
                _ = tick.tick() => self.tick().await,
                () = self.shutdown.cancelled(), if retry_at.is_some() => {
                    // The batch has failed already; the next owner applies it.
                    retry_at = None;
                    pending.clear();
                    self.member.idle();
                }
                () = until(retry_at), if !pending.is_empty() => retry_at = self.apply(&mut pending).await,
                () = self.member.batch_is_due(self.options.max_wait), if pending.is_empty() => {
                    pending = self.member.next_batch();
                    retry_at = None;
                }
            }
        }
    }

    /// Applies the batch at hand; gives the time of the next try, if one is needed.
    async fn apply(&mut self, pending: &mut Vec<Item>) -> Option<Instant> {
        pending.retain(|item| !item.owned.is_gone());
        if pending.is_empty() {
            self.member.idle();
            return None;
        }
        let batch = member::batch(pending);
        let positions = batch.positions.clone();
        match self.handler.apply(batch).await {
            Ok(()) => {
                self.member.applied(pending, &positions);
                pending.clear();
                self.succeeded();
                None
            }
            Err(error) => {
                let again = self.failed("batch", &error);
                self.look_again(pending).await;
                Some(again)
            }
        }
    }

    /// After a failure the state may stand elsewhere than we think: an earlier owner's last batch came late and was faster,
    /// or ours was stored and only its answer was lost. What is stored already is not applied again.
    async fn look_again(&mut self, pending: &mut Vec<Item>) {
        let partitions = member::partitions(pending);
        let Ok(stored) = self.handler.stored_offsets(&partitions).await else { return };
        self.member.stored(pending, &stored);
        if pending.is_empty() {
            self.succeeded();
            self.member.idle();
        }
    }

    async fn answer(&mut self, ask: Ask, pending: &mut Vec<Item>) {
        match ask {
            Ask::Assigned { partitions, reply } => {
                let offsets = self.stored_offsets(&partitions).await;
                let _ = reply.send(offsets);
            }
            Ask::Revoked { partitions, reply } => {
                pending.retain(|item| !item.owned.is_gone());
                self.handler.revoked(&partitions).await;
                let _ = reply.send(());
            }
        }
    }

    /// Asks the handler until it knows; the polling thread waits for it, and the group for the polling thread. If that
    /// takes longer than the group's patience, the partitions are lost and come again.
    async fn stored_offsets(&mut self, partitions: &[TopicPartition]) -> Option<Stored> {
        loop {
            match self.handler.stored_offsets(partitions).await {
                Ok(offsets) => {
                    self.succeeded();
                    return Some(offsets);
                }
                Err(error) => {
                    let again = self.failed("stored offsets", &error);
                    tokio::select! {
                        () = sleep_until(again) => {}
                        () = self.shutdown.cancelled() => return None,
                    }
                }
            }
        }
    }

    async fn tick(&mut self) {
        let watermark = self.member.watermark();
        if let Err(error) = self.handler.tick(watermark).await {
            // The next tick is the next try.
            self.complain("tick", &error);
        }
    }

    fn succeeded(&mut self) {
        self.failures = 0;
        self.health.clear(&Trouble::Lane(0));
    }

    /// Counts and shows a failure, and says when to try again.
    fn failed(&mut self, what: &'static str, error: &HandlerError) -> Instant {
        self.failures += 1;
        self.complain(what, error);
        count(Metric::Retries, 1, &[Label::Target(&self.options.group), Label::Class(error.class.as_str())]);
        self.health.set(Trouble::Lane(0), error.to_string());
        Instant::now() + self.options.backoff.delay(self.failures, crate::random())
    }

    fn complain(&self, what: &'static str, error: &HandlerError) {
        let (group, class) = (&self.options.group, error.class.as_str());
        if error.class == ErrorClass::Unavailable {
            tracing::warn!(group, class, code = %error.reason, detail = error.detail, "{what}: will be tried again");
        } else {
            tracing::error!(group, class, code = %error.reason, detail = error.detail, "{what}: will be tried again");
        }
    }
}

async fn until(at: Option<Instant>) {
    if let Some(at) = at {
        sleep_until(at).await;
    }
}
