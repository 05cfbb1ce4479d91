//! A body's resources by what points to them.

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, HashSet},
};

use smol_str::{SmolStr, ToSmolStr};
use waybill_contracts::{
    EventId, Phi,
    clinical::{self, EventSource},
    fhir,
    inbound::InboundMessage,
};
use waybill_fhir::{
    Bundle, Target, json,
    resources::{
        Claim, Condition, Coverage, DiagnosticReport, Encounter, ExplanationOfBenefit, Observation,
        Procedure, Resource,
    },
    types::Reference,
};

use super::{
    encounter,
    identity::{Identity, Subject},
    patient,
    plan::Plan,
};
use crate::{
    feed::Feed,
    mapping::{Event, Payload},
};

/// A body with everything that is looked up in it. Resources are read when they are needed and dropped again.
pub(super) struct Content<'c, 'a> {
    pub(super) plan: &'c Plan<'a>,
    pub(super) inbound: &'c InboundMessage,
    /// The body as it came in, where the feed's profile has rewritten it; with the same entries.
    pub(super) received: Option<&'c Bundle<'c>>,
    pub(super) feed: &'c Feed,
    /// Conditions, procedures, observations without a report, and claims, by the entry of their encounter.
    pub(super) conditions: HashMap<usize, Vec<usize>>,
    pub(super) procedures: HashMap<usize, Vec<usize>>,
    pub(super) observations: HashMap<usize, Vec<usize>>,
    pub(super) claims: HashMap<usize, Vec<usize>>,
    /// Coverages by beneficiary.
    pub(super) coverages: HashMap<Identity, Vec<usize>>,
    /// Explanations of benefit by the entry of their claim.
    pub(super) explanations: HashMap<usize, Vec<usize>>,
    /// Observations that are part of a report or of another observation.
    pub(super) reported: HashSet<usize>,
    pub(super) patients: HashMap<usize, fhir::Patient>,
    /// Encounters that charges have asked for, by their entries.
    encounters: RefCell<HashMap<usize, clinical::Encounter>>,
    /// Bytes that may still be looked at; see [`Content::is_exhausted`].
    pub(super) budget: Cell<u64>,
}

/// Bytes that are looked at for each byte of the body, at most, beside [`BUDGET`]. Synthea's patients take 6. What is
/// looked at becomes structures of several times its bytes: of a large body this bounds the memory.
const BUDGET_PER_BYTE: u64 = 8;
/// What any body may cause: the charges of a long stay, each with all of the stay, are many times as large as it is.
const BUDGET: u64 = 64 * 1024 * 1024;
/// What a diagnosis, procedure, place or participant counts that is copied from an encounter once read.
const COPIED: usize = 64;

/// A resource that a reference led to.
#[derive(Clone, Copy)]
pub(super) struct Found<'a> {
    /// Its type.
    pub(super) resource_type: &'a str,
    /// Its bytes.
    pub(super) raw: &'a str,
    /// The entry that its own references start from.
    pub(super) from: usize,
    /// It is that entry, not something contained in it.
    pub(super) is_entry: bool,
}

impl<'a> Found<'a> {
    /// Reads it, when it is of that type.
    pub(super) fn read<R: Resource<'a>>(&self) -> Option<R> {
        (self.resource_type == R::TYPE).then(|| json::read(self.raw, R::TYPE).ok()).flatten()
    }
}

impl<'c, 'a> Content<'c, 'a> {
    pub(super) fn new(
        plan: &'c Plan<'a>,
        inbound: &'c InboundMessage,
        body_bytes: usize,
        feed: &'c Feed,
    ) -> Self {
        let mut content = Self {
            plan,
            inbound,
            received: None,
            feed,
            conditions: HashMap::new(),
            procedures: HashMap::new(),
            observations: HashMap::new(),
            claims: HashMap::new(),
            coverages: HashMap::new(),
            explanations: HashMap::new(),
            reported: HashSet::new(),
            patients: HashMap::new(),
            budget: Cell::new(BUDGET + body_bytes as u64 * BUDGET_PER_BYTE),
            encounters: RefCell::default(),
        };
        for at in content.good() {
            content.link(at);
        }
        for at in plan.patients.keys() {
            if let Some(patient) = content.at(*at) {
                content.patients.extend(patient::patient(&content, patient).map(|patient| (*at, patient)));
            }
        }
        content
    }

    /// Entries that can be used, in order.
    pub(super) fn good(&self) -> Vec<usize> {
        (0..self.plan.bundle.entries.len()).filter(|at| self.plan.is_good(*at)).collect()
    }

    /// More was looked at than a body of this size may cause: its resources refer to each other over and over, and the
    /// events would be many times as large as the body. They are not all there.
    pub(super) fn is_exhausted(&self) -> bool {
        self.budget.get() == 0
    }

    /// The bytes of an entry's resource as they came in.
    pub(super) fn original(&self, at: usize) -> &[u8] {
        let entries = self.received.map_or(&self.plan.bundle.entries, |received| &received.entries);
        entries.get(at).map(|entry| entry.raw.as_bytes()).unwrap_or_default()
    }

    fn spend(&self, bytes: usize) -> bool {
        self.budget.set(self.budget.get().saturating_sub(bytes as u64));
        !self.is_exhausted()
    }

    /// The resource of an entry.
    pub(super) fn at(&self, at: usize) -> Option<Found<'a>> {
        let entry = self.plan.bundle.entries.get(at).filter(|_| self.plan.is_good(at))?;
        if !self.spend(entry.raw.len()) {
            return None;
        }
        // The type's text is borrowed from the body, but for one with an escape in it, which is no type of R4.
        let resource_type = match &entry.head.resource_type.0 {
            std::borrow::Cow::Borrowed(name) => *name,
            std::borrow::Cow::Owned(_) => return None,
        };
        Some(Found { resource_type, raw: entry.raw, from: at, is_entry: true })
    }

    /// What a reference made in entry `from` leads to, inside the body.
    pub(super) fn find(&self, from: usize, reference: &Reference<'_>) -> Option<Found<'a>> {
        let text = reference.reference.as_deref()?;
        if let Target::Contained(id) = Target::of(text) {
            // The whole container is looked through.
            if !self.spend(self.plan.bundle.entries.get(from)?.raw.len()) {
                return None;
            }
            let (resource_type, raw) = self.plan.bundle.contained(from, id)?;
            return Some(Found { resource_type, raw, from, is_entry: false });
        }
        self.at(self.plan.bundle.resolve(from, text)?)
    }

    /// What a reference leads to, when it is of that type.
    pub(super) fn read<R: Resource<'a>>(&self, from: usize, reference: Option<&Reference<'_>>) -> Option<R> {
        self.find(from, reference?)?.read()
    }

    fn entry_of(&self, from: usize, reference: Option<&Reference<'_>>) -> Option<usize> {
        self.plan.bundle.resolve(from, reference?.reference.as_deref()?).filter(|at| self.plan.is_good(*at))
    }

    fn link(&mut self, at: usize) {
        let Some(found) = self.at(at) else { return };
        match found.resource_type {
            Condition::TYPE => {
                let Some(condition) = found.read::<Condition<'_>>() else { return };
                if let Some(encounter) = self.entry_of(at, condition.encounter.as_ref()) {
                    self.conditions.entry(encounter).or_default().push(at);
                }
            }
            Procedure::TYPE => {
                let Some(procedure) = found.read::<Procedure<'_>>() else { return };
                if let Some(encounter) = self.entry_of(at, procedure.encounter.as_ref()) {
                    self.procedures.entry(encounter).or_default().push(at);
                }
            }
            Observation::TYPE => {
                let Some(observation) = found.read::<Observation<'_>>() else { return };
                if let Some(encounter) = self.entry_of(at, observation.encounter.as_ref()) {
                    self.observations.entry(encounter).or_default().push(at);
                }
                let members = observation.has_member.iter();
                let members: Vec<_> = members.filter_map(|member| self.entry_of(at, Some(member))).collect();
                self.reported.extend(members);
            }
            DiagnosticReport::TYPE => {
                let Some(report) = found.read::<DiagnosticReport<'_>>() else { return };
                let results: Vec<_> =
                    report.result.iter().filter_map(|result| self.entry_of(at, Some(result))).collect();
                self.reported.extend(results);
            }
            Coverage::TYPE => {
                let Some(coverage) = found.read::<Coverage<'_>>() else { return };
                if let Some((who, _)) = self.patient_of(at, coverage.beneficiary.as_ref()) {
                    self.coverages.entry(who).or_default().push(at);
                }
            }
            ExplanationOfBenefit::TYPE => {
                let Some(explanation) = found.read::<ExplanationOfBenefit<'_>>() else { return };
                if let Some(claim) = self.entry_of(at, explanation.claim.as_ref()) {
                    self.explanations.entry(claim).or_default().push(at);
                }
            }
            Claim::TYPE => {
                let Some(claim) = found.read::<Claim<'_>>() else { return };
                for reference in claim.item.iter().flat_map(|item| &item.encounter) {
                    if let Some(encounter) = self.entry_of(at, Some(reference)) {
                        let claims = self.claims.entry(encounter).or_default();
                        if claims.last() != Some(&at) {
                            claims.push(at);
                        }
                    }
                }
            }
            _ => {}
        }
    }

    /// Whom a reference means, and what is known of him.
    pub(super) fn patient_of(
        &self,
        from: usize,
        reference: Option<&Reference<'_>>,
    ) -> Option<(Identity, fhir::Patient)> {
        let reference = reference?;
        let Subject::Patient(identity, at) = self.plan.subject(from, reference, self.feed) else {
            return None;
        };
        // He is copied into the event.
        let known = at.filter(|at| self.at(*at).is_some()).and_then(|at| self.patients.get(&at).cloned());
        let contained = || {
            let found = self.find(from, reference).filter(|found| !found.is_entry)?;
            patient::patient(self, found)
        };
        let patient = known.or_else(contained).unwrap_or_else(|| identity.patient());
        Some((identity, patient))
    }

    /// The patient of entry `at`.
    pub(super) fn patient_at(&self, at: usize) -> Option<(Identity, fhir::Patient)> {
        Some((self.plan.patients.get(&at)?.clone(), self.patients.get(&at)?.clone()))
    }

    /// The encounter that a reference means, when the body has it.
    pub(super) fn encounter_of(
        &self,
        from: usize,
        reference: Option<&Reference<'_>>,
    ) -> Option<(Encounter<'a>, usize)> {
        let found = self.find(from, reference?)?;
        Some((found.read()?, found.from))
    }

    /// The id of entry `at` as an identifier of its server. Of what is created (`POST`) the id means nothing.
    pub(super) fn logical_id(&self, at: usize) -> Option<fhir::Identifier> {
        let entry = self.plan.bundle.entries.get(at)?;
        let is_created =
            entry.request.as_ref().is_some_and(|request| request.method.as_deref() == Some("POST"));
        let id = entry.head.id.as_deref().filter(|_| !is_created)?;
        let resource_type = entry.head.resource_type.as_str();
        let system = match self.plan.bundle.base_of(at) {
            Some(base) => format!("{base}{resource_type}"),
            None => format!("urn:waybill:feed:{}:{resource_type}", self.inbound.feed),
        };
        let kind = Some(SmolStr::new_static("RI"));
        Some(fhir::Identifier {
            r#type: kind,
            system: Some(system.into()),
            value: Phi::from(id),
            ..fhir::Identifier::default()
        })
    }

    /// An encounter for one of its charges. All the charges of a stay have it, and reading it each time is reading all of
    /// the stay each time.
    pub(super) fn encounter_for_charge(&self, read: &Encounter<'_>, at: usize) -> clinical::Encounter {
        let is_entry = self
            .plan
            .bundle
            .entries
            .get(at)
            .is_some_and(|entry| &*entry.head.resource_type == Encounter::TYPE);
        if !is_entry {
            return encounter::encounter(self, at, read);
        }
        if let Some(known) = self.encounters.borrow().get(&at) {
            let parts = known.diagnosis.len() + known.procedure.len();
            self.spend(COPIED * (1 + parts + known.location.len() + known.participant.len()));
            return known.clone();
        }
        let found = encounter::encounter(self, at, read);
        self.encounters.borrow_mut().insert(at, found.clone());
        found
    }

    /// Where an event came from. A resource changes when its server takes it in (R4 §3.1.0.7), so without a word of the
    /// sender it is the time at which it came in here: states that follow each other must not come in any order.
    pub(super) fn source(&self, at: usize) -> EventSource {
        let entry = &self.plan.bundle.entries[at];
        let updated = entry.head.meta.as_ref().and_then(|meta| meta.last_updated.as_ref());
        let occurred = updated.map(|at| SmolStr::new(at.as_str()));
        let came_in = || self.inbound.sent_at.unwrap_or(self.inbound.received_at).to_rfc3339().into();
        EventSource {
            message_id: self.inbound.message_id,
            feed: self.inbound.feed.clone(),
            message_type: Some(entry.head.resource_type.to_smolstr()),
            control_id: self.inbound.control_id.clone(),
            sending_application: self.inbound.sending_application.clone(),
            sending_facility: self.inbound.sending_facility.clone(),
            occurred_at: Some(Phi::new(occurred.unwrap_or_else(came_in))),
            sent_at: self.inbound.sent_at,
            received_at: self.inbound.received_at,
            profile: Some(self.feed.profile.clone()),
        }
    }

    /// An event of the resource in entry `at`: the place in the body is its index, so that nothing else in it changes ids.
    pub(super) fn event(&self, at: usize, who: &Identity, payload: Payload) -> Event {
        Event {
            id: EventId::derive(self.inbound.message_id, payload.topic(), at),
            key: self.feed.keyer.key(&who.authority, &who.value),
            payload,
        }
    }
}
