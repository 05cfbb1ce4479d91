//! What was stored before this process started: the end of `inbound.message`, read back into the feeds' memories.
//!
//! A sender that lost its answer to a crash or a restart repeats the message, and gets the answer that it would have got.
//! Messages are taken meanwhile; one that is repeated before its record was read back is stored a second time, under the
//! same id.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use waybill_contracts::{
    TopicName,
    body::{FHIR_JSON, HL7_V2},
    inbound::InboundMessage,
};
use waybill_hl7v2::{Header, ack::AckCode};
use waybill_kafka::{Codec, InRecord, KafkaConfig, KafkaError, Tail};

use super::recent::{Known, Memory, fhir_control};
use crate::accept::control;

/// Records of a partition that are read at once.
const STEP: u32 = 8192;
/// Bounds of it all; what is older than that is hardly ever repeated.
const MAX_BYTES: usize = 256 * 1024 * 1024;
const MAX_TIME: Duration = Duration::from_secs(10);
/// Records that are read back before others on this thread get their turn.
const TURN: usize = 64;

/// Reads back until the memories are full, the topic is at its beginning, or the bounds are reached.
pub(crate) async fn read_back(
    config: &KafkaConfig,
    codec: &Codec,
    topic: &TopicName,
    memories: &HashMap<String, Arc<Memory>>,
) {
    let started = Instant::now();
    let mut read = Read { records: 0, bytes: 0 };
    let reading = read.all(config, codec, topic, memories);
    let (stopped, error) = match tokio::time::timeout(MAX_TIME, reading).await {
        Ok(Ok(why)) => (why, None),
        Ok(Err(error)) => ("failed", Some(error.to_string())),
        // A broker that breaks off is asked again, until here.
        Err(_) => ("time", (read.records == 0).then(|| "nothing was read in time".to_owned())),
    };
    if let Some(error) = error {
        tracing::warn!(error, "the messages of before cannot be read back; a repeat of one is stored twice");
    }
    let (records, bytes, took) = (read.records, read.bytes, started.elapsed().as_secs_f64());
    tracing::info!(records, bytes, took, stopped, "read back which messages came lately");
}

struct Read {
    records: usize,
    bytes: usize,
}

impl Read {
    async fn all(
        &mut self,
        config: &KafkaConfig,
        codec: &Codec,
        topic: &TopicName,
        memories: &HashMap<String, Arc<Memory>>,
    ) -> Result<&'static str, KafkaError> {
        let mut tail = Tail::open(config, topic).await?;
        loop {
            let mut records = tail.older(STEP).await?;
            if records.is_empty() {
                return Ok("beginning");
            }
            records.sort_by_key(|record| std::cmp::Reverse(record.timestamp));
            let mut has_room = false;
            for (at, record) in records.iter().enumerate() {
                has_room |= take(record, codec, memories).await;
                self.records += 1;
                self.bytes += record.value().map_or(0, <[u8]>::len);
                if at % TURN == 0 {
                    tokio::task::yield_now().await;
                }
            }
            if !has_room {
                return Ok("full");
            }
            if self.bytes > MAX_BYTES {
                return Ok("bytes");
            }
        }
    }
}

/// Puts a record into the memory of its feed; `false`: that one is full, or there is nothing to remember.
async fn take(record: &InRecord, codec: &Codec, memories: &HashMap<String, Arc<Memory>>) -> bool {
    let Some(value) = record.value() else { return false };
    // What cannot be read is for the normalizer to report.
    let Ok(message) = codec.decode::<InboundMessage>(value).await else { return false };
    let Some(memory) = memories.get(message.feed.as_str()) else { return false };
    let known = Known { received_at: message.received_at, code: AckCode::parse(message.ack_code.as_bytes()) };
    match message.body.content_type.as_str() {
        HL7_V2 => {}
        FHIR_JSON => {
            return memory.remember_older(fhir_control(&message.message_id), message.message_id, known);
        }
        _ => return false,
    }
    let Ok(bytes) = message.body.bytes() else { return false };
    let Ok(header) = Header::parse(&bytes) else { return false };
    memory.remember_older(control(&header), message.message_id, known)
}
