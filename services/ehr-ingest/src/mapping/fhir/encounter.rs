//! Encounter, with the conditions, procedures and observations that belong to it.

use smol_str::SmolStr;
use waybill_contracts::{
    Phi,
    clinical::{
        self, EncounterChange, EncounterDiagnosis, EncounterEvent, EncounterLocation, EncounterProcedure,
    },
    fhir::{Identifier, Practitioner},
};
use waybill_fhir::{
    resources::{Account, Condition, Encounter, Participant, Performer, Procedure},
    types::Reference,
};

use super::{
    content::{Content, Found},
    coverage,
    datatypes::{
        code, coding, concept, concepts, date_time, identifier, identifiers, moment, of_kind, opt_concept,
        period, text,
    },
    observation, people,
};
use crate::mapping::{Event, Payload};

/// `clinical.encounter` of an Encounter.
pub(super) fn event(content: &Content<'_, '_>, at: usize) -> Option<Event> {
    let resource: Encounter<'_> = content.at(at)?.read()?;
    let (who, patient) = content.patient_of(at, resource.subject.as_ref())?;
    let account: Option<(Account<'_>, usize)> = account_of(content, at, &resource);
    let mut encounter = encounter(content, at, &resource);
    // Results and orders that come alone know it by nothing else.
    let known_as = content.logical_id(at).filter(|known| !encounter.identifier.contains(known));
    encounter.identifier.extend(known_as);
    let event = EncounterEvent {
        source: content.source(at),
        encounter,
        coverage: coverage::of_encounter(content, at, &who, account.as_ref()),
        guarantor: account
            .map(|(account, from)| coverage::guarantors(content, from, &account))
            .unwrap_or_default(),
        change: EncounterChange::Snapshot,
        observation: observation::of_encounter(content, at),
        patient,
    };
    Some(content.event(at, &who, Payload::Encounter(event)))
}

fn account_of<'a>(
    content: &Content<'_, 'a>,
    at: usize,
    encounter: &Encounter<'_>,
) -> Option<(Account<'a>, usize)> {
    let found = encounter.account.iter().find_map(|account| content.find(at, account))?;
    Some((found.read()?, found.from))
}

/// The encounter in entry `at`.
pub(super) fn encounter(content: &Content<'_, '_>, at: usize, read: &Encounter<'_>) -> clinical::Encounter {
    let stay = read.hospitalization.as_ref();
    let admitted = stay.and_then(|stay| opt_concept(stay.admit_source.as_ref()));
    clinical::Encounter {
        identifier: visit_numbers(content, at, read),
        account: account_number(content, at, read),
        status: text(&read.status).unwrap_or_default(),
        class: read.class.as_ref().map(coding),
        r#type: concepts(&read.r#type),
        service_type: opt_concept(read.service_type.as_ref()),
        period: period(read.period.as_ref()),
        location: locations(content, at, read),
        participant: read.participant.iter().filter_map(|who| participant(content, at, who)).collect(),
        diagnosis: diagnoses(content, at, read),
        procedure: procedures(content, at),
        admit_source: admitted,
        discharge_disposition: stay.and_then(|stay| opt_concept(stay.discharge_disposition.as_ref())),
        financial_class: None,
        reason_code: reason(content, at, read).map(Phi::new),
        priority: opt_concept(read.priority.as_ref()),
        pre_admit_number: stay.and_then(|stay| identifier(stay.pre_admission_identifier.as_ref()?)),
        re_admission: stay.and_then(|stay| code(stay.re_admission.as_ref())),
    }
}

/// The number of the encounter's account.
pub(super) fn account_number(
    content: &Content<'_, '_>,
    at: usize,
    read: &Encounter<'_>,
) -> Option<Identifier> {
    read.account.iter().find_map(|reference| {
        let account: Option<Account<'_>> = content.read(at, Some(reference));
        account
            .and_then(|account| account.identifier.iter().find_map(identifier))
            .or_else(|| people::identifier_in(reference))
    })
}

/// The encounter's identifiers; its logical id only where it has none, as the number of its server.
fn visit_numbers(content: &Content<'_, '_>, at: usize, read: &Encounter<'_>) -> Vec<Identifier> {
    let mut numbers = identifiers(&read.identifier);
    if numbers.is_empty()
        && let Some(id) = content.plan.bundle.entries[at].head.id.as_deref()
    {
        numbers.push(logical_id(content, at, id));
    }
    numbers
}

fn logical_id(content: &Content<'_, '_>, at: usize, id: &str) -> Identifier {
    let base = content.plan.bundle.base_of(at);
    let system = base.map_or_else(
        || format!("urn:waybill:feed:{}:Encounter", content.inbound.feed),
        |base| format!("{base}Encounter"),
    );
    Identifier {
        r#type: Some(SmolStr::new_static("RI")),
        system: Some(system.into()),
        value: Phi::from(id),
        ..Identifier::default()
    }
}

/// The number of the visit that a result, order or appointment names: what the body's Encounter has, else what the
/// reference itself says.
pub(super) fn visit(
    content: &Content<'_, '_>,
    from: usize,
    reference: Option<&Reference<'_>>,
) -> Option<Identifier> {
    let reference = reference?;
    if let Some((encounter, at)) = content.encounter_of(from, Some(reference)) {
        let numbers = visit_numbers(content, at, &encounter);
        return of_kind(&numbers, "VN").or_else(|| numbers.into_iter().next());
    }
    people::identifier_in(reference).or_else(|| {
        match waybill_fhir::Target::of(reference.reference.as_deref()?) {
            waybill_fhir::Target::Relative { id, .. } => Some(logical_id(content, from, id)),
            _ => None,
        }
    })
}

fn reason(
    content: &Content<'_, '_>,
    at: usize,
    read: &Encounter<'_>,
) -> Option<waybill_contracts::fhir::CodeableConcept> {
    let referred = || {
        let condition: Condition<'_> = content.read(at, read.reason_reference.first())?;
        opt_concept(condition.code.as_ref())
    };
    read.reason_code.first().map(concept).or_else(referred)
}

fn locations(content: &Content<'_, '_>, at: usize, read: &Encounter<'_>) -> Vec<EncounterLocation> {
    let provider =
        read.service_provider.as_ref().and_then(|provider| people::organization(content, at, provider).1);
    let mut places: Vec<EncounterLocation> = read
        .location
        .iter()
        .filter_map(|location| {
            let mut place = people::place(content, at, location.location.as_ref()?)?;
            place.status = text(&location.status);
            place.period = period(location.period.as_ref());
            if place.facility.is_none() {
                place.facility.clone_from(&provider);
            }
            Some(place)
        })
        .collect();
    if places.is_empty() && provider.is_some() {
        places.push(EncounterLocation { facility: provider, ..EncounterLocation::default() });
    }
    places
}

/// v3-ParticipationType in the words of the events; what has none stays as sent.
fn participant(content: &Content<'_, '_>, at: usize, read: &Participant<'_>) -> Option<Practitioner> {
    let role = code(read.r#type.first()).map(|role| match role.as_str() {
        "ATND" => SmolStr::new_static("attender"),
        "REF" => SmolStr::new_static("referrer"),
        "CON" => SmolStr::new_static("consultant"),
        "ADM" => SmolStr::new_static("admitter"),
        "PPRF" | "SPRF" | "PRF" => SmolStr::new_static("performer"),
        "DIS" => SmolStr::new_static("discharger"),
        _ => role,
    });
    people::practitioner(content, at, read.individual.as_ref()?, role.as_deref())
}

/// Who performed something.
pub(super) fn performers(
    content: &Content<'_, '_>,
    from: usize,
    read: &[Performer<'_>],
) -> Vec<Practitioner> {
    let actors = read.iter().filter_map(|performer| performer.actor.as_ref());
    people::practitioners(content, from, actors, "performer")
}

/// Encounter.diagnosis first, with rank and role; then the conditions that name the encounter.
fn diagnoses(content: &Content<'_, '_>, at: usize, read: &Encounter<'_>) -> Vec<EncounterDiagnosis> {
    let mut found = Vec::new();
    let mut seen: Vec<usize> = Vec::new();
    for entry in &read.diagnosis {
        let Some(reference) = &entry.condition else { continue };
        let condition = content.find(at, reference);
        seen.extend(condition.filter(|condition| condition.is_entry).map(|condition| condition.from));
        let role = code(entry.r#use.as_ref()).map(|role| match role.as_str() {
            // Table 0052 where it has the same.
            "AD" => SmolStr::new_static("A"),
            "DD" => SmolStr::new_static("F"),
            _ => role,
        });
        let diagnosis = condition.and_then(diagnosis).or_else(|| {
            let text = text(&reference.display)?;
            let code = waybill_contracts::fhir::CodeableConcept { coding: Vec::new(), text: Some(text) };
            Some(EncounterDiagnosis { code: Phi::new(code), ..EncounterDiagnosis::default() })
        });
        found.extend(diagnosis.map(|diagnosis| EncounterDiagnosis {
            rank: entry.rank,
            r#use: role,
            ..diagnosis
        }));
    }
    let named =
        content.conditions.get(&at).into_iter().flatten().filter(|condition| !seen.contains(condition));
    found.extend(named.filter_map(|condition| diagnosis(content.at(*condition)?)));
    found
}

/// A condition as a diagnosis; one entered in error is none.
pub(super) fn diagnosis(found: Found<'_>) -> Option<EncounterDiagnosis> {
    if let Some(procedure) = found.read::<Procedure<'_>>() {
        let code = Phi::new(opt_concept(procedure.code.as_ref())?);
        return Some(EncounterDiagnosis { code, ..EncounterDiagnosis::default() });
    }
    let condition: Condition<'_> = found.read()?;
    if code(condition.verification_status.as_ref()).as_deref() == Some("entered-in-error") {
        return None;
    }
    Some(EncounterDiagnosis {
        code: Phi::new(opt_concept(condition.code.as_ref())?),
        recorded_date: date_time(condition.recorded_date.as_ref()),
        ..EncounterDiagnosis::default()
    })
}

/// Diagnoses behind references.
pub(super) fn referred_diagnoses<'r>(
    content: &Content<'_, '_>,
    from: usize,
    references: impl IntoIterator<Item = &'r Reference<'r>>,
) -> Vec<EncounterDiagnosis> {
    references.into_iter().filter_map(|reference| diagnosis(content.find(from, reference)?)).collect()
}

fn procedures(content: &Content<'_, '_>, at: usize) -> Vec<EncounterProcedure> {
    let procedures = content.procedures.get(&at).into_iter().flatten();
    procedures.filter_map(|procedure| self::procedure(content, content.at(*procedure)?)).collect()
}

/// A procedure that was done.
pub(super) fn procedure(content: &Content<'_, '_>, found: Found<'_>) -> Option<EncounterProcedure> {
    let read: Procedure<'_> = found.read()?;
    if matches!(read.status.as_deref(), Some("not-done" | "entered-in-error" | "preparation")) {
        return None;
    }
    Some(EncounterProcedure {
        code: Phi::new(opt_concept(read.code.as_ref())?),
        modifier: Vec::new(),
        performed_date_time: moment(read.performed_date_time.as_ref(), read.performed_period.as_ref()),
        performer: performers(content, found.from, &read.performer),
    })
}
