//! ORM^O01, OML^O21, O33, O35 and OMG^O19 as orders: all that were placed together for one patient.

use smol_str::SmolStr;
use waybill_contracts::{
    fhir::{Identifier, Practitioner},
    lab::{LabOrder, Observation, ServiceRequest},
};
use waybill_hl7v2::{Field, Message, Segment, path};

use super::{
    Mapping, Outbox, Refusal, adt,
    datatypes::{Reading, code, concept, concepts, date_time, entity, paired_entity, period},
    encounter,
    group::{self, Group, first},
    insurance, lab, observation, patient,
    people::practitioners,
    statuses,
    timing::Timing,
};
use crate::mapping::Payload;
use waybill_contracts::Phi;

/// How the segments of a message are nested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// ORM^O01: `PID { ORC OBR … }`.
    Plain,
    /// OML^O21, OMG^O19: earlier results, with a PID and PV1 of their own, may follow each order.
    WithPriorResults,
    /// OML^O33, O35: `PID { SPM { ORC OBR … } }`.
    SpecimenFirst,
}

/// The layout of an order message; `None` for a message of another kind.
pub(super) fn layout(code: &[u8], trigger: &[u8]) -> Option<Layout> {
    match (code, trigger) {
        (b"ORM", b"O01") => Some(Layout::Plain),
        (b"OML", b"O21") | (b"OMG", b"O19") => Some(Layout::WithPriorResults),
        (b"OML", b"O33" | b"O35") => Some(Layout::SpecimenFirst),
        _ => None,
    }
}

/// The segments of each patient with orders; none when all orders are for drugs, diets or supplies.
pub(super) fn plan(message: &Message<'_>, layout: Layout) -> Result<Vec<Group>, Refusal> {
    let mut groups = group::by_patient_if(message, |pid| {
        layout != Layout::WithPriorResults || !opens_prior_results(message, pid)
    })?;
    for (occurrence, group) in (1..).zip(&groups) {
        if !group.has(message, &[b"ORC", b"OBR"]) {
            return Err(group::missing(
                path!("ORC").in_occurrence(occurrence),
                "a patient has no ORC and no OBR",
            ));
        }
    }
    groups.retain(|group| !spans(&group.segments(message), layout).is_empty());
    Ok(groups)
}

/// A second PID in OML or OMG is that of earlier results (PATIENT_PRIOR), unless an order follows it: messages of
/// several patients are against the structure, and happen.
fn opens_prior_results(message: &Message<'_>, pid: &Segment<'_>) -> bool {
    let mut after = (pid.index() + 1..message.segment_count()).filter_map(|index| message.segment_at(index));
    let next = after.find(|segment| matches!(segment.name(), b"ORC" | b"OBR" | b"PID"));
    !next.is_some_and(|segment| segment.name() == b"ORC" && !is_prior(&segment))
}

/// ORC-1 (table 0119): PR, previous results with a new order; RE, observations to follow.
fn is_prior(orc: &Segment<'_>) -> bool {
    matches!(orc.field(1).raw().trim_ascii(), b"PR" | b"RE")
}

/// One event per patient.
pub(super) fn events(mapping: &Mapping<'_>, groups: &[Group], layout: Layout) -> Outbox {
    let mut outbox = Outbox::default();
    let reading = &mapping.reading;
    for group in groups {
        let segments = group.segments(mapping.message);
        let Some(pid) = mapping.message.segment_at(group.pid) else { continue };
        let order = LabOrder {
            source: mapping.source.clone(),
            patient: mapping.patient(&pid, &segments),
            visit: first(&segments, b"PV1").and_then(|pv1| encounter::visit(&pv1, reading)),
            account: patient::account(&pid, reading),
            order: spans(&segments, layout).iter().map(|span| request(span, reading)).collect(),
            coverage: insurance::coverages(&segments, reading),
            guarantor: insurance::guarantors(&segments, reading),
        };
        outbox.push(mapping, mapping.key(&pid), Payload::Order(order));
    }
    outbox
}

/// The segments of one order.
struct Span<'m> {
    orc: Option<Segment<'m>>,
    obr: Option<Segment<'m>>,
    /// The ORC is that of an order before this one.
    shares: bool,
    /// SPM, where it comes before the orders it is for.
    specimen: Option<Segment<'m>>,
    details: Vec<Segment<'m>>,
}

/// The orders among a patient's segments. An ORC begins one; so does an OBR when the order at hand has one already: it
/// shares the ORC then.
fn spans<'m>(segments: &[Segment<'m>], layout: Layout) -> Vec<Span<'m>> {
    let mut spans: Vec<Span<'m>> = Vec::new();
    let mut orc = None;
    let mut specimen = None;
    // The last span still takes segments.
    let mut open = false;
    // Earlier results are no orders.
    let mut skipping = false;
    let mut begun = false;
    for segment in segments {
        match segment.name() {
            b"PID" | b"PV1" if begun && layout == Layout::WithPriorResults => {
                (open, skipping, orc) = (false, true, None);
            }
            b"ORC" => {
                skipping = is_prior(segment) && (skipping || segment.field(1).raw().trim_ascii() == b"PR");
                (open, begun, orc) = (!skipping, true, Some(*segment));
                if open {
                    spans.push(Span { orc, obr: None, shares: false, specimen, details: Vec::new() });
                }
            }
            b"OBR" if !skipping => {
                begun = true;
                match spans.last_mut().filter(|span| open && span.obr.is_none()) {
                    Some(span) => span.obr = Some(*segment),
                    None => {
                        let (obr, shares) = (Some(*segment), orc.is_some());
                        spans.push(Span { orc, obr, shares, specimen, details: Vec::new() });
                    }
                }
                open = true;
            }
            b"SPM" if layout == Layout::SpecimenFirst => (open, specimen) = (false, Some(*segment)),
            // A drug, a diet, a supply.
            b"RXO" | b"RXE" | b"ODS" | b"ODT" | b"RQD" | b"RQ1"
                if open && spans.last().is_some_and(|span| span.obr.is_none()) =>
            {
                spans.pop();
                (open, orc) = (false, None);
            }
            _ if open => {
                if let Some(span) = spans.last_mut() {
                    span.details.push(*segment);
                }
            }
            _ => {}
        }
    }
    spans
}

fn request(span: &Span<'_>, reading: &Reading) -> ServiceRequest {
    let orc = |number| span.orc.map(|orc: Segment<'_>| orc.field(number));
    let obr = |number| span.obr.map(|obr: Segment<'_>| obr.field(number));
    // Where both are there they shall be the same; if not, the order's own segment counts, as in results. An ORC that
    // several OBR share has the numbers of the first: another has its own, where it has any.
    let own_numbers =
        span.shares && [2, 3].iter().any(|field| obr(*field).is_some_and(|own| own.value().is_some()));
    let number = |field, kind| {
        let of = |field: Option<Field<'_>>| entity(&field?, kind, reading);
        of(orc(field).filter(|_| !own_numbers)).or_else(|| of(obr(field)))
    };
    let text = |field: Option<Field<'_>>| code(&field?, reading);
    let time = |field: Option<Field<'_>>| date_time(&field?, reading);
    let status_code = text(orc(5));
    let order_control = text(orc(1));
    let timing = timing(span, reading);
    let occurrence = match time(obr(6)) {
        Some(requested) => period(Some(requested), None),
        None => period(timing.start, timing.end),
    };
    let mut request = ServiceRequest {
        placer_order_number: number(2, "PLAC"),
        filler_order_number: number(3, "FILL"),
        placer_group_number: orc(4).and_then(|field| entity(&field, "PGN", reading)),
        status: status(order_control.as_deref(), status_code.as_deref(), text(obr(25)).as_deref()).into(),
        status_code,
        order_control,
        priority: timing.priority.map(SmolStr::new_static),
        code: obr(4).and_then(|field| concept(&field.repetition(1), reading)).unwrap_or_default(),
        category: text(obr(24)).into_iter().collect(),
        authored_on: time(orc(9)),
        occurrence,
        collected: time(obr(7)),
        requester: requesters(orc(12), obr(16), reading),
        performer: obr(28).map(|field| practitioners(&field, "copy-to", reading)).unwrap_or_default(),
        reason_code: reasons(obr(31), orc(16), reading),
        diagnosis: encounter::diagnoses(&span.details, reading),
        specimen: span
            .specimen
            .map(|spm| lab::specimen(&spm, reading))
            .or_else(|| span.obr.and_then(|obr| lab::ordered_specimen(&obr, reading)))
            .into_iter()
            .collect(),
        parent: parent(obr(29), orc(8), reading),
        ..ServiceRequest::default()
    };
    add_details(&mut request, span, reading);
    request
}

/// What cancels or holds goes before everything; else ORC-5, then OBR-25, then what ORC-1 says by itself.
fn status(control: Option<&str>, order: Option<&str>, result: Option<&str>) -> &'static str {
    let by_control = control.and_then(statuses::order_control);
    match by_control {
        Some(status @ ("revoked" | "on-hold")) => status,
        _ => order
            .and_then(statuses::order_status)
            .or(match result {
                Some("F" | "C") => Some("completed"),
                Some("X") => Some("revoked"),
                _ => None,
            })
            .or(by_control)
            .unwrap_or("unknown"),
    }
}

/// TQ1 (since 2.5), else ORC-7, else OBR-27; the priority alone also in OBR-5 (until 2.2).
fn timing(span: &Span<'_>, reading: &Reading) -> Timing {
    let of_field = |segment: Option<Segment<'_>>, number| {
        segment.map(|segment| Timing::of_field(&segment.field(number), reading)).unwrap_or_default()
    };
    let of_segment = first(&span.details, b"TQ1").map(|tq1| Timing::of_segment(&tq1, reading));
    let timing = of_segment.unwrap_or_default().or(of_field(span.orc, 7)).or(of_field(span.obr, 27));
    let old = span.obr.and_then(|obr| code(&obr.field(5), reading));
    Timing { priority: timing.priority.or_else(|| old.as_deref().and_then(statuses::priority)), ..timing }
}

fn requesters(orc: Option<Field<'_>>, obr: Option<Field<'_>>, reading: &Reading) -> Vec<Practitioner> {
    let of = |field: Option<Field<'_>>| {
        field.map(|field| practitioners(&field, "orderer", reading)).unwrap_or_default()
    };
    let found = of(orc);
    if found.is_empty() { of(obr) } else { found }
}

fn reasons(
    obr: Option<Field<'_>>,
    orc: Option<Field<'_>>,
    reading: &Reading,
) -> Vec<Phi<waybill_contracts::fhir::CodeableConcept>> {
    let of = |field: Option<Field<'_>>| field.map(|field| concepts(&field, reading)).unwrap_or_default();
    let found = of(obr);
    let found = if found.is_empty() { of(orc) } else { found };
    found.into_iter().map(Phi::new).collect()
}

/// EIP: placer, else filler.
fn parent(obr: Option<Field<'_>>, orc: Option<Field<'_>>, reading: &Reading) -> Option<Identifier> {
    [obr, orc].into_iter().flatten().find_map(|field| {
        let whole = field.repetition(1);
        paired_entity(&whole.component(1), "PLAC", reading)
            .or_else(|| paired_entity(&whole.component(2), "FILL", reading))
    })
}

/// SPM, OBX and NTE: specimens, answers to questions at order entry, comments of whatever they follow.
fn add_details(request: &mut ServiceRequest, span: &Span<'_>, reading: &Reading) {
    let (mut has_spm, mut after_obx) = (false, false);
    for segment in &span.details {
        match segment.name() {
            b"SPM" => {
                if !std::mem::replace(&mut has_spm, true) {
                    // What OBR-15 said is repeated here in full.
                    request.specimen.clear();
                }
                request.specimen.push(lab::specimen(segment, reading));
                after_obx = false;
            }
            b"OBX" => {
                request.supporting_info.extend(observation::observations(segment, reading));
                after_obx = true;
            }
            b"NTE" => {
                let notes = adt::notes(segment, reading);
                match request.supporting_info.last_mut().filter(|_| after_obx) {
                    Some(Observation { note, .. }) => note.extend(notes),
                    None => request.note.extend(notes),
                }
            }
            b"DG1" | b"TQ1" => after_obx = false,
            _ => {}
        }
    }
}
