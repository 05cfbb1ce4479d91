//! The people and stays behind the messages: what makes one message agree with the next.

use std::collections::HashSet;

use time::{Date, Duration, PrimitiveDateTime};

use super::names;
use crate::rng::Rng;

/// A patient as the hospital knows them, with the current stay if there is one.
#[derive(Debug, Clone)]
pub(super) struct Patient {
    pub(super) mrn: String,
    pub(super) enterprise_id: String,
    pub(super) family: String,
    pub(super) given: String,
    pub(super) middle: String,
    pub(super) birth: Date,
    /// `HHMM` of birth where the registration knows it.
    pub(super) birth_time: Option<String>,
    pub(super) sex: &'static str,
    pub(super) address: Address,
    pub(super) phone: Phone,
    pub(super) ssn: String,
    pub(super) account: String,
    pub(super) insurance: Option<Insurance>,
    pub(super) relative: Option<Relative>,
    pub(super) stay: Option<Stay>,
    /// The hospital has announced the person already (A28 or any visit).
    pub(super) known: bool,
    /// The right record number of somebody who was registered under a second one by mistake, until they are merged.
    pub(super) rightful: Option<String>,
}

#[derive(Debug, Clone)]
pub(super) struct Address {
    pub(super) street: String,
    pub(super) city: &'static str,
    pub(super) state: &'static str,
    pub(super) zip: &'static str,
}

/// Area code and local number, digits only.
#[derive(Debug, Clone)]
pub(super) struct Phone {
    pub(super) area: String,
    pub(super) local: String,
}

#[derive(Debug, Clone)]
pub(super) struct Insurance {
    pub(super) payer: usize,
    pub(super) policy: String,
    pub(super) group: String,
}

/// Next of kin.
#[derive(Debug, Clone)]
pub(super) struct Relative {
    pub(super) family: String,
    pub(super) given: String,
    pub(super) phone: Phone,
    pub(super) relationship: &'static str,
}

#[derive(Debug, Clone)]
pub(super) struct Stay {
    pub(super) visit: String,
    /// PV1-2: I inpatient, O outpatient, E emergency.
    pub(super) class: &'static str,
    pub(super) bed: Bed,
    pub(super) prior_bed: Option<Bed>,
    pub(super) state: StayState,
    /// Of a planned stay when it was planned.
    pub(super) admitted: PrimitiveDateTime,
    /// The last move that is not taken back.
    pub(super) moved: Option<PrimitiveDateTime>,
    pub(super) discharged: Option<PrimitiveDateTime>,
    pub(super) doctor: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StayState {
    Planned,
    Present,
    Left,
    /// There was none after all.
    Cancelled,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bed {
    pub(super) ward: &'static str,
    pub(super) room: u64,
    pub(super) place: &'static str,
}

impl Bed {
    pub(super) fn any(rng: &mut Rng) -> Self {
        Self {
            ward: rng.pick(names::WARD),
            room: rng.between(100, 699),
            place: rng.pick(&["A", "B", "1", "2"]),
        }
    }
}

impl Phone {
    fn any(rng: &mut Rng) -> Self {
        Self { area: rng.digits(3), local: format!("555{}", rng.digits(4)) }
    }

    /// The North American way of writing it, as feeds up to 2.4 do.
    pub(super) fn written(&self) -> String {
        format!("({}){}-{}", self.area, &self.local[..3], &self.local[3..])
    }
}

/// Identifiers handed out so far: no two patients or visits share one.
#[derive(Debug, Default)]
pub(super) struct Numbers(HashSet<String>);

impl Numbers {
    /// Prefixes hold letters outside A–F, so that an identifier never looks like part of a hash.
    pub(super) fn issue(&mut self, prefix: &str, digits: usize, rng: &mut Rng) -> String {
        loop {
            let number = format!("{prefix}{}", rng.digits(digits));
            if self.0.insert(number.clone()) {
                return number;
            }
        }
    }
}

impl Patient {
    pub(super) fn invent(numbers: &mut Numbers, today: Date, rng: &mut Rng) -> Self {
        let female = rng.chance(0.52);
        let family = family_name(rng);
        let given = given_name(female, rng);
        let (city, state, zip) = names::CITY[rng.below(names::CITY.len() as u64) as usize];
        let relative = rng.chance(0.6).then(|| Relative {
            family: if rng.chance(0.6) { family.clone() } else { family_name(rng) },
            given: given_name(!female, rng),
            phone: Phone::any(rng),
            relationship: rng.pick(&["SPO", "PAR", "CHD", "SIB", "FND"]),
        });
        let insurance = rng.chance(0.85).then(|| Insurance {
            payer: rng.below(names::PAYER.len() as u64) as usize,
            policy: numbers.issue("WQ", 9, rng),
            group: numbers.issue("GRP", 5, rng),
        });
        Self {
            mrn: numbers.issue("GH", 7, rng),
            enterprise_id: numbers.issue("PX", 9, rng),
            family,
            given,
            middle: if rng.chance(0.4) {
                rng.pick(&["Q", "Xaver", "J.", "Marie-Thérèse"]).to_owned()
            } else {
                String::new()
            },
            birth: today - Duration::days(rng.between(20, 34_000) as i64),
            birth_time: rng.chance(0.1).then(|| format!("{:02}{:02}", rng.below(24), rng.below(60))),
            sex: if female { "F" } else { "M" },
            address: Address {
                street: format!("{} {}", rng.between(10, 9899), rng.pick(names::STREET)),
                city,
                state,
                zip,
            },
            phone: Phone::any(rng),
            // Area numbers from 900 were never issued.
            ssn: format!("9{}-{}-{}", rng.digits(2), rng.digits(2), rng.digits(4)),
            account: numbers.issue("ACZ", 8, rng),
            insurance,
            relative,
            stay: None,
            known: false,
            rightful: None,
        }
    }

    /// PID-7: `YYYYMMDD`, with the time of birth where known.
    pub(super) fn birth_field(&self) -> String {
        let date = date(self.birth);
        self.birth_time.as_ref().map_or_else(|| date.clone(), |time| format!("{date}{time}"))
    }

    pub(super) fn is_present(&self) -> bool {
        self.is(StayState::Present)
    }

    pub(super) fn is(&self, state: StayState) -> bool {
        self.stay.as_ref().is_some_and(|stay| stay.state == state)
    }
}

fn family_name(rng: &mut Rng) -> String {
    let list = [names::FAMILY, names::FAMILY_COMPOUND, names::FAMILY_LATIN1, names::FAMILY_UNICODE];
    let which = rng.weighted(&[50, 20, 22, 8]);
    rng.pick(list[which]).to_owned()
}

fn given_name(female: bool, rng: &mut Rng) -> String {
    rng.pick(if female { names::GIVEN_FEMALE } else { names::GIVEN_MALE }).to_owned()
}

/// `YYYYMMDD`.
pub(super) fn date(date: Date) -> String {
    format!("{:04}{:02}{:02}", date.year(), u8::from(date.month()), date.day())
}

/// `YYYYMMDDHHMMSS`, the hospital's local time.
pub(super) fn stamp(at: PrimitiveDateTime) -> String {
    format!("{}{:02}{:02}{:02}", date(at.date()), at.hour(), at.minute(), at.second())
}
