//! What the charge capture tells: services with their prices, and credits that take them back.

use time::{Duration, PrimitiveDateTime};

use super::adt::evn;
use super::draft::{Draft, doctor};
use super::hospital::{Numbers, Patient, stamp};
use super::{Feed, names};
use crate::er7::Segment;
use crate::rng::Rng;

/// CPT or HCPCS code, description, price in cents, department.
pub(super) const SERVICES: [(&str, &str, u64, &str); 6] = [
    ("99213", "Office visit, established patient", 12_850, "CLINIC"),
    ("99284", "Emergency department visit", 41_200, "ED"),
    ("80053", "Comprehensive metabolic panel", 4_775, "LAB"),
    ("71046", "Chest X-ray, 2 views", 18_900, "RAD"),
    ("93000", "Electrocardiogram & report", 9_550, "CARD"),
    ("J1885", "Injection, ketorolac 15 mg", 2_140, "PHARM"),
];

/// One posted charge.
#[derive(Debug, Clone)]
pub(super) struct Charge {
    pub(super) patient: usize,
    transaction: String,
    service: usize,
    units: u64,
    performed: PrimitiveDateTime,
    doctor: usize,
}

impl Charge {
    pub(super) fn capture(
        patient: usize,
        at: PrimitiveDateTime,
        numbers: &mut Numbers,
        rng: &mut Rng,
    ) -> Self {
        Self {
            patient,
            transaction: numbers.issue("TX", 8, rng),
            service: rng.below(SERVICES.len() as u64) as usize,
            units: rng.between(1, 3),
            performed: at - Duration::minutes(rng.between(10, 600) as i64),
            doctor: rng.below(names::DOCTOR.len() as u64) as usize,
        }
    }

    fn write(&self, draft: &mut Draft<'_>, number: usize, sort: &str, at: PrimitiveDateTime) {
        let (code, name, cents, department) = SERVICES[self.service];
        let sign = if sort == "CR" { "-" } else { "" };
        let money = |cents: u64| format!("{}.{:02}", cents / 100, cents % 100);
        let transaction = draft.phi(&self.transaction);
        let name = draft.escape(name);
        let mut ft1 = Segment::new("FT1")
            .set(1, number.to_string())
            .set(2, transaction)
            .set(3, format!("B{}", &stamp(at)[..8]))
            .set(4, stamp(self.performed))
            .set(5, stamp(at))
            .set(6, sort)
            .set(7, format!("{code}^{name}^C4"))
            .set(10, self.units.to_string())
            .set(11, format!("{sign}{}&USD", money(cents * self.units)))
            .set(12, format!("{sign}{}&USD", money(cents)))
            .set(13, format!("{department}^^HL70049"))
            .set(18, "O")
            .set(19, "I10^Essential hypertension^I10")
            .set(20, doctor(self.doctor))
            .set(21, doctor(0))
            .set(25, format!("{code}^{name}^C4"));
        if self.units > 1 {
            ft1 = ft1.set(26, "76^Repeat procedure^HL70340");
        }
        draft.push(ft1);
    }
}

/// One posting of charges, or the credit of an earlier one under its transaction id.
pub(super) fn posting<'a>(
    patient: &Patient,
    charges: &[Charge],
    credit: bool,
    at: PrimitiveDateTime,
    rng: &'a mut Rng,
) -> Draft<'a> {
    let mut draft = Draft::new(Feed::Ehr, ("DFT", "P03", "DFT_P03"), at, rng);
    draft.push(evn("P03", at, draft.version).set(6, stamp(at)));
    draft.pid(patient);
    draft.pv1(patient);
    for (number, charge) in (1..).zip(charges) {
        charge.write(&mut draft, number, if credit { "CR" } else { "CG" }, at);
    }
    draft.diagnosis(at);
    draft.insurance(patient);
    draft
}
