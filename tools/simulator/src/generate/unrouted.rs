//! Things a hub must take in and account for although nothing wants them: documents, site events.

use time::PrimitiveDateTime;

use super::Feed;
use super::adt::evn;
use super::draft::Draft;
use super::hospital::{Patient, stamp};
use crate::er7::Segment;
use crate::rng::Rng;

pub(super) fn unrouted<'a>(patient: &Patient, at: PrimitiveDateTime, rng: &'a mut Rng) -> Draft<'a> {
    const KINDS: [(&str, &str, &str); 3] =
        [("MDM", "T02", "MDM_T02"), ("ADT", "A60", "ADT_A60"), ("ADT", "Z99", "ADT_Z99")];
    let kind = KINDS[rng.weighted(&[50, 30, 20])];
    let mut draft = Draft::new(Feed::Ehr, kind, at, rng);
    let number = draft.rng().digits(8);
    draft.push(evn(kind.1, at, draft.version).set(6, stamp(at)));
    draft.pid(patient);
    draft.pv1(patient);
    if kind.0 == "MDM" {
        draft.push(
            Segment::new("TXA")
                .set(1, "1")
                .set(2, "DS")
                .set(3, "TX")
                .set(12, format!("DOC{number}"))
                .set(17, "AU"),
        );
        let text = draft.escape("Discharge summary dictated, see chart #2 & attachments.");
        draft.push(
            Segment::new("OBX")
                .set(1, "1")
                .set(2, "TX")
                .set(3, "18842-5^Discharge summary^LN")
                .set(5, text)
                .set(11, "F"),
        );
    }
    draft
}
