//! The polling thread.

use std::{
    collections::HashSet,
    sync::atomic::Ordering,
    thread,
    time::{Duration, Instant},
};

use rdkafka::{
    consumer::Consumer,
    error::KafkaError as ClientError,
    types::{RDKafkaErrorCode as Code, RDKafkaRespErr},
};
use waybill_contracts::TopicName;

use super::{Client, Control, DRAIN, Member, RUN, STOP, Settings, context::list};
use crate::{KafkaError, TopicPartition, probe::Trouble, producer};

/// Longest wait for a record.
const IDLE: Duration = Duration::from_millis(50);
/// Longest wait for a callback while nothing may be read.
const BLOCKED: Duration = Duration::from_millis(100);
/// Without room for this long the partitions are paused; earlier it would only throw away what was fetched ahead.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest wait for partitions to be handed over before the consumer is closed all the same.
const LEAVE: Duration = Duration::from_secs(5);
/// Longest wait for a join under way to bring partitions that must be given back.
const JOIN: Duration = Duration::from_millis(500);
/// Offsets are stored this often; the client commits them every second.
const STORE: Duration = Duration::from_millis(200);
/// How often a broker is looked for while none answers, and ends of partitions are looked up.
const LOOK: Duration = Duration::from_secs(1);
/// How often topics are looked at while one is missing or the group has not been joined.
const TOPICS: Duration = Duration::from_secs(5);

pub(super) struct Poller<'a, M: Member> {
    client: &'a Client<M>,
    settings: &'a Settings,
    control: &'a Control,
    blocked_since: Option<Instant>,
    stored: Instant,
    looked: Instant,
    topics: Instant,
}

impl<'a, M: Member> Poller<'a, M> {
    pub(super) fn new(client: &'a Client<M>, settings: &'a Settings, control: &'a Control) -> Self {
        let now = Instant::now();
        Self { client, settings, control, blocked_since: None, stored: now, looked: now, topics: now }
    }

    /// Until drained, stopped or broken. Leaves the consumer to be dropped.
    pub(super) fn run(mut self) -> Result<(), KafkaError> {
        while self.control.phase() == RUN {
            if self.context().member.has_room() {
                self.read()?;
            } else {
                self.wait_for_room()?;
            }
            self.housekeeping();
        }
        self.context().member.drain();
        let begun = Instant::now();
        while self.control.phase() == DRAIN
            && !self.context().member.is_idle()
            && begun.elapsed() < self.settings.drain
        {
            // Nothing new is taken: records that still come are not tracked and stay for the next owner.
            self.pause(&self.assignment());
            if let Some(Err(error)) = self.client.poll(IDLE) {
                Self::judge(&error)?;
            }
            self.housekeeping();
        }
        if self.control.phase() != STOP {
            self.context().commit(self.client, &self.context().member.moved());
        }
        self.control.committed.store(true, Ordering::Release);
        if self.control.phase() != STOP {
            self.leave()?;
        }
        Ok(())
    }

    /// Leaves the group before the consumer is closed.
    ///
    /// A rebalance may be under way. `unsubscribe` waits for it and then hands everything over, where closing would break
    /// it off, and librdkafka may abort the process (`rd_kafka_cgrp_terminated`: an assignment is in progress).
    fn leave(&self) -> Result<(), KafkaError> {
        let mut owned = !self.assignment().is_empty();
        self.client.unsubscribe();
        let begun = Instant::now();
        while self.control.phase() != STOP && begun.elapsed() < if owned { LEAVE } else { JOIN } {
            if let Some(Err(error)) = self.client.poll(IDLE) {
                Self::judge(&error)?;
            }
            let owns = !self.assignment().is_empty();
            if owned && !owns {
                break;
            }
            owned = owns;
        }
        Ok(())
    }

    /// One record or none, and everything else that is there already.
    fn read(&mut self) -> Result<(), KafkaError> {
        self.blocked_since = None;
        let mut wait = IDLE;
        for _ in 0..512 {
            match self.client.poll(wait) {
                None => break,
                Some(Ok(message)) => self.context().member.take(&message),
                Some(Err(error)) => {
                    Self::judge(&error)?;
                    break;
                }
            }
            if !self.context().member.has_room() {
                break;
            }
            wait = Duration::ZERO;
        }
        self.context().member.dispatch();
        Ok(())
    }

    fn wait_for_room(&mut self) -> Result<(), KafkaError> {
        if self.blocked_since.get_or_insert_with(Instant::now).elapsed() < PATIENCE {
            thread::park_timeout(Duration::from_millis(5));
            return Ok(());
        }
        self.pause(&self.assignment());
        match self.client.poll(BLOCKED) {
            Some(Ok(message)) => self.context().member.take(&message),
            Some(Err(error)) => Self::judge(&error)?,
            None => {}
        }
        self.context().member.dispatch();
        Ok(())
    }

    fn housekeeping(&mut self) {
        let context = self.context();
        context.health.beat();
        let now = Instant::now();
        if now.duration_since(self.stored) >= STORE {
            self.stored = now;
            context.store(self.client, &context.member.moved());
            if self.blocked_since.is_none() && self.control.phase() == RUN {
                self.pause(&context.member.stuck().into_iter().collect());
            }
        }
        if context.suspect.swap(false, Ordering::AcqRel) {
            producer::look(self.client.client(), &context.health);
        }
        if now.duration_since(self.looked) >= LOOK {
            if context.health.has(&Trouble::Broker) {
                producer::look(self.client.client(), &context.health);
                context.member.ends(&mut |_| None);
            } else {
                context.member.ends(&mut |at| {
                    self.client.fetch_watermarks(&at.topic, at.partition, Duration::from_millis(500)).ok()
                });
            }
            self.looked = Instant::now();
        }
        let due = now.duration_since(self.topics) >= TOPICS && self.context().health.has(&Trouble::Joining);
        let asked =
            now.duration_since(self.topics) >= LOOK && self.context().look_at_topics.load(Ordering::Acquire);
        if (due || asked) && !self.context().health.has(&Trouble::Broker) {
            self.look_at_topics();
            self.topics = Instant::now();
        }
    }

    /// Says which topic is missing or closed to us, until none is.
    fn look_at_topics(&self) {
        let context = self.context();
        let mut wrong = false;
        let mut healed = false;
        for topic in self.settings.topics.iter().map(TopicName::as_str) {
            let trouble = Trouble::Topic(topic.to_owned());
            let Ok(metadata) = self.client.fetch_metadata(Some(topic), LOOK) else { return };
            match metadata.topics().first().and_then(rdkafka::metadata::MetadataTopic::error) {
                None => {
                    healed |= context.health.has(&trouble);
                    context.health.clear(&trouble);
                    continue;
                }
                Some(RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED) => {
                    context.health.set(trouble, format!("not authorized to read the topic {topic}"));
                }
                Some(RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) => {
                    context.health.set(trouble, format!("the topic {topic} does not exist"));
                }
                Some(_) => {}
            }
            wrong = true;
        }
        context.look_at_topics.store(wrong, Ordering::Release);
        if healed {
            // Joins again with the topic, instead of waiting for the next refresh of the client's metadata.
            let topics: Vec<&str> = self.settings.topics.iter().map(TopicName::as_str).collect();
            if let Err(error) = self.client.subscribe(&topics) {
                tracing::error!(%error, "subscribe");
            }
        }
    }

    /// Makes `wanted` the set of paused partitions.
    fn pause(&self, wanted: &HashSet<TopicPartition>) {
        let mut paused = self.context().paused.lock();
        let (fresh, over): (Vec<_>, Vec<_>) =
            (wanted.difference(&paused).cloned().collect(), paused.difference(wanted).cloned().collect());
        let of = |partitions: &[TopicPartition]| {
            list(&partitions.iter().map(|at| (at.clone(), 0)).collect::<Vec<_>>())
        };
        if !fresh.is_empty() && self.client.pause(&of(&fresh)).is_ok() {
            paused.extend(fresh);
        }
        if !over.is_empty() && self.client.resume(&of(&over)).is_ok() {
            for at in &over {
                paused.remove(at);
            }
        }
    }

    fn assignment(&self) -> HashSet<TopicPartition> {
        self.client.assignment().map_or_else(
            |_| HashSet::new(),
            |list| list.elements().iter().map(|at| TopicPartition::new(at.topic(), at.partition())).collect(),
        )
    }

    /// Most errors are news, and librdkafka recovers by itself; a fatal one ends the loop and with it the process.
    fn judge(error: &ClientError) -> Result<(), KafkaError> {
        match error {
            ClientError::MessageConsumptionFatal(code) => return Err(KafkaError::Fatal(code.to_string())),
            ClientError::MessageConsumption(Code::PollExceeded) => {
                tracing::warn!(
                    "the poll thread was held up too long; the partitions are lost and asked for again"
                );
            }
            _ => tracing::debug!(%error, "poll"),
        }
        Ok(())
    }

    fn context(&self) -> &'a super::Context<M> {
        self.client.context()
    }
}
