//! Who and what is where, after all merges.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use waybill_contracts::{
    EventId,
    clinical::{AliasLevel, EncounterEvent, PatientEvent},
    fhir::Identifier,
};

use crate::{
    aliases::Aliases,
    encounter::{EncounterState, Folded},
    join::Join,
    key::{EncounterKey, Keying, Name, NotFolded, preadmit},
    patient::{Demographics, PatientState},
    stamp::Stamp,
};

/// Encounters, patients and the merges of both.
///
/// What was said stays under the identifier under which it was said; merges are followed when somebody asks. So a merge
/// needs no moving of what is known, may come before or after it, and can be taken back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Census {
    keying: Keying,
    aliases: Aliases,
    #[serde(with = "crate::pairs")]
    encounters: BTreeMap<EncounterKey, EncounterState>,
    #[serde(with = "crate::pairs")]
    patients: BTreeMap<Name, PatientState>,
}

/// An encounter after all merges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visit {
    /// The surviving key.
    pub key: EncounterKey,
    /// The surviving patient; `None` when no event had one with an identifier.
    pub patient: Option<Name>,
    /// Its state.
    pub folded: Folded,
}

impl Census {
    /// An empty one.
    pub fn new(keying: Keying) -> Self {
        Self { keying, ..Self::default() }
    }

    /// Adds what an encounter's event says.
    ///
    /// # Errors
    /// When the encounter has nothing to be known by; nothing is added then.
    pub fn apply_encounter(
        &mut self,
        id: EventId,
        event: &EncounterEvent,
    ) -> Result<EncounterKey, NotFolded> {
        let key = EncounterKey::of(event, self.keying)?;
        if let Some(before) = preadmit(event) {
            // The visit has got its number: what was said of it before belongs to it.
            let stamp = Stamp::new(&event.source, id, 0);
            self.aliases.link(AliasLevel::Visit, before, key.visit.clone(), stamp);
        }
        self.encounters.entry(key.clone()).or_default().apply(id, event);
        Ok(key)
    }

    /// Adds what a patient's event says, merges foremost.
    ///
    /// # Errors
    /// When the patient has nothing to be known by; the event's merges count all the same.
    pub fn apply_patient(&mut self, id: EventId, event: &PatientEvent) -> Result<Name, NotFolded> {
        // Both events of a merge say the same: one link, whichever comes first.
        let told = EventId::derive(event.source.message_id, "alias", 0);
        for alias in &event.alias {
            let name = |identifier: &Identifier| match alias.level {
                AliasLevel::Visit => Name::of_visit(identifier, &event.source),
                _ => Name::of_person(identifier, &event.source),
            };
            if let (Some(from), Some(to)) = (name(&alias.from), name(&alias.to)) {
                self.aliases.link(alias.level, from, to, Stamp::new(&event.source, told, 0));
            }
        }
        let name = Name::of_patient(&event.patient, &event.source).ok_or(NotFolded::NoPatientIdentifier)?;
        self.patients.entry(name.clone()).or_default().apply(id, event);
        Ok(name)
    }

    /// The merges, to look at or to take one back.
    pub fn aliases(&mut self) -> &mut Aliases {
        &mut self.aliases
    }

    /// All encounters, each once, by their surviving keys.
    pub fn encounters(&self) -> Vec<Visit> {
        let mut groups = BTreeMap::<EncounterKey, EncounterState>::new();
        for (key, state) in &self.encounters {
            groups.entry(self.surviving(key)).or_default().join(state);
        }
        groups.into_iter().map(|(key, state)| self.visit(key, &state)).collect()
    }

    /// The encounter that `key` stands for, if any event told of it.
    pub fn encounter(&self, key: &EncounterKey) -> Option<Visit> {
        let survivor = self.surviving(key);
        let mut known = self.encounters.iter().filter(|(key, _)| self.surviving(key) == survivor);
        let mut state = known.next()?.1.clone();
        known.for_each(|(_, other)| state.join(other));
        Some(self.visit(survivor, &state))
    }

    /// The patient that `name` stands for, if any event told of it.
    pub fn patient(&self, name: &Name) -> Option<Demographics> {
        let survivor = self.aliases.survivor(AliasLevel::Patient, name);
        let mut state = self.patients.get(&survivor).cloned();
        let mut replaced = Vec::new();
        for (other, known) in &self.patients {
            if *other != survivor && self.aliases.survivor(AliasLevel::Patient, other) == survivor {
                state.get_or_insert_default().absorb(known);
                replaced.push(other.clone());
            }
        }
        Some(Demographics::new(survivor, &state?, replaced))
    }

    /// The patients that have not been merged away.
    pub fn patients(&self) -> Vec<Demographics> {
        let mut survivors: Vec<_> =
            self.patients.keys().map(|name| self.aliases.survivor(AliasLevel::Patient, name)).collect();
        survivors.sort_unstable();
        survivors.dedup();
        survivors.iter().filter_map(|name| self.patient(name)).collect()
    }

    fn surviving(&self, key: &EncounterKey) -> EncounterKey {
        EncounterKey {
            visit: self.aliases.survivor(AliasLevel::Visit, &key.visit),
            account: key.account.as_ref().map(|account| self.aliases.survivor(AliasLevel::Account, account)),
        }
    }

    fn visit(&self, key: EncounterKey, state: &EncounterState) -> Visit {
        let folded = state.folded();
        let patient = state.patient().map(|name| self.aliases.survivor(AliasLevel::Patient, name));
        Visit { key, patient, folded }
    }
}

impl Join for Census {
    fn join(&mut self, other: &Self) {
        // The rule of the key is the installation's; two of them cannot be put together, and the first stays.
        self.aliases.join(&other.aliases);
        for (key, state) in &other.encounters {
            self.encounters.entry(key.clone()).or_default().join(state);
        }
        for (name, state) in &other.patients {
            self.patients.entry(name.clone()).or_default().join(state);
        }
    }
}
