//! ADT messages about a patient or a visit: A01 to A08, A11 to A13, A28, A31, A38.

use smol_str::SmolStr;
use waybill_contracts::{
    clinical::{EncounterChange, EncounterEvent, PatientEvent},
    lab::Observation,
};
use waybill_hl7v2::{Message, Segment, path};

use super::{
    Mapping, Outbox, Refusal,
    datatypes::{Reading, code, each, phi},
    encounter,
    group::{self, Group, first},
    insurance, observation,
};
use crate::mapping::Payload;

/// What an ADT event says about the encounter; `None` for an event of another kind.
pub(super) fn change(trigger: &[u8]) -> Option<EncounterChange> {
    use EncounterChange as Change;
    Some(match trigger {
        b"A01" => Change::Admit,
        b"A02" => Change::Transfer,
        b"A03" => Change::Discharge,
        b"A04" => Change::Register,
        b"A05" => Change::PreAdmit,
        b"A06" => Change::ToInpatient,
        b"A07" => Change::ToOutpatient,
        // A28 and A31 are about the person; what their PV1 says about a visit is an update.
        b"A08" | b"A28" | b"A31" => Change::Update,
        b"A11" => Change::CancelAdmit,
        b"A12" => Change::CancelTransfer,
        b"A13" => Change::CancelDischarge,
        b"A38" => Change::CancelPreAdmit,
        _ => return None,
    })
}

/// Each patient's segments; without a visit there is no admission, transfer or discharge.
pub(super) fn plan(message: &Message<'_>, change: EncounterChange) -> Result<Vec<Group>, Refusal> {
    let groups = group::by_patient(message)?;
    if change != EncounterChange::Update && groups.iter().any(|group| !group.has(message, &[b"PV1"])) {
        return Err(group::missing(path!("PV1"), "PV1 is missing"));
    }
    Ok(groups)
}

/// The patient as of now, and the encounter where there is one.
pub(super) fn events(mapping: &Mapping<'_>, groups: &[Group], change: EncounterChange) -> Outbox {
    let mut outbox = Outbox::default();
    for group in groups {
        let segments = group.segments(mapping.message);
        let Some(pid) = mapping.message.segment_at(group.pid) else { continue };
        let patient = mapping.patient(&pid, &segments);
        let key = mapping.key(&pid);
        let coverage = insurance::coverages(&segments, &mapping.reading);
        let guarantor = insurance::guarantors(&segments, &mapping.reading);
        let demographics = PatientEvent {
            source: mapping.source.clone(),
            patient: patient.clone(),
            alias: Vec::new(),
            coverage: coverage.clone(),
            guarantor: guarantor.clone(),
        };
        outbox.push(mapping, key, Payload::Patient(demographics));
        let pv1 = first(&segments, b"PV1")
            .filter(|pv1| change != EncounterChange::Update || is_about_a_visit(pv1, &mapping.reading));
        if let Some(pv1) = pv1 {
            let encounter = EncounterEvent {
                source: mapping.source.clone(),
                patient,
                encounter: encounter::encounter(&segments, &pv1, change, &mapping.reading),
                coverage,
                guarantor,
                change,
                observation: observations(&segments, &mapping.reading),
            };
            outbox.push(mapping, key, Payload::Encounter(encounter));
        }
    }
    outbox
}

/// A08, A28 and A31 must have a PV1 even where there is no visit: then its class is N, "not applicable" (table 0004), or
/// it is empty.
fn is_about_a_visit(pv1: &Segment<'_>, reading: &Reading) -> bool {
    !encounter::visit_numbers(pv1, reading).is_empty()
        || code(&pv1.field(2), reading).is_some_and(|class| class != "N")
}

/// OBX of a visit, each with the NTE that follow it.
fn observations(segments: &[Segment<'_>], reading: &Reading) -> Vec<Observation> {
    let mut found: Vec<Observation> = Vec::new();
    let mut after_obx = false;
    for segment in segments {
        match (segment.name(), found.last_mut()) {
            (b"OBX", _) => found.extend(observation::observations(segment, reading)),
            (b"NTE", Some(last)) if after_obx => last.note.extend(notes(segment, reading)),
            _ => {}
        }
        after_obx = matches!(segment.name(), b"OBX" | b"NTE") && (after_obx || segment.name() == b"OBX");
    }
    found
}

/// The lines of a comment, NTE-3.
pub(super) fn notes(nte: &Segment<'_>, reading: &Reading) -> Vec<waybill_contracts::Phi<SmolStr>> {
    each(&nte.field(3), |line| phi(&line, reading))
}
