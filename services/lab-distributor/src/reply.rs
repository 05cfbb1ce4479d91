//! What a target's answer means: the ACK policy as one table (HL7 v2 §2.9, tables 0008 and 0357).

use waybill_contracts::{ReasonCode, delivery::Outcome, reason};
use waybill_delivery::ErrorClass;
use waybill_hl7v2::ack::{self, AckCode, ErrorCode};

/// What is to be done about an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The line is confirmed.
    Confirmed {
        /// MSA-1 as text.
        acknowledgement: &'static str,
    },
    /// The line is not confirmed.
    Failed {
        /// How the loop treats it: `data` ends it, `unavailable` and `configuration` send the same bytes again.
        class: ErrorClass,
        /// Why.
        reason: ReasonCode,
        /// Outcome of this attempt.
        outcome: Outcome,
        /// MSA-1 as text, where there was one.
        acknowledgement: Option<&'static str>,
        /// Whether the connection can still be trusted to answer in step.
        in_step: bool,
    },
}

/// No answer within the time, or the connection ended after the write: it may have arrived.
pub const SILENCE: Verdict = out_of_step(reason::NO_ANSWER);

const fn out_of_step(reason: ReasonCode) -> Verdict {
    Verdict::Failed {
        class: ErrorClass::Unavailable,
        reason,
        outcome: Outcome::Unknown,
        acknowledgement: None,
        in_step: false,
    }
}

/// Judges the answer to a message sent with `control_id`; `unknown_before`: an earlier send of it was not answered.
pub fn judge(answer: &[u8], control_id: &str, unknown_before: bool) -> Verdict {
    let Ok(view) = ack::read(answer) else { return out_of_step(reason::ANSWER_MISMATCH) };
    let Some(code) = view.code else { return out_of_step(reason::ANSWER_MISMATCH) };
    // The control id is base 32, so no separator can stand in it and bytes can be compared.
    if view.control_id != control_id.as_bytes() {
        return out_of_step(reason::ANSWER_MISMATCH);
    }
    let has =
        |codes: &[ErrorCode]| view.errors.iter().any(|error| error.code.is_some_and(|c| codes.contains(&c)));
    let failed = |class, reason, outcome| Verdict::Failed {
        class,
        reason,
        outcome,
        acknowledgement: Some(code.as_str()),
        in_step: true,
    };
    let confirmed = Verdict::Confirmed { acknowledgement: code.as_str() };
    let duplicate = has(&[ErrorCode::DuplicateKeyIdentifier]);
    match code {
        AckCode::AA | AckCode::CA => confirmed,
        // Many receivers refuse a control id they have seen. After an unanswered send that refusal proves delivery.
        _ if duplicate && unknown_before => confirmed,
        AckCode::AR | AckCode::CR if has(&NOT_ACCEPTABLE) => {
            failed(ErrorClass::Configuration, reason::TARGET_REFUSES_TYPE, Outcome::Attempted)
        }
        // The same message may pass later, whatever letter came with it.
        _ if has(&[ErrorCode::ApplicationRecordLocked, ErrorCode::ApplicationInternalError]) => {
            failed(ErrorClass::Unavailable, reason::TARGET_BUSY, Outcome::Attempted)
        }
        AckCode::AR | AckCode::CR if !duplicate => {
            failed(ErrorClass::Unavailable, reason::TARGET_BUSY, Outcome::Attempted)
        }
        _ => failed(ErrorClass::Data, reason::TARGET_REFUSED, Outcome::Rejected),
    }
}

/// Table 0357, 200 to 203: the target is not set up for what we send.
const NOT_ACCEPTABLE: [ErrorCode; 4] = [
    ErrorCode::UnsupportedMessageType,
    ErrorCode::UnsupportedEventCode,
    ErrorCode::UnsupportedProcessingId,
    ErrorCode::UnsupportedVersionId,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn ack(code: &str, control_id: &str, error: Option<u16>) -> Vec<u8> {
        let err = error.map_or(String::new(), |error| format!("ERR||PID^1|{error}^x^HL70357|E\r"));
        format!("MSH|^~\\&|R|F|S|F|20260101||ACK^R01^ACK|1|P|2.5.1\rMSA|{code}|{control_id}\r{err}")
            .into_bytes()
    }

    #[test]
    fn the_table() {
        use ErrorClass::{Configuration, Data, Unavailable};
        let cases = [
            ("AA", "X", None, false, None),
            ("CA", "X", None, false, None),
            ("AA", "Y", None, false, Some((Unavailable, reason::ANSWER_MISMATCH, Outcome::Unknown))),
            ("AA", "", None, false, Some((Unavailable, reason::ANSWER_MISMATCH, Outcome::Unknown))),
            ("ZZ", "X", None, false, Some((Unavailable, reason::ANSWER_MISMATCH, Outcome::Unknown))),
            ("AE", "X", None, false, Some((Data, reason::TARGET_REFUSED, Outcome::Rejected))),
            ("AE", "X", Some(101), false, Some((Data, reason::TARGET_REFUSED, Outcome::Rejected))),
            ("CE", "X", Some(207), false, Some((Unavailable, reason::TARGET_BUSY, Outcome::Attempted))),
            (
                "AR",
                "X",
                Some(200),
                false,
                Some((Configuration, reason::TARGET_REFUSES_TYPE, Outcome::Attempted)),
            ),
            (
                "CR",
                "X",
                Some(203),
                false,
                Some((Configuration, reason::TARGET_REFUSES_TYPE, Outcome::Attempted)),
            ),
            ("AR", "X", Some(207), false, Some((Unavailable, reason::TARGET_BUSY, Outcome::Attempted))),
            ("AR", "X", None, false, Some((Unavailable, reason::TARGET_BUSY, Outcome::Attempted))),
            ("AR", "X", Some(205), true, None),
            ("AE", "X", Some(205), true, None),
            ("AR", "X", Some(205), false, Some((Data, reason::TARGET_REFUSED, Outcome::Rejected))),
        ];
        for (code, id, error, before, wanted) in cases {
            let got = match judge(&ack(code, id, error), "X", before) {
                Verdict::Confirmed { .. } => None,
                Verdict::Failed { class, reason, outcome, in_step, .. } => {
                    assert_eq!(in_step, outcome != Outcome::Unknown);
                    Some((class, reason, outcome))
                }
            };
            assert_eq!(got, wanted, "{code} {id} {error:?} {before}");
        }
        assert_eq!(judge(b"no message", "X", false), out_of_step(reason::ANSWER_MISMATCH));
    }
}
