//! What the client calls back: rebalances, commits, errors, statistics. All on the polling thread.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use rdkafka::{
    ClientContext, Offset, Statistics, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, RebalanceProtocol},
    error::{KafkaError as ClientError, KafkaResult},
    types::{RDKafkaErrorCode as Code, RDKafkaRespErr},
};
use waybill_telemetry::metrics::{Label, Metric, count, gauge};

use super::{Member, Start};
use crate::{
    TopicPartition,
    probe::{Health, Trouble},
};

/// A commit at hand-over is repeated for this long while the coordinator moves.
const COMMIT: Duration = Duration::from_secs(1);

/// The client's callbacks.
pub(crate) struct Context<M> {
    pub(super) member: Arc<M>,
    pub(super) health: Arc<Health>,
    group: String,
    /// Partitions that we paused: only those may be resumed, anything else makes librdkafka repeat records.
    pub(super) paused: Mutex<HashSet<TopicPartition>>,
    /// Every connection broke, which an idle one does by itself.
    pub(super) suspect: AtomicBool,
    /// An error said that a topic is missing or closed to us.
    pub(super) look_at_topics: AtomicBool,
    /// The client is being closed. It then takes every answer for one that gives everything back, so anything else that
    /// a callback does, a commit above all, may come after the end of the group and abort the process.
    pub(super) closing: AtomicBool,
}

impl<M: Member> Context<M> {
    pub(super) fn new(member: Arc<M>, health: Arc<Health>, group: &str) -> Self {
        Self {
            member,
            health,
            group: group.to_owned(),
            paused: Mutex::default(),
            suspect: AtomicBool::new(false),
            look_at_topics: AtomicBool::new(false),
            closing: AtomicBool::new(false),
        }
    }

    fn rebalanced(&self, kind: &'static str, partitions: &[TopicPartition]) {
        count(Metric::Rebalances, 1, &[Label::Group(&self.group), Label::Kind(kind)]);
        let shown: Vec<String> = partitions.iter().map(ToString::to_string).collect();
        tracing::info!(group = self.group, partitions = shown.join(" "), "partitions {kind}");
    }

    fn commit_failed(&self, error: &ClientError) {
        count(Metric::CommitErrors, 1, &[Label::Group(&self.group)]);
        tracing::warn!(group = self.group, %error, "offsets are not committed");
    }

    /// Commits and waits for the broker; gives up on what only another owner could repair.
    pub(super) fn commit(&self, consumer: &BaseConsumer<Self>, offsets: &[(TopicPartition, i64)]) {
        let list = list(offsets);
        if list.count() == 0 {
            return;
        }
        let begun = Instant::now();
        loop {
            let Err(error) = consumer.commit(&list, CommitMode::Sync) else { return };
            let passing = matches!(
                error.rdkafka_error_code(),
                Some(
                    Code::RequestTimedOut
                        | Code::NotCoordinator
                        | Code::CoordinatorLoadInProgress
                        | Code::CoordinatorNotAvailable
                        | Code::WaitingForCoordinator
                        | Code::BrokerTransportFailure
                )
            );
            if !passing || begun.elapsed() >= COMMIT {
                return self.commit_failed(&error);
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Stores offsets for the client's own commits. It answers well if any one was stored, so each is looked at.
    pub(super) fn store(&self, consumer: &BaseConsumer<Self>, offsets: &[(TopicPartition, i64)]) {
        let list = list(offsets);
        if list.count() == 0 {
            return;
        }
        if let Err(error) = consumer.store_offsets(&list) {
            return self.commit_failed(&error);
        }
        list.elements()
            .iter()
            .filter_map(|element| element.error().err())
            .for_each(|error| self.commit_failed(&error));
    }

    fn assign(&self, consumer: &BaseConsumer<Self>, list: &mut TopicPartitionList) -> KafkaResult<()> {
        let partitions = partitions(list);
        self.rebalanced("assigned", &partitions);
        if let Start::At(offsets) = self.member.assigned(&partitions) {
            for (at, offset) in offsets {
                let offset = offset.map_or(Offset::Beginning, Offset::Offset);
                list.set_partition_offset(&at.topic, at.partition, offset)?;
            }
        }
        match consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => consumer.incremental_assign(list)?,
            RebalanceProtocol::None | RebalanceProtocol::Eager => consumer.assign(list)?,
        }
        self.health.clear(&Trouble::Broker);
        self.health.clear(&Trouble::Joining);
        Ok(())
    }

    fn revoke(&self, consumer: &BaseConsumer<Self>, list: &TopicPartitionList) -> KafkaResult<()> {
        let partitions = partitions(list);
        let lost = consumer.assignment_lost();
        self.rebalanced(if lost { "lost" } else { "revoked" }, &partitions);
        let offsets = self.member.revoked(&partitions, lost);
        if lost {
            // Until the group has us again nothing is consumed, whatever the connections say.
            self.health.set(Trouble::Joining, format!("lost its place in the group {}", self.group));
        } else {
            self.commit(consumer, &offsets);
        }
        self.forget(consumer, &partitions);
        give_back(consumer, list)
    }

    /// A partition that comes back must not come back paused.
    fn forget(&self, consumer: &BaseConsumer<Self>, partitions: &[TopicPartition]) {
        let mut paused = self.paused.lock();
        let ours: Vec<_> =
            partitions.iter().filter(|at| paused.remove(*at)).map(|at| (at.clone(), 0)).collect();
        drop(paused);
        if !ours.is_empty()
            && let Err(error) = consumer.resume(&list(&ours))
        {
            tracing::debug!(%error, "resume before a hand-over");
        }
        for at in partitions {
            gauge(
                Metric::ConsumerLag,
                0.0,
                &[Label::Topic(&at.topic), Label::Partition(at.partition), Label::Group(&self.group)],
            );
        }
    }
}

fn give_back<C: ConsumerContext>(consumer: &BaseConsumer<C>, list: &TopicPartitionList) -> KafkaResult<()> {
    match consumer.rebalance_protocol() {
        RebalanceProtocol::Cooperative => consumer.incremental_unassign(list),
        RebalanceProtocol::None | RebalanceProtocol::Eager => consumer.unassign(),
    }
}

pub(super) fn list(offsets: &[(TopicPartition, i64)]) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(offsets.len());
    for (at, offset) in offsets {
        // Fails for offsets below zero, which no tracker gives.
        let _ = list.add_partition_offset(&at.topic, at.partition, Offset::Offset(*offset));
    }
    list
}

fn partitions(list: &TopicPartitionList) -> Vec<TopicPartition> {
    list.elements().iter().map(|element| TopicPartition::new(element.topic(), element.partition())).collect()
}

impl<M: Member> ClientContext for Context<M> {
    fn error(&self, error: ClientError, reason: &str) {
        match error.rdkafka_error_code() {
            Some(Code::AllBrokersDown) => self.suspect.store(true, Ordering::Release),
            Some(Code::Authentication | Code::SaslAuthenticationFailed) => {
                self.health.set(Trouble::Broker, format!("the broker refuses our credentials: {reason}"));
            }
            Some(Code::GroupAuthorizationFailed) => {
                self.health.set(Trouble::Joining, format!("not authorized to join the group {}", self.group));
            }
            Some(Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::TopicAuthorizationFailed) => {
                self.look_at_topics.store(true, Ordering::Release);
            }
            _ => tracing::debug!(group = self.group, %error, reason, "consumer"),
        }
    }

    fn stats(&self, statistics: Statistics) {
        for topic in statistics.topics.values() {
            for partition in topic.partitions.values().filter(|partition| partition.consumer_lag >= 0) {
                let labels = [
                    Label::Topic(&topic.topic),
                    Label::Partition(partition.partition),
                    Label::Group(&self.group),
                ];
                gauge(Metric::ConsumerLag, partition.consumer_lag as f64, &labels);
            }
        }
    }
}

impl<M: Member> ConsumerContext for Context<M> {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, event: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let result = match event {
            _ if self.closing.load(Ordering::Acquire) => give_back(consumer, list),
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => self.assign(consumer, list),
            _ => self.revoke(consumer, list),
        };
        if let Err(error) = result {
            // The group goes on without us until the next rebalance.
            tracing::error!(group = self.group, %error, "rebalance");
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        match result {
            Ok(()) => {}
            // Nothing was stored since the last commit.
            Err(error) if error.rdkafka_error_code() == Some(Code::NoOffset) => {}
            Err(error) => self.commit_failed(&error),
        }
    }

    fn main_queue_min_poll_interval(&self) -> rdkafka::util::Timeout {
        rdkafka::util::Timeout::After(Duration::from_millis(100))
    }
}
