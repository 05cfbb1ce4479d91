//! How far each partition of the input has been applied, kept in the same transaction as what was applied.

use deadpool_postgres::{GenericClient, Transaction};
use waybill_contracts::Timestamp;

use crate::{Migration, StoreError};

/// The offsets of one consumer group.
#[derive(Clone, Debug)]
pub struct Offsets {
    group: String,
}

/// A partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition {
    /// Topic as the cluster knows it.
    pub topic: String,
    /// Partition.
    pub partition: i32,
}

/// A step of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// The partition.
    pub partition: Partition,
    /// What must be stored before; `None`: nothing yet.
    pub previous: Option<i64>,
    /// What is stored after: the offset to go on at.
    pub next: i64,
}

/// What became of an advance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Advanced {
    /// It is stored with this transaction.
    Stored,
    /// Every partition stood there already: this very batch was committed before, and only the answer was lost.
    Already,
}

impl Offsets {
    /// Of a consumer group, with its namespace.
    pub fn new(group: impl Into<String>) -> Self {
        Self { group: group.into() }
    }

    /// The table, as a migration of the service that keeps offsets.
    pub const fn migration(version: i32) -> Migration {
        Migration {
            version,
            name: "input offsets",
            sql: "CREATE TABLE input_offset (
    consumer_group text NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    next_offset bigint,  -- null: nothing applied yet
    watermark bigint,    -- ms since the epoch: everything written up to then is applied
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (consumer_group, topic, partition)
);",
            compatible_from: 1,
        }
    }

    /// Where to go on, in the order asked for; `None` where nothing was applied yet.
    pub async fn load(
        &self,
        client: &impl GenericClient,
        partitions: &[Partition],
    ) -> Result<Vec<Option<i64>>, StoreError> {
        let (topics, numbers) = columns(partitions.iter());
        // The rows are made here, so that advancing is one conditional update and nothing else.
        let insert = client
            .prepare_cached(
                "INSERT INTO input_offset (consumer_group, topic, partition)
                 SELECT $1, topic, partition FROM unnest($2::text[], $3::int[]) AS asked (topic, partition)
                 ORDER BY topic, partition
                 ON CONFLICT DO NOTHING",
            )
            .await?;
        client.execute(&insert, &[&self.group, &topics, &numbers]).await?;
        let select = client
            .prepare_cached(
                "SELECT stored.next_offset
                 FROM unnest($2::text[], $3::int[]) WITH ORDINALITY AS asked (topic, partition, place)
                 LEFT JOIN input_offset AS stored ON stored.consumer_group = $1
                     AND stored.topic = asked.topic AND stored.partition = asked.partition
                 ORDER BY asked.place",
            )
            .await?;
        let rows = client.query(&select, &[&self.group, &topics, &numbers]).await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    /// Moves every partition of a batch, or none: each must stand where this owner left it. Do this first in the
    /// transaction: it locks the partitions against any other owner until the end.
    pub async fn advance(&self, tx: &Transaction<'_>, moves: &[Move]) -> Result<Advanced, StoreError> {
        let (topics, numbers) = columns(moves.iter().map(|step| &step.partition));
        let previous: Vec<Option<i64>> = moves.iter().map(|step| step.previous).collect();
        let next: Vec<i64> = moves.iter().map(|step| step.next).collect();
        let update = tx
            .prepare_cached(
                "UPDATE input_offset AS stored SET next_offset = step.next, updated_at = now()
                 FROM unnest($2::text[], $3::int[], $4::bigint[], $5::bigint[])
                     AS step (topic, partition, previous, next)
                 WHERE stored.consumer_group = $1
                     AND stored.topic = step.topic AND stored.partition = step.partition
                     AND stored.next_offset IS NOT DISTINCT FROM step.previous",
            )
            .await?;
        let moved = tx.execute(&update, &[&self.group, &topics, &numbers, &previous, &next]).await?;
        if moved == moves.len() as u64 {
            return Ok(Advanced::Stored);
        }
        let partitions: Vec<Partition> = moves.iter().map(|step| step.partition.clone()).collect();
        let found = self.load(tx, &partitions).await?;
        if moved == 0 && moves.iter().zip(&found).all(|(step, found)| *found == Some(step.next)) {
            return Ok(Advanced::Already);
        }
        // Those that moved stand at their next offset now; the others show what another owner left.
        match moves.iter().zip(found).find(|(step, found)| *found != Some(step.next)) {
            Some((step, found)) => Err(StoreError::Fenced {
                topic: step.partition.topic.clone(),
                partition: step.partition.partition,
                expected: step.previous,
                found,
            }),
            None => Err(StoreError::Unavailable { what: "offsets moved meanwhile".to_owned() }),
        }
    }

    /// Says that everything written up to `watermark` is applied, for those partitions that stand where this owner
    /// left them. It only grows.
    pub async fn read_up_to(
        &self,
        client: &impl GenericClient,
        standing: &[(Partition, Option<i64>)],
        watermark: Timestamp,
    ) -> Result<(), StoreError> {
        let (topics, numbers) = columns(standing.iter().map(|(partition, _)| partition));
        let offsets: Vec<Option<i64>> = standing.iter().map(|(_, next)| *next).collect();
        let update = client
            .prepare_cached(
                "UPDATE input_offset AS stored SET watermark = $5, updated_at = now()
                 FROM unnest($2::text[], $3::int[], $4::bigint[]) AS mine (topic, partition, next)
                 WHERE stored.consumer_group = $1
                     AND stored.topic = mine.topic AND stored.partition = mine.partition
                     AND stored.next_offset IS NOT DISTINCT FROM mine.next
                     AND (stored.watermark IS NULL OR stored.watermark < $5)",
            )
            .await?;
        client.execute(&update, &[&self.group, &topics, &numbers, &offsets, &watermark.as_millis()]).await?;
        Ok(())
    }

    /// The time up to which all of `partitions` are applied, by whichever replica; `None` while one is unknown.
    pub async fn low_watermark(
        &self,
        client: &impl GenericClient,
        partitions: &[Partition],
    ) -> Result<Option<Timestamp>, StoreError> {
        let (topics, numbers) = columns(partitions.iter());
        let select = client
            .prepare_cached(
                "SELECT count(*) = count(stored.watermark) AND count(*) > 0, min(stored.watermark)
                 FROM unnest($2::text[], $3::int[]) AS asked (topic, partition)
                 LEFT JOIN input_offset AS stored ON stored.consumer_group = $1
                     AND stored.topic = asked.topic AND stored.partition = asked.partition",
            )
            .await?;
        let row = client.query_one(&select, &[&self.group, &topics, &numbers]).await?;
        let (complete, watermark): (bool, Option<i64>) = (row.try_get(0)?, row.try_get(1)?);
        Ok(watermark.filter(|_| complete).map(Timestamp::from_millis))
    }
}

fn columns<'a>(partitions: impl Iterator<Item = &'a Partition>) -> (Vec<&'a str>, Vec<i32>) {
    partitions.map(|partition| (partition.topic.as_str(), partition.partition)).unzip()
}
