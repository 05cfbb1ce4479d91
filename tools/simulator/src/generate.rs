//! Invents the traffic of one hospital: the same messages for the same seed.
//!
//! Three systems send. The EHR tells of stays and of what about them was a mistake, of appointments, orders and charges
//! (and of things nobody downstream wants); the laboratory reports results that go from preliminary to final to
//! corrected; the clinic sends FHIR Bundles. All speak of the same patients, so that a result's patient is the one who
//! was admitted. The quirks are those of real
//! feeds, in roughly their real share: five encoding characters, Latin-1 declared or not, Z segments, `""`, odd
//! escapes, trailing separators, repeated sends.

mod adt;
mod batch;
mod billing;
mod catalogue;
mod draft;
mod fhir;
mod hospital;
mod lab;
mod message;
mod names;
mod orders;
mod scheduling;
#[cfg(test)]
mod tests;
mod unrouted;

pub use self::batch::batch;
pub use self::message::{Expect, ExpectedAck, Feed, Generated, Kind};

use std::collections::{BTreeMap, VecDeque};

use time::macros::datetime;
use time::{Duration, PrimitiveDateTime};

use self::adt::{Event, Telling};
use self::billing::Charge;
use self::draft::Finished;
use self::hospital::{Numbers, Patient};
use self::lab::Order;
use self::orders::Placed;
use self::scheduling::Appointment;
use crate::rng::Rng;

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
    /// Share of FHIR Bundles, 0..=1. None by default: they take another way than MLLP.
    pub fhir_share: f64,
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
            fhir_share: 0.0,
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
    placed: Vec<Placed>,
    appointments: Vec<Appointment>,
    charges: Vec<Charge>,
    /// Messages to send again after this many others.
    repeats: VecDeque<(usize, Generated)>,
    /// Part of every control id: derived from the seed.
    run: u64,
    made: usize,
    sequence: [u64; 3],
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
            placed: Vec::new(),
            appointments: Vec::new(),
            charges: Vec::new(),
            repeats: VecDeque::new(),
            run,
            made: 0,
            sequence: [0; 3],
            config,
        }
    }

    fn next_message(&mut self) -> Generated {
        self.now += Duration::seconds(self.rng.between(4, 75) as i64);
        if self.rng.chance(self.config.unrouted_share) {
            return self.unrouted();
        }
        if self.config.fhir_share > 0.0 && self.rng.chance(self.config.fhir_share) {
            return self.bundle();
        }
        if self.rng.chance(self.config.lab_share) {
            return self.result();
        }
        match self.rng.weighted(&[62, 13, 14, 11]) {
            0 => self.administration(),
            1 => self.scheduling(),
            2 => self.charging(),
            _ => self.ordering(),
        }
    }

    fn any_patient(&mut self) -> usize {
        self.rng.below(self.patients.len() as u64) as usize
    }

    fn administration(&mut self) -> Generated {
        let mut index = self.any_patient();
        let mut event = Event::next_for(&self.patients[index], &mut self.rng);
        let mut prior = match event {
            Event::Merge => Some((self.patients[index].mrn.clone(), String::new())),
            _ => None,
        };
        if event == Event::MoveVisit {
            match self.other_patient(index) {
                Some(other) => {
                    let wrong = &mut self.patients[index];
                    prior = Some((wrong.mrn.clone(), wrong.account.clone()));
                    self.patients[other].stay = wrong.stay.take();
                    index = other;
                }
                None => event = Event::Update,
            }
        }
        let occurred = event.happen(&mut self.patients[index], self.now, &mut self.numbers, &mut self.rng);
        let bad = self.bad();
        let control_id = self.control_id(Feed::Ehr, bad);
        let patient = &self.patients[index];
        let telling = Telling { event, patient, prior, at: self.now, occurred };
        let mut draft = telling.write(&mut self.rng);
        let (kind, trigger, _) = draft.message_type;
        if bad == Some(Kind::MissingPatient) {
            draft.drop_segment("PID");
        }
        let mrn = patient.mrn.clone();
        let finished = draft.finish(&control_id);
        generated(Feed::Ehr, control_id, finished, format!("{kind}^{trigger}"), bad.unwrap_or(Kind::Adt), mrn)
    }

    /// Somebody for whom no visit is open.
    fn other_patient(&self, than: usize) -> Option<usize> {
        let count = self.patients.len();
        (1..count)
            .map(|step| (than + step) % count)
            .find(|index| self.patients[*index].stay.is_none() && self.patients[*index].known)
    }

    fn scheduling(&mut self) -> Generated {
        let mut next = None;
        if !self.appointments.is_empty() && self.rng.chance(0.4) {
            let index = self.rng.below(self.appointments.len() as u64) as usize;
            match self.appointments[index].advance(&mut self.rng) {
                Some(()) => next = Some(self.appointments[index].clone()),
                None => drop(self.appointments.swap_remove(index)),
            }
        }
        let appointment = next.unwrap_or_else(|| {
            let patient = self.any_patient();
            let booked = Appointment::book(patient, self.now, &mut self.numbers, &mut self.rng);
            self.appointments.push(booked.clone());
            booked
        });
        let control_id = self.control_id(Feed::Ehr, None);
        let patient = &self.patients[appointment.patient];
        let draft = appointment.write(patient, self.now, &mut self.rng);
        let (kind, trigger, _) = draft.message_type;
        let finished = draft.finish(&control_id);
        let mrn = patient.mrn.clone();
        generated(Feed::Ehr, control_id, finished, format!("{kind}^{trigger}"), Kind::Appointment, mrn)
    }

    fn charging(&mut self) -> Generated {
        let credit = !self.charges.is_empty() && self.rng.chance(0.12);
        let lines = if credit {
            let index = self.rng.below(self.charges.len() as u64) as usize;
            vec![self.charges.swap_remove(index)]
        } else {
            let patient = self.any_patient();
            let count = self.rng.between(1, 4);
            (0..count).map(|_| Charge::capture(patient, self.now, &mut self.numbers, &mut self.rng)).collect()
        };
        let control_id = self.control_id(Feed::Ehr, None);
        let patient = &self.patients[lines[0].patient];
        let draft = billing::posting(patient, &lines, credit, self.now, &mut self.rng);
        let finished = draft.finish(&control_id);
        let mrn = patient.mrn.clone();
        if !credit {
            self.charges.extend(lines);
        }
        generated(Feed::Ehr, control_id, finished, "DFT^P03".to_owned(), Kind::Charge, mrn)
    }

    fn ordering(&mut self) -> Generated {
        let mut next = None;
        if !self.placed.is_empty() && self.rng.chance(0.1) {
            let index = self.rng.below(self.placed.len() as u64) as usize;
            let mut order = self.placed.swap_remove(index);
            next = order.cancel().map(|()| order);
        }
        let order = next.unwrap_or_else(|| {
            let patient = self.any_patient();
            let placed = Placed::new(patient, &mut self.numbers, &mut self.rng);
            self.placed.push(placed.clone());
            placed
        });
        let control_id = self.control_id(Feed::Ehr, None);
        let patient = &self.patients[order.patient];
        let draft = order.write(patient, self.now, &mut self.rng);
        let (kind, trigger, _) = draft.message_type;
        let finished = draft.finish(&control_id);
        let mrn = patient.mrn.clone();
        generated(Feed::Ehr, control_id, finished, format!("{kind}^{trigger}"), Kind::Order, mrn)
    }

    fn bundle(&mut self) -> Generated {
        let index = self.any_patient();
        let bad = self.rng.chance(self.config.bad_share);
        let control_id = self.control_id(Feed::Fhir, None);
        let patient = &self.patients[index];
        let fhir::Bundle { mut bytes, mut phi, mut resources } =
            fhir::visit(patient, &control_id, self.now, &mut self.numbers, &mut self.rng);
        if bad {
            // A connection that broke, and a sender that took it for the end.
            bytes.truncate(bytes.len() * 2 / 3);
            phi.retain(|value| crate::phi::occurrences(&bytes, value) > 0);
            resources.clear();
        }
        let kind = if bad { Kind::BrokenBundle } else { Kind::Bundle };
        let finished = Finished { bytes, phi };
        let mrn = patient.mrn.clone();
        let message = generated(Feed::Fhir, control_id, finished, "Bundle".to_owned(), kind, mrn);
        Generated { resources, ..message }
    }

    fn unrouted(&mut self) -> Generated {
        let index = self.any_patient();
        let control_id = self.control_id(Feed::Ehr, None);
        let draft = unrouted::unrouted(&self.patients[index], self.now, &mut self.rng);
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
            (_, Feed::Fhir) => format!("F{:06X}{number:07}", self.run),
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
    let refused = matches!(kind, Kind::MissingControlId | Kind::MissingPatient | Kind::BrokenBundle);
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
        resources: BTreeMap::new(),
    }
}
