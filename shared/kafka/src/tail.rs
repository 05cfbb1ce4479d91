//! Reading a topic backwards from its present end: for what a process wants to remember of the time before it started.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer, ConsumerContext},
};
use waybill_contracts::TopicName;

use crate::{InRecord, KafkaConfig, KafkaError};

/// Until when the partitions and their ends must be found.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Pause before a broker that broke off is asked again.
const PAUSE: Duration = Duration::from_millis(200);
/// Without any record for this long the reading has failed.
const SILENCE: Duration = Duration::from_secs(10);

/// The records of a topic up to the end it had when it was opened, from there to its beginning. No group is joined.
pub struct Tail(Option<Reader>);

/// Says nothing of what the client takes for an error: the end of a partition, which every tail reaches, is one. A broker
/// that does not answer shows by its silence.
struct Calm;

impl ClientContext for Calm {
    fn error(&self, error: rdkafka::error::KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "tail");
    }
}

impl ConsumerContext for Calm {}

struct Reader {
    consumer: BaseConsumer<Calm>,
    topic: Arc<str>,
    partitions: Vec<Span>,
}

/// What of a partition is not read yet: offsets from `low` to before `end`.
struct Span {
    partition: i32,
    low: i64,
    end: i64,
}

impl Tail {
    /// Finds the partitions and their ends.
    ///
    /// # Errors
    /// When the brokers do not answer, or refuse.
    pub async fn open(config: &KafkaConfig, topic: &TopicName) -> Result<Self, KafkaError> {
        let (config, topic) = (config.clone(), topic.clone());
        let reader = tokio::task::spawn_blocking(move || Reader::open(&config, topic.as_str())).await;
        reader.unwrap_or(Err(KafkaError::Thread("tail"))).map(|reader| Self(Some(reader)))
    }

    /// The next older records, up to `count` of each partition, the newest of each partition first; nothing once the
    /// beginning is reached. After an error there is nothing either.
    ///
    /// # Errors
    /// When the brokers do not answer, or refuse.
    pub async fn older(&mut self, count: u32) -> Result<Vec<InRecord>, KafkaError> {
        let Some(mut reader) = self.0.take() else { return Ok(Vec::new()) };
        let read = tokio::task::spawn_blocking(move || {
            let records = reader.older(i64::from(count.max(1)))?;
            Ok((reader, records))
        });
        let (reader, records) = read.await.unwrap_or(Err(KafkaError::Thread("tail")))?;
        self.0 = Some(reader);
        Ok(records)
    }
}

impl Reader {
    fn open(config: &KafkaConfig, topic: &str) -> Result<Self, KafkaError> {
        let mut settings = config.fetcher();
        // Required by the client; no group is joined and nothing is committed under it.
        settings.set("group.id", "waybill-read").set("enable.auto.commit", "false");
        // Without it a compacted or empty stretch could not be told from a broker that is silent.
        settings.set("enable.partition.eof", "true");
        let consumer: BaseConsumer<Calm> =
            settings.create_with_context(Calm).map_err(|error| KafkaError::creation(&error))?;
        let until = Instant::now() + TIMEOUT;
        let metadata = persist(until, |left| consumer.fetch_metadata(Some(topic), left))?;
        let mut partitions = Vec::new();
        for partition in metadata.topics().iter().flat_map(rdkafka::metadata::MetadataTopic::partitions) {
            let (low, end) = persist(until, |left| consumer.fetch_watermarks(topic, partition.id(), left))?;
            partitions.push(Span { partition: partition.id(), low, end });
        }
        Ok(Self { consumer, topic: topic.into(), partitions })
    }

    fn older(&mut self, count: i64) -> Result<Vec<InRecord>, KafkaError> {
        let mut records = Vec::new();
        // A stretch may hold no record any more (compaction, transactions); then the next one counts.
        while records.is_empty() && self.partitions.iter().any(|span| span.low < span.end) {
            self.stretch(count, &mut records)?;
        }
        // Stable: the partitions stay as they were read, each backwards.
        records.sort_by_key(|record| (record.partition, std::cmp::Reverse(record.offset)));
        Ok(records)
    }

    fn stretch(&mut self, count: i64, records: &mut Vec<InRecord>) -> Result<(), KafkaError> {
        let mut list = TopicPartitionList::new();
        // Partition, and the offset to stop before.
        let mut wanted: Vec<(i32, i64)> = Vec::new();
        for span in &mut self.partitions {
            if span.low >= span.end {
                continue;
            }
            let start = (span.end - count).max(span.low);
            list.add_partition_offset(&self.topic, span.partition, Offset::Offset(start))
                .map_err(|error| KafkaError::of(&error))?;
            wanted.push((span.partition, span.end));
            span.end = start;
        }
        self.consumer.assign(&list).map_err(|error| KafkaError::of(&error))?;
        let mut heard = Instant::now();
        while !wanted.is_empty() {
            match self.consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    heard = Instant::now();
                    let Some(at) = wanted.iter().position(|(number, _)| *number == message.partition())
                    else {
                        continue;
                    };
                    let end = wanted[at].1;
                    if message.offset() < end {
                        records.push(InRecord::of(self.topic.clone(), &message));
                    }
                    if message.offset() + 1 >= end {
                        wanted.swap_remove(at);
                    }
                }
                Some(Err(rdkafka::error::KafkaError::PartitionEOF(partition))) => {
                    wanted.retain(|(number, _)| *number != partition);
                }
                Some(Err(error)) => tracing::debug!(%error, "tail"),
                None if heard.elapsed() > SILENCE => {
                    return Err(KafkaError::Unavailable(format!("{} could not be read", self.topic)));
                }
                None => {}
            }
        }
        Ok(())
    }
}

/// Asks until there is an answer: a broker that has only just come up, as after a power cut, breaks connections off.
/// `ask` gets the time that is left.
fn persist<T>(
    until: Instant,
    mut ask: impl FnMut(Duration) -> Result<T, rdkafka::error::KafkaError>,
) -> Result<T, KafkaError> {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        match ask(left).map_err(|error| KafkaError::of(&error)) {
            Err(KafkaError::Unavailable(_)) if left > PAUSE => thread::sleep(PAUSE),
            answer => return answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::{error::KafkaError as Error, types::RDKafkaErrorCode as Code};

    use super::*;

    #[test]
    fn who_breaks_off_is_asked_again_who_refuses_is_not_and_time_ends_it() {
        let failing = |code, failures: usize, patience| {
            let mut asked = 0;
            let answer = persist(Instant::now() + patience, |_| {
                asked += 1;
                if asked > failures { Ok(()) } else { Err(Error::MetadataFetch(code)) }
            });
            (answer.is_ok(), asked)
        };
        let long = Duration::from_secs(60);
        assert_eq!(failing(Code::BrokerTransportFailure, 2, long), (true, 3));
        assert_eq!(failing(Code::TopicAuthorizationFailed, 2, long), (false, 1));
        assert_eq!(failing(Code::BrokerTransportFailure, 2, Duration::ZERO), (false, 1));
    }
}
