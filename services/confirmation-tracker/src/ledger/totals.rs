//! Totals: lines per account and messages per state, moved by differences.

use std::collections::BTreeMap;

use waybill_contracts::{Timestamp, delivery::MessageState};
use waybill_delivery::balance::{Account, Counts, Sheet, hour_of};
use waybill_store::{Row as Stored, StoreError, Transaction};

use super::{rows::Row, state_text};

/// Messages by hour, feed and state, as a difference.
#[derive(Debug, Default)]
pub(super) struct Totals(BTreeMap<(Timestamp, String, MessageState), i64>);

impl Totals {
    pub(super) fn add(&mut self, row: &Row) {
        self.count(row, 1);
    }

    pub(super) fn subtract(&mut self, row: &Row) {
        self.count(row, -1);
    }

    fn count(&mut self, row: &Row, by: i64) {
        let hour = hour_of(row.waybill.accounted_at());
        let feed = row.waybill.feed.clone().unwrap_or_default();
        *self.0.entry((hour, feed, row.standing.state)).or_default() += by;
    }
}

/// Adds the differences to what is stored, in one order for all replicas.
pub(super) async fn write(tx: &Transaction<'_>, sheet: &Sheet, totals: &Totals) -> Result<(), StoreError> {
    write_balance(tx, sheet).await?;
    let moved: Vec<_> = totals.0.iter().filter(|(_, by)| **by != 0).collect();
    if moved.is_empty() {
        return Ok(());
    }
    let upsert = tx
        .prepare_cached(
            "INSERT INTO message_total AS known (hour, feed, state, messages)
             SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[])
                 AS given (hour, feed, state, messages)
             ORDER BY hour, feed, state
             ON CONFLICT (hour, feed, state) DO UPDATE SET messages = known.messages + EXCLUDED.messages",
        )
        .await?;
    let hours: Vec<i64> = moved.iter().map(|((hour, _, _), _)| hour.as_millis()).collect();
    let feeds: Vec<&str> = moved.iter().map(|((_, feed, _), _)| feed.as_str()).collect();
    let states: Vec<&str> = moved.iter().map(|((_, _, state), _)| state_text(*state)).collect();
    let numbers: Vec<i64> = moved.iter().map(|(_, by)| **by).collect();
    tx.execute(&upsert, &[&hours, &feeds, &states, &numbers]).await?;
    Ok(())
}

async fn write_balance(tx: &Transaction<'_>, sheet: &Sheet) -> Result<(), StoreError> {
    let rows: Vec<(&Account, &Counts)> = sheet.rows().collect();
    if rows.is_empty() {
        return Ok(());
    }
    let upsert = tx
        .prepare_cached(
            "INSERT INTO balance AS known (hour, feed, topic, destination,
                 expected, confirmed, filtered, superseded, exceptions, open, overdue)
             SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[],
                 $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[])
                 AS given (hour, feed, topic, destination)
             ORDER BY hour, feed, topic, destination
             ON CONFLICT (hour, feed, topic, destination) DO UPDATE SET
                 expected = known.expected + EXCLUDED.expected,
                 confirmed = known.confirmed + EXCLUDED.confirmed,
                 filtered = known.filtered + EXCLUDED.filtered,
                 superseded = known.superseded + EXCLUDED.superseded,
                 exceptions = known.exceptions + EXCLUDED.exceptions,
                 open = known.open + EXCLUDED.open,
                 overdue = known.overdue + EXCLUDED.overdue",
        )
        .await?;
    let hours: Vec<i64> = rows.iter().map(|(account, _)| account.hour.as_millis()).collect();
    let feeds: Vec<&str> = rows.iter().map(|(account, _)| account.feed.as_str()).collect();
    let topics: Vec<&str> = rows.iter().map(|(account, _)| account.topic.as_str()).collect();
    let destinations: Vec<&str> = rows.iter().map(|(account, _)| account.destination.as_str()).collect();
    let column = |of: fn(&Counts) -> i64| rows.iter().map(|(_, counts)| of(counts)).collect::<Vec<i64>>();
    tx.execute(
        &upsert,
        &[
            &hours,
            &feeds,
            &topics,
            &destinations,
            &column(|counts| counts.expected),
            &column(|counts| counts.confirmed),
            &column(|counts| counts.filtered),
            &column(|counts| counts.superseded),
            &column(|counts| counts.exceptions),
            &column(|counts| counts.open),
            &column(|counts| counts.overdue),
        ],
    )
    .await?;
    Ok(())
}

/// Columns that [`balance_of`] reads, in its order.
pub(crate) const BALANCE_COLUMNS: &str =
    "hour, feed, topic, destination, expected, confirmed, filtered, superseded, exceptions, open, overdue";

/// A row of the table `balance`.
pub(crate) fn balance_of(row: &Stored) -> Result<(Account, Counts), StoreError> {
    let account = Account {
        hour: Timestamp::from_millis(row.try_get(0)?),
        feed: row.try_get(1)?,
        topic: row.try_get(2)?,
        destination: row.try_get(3)?,
    };
    let counts = Counts {
        expected: row.try_get(4)?,
        confirmed: row.try_get(5)?,
        filtered: row.try_get(6)?,
        superseded: row.try_get(7)?,
        exceptions: row.try_get(8)?,
        open: row.try_get(9)?,
        overdue: row.try_get(10)?,
    };
    Ok((account, counts))
}
