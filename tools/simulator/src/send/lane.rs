//! One connection: stop-and-wait, with the same bytes again until acknowledged.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::http::Client;
use super::pace::Pace;
use super::report::{Attempt, Fate, MessageRecord, Progress};
use super::{Outgoing, SendConfig, Transport};
use crate::frame::{FrameError, FrameReader, framed};
use crate::peek::{Peek, lossy};
use crate::sha256_hex;

pub(super) struct Lane {
    pub(super) number: usize,
    pub(super) config: Arc<SendConfig>,
    pub(super) progress: Arc<Progress>,
    pub(super) pace: Arc<Pace>,
    pub(super) cancel: CancellationToken,
    pub(super) started: Instant,
}

enum Connection {
    Mllp { stream: TcpStream, frames: FrameReader },
    Http(Client),
}

/// What one attempt brought.
pub(super) enum Answer {
    /// MSA-1 for this message, or the status of HTTP, and whether the same bytes may succeed later.
    Ack { code: String, again: bool },
    /// An answer that is not for this message, or no answer: the connection is of no more use.
    Lost(&'static str),
}

impl Lane {
    pub(super) async fn run(self, queue: Vec<(usize, Outgoing)>) -> Vec<MessageRecord> {
        let mut connection = None;
        let mut records = Vec::with_capacity(queue.len());
        for (index, message) in queue {
            if !self.cancel.is_cancelled() {
                // Cancelling during the wait shows in `deliver`.
                self.cancel.run_until_cancelled(self.pace.turn()).await;
            }
            let record = self.deliver(index, &message, &mut connection).await;
            self.progress.finish(&record);
            records.push(record);
        }
        records
    }

    async fn deliver(
        &self,
        index: usize,
        message: &Outgoing,
        connection: &mut Option<Connection>,
    ) -> MessageRecord {
        let mut record = MessageRecord {
            index,
            control_id: message.control_id.clone(),
            sha256: sha256_hex(&message.bytes),
            source: message.source.clone(),
            connection: self.number,
            fate: Fate::Cancelled,
            ack: None,
            connect_failures: 0,
            attempts: Vec::new(),
        };
        let frame = match self.config.transport {
            Transport::Mllp => framed(&message.bytes),
            Transport::Http(_) => message.bytes.clone(),
        };
        let first = Instant::now();
        let mut delay = self.config.retry_delay;
        while !self.cancel.is_cancelled() {
            let attempt = self.attempt(&frame, message, connection, &mut record);
            let Some(answer) = self.cancel.run_until_cancelled(attempt).await else { break };
            match answer {
                Answer::Ack { code, again: false } => {
                    let accepted = matches!(code.as_str(), "AA" | "CA") || code.starts_with('2');
                    record.fate = if accepted { Fate::Accepted } else { Fate::Refused };
                    record.ack = Some(code);
                    return record;
                }
                Answer::Ack { code, again: true } => record.ack = Some(code),
                Answer::Lost(_) => *connection = None,
            }
            if first.elapsed() + delay >= self.config.give_up_after {
                record.fate = Fate::GivenUp;
                return record;
            }
            self.cancel.run_until_cancelled(tokio::time::sleep(delay)).await;
            delay = (delay * 2).min(self.config.retry_delay_max);
        }
        // An answer may still be under way on it.
        *connection = None;
        record
    }

    async fn attempt(
        &self,
        frame: &[u8],
        message: &Outgoing,
        connection: &mut Option<Connection>,
        record: &mut MessageRecord,
    ) -> Answer {
        let open = match connection {
            Some(open) => open,
            None => match self.connect().await {
                Ok(open) => connection.insert(open),
                Err(reason) => {
                    record.connect_failures += 1;
                    self.progress.connect_failure();
                    return Answer::Lost(reason);
                }
            },
        };
        self.progress.attempt(!record.attempts.is_empty());
        let sent = Instant::now();
        record.attempts.push(Attempt {
            at: sent - self.started,
            took: Duration::ZERO,
            result: "unanswered".to_owned(),
        });
        let answer = match timeout(self.config.ack_timeout, exchange(open, frame, &message.control_id)).await
        {
            Ok(answer) => answer,
            Err(_) => Answer::Lost("timeout"),
        };
        if let Some(attempt) = record.attempts.last_mut() {
            attempt.took = sent.elapsed();
            match &answer {
                Answer::Ack { code, .. } => attempt.result.clone_from(code),
                Answer::Lost(reason) => (*reason).clone_into(&mut attempt.result),
            }
        }
        answer
    }

    async fn connect(&self) -> Result<Connection, &'static str> {
        if let Transport::Http(http) = &self.config.transport {
            return Client::new(&self.config, http).map(Connection::Http);
        }
        match timeout(self.config.connect_timeout, TcpStream::connect(self.config.target.as_str())).await {
            Ok(Ok(stream)) => {
                // Without it, a small message waits for the peer's delayed acknowledgement.
                let _ = stream.set_nodelay(true);
                Ok(Connection::Mllp { stream, frames: FrameReader::default() })
            }
            Ok(Err(_)) => Err("refused"),
            Err(_) => Err("connect-timeout"),
        }
    }
}

async fn exchange(connection: &mut Connection, frame: &[u8], control_id: &str) -> Answer {
    let (stream, frames) = match connection {
        Connection::Mllp { stream, frames } => (stream, frames),
        Connection::Http(client) => return client.post(frame, control_id).await,
    };
    if stream.write_all(frame).await.is_err() {
        return Answer::Lost("reset");
    }
    match frames.next(stream).await {
        Ok(ack) => read_ack(&ack, control_id),
        Err(FrameError::Closed) => Answer::Lost("closed"),
        Err(FrameError::Io(_)) => Answer::Lost("reset"),
        Err(FrameError::ClosedInside | FrameError::TooLong) => Answer::Lost("garbage"),
    }
}

pub(super) fn read_ack(ack: &[u8], control_id: &str) -> Answer {
    let Some(peek) = Peek::new(ack) else { return Answer::Lost("garbage") };
    let code = lossy(peek.field("MSA", 1));
    if !matches!(code.as_str(), "AA" | "AE" | "AR" | "CA" | "CE" | "CR") {
        return Answer::Lost("garbage");
    }
    if lossy(peek.field("MSA", 2)) != control_id {
        return Answer::Lost("wrong-control-id");
    }
    // AR and CR say "not now" when the reason is internal (207) or not given; with another reason, such as an
    // unsupported version, the same bytes would be refused for ever.
    let error = error_code(&peek);
    let again = match code.as_str() {
        "AR" | "CR" => matches!(error.as_str(), "" | "207"),
        // In enhanced mode only the header is rejected (CR); whatever else hinders storing is an error.
        "CE" => error == "207",
        _ => false,
    };
    Answer::Ack { code, again }
}

/// ERR-3.1, or in older versions the fourth component of ERR-1 (its first subcomponent).
fn error_code(ack: &Peek<'_>) -> String {
    let new = lossy(ack.component(ack.field("ERR", 3), 1));
    if new.is_empty() {
        let old = lossy(ack.component(ack.field("ERR", 1), 4));
        old.split('&').next().unwrap_or_default().to_owned()
    } else {
        new
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, read_ack};

    fn outcome(msa: &str) -> String {
        let ack = format!("MSH|^~\\&|B|B|A|A|1||ACK|9|P|2.5\r{msa}\r");
        match read_ack(ack.as_bytes(), "X1") {
            Answer::Ack { code, again } => format!("{code}{}", if again { " again" } else { "" }),
            Answer::Lost(reason) => reason.to_owned(),
        }
    }

    #[test]
    fn only_an_answer_to_this_message_counts() {
        assert_eq!(outcome("MSA|AA|X1"), "AA");
        assert_eq!(outcome("MSA|AA|X2"), "wrong-control-id");
        assert_eq!(outcome("MSA|XX|X1"), "garbage");
        assert_eq!(outcome("PID|1"), "garbage");
        assert!(matches!(read_ack(b"nonsense", "X1"), Answer::Lost("garbage")));
    }

    #[test]
    fn a_reject_is_final_unless_the_receiver_was_unable() {
        assert_eq!(outcome("MSA|AE|X1\rERR||PID^1^3|101|E"), "AE");
        assert_eq!(outcome("MSA|AR|X1\rERR|||207|E"), "AR again");
        assert_eq!(outcome("MSA|AR|X1\rERR|MSH^1^1^207&Application internal error"), "AR again");
        assert_eq!(outcome("MSA|AR|X1"), "AR again");
        assert_eq!(outcome("MSA|CE|X1\rERR|||207|E"), "CE again");
        assert_eq!(outcome("MSA|CE|X1\rERR|||101|E"), "CE");
        assert_eq!(outcome("MSA|AR|X1\rERR||MSH^1^12|203|E"), "AR");
    }
}
