//! One encounter from its events.

mod content;
mod movement;

use serde::{Deserialize, Serialize};
use waybill_contracts::{
    EventId,
    clinical::{Coverage, Encounter, EncounterChange, EncounterEvent, Guarantor},
    fhir::{Patient, Period},
    lab::Observation,
};

use self::{
    content::Content,
    movement::{Movement, Movements},
};
use crate::{
    join::{Join, Newest, Register},
    key::Name,
    stamp::Stamp,
};

/// Movements of each sort that are kept: more transfers than in the longest stays, and no more memory than that.
const KEPT: usize = 32;

/// What is known of one encounter: its movements, and of all else the latest word.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncounterState {
    movements: Newest<Movement, KEPT>,
    content: Content,
    /// What the patient is known by, as the latest event says.
    patient: Register<Option<Name>>,
}

/// The encounter as its events have it now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    /// The encounter.
    pub encounter: Encounter,
    /// The patient as the latest event has them; who that is after merges, [`crate::Census`] says.
    pub patient: Patient,
    /// Coverages.
    pub coverage: Vec<Coverage>,
    /// Guarantors.
    pub guarantor: Vec<Guarantor>,
    /// Observations.
    pub observation: Vec<Observation>,
    /// What somebody should look at.
    pub notices: Vec<Notice>,
}

/// Something odd about the events of an encounter; none of it keeps the state from being computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Notice {
    /// What is cancelled has not come (yet). The cancel holds against it when it comes; a consumer may wait a while and
    /// then tell somebody.
    CancelWithoutTarget(EncounterChange, Stamp),
    /// Taken as cancelled because it happened before the cancel, although it was sent after it: a repeat with a new
    /// header, or an event entered again with an earlier time.
    CancelledThoughSentLater(EncounterChange, Stamp),
    /// A newer version wrote what this one does not know.
    UnknownChange(Stamp),
}

impl EncounterState {
    /// Adds what an event says; `id` is the event's (`ce_id`). The same event again changes nothing.
    pub fn apply(&mut self, id: EventId, event: &EncounterEvent) {
        let stamp = Stamp::new(&event.source, id, movement::rank(event.change));
        self.content.write(stamp, event);
        self.patient.write(stamp, &Name::of_patient(&event.patient, &event.source), false);
        let movement = Movement::new(stamp, event);
        if movement.matters() {
            self.movements.add(movement);
        }
    }

    /// What the patient of the latest event is known by, before merges.
    pub fn patient(&self) -> Option<&Name> {
        self.patient.get().as_ref()
    }

    /// The encounter as its events have it now.
    pub fn folded(&self) -> Folded {
        let movements = Movements::of(&self.movements);
        let mut encounter = self.content.encounter();
        let ending = movements.ending();
        let start = self.content.start();
        let end = ending.and_then(|movement| movement.end.clone());
        encounter.status = movements.status().into();
        encounter.location = movements.location();
        encounter.discharge_disposition = ending.and_then(|movement| movement.disposition.clone());
        encounter.period = (start.is_some() || end.is_some()).then_some(Period { start, end });
        Folded {
            encounter,
            patient: self.content.patient(),
            coverage: self.content.coverage(),
            guarantor: self.content.guarantor(),
            observation: self.content.observation(),
            notices: movements.notices(),
        }
    }
}

impl Join for EncounterState {
    fn join(&mut self, other: &Self) {
        self.movements.join(&other.movements);
        self.content.join(&other.content);
        self.patient.join(&other.patient);
    }
}
