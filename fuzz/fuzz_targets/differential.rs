//! Segments and fields, as this crate and er7 read them. What they are known to see differently (line feeds in data, lines of
//! blanks, delimiters that cannot work; see shared/hl7v2/tests/differential.rs) is kept out of the input.
#![no_main]

use libfuzzer_sys::fuzz_target;
use waybill_hl7v2::Message;

fuzz_target!(|text: &str| {
    if text.contains('\n') || text.split('\r').any(|line| line.trim().is_empty() && !line.is_empty()) {
        return;
    }
    let (Ok(own), Ok(theirs)) = (Message::parse(text.as_bytes()), er7::parse(text)) else { return };
    assert_eq!(own.segment_count(), theirs.segments.len());
    for (own, theirs) in own.segments().zip(&theirs.segments) {
        assert_eq!(own.name(), theirs.name.as_bytes());
        // A header segment that is its name alone has a first field there.
        assert_eq!(own.field_count().max(usize::from(theirs.is_header())), theirs.fields.len());
        for (field, peer) in own.fields().zip(&theirs.fields) {
            if field.is_absent() {
                // In a second header an empty MSH-2 is one empty part there.
                assert!(peer.is_empty());
                continue;
            }
            assert_eq!(field.repetitions().count(), peer.repetitions.len());
            for (repetition, peer) in field.repetitions().zip(&peer.repetitions) {
                // An empty part has none below here, one empty one there.
                assert_eq!(repetition.components().count().max(1), peer.components.len());
                for (component, peer) in repetition.components().zip(&peer.components) {
                    assert_eq!(component.subcomponents().count().max(1), peer.subcomponents.len());
                    for (leaf, peer) in component.subcomponents().zip(&peer.subcomponents) {
                        assert_eq!(leaf.raw(), peer.raw.as_bytes());
                    }
                }
            }
        }
    }
});
