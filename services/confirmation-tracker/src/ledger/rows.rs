//! Rows of the table `message`.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Serialize, de::DeserializeOwned};
use tokio_postgres::types::Json;
use uuid::Uuid;
use waybill_contracts::{MessageId, Timestamp, delivery::MessageState};
use waybill_delivery::{Waybill, waybill::Standing};
use waybill_store::{Row as Stored, StoreError, Transaction};

/// A message as stored: its waybill, and what follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) waybill: Waybill,
    pub(super) standing: Standing,
    pub(super) changed_at: Timestamp,
}

impl Row {
    /// Of a new message.
    pub(super) fn new(waybill: Waybill, now: Timestamp) -> Self {
        Self { standing: waybill.standing(), waybill, changed_at: now }
    }

    /// The row after a join; `None` when the join added nothing.
    pub(super) fn changed(&self, after: Waybill, now: Timestamp) -> Option<Self> {
        if self.waybill == after {
            return None;
        }
        let mut row = Self::new(after, now);
        if row.standing == self.standing {
            row.changed_at = self.changed_at;
        }
        Some(row)
    }
}

/// Which messages have a row. Nothing is locked.
pub(super) async fn known(
    tx: &Transaction<'_>,
    ids: impl Iterator<Item = &MessageId>,
) -> Result<BTreeSet<MessageId>, StoreError> {
    let ids: Vec<Uuid> = ids.map(MessageId::as_uuid).collect();
    let select = tx.prepare_cached("SELECT id FROM message WHERE id = ANY($1)").await?;
    tx.query(&select, &[&ids]).await?.iter().map(id_of).collect()
}

/// Reads and locks the rows there are, in the order of their ids.
pub(super) async fn lock<'a>(
    tx: &Transaction<'_>,
    ids: impl Iterator<Item = &'a MessageId>,
) -> Result<BTreeMap<MessageId, Row>, StoreError> {
    let ids: Vec<Uuid> = ids.map(MessageId::as_uuid).collect();
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let select = tx
        .prepare_cached(
            "SELECT id, waybill, state, reason, changed_at FROM message WHERE id = ANY($1) ORDER BY id FOR UPDATE",
        )
        .await?;
    tx.query(&select, &[&ids]).await?.iter().map(read).collect()
}

/// Reads and locks rows whose deadline has passed, without waiting for those that another replica has in hand.
pub(super) async fn lock_due(
    tx: &Transaction<'_>,
    watermark: Timestamp,
    limit: i64,
) -> Result<BTreeMap<MessageId, Row>, StoreError> {
    let select = tx
        .prepare_cached(
            "SELECT id, waybill, state, reason, changed_at FROM message WHERE next_deadline < $1
             ORDER BY next_deadline LIMIT $2 FOR UPDATE SKIP LOCKED",
        )
        .await?;
    tx.query(&select, &[&watermark.as_millis(), &limit]).await?.iter().map(read).collect()
}

/// Inserts new rows, in the order of their ids, and says which; another replica was faster with the others.
pub(super) async fn insert(
    tx: &Transaction<'_>,
    rows: &[(MessageId, Row)],
) -> Result<BTreeSet<MessageId>, StoreError> {
    if rows.is_empty() {
        return Ok(BTreeSet::new());
    }
    let statement = tx
        .prepare_cached(
            "INSERT INTO message
                 (id, waybill, feed, control_id, accounted_at, state, reason, changed_at, next_deadline)
             SELECT * FROM unnest($1::uuid[], $2::jsonb[], $3::text[], $4::text[], $5::bigint[], $6::text[],
                 $7::text[], $8::bigint[], $9::bigint[]) AS given (id)
             ORDER BY given.id
             ON CONFLICT (id) DO NOTHING
             RETURNING id",
        )
        .await?;
    write(tx, &statement, rows).await?.iter().map(id_of).collect()
}

/// Updates rows that are locked.
pub(super) async fn update(tx: &Transaction<'_>, rows: &[(MessageId, Row)]) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let statement = tx
        .prepare_cached(
            "UPDATE message SET waybill = given.waybill, feed = given.feed, control_id = given.control_id,
                 accounted_at = given.accounted_at, state = given.state, reason = given.reason,
                 changed_at = given.changed_at, next_deadline = given.next_deadline
             FROM unnest($1::uuid[], $2::jsonb[], $3::text[], $4::text[], $5::bigint[], $6::text[],
                 $7::text[], $8::bigint[], $9::bigint[])
                 AS given (id, waybill, feed, control_id, accounted_at, state, reason, changed_at, next_deadline)
             WHERE message.id = given.id",
        )
        .await?;
    write(tx, &statement, rows).await.map(drop)
}

async fn write(
    tx: &Transaction<'_>,
    statement: &tokio_postgres::Statement,
    rows: &[(MessageId, Row)],
) -> Result<Vec<Stored>, StoreError> {
    let ids: Vec<Uuid> = rows.iter().map(|(id, _)| id.as_uuid()).collect();
    let waybills: Vec<Json<&Waybill>> = rows.iter().map(|(_, row)| Json(&row.waybill)).collect();
    let feeds: Vec<&str> =
        rows.iter().map(|(_, row)| row.waybill.feed.as_deref().unwrap_or_default()).collect();
    let controls: Vec<Option<&str>> = rows.iter().map(|(_, row)| row.waybill.control_id.as_deref()).collect();
    let accounted: Vec<i64> = rows.iter().map(|(_, row)| row.waybill.accounted_at().as_millis()).collect();
    let states: Vec<&str> = rows.iter().map(|(_, row)| state_text(row.standing.state)).collect();
    let reasons: Vec<Option<&str>> = rows.iter().map(|(_, row)| row.standing.reason.as_deref()).collect();
    let changed: Vec<i64> = rows.iter().map(|(_, row)| row.changed_at.as_millis()).collect();
    let deadlines: Vec<Option<i64>> =
        rows.iter().map(|(_, row)| row.waybill.next_deadline().map(Timestamp::as_millis)).collect();
    let returned = tx
        .query(
            statement,
            &[&ids, &waybills, &feeds, &controls, &accounted, &states, &reasons, &changed, &deadlines],
        )
        .await?;
    Ok(returned)
}

fn id_of(row: &Stored) -> Result<MessageId, StoreError> {
    Ok(row.try_get::<_, Uuid>(0)?.into())
}

fn read(row: &Stored) -> Result<(MessageId, Row), StoreError> {
    let Json(waybill): Json<Waybill> = row.try_get(1)?;
    let standing = Standing { state: of_text(row.try_get(2)?)?, reason: row.try_get(3)? };
    let changed_at = Timestamp::from_millis(row.try_get(4)?);
    Ok((id_of(row)?, Row { waybill, standing, changed_at }))
}

/// States as they are stored, and as the records and the API name them.
pub(crate) const fn state_text(state: MessageState) -> &'static str {
    match state {
        MessageState::Open => "OPEN",
        MessageState::Delivered => "DELIVERED",
        MessageState::NoDestination => "NO_DESTINATION",
        MessageState::Overdue => "OVERDUE",
        MessageState::Exception => "EXCEPTION",
        MessageState::Refused => "REFUSED",
        MessageState::Resolved => "RESOLVED",
    }
}

/// An enumeration's name as its records carry it.
pub(super) fn text_of(value: &impl Serialize) -> Result<String, StoreError> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => Ok(text),
        _ => Err(StoreError::Unreadable { what: "name of an enumeration".to_owned() }),
    }
}

/// Reads what [`text_of`] or [`state_text`] wrote.
pub(crate) fn of_text<T: DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_value(serde_json::Value::String(text.to_owned()))
        .map_err(|_| StoreError::Unreadable { what: "name of an enumeration".to_owned() })
}
