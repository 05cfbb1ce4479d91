//! A producer without anything before it: the same records that the listener writes, written again to a topic with as
//! many partitions. What the listener takes longer is its own.

use std::{collections::HashMap, rc::Rc, time::Instant};

use anyhow::{Result, ensure};
use tokio::task::LocalSet;
use waybill_contracts::TopicName;
use waybill_kafka::{InRecord, OutRecord, Producer};

use crate::{
    cpu::Processes,
    load::{Measured, Meter, Window},
};

/// Records as the listener wrote them, for another topic.
pub(crate) struct Records(Vec<OutRecord>);

impl Records {
    pub(crate) fn copied(records: &[InRecord], topic: &TopicName) -> Result<Self> {
        ensure!(!records.is_empty(), "the listener wrote nothing that could be copied");
        let copy = |record: &InRecord| OutRecord {
            topic: topic.clone(),
            key: record.key().unwrap_or_default().to_vec(),
            headers: record
                .headers()
                .map(|(name, value)| (name.to_owned().into(), value.to_vec().into()))
                .collect(),
            value: record.value().unwrap_or_default().to_vec(),
            partition: None,
        };
        // In the order in which partitions take turns, as keys of many patients do: read back they came partition by partition.
        let mut ranks: HashMap<i32, usize> = HashMap::new();
        let mut ranked: Vec<_> = records
            .iter()
            .map(|record| {
                let rank = ranks.entry(record.partition).or_default();
                *rank += 1;
                (*rank, record)
            })
            .collect();
        ranked.sort_by_key(|(rank, _)| *rank);
        Ok(Self(ranked.into_iter().map(|(_, record)| copy(record)).collect()))
    }

    /// Mean size of a value in bytes.
    pub(crate) fn value_bytes(&self) -> usize {
        self.0.iter().map(|record| record.value.len()).sum::<usize>() / self.0.len().max(1)
    }
}

/// Runs one window with so many records in flight, each sent when the one before it is acknowledged.
pub(crate) async fn closed_loop(
    producer: &Producer,
    records: &Rc<Records>,
    in_flight: usize,
    window: Window,
    processes: Processes,
) -> Result<Measured> {
    let meter = Rc::new(Meter::default());
    let local = LocalSet::new();
    let lanes: Vec<_> = (0..in_flight)
        .map(|lane| {
            let (meter, producer, records) = (meter.clone(), producer.clone(), records.clone());
            local.spawn_local(async move {
                let mut next = records.0.iter().cycle().skip(lane);
                while !meter.stopped() {
                    let Some(record) = next.next().cloned() else { break };
                    let begun = Instant::now();
                    producer.send(vec![record]).await?;
                    meter.done(begun);
                }
                Ok::<_, anyhow::Error>(())
            })
        })
        .collect();
    local
        .run_until(async {
            let measured = meter.run(window, processes).await?;
            for lane in lanes {
                lane.await??;
            }
            Ok(measured)
        })
        .await
}
