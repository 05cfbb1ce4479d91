//! Connections to one target: one message in flight each, and none reused whose answers may be out of step.

use std::io;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use parking_lot::Mutex;
use tokio::{net::TcpStream, time::timeout};
use tokio_util::codec::Framed;
use waybill_hl7v2::mllp::{Inbound, MllpCodec, MllpError};

use crate::routing::Target;

/// What came of one exchange.
#[derive(Debug)]
pub(crate) enum Exchange {
    /// No connection, so nothing was sent.
    Unreachable,
    /// The message cannot be framed: it holds a block character.
    Unsendable,
    /// Something was written, and no frame came back in time.
    Silence,
    /// A frame came back.
    Answer(Bytes),
}

/// Idle connections to one target.
#[derive(Debug)]
pub(crate) struct Connections {
    target: Target,
    max_answer_bytes: usize,
    idle: Mutex<Vec<Connection>>,
}

type Connection = Framed<TcpStream, MllpCodec>;

impl Connections {
    pub(crate) fn new(target: Target, max_answer_bytes: usize) -> Self {
        Self { target, max_answer_bytes, idle: Mutex::default() }
    }

    /// Sends one message and waits for its answer. The connection is kept only when `in_step` says so of the answer.
    pub(crate) async fn exchange(&self, message: Bytes, in_step: impl FnOnce(&[u8]) -> bool) -> Exchange {
        let Some(mut connection) = self.connection().await else { return Exchange::Unreachable };
        let answer = timeout(self.target.ack_timeout.get(), async {
            connection.send(message).await?;
            loop {
                match connection.next().await {
                    Some(Ok(Inbound::Message(answer))) => return Ok(answer),
                    // Bytes between frames carry no meaning (MLLP §C.4.2).
                    Some(Ok(Inbound::Garbage { .. })) => {}
                    Some(Ok(_)) | None => return Err(MllpError::Io(io::ErrorKind::UnexpectedEof.into())),
                    Some(Err(error)) => return Err(error),
                }
            }
        })
        .await;
        match answer {
            Ok(Ok(answer)) => {
                if in_step(&answer) {
                    self.idle.lock().push(connection);
                }
                Exchange::Answer(answer)
            }
            Ok(Err(MllpError::BlockCharacter { .. })) => Exchange::Unsendable,
            Ok(Err(_)) | Err(_) => Exchange::Silence,
        }
    }

    /// An idle connection that the target has neither closed nor written to, or a new one.
    async fn connection(&self) -> Option<Connection> {
        loop {
            let Some(connection) = self.idle.lock().pop() else { break };
            let unread = connection.read_buffer().is_empty();
            // Nothing to read and not closed: that is what `WouldBlock` says. Anything else is a close or a late answer.
            let quiet = matches!(connection.get_ref().try_read(&mut [0; 1]), Err(error) if error.kind() == io::ErrorKind::WouldBlock);
            if unread && quiet {
                return Some(connection);
            }
        }
        let stream = timeout(self.target.connect_timeout.get(), TcpStream::connect(&self.target.address));
        let stream = stream.await.ok()?.ok()?;
        // One small frame at a time, each waited for: Nagle would only delay it.
        stream.set_nodelay(true).ok()?;
        Some(Framed::new(stream, MllpCodec::new(self.max_answer_bytes)))
    }
}
