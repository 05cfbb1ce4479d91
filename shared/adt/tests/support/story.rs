//! Events as a test tells them.

use waybill_contracts::{
    EventId, MessageId, Phi, Timestamp,
    clinical::{
        Alias, AliasLevel, Encounter, EncounterChange, EncounterEvent, EncounterLocation, EventSource,
        PatientEvent,
    },
    fhir::{CodeableConcept, Coding, HumanName, Identifier, Patient, Period},
};

/// Either sort of event, with its id.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a handful of them in a test")]
pub(crate) enum Event {
    /// `clinical.encounter`
    Encounter(EventId, EncounterEvent),
    /// `clinical.patient`
    Patient(EventId, PatientEvent),
}

pub(crate) fn identifier(kind: &str, system: &str, value: &str) -> Identifier {
    Identifier {
        r#type: Some(kind.into()),
        system: (!system.is_empty()).then(|| system.into()),
        value: Phi::from(value),
        ..Identifier::default()
    }
}

pub(crate) fn patient(mrn: &str) -> Patient {
    Patient { identifier: vec![identifier("MR", "GH", mrn)], active: true, ..Patient::default() }
}

/// `10:00` of the day the stories play on.
pub(crate) fn at(clock: &str) -> Timestamp {
    Timestamp::parse_rfc3339(&format!("2026-11-02T{clock}:00Z")).unwrap()
}

/// An event of a visit: `occurred` and `sent` as `10:00`; `sent` empty: not known.
pub(crate) struct Story {
    pub(crate) visit: &'static str,
    pub(crate) mrn: &'static str,
    pub(crate) facility: Option<&'static str>,
}

impl Story {
    pub(crate) const fn of(visit: &'static str, mrn: &'static str) -> Self {
        Self { visit, mrn, facility: Some("GENHOSP") }
    }

    pub(crate) fn tell(&self, change: EncounterChange, occurred: &str, sent: &str) -> EncounterEvent {
        let mut event = EncounterEvent {
            source: source(self.facility, &format!("{change:?}{}{}", self.visit, self.mrn), occurred, sent),
            patient: patient(self.mrn),
            encounter: Encounter {
                identifier: vec![identifier("VN", "GH", self.visit)],
                status: "unknown".into(),
                ..Encounter::default()
            },
            coverage: Vec::new(),
            guarantor: Vec::new(),
            change,
            observation: Vec::new(),
        };
        if self.visit.is_empty() {
            event.encounter.identifier.clear();
        }
        event
    }
}

pub(crate) fn source(facility: Option<&str>, salt: &str, occurred: &str, sent: &str) -> EventSource {
    let sent_at = (!sent.is_empty()).then(|| at(sent));
    EventSource {
        message_id: MessageId::derive("ehr", "EHR", sent_at, format!("{salt} {occurred} {sent}").as_bytes()),
        feed: "ehr".into(),
        message_type: None,
        control_id: None,
        sending_application: None,
        sending_facility: facility.map(Into::into),
        occurred_at: (!occurred.is_empty()).then(|| Phi::new(at(occurred).to_rfc3339().into())),
        sent_at,
        received_at: Timestamp::from_millis(0),
        profile: None,
    }
}

pub(crate) fn id(source: &EventSource) -> EventId {
    EventId::derive(source.message_id, "clinical.encounter.v1", 0)
}

/// What stories change about an event.
pub(crate) trait Told: Sized {
    fn place(self, ward: &str) -> Self;
    fn class(self, class: &str) -> Self;
    fn ended(self, clock: &str) -> Self;
    fn disposed(self, code: &str) -> Self;
    fn status(self, status: &str) -> Self;
}

impl Told for EncounterEvent {
    fn place(mut self, ward: &str) -> Self {
        let place = EncounterLocation { point_of_care: Some(ward.into()), ..EncounterLocation::default() };
        self.encounter.location = vec![place];
        self
    }
    fn class(mut self, class: &str) -> Self {
        self.encounter.class = Some(Coding { code: Some(class.into()), ..Coding::default() });
        self
    }
    fn ended(mut self, clock: &str) -> Self {
        self.encounter.period =
            Some(Period { start: None, end: Some(Phi::new(at(clock).to_rfc3339().into())) });
        self
    }
    fn disposed(mut self, code: &str) -> Self {
        let coding = Coding { code: Some(code.into()), ..Coding::default() };
        self.encounter.discharge_disposition = Some(CodeableConcept { coding: vec![coding], text: None });
        self
    }
    fn status(mut self, status: &str) -> Self {
        self.encounter.status = status.into();
        self
    }
}

/// A patient's event: demographics are a family name.
pub(crate) fn about(mrn: &str, family: &str, occurred: &str) -> PatientEvent {
    let name = HumanName { family: Some(family.into()), ..HumanName::default() };
    PatientEvent {
        source: source(Some("GENHOSP"), &format!("{mrn}{family}"), occurred, occurred),
        patient: Patient { name: vec![name], ..patient(mrn) },
        alias: Vec::new(),
        coverage: Vec::new(),
        guarantor: Vec::new(),
    }
}

/// The two events of A40: `old` is merged into `new`.
pub(crate) fn merge(old: &str, new: &str, family: &str, occurred: &str) -> [(EventId, PatientEvent); 2] {
    let alias = vec![alias(AliasLevel::Patient, ("MR", old), ("MR", new))];
    let survivor = PatientEvent { alias: alias.clone(), ..about(new, family, occurred) };
    let mut gone = PatientEvent { source: survivor.source.clone(), alias, ..about(old, family, occurred) };
    gone.patient.active = false;
    let message = survivor.source.message_id;
    [(0, gone), (1, survivor)]
        .map(|(index, event)| (EventId::derive(message, "clinical.patient.v1", index), event))
}

pub(crate) fn alias(level: AliasLevel, from: (&str, &str), to: (&str, &str)) -> Alias {
    Alias { level, from: identifier(from.0, "GH", from.1), to: identifier(to.0, "GH", to.1) }
}
