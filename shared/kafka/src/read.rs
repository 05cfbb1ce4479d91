//! Reading a topic as it is now, for tools and tests.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
};
use waybill_contracts::TopicName;

use crate::{InRecord, KafkaConfig, KafkaError};

/// Bound of one request.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Without any record for this long the reading has failed.
const SILENCE: Duration = Duration::from_secs(30);

/// Every record of a topic up to its present end, in order within each partition. No group is joined.
pub async fn read_all(config: &KafkaConfig, topic: &TopicName) -> Result<Vec<InRecord>, KafkaError> {
    let (config, topic) = (config.clone(), topic.clone());
    tokio::task::spawn_blocking(move || read(&config, topic.as_str()))
        .await
        .unwrap_or(Err(KafkaError::Thread("read")))
}

fn read(config: &KafkaConfig, topic: &str) -> Result<Vec<InRecord>, KafkaError> {
    let mut settings = config.fetcher();
    // Required by the client; no group is joined and nothing is committed under it.
    settings
        .set("group.id", "waybill-read")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "false");
    let consumer: BaseConsumer = settings.create().map_err(|error| KafkaError::creation(&error))?;
    let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT).map_err(|error| KafkaError::of(&error))?;
    let partitions = metadata
        .topics()
        .iter()
        .flat_map(|topic| topic.partitions().iter().map(rdkafka::metadata::MetadataPartition::id));
    let mut list = TopicPartitionList::new();
    let mut ends: HashMap<i32, i64> = HashMap::new();
    for partition in partitions {
        let (low, high) =
            consumer.fetch_watermarks(topic, partition, TIMEOUT).map_err(|error| KafkaError::of(&error))?;
        if low < high {
            ends.insert(partition, high);
            list.add_partition_offset(topic, partition, Offset::Offset(low))
                .map_err(|error| KafkaError::of(&error))?;
        }
    }
    consumer.assign(&list).map_err(|error| KafkaError::of(&error))?;
    let name: Arc<str> = topic.into();
    let mut records = Vec::new();
    let mut heard = Instant::now();
    while !ends.is_empty() {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                heard = Instant::now();
                let Some(end) = ends.get(&message.partition()).copied() else { continue };
                if message.offset() < end {
                    records.push(InRecord::of(name.clone(), &message));
                }
                if message.offset() + 1 >= end {
                    ends.remove(&message.partition());
                }
            }
            Some(Err(error)) => tracing::debug!(%error, "read"),
            None if heard.elapsed() > SILENCE => {
                return Err(KafkaError::Unavailable(format!("{topic} could not be read to its end")));
            }
            None => {}
        }
    }
    records.sort_by_key(|record| (record.partition, record.offset));
    Ok(records)
}
