//! Any bytes as a batch: the parts come in order, do not overlap, and leave out nothing but blank lines.
#![no_main]

use libfuzzer_sys::fuzz_target;
use waybill_hl7v2::batch::{Part, is_several, parts};

fuzz_target!(|bytes: &[u8]| {
    let _ = is_several(bytes);
    let base = bytes.as_ptr().addr();
    let mut end = 0;
    for part in parts(bytes) {
        let range = match part {
            Part::Message(range) | Part::Stray(range) => range,
            Part::FileHeader(segment)
            | Part::BatchHeader(segment)
            | Part::BatchTrailer(segment)
            | Part::FileTrailer(segment) => {
                let _ = (segment.count(), segment.delimiters(), segment.header_field(11).raw());
                let start = segment.raw().as_ptr().addr() - base;
                start..start + segment.raw().len()
            }
        };
        assert!(end <= range.start && range.start < range.end && range.end <= bytes.len());
        let between = &bytes[end..range.start];
        assert!(
            between.iter().all(|byte| matches!(byte, b'\r' | b'\n'))
                || (end == 0 && between.starts_with(b"\xef\xbb\xbf"))
        );
        end = range.end;
    }
    assert!(bytes[end..].iter().all(|byte| matches!(byte, b'\r' | b'\n')) || end == 0);
});
