//! What the scheduling system tells: appointments booked, moved, called off, missed.

use time::{Duration, PrimitiveDateTime};

use super::draft::{Draft, doctor};
use super::hospital::{Numbers, Patient, stamp};
use super::{Feed, names};
use crate::er7::Segment;
use crate::rng::Rng;

/// Service as AIS-3 names it, minutes, appointment type.
const SERVICES: [(&str, &str, u64); 4] = [
    ("FU15", "Follow-up 15 min", 15),
    ("NP30", "New patient 30 min", 30),
    ("ECHO", "Echocardiography", 45),
    ("PT60", "Physical therapy", 60),
];

/// One appointment on its way.
#[derive(Debug, Clone)]
pub(super) struct Appointment {
    pub(super) patient: usize,
    placer: String,
    filler: String,
    start: PrimitiveDateTime,
    service: usize,
    doctor: usize,
    step: Step,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Booked,
    Moved,
    Cancelled,
    Missed,
}

impl Step {
    fn message_type(self) -> (&'static str, &'static str, &'static str) {
        let trigger = match self {
            Self::Booked => "S12",
            Self::Moved => "S13",
            Self::Cancelled => "S15",
            Self::Missed => "S26",
        };
        ("SIU", trigger, "SIU_S12")
    }

    /// SCH-25, table 0278.
    fn status(self) -> &'static str {
        match self {
            Self::Booked | Self::Moved => "Booked",
            Self::Cancelled => "Cancelled",
            Self::Missed => "Noshow",
        }
    }
}

impl Appointment {
    pub(super) fn book(patient: usize, at: PrimitiveDateTime, numbers: &mut Numbers, rng: &mut Rng) -> Self {
        Self {
            patient,
            placer: numbers.issue("APT", 8, rng),
            filler: numbers.issue("SCH", 8, rng),
            start: quarter(at + Duration::hours(rng.between(20, 900) as i64)),
            service: rng.below(SERVICES.len() as u64) as usize,
            doctor: rng.below(names::DOCTOR.len() as u64) as usize,
            step: Step::Booked,
        }
    }

    /// What happens to it next, or `None` when it is over.
    pub(super) fn advance(&mut self, rng: &mut Rng) -> Option<()> {
        if matches!(self.step, Step::Cancelled | Step::Missed) {
            return None;
        }
        self.step = [Step::Moved, Step::Cancelled, Step::Missed][rng.weighted(&[50, 35, 15])];
        if self.step == Step::Moved {
            self.start = quarter(self.start + Duration::hours(rng.between(20, 300) as i64));
        }
        Some(())
    }

    pub(super) fn write<'a>(&self, patient: &Patient, at: PrimitiveDateTime, rng: &'a mut Rng) -> Draft<'a> {
        let (code, name, minutes) = SERVICES[self.service];
        let mut draft = Draft::new(Feed::Ehr, self.step.message_type(), at, rng);
        let end = self.start + Duration::minutes(minutes as i64);
        let reason = match self.step {
            Step::Cancelled => "PATIENT^Cancelled by patient^L",
            _ => "ROUTINE^Routine appointment^HL70276",
        };
        let (placer, filler) = (draft.phi(&self.placer), draft.phi(&self.filler));
        draft.push(
            Segment::new("SCH")
                .set(1, format!("{placer}^GENEHR"))
                .set(2, format!("{filler}^GENSCH"))
                .set(6, reason)
                .set(7, "CHECKUP^Check-up^HL70276")
                .set(8, "NORMAL^Routine schedule request type^HL70277")
                .set(9, minutes.to_string())
                .set(10, "min^minute^UCUM")
                .set(11, format!("^^{minutes}^{}^{}", stamp(self.start), stamp(end)))
                .set(16, doctor(self.doctor))
                .set(20, doctor(0))
                .set(25, format!("{}^^HL70278", self.step.status())),
        );
        if draft.rng().chance(0.3) {
            let text = draft.escape("Bring earlier reports & a list of drugs");
            draft.push(Segment::new("NTE").set(1, "1").set(3, text));
        }
        draft.pid(patient);
        draft.pv1(patient);
        draft.push(Segment::new("RGS").set(1, "1").set(2, "A"));
        draft.push(
            Segment::new("AIS")
                .set(1, "1")
                .set(2, "A")
                .set(3, format!("{code}^{name}^L"))
                .set(4, stamp(self.start))
                .set(7, minutes.to_string())
                .set(8, "min"),
        );
        if draft.rng().chance(0.6) {
            draft.push(Segment::new("AIL").set(1, "1").set(2, "A").set(3, "CLINIC^12^^GENHOSP"));
        }
        draft.push(
            Segment::new("AIP")
                .set(1, "1")
                .set(2, "A")
                .set(3, doctor(self.doctor))
                .set(4, "D^Doctor^HL70286"),
        );
        draft
    }
}

/// Appointments start at full quarters of an hour.
fn quarter(at: PrimitiveDateTime) -> PrimitiveDateTime {
    let past = i64::from(at.minute() % 15) * 60 + i64::from(at.second());
    at - Duration::seconds(past)
}
