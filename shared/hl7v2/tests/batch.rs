//! Whatever the bytes: a split never fails, overlaps or loses anything.

#![expect(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;
use waybill_hl7v2::batch::{self, Part};

fn line() -> impl Strategy<Value = &'static [u8]> {
    prop::sample::select(vec![
        &b"FHS|^~\\&|A"[..],
        b"BHS|^~\\&|A",
        b"BHS!@%$*",
        b"MSH|^~\\&|A|B|C|D|2026||ADT^A01|1|P|2.5",
        b"MSH#",
        b"MSH",
        b"MSHX|",
        b"PID|1||42",
        b"BTS|1",
        b"BTS",
        b"FTS|1",
        b"",
        b"\xef\xbb\xbf",
        b"text \xff",
    ])
}

proptest! {
    #[test]
    fn every_byte_but_line_ends_between_parts_is_in_one_part(
        lines in prop::collection::vec((line(), prop::sample::select(vec![&b"\r"[..], b"\n", b"\r\n", b"\r\r", b""])), 0..20),
    ) {
        let input: Vec<u8> = lines.iter().flat_map(|(line, end)| [*line, *end].concat()).collect();
        check(&input);
    }

    #[test]
    fn any_bytes_are_split(input in prop::collection::vec(any::<u8>(), 0..300)) {
        check(&input);
    }
}

fn check(input: &[u8]) {
    let mut at = 0;
    let mut messages = 0;
    for part in batch::parts(input) {
        let range = match part {
            Part::Message(range) => {
                messages += 1;
                assert!(input[range.clone()].starts_with(b"MSH"));
                assert!(!batch::is_several(&input[range.clone()]), "a message is one message");
                range
            }
            Part::Stray(range) => range,
            Part::FileHeader(s) | Part::BatchHeader(s) | Part::BatchTrailer(s) | Part::FileTrailer(s) => {
                let _ = (s.count(), s.delimiters(), s.header_field(11).value());
                let start =
                    at + input[at..].windows(s.raw().len()).position(|found| found == s.raw()).unwrap();
                start..start + s.raw().len()
            }
        };
        assert!(range.start >= at && range.end > range.start);
        assert!(input[at..range.start].iter().all(|byte| matches!(byte, b'\r' | b'\n') || at == 0));
        at = range.end;
    }
    assert!(input[at..].iter().all(|byte| matches!(byte, b'\r' | b'\n') || at == 0));
    if messages > 1 {
        assert!(batch::is_several(input));
    }
}
