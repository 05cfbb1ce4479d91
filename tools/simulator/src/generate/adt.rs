//! What the EHR tells: who came, who moved, who left.

use time::PrimitiveDateTime;

use super::draft::{Draft, doctor};
use super::hospital::{Bed, Numbers, Patient, Stay, stamp};
use super::{Feed, names};
use crate::er7::Segment;
use crate::rng::Rng;

/// An event the hub has a mapping for, or could have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    Admit,
    Register,
    Transfer,
    Update,
    Discharge,
    AddPerson,
    UpdatePerson,
}

impl Event {
    /// What may happen next to this patient, in the proportions of an ordinary ward.
    pub(super) fn next_for(patient: &Patient, rng: &mut Rng) -> Self {
        let inpatient = patient.stay.as_ref().is_some_and(|stay| stay.class == "I");
        let (choices, weights): (&[Self], &[u32]) = if patient.is_present() && inpatient {
            (&[Self::Transfer, Self::Update, Self::Discharge], &[28, 42, 30])
        } else if patient.is_present() {
            (&[Self::Update, Self::Discharge], &[50, 50])
        } else if patient.known {
            (&[Self::Admit, Self::Register, Self::UpdatePerson], &[45, 30, 25])
        } else {
            (&[Self::Admit, Self::Register, Self::AddPerson], &[60, 25, 15])
        };
        choices[rng.weighted(weights)]
    }

    fn message_type(self) -> (&'static str, &'static str, &'static str) {
        let (trigger, structure) = match self {
            Self::Admit => ("A01", "ADT_A01"),
            Self::Register => ("A04", "ADT_A01"),
            Self::Transfer => ("A02", "ADT_A02"),
            Self::Update => ("A08", "ADT_A01"),
            Self::Discharge => ("A03", "ADT_A03"),
            Self::AddPerson => ("A28", "ADT_A05"),
            Self::UpdatePerson => ("A31", "ADT_A05"),
        };
        ("ADT", trigger, structure)
    }

    /// Changes the patient as the event says.
    pub(super) fn happen(
        self,
        patient: &mut Patient,
        at: PrimitiveDateTime,
        numbers: &mut Numbers,
        rng: &mut Rng,
    ) {
        patient.known = true;
        match self {
            Self::Admit | Self::Register => {
                let class = if self == Self::Admit { "I" } else { rng.pick(&["O", "E"]) };
                patient.stay = Some(Stay {
                    visit: numbers.issue("VN", 8, rng),
                    class,
                    bed: Bed::any(rng),
                    prior_bed: None,
                    admitted: at,
                    discharged: None,
                    doctor: rng.below(names::DOCTOR.len() as u64) as usize,
                });
            }
            Self::Transfer => {
                if let Some(stay) = &mut patient.stay {
                    stay.prior_bed = Some(std::mem::replace(&mut stay.bed, Bed::any(rng)));
                }
            }
            Self::Discharge => {
                if let Some(stay) = &mut patient.stay {
                    stay.discharged = Some(at);
                }
            }
            Self::Update | Self::UpdatePerson => {
                if rng.chance(0.4) {
                    patient.address.street = format!("{} {}", rng.between(10, 9899), rng.pick(names::STREET));
                }
            }
            Self::AddPerson => {}
        }
    }

    pub(super) fn write<'a>(self, patient: &Patient, at: PrimitiveDateTime, rng: &'a mut Rng) -> Draft<'a> {
        let kind = self.message_type();
        let mut draft = Draft::new(Feed::Ehr, kind, at, rng);
        draft.push(evn(kind.1, at, draft.version));
        draft.pid(patient);
        if draft.rng().chance(0.5) {
            draft.next_of_kin(patient);
        }
        let person_only = matches!(self, Self::AddPerson | Self::UpdatePerson);
        if person_only {
            draft.push(Segment::new("PV1").set(1, "1").set(2, "N"));
        } else {
            draft.pv1(patient);
        }
        if draft.rng().chance(0.3) {
            draft.push(
                Segment::new("AL1").set(1, "1").set(2, "DA").set(3, "7980^Penicillin^RXNORM").set(4, "MO"),
            );
        }
        if !person_only && draft.rng().chance(0.4) {
            let code = draft.rng().pick(&[
                "I10^Essential hypertension^I10",
                "E11.9^Type 2 diabetes^I10",
                "J18.9^Pneumonia^I10",
            ]);
            draft.push(Segment::new("DG1").set(1, "1").set(3, code).set(5, stamp(at)).set(6, "A"));
        }
        if self != Self::Transfer {
            draft.insurance(patient);
        }
        if draft.rng().chance(0.3) {
            draft.local_segment();
        }
        draft
    }
}

/// Things a hub must take in and account for although nothing wants them: scheduling, documents, charges, site events.
pub(super) fn unrouted<'a>(patient: &Patient, at: PrimitiveDateTime, rng: &'a mut Rng) -> Draft<'a> {
    const KINDS: [(&str, &str, &str); 5] = [
        ("SIU", "S12", "SIU_S12"),
        ("MDM", "T02", "MDM_T02"),
        ("DFT", "P03", "DFT_P03"),
        ("ADT", "A60", "ADT_A60"),
        ("ADT", "Z99", "ADT_Z99"),
    ];
    let kind = KINDS[rng.weighted(&[45, 15, 15, 15, 10])];
    let mut draft = Draft::new(Feed::Ehr, kind, at, rng);
    let number = draft.rng().digits(8);
    if kind.0 == "SIU" {
        draft.push(
            Segment::new("SCH")
                .set(1, format!("APT{number}^GENEHR"))
                .set(2, format!("APT{number}^GENEHR"))
                .set(6, "ROUTINE^Routine appointment^HL70276")
                .set(11, format!("^^30^{}", stamp(at))),
        );
    } else {
        draft.push(evn(kind.1, at, draft.version));
    }
    draft.pid(patient);
    draft.pv1(patient);
    match kind.0 {
        "SIU" => {
            draft.push(Segment::new("AIS").set(1, "1").set(3, "FU15^Follow-up 15 min^L").set(4, stamp(at)));
        }
        "MDM" => {
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
        "DFT" => draft.push(
            Segment::new("FT1")
                .set(1, "1")
                .set(2, format!("TX{number}"))
                .set(4, stamp(at))
                .set(6, "CG")
                .set(7, "99213^Office visit^C4")
                .set(10, "1"),
        ),
        _ => {}
    }
    draft
}

fn evn(trigger: &'static str, at: PrimitiveDateTime, version: &str) -> Segment {
    let evn = Segment::new("EVN").set(2, stamp(at)).set(5, doctor(0)).set(6, stamp(at));
    // EVN-1 was withdrawn with 2.5 but many feeds up to then repeat the trigger in it.
    if version < "2.5" { evn.set(1, trigger) } else { evn }
}
