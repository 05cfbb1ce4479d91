//! Acknowledgements written by hand from the raw header: independent of the hub's own builder.

use time::OffsetDateTime;

use crate::peek::Peek;

/// The answer to a message, in the message's own delimiters, version and processing id.
///
/// `error` is a code of table 0357; it goes into an ERR segment, which versions before 2.5 write in ERR-1 (ELD) and
/// later ones in ERR-3 (CWE).
pub(super) fn acknowledgement(
    message: &Peek<'_>,
    code: &str,
    answers: &[u8],
    error: Option<u16>,
    number: u64,
    now: OffsetDateTime,
) -> Vec<u8> {
    let msh = |field: usize| message.field("MSH", field);
    let (bar, caret) = ([message.separator()], [message.component_separator()]);
    let stamp = format!(
        "{:04}{:02}{:02}{:02}{:02}{:02}+0000",
        now.year(),
        u8::from(now.month()),
        now.day(),
        now.hour(),
        now.minute(),
        now.second()
    );
    let trigger = message.component(msh(9), 2);
    let kind = if trigger.is_empty() { b"ACK".to_vec() } else { [b"ACK", &caret[..], trigger].concat() };
    let id = format!("SIM{number}");
    let header: [&[u8]; 12] = [
        b"MSH",
        msh(2),
        msh(5),
        msh(6),
        msh(3),
        msh(4),
        stamp.as_bytes(),
        b"",
        &kind,
        id.as_bytes(),
        msh(11),
        msh(12),
    ];
    let mut ack = header.join(&bar[..]);
    ack.push(b'\r');
    ack.extend([b"MSA", code.as_bytes(), answers].join(&bar[..]));
    ack.push(b'\r');
    if let Some(error) = error {
        let place = [&b"MSH"[..], b"1", b"10"].join(&caret[..]);
        let error = error.to_string();
        let fields: Vec<&[u8]> = if msh(12) < &b"2.5"[..] {
            vec![b"ERR", &place]
        } else {
            vec![b"ERR", b"", &place, error.as_bytes(), b"E"]
        };
        let mut segment = fields.join(&bar[..]);
        if msh(12) < &b"2.5"[..] {
            segment.extend([&caret[..], error.as_bytes()].concat());
        }
        ack.extend(segment);
        ack.push(b'\r');
    }
    ack
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::acknowledgement;
    use crate::peek::Peek;

    fn ack(message: &[u8], code: &str, error: Option<u16>) -> String {
        let peek = Peek::new(message).unwrap();
        let bytes =
            acknowledgement(&peek, code, peek.field("MSH", 10), error, 3, datetime!(2026-11-02 06:07:08 UTC));
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn answers_in_the_senders_delimiters_with_the_parties_exchanged() {
        assert_eq!(
            ack(b"MSH|^~\\&#|LIS|LAB|HUB|W|1||ORU^R01^ORU_R01|X7|P|2.5.1\r", "AA", None),
            "MSH|^~\\&#|HUB|W|LIS|LAB|20261102060708+0000||ACK^R01|SIM3|P|2.5.1\rMSA|AA|X7\r"
        );
        assert_eq!(
            ack(b"MSH#*~\\$#A#B#C#D#1##ADT#X8#T#2.3\r", "AA", None),
            "MSH#*~\\$#C#D#A#B#20261102060708+0000##ACK#SIM3#T#2.3\rMSA#AA#X8\r"
        );
    }

    #[test]
    fn errors_are_written_as_the_version_wants_them() {
        let new = ack(b"MSH|^~\\&|A|B|C|D|1||ADT^A01|X|P|2.5\r", "AE", Some(204));
        assert!(new.ends_with("MSA|AE|X\rERR||MSH^1^10|204|E\r"), "{new}");
        let old = ack(b"MSH|^~\\&|A|B|C|D|1||ADT^A01|X|P|2.3\r", "AR", Some(207));
        assert!(old.ends_with("MSA|AR|X\rERR|MSH^1^10^207\r"), "{old}");
    }
}
