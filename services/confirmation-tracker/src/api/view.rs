//! What the API shows, field by field; `openapi.json` documents each.

use std::collections::BTreeMap;

use serde::Serialize;
use waybill_contracts::{
    EventId, MessageId, Timestamp,
    delivery::{MessageState, Outcome},
};
use waybill_delivery::{
    balance::{Account, Counts},
    line::{Due, Line},
    waybill::{Event, EventTopic},
};

use crate::{
    ledger::state_text,
    queries::{Balance, Entry, Period},
};

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MessageList {
    pub(crate) messages: Vec<MessageSummary>,
    pub(crate) next: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MessageSummary {
    message_id: MessageId,
    trace_id: String,
    feed: Option<String>,
    message_type: Option<String>,
    control_id: Option<String>,
    received_at: Option<String>,
    state: MessageState,
    reason_code: Option<String>,
    changed_at: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MessageView {
    #[serde(flatten)]
    summary: MessageSummary,
    first_seen_at: Option<String>,
    normalized_at: Option<String>,
    next_deadline: Option<String>,
    events: Vec<EventView>,
    lines: Vec<LineView>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct EventView {
    event_id: EventId,
    topic: Option<String>,
    lines: usize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LineView {
    event_id: EventId,
    topic: Option<String>,
    destination: String,
    outcome: Outcome,
    overdue: bool,
    attempts: u32,
    reason_code: Option<String>,
    acknowledgement: Option<String>,
    outbound_control_id: Option<String>,
    at: Option<String>,
    first_receipt_at: Option<String>,
    last_receipt_at: Option<String>,
    deadline: Option<String>,
    announced: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BalanceView {
    from: Option<String>,
    to: Option<String>,
    feed: Option<String>,
    balanced: bool,
    verified: Option<bool>,
    watermark: Option<String>,
    lag_seconds: Option<f64>,
    messages: MessageTotals,
    total: CountsView,
    rows: Vec<BalanceRow>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct MessageTotals {
    total: i64,
    by_state: BTreeMap<&'static str, i64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct BalanceRow {
    hour: String,
    feed: String,
    topic: String,
    destination: String,
    #[serde(flatten)]
    counts: CountsView,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct CountsView {
    expected: i64,
    confirmed: i64,
    filtered: i64,
    superseded: i64,
    exceptions: i64,
    open: i64,
    overdue: i64,
    difference: i64,
}

pub(crate) fn summary(entry: &Entry) -> MessageSummary {
    let waybill = &entry.waybill;
    MessageSummary {
        message_id: entry.id,
        trace_id: entry.id.trace_id(),
        feed: waybill.feed.clone(),
        message_type: waybill.message_type.clone(),
        control_id: waybill.control_id.clone(),
        received_at: text(waybill.received_at),
        state: entry.standing.state,
        reason_code: entry.standing.reason.clone(),
        changed_at: entry.changed_at.to_rfc3339(),
    }
}

pub(crate) fn message(entry: &Entry) -> MessageView {
    let waybill = &entry.waybill;
    let events = waybill.events.iter().map(|(id, event)| EventView {
        event_id: *id,
        topic: topic(event),
        lines: event.lines.len(),
    });
    MessageView {
        summary: summary(entry),
        first_seen_at: text(waybill.first_seen),
        normalized_at: text(waybill.normalized.as_ref().map(|normalized| normalized.first_at)),
        next_deadline: text(waybill.next_deadline()),
        events: events.collect(),
        lines: waybill
            .lines()
            .map(|((id, event), destination, line)| {
                line_view(id, event, destination, line, waybill.watermark)
            })
            .collect(),
    }
}

fn line_view(
    id: EventId,
    event: &Event,
    destination: &str,
    line: &Line,
    watermark: Option<Timestamp>,
) -> LineView {
    let evidence = line.evidence.as_ref();
    LineView {
        event_id: id,
        topic: topic(event),
        destination: destination.to_owned(),
        outcome: line.outcome(),
        overdue: line.is_overdue(watermark),
        attempts: line.attempts,
        reason_code: line.reason().map(str::to_owned),
        acknowledgement: evidence.and_then(|evidence| evidence.acknowledgement.clone()),
        outbound_control_id: evidence.and_then(|evidence| evidence.outbound_control_id.clone()),
        at: text(line.at()),
        first_receipt_at: text(line.first_at),
        last_receipt_at: text(line.last_at),
        deadline: text(line.due.map(Due::at)),
        announced: matches!(line.due, Some(Due::Deadline(_))),
    }
}

pub(crate) fn balance(
    period: &Period,
    totals: &Balance,
    counted: Option<&Balance>,
    watermark: Option<Timestamp>,
    now: Timestamp,
) -> BalanceView {
    let verified = counted.map(|counted| same(totals, counted));
    BalanceView {
        from: text(period.from),
        to: text(period.to),
        feed: period.feed.clone(),
        balanced: totals.is_balanced() && verified != Some(false),
        verified,
        watermark: text(watermark),
        lag_seconds: watermark.map(|read| now.since(read).as_secs_f64()),
        messages: MessageTotals {
            total: totals.messages.values().sum(),
            by_state: totals.messages.iter().map(|(state, number)| (state_text(*state), *number)).collect(),
        },
        total: counts(&totals.total()),
        rows: totals.rows.iter().map(row).collect(),
    }
}

/// The database sorts by its own collation; the accounts are what counts.
fn same(totals: &Balance, counted: &Balance) -> bool {
    let rows = |balance: &Balance| -> BTreeMap<Account, Counts> { balance.rows.iter().cloned().collect() };
    rows(totals) == rows(counted) && totals.messages == counted.messages
}

fn row((account, row): &(Account, Counts)) -> BalanceRow {
    BalanceRow {
        hour: account.hour.to_rfc3339(),
        feed: account.feed.clone(),
        topic: account.topic.clone(),
        destination: account.destination.clone(),
        counts: counts(row),
    }
}

fn counts(counts: &Counts) -> CountsView {
    CountsView {
        expected: counts.expected,
        confirmed: counts.confirmed,
        filtered: counts.filtered,
        superseded: counts.superseded,
        exceptions: counts.exceptions,
        open: counts.open,
        overdue: counts.overdue,
        difference: counts.difference(),
    }
}

fn topic(event: &Event) -> Option<String> {
    event.topic.as_ref().map(EventTopic::as_str).map(str::to_owned)
}

fn text(at: Option<Timestamp>) -> Option<String> {
    at.map(Timestamp::to_rfc3339)
}
