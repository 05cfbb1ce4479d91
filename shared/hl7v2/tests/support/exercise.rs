//! Everything that can be asked of bytes.

use waybill_hl7v2::ack::{self, Ack, AckCode, AckError, ErrorCode};
use waybill_hl7v2::{Dtm, Message, edit, path};

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
    let errors =
        [AckError::new(ErrorCode::ApplicationInternalError).at(path!("OBX[2]-5.1")).with_text("| ü")];
    let reply = Ack::new(AckCode::AE, "A", "2024").with_errors(&errors).reply_to(message.header());
    let read = ack::read(&reply).unwrap();
    assert_eq!((read.control_id, read.errors.len()), (message.header().control_id(), 1));
    let _ = edit::replace_field(bytes, path!("PID-3[2].4.1"), b"x|\r");
}
