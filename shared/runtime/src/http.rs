//! Serving HTTP until told to stop.

use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Requests that are being answered when the stop comes get this long; a client that sits on a half-sent request must
/// not hold the process for the whole drain.
const GRACE: Duration = Duration::from_secs(5);

/// Binds an address; the error names what it was for and the address.
pub async fn bind(what: &str, address: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("{what}: cannot listen on {address}"))
}

/// Serves until the token is cancelled, then lets requests in progress finish, for at most 5 s.
pub async fn serve(listener: TcpListener, router: Router, shutdown: CancellationToken) -> anyhow::Result<()> {
    let patience = shutdown.clone();
    let server = axum::serve(listener, router).with_graceful_shutdown(shutdown.cancelled_owned());
    tokio::select! {
        served = server => served.context("HTTP server failed"),
        () = async { patience.cancelled().await; tokio::time::sleep(GRACE).await } => Ok(()),
    }
}
