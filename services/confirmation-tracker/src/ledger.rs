//! The books: one row per message, changed only by joins, in the transaction that stores the input offsets.
//!
//! Any number of replicas may join records of the same message: a row is locked while it is read, joined and written.
//! Locks are taken in one order (offsets, messages by id, totals by key), so replicas cannot block each other for ever.

mod rows;
mod totals;

use std::collections::BTreeMap;

use waybill_contracts::{
    MessageId, Record as _, Timestamp,
    delivery::{MessageState, Status, StatusLine, Subscription},
};
use waybill_delivery::{Subscriptions, Waybill, balance::Sheet, record, waybill::Standing};
use waybill_store::{
    Advanced, GenericClient, Migration, Move, Offsets, Partition, Store, StoreError, Transaction, migrate,
    outbox::{self, Outgoing},
};

use self::{rows::Row, totals::Totals};

pub(crate) use self::rows::{of_text, state_text};
pub(crate) use self::totals::{BALANCE_COLUMNS, balance_of};

/// Messages looked at per transaction when deadlines pass.
const DUE_AT_ONCE: i64 = 1000;
/// Two replicas that open the same new messages at once: the one that comes second tries again and finds them.
const OPENING_TRIES: u32 = 5;

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

/// The database failed, or another replica came first.
enum Interrupted {
    Opening,
    Failed(StoreError),
}

impl From<StoreError> for Interrupted {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

impl From<tokio_postgres::Error> for Interrupted {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Failed(error.into())
    }
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
        for _ in 0..OPENING_TRIES {
            let tried = self.store.bounded(async {
                match self.try_apply(intake, moves, now).await {
                    Ok(transitions) => Ok(Some(transitions)),
                    Err(Interrupted::Opening) => Ok(None),
                    Err(Interrupted::Failed(error)) => Err(error),
                }
            });
            if let Some(transitions) = tried.await? {
                return Ok(transitions);
            }
        }
        Err(StoreError::Unavailable { what: "other replicas keep opening the same messages".to_owned() })
    }

    async fn try_apply(
        &self,
        intake: &Intake,
        moves: &[Move],
        now: Timestamp,
    ) -> Result<Vec<Transition>, Interrupted> {
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
        let mut known = rows::lock(&tx, intake.messages.keys()).await?;
        let mut changes = Vec::new();
        for (id, addition) in &intake.messages {
            let before = known.remove(id);
            let joined = before.as_ref().map(|row| row.waybill.clone()).unwrap_or_default();
            let mut after = joined.join(addition.waybill.clone());
            if addition.waybill.normalized.is_some() {
                after = record::claim(after, &subscriptions);
            }
            changes.push(Change { id: *id, before, after, traceparent: addition.traceparent.clone() });
        }
        let transitions = write(&tx, changes, now).await?;
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
        let passed = self.store.bounded(async {
            match self.try_pass(watermark, now).await {
                Ok(passed) => Ok(passed),
                // Only rows that are there are touched.
                Err(Interrupted::Opening) => Ok((Vec::new(), true)),
                Err(Interrupted::Failed(error)) => Err(error),
            }
        });
        passed.await
    }

    async fn try_pass(
        &self,
        watermark: Timestamp,
        now: Timestamp,
    ) -> Result<(Vec<Transition>, bool), Interrupted> {
        let mut connection = self.store.connection().await?;
        let tx = connection.begin().await?;
        let due = rows::lock_due(&tx, watermark, DUE_AT_ONCE).await?;
        let more = due.len() as i64 == DUE_AT_ONCE;
        let mut transitions = Vec::new();
        if !due.is_empty() {
            let subscriptions = subscriptions(&tx).await?;
            let changes = due.into_iter().map(|(id, before)| {
                let mut after = before.waybill.clone();
                // Its manifest may have been read before a subscription that was older than it.
                if after.is_unclaimed() {
                    after = record::claim(after, &subscriptions);
                }
                Change { id, before: Some(before), after: after.read_up_to(watermark), traceparent: None }
            });
            transitions = write(&tx, changes.collect(), now).await?;
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

struct Change {
    id: MessageId,
    before: Option<Row>,
    after: Waybill,
    traceparent: Option<String>,
}

/// Writes what changed: rows, totals, and the statuses that go out.
async fn write(
    tx: &Transaction<'_>,
    changes: Vec<Change>,
    now: Timestamp,
) -> Result<Vec<Transition>, Interrupted> {
    let (mut sheet, mut totals) = (Sheet::default(), Totals::default());
    let (mut new, mut changed) = (Vec::new(), Vec::new());
    let (mut transitions, mut statuses) = (Vec::new(), Vec::new());
    for Change { id, before, after, traceparent } in changes {
        let Some(row) = Row::changed(before.as_ref(), after, now) else { continue };
        if let Some(before) = &before {
            sheet.subtract(&before.waybill);
            totals.subtract(before);
        }
        sheet.add(&row.waybill);
        totals.add(&row);
        let before_state = before.as_ref().map(|row| row.standing.state);
        if before.as_ref().is_none_or(|before| before.standing != row.standing) {
            // That a message is open is said only when it was something else before.
            if before.is_some() || row.standing.state != MessageState::Open {
                statuses.push(outgoing(id, &row, traceparent.clone(), now)?);
            }
            let standing = row.standing.clone();
            transitions.push(Transition { id, before: before_state, standing, traceparent });
        }
        if before.is_some() { &mut changed } else { &mut new }.push((id, row));
    }
    if rows::insert(tx, &new).await? != new.len() as u64 {
        return Err(Interrupted::Opening);
    }
    rows::update(tx, &changed).await?;
    totals::write(tx, &sheet, &totals).await?;
    outbox::enqueue(tx, &statuses).await?;
    Ok(transitions)
}

fn outgoing(
    id: MessageId,
    row: &Row,
    traceparent: Option<String>,
    now: Timestamp,
) -> Result<Outgoing, StoreError> {
    let status = status_of(id, &row.waybill, &row.standing, now);
    let body =
        serde_json::to_string(&status).map_err(|_| StoreError::Unreadable { what: "status".to_owned() })?;
    Ok(Outgoing { topic: Status::TOPIC.to_owned(), key: id.as_bytes().to_vec(), traceparent, body })
}

/// A waybill as `delivery.status` tells it.
pub fn status_of(id: MessageId, waybill: &Waybill, standing: &Standing, at: Timestamp) -> Status {
    let lines = waybill.lines().map(|((event_id, event), destination, line)| StatusLine {
        event_id,
        topic: event.topic.as_ref().map_or("", |topic| topic.as_str()).to_owned(),
        destination: destination.to_owned(),
        outcome: line.outcome(),
        attempts: i32::try_from(line.attempts).unwrap_or(i32::MAX),
        reason_code: line.reason().map(str::to_owned),
        at: line.at(),
    });
    Status {
        message_id: id,
        feed: waybill.feed.clone().unwrap_or_default(),
        message_type: waybill.message_type.clone(),
        control_id: waybill.control_id.clone(),
        state: standing.state,
        reason_code: standing.reason.clone(),
        lines: lines.collect(),
        at,
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
