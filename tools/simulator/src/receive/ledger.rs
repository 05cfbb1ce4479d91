//! What a receiver has seen and answered.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use time::OffsetDateTime;

use super::ack::acknowledgement;
use super::behaviour::{Action, Behaviour, Script};
use crate::peek::Peek;
use crate::sha256_hex;

/// One frame as it arrived.
#[derive(Debug, Clone, Serialize)]
pub struct Received {
    /// From 1, over all connections.
    pub number: u64,
    /// Of the message without framing.
    pub sha256: String,
    /// MSH-10; empty when there is none.
    pub control_id: String,
    /// `ORU^R01`; empty when there is no MSH.
    pub message_type: String,
    /// UTC, when the frame was complete.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// Number of the connection it came on, from 1.
    pub connection: u64,
    /// What was done with it, by the name used in behaviour files.
    pub action: &'static str,
    /// MSA-1 of the answer; none for silence, a closed connection or garbage.
    pub ack: Option<String>,
    /// It counts as received: the receiving system has it, whether or not the sender was told.
    pub taken: bool,
    /// A message with this MSH-10 had been taken before.
    pub duplicate: bool,
    /// The message, when the receiver keeps bytes; never part of the control interface.
    #[serde(skip)]
    pub bytes: Option<Vec<u8>>,
}

/// Counts since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ReceiverStats {
    /// Complete frames.
    pub received: u64,
    /// Different messages taken.
    pub taken: u64,
    /// Messages whose MSH-10 had been taken before.
    pub duplicates: u64,
    /// Duplicates with other bytes than the first time.
    pub conflicting: u64,
    /// Answers by MSA-1.
    pub acks: BTreeMap<String, u64>,
    /// Messages by what was done with them.
    pub actions: BTreeMap<&'static str, u64>,
    /// Frames without a readable MSH, and frames that were never finished.
    pub malformed: u64,
    /// Connections accepted so far.
    pub connections: u64,
    /// Connections open now.
    pub open: u64,
    /// Not listening at the moment.
    pub down: bool,
}

/// What to do on the wire.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) after_millis: u64,
    pub(super) message: Option<Vec<u8>>,
    pub(super) close: bool,
}

struct Taken {
    sha256: String,
    ack: Vec<u8>,
}

/// Script, history and counts behind one lock.
pub(super) struct Ledger {
    script: Script,
    dedupe: bool,
    keep_bytes: bool,
    taken: HashMap<String, Taken>,
    pub(super) history: Vec<Received>,
    pub(super) stats: ReceiverStats,
}

impl Ledger {
    pub(super) fn new(behaviour: Behaviour, dedupe: bool, keep_bytes: bool) -> Self {
        Self {
            script: Script::new(behaviour),
            dedupe,
            keep_bytes,
            taken: HashMap::new(),
            history: Vec::new(),
            stats: ReceiverStats::default(),
        }
    }

    pub(super) fn behaviour(&self) -> &Behaviour {
        &self.script.behaviour
    }

    /// Exchanges the behaviour; rule counters start anew.
    pub(super) fn set_behaviour(&mut self, behaviour: Behaviour) {
        self.script = Script::new(behaviour);
    }

    /// Records a frame and says what to answer.
    pub(super) fn receive(&mut self, bytes: Vec<u8>, connection: u64, now: OffsetDateTime) -> Answer {
        let peek = Peek::new(&bytes);
        let action = self.script.decide(&bytes, peek.as_ref());
        let sha256 = sha256_hex(&bytes);
        let control_id = peek.map(|p| p.control_id()).unwrap_or_default();
        self.stats.received += 1;
        let number = self.stats.received;

        let known = if self.dedupe { self.taken.get(&control_id) } else { None };
        let duplicate = known.is_some();
        if let Some(known) = known {
            self.stats.duplicates += 1;
            self.stats.conflicting += u64::from(known.sha256 != sha256);
        }
        let message = self.answer(action, peek.as_ref(), &control_id, number, now);
        let ack = message.as_deref().and_then(acknowledgement_code);
        let taken = peek.is_some() && (duplicate || action.takes());
        if taken && !duplicate {
            self.stats.taken += 1;
            // A system that lost its answer has the message nevertheless; the repeat is told so.
            let positive = peek.map(|p| acknowledgement(&p, "AA", p.field("MSH", 10), None, number, now));
            if let (Some(ack), false) = (positive, control_id.is_empty()) {
                self.taken.insert(control_id.clone(), Taken { sha256: sha256.clone(), ack });
            }
        }
        self.stats.malformed += u64::from(peek.is_none());
        *self.stats.actions.entry(action.name()).or_default() += 1;
        if let Some(code) = &ack {
            *self.stats.acks.entry(code.clone()).or_default() += 1;
        }
        let message_type = peek.map(|p| p.message_type()).unwrap_or_default();
        let kept = self.keep_bytes.then_some(bytes);
        self.history.push(Received {
            number,
            sha256,
            control_id,
            message_type,
            at: now,
            connection,
            action: action.name(),
            ack,
            taken,
            duplicate,
            bytes: kept,
        });
        let after_millis = if let Action::Slow { millis } = action { millis } else { 0 };
        Answer { after_millis, message, close: action == Action::CloseAfterRead }
    }

    fn answer(
        &self,
        action: Action,
        peek: Option<&Peek<'_>>,
        control_id: &str,
        number: u64,
        now: OffsetDateTime,
    ) -> Option<Vec<u8>> {
        // Without a header there is nobody to answer.
        let peek = peek?;
        let original = if self.dedupe { self.taken.get(control_id) } else { None };
        let id = peek.field("MSH", 10);
        let new = |code, error| acknowledgement(peek, code, id, error, number, now);
        match action {
            Action::Silence | Action::CloseAfterRead => None,
            Action::Garbage => Some(b"\xFF\xFEnot an acknowledgement".to_vec()),
            Action::WrongControlId => Some(acknowledgement(peek, "AA", b"NOT-YOURS", None, number, now)),
            Action::Accept | Action::Slow { .. } | Action::Error { .. } | Action::Reject { .. }
                if original.is_some() =>
            {
                original.map(|known| known.ack.clone())
            }
            Action::Accept | Action::Slow { .. } => Some(new("AA", None)),
            Action::Error { code } => Some(new("AE", Some(code))),
            Action::Reject { code } => Some(new("AR", Some(code))),
        }
    }
}

fn acknowledgement_code(message: &[u8]) -> Option<String> {
    Peek::new(message).map(|ack| crate::peek::lossy(ack.field("MSA", 1)))
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::Ledger;
    use crate::receive::{Action, Behaviour, Rule};

    const NOW: time::OffsetDateTime = datetime!(2026-11-02 06:00 UTC);

    fn message(id: &str) -> Vec<u8> {
        format!("MSH|^~\\&|A|B|C|D|1||ADT^A01|{id}|P|2.5\rPID|||7\r").into_bytes()
    }

    #[test]
    fn a_repeat_gets_the_original_answer_and_is_counted() {
        let mut ledger = Ledger::new(Behaviour::accept(), true, true);
        let first = ledger.receive(message("1"), 1, NOW);
        let again = ledger.receive(message("1"), 2, NOW + time::Duration::hours(1));
        assert_eq!(first, again);
        let mut other = message("1");
        other.extend(b"ZZZ|1\r");
        ledger.receive(other, 2, NOW);
        assert_eq!((ledger.stats.taken, ledger.stats.duplicates, ledger.stats.conflicting), (1, 2, 1));
    }

    #[test]
    fn a_message_taken_in_silence_is_a_duplicate_when_it_comes_again() {
        let mut ledger = Ledger::new(Behaviour::accept().rule(Rule::next(1, Action::Silence)), true, false);
        assert_eq!(ledger.receive(message("1"), 1, NOW).message, None);
        assert!(ledger.receive(message("1"), 1, NOW).message.is_some());
        assert!(ledger.history[1].duplicate && ledger.history[1].bytes.is_none());
    }

    #[test]
    fn a_refused_message_was_not_taken() {
        let mut ledger =
            Ledger::new(Behaviour::accept().rule(Rule::next(1, Action::Reject { code: 207 })), true, true);
        ledger.receive(message("1"), 1, NOW);
        assert_eq!((ledger.stats.taken, ledger.history[0].taken), (0, false));
        ledger.receive(message("1"), 1, NOW);
        assert_eq!((ledger.stats.taken, ledger.stats.duplicates), (1, 0));
        assert_eq!(ledger.stats.acks.get("AR"), Some(&1));
    }

    #[test]
    fn without_a_header_there_is_no_answer() {
        let mut ledger = Ledger::new(Behaviour::accept(), true, true);
        assert_eq!(ledger.receive(b"PID|1\r".to_vec(), 1, NOW).message, None);
        assert_eq!((ledger.stats.malformed, ledger.stats.taken), (1, 0));
    }
}
