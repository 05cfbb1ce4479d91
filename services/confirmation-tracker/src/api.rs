//! Where a message is, and whether the balance is zero, over HTTP. `api/openapi.json` describes it; a test holds both
//! together. Errors are `application/problem+json` (RFC 9457).

mod problem;
mod view;

use axum::{
    Json, Router,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Deserialize;
use tokio::sync::watch;
use waybill_contracts::{MessageId, Timestamp, delivery::MessageState};
use waybill_store::Partition;

use self::{
    problem::Problem,
    view::{BalanceView, MessageList, MessageView},
};
use crate::{
    ledger::{Ledger, of_text},
    queries::{self, Filter, Period},
    text,
};

/// The description of the API.
pub const OPENAPI: &str = include_str!("api/openapi.json");

/// Messages in one answer, unless asked otherwise, and at most.
const LIMIT: (i64, i64) = (100, 1000);

/// What the API reads from.
#[derive(Clone)]
pub struct Books {
    /// The books.
    pub ledger: Ledger,
    /// Partitions that the watermark stands for; empty until they are known.
    pub partitions: watch::Receiver<Vec<Partition>>,
}

/// The routes.
pub fn router(books: Books) -> Router {
    Router::new()
        .route("/api/openapi.json", get(openapi))
        .route("/api/v1/messages", get(messages))
        .route("/api/v1/messages/{id}", get(message))
        .route("/api/v1/balance", get(balance))
        .fallback(async || Problem::not_found("there is nothing at this path"))
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .with_state(books)
}

async fn openapi() -> Response {
    let json = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, json)], OPENAPI).into_response()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MessagesQuery {
    state: Option<String>,
    feed: Option<String>,
    control_id: Option<String>,
    limit: Option<i64>,
    after: Option<String>,
}

async fn messages(
    State(books): State<Books>,
    query: Result<Query<MessagesQuery>, QueryRejection>,
) -> Result<Json<MessageList>, Problem> {
    let Query(query) = query?;
    let limit = query.limit.unwrap_or(LIMIT.0);
    if !(1..=LIMIT.1).contains(&limit) {
        return Err(Problem::bad_request("limit is a number from 1 to 1000"));
    }
    let filter = Filter {
        state: query.state.as_deref().map(state).transpose()?,
        feed: query.feed.map(text::kept),
        control_id: query.control_id.map(text::kept),
        after: query.after.as_deref().map(cursor).transpose()?,
        limit,
    };
    let entries = queries::messages(books.ledger.store(), &filter).await?;
    let last = entries.last().filter(|_| entries.len() as i64 == limit);
    let next = last.map(|entry| format!("{}.{}", entry.waybill.accounted_at().as_millis(), entry.id));
    Ok(Json(MessageList { messages: entries.iter().map(view::summary).collect(), next }))
}

async fn message(State(books): State<Books>, Path(id): Path<String>) -> Result<Json<MessageView>, Problem> {
    let id: MessageId = id.parse().map_err(|_| Problem::bad_request("a message id is a UUID"))?;
    match queries::message(books.ledger.store(), id).await? {
        Some(entry) => Ok(Json(view::message(&entry))),
        None => Err(Problem::not_found("no message with this id is on the books")),
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BalanceQuery {
    from: Option<String>,
    to: Option<String>,
    feed: Option<String>,
    verify: Option<bool>,
}

async fn balance(
    State(books): State<Books>,
    query: Result<Query<BalanceQuery>, QueryRejection>,
) -> Result<Json<BalanceView>, Problem> {
    let Query(query) = query?;
    let period = Period {
        from: query.from.as_deref().map(time).transpose()?,
        to: query.to.as_deref().map(time).transpose()?,
        feed: query.feed.map(text::kept),
    };
    let store = books.ledger.store();
    let (totals, counted) = if query.verify == Some(true) {
        let (totals, counted) = queries::recount(store, &period).await?;
        (totals, Some(counted))
    } else {
        (queries::balance(store, &period).await?, None)
    };
    let partitions = books.partitions.borrow().clone();
    let watermark = books.ledger.watermark(&partitions).await?;
    Ok(Json(view::balance(&period, &totals, counted.as_ref(), watermark, Timestamp::now())))
}

fn state(name: &str) -> Result<MessageState, Problem> {
    of_text(&name.to_ascii_uppercase()).map_err(|_| {
        Problem::bad_request(
            "state is one of OPEN, DELIVERED, NO_DESTINATION, OVERDUE, EXCEPTION, REFUSED and RESOLVED",
        )
    })
}

fn time(text: &str) -> Result<Timestamp, Problem> {
    Timestamp::parse_rfc3339(text).ok_or_else(|| Problem::bad_request("from and to are times as in RFC 3339"))
}

fn cursor(text: &str) -> Result<(Timestamp, MessageId), Problem> {
    let parts = text.split_once('.').and_then(|(at, id)| Some((at.parse().ok()?, id.parse().ok()?)));
    let (at, id) = parts.ok_or_else(|| Problem::bad_request("after is the `next` of an earlier answer"))?;
    Ok((Timestamp::from_millis(at), id))
}
