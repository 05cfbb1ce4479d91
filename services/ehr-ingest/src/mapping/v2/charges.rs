//! DFT^P03 and P11 as charges: all FT1 of a patient.

use std::collections::{HashMap, HashSet};

use smol_str::SmolStr;
use waybill_contracts::{
    Phi,
    billing::{ChargeEvent, ChargeItem},
    clinical::{Encounter, EncounterChange, EncounterDiagnosis},
    fhir::{CodeableConcept, Money},
    lab::Quantity,
};
use waybill_hl7v2::{Field, Message, Segment, path};

use super::{
    Mapping, Outbox, Refusal,
    datatypes::{
        Reading, Value, code, concept, concept_of, concepts, date_time, entity, identifier, leaf, phi, range,
    },
    decimal::decimal,
    encounter,
    group::{self, Group, first},
    insurance, patient,
    people::practitioners,
    statuses,
};
use crate::mapping::Payload;

/// How the segments of a message are nested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// P03: diagnoses and coverages are of the whole posting.
    Detail,
    /// P11: those after an FT1 are of that one.
    Expanded,
}

/// The layout of a DFT event; `None` for an event of another kind.
pub(super) fn layout(trigger: &[u8]) -> Option<Layout> {
    match trigger {
        b"P03" => Some(Layout::Detail),
        b"P11" => Some(Layout::Expanded),
        _ => None,
    }
}

/// Each patient's segments; a posting without a transaction posts nothing.
pub(super) fn plan(message: &Message<'_>) -> Result<Vec<Group>, Refusal> {
    let groups = group::by_patient(message)?;
    for (occurrence, group) in (1..).zip(&groups) {
        if !group.has(message, &[b"FT1"]) {
            return Err(group::missing(path!("FT1").in_occurrence(occurrence), "a patient has no FT1"));
        }
    }
    Ok(groups)
}

/// One event per patient.
pub(super) fn events(mapping: &Mapping<'_>, groups: &[Group], layout: Layout) -> Outbox {
    let mut outbox = Outbox::default();
    let reading = &mapping.reading;
    for group in groups {
        let all = group.segments(mapping.message);
        let segments = distinct(&all);
        let Some(pid) = mapping.message.segment_at(group.pid) else { continue };
        let mut diagnosis = encounter::diagnoses(&segments, reading);
        rank(&mut diagnosis);
        let ranks = ranks(&diagnosis);
        let charge = ChargeEvent {
            source: mapping.source.clone(),
            patient: mapping.patient(&pid, &segments),
            encounter: visit(&segments, reading),
            charge: lines(&all).iter().map(|line| item(line, layout, &ranks, reading)).collect(),
            diagnosis,
            procedure: encounter::procedures(&segments, reading),
            coverage: insurance::coverages(&segments, reading),
            guarantor: insurance::guarantors(&segments, reading),
            claim: None,
            total: None,
        };
        outbox.push(mapping, mapping.key(&pid), Payload::Charge(charge));
    }
    outbox
}

/// P11 repeats diagnoses, guarantors and coverages for each transaction that they are of; here each stands once, an IN2 or
/// IN3 with its IN1.
fn distinct<'m>(segments: &[Segment<'m>]) -> Vec<Segment<'m>> {
    let mut seen: HashSet<Vec<u8>> = HashSet::new();
    let mut kept = Vec::with_capacity(segments.len());
    let mut rest = segments;
    while let [segment, after @ ..] = rest {
        let belonging = match segment.name() {
            b"IN1" => after.iter().take_while(|next| matches!(next.name(), b"IN2" | b"IN3")).count(),
            _ => 0,
        };
        let (whole, others) = rest.split_at(belonging + 1);
        if !matches!(segment.name(), b"DG1" | b"GT1" | b"IN1") || seen.insert(content(whole)) {
            kept.extend_from_slice(whole);
        }
        rest = others;
    }
    kept
}

/// Name and fields without the set id.
fn content(segments: &[Segment<'_>]) -> Vec<u8> {
    let mut content = Vec::new();
    for segment in segments {
        content.extend_from_slice(segment.name());
        for field in segment.fields().skip(1) {
            content.push(b'\r');
            content.extend_from_slice(field.raw());
        }
    }
    content
}

/// The encounter of PV1; without one at least the account.
fn visit(segments: &[Segment<'_>], reading: &Reading) -> Option<Encounter> {
    let Some(pv1) = first(segments, b"PV1") else {
        let account = first(segments, b"PID").and_then(|pid| patient::account(&pid, reading))?;
        return Some(Encounter {
            account: Some(account),
            status: SmolStr::new_static("unknown"),
            ..Encounter::default()
        });
    };
    // DG1 and PR1 stand in the event itself.
    let of_visit: Vec<_> =
        segments.iter().copied().filter(|segment| !matches!(segment.name(), b"DG1" | b"PR1")).collect();
    let mut visit = encounter::encounter(&of_visit, &pv1, EncounterChange::Unknown, reading);
    if visit.period.as_ref().is_some_and(|period| period.end.is_some()) {
        visit.status = SmolStr::new_static("finished");
    }
    Some(visit)
}

/// Ranks are what lines point to: where two diagnoses have the same, the order sent counts.
fn rank(diagnoses: &mut [EncounterDiagnosis]) {
    let mut seen = HashSet::new();
    if diagnoses.iter().all(|diagnosis| diagnosis.rank.is_some_and(|rank| seen.insert(rank))) {
        return;
    }
    for (order, diagnosis) in (1..).zip(diagnoses) {
        diagnosis.rank = Some(order);
    }
}

type Ranks = HashMap<SmolStr, i32>;

/// The rank of each diagnosis by its first code.
fn ranks(diagnoses: &[EncounterDiagnosis]) -> Ranks {
    let ranked = |diagnosis: &EncounterDiagnosis| Some((code_of(diagnosis)?, diagnosis.rank?));
    // Of the same code twice the first counts.
    diagnoses.iter().rev().filter_map(ranked).collect()
}

/// As codes are compared: with or without the point (ICD-10 `S52.501A`, `S52501A`).
fn code_of(diagnosis: &EncounterDiagnosis) -> Option<SmolStr> {
    let code = diagnosis.code.expose().coding.first()?.code.as_deref()?;
    Some(code.replace('.', "").to_ascii_uppercase().into())
}

/// An FT1 with what follows it.
struct Line<'m> {
    ft1: Segment<'m>,
    details: Vec<Segment<'m>>,
}

fn lines<'m>(segments: &[Segment<'m>]) -> Vec<Line<'m>> {
    let mut lines: Vec<Line<'m>> = Vec::new();
    for segment in segments {
        match (segment.name(), lines.last_mut()) {
            (b"FT1", _) => lines.push(Line { ft1: *segment, details: Vec::new() }),
            (_, Some(line)) => line.details.push(*segment),
            _ => {}
        }
    }
    lines
}

fn item(line: &Line<'_>, layout: Layout, ranks: &Ranks, reading: &Reading) -> ChargeItem {
    let field = |number| line.ft1.field(number);
    let people = |number, role| practitioners(&field(number), role, reading);
    let type_code = code(&field(6), reading);
    let diagnosis = diagnoses(line, layout, reading);
    // Procedure and modifiers of the line's own PR1 where FT1 has none.
    let pr1 = encounter::procedures(&line.details, reading).into_iter().next();
    let procedure = concept(&field(25).repetition(1), reading).map(Phi::new);
    let mut modifier = encounter::modifiers(&field(26), reading);
    let procedure = match (procedure, pr1) {
        (None, Some(pr1)) => {
            if modifier.is_empty() {
                modifier = pr1.modifier;
            }
            Some(pr1.code)
        }
        (procedure, _) => procedure,
    };
    let order = |number, kind| entity(&first(&line.details, b"ORC")?.field(number), kind, reading);
    ChargeItem {
        identifier: [(2, None), (3, Some("BATCH"))]
            .into_iter()
            .filter_map(|(number, kind)| identifier(&field(number).repetition(1), kind, None, reading))
            .collect(),
        r#type: statuses::charge_type(type_code.as_deref().unwrap_or_default()).into(),
        type_code,
        status: None,
        occurrence: range(&field(4).repetition(1), reading),
        posted: date_time(&field(5), reading),
        code: Phi::new(concept(&field(7).repetition(1), reading).unwrap_or_default()),
        description: phi(&field(8), reading).or_else(|| phi(&field(9), reading)),
        quantity: quantity(&field(10), reading),
        amount: money(&field(11), reading),
        unit_price: money(&field(12), reading).or_else(|| money(&field(22), reading)),
        department: concept_of(&field(13), "HL70049", reading),
        insurance_plan: concept_of(&field(14), "HL70072", reading),
        location: encounter::location(&field(16), None, reading),
        fee_schedule: code(&field(17), reading),
        patient_type: code(&field(18), reading),
        diagnosis_pointer: diagnosis
            .iter()
            .filter_map(|diagnosis| ranks.get(&code_of(diagnosis)?).copied())
            .collect(),
        diagnosis,
        performer: [people(20, "performer"), people(21, "orderer"), people(24, "enterer")].concat(),
        filler_order_number: entity(&field(23), "FILL", reading).or_else(|| order(3, "FILL")),
        placer_order_number: order(2, "PLAC"),
        procedure,
        modifier,
        revenue_code: None,
        product_code: concept_of(&field(29), "NDC", reading),
        place_of_service: None,
    }
}

/// FT1-19, in order; in P11 also the DG1 after the FT1, where FT1-19 is empty.
fn diagnoses(line: &Line<'_>, layout: Layout, reading: &Reading) -> Vec<EncounterDiagnosis> {
    let named_by_line = |(rank, code): (i32, CodeableConcept)| EncounterDiagnosis {
        rank: Some(rank),
        code: Phi::new(code),
        ..EncounterDiagnosis::default()
    };
    let codes = concepts(&line.ft1.field(19), reading);
    let found: Vec<_> = (1..).zip(codes).map(named_by_line).collect();
    if !found.is_empty() || layout == Layout::Detail {
        return found;
    }
    let mut of_line = encounter::diagnoses(&line.details, reading);
    rank(&mut of_line);
    of_line
}

/// NM, or a CQ with its unit.
fn quantity(field: &Field<'_>, reading: &Reading) -> Option<Quantity> {
    let whole = field.repetition(1);
    let value = decimal(&leaf(&whole, 1).read(reading)?)?;
    Some(Quantity { value: value.into(), unit: leaf(&whole, 2).read(reading), ..Quantity::default() })
}

/// CP: price and currency (MO) in the subcomponents of component 1; until 2.2 the number alone.
fn money(field: &Field<'_>, reading: &Reading) -> Option<Money> {
    let price = field.repetition(1).component(1);
    let value = decimal(&price.subcomponent(1).read(reading)?)?;
    Some(Money { value: value.into(), currency: price.subcomponent(2).read(reading) })
}
