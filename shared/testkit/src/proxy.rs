//! A TCP proxy that can be cut: how a test takes the broker, the registry or the database away from one installation
//! without touching it for anybody else.

use std::{net::SocketAddr, sync::Arc};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};
use tokio_util::sync::CancellationToken;

use crate::ports;

/// Frames of Kafka above this are not frames.
const MAX_FRAME: usize = 128 << 20;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Plain,
    Kafka,
}

/// A proxy on loopback in front of one address. It starts open unless said otherwise.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    upstream: SocketAddr,
    protocol: Protocol,
    /// Of the listener and the connections since it was opened; `None` while it is closed.
    open: Mutex<Option<CancellationToken>>,
    held: watch::Sender<Held>,
}

/// What does not get through, although the connections stay: each holds what the ones before it do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Held {
    Nothing,
    Answers,
    Everything,
}

impl std::fmt::Debug for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if *self == Self::Kafka { "Kafka" } else { "Plain" })
    }
}

impl Proxy {
    /// In front of any TCP server.
    pub async fn plain(upstream: SocketAddr) -> anyhow::Result<Self> {
        Self::new(upstream, Protocol::Plain).await
    }

    /// In front of a broker. A client asks the first broker for the addresses of all and goes there; so the broker's
    /// own address in its answers is replaced by the proxy's. Both are IPv4 text of one length with a 32-bit port, so
    /// no frame changes its size.
    pub async fn kafka(upstream: SocketAddr) -> anyhow::Result<Self> {
        anyhow::ensure!(
            upstream.ip().to_string() == "127.0.0.1",
            "a broker on loopback is needed, not {upstream}"
        );
        Self::new(upstream, Protocol::Kafka).await
    }

    async fn new(upstream: SocketAddr, protocol: Protocol) -> anyhow::Result<Self> {
        let proxy = Self {
            address: ports::free()?,
            upstream,
            protocol,
            open: Mutex::default(),
            held: watch::Sender::new(Held::Nothing),
        };
        proxy.open().await?;
        Ok(proxy)
    }

    /// Where it listens while it is open.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Refuses new connections and drops those there are, as when the server is gone.
    pub fn close(&self) {
        if let Some(open) = self.open.lock().take() {
            open.cancel();
        }
    }

    /// Serves again.
    pub async fn open(&self) -> anyhow::Result<()> {
        if self.open.lock().is_some() {
            return Ok(());
        }
        // The old listener may take a moment to go.
        let listener =
            crate::eventually("the proxy's port is free", std::time::Duration::from_secs(5), async || {
                Ok(TcpListener::bind(self.address).await?)
            });
        let listener = listener.await?;
        let token = CancellationToken::new();
        *self.open.lock() = Some(token.clone());
        let route = Arc::new(Route {
            upstream: self.upstream,
            rewrite: (self.protocol == Protocol::Kafka)
                .then(|| Rewrite::new(self.upstream.port(), self.address.port())),
            held: self.held.subscribe(),
            closed: token.clone(),
        });
        tokio::spawn(async move {
            let accepting = async {
                while let Ok((client, _)) = listener.accept().await {
                    let (route, token) = (Arc::clone(&route), token.clone());
                    tokio::spawn(async move {
                        tokio::select! {
                            () = token.cancelled() => {}
                            () = route.serve(client) => {}
                        }
                    });
                }
            };
            tokio::select! {
                () = token.cancelled() => {}
                () = accepting => {}
            }
        });
        Ok(())
    }

    /// Connections stay open and new ones are accepted, but no byte gets through: a hanging server or a half-open link.
    pub fn freeze(&self) {
        self.held.send_replace(Held::Everything);
    }

    /// What the client says gets through, and no answer comes back: with [`close`](Self::close) after it, a server that did
    /// what it was asked and cannot say so.
    pub fn hold_answers(&self) {
        self.held.send_replace(Held::Answers);
    }

    /// Bytes get through again, those held back first.
    pub fn thaw(&self) {
        self.held.send_replace(Held::Nothing);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.close();
    }
}

struct Route {
    upstream: SocketAddr,
    rewrite: Option<Rewrite>,
    held: watch::Receiver<Held>,
    /// Whoever serves a connection ends with it.
    closed: CancellationToken,
}

impl Route {
    async fn serve(&self, client: TcpStream) {
        let Ok(server) = TcpStream::connect(self.upstream).await else { return };
        for stream in [&client, &server] {
            let _ = stream.set_nodelay(true);
        }
        let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
        // One end gone: both are.
        tokio::select! {
            () = self.pump(from_client, to_server, Held::Everything) => {}
            () = async {
                match self.rewrite {
                    Some(rewrite) => self.pump_frames(from_server, to_client, rewrite).await,
                    None => self.pump(from_server, to_client, Held::Answers).await,
                }
            } => {}
        }
    }

    /// Waits until nothing is held of a direction that is held from `least` on.
    async fn passable(&self, least: Held) {
        let mut held = self.held.clone();
        // The proxy itself is gone: then its connections end by the token.
        let _ = held.wait_for(|held| *held < least).await;
        // What was held when the proxy was closed is lost, even if it thaws before its connection has ended.
        if self.closed.is_cancelled() {
            std::future::pending::<()>().await;
        }
    }

    async fn pump(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf, least: Held) {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let Ok(count) = from.read(&mut buffer).await else { return };
            self.passable(least).await;
            if count == 0 {
                let _ = to.shutdown().await;
                // The other direction may still have something to say.
                std::future::pending::<()>().await;
            }
            if to.write_all(&buffer[..count]).await.is_err() {
                return;
            }
        }
    }

    async fn pump_frames(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf, rewrite: Rewrite) {
        loop {
            let Ok(size) = from.read_u32().await else { return };
            if size as usize > MAX_FRAME {
                let _ = copy(&mut from, &mut to).await;
                return;
            }
            let mut frame = vec![0; 4 + size as usize];
            frame[..4].copy_from_slice(&size.to_be_bytes());
            if from.read_exact(&mut frame[4..]).await.is_err() {
                return;
            }
            rewrite.apply(&mut frame[4..]);
            self.passable(Held::Answers).await;
            if to.write_all(&frame).await.is_err() {
                return;
            }
        }
    }
}

/// Replaces `127.0.0.1` + port, as Kafka's answers write a broker's address.
#[derive(Clone, Copy)]
struct Rewrite {
    from: [u8; 13],
    to: [u8; 4],
}

impl Rewrite {
    fn new(from: u16, to: u16) -> Self {
        let mut pattern = *b"127.0.0.1\0\0\0\0";
        pattern[9..].copy_from_slice(&u32::from(from).to_be_bytes());
        Self { from: pattern, to: u32::from(to).to_be_bytes() }
    }

    fn apply(&self, frame: &mut [u8]) {
        let mut at = 0;
        while at + self.from.len() <= frame.len() {
            if frame[at] == b'1' && frame[at..].starts_with(&self.from) {
                frame[at + 9..at + 13].copy_from_slice(&self.to);
                at += self.from.len();
            } else {
                at += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn only_the_brokers_address_is_rewritten() {
        let mut frame = b"x127.0.0.1\0\0\x23\x84y127.0.0.1\0\0\x23\x85".to_vec();
        Rewrite::new(9092, 20_000).apply(&mut frame);
        assert_eq!(frame, b"x127.0.0.1\0\0\x4e\x20y127.0.0.1\0\0\x23\x85");
    }

    #[tokio::test]
    async fn can_be_cut_and_opened_again() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = server.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = server.accept().await {
                tokio::spawn(async move {
                    let (mut read, mut write) = stream.split();
                    let _ = copy(&mut read, &mut write).await;
                });
            }
        });
        let proxy = Proxy::plain(upstream).await.unwrap();
        let mut client = TcpStream::connect(proxy.address()).await.unwrap();
        let mut answer = [0; 2];
        client.write_all(b"hi").await.unwrap();
        client.read_exact(&mut answer).await.unwrap();

        proxy.freeze();
        client.write_all(b"ho").await.unwrap();
        let silent = tokio::time::timeout(Duration::from_millis(50), client.read_exact(&mut answer)).await;
        assert!(silent.is_err(), "{answer:?}");
        proxy.thaw();
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"ho", "what was held back");

        proxy.close();
        assert_eq!(client.read_to_end(&mut Vec::new()).await.unwrap_or(0), 0);
        crate::eventually("connections are refused", Duration::from_secs(2), async || {
            if TcpStream::connect(proxy.address()).await.is_ok() {
                crate::pending("accepted")
            } else {
                Ok(())
            }
        })
        .await
        .unwrap();
        proxy.open().await.unwrap();
        let mut client = TcpStream::connect(proxy.address()).await.unwrap();
        client.write_all(b"ok").await.unwrap();
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"ok");
    }
}
