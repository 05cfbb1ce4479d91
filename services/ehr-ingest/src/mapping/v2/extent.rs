//! How much a message may become.
//!
//! A message has 16 MiB at most, but events repeat parts of it: every value of an OBX has all of the OBX around it, every
//! patient's event has the header, every visit of a merge has its patient and coverages, every patient of an appointment
//! has all of the appointment. Without a bound a message of separators takes all memory there is, and because it
//! is stored, again after each restart.

use memchr::memchr_iter;
use waybill_contracts::reason;
use waybill_hl7v2::{Message, ack::ErrorCode, path};

use super::Refusal;

/// Messages up to this size are not looked at: even all repeated by all they stay small.
const SMALL: usize = 16 * 1024;
/// Segments and repetitions of fields. A report of 500 pages has some 25 000 lines.
const MAX_PARTS: usize = 50_000;
/// Repetitions within a PID or MRG: each identifier is compared with each other one. Nobody has as many.
const MAX_NUMBERS: usize = 2_000;
/// Bytes that events repeat.
const MAX_REPEATED: usize = 64 * 1024 * 1024;

/// Refuses a message whose events would be out of all proportion.
pub(super) fn check(message: &Message<'_>) -> Result<(), Refusal> {
    let raw = message.raw();
    if raw.len() <= SMALL {
        return Ok(());
    }
    let repetition = message.delimiters().repetition();
    if message.segment_count() + memchr_iter(repetition, raw).count() > MAX_PARTS {
        return Err(refusal("the message has more segments and repetitions than can be mapped"));
    }
    let numbers = ["PID", "MRG"].into_iter().flat_map(|name| message.segments_named(name));
    if numbers.into_iter().any(|segment| memchr_iter(repetition, segment.raw()).count() > MAX_NUMBERS) {
        return Err(refusal("a patient has more identifiers than can be mapped"));
    }
    let observations = message.segments_named("OBX").map(|obx| {
        let values = obx.field(5).raw();
        (obx.raw().len() - values.len()) * memchr_iter(repetition, values).count()
    });
    let header = message.header();
    let patients = message.segments_named("PID").count();
    let shared = match header.message_code() {
        b"SIU" => raw.len() * patients.saturating_sub(1),
        b"ADT" => repeated_by_visits(message),
        _ => 0,
    };
    let headers = header.raw().len() * patients;
    let repeated = observations.fold(headers.saturating_add(shared), usize::saturating_add);
    if repeated > MAX_REPEATED {
        return Err(refusal("the message repeats more than can be mapped"));
    }
    Ok(())
}

/// Bytes of each patient's segments other than visits and merges, as often as the patient has visits or merges.
fn repeated_by_visits(message: &Message<'_>) -> usize {
    let (mut total, mut bytes, mut visits, mut merges) = (0_usize, 0, 0_usize, 0_usize);
    for segment in message.segments() {
        match segment.name() {
            b"PID" => {
                total = total.saturating_add(bytes * visits.max(merges));
                (bytes, visits, merges) = (segment.raw().len(), 0, 0);
            }
            b"PV1" => visits += 1,
            b"MRG" => merges += 1,
            _ => bytes += segment.raw().len(),
        }
    }
    total.saturating_add(bytes * visits.max(merges))
}

fn refusal(text: &'static str) -> Refusal {
    Refusal { reason: reason::TOO_LARGE, code: ErrorCode::DataTypeError, location: path!("MSH"), text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(parts: &[&str]) -> Result<(), Refusal> {
        check(&Message::parse(parts.concat().as_bytes()).unwrap())
    }

    const MSH: &str = "MSH|^~\\&|LIS|LAB|||20260101||ORU^R01|1|P|2.5\rPID|1||42^^^GH^MR\rOBR|1\r";

    #[test]
    fn large_reports_pass() {
        let lines = "a line of a report as long as they are~".repeat(40_000);
        assert_eq!(checked(&[MSH, "OBX|1|TX|R^Report^L||", &lines, "||||||F\r"]), Ok(()));
        let document = "QUJD".repeat(3_000_000);
        assert_eq!(checked(&[MSH, "OBX|1|ED|R^Report^L||^AP^PDF^Base64^", &document, "||||||F\r"]), Ok(()));
        assert_eq!(checked(&[MSH, &"OBX|1|NM|A^B^C||1|mg|||||F\r".repeat(45_000)]), Ok(()));
    }

    #[test]
    fn what_would_grow_without_bound_is_refused() {
        let code = "x".repeat(2_000_000);
        let many = "1~".repeat(1000);
        for parts in [
            &[MSH, &"OBX\r".repeat(1_000_000)][..],
            &[MSH, "OBX|1|NM|A||", &"1~".repeat(1_000_000), "\r"],
            &[MSH, "OBX|1|NM|", &code, "||", &many, "\r"],
            &[
                &MSH.replace("ORU^R01", "SIU^S12").replace("OBR|1", "SCH|1"),
                &"AIS|1||A^B^C\r".repeat(10_000),
                &"PID|1||4\r".repeat(10_000),
            ],
            &[&MSH.replace("ORU^R01", "ADT^A47"), "PID|1||4^", &code, "\r", &"MRG|1\r".repeat(1000)],
            &[&MSH.replace("ORU^R01", "ADT^A40"), "PID|1||", &"4~".repeat(20_000), "\rMRG|1\r"],
            &[&MSH.replace("ORU^R01", "ADT^A45"), "PID|1||4^", &code, "\r", &"MRG|1\rPV1|1\r".repeat(1000)],
            &["MSH|^~\\&|", &code, "|LAB|||20260101||ORU^R01|1|P|2.5\r", &"PID|1||4\rOBR|1\r".repeat(1000)],
        ] {
            assert_eq!(checked(parts).unwrap_err().reason, reason::TOO_LARGE);
        }
    }
}
