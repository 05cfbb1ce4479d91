//! The role `listen`: takes messages over MLLP and HTTP, stores each as one record, and answers when it is stored.
//!
//! A connection is let in by address, number and TLS here; what comes over it is for [`connection`] (MLLP) or [`http`].

mod allow;
mod budget;
mod connection;
mod exchange;
mod feed;
mod history;
mod http;
mod quiet;
mod recent;
mod store;
mod tls;
mod watched;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{allow::AllowList, connection::Connection, http::Site, tls::Tls};
pub(crate) use self::{
    allow::Network,
    budget::Budget,
    feed::OpenFeed,
    history::read_back,
    http::Tokens,
    store::{BrokerProbe, Schemas, Store},
};
use crate::config::Protocol;

/// Pause after an `accept` that failed: out of file descriptors passes, and must not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What all listeners of a process share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) store: Arc<Store>,
    pub(crate) budget: Budget,
}

/// A bound address with the feed, or the HTTP feeds, that come in by it.
pub(crate) struct Listener {
    socket: TcpListener,
    entrance: Arc<Entrance>,
}

/// What every connection of a listener needs.
struct Entrance {
    /// Its settings of connections count, and what happens to connections is counted as its.
    feed: Arc<OpenFeed>,
    allow: AllowList,
    tls: Option<Tls>,
    door: Door,
    shared: Shared,
}

/// What is behind the entrance.
enum Door {
    Mllp,
    Http(Site),
}

impl Listener {
    /// Binds an address: a port that is taken, and files that cannot be used, show at the start. Several feeds are HTTP
    /// feeds that share it.
    pub(crate) async fn bind(feeds: Vec<OpenFeed>, shared: Shared) -> anyhow::Result<Self> {
        let feeds: Vec<Arc<OpenFeed>> = feeds.into_iter().map(Arc::new).collect();
        let feed = feeds.first().context("a listener has a feed")?.clone();
        let settings = &feed.settings;
        let allow =
            AllowList::new(&settings.allow).with_context(|| format!("feed {}: allow", feed.feed.name))?;
        let open = |tls| Tls::open(&feed.feed.name, tls, settings.protocol);
        let tls = settings.tls.as_ref().map(open).transpose()?;
        let door = match settings.protocol {
            Protocol::Mllp => Door::Mllp,
            Protocol::Http => Door::Http(Site::open(&feeds, &shared)?),
        };
        let address = &settings.listen;
        let socket = TcpListener::bind(address)
            .await
            .with_context(|| format!("feed {}: cannot listen on {address}", feed.feed.name))?;
        let (protocol, is_encrypted) = (settings.protocol, tls.is_some());
        tracing::info!(feed = feed.feed.name, address = %socket.local_addr()?, ?protocol, tls = is_encrypted, "listener");
        let entrance = Arc::new(Entrance { feed, allow, tls, door, shared });
        Ok(Self { socket, entrance })
    }

    /// Serves connections until `shutdown`; returns when each has answered what it had read.
    pub(crate) async fn serve(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let Self { socket, entrance } = self;
        let connections = TaskTracker::new();
        let places = Arc::new(Semaphore::new(entrance.feed.settings.max_connections));
        loop {
            let accepted = tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                accepted = socket.accept() => accepted,
            };
            match accepted {
                Ok((_, peer)) if !entrance.allow.admits(peer.ip()) => {
                    entrance.feed.refuse_connection("address", peer);
                }
                Ok((stream, peer)) => match places.clone().try_acquire_owned() {
                    Ok(place) => {
                        let (entrance, shutdown) = (entrance.clone(), shutdown.clone());
                        connections.spawn(async move {
                            entrance.serve(stream, peer, &shutdown).await;
                            drop(place);
                        });
                    }
                    Err(_) => entrance.feed.refuse_connection("limit", peer),
                },
                Err(error) => {
                    tracing::warn!(feed = entrance.feed.feed.name, %error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(socket);
        connections.close();
        connections.wait().await;
        if let Door::Http(site) = &entrance.door {
            site.finish().await;
        }
        Ok(())
    }
}

impl Entrance {
    async fn serve(&self, stream: TcpStream, peer: SocketAddr, shutdown: &CancellationToken) {
        // Answers are small and waited for; without it a connection still works.
        let _ = stream.set_nodelay(true);
        self.feed.meters.connections.increment(1.0);
        tracing::debug!(feed = self.feed.feed.name, %peer, "connection opened");
        let end = match &self.tls {
            None => self.behind_the_door(stream, peer, shutdown).await,
            Some(tls) => {
                let shaken = tokio::select! {
                    shaken = tls.accept(stream) => Some(shaken),
                    () = shutdown.cancelled() => None,
                };
                match shaken {
                    None => "shutdown",
                    Some(Ok(stream)) => self.behind_the_door(stream, peer, shutdown).await,
                    Some(Err(refusal)) => {
                        self.feed.refuse_connection(refusal.as_str(), peer);
                        refusal.as_str()
                    }
                }
            }
        };
        self.feed.meters.connections.decrement(1.0);
        tracing::debug!(feed = self.feed.feed.name, %peer, end, "connection closed");
    }

    async fn behind_the_door<S>(
        &self,
        stream: S,
        peer: SocketAddr,
        shutdown: &CancellationToken,
    ) -> &'static str
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        match &self.door {
            Door::Http(site) => site.serve(stream, shutdown).await,
            Door::Mllp => {
                let connection = Connection::new(stream, &self.feed, &self.shared.store, &self.shared.budget);
                let end = connection.serve(shutdown).await;
                if end.is_refusal() {
                    self.feed.refuse_connection(end.as_str(), peer);
                }
                end.as_str()
            }
        }
    }
}
