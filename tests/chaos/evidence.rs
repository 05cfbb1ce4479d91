//! Collects what Kafka and the tracker say, for the referee.

use std::collections::{HashMap, HashSet};

use anyhow::{Context as _, Result};
use waybill_contracts::{
    Record,
    delivery::Status,
    inbound::{InboundMessage, InboundRejected},
};
use waybill_kafka::InRecord;
use waybill_testkit::{Topics, Tracker};

use crate::checker::{Stored, Verdict, digest};

/// Messages that the tracker's API is asked about one by one.
const ASKED: usize = 300;

/// All of `inbound.message`, as bytes came in.
pub(crate) async fn stored(topics: &Topics) -> Result<Vec<Stored>> {
    let stored = |(_, message): (InRecord, InboundMessage)| {
        let bytes = message.body.bytes().context("a stored body cannot be read")?;
        Ok(Stored { message_id: message.message_id.to_string(), digest: digest(&bytes) })
    };
    read::<InboundMessage>(topics, "inbound.message.v1").await?.into_iter().map(stored).collect()
}

/// Ids of what was refused at the door.
pub(crate) async fn refused(topics: &Topics) -> Result<HashSet<String>> {
    let records = read::<InboundRejected>(topics, "inbound.rejected.v1").await?;
    Ok(records.into_iter().map(|(_, message)| message.message_id.to_string()).collect())
}

/// The tracker's last word on each message.
pub(crate) async fn verdicts(topics: &Topics) -> Result<HashMap<String, Verdict>> {
    let mut verdicts = HashMap::new();
    // Records of a message stand in one partition, and partitions are read in order: the last one wins.
    for (_, status) in read::<Status>(topics, "delivery.status.v1").await? {
        let lines = status.lines.iter().map(|line| (line.destination.clone(), symbol(line.outcome)));
        let verdict = Verdict { state: symbol(status.state), lines: lines.collect() };
        verdicts.insert(status.message_id.to_string(), verdict);
    }
    Ok(verdicts)
}

/// What the tracker's API says of some messages, spread over the run.
pub(crate) async fn asked(tracker: &Tracker, stored: &[Stored]) -> Result<HashMap<String, String>> {
    let mut states = HashMap::new();
    for record in stored.iter().step_by(stored.len() / ASKED + 1) {
        let id = record.message_id.parse().context("a message id")?;
        let waybill = tracker.message(id).await?;
        let state = waybill.map_or_else(|| "unknown".to_owned(), |waybill| waybill.state());
        states.insert(record.message_id.clone(), state);
    }
    Ok(states)
}

async fn read<T: Record>(topics: &Topics, name: &str) -> Result<Vec<(InRecord, T)>> {
    let mut records = topics.decoded::<T>(name).await?;
    records.sort_by_key(|(record, _)| (record.partition, record.offset));
    Ok(records)
}

/// An enum's symbol as the schema spells it.
fn symbol(value: impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        _ => String::new(),
    }
}
