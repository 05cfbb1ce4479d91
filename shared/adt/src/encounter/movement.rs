//! Status, place and end of an encounter: what cancels take back.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use waybill_contracts::{
    Phi,
    clinical::{EncounterChange, EncounterEvent, EncounterLocation},
    fhir::CodeableConcept,
};

use super::{KEPT, Notice};
use crate::{
    join::{Fact, Newest},
    stamp::Stamp,
};

/// What one event said about status, place and end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Movement {
    stamp: Stamp,
    change: EncounterChange,
    /// Of a snapshot.
    status: Option<SmolStr>,
    location: Vec<EncounterLocation>,
    pub(super) end: Option<Phi<SmolStr>>,
    pub(super) disposition: Option<CodeableConcept>,
}

impl Movement {
    pub(super) fn new(stamp: Stamp, event: &EncounterEvent) -> Self {
        let encounter = &event.encounter;
        Self {
            stamp,
            change: event.change,
            status: (event.change == EncounterChange::Snapshot).then(|| encounter.status.clone()),
            location: encounter.location.clone(),
            end: encounter.period.as_ref().and_then(|period| period.end.clone()),
            disposition: encounter.discharge_disposition.clone(),
        }
    }

    /// Whether it says anything that has to be remembered here.
    pub(super) fn matters(&self) -> bool {
        self.places()
            || self.ends()
            || !matches!(self.change, EncounterChange::Update | EncounterChange::Merge)
    }

    /// Says where the patient is: by a place, or as a snapshot by having none.
    fn places(&self) -> bool {
        !self.location.is_empty() || self.change == EncounterChange::Snapshot
    }

    /// Says when the encounter ended: by a date, as a discharge also without one, as a snapshot by having none.
    fn ends(&self) -> bool {
        self.end.is_some()
            || self.disposition.is_some()
            || matches!(self.change, EncounterChange::Discharge | EncounterChange::Snapshot)
    }
}

impl Fact for Movement {
    type Group = EncounterChange;
    fn group(&self) -> EncounterChange {
        self.change
    }
    fn stamp(&self) -> Stamp {
        self.stamp
    }
}

/// Between events of the same second the one that comes later in a stay; each sort has its own rank.
pub(super) const fn rank(change: EncounterChange) -> u8 {
    match change {
        EncounterChange::Unknown => 0,
        EncounterChange::PreAdmit => 1,
        EncounterChange::CancelPreAdmit => 2,
        EncounterChange::Register => 3,
        EncounterChange::Admit => 4,
        EncounterChange::ToOutpatient => 5,
        EncounterChange::ToInpatient => 6,
        EncounterChange::Transfer => 7,
        EncounterChange::CancelTransfer => 8,
        EncounterChange::Update => 9,
        EncounterChange::Merge => 10,
        EncounterChange::Snapshot => 11,
        EncounterChange::Discharge => 12,
        EncounterChange::CancelDischarge => 13,
        EncounterChange::CancelAdmit => 14,
    }
}

/// What a cancel takes back (HL7 v2.9.1 §3.3.11, 12, 13, 38).
const fn targets(cancel: EncounterChange) -> &'static [EncounterChange] {
    match cancel {
        EncounterChange::CancelAdmit => &[EncounterChange::Admit, EncounterChange::Register],
        EncounterChange::CancelTransfer => &[EncounterChange::Transfer],
        EncounterChange::CancelDischarge => &[EncounterChange::Discharge],
        EncounterChange::CancelPreAdmit => &[EncounterChange::PreAdmit],
        _ => &[],
    }
}

/// The movements of an encounter, with what is cancelled among them.
pub(super) struct Movements<'a> {
    all: Vec<&'a Movement>,
    /// Taken back by a cancel.
    cancelled: BTreeSet<Stamp>,
    /// Transfers taken back by a cancel that does not say where the patient is instead: transfer, cancel.
    unmoved: Vec<(&'a Movement, Stamp)>,
    notices: Vec<Notice>,
}

impl<'a> Movements<'a> {
    pub(super) fn of(movements: &'a Newest<Movement, KEPT>) -> Self {
        let mut found = Self {
            all: movements.iter().collect(),
            cancelled: BTreeSet::new(),
            unmoved: Vec::new(),
            notices: Vec::new(),
        };
        for cancel in movements.iter() {
            match cancel.change {
                EncounterChange::Unknown => found.notices.push(Notice::UnknownChange(cancel.stamp)),
                change if targets(change).is_empty() => {}
                _ => found.cancel(cancel),
            }
        }
        found.notices.sort_unstable();
        found.notices.dedup();
        found
    }

    /// Finds what a cancel takes back. EVN-6 of a cancel is the time of what is cancelled, so that time alone cannot say
    /// what the sender knew: what it had sent before the cancel is meant, as far as it is known when things were sent.
    fn cancel(&mut self, cancel: &Movement) {
        let targets = targets(cancel.change);
        let all = self.all.clone();
        let candidates = || all.iter().copied().filter(|movement| targets.contains(&movement.change));
        let mut meant: Vec<Stamp> = candidates()
            .map(|movement| movement.stamp)
            .filter(|stamp| stamp.known_to(&cancel.stamp))
            .collect();
        if cancel.change == EncounterChange::CancelTransfer && cancel.location.is_empty() {
            // Only the last move is taken back, and each by one cancel.
            let mut transfers = candidates().rev();
            let last = transfers
                .find(|other| meant.contains(&other.stamp) && !self.cancelled.contains(&other.stamp));
            meant = last.map(|transfer| transfer.stamp).into_iter().collect();
            self.unmoved.extend(last.map(|transfer| (transfer, cancel.stamp)));
        }
        // Happened before and sent after: what is cancelled, late and with a new header; but if that is known already
        // and happened at another time, then the event was entered again.
        let late: Vec<_> = candidates()
            .filter(|movement| !movement.stamp.known_to(&cancel.stamp))
            .filter(|movement| movement.stamp.occurred <= cancel.stamp.occurred)
            .filter(|movement| {
                meant.is_empty() || meant.iter().any(|known| known.occurred == movement.stamp.occurred)
            })
            .map(|movement| (movement.change, movement.stamp))
            .collect();
        if meant.is_empty() && late.is_empty() {
            self.notices.push(Notice::CancelWithoutTarget(cancel.change, cancel.stamp));
        }
        for (change, stamp) in late {
            self.notices.push(Notice::CancelledThoughSentLater(change, stamp));
            meant.push(stamp);
        }
        if cancel.change == EncounterChange::CancelAdmit {
            // Without the admission there was no stay, and nothing that was said of it until then counts.
            let of_stay = self.all.iter().filter(|movement| {
                !matches!(
                    movement.change,
                    EncounterChange::PreAdmit
                        | EncounterChange::CancelPreAdmit
                        | EncounterChange::CancelAdmit
                ) && !targets.contains(&movement.change)
                    && movement.stamp.known_to(&cancel.stamp)
            });
            meant.extend(of_stay.map(|movement| movement.stamp));
        }
        self.cancelled.extend(meant);
    }

    fn live(&self) -> impl DoubleEndedIterator<Item = &'a Movement> + '_ {
        self.all.iter().copied().filter(|movement| !self.cancelled.contains(&movement.stamp))
    }

    /// The status by the latest event that has one and is not cancelled (v2-to-FHIR: A01 in-progress, A03 finished, A05
    /// planned, A11 cancelled; A04 in-progress: the patient has checked in). A08 says nothing about it.
    pub(super) fn status(&self) -> String {
        // Its time is that of the discharge it took back; the next one may have happened before that.
        let discharged_since = |cancel: &Movement| {
            let mut discharges = self.live().filter(|movement| movement.change == EncounterChange::Discharge);
            discharges.any(|discharge| !discharge.stamp.known_to(&cancel.stamp))
        };
        let stay = self.live().rev().find_map(|movement| match movement.change {
            EncounterChange::Admit
            | EncounterChange::Register
            | EncounterChange::ToInpatient
            | EncounterChange::ToOutpatient => Some("in-progress"),
            EncounterChange::CancelDischarge if !discharged_since(movement) => Some("in-progress"),
            EncounterChange::Discharge => Some("finished"),
            EncounterChange::Snapshot => movement.status.as_deref(),
            _ => None,
        });
        // Before the stay: a pre-admission, or its end, cannot undo an admission.
        let before = || {
            self.live().rev().find_map(|movement| match movement.change {
                EncounterChange::PreAdmit => Some("planned"),
                EncounterChange::CancelPreAdmit | EncounterChange::CancelAdmit => Some("cancelled"),
                _ => None,
            })
        };
        // Who is moved is there.
        let implied = || {
            let moved = self.live().find(|movement| {
                matches!(movement.change, EncounterChange::Transfer | EncounterChange::CancelTransfer)
            });
            moved.map(|_| "in-progress")
        };
        stay.or_else(implied).or_else(before).unwrap_or("unknown").to_owned()
    }

    /// Where the patient is. A cancel says where they are after it (PV1-3 of A12 and A13), which settles whatever the
    /// sender had said before.
    pub(super) fn location(&self) -> Vec<EncounterLocation> {
        let cancels: Vec<_> = self
            .live()
            .filter(|movement| !targets(movement.change).is_empty() && movement.places())
            .collect();
        let settled = |movement: &Movement| {
            cancels
                .iter()
                .any(|cancel| cancel.stamp != movement.stamp && movement.stamp.known_to(&cancel.stamp))
        };
        // What was said between a transfer and its cancel repeats where the transfer had led.
        let unmoved = |movement: &Movement| {
            self.unmoved.iter().any(|(transfer, cancel)| {
                movement.stamp > transfer.stamp
                    && movement.stamp.known_to(cancel)
                    && movement.location.first() == transfer.location.first()
            })
        };
        let mut places = self.live().rev().filter(|movement| movement.places() && !unmoved(movement));
        places
            .find(|movement| !settled(movement))
            .map(|movement| movement.location.clone())
            .unwrap_or_default()
    }

    /// The latest event that says when the encounter ended, is not cancelled, and has not been followed by a new stay.
    pub(super) fn ending(&self) -> Option<&'a Movement> {
        let cancels: Vec<_> =
            self.live().filter(|movement| movement.change == EncounterChange::CancelDischarge).collect();
        let ending = self.live().rev().filter(|movement| movement.ends()).find(|movement| {
            movement.change == EncounterChange::Discharge
                || !cancels.iter().any(|cancel| movement.stamp.known_to(&cancel.stamp))
        })?;
        let reopened = self.live().any(|movement| {
            matches!(
                movement.change,
                EncounterChange::Admit
                    | EncounterChange::Register
                    | EncounterChange::ToInpatient
                    | EncounterChange::ToOutpatient
            ) && movement.stamp > ending.stamp
        });
        (!reopened).then_some(ending)
    }

    pub(super) fn notices(&self) -> Vec<Notice> {
        self.notices.clone()
    }
}
