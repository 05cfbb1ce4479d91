//! Everything that can be asked of bytes.

use waybill_hl7v2::ack::{self, Ack, AckCode, AckError, ErrorCode};
use waybill_hl7v2::{Dtm, Message, Segment, edit, path};

/// Touches everything that can be asked of bytes.
pub(crate) fn exercise(bytes: &[u8]) {
    let _ = ack::read(bytes);
    let _ = Ack::new(AckCode::AR, "A", "2024").reply_to_unreadable(bytes);
    let _ = Dtm::parse(bytes);
    let Ok(message) = Message::parse(bytes) else { return };
    assert_eq!(message.encode(), bytes);
    let charset = message.charset(None);
    for segment in message.segments() {
        assert!(segment.field(0).is_absent() && segment.field(segment.field_count() + 1).is_absent());
        compare_leaves(&segment);
        for field in segment.fields() {
            let joined: Vec<_> = field.repetitions().map(|repetition| repetition.raw()).collect();
            if !(segment.name() == b"MSH" && field.raw().len() < 6) {
                assert_eq!(joined.join(&message.delimiters().repetition()), field.raw());
            }
            for leaf in field.repetitions().flat_map(|repetition| repetition.components()) {
                let _ = (leaf.unescaped(), leaf.subcomponent(1).text(&charset));
            }
        }
    }
    for name in [*b"PID", *b"OBX", *b"NTE", *b"ZB1"] {
        let first = message.segment(std::str::from_utf8(&name).unwrap());
        for number in 1..5 {
            let expected = first.map(|segment| segment.field(number).raw()).unwrap_or_default();
            assert_eq!(message.header().field_of(bytes, name, number).raw(), expected);
        }
    }
    let errors =
        [AckError::new(ErrorCode::ApplicationInternalError).at(path!("OBX[2]-5.1")).with_text("| ü")];
    let reply = Ack::new(AckCode::AE, "A", "2024").with_errors(&errors).reply_to(message.header());
    let read = ack::read(&reply).unwrap();
    assert_eq!((read.control_id, read.errors.len()), (message.header().control_id(), 1));
    let _ = edit::replace_field(bytes, path!("PID-3[2].4.1"), b"x|\r");
}

/// One pass over the leaves finds what going down level by level finds.
fn compare_leaves(segment: &Segment<'_>) {
    let mut leaves = segment.leaves();
    let headed = matches!(segment.name(), b"MSH" | b"FHS" | b"BHS");
    for (field, value) in segment.fields().enumerate().skip(if headed { 2 } else { 0 }) {
        for (repetition, value) in value.repetitions().enumerate() {
            for (component, value) in value.components().enumerate() {
                let present = value.subcomponents().enumerate().filter(|(_, value)| !value.is_absent());
                for (subcomponent, value) in present {
                    let leaf = leaves.next().unwrap();
                    let place = [leaf.field, leaf.repetition, leaf.component, leaf.subcomponent];
                    assert_eq!(place, [field + 1, repetition + 1, component + 1, subcomponent + 1]);
                    assert_eq!(leaf.value.raw(), value.raw());
                    assert_eq!(leaf.value.unescaped(), value.unescaped());
                }
            }
        }
    }
    assert!(leaves.next().is_none());
}
