//! PV1, PV2, DG1 and PR1 as an encounter.

use std::collections::HashSet;

use smol_str::SmolStr;
use waybill_contracts::{
    Phi,
    clinical::{Encounter, EncounterChange, EncounterDiagnosis, EncounterLocation, EncounterProcedure},
    fhir::{CodeableConcept, Coding, Identifier, Practitioner},
};
use waybill_hl7v2::{Field, Segment};

use super::{
    codes,
    datatypes::{Reading, Value, code, concept, concept_of, date_time, each, identifier, leaf, period},
    group::{first, named},
    patient,
    people::practitioners,
    statuses,
};

/// The status that an event gives its encounter. A08 and merges say nothing about it and must not overwrite what is
/// known. A04 is in progress: see `docs/adr/0004`.
pub(super) const fn status(change: EncounterChange) -> &'static str {
    use EncounterChange as Change;
    match change {
        Change::PreAdmit => "planned",
        Change::Admit
        | Change::Register
        | Change::Transfer
        | Change::ToInpatient
        | Change::ToOutpatient
        | Change::CancelTransfer
        | Change::CancelDischarge => "in-progress",
        Change::Discharge => "finished",
        Change::CancelAdmit | Change::CancelPreAdmit => "cancelled",
        Change::Unknown | Change::Update | Change::Merge | Change::Snapshot => "unknown",
    }
}

/// The encounter of a PV1 among its patient's segments.
pub(super) fn encounter(
    segments: &[Segment<'_>],
    pv1: &Segment<'_>,
    change: EncounterChange,
    reading: &Reading,
) -> Encounter {
    let field = |number| pv1.field(number);
    let table = |number, table| concept_of(&field(number), table, reading);
    let pv2 = first(segments, b"PV2");
    let cancelled_discharge = change == EncounterChange::CancelDischarge;
    let admitted = date_time(&field(44), reading).or_else(|| {
        // Expected, as long as it is planned.
        let expected = pv2.filter(|_| change == EncounterChange::PreAdmit)?;
        date_time(&expected.field(8), reading)
    });
    // A cancelled discharge has no end and no disposition, whatever is still filled in.
    let discharged = date_time(&field(45), reading).filter(|_| !cancelled_discharge);
    Encounter {
        identifier: visit_numbers(pv1, reading),
        account: first(segments, b"PID").and_then(|pid| patient::account(&pid, reading)),
        status: SmolStr::new_static(status(change)),
        class: class(pv1, change, reading),
        r#type: table(4, "HL70007").into_iter().collect(),
        service_type: table(10, "HL70069"),
        period: period(admitted, discharged),
        location: locations(pv1, change, reading),
        participant: participants(segments, pv1, reading),
        diagnosis: diagnoses(segments, reading),
        procedure: procedures(segments, reading),
        admit_source: table(14, "HL70023"),
        discharge_disposition: table(36, "HL70112").filter(|_| !cancelled_discharge),
        financial_class: code(&field(20), reading),
        reason_code: pv2.and_then(|pv2| concept(&pv2.field(3).repetition(1), reading)).map(Phi::new),
        priority: pv2.and_then(|pv2| priority(&pv2, reading)),
        pre_admit_number: visit_number(pv1, 5, reading),
        re_admission: code(&field(13), reading),
    }
}

/// PV1-19 and every PV1-50; the preadmit number (PV1-5) only where there is neither. Never MSH-10.
pub(super) fn visit_numbers(pv1: &Segment<'_>, reading: &Reading) -> Vec<Identifier> {
    let alternates = pv1.field(50);
    let alternates =
        alternates.repetitions().filter_map(|whole| identifier(&whole, Some("VN"), None, reading));
    let mut numbers: Vec<_> = visit(pv1, reading).into_iter().chain(alternates).collect();
    if numbers.is_empty() {
        numbers.extend(visit_number(pv1, 5, reading));
    }
    numbers
}

fn visit_number(pv1: &Segment<'_>, field: usize, reading: &Reading) -> Option<Identifier> {
    identifier(&pv1.field(field).repetition(1), Some("VN"), None, reading)
}

/// The visit number, PV1-19: one by its place, whatever type it was sent with (v2-to-FHIR, PV1[Encounter]).
pub(super) fn visit(pv1: &Segment<'_>, reading: &Reading) -> Option<Identifier> {
    Some(Identifier { r#type: Some(SmolStr::new_static("VN")), ..visit_number(pv1, 19, reading)? })
}

/// PV1-2; where it is empty, what A06 and A07 say by themselves.
fn class(pv1: &Segment<'_>, change: EncounterChange, reading: &Reading) -> Option<Coding> {
    let sent = code(&pv1.field(2), reading);
    let code = match (sent.as_deref(), change) {
        (Some(code), _) => code,
        (None, EncounterChange::ToInpatient) => "I",
        (None, EncounterChange::ToOutpatient) => "O",
        (None, _) => return None,
    };
    let (system, code, display) = codes::encounter_class(code);
    Some(Coding {
        system: Some(SmolStr::new_static(system)),
        code: Some(code.into()),
        display: display.map(SmolStr::new_static),
    })
}

/// PV1-3 where the patient is (at a discharge: was), PV1-6 where before, PV1-11 and PV1-43 where for a while, PV1-42
/// where next.
fn locations(pv1: &Segment<'_>, change: EncounterChange, reading: &Reading) -> Vec<EncounterLocation> {
    use EncounterChange as Change;
    let now = match change {
        Change::Discharge => Some("completed"),
        Change::PreAdmit => Some("planned"),
        // There was no stay.
        Change::CancelAdmit | Change::CancelPreAdmit => None,
        // A message that moves nobody, about a stay that is over (PV1-45).
        Change::Unknown | Change::Update if date_time(&pv1.field(45), reading).is_some() => Some("completed"),
        // A patient of class "preadmit" is not there yet.
        _ if code(&pv1.field(2), reading).as_deref() == Some("P") => Some("planned"),
        _ => Some("active"),
    };
    // Of a cancelled transfer the patient never was at the one place or the other.
    let before = now.and(Some("completed")).filter(|_| change != Change::CancelTransfer);
    [(3, now), (6, before), (11, now), (42, now.and(Some("planned"))), (43, before)]
        .into_iter()
        .filter_map(|(number, status)| location(&pv1.field(number), status, reading))
        .collect()
}

/// PV1-7, 8, 9, 17 and PV2-13; then ROL and, since 2.7, PRT after the PV1, unless it is somebody again in the same role.
fn participants(segments: &[Segment<'_>], pv1: &Segment<'_>, reading: &Reading) -> Vec<Practitioner> {
    const FIELDS: [(usize, &str); 4] =
        [(7, "attender"), (8, "referrer"), (9, "consultant"), (17, "admitter")];
    let mut found: Vec<Practitioner> = Vec::new();
    for (number, role) in FIELDS {
        found.extend(practitioners(&pv1.field(number), role, reading));
    }
    let referred = first(segments, b"PV2").map(|pv2| practitioners(&pv2.field(13), "referrer", reading));
    found.extend(referred.into_iter().flatten());
    // Filled when it is needed: few feeds send ROL or PRT.
    let mut known: HashSet<(Option<SmolStr>, Option<SmolStr>)> = HashSet::new();
    let of_visit = segments.iter().filter(|segment| segment.index() > pv1.index());
    for segment in of_visit {
        let (role, person) = match segment.name() {
            b"ROL" => (3, 4),
            b"PRT" => (4, 5),
            // What comes now has participants of its own.
            b"PR1" | b"IN1" | b"OBX" => break,
            _ => continue,
        };
        let role = code(&segment.field(role), reading).and_then(|code| statuses::participant_role(&code));
        let Some(role) = role else { continue };
        if known.is_empty() {
            known.extend(found.iter().map(id_and_role));
        }
        let people = practitioners(&segment.field(person), role, reading).into_iter();
        found.extend(people.filter(|person| known.insert(id_and_role(person))));
    }
    found
}

fn id_and_role(person: &Practitioner) -> (Option<SmolStr>, Option<SmolStr>) {
    let id = person.identifier.as_ref().map(|identifier| identifier.value.expose().clone());
    (id, person.role.clone())
}

/// PL.
pub(super) fn location(
    field: &Field<'_>,
    status: Option<&'static str>,
    reading: &Reading,
) -> Option<EncounterLocation> {
    let whole = field.repetition(1);
    if whole.is_absent() {
        return None;
    }
    let part = |number| leaf(&whole, number).read(reading);
    let place = EncounterLocation {
        status: None,
        point_of_care: part(1),
        room: part(2),
        bed: part(3),
        facility: part(4),
        building: part(7),
        floor: part(8),
        period: None,
    };
    (place != EncounterLocation::default())
        .then(|| EncounterLocation { status: status.map(SmolStr::new_static), ..place })
}

/// PV2-25, with the counterparts of its codes in v3-ActPriority after them.
fn priority(pv2: &Segment<'_>, reading: &Reading) -> Option<CodeableConcept> {
    let mut sent = concept_of(&pv2.field(25), "HL70217", reading)?;
    let local = sent.coding.iter().filter_map(|coding| coding.code.as_deref());
    let translated: Vec<Coding> = local
        .filter_map(statuses::visit_priority)
        .map(|(code, display)| Coding {
            system: Some(SmolStr::new_static("http://terminology.hl7.org/CodeSystem/v3-ActPriority")),
            code: Some(code.into()),
            display: Some(display.into()),
        })
        .collect();
    sent.coding.extend(translated);
    Some(sent)
}

/// The DG1 among the segments.
pub(super) fn diagnoses(segments: &[Segment<'_>], reading: &Reading) -> Vec<EncounterDiagnosis> {
    let numbered = (1..).zip(named(segments, b"DG1"));
    numbered.filter_map(|(order, dg1)| diagnosis(dg1, order, reading)).collect()
}

/// DG1-3, until 2.3.1 with DG1-2 naming the system and DG1-4 the text; `order` is its place among the others.
pub(super) fn diagnosis(dg1: &Segment<'_>, order: i32, reading: &Reading) -> Option<EncounterDiagnosis> {
    let rank = match number(&dg1.field(15), reading) {
        // "Not included in the ranking" (DG1-15).
        Some(0) => None,
        Some(rank) => Some(rank),
        None => Some(order),
    };
    Some(EncounterDiagnosis {
        rank,
        code: Phi::new(coded(dg1, reading)?),
        r#use: code(&dg1.field(6), reading),
        recorded_date: date_time(&dg1.field(5), reading),
        present_on_admission: code(&dg1.field(26), reading),
        action_code: code(&dg1.field(21), reading),
    })
}

/// The PR1 among the segments.
pub(super) fn procedures(segments: &[Segment<'_>], reading: &Reading) -> Vec<EncounterProcedure> {
    named(segments, b"PR1").filter_map(|pr1| procedure(pr1, reading)).collect()
}

fn procedure(pr1: &Segment<'_>, reading: &Reading) -> Option<EncounterProcedure> {
    Some(EncounterProcedure {
        code: Phi::new(coded(pr1, reading)?),
        modifier: modifiers(&pr1.field(16), reading),
        performed_date_time: date_time(&pr1.field(5), reading),
        performer: [8, 11, 12]
            .into_iter()
            .flat_map(|number| practitioners(&pr1.field(number), "performer", reading))
            .collect(),
    })
}

/// The codes of a field that repeats (PR1-16, FT1-26).
pub(super) fn modifiers(field: &Field<'_>, reading: &Reading) -> Vec<SmolStr> {
    each(field, |whole| leaf(&whole, 1).read(reading))
}

/// DG1 and PR1 alike: code in field 3, the description in field 4 as its text, and until 2.3.1 the system in field 2.
fn coded(segment: &Segment<'_>, reading: &Reading) -> Option<CodeableConcept> {
    let mut found = concept(&segment.field(3).repetition(1), reading).unwrap_or_default();
    if let Some(first) = found.coding.first_mut()
        && first.system.is_none()
    {
        first.system = code(&segment.field(2), reading).map(|name| codes::code_system(&name));
    }
    found.text = segment.field(4).read(reading).or(found.text);
    (found != CodeableConcept::default()).then_some(found)
}

/// A whole number.
pub(super) fn number(field: &Field<'_>, reading: &Reading) -> Option<i32> {
    code(field, reading)?.parse().ok()
}
