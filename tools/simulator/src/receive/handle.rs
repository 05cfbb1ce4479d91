//! The listening side: sockets, connections, and the handle that steers them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use time::OffsetDateTime;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::ledger::Ledger;
use super::{Behaviour, ReceiveConfig, Received, ReceiverStats, control};
use crate::frame::{FrameError, FrameReader, framed};

/// Starts receiving systems.
#[derive(Debug)]
pub struct Receiver;

impl Receiver {
    /// Binds the MLLP address, and the control address if there is one, and serves until the handle is stopped or
    /// dropped.
    ///
    /// # Errors
    /// When an address cannot be bound.
    pub async fn start(config: ReceiveConfig) -> std::io::Result<ReceiverHandle> {
        let listener = TcpListener::bind(config.listen).await?;
        let ledger = Ledger::new(config.behaviour, config.dedupe, config.keep_bytes);
        let core = Arc::new(Core {
            addr: listener.local_addr()?,
            ledger: Mutex::new(ledger),
            changed: watch::Sender::new(()),
            listening: tokio::sync::Mutex::new(None),
            stopped: CancellationToken::new(),
        });
        *core.listening.lock().await = Some(Listening::new(core.clone(), listener));
        let control_addr = match config.control {
            Some(addr) => Some(control::serve(core.clone(), TcpListener::bind(addr).await?)?),
            None => None,
        };
        Ok(ReceiverHandle { core, control_addr })
    }
}

/// A running receiver. Dropping it closes its sockets.
#[derive(Debug)]
pub struct ReceiverHandle {
    core: Arc<Core>,
    control_addr: Option<SocketAddr>,
}

impl ReceiverHandle {
    /// The MLLP address; the same after [`Self::down`] and [`Self::up`].
    pub fn addr(&self) -> SocketAddr {
        self.core.addr
    }

    /// The address of the control interface, if it has one.
    pub fn control_addr(&self) -> Option<SocketAddr> {
        self.control_addr
    }

    /// Exchanges the behaviour from the next message on; rule counters start anew.
    pub fn set_behaviour(&self, behaviour: Behaviour) {
        self.core.ledger.lock().set_behaviour(behaviour);
    }

    /// The behaviour in force.
    pub fn behaviour(&self) -> Behaviour {
        self.core.ledger.lock().behaviour().clone()
    }

    /// Closes all connections and refuses new ones, as a system that is down does.
    pub async fn down(&self) {
        self.core.down().await;
    }

    /// Listens again on the same address; does nothing when it already does.
    ///
    /// # Errors
    /// When somebody else took the address meanwhile.
    pub async fn up(&self) -> std::io::Result<()> {
        self.core.clone().up().await
    }

    /// Everything received so far, in order of arrival.
    pub fn history(&self) -> Vec<Received> {
        self.core.ledger.lock().history.clone()
    }

    /// The messages the receiving system has: each once, in order of arrival.
    pub fn taken(&self) -> Vec<Received> {
        self.core.ledger.lock().history.iter().filter(|r| r.taken && !r.duplicate).cloned().collect()
    }

    /// Counts since the start.
    pub fn stats(&self) -> ReceiverStats {
        self.core.ledger.lock().stats.clone()
    }

    /// Waits until the counts satisfy a condition, which is tried after every change.
    pub async fn wait_until(&self, mut condition: impl FnMut(&ReceiverStats) -> bool) {
        let mut changes = self.core.changed.subscribe();
        while !condition(&self.core.ledger.lock().stats) {
            // The sender lives in `core`, which this handle keeps alive.
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Closes everything and returns the history.
    pub async fn stop(self) -> Vec<Received> {
        self.core.down().await;
        self.history()
    }
}

impl Drop for ReceiverHandle {
    fn drop(&mut self) {
        self.core.stopped.cancel();
    }
}

pub(super) struct Core {
    addr: SocketAddr,
    pub(super) ledger: Mutex<Ledger>,
    changed: watch::Sender<()>,
    listening: tokio::sync::Mutex<Option<Listening>>,
    /// Ends the listener and the control interface when the handle is gone.
    pub(super) stopped: CancellationToken,
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core").field("addr", &self.addr).finish_non_exhaustive()
    }
}

struct Listening {
    cancel: CancellationToken,
    task: JoinHandle<()>,
}

impl Listening {
    fn new(core: Arc<Core>, listener: TcpListener) -> Self {
        let cancel = core.stopped.child_token();
        let task = tokio::spawn(accept(core, listener, cancel.clone()));
        Self { cancel, task }
    }
}

impl Core {
    pub(super) async fn down(&self) {
        if let Some(listening) = self.listening.lock().await.take() {
            listening.cancel.cancel();
            // The task ends by the cancellation; a panic in it would already have been reported.
            let _ = listening.task.await;
        }
        self.note(|ledger| ledger.stats.down = true);
    }

    pub(super) async fn up(self: Arc<Self>) -> std::io::Result<()> {
        let mut listening = self.listening.lock().await;
        if listening.is_none() {
            let listener = TcpListener::bind(self.addr).await?;
            *listening = Some(Listening::new(self.clone(), listener));
            self.note(|ledger| ledger.stats.down = false);
        }
        Ok(())
    }

    fn note<T>(&self, change: impl FnOnce(&mut Ledger) -> T) -> T {
        let result = change(&mut self.ledger.lock());
        self.changed.send_replace(());
        result
    }
}

/// Accepts until cancelled; then the listener and, with the set, every connection are dropped.
async fn accept(core: Arc<Core>, listener: TcpListener, cancel: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = cancel.cancelled() => break,
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        // Out of file handles: the pending connection stays in the backlog until one is free.
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let number = core.note(|ledger| {
            ledger.stats.connections += 1;
            ledger.stats.open += 1;
            ledger.stats.connections
        });
        let guard = Open(core.clone());
        connections.spawn(async move {
            converse(&guard.0, stream, number).await;
            drop(guard);
        });
    }
    connections.shutdown().await;
}

/// Counts a connection as closed however its task ends.
struct Open(Arc<Core>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.note(|ledger| ledger.stats.open -= 1);
    }
}

async fn converse(core: &Core, mut stream: TcpStream, connection: u64) {
    // Without it, small answers wait for the peer's delayed acknowledgement.
    let _ = stream.set_nodelay(true);
    let mut frames = FrameReader::default();
    loop {
        let message = match frames.next(&mut stream).await {
            Ok(message) => message,
            Err(FrameError::Closed | FrameError::Io(_)) => return,
            Err(FrameError::ClosedInside | FrameError::TooLong) => {
                core.note(|ledger| ledger.stats.malformed += 1);
                return;
            }
        };
        let answer = core.note(|ledger| ledger.receive(message, connection, OffsetDateTime::now_utc()));
        if answer.after_millis > 0 {
            tokio::time::sleep(Duration::from_millis(answer.after_millis)).await;
        }
        if let Some(ack) = answer.message
            && stream.write_all(&framed(&ack)).await.is_err()
        {
            return;
        }
        if answer.close {
            return;
        }
    }
}
