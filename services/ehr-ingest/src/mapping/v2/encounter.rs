//! PV1, PV2, DG1, PR1, IN1 and GT1 as an encounter with what claims and eligibility need beside it.

use waybill_contracts::{
    Phi,
    clinical::{Coverage, Encounter, EncounterDiagnosis, EncounterLocation, EncounterProcedure, Guarantor},
    fhir::{CodeableConcept, Coding, Identifier},
};
use waybill_hl7v2::{Field, Message, Segment};

use super::{
    codes,
    datatypes::{Reading, Value, code, concept, concept_of, date_time, identifier, leaf, period, phi},
    patient,
    people::{addresses, name, names, practitioners, telecoms},
};

/// The event's status: A01 admits, A03 discharges; A08 says nothing about it and must not overwrite what is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Admit,
    Discharge,
    Update,
}

impl Event {
    const fn status(self) -> &'static str {
        match self {
            Self::Admit => "in-progress",
            Self::Discharge => "finished",
            Self::Update => "unknown",
        }
    }
}

/// The encounter of a message with PV1.
pub(super) fn encounter(
    message: &Message<'_>,
    pv1: &Segment<'_>,
    event: Event,
    reading: &Reading,
) -> Encounter {
    let field = |number| pv1.field(number);
    let table = |number, table| concept_of(&field(number), table, reading);
    let people = |number, role| practitioners(&field(number), role, reading);
    let (admitted, discharged) = (date_time(&field(44), reading), date_time(&field(45), reading));
    Encounter {
        identifier: visit_numbers(pv1, reading),
        account: message.segment("PID").and_then(|pid| patient::account(&pid, reading)),
        status: event.status().to_owned(),
        class: code(&field(2), reading).map(|code| class(&code)),
        r#type: table(4, "HL70007").into_iter().collect(),
        service_type: table(10, "HL70069"),
        period: period(admitted, discharged),
        location: locations(pv1, event, reading),
        participant: [
            people(7, "attender"),
            people(8, "referrer"),
            people(9, "consultant"),
            people(17, "admitter"),
        ]
        .concat(),
        diagnosis: diagnoses(message, reading),
        procedure: procedures(message, reading),
        admit_source: table(14, "HL70023"),
        discharge_disposition: table(36, "HL70112"),
        financial_class: code(&field(20), reading),
        reason_code: message
            .segment("PV2")
            .and_then(|pv2| concept(&pv2.field(3).repetition(1), reading))
            .map(Phi::new),
        ..Encounter::default()
    }
}

/// PV1-19 and PV1-50; the preadmit number (PV1-5) only where there is neither. Never MSH-10.
fn visit_numbers(pv1: &Segment<'_>, reading: &Reading) -> Vec<Identifier> {
    let number = |field| identifier(&pv1.field(field).repetition(1), Some("VN"), None, reading);
    let mut numbers: Vec<_> = [19, 50].into_iter().filter_map(number).collect();
    if numbers.is_empty() {
        numbers.extend(number(5));
    }
    numbers
}

/// The visit number, PV1-19.
pub(super) fn visit(pv1: &Segment<'_>, reading: &Reading) -> Option<Identifier> {
    identifier(&pv1.field(19).repetition(1), Some("VN"), None, reading)
}

fn class(code: &str) -> Coding {
    let (system, code, display) = codes::encounter_class(code);
    Coding {
        system: Some(system.to_owned()),
        code: Some(code.to_owned()),
        display: display.map(str::to_owned),
    }
}

/// PV1-3 where the patient is (at a discharge: was), PV1-6 where before, PV1-11 where for a while.
fn locations(pv1: &Segment<'_>, event: Event, reading: &Reading) -> Vec<EncounterLocation> {
    let now = if event == Event::Discharge { "completed" } else { "active" };
    [(3, now), (6, "completed"), (11, "active")]
        .into_iter()
        .filter_map(|(number, status)| location(&pv1.field(number), status, reading))
        .collect()
}

/// PL.
fn location(field: &Field<'_>, status: &str, reading: &Reading) -> Option<EncounterLocation> {
    let whole = field.repetition(1);
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
        .then(|| EncounterLocation { status: Some(status.to_owned()), ..place })
}

/// DG1-3, until 2.3.1 with DG1-2 naming the system and DG1-4 the text.
fn diagnoses(message: &Message<'_>, reading: &Reading) -> Vec<EncounterDiagnosis> {
    let diagnosis = |(order, dg1): (i32, Segment<'_>)| {
        let code_of = coded(&dg1, reading)?;
        Some(EncounterDiagnosis {
            rank: number(&dg1.field(15), reading).or(Some(order)),
            code: Phi::new(code_of),
            r#use: code(&dg1.field(6), reading),
            recorded_date: date_time(&dg1.field(5), reading),
            present_on_admission: code(&dg1.field(26), reading),
            action_code: code(&dg1.field(21), reading),
        })
    };
    (1..).zip(message.segments_named("DG1")).filter_map(diagnosis).collect()
}

fn procedures(message: &Message<'_>, reading: &Reading) -> Vec<EncounterProcedure> {
    let procedure = |pr1: Segment<'_>| {
        let modifier = |field: Field<'_>| {
            field.repetitions().filter_map(|whole| leaf(&whole, 1).read(reading)).collect::<Vec<_>>()
        };
        Some(EncounterProcedure {
            code: Phi::new(coded(&pr1, reading)?),
            modifier: modifier(pr1.field(16)),
            performed_date_time: date_time(&pr1.field(5), reading),
            performer: [8, 11, 12]
                .into_iter()
                .flat_map(|number| practitioners(&pr1.field(number), "performer", reading))
                .collect(),
        })
    };
    message.segments_named("PR1").filter_map(procedure).collect()
}

/// DG1 and PR1 alike: code in field 3, its system in field 2 and its text in field 4 until 2.3.1.
fn coded(segment: &Segment<'_>, reading: &Reading) -> Option<CodeableConcept> {
    let mut found = concept(&segment.field(3).repetition(1), reading).unwrap_or_default();
    if let Some(first) = found.coding.first_mut()
        && first.system.is_none()
    {
        first.system = code(&segment.field(2), reading).map(|name| codes::code_system(&name).to_owned());
    }
    if found.text.is_none() {
        found.text = segment.field(4).read(reading);
    }
    (found != CodeableConcept::default()).then_some(found)
}

/// IN1, one coverage each.
pub(super) fn coverages(message: &Message<'_>, reading: &Reading) -> Vec<Coverage> {
    message.segments_named("IN1").map(|in1| coverage(&in1, reading)).collect()
}

fn coverage(in1: &Segment<'_>, reading: &Reading) -> Coverage {
    let id = |field: usize| phi(&leaf(&in1.field(field).repetition(1), 1), reading);
    Coverage {
        order: number(&in1.field(22), reading).or_else(|| number(&in1.field(1), reading)),
        plan_id: concept(&in1.field(2).repetition(1), reading),
        payer_id: code(&in1.field(3), reading),
        payer_name: code(&in1.field(4), reading),
        group: id(8),
        subscriber_id: id(36),
        member_id: id(49),
        relationship: code(&in1.field(17), reading),
        subscriber_name: name(&in1.field(16).repetition(1), reading),
        subscriber_birth_date: super::datatypes::date(&in1.field(18)),
        period: period(date_time(&in1.field(12), reading), date_time(&in1.field(13), reading)),
        ..Coverage::default()
    }
}

/// GT1, one guarantor each.
pub(super) fn guarantors(message: &Message<'_>, reading: &Reading) -> Vec<Guarantor> {
    let guarantor = |gt1: Segment<'_>| Guarantor {
        identifier: gt1
            .field(2)
            .repetitions()
            .filter_map(|whole| identifier(&whole, None, None, reading))
            .collect(),
        name: names(&gt1.field(3), reading),
        address: addresses(&gt1.field(5), reading),
        telecom: telecoms(&gt1.field(6), Some(&gt1.field(7)), reading),
        relationship: code(&gt1.field(11), reading),
    };
    message.segments_named("GT1").map(guarantor).collect()
}

fn number(field: &Field<'_>, reading: &Reading) -> Option<i32> {
    code(field, reading)?.parse().ok()
}
