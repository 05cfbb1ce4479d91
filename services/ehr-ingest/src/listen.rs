//! The role `listen`: takes messages over MLLP, stores each as one record, and answers when it is stored.

mod connection;
mod exchange;
mod feed;
mod quiet;
mod recent;
mod store;

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::connection::Connection;
pub(crate) use self::{
    feed::OpenFeed,
    store::{BrokerProbe, Schemas, Store},
};

/// Pause after an `accept` that failed: out of file descriptors passes, and must not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A bound listener of a feed.
pub(crate) struct Listener {
    feed: Arc<OpenFeed>,
    socket: TcpListener,
}

impl Listener {
    /// Binds the feed's address: a port that is taken shows at the start.
    pub(crate) async fn bind(feed: OpenFeed) -> anyhow::Result<Self> {
        let address = &feed.settings.listen;
        let socket = TcpListener::bind(address)
            .await
            .with_context(|| format!("feed {}: cannot listen on {address}", feed.feed.name))?;
        tracing::info!(feed = feed.feed.name, address = %socket.local_addr()?, "MLLP listener");
        Ok(Self { feed: Arc::new(feed), socket })
    }

    /// Serves connections until `shutdown`; returns when each has answered what it had read.
    pub(crate) async fn serve(self, store: Arc<Store>, shutdown: CancellationToken) -> anyhow::Result<()> {
        let connections = TaskTracker::new();
        let places = Arc::new(Semaphore::new(self.feed.settings.max_connections));
        loop {
            let accepted = tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                accepted = self.socket.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => match places.clone().try_acquire_owned() {
                    Ok(place) => {
                        let connection =
                            serve_one(stream, peer, self.feed.clone(), store.clone(), shutdown.clone());
                        connections.spawn(async move {
                            connection.await;
                            drop(place);
                        });
                    }
                    Err(_) => {
                        self.feed.meters.refused_connections.increment(1);
                        if let Some(unsaid) = self.feed.quiet.refused_connection.say(Instant::now()) {
                            tracing::warn!(feed = self.feed.feed.name, %peer, unsaid, "too many connections; closed one");
                        }
                    }
                },
                Err(error) => {
                    tracing::warn!(feed = self.feed.feed.name, %error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(self.socket);
        connections.close();
        connections.wait().await;
        Ok(())
    }
}

async fn serve_one(
    stream: TcpStream,
    peer: SocketAddr,
    feed: Arc<OpenFeed>,
    store: Arc<Store>,
    shutdown: CancellationToken,
) {
    // Answers are small and waited for; without it a connection still works.
    let _ = stream.set_nodelay(true);
    feed.meters.connections.increment(1.0);
    tracing::debug!(feed = feed.feed.name, %peer, "connection opened");
    let end = Connection::new(stream, &feed, &store).serve(&shutdown).await;
    feed.meters.connections.decrement(1.0);
    tracing::debug!(feed = feed.feed.name, %peer, end = end.as_str(), "connection closed");
}
