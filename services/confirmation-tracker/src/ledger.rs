//! The books: one row per message, changed only by joins, in the transaction that stores the input offsets.
//!
//! Any number of replicas may join records of the same message: a row is locked while it is read, joined and written.
//! Locks are taken in one order (offsets, new messages by id, known messages by id, totals by key), so replicas cannot
//! block each other for ever. Deadlines skip what is locked.

mod changes;
mod rows;
mod totals;

use std::collections::BTreeMap;

use waybill_contracts::{
    MessageId, Timestamp,
    delivery::{MessageState, Subscription},
};
use waybill_delivery::{Subscriptions, Waybill, record, waybill::Standing};
use waybill_store::{
    Advanced, GenericClient, Migration, Move, Offsets, Partition, Store, StoreError, Transaction, migrate,
    outbox,
};

use self::{changes::Changes, rows::Row};

pub(crate) use self::rows::{of_text, state_text};
pub(crate) use self::totals::{BALANCE_COLUMNS, balance_of};

/// Messages looked at per transaction when deadlines pass.
const DUE_AT_ONCE: i64 = 1000;

/// Changes of the schema.
pub const MIGRATIONS: [Migration; 3] = [
    Offsets::migration(1),
    outbox::migration(2),
    Migration {
        version: 3,
        name: "ledger",
        sql: include_str!("../migrations/0003_ledger.sql"),
        compatible_from: 1,
    },
];

/// What a batch of records says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Intake {
    /// Messages, each with what the batch adds to it.
    pub messages: BTreeMap<MessageId, Addition>,
    /// Declarations of subscribers.
    pub subscriptions: Vec<Subscription>,
}

/// What a batch adds to a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addition {
    /// To be joined.
    pub waybill: Waybill,
    /// Trace context of the last record.
    pub traceparent: Option<String>,
}

impl Intake {
    /// Adds a record of a message.
    pub fn add(&mut self, id: MessageId, mut waybill: Waybill, traceparent: Option<String>) {
        crate::text::keep(&mut waybill);
        let known = self.messages.entry(id).or_default();
        known.waybill = std::mem::take(&mut known.waybill).join(waybill);
        known.traceparent = traceparent.or(known.traceparent.take());
    }
}

/// A message whose state or reason changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The message.
    pub id: MessageId,
    /// Its state before; `None`: the message is new.
    pub before: Option<MessageState>,
    /// Where it stands now.
    pub standing: Standing,
    /// Trace context of the record that led to it, if one did.
    pub traceparent: Option<String>,
}

/// The books of one installation.
#[derive(Clone)]
pub struct Ledger {
    store: Store,
    offsets: Offsets,
}

impl Ledger {
    /// Over a database, with offsets under the consumer group's name.
    pub fn new(store: Store, group: impl Into<String>) -> Self {
        Self { store, offsets: Offsets::new(group) }
    }

    /// The database.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Makes or updates the tables.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        migrate(&self.store, &MIGRATIONS).await.map(drop)
    }

    /// Where each partition stands.
    pub async fn stored_offsets(&self, partitions: &[Partition]) -> Result<Vec<Option<i64>>, StoreError> {
        self.store
            .bounded(async {
                let mut connection = self.store.connection().await?;
                let offsets = self.offsets.load(connection.client()?, partitions).await?;
                connection.release();
                Ok(offsets)
            })
            .await
    }

    /// Joins a batch and moves the offsets, or does neither. The same batch again changes nothing.
    pub async fn apply(
        &self,
        intake: &Intake,
        moves: &[Move],
        now: Timestamp,
    ) -> Result<Vec<Transition>, StoreError> {
        self.store.bounded(self.join(intake, moves, now)).await
    }

    async fn join(
        &self,
        intake: &Intake,
        moves: &[Move],
        now: Timestamp,
    ) -> Result<Vec<Transition>, StoreError> {
        let mut connection = self.store.connection().await?;
        let tx = connection.begin().await?;
        if self.offsets.advance(&tx, moves).await? == Advanced::Already {
            tx.rollback().await?;
            connection.release();
            return Ok(Vec::new());
        }
        declare(&tx, &intake.subscriptions).await?;
        let claims = intake.messages.values().any(|addition| addition.waybill.normalized.is_some());
        let subscriptions = if claims { subscriptions(&tx).await? } else { Subscriptions::default() };
        let joined = |before: Waybill, addition: &Addition| {
            let after = before.join(addition.waybill.clone());
            if addition.waybill.normalized.is_some() { record::claim(after, &subscriptions) } else { after }
        };
        let mut changes = Changes::new(now);

        // New messages first. Of those that another replica opens at this moment, its transaction is waited for.
        let known = rows::known(&tx, intake.messages.keys()).await?;
        let new = intake.messages.iter().filter(|(id, _)| !known.contains(id));
        let new: Vec<(MessageId, Row)> =
            new.map(|(id, addition)| (*id, Row::new(joined(Waybill::default(), addition), now))).collect();
        let opened = rows::insert(&tx, &new).await?;
        for (id, row) in new.iter().filter(|(id, _)| opened.contains(id)) {
            changes.add(*id, None, row, intake.messages[id].traceparent.clone())?;
        }

        let locked = rows::lock(&tx, intake.messages.keys().filter(|id| !opened.contains(id))).await?;
        if opened.len() + locked.len() != intake.messages.len() {
            // A row vanished between the looks; the offsets must not pass what was not joined.
            return Err(StoreError::Unavailable { what: "rows were deleted meanwhile".to_owned() });
        }
        let mut changed = Vec::new();
        for (id, before) in locked {
            let addition = &intake.messages[&id];
            let Some(row) = before.changed(joined(before.waybill.clone(), addition), now) else { continue };
            changes.add(id, Some(&before), &row, addition.traceparent.clone())?;
            changed.push((id, row));
        }
        rows::update(&tx, &changed).await?;
        let transitions = changes.write(&tx).await?;
        tx.commit().await?;
        connection.release();
        Ok(transitions)
    }

    /// Everything written up to `watermark` is applied for `standing`, the partitions of this replica.
    pub async fn read_up_to(
        &self,
        standing: &[(Partition, Option<i64>)],
        watermark: Timestamp,
    ) -> Result<(), StoreError> {
        self.store
            .bounded(async {
                let mut connection = self.store.connection().await?;
                self.offsets.read_up_to(connection.client()?, standing, watermark).await?;
                connection.release();
                Ok(())
            })
            .await
    }

    /// The time up to which all of `partitions` are applied, by whichever replica.
    pub async fn watermark(&self, partitions: &[Partition]) -> Result<Option<Timestamp>, StoreError> {
        self.store
            .bounded(async {
                let mut connection = self.store.connection().await?;
                let watermark = self.offsets.low_watermark(connection.client()?, partitions).await?;
                connection.release();
                Ok(watermark)
            })
            .await
    }

    /// Looks again at messages whose deadline `watermark` has passed; up to a bound, and says whether there are more.
    pub async fn pass(
        &self,
        watermark: Timestamp,
        now: Timestamp,
    ) -> Result<(Vec<Transition>, bool), StoreError> {
        self.store.bounded(self.look_again(watermark, now)).await
    }

    async fn look_again(
        &self,
        watermark: Timestamp,
        now: Timestamp,
    ) -> Result<(Vec<Transition>, bool), StoreError> {
        let mut connection = self.store.connection().await?;
        let tx = connection.begin().await?;
        let due = rows::lock_due(&tx, watermark, DUE_AT_ONCE).await?;
        let more = due.len() as i64 == DUE_AT_ONCE;
        let mut transitions = Vec::new();
        if !due.is_empty() {
            let subscriptions = subscriptions(&tx).await?;
            let (mut changes, mut changed) = (Changes::new(now), Vec::new());
            for (id, before) in due {
                let mut after = before.waybill.clone();
                // Its manifest may have been read before a subscription that was older than it.
                if after.is_unclaimed() {
                    after = record::claim(after, &subscriptions);
                }
                let Some(row) = before.changed(after.read_up_to(watermark), now) else { continue };
                changes.add(id, Some(&before), &row, None)?;
                changed.push((id, row));
            }
            rows::update(&tx, &changed).await?;
            transitions = changes.write(&tx).await?;
        }
        tx.commit().await?;
        connection.release();
        Ok((transitions, more))
    }

    /// Joins declarations that were read apart from any batch.
    pub async fn declare(&self, declarations: &[Subscription]) -> Result<(), StoreError> {
        self.store
            .bounded(async {
                let mut connection = self.store.connection().await?;
                let tx = connection.begin().await?;
                declare(&tx, declarations).await?;
                tx.commit().await?;
                connection.release();
                Ok(())
            })
            .await
    }
}

async fn declare(tx: &Transaction<'_>, declarations: &[Subscription]) -> Result<(), StoreError> {
    let upsert = tx
        .prepare_cached(
            "INSERT INTO subscription AS known (topic, consumer, deadline_ms, service, version, state, at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT (topic, consumer) DO UPDATE SET deadline_ms = EXCLUDED.deadline_ms,
                 service = EXCLUDED.service, version = EXCLUDED.version, state = EXCLUDED.state, at = EXCLUDED.at
             WHERE known.at <= EXCLUDED.at",
        )
        .await?;
    let mut declarations: Vec<&Subscription> = declarations.iter().collect();
    declarations.sort_by_key(|one| (&one.topic, &one.consumer, one.at));
    for one in declarations {
        let state = rows::text_of(&one.state)?;
        let at = one.at.as_millis();
        tx.execute(
            &upsert,
            &[&one.topic, &one.consumer, &one.deadline_ms, &one.service, &one.version, &state, &at],
        )
        .await?;
    }
    Ok(())
}

async fn subscriptions(client: &impl GenericClient) -> Result<Subscriptions, StoreError> {
    let select = client
        .prepare_cached("SELECT topic, consumer, deadline_ms, service, version, state, at FROM subscription")
        .await?;
    let rows = client.query(&select, &[]).await?;
    let declarations = rows.iter().map(|row| {
        Ok(Subscription {
            topic: row.try_get(0)?,
            consumer: row.try_get(1)?,
            deadline_ms: row.try_get(2)?,
            service: row.try_get(3)?,
            version: row.try_get(4)?,
            state: rows::of_text(row.try_get(5)?)?,
            at: Timestamp::from_millis(row.try_get(6)?),
        })
    });
    let declarations: Vec<Subscription> = declarations.collect::<Result<_, StoreError>>()?;
    Ok(declarations.iter().collect())
}
