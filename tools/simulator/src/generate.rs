//! Invents the traffic of one hospital: the same messages for the same seed.
//!
//! Two systems send. The EHR tells of admissions, registrations, transfers, updates and discharges (and of things
//! nobody downstream wants); the laboratory reports results that go from preliminary to final to corrected. Both
//! speak of the same patients, so that a result's patient is the one who was admitted. The quirks are those of real
//! feeds, in roughly their real share: five encoding characters, Latin-1 declared or not, Z segments, `""`, odd
//! escapes, trailing separators, repeated sends.

mod adt;
mod catalogue;
mod draft;
mod hospital;
mod lab;
mod names;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use time::macros::datetime;
use time::{Duration, PrimitiveDateTime};

use self::draft::Finished;
use self::hospital::{Numbers, Patient};
use self::lab::Order;
use crate::rng::Rng;

/// Which system sends a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Feed {
    /// The hospital's patient administration: MSH-3 `EHR`, MSH-4 `GENHOSP`.
    Ehr,
    /// The laboratory: MSH-3 `LIS`, MSH-4 `GENLAB`.
    Lis,
}

impl Feed {
    /// Sending application and facility (MSH-3, MSH-4).
    pub fn sender(self) -> (&'static str, &'static str) {
        match self {
            Self::Ehr => ("EHR", "GENHOSP"),
            Self::Lis => ("LIS", "GENLAB"),
        }
    }
}

/// Whether the hub should take a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExpectedAck {
    /// Accepted: AA, or CA in enhanced mode.
    AA,
    /// Refused for its content: AE, or AR where the receiver counts it as a structural fault.
    AE,
}

/// What sort of message it is, from the hub's point of view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Patient administration with a mapping: ADT A01, A03, A08.
    Adt,
    /// A laboratory result: ORU R01.
    Result,
    /// Well formed, but nothing is mapped from it: must be acknowledged and end as no-destination.
    NoDestination,
    /// Refused: MSH-10 is empty.
    MissingControlId,
    /// Refused: a message that needs a patient has no PID segment.
    MissingPatient,
}

/// What should become of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expect {
    /// The acknowledgement.
    pub ack: ExpectedAck,
    /// The sort of message.
    pub kind: Kind,
}

/// One message and what is known about it.
#[derive(Debug, Clone)]
pub struct Generated {
    /// Who sends it.
    pub feed: Feed,
    /// MSH-10; empty when [`Kind::MissingControlId`].
    pub control_id: String,
    /// The message as it goes into a frame: segments ended by CR, in the character set MSH-18 declares (or not).
    pub bytes: Vec<u8>,
    /// What should become of it.
    pub expect: Expect,
    /// Every identifying value in it, as text: names, record, account, visit and policy numbers, birth dates,
    /// phones, streets, social security numbers. See [`crate::phi::occurrences`] for finding them.
    pub phi: Vec<String>,
    /// Message type and trigger, `ADT^A01`.
    pub message_type: String,
    /// PID-3.1 of the patient it is about (also when the PID segment was left out).
    pub mrn: String,
    /// Filler order number (OBR-3.1) of a result.
    pub filler_order: Option<String>,
    /// OBR-25 of a result: P, F or C.
    pub result_status: Option<&'static str>,
    /// A result with a value beyond a panic limit (OBX-8 HH or LL).
    pub critical: bool,
    /// The same bytes were generated before: a sender that lost its acknowledgement.
    pub repeat: bool,
}

/// How much, from which seed, and how bad.
#[derive(Debug, Clone)]
pub struct GenerateConfig {
    /// Same seed, same messages. Control ids contain a number derived from it, so that runs with different seeds do
    /// not collide.
    pub seed: u64,
    /// Number of messages, repeats and bad ones included.
    pub count: usize,
    /// Patients to invent; 0 means one for every eight messages.
    pub patients: usize,
    /// Local time of the first message (MSH-7).
    pub start: PrimitiveDateTime,
    /// Share of laboratory results, 0..=1.
    pub lab_share: f64,
    /// Share of messages nothing is mapped from, 0..=1.
    pub unrouted_share: f64,
    /// Share of deliberately bad messages, 0..=1.
    pub bad_share: f64,
    /// Share of messages that are sent again, 0..=1.
    pub repeat_share: f64,
}

impl GenerateConfig {
    /// The usual mixture for this seed and count.
    pub fn new(seed: u64, count: usize) -> Self {
        Self {
            seed,
            count,
            patients: 0,
            start: datetime!(2026-11-02 06:00:00),
            lab_share: 0.45,
            unrouted_share: 0.04,
            bad_share: 0.01,
            repeat_share: 0.02,
        }
    }
}

/// The hospital's traffic as an iterator of [`GenerateConfig::count`] messages.
#[derive(Debug)]
pub struct Generator {
    config: GenerateConfig,
    rng: Rng,
    now: PrimitiveDateTime,
    numbers: Numbers,
    patients: Vec<Patient>,
    orders: Vec<Order>,
    /// Messages to send again after this many others.
    repeats: VecDeque<(usize, Generated)>,
    /// Part of every control id: derived from the seed.
    run: u64,
    made: usize,
    sequence: [u64; 2],
}

impl Generator {
    /// Prepares the hospital; nothing is generated yet.
    pub fn new(config: GenerateConfig) -> Self {
        let mut rng = Rng::new(config.seed);
        let run = rng.next_u64() & 0xFF_FFFF;
        let mut numbers = Numbers::default();
        let count = if config.patients == 0 { (config.count / 8).max(4) } else { config.patients };
        let today = config.start.date();
        let patients = (0..count).map(|_| Patient::invent(&mut numbers, today, &mut rng)).collect();
        Self {
            now: config.start,
            rng,
            numbers,
            patients,
            orders: Vec::new(),
            repeats: VecDeque::new(),
            run,
            made: 0,
            sequence: [0, 0],
            config,
        }
    }

    fn next_message(&mut self) -> Generated {
        self.now += Duration::seconds(self.rng.between(4, 75) as i64);
        if self.rng.chance(self.config.unrouted_share) {
            return self.unrouted();
        }
        if self.rng.chance(self.config.lab_share) { self.result() } else { self.administration() }
    }

    fn administration(&mut self) -> Generated {
        let index = self.rng.below(self.patients.len() as u64) as usize;
        let event = adt::Event::next_for(&self.patients[index], &mut self.rng);
        event.happen(&mut self.patients[index], self.now, &mut self.numbers, &mut self.rng);
        let bad = self.bad();
        let control_id = self.control_id(Feed::Ehr, bad);
        let mut draft = event.write(&self.patients[index], self.now, &mut self.rng);
        let (kind, trigger, _) = draft.message_type;
        let sort = if matches!(trigger, "A01" | "A03" | "A08") { Kind::Adt } else { Kind::NoDestination };
        // What is not mapped is taken as it is: without a patient it would be no refusal.
        let bad = bad.filter(|bad| *bad != Kind::MissingPatient || sort == Kind::Adt);
        if bad == Some(Kind::MissingPatient) {
            draft.drop_segment("PID");
        }
        let mrn = self.patients[index].mrn.clone();
        let finished = draft.finish(&control_id);
        generated(Feed::Ehr, control_id, finished, format!("{kind}^{trigger}"), bad.unwrap_or(sort), mrn)
    }

    fn unrouted(&mut self) -> Generated {
        let index = self.rng.below(self.patients.len() as u64) as usize;
        let control_id = self.control_id(Feed::Ehr, None);
        let draft = adt::unrouted(&self.patients[index], self.now, &mut self.rng);
        let (kind, trigger, _) = draft.message_type;
        let mrn = self.patients[index].mrn.clone();
        let finished = draft.finish(&control_id);
        generated(Feed::Ehr, control_id, finished, format!("{kind}^{trigger}"), Kind::NoDestination, mrn)
    }

    fn result(&mut self) -> Generated {
        let order = self.next_order();
        let bad = self.bad();
        let control_id = self.control_id(Feed::Lis, bad);
        let patient = &self.patients[order.patient];
        let mut draft = order.write(patient, self.now, &mut self.rng);
        if bad == Some(Kind::MissingPatient) {
            draft.drop_segment("PID");
        }
        let mrn = patient.mrn.clone();
        let finished = draft.finish(&control_id);
        let kind = bad.unwrap_or(Kind::Result);
        let message = generated(Feed::Lis, control_id, finished, "ORU^R01".to_owned(), kind, mrn);
        Generated {
            filler_order: Some(order.filler.clone()),
            result_status: Some(order.status()),
            critical: order.is_critical(),
            ..message
        }
    }

    /// An open order one step further, or a new one for a patient the hospital has seen.
    fn next_order(&mut self) -> Order {
        if !self.orders.is_empty() && self.rng.chance(0.4) {
            let index = self.rng.below(self.orders.len() as u64) as usize;
            if self.orders[index].advance(&mut self.rng).is_some() {
                return self.orders[index].clone();
            }
            self.orders.swap_remove(index);
        }
        let known: Vec<usize> = (0..self.patients.len()).filter(|&i| self.patients[i].known).collect();
        // Laboratories also see people the hospital never admitted.
        let patient = if known.is_empty() || self.rng.chance(0.05) {
            self.rng.below(self.patients.len() as u64) as usize
        } else {
            known[self.rng.below(known.len() as u64) as usize]
        };
        let order = Order::place(patient, self.now, &mut self.numbers, &mut self.rng);
        self.orders.push(order.clone());
        order
    }

    fn bad(&mut self) -> Option<Kind> {
        let kinds = [Kind::MissingPatient, Kind::MissingControlId];
        self.rng.chance(self.config.bad_share).then(|| kinds[self.rng.below(2) as usize])
    }

    fn control_id(&mut self, feed: Feed, bad: Option<Kind>) -> String {
        self.sequence[feed as usize] += 1;
        let number = self.sequence[feed as usize];
        // At most 20 characters: the limit of MSH-10 up to version 2.5.1.
        match (bad, feed) {
            (Some(Kind::MissingControlId), _) => String::new(),
            (_, Feed::Ehr) => format!("E{:06X}{number:07}", self.run),
            (_, Feed::Lis) => format!("L{:06X}-{number:07}", self.run),
        }
    }
}

impl Iterator for Generator {
    type Item = Generated;

    fn next(&mut self) -> Option<Generated> {
        if self.made >= self.config.count {
            return None;
        }
        self.made += 1;
        for waiting in &mut self.repeats {
            waiting.0 = waiting.0.saturating_sub(1);
        }
        if self.repeats.front().is_some_and(|(wait, _)| *wait == 0) {
            return self.repeats.pop_front().map(|(_, message)| message);
        }
        let message = self.next_message();
        // A message without a control id cannot be recognised as the same one, so it is not sent again.
        if !message.control_id.is_empty() && self.rng.chance(self.config.repeat_share) {
            let wait = self.rng.between(1, 4) as usize;
            self.repeats.push_back((wait, Generated { repeat: true, ..message.clone() }));
        }
        Some(message)
    }
}

fn generated(
    feed: Feed,
    control_id: String,
    finished: Finished,
    message_type: String,
    kind: Kind,
    mrn: String,
) -> Generated {
    let Finished { bytes, phi } = finished;
    let refused = matches!(kind, Kind::MissingControlId | Kind::MissingPatient);
    Generated {
        feed,
        control_id,
        bytes,
        expect: Expect { ack: if refused { ExpectedAck::AE } else { ExpectedAck::AA }, kind },
        phi,
        message_type,
        mrn,
        filler_order: None,
        result_status: None,
        critical: false,
        repeat: false,
    }
}
