//! What the API and the metrics read from the books.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use futures_util::TryStreamExt as _;
use tokio_postgres::types::Json;
use uuid::Uuid;
use waybill_contracts::{MessageId, Timestamp, delivery::MessageState};
use waybill_delivery::{
    Waybill,
    balance::{Account, Counts, Sheet, hour_of},
    waybill::Standing,
};
use waybill_store::{Connection, Row, Store, StoreError, ToSql};

use crate::ledger::{BALANCE_COLUMNS, balance_of, of_text, state_text};

/// Recounting reads every message of the period.
const RECOUNT: Duration = Duration::from_mins(2);

/// A message as a list shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The message.
    pub id: MessageId,
    /// What is known of it.
    pub waybill: Waybill,
    /// Where it stands.
    pub standing: Standing,
    /// Since when.
    pub changed_at: Timestamp,
}

/// Which messages to list, newest first.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// In this state.
    pub state: Option<MessageState>,
    /// Of this feed.
    pub feed: Option<String>,
    /// With this MSH-10.
    pub control_id: Option<String>,
    /// Behind this one.
    pub after: Option<(Timestamp, MessageId)>,
    /// At most so many.
    pub limit: i64,
}

/// Messages by the filter, newest first.
pub async fn messages(store: &Store, filter: &Filter) -> Result<Vec<Entry>, StoreError> {
    let state = filter.state.map(state_text);
    let after = filter.after.map(|(at, id)| (at.as_millis(), id.as_uuid()));
    let mut sql = "SELECT id, waybill, state, reason, changed_at FROM message WHERE true".to_owned();
    let mut parameters: Vec<&(dyn ToSql + Sync)> = Vec::new();
    if let Some(state) = &state {
        parameters.push(state);
        let _ = write!(sql, " AND state = ${}", parameters.len());
        // Lets the planner use the index of what is not delivered.
        if filter.state != Some(MessageState::Delivered) {
            sql.push_str(" AND state <> 'DELIVERED'");
        }
    }
    if let Some(feed) = &filter.feed {
        parameters.push(feed);
        let _ = write!(sql, " AND feed = ${}", parameters.len());
    }
    if let Some(control_id) = &filter.control_id {
        parameters.push(control_id);
        let _ = write!(sql, " AND control_id = ${}", parameters.len());
    }
    if let Some((at, id)) = &after {
        parameters.push(at);
        parameters.push(id);
        let _ = write!(sql, " AND (accounted_at, id) < (${}, ${})", parameters.len() - 1, parameters.len());
    }
    parameters.push(&filter.limit);
    let _ = write!(sql, " ORDER BY accounted_at DESC, id DESC LIMIT ${}", parameters.len());
    store
        .bounded(async {
            let mut connection = store.connection().await?;
            let rows = connection.client()?.query(&sql, &parameters).await?;
            connection.release();
            rows.iter().map(entry).collect()
        })
        .await
}

/// One message.
pub async fn message(store: &Store, id: MessageId) -> Result<Option<Entry>, StoreError> {
    store
        .bounded(async {
            let mut connection = store.connection().await?;
            let row = connection
                .client()?
                .query_opt(
                    "SELECT id, waybill, state, reason, changed_at FROM message WHERE id = $1",
                    &[&id.as_uuid()],
                )
                .await?;
            connection.release();
            row.as_ref().map(entry).transpose()
        })
        .await
}

/// Messages on the books by state.
pub async fn messages_by_state(store: &Store) -> Result<BTreeMap<MessageState, i64>, StoreError> {
    store
        .bounded(async {
            let mut connection = store.connection().await?;
            let by_state = states(&mut connection, &Period::default()).await?;
            connection.release();
            Ok(by_state)
        })
        .await
}

/// Hours of a balance sheet, and a feed.
#[derive(Clone, Debug, Default)]
pub struct Period {
    /// From this hour on.
    pub from: Option<Timestamp>,
    /// Before this time; an hour that has begun counts whole.
    pub to: Option<Timestamp>,
    /// Of this feed.
    pub feed: Option<String>,
}

/// A balance sheet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Balance {
    /// Lines by account.
    pub rows: Vec<(Account, Counts)>,
    /// Messages by state.
    pub messages: BTreeMap<MessageState, i64>,
}

impl Balance {
    /// Sum of the rows.
    pub fn total(&self) -> Counts {
        let mut total = Counts::default();
        for (_, counts) in &self.rows {
            total += *counts;
        }
        total
    }

    /// Every row balances.
    pub fn is_balanced(&self) -> bool {
        self.rows.iter().all(|(_, counts)| counts.difference() == 0)
    }
}

/// The balance sheet as the totals say.
pub async fn balance(store: &Store, period: &Period) -> Result<Balance, StoreError> {
    store
        .bounded(async {
            let mut connection = store.connection().await?;
            let balance = totals(&mut connection, period).await?;
            connection.release();
            Ok(balance)
        })
        .await
}

/// The balance sheet as the totals say, and again counted from the messages themselves, at the same moment.
pub async fn recount(store: &Store, period: &Period) -> Result<(Balance, Balance), StoreError> {
    store
        .within(RECOUNT, async {
            let mut connection = store.connection().await?;
            let limit = RECOUNT.as_millis();
            connection
                .client()?
                .batch_execute(&format!(
                    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = {limit}"
                ))
                .await?;
            let totals = totals(&mut connection, period).await?;
            let counted = count(&mut connection, period).await?;
            connection.client()?.batch_execute("COMMIT").await?;
            connection.release();
            Ok((totals, counted))
        })
        .await
}

async fn totals(connection: &mut Connection, period: &Period) -> Result<Balance, StoreError> {
    let (from, to) = hours(period);
    let client = connection.client()?;
    let rows = client
        .query(
            &format!(
                "SELECT {BALANCE_COLUMNS} FROM balance WHERE hour >= $1 AND hour < $2 AND ($3::text IS NULL OR feed = $3)
                 ORDER BY hour, feed, topic, destination"
            ),
            &[&from, &to, &period.feed],
        )
        .await?;
    let rows = rows.iter().map(balance_of).collect::<Result<Vec<_>, _>>()?;
    let mut balance = Balance { rows, messages: states(connection, period).await? };
    // Rows that everything has left stay behind as zeros.
    balance.rows.retain(|(_, counts)| !counts.is_zero());
    Ok(balance)
}

async fn states(
    connection: &mut Connection,
    period: &Period,
) -> Result<BTreeMap<MessageState, i64>, StoreError> {
    let (from, to) = hours(period);
    let rows = connection
        .client()?
        .query(
            "SELECT state, sum(messages)::bigint FROM message_total
             WHERE hour >= $1 AND hour < $2 AND ($3::text IS NULL OR feed = $3)
             GROUP BY state HAVING sum(messages) <> 0",
            &[&from, &to, &period.feed],
        )
        .await?;
    rows.iter().map(|row| Ok((of_text(row.try_get(0)?)?, row.try_get(1)?))).collect()
}

async fn count(connection: &mut Connection, period: &Period) -> Result<Balance, StoreError> {
    let (from, to) = hours(period);
    let client = connection.client()?;
    let parameters: [&(dyn ToSql + Sync); 3] = [&from, &to, &period.feed];
    let stream = client
        .query_raw(
            "SELECT waybill, state FROM message
             WHERE accounted_at >= $1 AND accounted_at < $2 AND ($3::text IS NULL OR feed = $3)",
            parameters,
        )
        .await?;
    let mut stream = std::pin::pin!(stream);
    let (mut sheet, mut messages) = (Sheet::default(), BTreeMap::new());
    while let Some(row) = stream.try_next().await? {
        let Json(waybill): Json<Waybill> = row.try_get(0)?;
        let state: MessageState = of_text(row.try_get(1)?)?;
        sheet.add(&waybill);
        *messages.entry(state).or_default() += 1;
    }
    let rows: BTreeMap<_, _> = sheet
        .rows()
        .map(|(account, counts)| {
            let key =
                (account.hour, account.feed.clone(), account.topic.clone(), account.destination.clone());
            (key, (account.clone(), *counts))
        })
        .collect();
    Ok(Balance { rows: rows.into_values().collect(), messages })
}

/// Whole hours, in milliseconds.
fn hours(period: &Period) -> (i64, i64) {
    let from = period.from.map_or(i64::MIN, |from| hour_of(from).as_millis());
    let to = period.to.map_or(i64::MAX, |to| {
        let hour = hour_of(to);
        if hour == to { to } else { hour.saturating_add(Duration::from_hours(1)) }.as_millis()
    });
    (from, to)
}

fn entry(row: &Row) -> Result<Entry, StoreError> {
    let id: Uuid = row.try_get(0)?;
    let Json(waybill): Json<Waybill> = row.try_get(1)?;
    let standing = Standing { state: of_text(row.try_get(2)?)?, reason: row.try_get(3)? };
    let changed_at = Timestamp::from_millis(row.try_get(4)?);
    Ok(Entry { id: id.into(), waybill, standing, changed_at })
}
