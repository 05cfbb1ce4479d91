//! What the wards order from the laboratory.

use time::PrimitiveDateTime;

use super::Feed;
use super::catalogue::PANELS;
use super::draft::{Draft, doctor};
use super::hospital::{Numbers, Patient, stamp};
use crate::er7::Segment;
use crate::rng::Rng;

/// An order as the ward placed it.
#[derive(Debug, Clone)]
pub(super) struct Placed {
    pub(super) patient: usize,
    placer: String,
    panel: usize,
    cancelled: bool,
}

impl Placed {
    pub(super) fn new(patient: usize, numbers: &mut Numbers, rng: &mut Rng) -> Self {
        Self {
            patient,
            placer: numbers.issue("OP", 8, rng),
            panel: rng.below(PANELS.len() as u64) as usize,
            cancelled: false,
        }
    }

    /// Called off; `None` when it already was.
    pub(super) fn cancel(&mut self) -> Option<()> {
        (!std::mem::replace(&mut self.cancelled, true)).then_some(())
    }

    pub(super) fn write<'a>(&self, patient: &Patient, at: PrimitiveDateTime, rng: &'a mut Rng) -> Draft<'a> {
        let mut draft = Draft::new(Feed::Ehr, ("ORM", "O01", "ORM_O01"), at, rng);
        // Laboratory orders have a message of their own since 2.5 (2.4 in the standard, hardly seen).
        let modern = draft.modern() && draft.rng().chance(0.6);
        if modern {
            draft.message_type = ("OML", "O21", "OML_O21");
        }
        draft.pid(patient);
        draft.pv1(patient);
        let placer = format!("{}^GENEHR", draft.phi(&self.placer));
        let ordering = doctor(patient.stay.as_ref().map_or(0, |stay| stay.doctor));
        let mut orc = Segment::new("ORC")
            .set(1, if self.cancelled { "CA" } else { "NW" })
            .set(2, &*placer)
            .set(9, stamp(at))
            .set(12, &*ordering);
        if !modern {
            orc = orc.set(7, format!("1^^^{}^^R", stamp(at)));
        }
        draft.push(orc);
        if modern {
            draft.push(Segment::new("TQ1").set(1, "1").set(7, stamp(at)).set(9, "R^Routine^HL70485"));
        }
        let panel = &PANELS[self.panel];
        draft.push(
            Segment::new("OBR")
                .set(1, "1")
                .set(2, placer)
                .set(4, format!("{}^{}^LN", panel.loinc, panel.name))
                .set(16, ordering),
        );
        draft.diagnosis(at);
        if modern {
            draft.push(Segment::new("SPM").set(1, "1").set(4, "119297000^Blood specimen^SCT"));
        }
        draft
    }
}
