//! What the EHR tells: who came, who moved, who left, and what of it was a mistake.

use time::PrimitiveDateTime;

use super::draft::{Draft, doctor};
use super::hospital::{Bed, Numbers, Patient, Stay, StayState, stamp};
use super::{Feed, names};
use crate::er7::Segment;
use crate::rng::Rng;

/// Share of arrivals that get a second record number by mistake.
const REGISTERED_TWICE: f64 = 0.06;

/// An event of the patient administration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    Admit,
    Register,
    PreAdmit,
    Transfer,
    ToInpatient,
    ToOutpatient,
    Update,
    Discharge,
    CancelAdmit,
    CancelTransfer,
    CancelDischarge,
    CancelPreAdmit,
    AddPerson,
    UpdatePerson,
    /// Two records of one person become one.
    Merge,
    /// A visit was entered for the wrong patient.
    MoveVisit,
}

use Event as E;

impl Event {
    /// What may happen next to this patient, in the proportions of an ordinary ward.
    pub(super) fn next_for(patient: &Patient, rng: &mut Rng) -> Self {
        if patient.rightful.is_some() && rng.chance(0.2) {
            return E::Merge;
        }
        let stay = patient.stay.as_ref();
        let inpatient = stay.is_some_and(|stay| stay.class == "I");
        let moved = u32::from(stay.is_some_and(|stay| stay.moved.is_some()));
        let left = u32::from(patient.is(StayState::Left));
        let choices: &[(Self, u32)] = if patient.is(StayState::Planned) {
            &[(E::Admit, 60), (E::CancelPreAdmit, 22), (E::Update, 18)]
        } else if patient.is_present() && inpatient {
            &[
                (E::Transfer, 24),
                (E::CancelTransfer, 4 * moved),
                (E::Update, 38),
                (E::Discharge, 26),
                (E::CancelAdmit, 3),
                (E::ToOutpatient, 3),
                (E::MoveVisit, 2),
            ]
        } else if patient.is_present() {
            &[
                (E::Update, 44),
                (E::Discharge, 40),
                (E::ToInpatient, 10),
                (E::CancelAdmit, 4),
                (E::MoveVisit, 2),
            ]
        } else if patient.known {
            &[
                (E::Admit, 38),
                (E::Register, 26),
                (E::PreAdmit, 10),
                (E::UpdatePerson, 20),
                (E::CancelDischarge, 6 * left),
            ]
        } else {
            &[(E::Admit, 54), (E::Register, 23), (E::PreAdmit, 8), (E::AddPerson, 15)]
        };
        let weights: Vec<_> = choices.iter().map(|(_, weight)| *weight).collect();
        choices[rng.weighted(&weights)].0
    }

    fn message_type(self) -> (&'static str, &'static str, &'static str) {
        let (trigger, structure) = match self {
            E::Admit => ("A01", "ADT_A01"),
            E::Transfer => ("A02", "ADT_A02"),
            E::Discharge => ("A03", "ADT_A03"),
            E::Register => ("A04", "ADT_A01"),
            E::PreAdmit => ("A05", "ADT_A05"),
            E::ToInpatient => ("A06", "ADT_A06"),
            E::ToOutpatient => ("A07", "ADT_A06"),
            E::Update => ("A08", "ADT_A01"),
            E::CancelAdmit => ("A11", "ADT_A09"),
            E::CancelTransfer => ("A12", "ADT_A12"),
            E::CancelDischarge => ("A13", "ADT_A01"),
            E::AddPerson => ("A28", "ADT_A05"),
            E::UpdatePerson => ("A31", "ADT_A05"),
            E::CancelPreAdmit => ("A38", "ADT_A38"),
            E::Merge => ("A40", "ADT_A39"),
            E::MoveVisit => ("A45", "ADT_A45"),
        };
        ("ADT", trigger, structure)
    }

    /// Changes the patient as the event says; gives the time of what a cancel takes back.
    pub(super) fn happen(
        self,
        patient: &mut Patient,
        at: PrimitiveDateTime,
        numbers: &mut Numbers,
        rng: &mut Rng,
    ) -> PrimitiveDateTime {
        let was_planned = patient.is(StayState::Planned);
        patient.known = true;
        if matches!(self, E::Admit | E::Register | E::PreAdmit) && !(was_planned && self == E::Admit) {
            if patient.rightful.is_none() && rng.chance(REGISTERED_TWICE) {
                patient.rightful = Some(std::mem::replace(&mut patient.mrn, numbers.issue("GH", 7, rng)));
            }
            patient.stay = Some(self.arrival(at, numbers, rng));
            return at;
        }
        if matches!(self, E::Update | E::UpdatePerson) && rng.chance(0.4) {
            patient.address.street = format!("{} {}", rng.between(10, 9899), rng.pick(names::STREET));
        }
        if self == E::Merge
            && let Some(rightful) = patient.rightful.take()
        {
            patient.mrn = rightful;
        }
        let Some(stay) = &mut patient.stay else { return at };
        self.happen_to(stay, at, rng)
    }

    fn happen_to(self, stay: &mut Stay, at: PrimitiveDateTime, rng: &mut Rng) -> PrimitiveDateTime {
        match self {
            E::Admit => {
                stay.state = StayState::Present;
                stay.admitted = at;
            }
            E::Transfer => {
                stay.prior_bed = Some(std::mem::replace(&mut stay.bed, Bed::any(rng)));
                stay.moved = Some(at);
            }
            E::ToInpatient | E::ToOutpatient => {
                stay.class = if self == E::ToInpatient { "I" } else { "O" };
                stay.prior_bed = Some(std::mem::replace(&mut stay.bed, Bed::any(rng)));
                // What A12 would take back is a transfer, not this.
                stay.moved = None;
            }
            E::Discharge => {
                stay.state = StayState::Left;
                stay.discharged = Some(at);
            }
            E::CancelAdmit | E::CancelPreAdmit => {
                stay.state = StayState::Cancelled;
                return stay.admitted;
            }
            E::CancelTransfer => {
                if let Some(prior) = stay.prior_bed.take() {
                    stay.bed = prior;
                }
                return stay.moved.take().unwrap_or(at);
            }
            E::CancelDischarge => {
                stay.state = StayState::Present;
                return stay.discharged.take().unwrap_or(at);
            }
            _ => {}
        }
        at
    }

    fn arrival(self, at: PrimitiveDateTime, numbers: &mut Numbers, rng: &mut Rng) -> Stay {
        Stay {
            visit: numbers.issue("VN", 8, rng),
            class: if self == E::Register { rng.pick(&["O", "E"]) } else { "I" },
            bed: Bed::any(rng),
            prior_bed: None,
            state: if self == E::PreAdmit { StayState::Planned } else { StayState::Present },
            admitted: at,
            moved: None,
            discharged: None,
            doctor: rng.below(names::DOCTOR.len() as u64) as usize,
        }
    }
}

/// An event that has happened, to be told.
#[derive(Debug)]
pub(super) struct Telling<'p> {
    pub(super) event: Event,
    pub(super) patient: &'p Patient,
    /// Record number and account that are no longer used, of a merge or a move.
    pub(super) prior: Option<(String, String)>,
    pub(super) at: PrimitiveDateTime,
    /// When it happened: of a cancel the time of what it takes back (EVN-6).
    pub(super) occurred: PrimitiveDateTime,
}

impl Telling<'_> {
    pub(super) fn write<'a>(&self, rng: &'a mut Rng) -> Draft<'a> {
        let Self { event, patient, at, .. } = *self;
        let kind = event.message_type();
        let mut draft = Draft::new(Feed::Ehr, kind, at, rng);
        draft.push(evn(kind.1, at, draft.version).set(6, stamp(self.occurred)));
        draft.pid(patient);
        match (&self.prior, event, &patient.stay) {
            (Some((mrn, account)), Event::MoveVisit, Some(stay)) => draft.prior(mrn, account, &stay.visit),
            (Some((mrn, _)), _, _) => draft.prior(mrn, "", ""),
            _ => {}
        }
        if event == Event::Merge {
            return draft;
        }
        let brief = matches!(
            event,
            E::MoveVisit | E::CancelAdmit | E::CancelTransfer | E::CancelPreAdmit | E::Transfer
        );
        let person_only = matches!(event, E::AddPerson | E::UpdatePerson);
        if !brief && draft.rng().chance(0.5) {
            draft.next_of_kin(patient);
        }
        if person_only {
            draft.push(Segment::new("PV1").set(1, "1").set(2, "N"));
        } else {
            draft.pv1(patient);
        }
        if !brief && draft.rng().chance(0.3) {
            draft.push(
                Segment::new("AL1").set(1, "1").set(2, "DA").set(3, "7980^Penicillin^RXNORM").set(4, "MO"),
            );
        }
        if !person_only && !brief && draft.rng().chance(0.4) {
            draft.diagnosis(at);
        }
        if !brief {
            draft.insurance(patient);
        }
        if draft.rng().chance(0.3) {
            draft.local_segment();
        }
        draft
    }
}

/// EVN with the time of recording; EVN-6 is the caller's.
pub(super) fn evn(trigger: &'static str, at: PrimitiveDateTime, version: &str) -> Segment {
    let evn = Segment::new("EVN").set(2, stamp(at)).set(5, doctor(0));
    // EVN-1 was withdrawn with 2.5 but many feeds up to then repeat the trigger in it.
    if version < "2.5" { evn.set(1, trigger) } else { evn }
}
