//! Records to write to Kafka, enqueued in the transaction that made them and removed when the broker has them.
//!
//! One replica at a time empties the outbox, so that records of one key keep their order. A crash between the broker's
//! acknowledgement and the removal repeats records; their consumers must expect that, as everywhere.

use deadpool_postgres::Transaction;

use crate::{Migration, StoreError};

/// A record that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Topic without namespace.
    pub topic: String,
    /// Key.
    pub key: Vec<u8>,
    /// W3C trace context to send along.
    pub traceparent: Option<String>,
    /// What to write, as JSON; encoded when it is sent.
    pub body: String,
}

/// The table, as a migration of the service that has an outbox.
pub const fn migration(version: i32) -> Migration {
    Migration {
        version,
        name: "outbox",
        sql: "CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic text NOT NULL,
    key bytea NOT NULL,
    traceparent text,
    body text NOT NULL
);",
        compatible_from: 1,
    }
}

/// Enqueues records; they keep their order per key when whatever the key stands for is locked by the transaction.
pub async fn enqueue(tx: &Transaction<'_>, records: &[Outgoing]) -> Result<(), StoreError> {
    if records.is_empty() {
        return Ok(());
    }
    let insert = tx
        .prepare_cached(
            "INSERT INTO outbox (topic, key, traceparent, body)
             SELECT topic, key, traceparent, body
             FROM unnest($1::text[], $2::bytea[], $3::text[], $4::text[])
                 WITH ORDINALITY AS record (topic, key, traceparent, body, place)
             ORDER BY place",
        )
        .await?;
    let topics: Vec<&str> = records.iter().map(|record| record.topic.as_str()).collect();
    let keys: Vec<&[u8]> = records.iter().map(|record| record.key.as_slice()).collect();
    let parents: Vec<Option<&str>> = records.iter().map(|record| record.traceparent.as_deref()).collect();
    let bodies: Vec<&str> = records.iter().map(|record| record.body.as_str()).collect();
    tx.execute(&insert, &[&topics, &keys, &parents, &bodies]).await?;
    Ok(())
}

/// The oldest records with their ids, or `None` while another replica empties the outbox. The transaction stays open
/// until the broker has acknowledged them; then [`remove`] and commit.
pub async fn take(tx: &Transaction<'_>, limit: i64) -> Result<Option<Vec<(i64, Outgoing)>>, StoreError> {
    let lock = tx
        .prepare_cached(
            "SELECT pg_try_advisory_xact_lock(hashtextextended('waybill.outbox.' || current_schema(), 0))",
        )
        .await?;
    if !tx.query_one(&lock, &[]).await?.try_get::<_, bool>(0)? {
        return Ok(None);
    }
    let select = tx
        .prepare_cached("SELECT id, topic, key, traceparent, body FROM outbox ORDER BY id LIMIT $1")
        .await?;
    let rows = tx.query(&select, &[&limit]).await?;
    rows.iter()
        .map(|row| {
            let record = Outgoing {
                topic: row.try_get(1)?,
                key: row.try_get(2)?,
                traceparent: row.try_get(3)?,
                body: row.try_get(4)?,
            };
            Ok((row.try_get(0)?, record))
        })
        .collect::<Result<_, StoreError>>()
        .map(Some)
}

/// Removes what was sent.
pub async fn remove(tx: &Transaction<'_>, ids: &[i64]) -> Result<(), StoreError> {
    let delete = tx.prepare_cached("DELETE FROM outbox WHERE id = ANY($1)").await?;
    tx.execute(&delete, &[&ids]).await?;
    Ok(())
}
