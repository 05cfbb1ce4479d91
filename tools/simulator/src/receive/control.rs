//! Steering a receiver over HTTP: `GET /history`, `GET /stats`, `GET` and `PUT /behaviour`, `POST /down`, `POST /up`.
//!
//! Message contents never appear here: a history entry names a message by MSH-10 and hash.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use tokio::net::TcpListener;

use super::handle::Core;
use super::{Behaviour, Received, ReceiverStats};

/// Serves until the receiver is stopped; returns the address in use.
pub(super) fn serve(core: Arc<Core>, listener: TcpListener) -> std::io::Result<SocketAddr> {
    let addr = listener.local_addr()?;
    let stopped = core.stopped.clone();
    let router = Router::new()
        .route("/history", get(history))
        .route("/stats", get(stats))
        .route("/behaviour", get(behaviour).put(set_behaviour))
        .route("/down", post(down))
        .route("/up", post(up))
        .with_state(core);
    tokio::spawn(async move {
        let serving = axum::serve(listener, router).into_future();
        tokio::select! {
            () = stopped.cancelled() => {}
            // Serving ends only with the process or the token; accept errors are retried inside axum.
            _ = serving => {}
        }
    });
    Ok(addr)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HistoryQuery {
    /// Only entries with a greater number.
    #[serde(default)]
    after: u64,
}

async fn history(State(core): State<Arc<Core>>, Query(query): Query<HistoryQuery>) -> Json<Vec<Received>> {
    let ledger = core.ledger.lock();
    Json(ledger.history.iter().filter(|received| received.number > query.after).cloned().collect())
}

async fn stats(State(core): State<Arc<Core>>) -> Json<ReceiverStats> {
    Json(core.ledger.lock().stats.clone())
}

async fn behaviour(State(core): State<Arc<Core>>) -> Json<Behaviour> {
    Json(core.ledger.lock().behaviour().clone())
}

async fn set_behaviour(State(core): State<Arc<Core>>, Json(behaviour): Json<Behaviour>) -> StatusCode {
    core.ledger.lock().set_behaviour(behaviour);
    StatusCode::NO_CONTENT
}

async fn down(State(core): State<Arc<Core>>) -> StatusCode {
    core.down().await;
    StatusCode::NO_CONTENT
}

async fn up(State(core): State<Arc<Core>>) -> Result<StatusCode, (StatusCode, String)> {
    core.up()
        .await
        .map(|()| StatusCode::NO_CONTENT)
        .map_err(|error| (StatusCode::CONFLICT, error.to_string()))
}
