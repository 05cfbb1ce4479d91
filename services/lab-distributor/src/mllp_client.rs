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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use waybill_simulator::receive::{
        Action, Behaviour, Condition, ReceiveConfig, Receiver, ReceiverHandle, Rule,
    };
    use waybill_telemetry::HumanDuration;

    use super::*;
    use crate::routing::RoutingTable;

    const MESSAGE: &[u8] = b"MSH|^~\\&|LIS|LAB|HUB|W|20260101||ORU^R01^ORU_R01|C1|P|2.5.1\rPID|1||1^^^A^MR\r";

    async fn receiver(behaviour: Behaviour) -> (ReceiverHandle, Connections) {
        let receiver =
            Receiver::start(ReceiveConfig { behaviour, ..ReceiveConfig::default() }).await.unwrap();
        let table = format!("[[target]]\nname = 'ehr'\naddress = '{}'", receiver.addr());
        let mut target = RoutingTable::parse(&table).unwrap().targets.remove(0);
        target.ack_timeout = HumanDuration(Duration::from_millis(300));
        (receiver, Connections::new(target, 4096))
    }

    async fn exchange(connections: &Connections) -> Exchange {
        connections.exchange(Bytes::from_static(MESSAGE), |_| true).await
    }

    fn connections_of(receiver: &ReceiverHandle) -> Vec<u64> {
        let mut seen: Vec<_> = receiver.history().iter().map(|received| received.connection).collect();
        seen.dedup();
        seen
    }

    #[tokio::test]
    async fn an_answered_connection_is_used_again_and_the_bytes_arrive() {
        let (receiver, connections) = receiver(Behaviour::accept()).await;
        for _ in 0..3 {
            assert!(matches!(exchange(&connections).await, Exchange::Answer(_)));
        }
        assert_eq!(connections_of(&receiver).len(), 1);
        assert!(receiver.history().iter().all(|received| received.bytes.as_deref() == Some(MESSAGE)));
    }

    #[tokio::test]
    async fn after_silence_the_connection_is_given_up_so_that_a_late_answer_meets_no_other_message() {
        let slow = Rule::next(1, Action::Slow { millis: 600 });
        let (receiver, connections) = receiver(Behaviour::accept().rule(slow)).await;
        assert!(matches!(exchange(&connections).await, Exchange::Silence));
        assert!(matches!(exchange(&connections).await, Exchange::Answer(_)));
        assert_eq!(connections_of(&receiver).len(), 2);
    }

    #[tokio::test]
    async fn a_close_after_the_write_is_silence_and_a_target_that_is_down_is_unreachable() {
        let close = Rule::new(Condition::any(), Action::CloseAfterRead).times(1);
        let (receiver, connections) = receiver(Behaviour::accept().rule(close)).await;
        assert!(matches!(exchange(&connections).await, Exchange::Silence));
        assert!(matches!(exchange(&connections).await, Exchange::Answer(_)));
        receiver.down().await;
        // The idle connection is closed, which is seen before anything is written to it.
        assert!(matches!(exchange(&connections).await, Exchange::Unreachable));
        receiver.up().await.unwrap();
        assert!(matches!(exchange(&connections).await, Exchange::Answer(_)));
    }

    #[tokio::test]
    async fn a_block_character_is_never_sent() {
        let (receiver, connections) = receiver(Behaviour::accept()).await;
        let sent = connections.exchange(Bytes::from_static(b"MSH|^~\\&|\x1c\r"), |_| true).await;
        assert!(matches!(sent, Exchange::Unsendable));
        assert!(receiver.history().is_empty());
    }
}
