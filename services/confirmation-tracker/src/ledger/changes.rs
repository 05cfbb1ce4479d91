//! What follows from changed rows: totals, statuses, and what is told after the commit.

use waybill_contracts::{
    MessageId, Record as _, Timestamp,
    delivery::{MessageState, Status, StatusLine},
};
use waybill_delivery::{Waybill, balance::Sheet, waybill::Standing};
use waybill_store::{
    StoreError, Transaction,
    outbox::{self, Outgoing},
};

use super::{
    Transition,
    rows::Row,
    totals::{self, Totals},
};

/// Gathers the consequences of one transaction.
pub(super) struct Changes {
    now: Timestamp,
    sheet: Sheet,
    totals: Totals,
    transitions: Vec<Transition>,
    statuses: Vec<Outgoing>,
}

impl Changes {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            now,
            sheet: Sheet::default(),
            totals: Totals::default(),
            transitions: Vec::new(),
            statuses: Vec::new(),
        }
    }

    /// A row that was opened or changed.
    pub(super) fn add(
        &mut self,
        id: MessageId,
        before: Option<&Row>,
        row: &Row,
        traceparent: Option<String>,
    ) -> Result<(), StoreError> {
        if let Some(before) = before {
            self.sheet.subtract(&before.waybill);
            self.totals.subtract(before);
        }
        self.sheet.add(&row.waybill);
        self.totals.add(row);
        if before.is_some_and(|before| before.standing == row.standing) {
            return Ok(());
        }
        // That a message is open is said only when it was something else before.
        if before.is_some() || row.standing.state != MessageState::Open {
            self.statuses.push(outgoing(id, row, traceparent.clone(), self.now)?);
        }
        let (before, standing) = (before.map(|row| row.standing.state), row.standing.clone());
        self.transitions.push(Transition { id, before, standing, traceparent });
        Ok(())
    }

    /// Writes totals and statuses; what is to be told once this is committed.
    pub(super) async fn write(self, tx: &Transaction<'_>) -> Result<Vec<Transition>, StoreError> {
        totals::write(tx, &self.sheet, &self.totals).await?;
        outbox::enqueue(tx, &self.statuses).await?;
        Ok(self.transitions)
    }
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
fn status_of(id: MessageId, waybill: &Waybill, standing: &Standing, at: Timestamp) -> Status {
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
