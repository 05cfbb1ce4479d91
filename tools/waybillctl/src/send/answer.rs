//! What was answered.

use waybill_hl7v2::{
    Message,
    ack::{self, AckCode},
};

/// The answer to one message, for one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) outcome: Outcome,
    /// Acknowledgement code or HTTP status.
    pub(super) code: String,
    /// Where an error is, and which: ERR-2 and ERR-3, or the expression and code of an OperationOutcome.
    pub(super) errors: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Accepted,
    Refused,
    /// Nothing came, or nothing that answers what was sent.
    Unanswered,
}

impl Answer {
    /// Nothing that answers the message.
    pub(super) fn none(why: &str) -> Self {
        Self { outcome: Outcome::Unanswered, code: "-".to_owned(), errors: vec![why.to_owned()] }
    }

    /// From an acknowledgement, or a batch of them, to `sent`.
    pub(super) fn hl7(sent: &[u8], bytes: &[u8]) -> Self {
        let mut parts = split(bytes);
        if parts.len() == 1 && !waybill_hl7v2::batch::is_batch(sent) {
            return Self::one(sent, parts.swap_remove(0));
        }
        if parts.is_empty() {
            return Self::none("the answer is no acknowledgement");
        }
        let answers: Vec<Self> = parts.into_iter().map(Self::of).collect();
        let worst = |wanted| answers.iter().any(|answer| answer.outcome == wanted);
        let outcome = if worst(Outcome::Unanswered) {
            Outcome::Unanswered
        } else if worst(Outcome::Refused) {
            Outcome::Refused
        } else {
            Outcome::Accepted
        };
        let mut counts: Vec<(&str, usize)> = Vec::new();
        for answer in &answers {
            match counts.iter_mut().find(|(code, _)| *code == answer.code) {
                Some((_, count)) => *count += 1,
                None => counts.push((&answer.code, 1)),
            }
        }
        let code = counts.iter().map(|(code, count)| format!("{code}×{count}")).collect::<Vec<_>>().join(" ");
        Self { outcome, code, errors: answers.into_iter().flat_map(|answer| answer.errors).collect() }
    }

    fn one(sent: &[u8], bytes: &[u8]) -> Self {
        let answer = Self::of(bytes);
        let (Ok(view), Ok(sent)) = (ack::read(bytes), Message::parse(sent)) else { return answer };
        let control_id = sent.header().control_id();
        if !control_id.is_empty() && !view.acknowledges(control_id, sent.delimiters()) {
            let errors = vec!["answers another message (MSA-2)".to_owned()];
            return Self { outcome: Outcome::Unanswered, errors, ..answer };
        }
        answer
    }

    fn of(bytes: &[u8]) -> Self {
        let Ok(view) = ack::read(bytes) else { return Self::none("the answer is no acknowledgement") };
        let outcome = match view.code {
            Some(code) if code.is_positive() => Outcome::Accepted,
            Some(_) => Outcome::Refused,
            None => Outcome::Unanswered,
        };
        Self { outcome, code: view.code.map_or("?", AckCode::as_str).to_owned(), errors: errors(bytes) }
    }
}

/// ERR-2 and ERR-3 of each ERR; before 2.5 both are in ERR-1.
fn errors(bytes: &[u8]) -> Vec<String> {
    let Ok(message) = Message::parse(bytes) else { return Vec::new() };
    let text = |raw: &[u8]| String::from_utf8_lossy(raw).into_owned();
    let described = message.segments_named("ERR").map(|err| {
        let (place, code) = (text(err.field(2).raw()), text(err.field(3).component(1).raw()));
        if place.is_empty() && code.is_empty() {
            return text(err.field(1).raw());
        }
        format!("{place} {code}").trim().to_owned()
    });
    described.filter(|error| !error.is_empty()).collect()
}

/// The messages of an answer.
fn split(bytes: &[u8]) -> Vec<&[u8]> {
    let mut starts = Vec::new();
    let (mut end, mut at) = (bytes.len(), 0);
    for line in bytes.split_inclusive(|byte| matches!(byte, b'\r' | b'\n')) {
        if line.starts_with(b"MSH") {
            starts.push(at);
        } else if line.starts_with(b"BTS") || line.starts_with(b"FTS") {
            end = end.min(at);
        }
        at += line.len();
    }
    let ends = starts.iter().skip(1).copied().chain([end]);
    starts.iter().zip(ends).filter_map(|(start, end)| bytes.get(*start..end)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: &[u8] = b"MSH|^~\\&|A|B|C|D|20260101||ADT^A01|7|P|2.5\rPID|1\r";

    #[test]
    fn an_acknowledgement_is_read() {
        let positive = Answer::hl7(SENT, b"MSH|^~\\&|C|D|A|B|20260101||ACK|1|P|2.5\rMSA|AA|7\r");
        assert_eq!((positive.outcome, positive.code.as_str()), (Outcome::Accepted, "AA"));
        let refused = Answer::hl7(
            SENT,
            b"MSH|^~\\&|C|D|A|B|20260101||ACK|1|P|2.5\rMSA|AE|7\rERR||PID^1^3^1|101^x^HL70357|E\r",
        );
        assert_eq!((refused.outcome, refused.errors), (Outcome::Refused, vec!["PID^1^3^1 101".to_owned()]));
        let other = Answer::hl7(SENT, b"MSH|^~\\&|C|D|A|B|20260101||ACK|1|P|2.5\rMSA|AA|8\r");
        assert_eq!(other.outcome, Outcome::Unanswered);
        assert_eq!(Answer::hl7(SENT, b"hello").outcome, Outcome::Unanswered);
    }

    #[test]
    fn a_batch_of_acknowledgements_is_counted() {
        let batch = b"BHS|^~\\&|A\rMSH|^~\\&|A\r";
        let answer = Answer::hl7(
            batch,
            b"FHS|^~\\&\rBHS|^~\\&\rMSH|^~\\&|C\rMSA|AA|1\rMSH|^~\\&|C\rMSA|AE|2\rERR||PID^1^3|101|E\rMSH|^~\\&|C\rMSA|AA|3\rBTS|3\rFTS|1\r",
        );
        assert_eq!(answer.code, "AA×2 AE×1");
        assert_eq!((answer.outcome, answer.errors), (Outcome::Refused, vec!["PID^1^3 101".to_owned()]));
    }
}
