//! Texts of senders as the books keep them.
//!
//! MSH-9 and MSH-10 are whatever bytes a sender wrote. PostgreSQL takes no NUL in a text, and no key of more than
//! about 2700 bytes in an index: one such message would stop the accounts of all others. The message itself stands
//! unchanged in its topic.

use waybill_delivery::Waybill;

/// Characters kept; MSH-10 has 199 at most since HL7 v2.7, 20 before.
const KEPT: usize = 255;
/// Stands for NUL.
const REPLACEMENT: char = '\u{fffd}';

/// Makes what a waybill repeats of its message storable.
pub(crate) fn keep(waybill: &mut Waybill) {
    for text in [&mut waybill.control_id, &mut waybill.message_type] {
        *text = text.take().map(kept);
    }
}

/// The beginning of the text, NUL replaced. Who looks for a text must do the same to it.
pub(crate) fn kept(text: String) -> String {
    let end = text.char_indices().nth(KEPT).map(|(end, _)| end);
    if end.is_none() && !text.contains('\0') {
        return text;
    }
    text[..end.unwrap_or(text.len())].replace('\0', REPLACEMENT.encode_utf8(&mut [0; 4]))
}

/// Names that our own services write: whatever breaks this was not written by one, and is set aside.
pub(crate) fn are_names<'a>(texts: impl IntoIterator<Item = &'a str>) -> bool {
    texts.into_iter().all(|text| text.len() <= KEPT && !text.contains('\0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_without_nul() {
        assert!(are_names(["lab.result.v1", "ward-ehr", ""]));
        assert!(!are_names(["lab.result.v1", "ward\0ehr"]));
        assert!(!are_names(["x".repeat(256).as_str()]));
    }

    #[test]
    fn ordinary_texts_stay_as_they_are_and_others_become_storable() {
        assert_eq!(kept("LAB-0001".into()), "LAB-0001");
        assert_eq!(kept("a\0b\0".into()), "a\u{fffd}b\u{fffd}");
        assert_eq!(kept("é".repeat(255)), "é".repeat(255));
        assert_eq!(kept("é".repeat(20_000)), "é".repeat(255));
    }
}
