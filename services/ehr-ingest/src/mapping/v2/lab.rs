//! ORU^R01 as results: one per patient of the message, each with its own reports and its own part of the bytes.

use std::collections::HashSet;

use smol_str::{SmolStr, format_smolstr};
use waybill_contracts::{
    Phi,
    fhir::{CodeableConcept, Coding, HumanName, Practitioner},
    lab::{DiagnosticReport, Observation, Specimen},
};
use waybill_hl7v2::{Field, Segment};

use super::{
    codes,
    datatypes::{
        Reading, Value, code, concept, concept_of, concepts, date_time, entity, leaf, paired_entity, phi,
    },
    observation,
    people::{interpreters, practitioners},
};

/// The reports among the segments of one patient, in the order sent.
pub(super) fn reports<'m>(
    segments: impl Iterator<Item = Segment<'m>>,
    reading: &Reading,
) -> Vec<DiagnosticReport> {
    let mut groups = Groups {
        reading,
        done: Vec::new(),
        orc: None,
        notes: Notes::Nobody,
        has_spm: false,
        observers: HashSet::new(),
    };
    for segment in segments {
        groups.take(&segment);
    }
    for report in &mut groups.done {
        inherit_time(report);
    }
    groups.done
}

/// An observation of the report is flagged critical.
pub(super) fn is_critical(reports: &[DiagnosticReport]) -> bool {
    let observations = reports.iter().flat_map(|report| &report.result);
    observations.flat_map(|observation| &observation.interpretation).any(|flag| codes::is_critical(flag))
}

/// Whose comment an NTE is.
#[derive(Clone, Copy)]
enum Notes {
    Nobody,
    Report,
    Observation,
}

struct Groups<'r, 'm> {
    reading: &'r Reading,
    /// The last one may still get observations.
    done: Vec<DiagnosticReport>,
    /// Of the order whose OBR is still to come.
    orc: Option<Segment<'m>>,
    notes: Notes,
    /// The report at hand has a specimen segment.
    has_spm: bool,
    /// Who made observations of the report at hand: there may be as many as observations.
    observers: HashSet<String>,
}

impl<'m> Groups<'_, 'm> {
    fn take(&mut self, segment: &Segment<'m>) {
        match segment.name() {
            b"ORC" => {
                self.orc = Some(*segment);
                self.notes = Notes::Nobody;
            }
            b"OBR" => {
                let orc = self.orc.take();
                self.done.push(report(segment, orc.as_ref(), self.reading));
                self.has_spm = false;
                self.observers.clear();
                self.notes = Notes::Report;
            }
            b"OBX" => self.take_observations(segment),
            b"SPM" => {
                if let Some(report) = self.done.last_mut() {
                    if !std::mem::replace(&mut self.has_spm, true) {
                        // What OBR-15 said is repeated here in full.
                        report.specimen.clear();
                    }
                    let mut specimen = specimen(segment, self.reading);
                    if specimen.collected_date_time.is_none() {
                        specimen.collected_date_time.clone_from(&report.effective_date_time);
                    }
                    report.specimen.push(specimen);
                }
                self.notes = Notes::Report;
            }
            b"NTE" => self.take_note(segment),
            b"PID" | b"PV1" => self.notes = Notes::Nobody,
            _ => {}
        }
    }

    fn take_observations(&mut self, obx: &Segment<'m>) {
        // An OBX before any OBR belongs to the patient (2.7 and later), not to a report.
        let Some(report) = self.done.last_mut() else { return };
        for observer in practitioners(&obx.field(16), "performer", self.reading) {
            if self.observers.insert(whole(&observer)) {
                report.performer.push(observer);
            }
        }
        report.result.extend(observation::observations(obx, self.reading));
        self.notes = Notes::Observation;
    }

    fn take_note(&mut self, nte: &Segment<'m>) {
        let Some(report) = self.done.last_mut() else { return };
        let notes = match (self.notes, report.result.last_mut()) {
            (Notes::Observation, Some(Observation { note, .. })) => note,
            (Notes::Report, _) => &mut report.note,
            _ => return,
        };
        notes.extend(nte.field(3).repetitions().filter_map(|line| phi(&line, self.reading)));
    }
}

/// All that is known of somebody, as one text: equal for equal people only.
fn whole(person: &Practitioner) -> String {
    let mut text = String::new();
    // Each part with its length, so that no two lists of parts read the same.
    let mut add = |part: Option<&str>| {
        text.push_str(
            &part.map_or_else(|| SmolStr::new_static("-"), |part| format_smolstr!("{}:{part}", part.len())),
        );
    };
    let id = person.identifier.as_ref();
    add(id.and_then(|id| id.r#type.as_deref()));
    add(id.and_then(|id| id.system.as_deref()));
    add(id.map(|id| id.value.expose().as_str()));
    if let Some(HumanName { r#use, family, given, prefix, suffix }) = &person.name {
        add(r#use.as_deref());
        add(family.as_ref().map(|family| family.expose().as_str()));
        for parts in [given, prefix, suffix] {
            add(Some(&parts.len().to_string()));
            for part in parts {
                add(Some(part.expose()));
            }
        }
    }
    text
}

fn report(obr: &Segment<'_>, orc: Option<&Segment<'_>>, reading: &Reading) -> DiagnosticReport {
    // Where both are there they shall be the same; if not, the order's own segment counts (v2-to-FHIR, ORC[DiagnosticReport]).
    let number = |field, kind| {
        let common = orc.and_then(|orc| entity(&orc.field(field), kind, reading));
        common.or_else(|| entity(&obr.field(field), kind, reading))
    };
    let status_code = code(&obr.field(25), reading);
    let orderer = |segment: Option<&Segment<'_>>, field| {
        segment.map(|segment| practitioners(&segment.field(field), "orderer", reading)).unwrap_or_default()
    };
    let mut performer = interpreters(&obr.field(32), "interpreter", reading);
    let ordered_by = orderer(Some(obr), 16);
    performer.extend(if ordered_by.is_empty() { orderer(orc, 12) } else { ordered_by });
    DiagnosticReport {
        placer_order_number: number(2, "PLAC"),
        filler_order_number: number(3, "FILL"),
        status: codes::report_status(status_code.as_deref().unwrap_or_default()).into(),
        status_code,
        code: concept(&obr.field(4).repetition(1), reading).unwrap_or_default(),
        category: code(&obr.field(24), reading).into_iter().collect(),
        effective_date_time: date_time(&obr.field(7), reading),
        issued: date_time(&obr.field(22), reading),
        parent_filler_order_number: paired_entity(&obr.field(29).component(2), "FILL", reading),
        performer,
        specimen: ordered_specimen(obr, reading)
            .or_else(|| taken_specimen(obr, reading))
            .into_iter()
            .collect(),
        reason_code: concepts(&obr.field(31), reading).into_iter().map(Phi::new).collect(),
        order_control: orc.and_then(|orc| code(&orc.field(1), reading)),
        priority: priority(obr, orc, reading),
        ..DiagnosticReport::default()
    }
}

/// OBR-27.6, ORC-7.6, OBR-5.
pub(super) fn priority(obr: &Segment<'_>, orc: Option<&Segment<'_>>, reading: &Reading) -> Option<SmolStr> {
    let timing = |field: Field<'_>| leaf(&field.repetition(1), 6).read(reading);
    [timing(obr.field(27)), orc.and_then(|orc| timing(orc.field(7))), code(&obr.field(5), reading)]
        .into_iter()
        .flatten()
        .find_map(|sent| codes::request_priority(&sent))
        .map(SmolStr::new_static)
}

/// What an OBR says about the specimen (until 2.5 the only place): OBR-15 with OBR-7 and OBR-14.
pub(super) fn ordered_specimen(obr: &Segment<'_>, reading: &Reading) -> Option<Specimen> {
    let source = obr.field(15).component(1);
    let received_time = date_time(&obr.field(14), reading);
    let part = |number| source.subcomponent(number).read(reading);
    let (code, display) = (part(1), part(2));
    if code.is_none() && display.is_none() && received_time.is_none() {
        return None;
    }
    let coding = code.map(|code| Coding {
        system: Some(
            part(3).map_or_else(|| SmolStr::new_static("HL70070"), |name| codes::code_system(&name)),
        ),
        code: Some(code),
        display: display.clone(),
    });
    let kind = CodeableConcept { coding: coding.into_iter().collect(), text: display };
    Some(Specimen {
        r#type: (kind != CodeableConcept::default()).then_some(kind),
        collected_date_time: date_time(&obr.field(7), reading),
        received_time,
        ..Specimen::default()
    })
}

/// Of a specimen that nothing is said about OBR-7 still says when it was taken (HL7 v2.5.1 §4.5.3.7; v2-to-FHIR
/// OBR[Specimen]), unless the service (OBR-24) is one that needs none.
fn taken_specimen(obr: &Segment<'_>, reading: &Reading) -> Option<Specimen> {
    let service = code(&obr.field(24), reading);
    if service.is_some_and(|service| codes::is_without_specimen(&service)) {
        return None;
    }
    let collected_date_time = Some(date_time(&obr.field(7), reading)?);
    Some(Specimen { collected_date_time, ..Specimen::default() })
}

/// SPM: SPM-2 is a pair, and the filler's number is on the tube.
pub(super) fn specimen(spm: &Segment<'_>, reading: &Reading) -> Specimen {
    let number = |component| paired_entity(&spm.field(2).component(component), "", reading);
    let (identifier, placer_identifier) = match (number(2), number(1)) {
        (Some(filler), placer) => (Some(filler), placer),
        (None, placer) => (placer, None),
    };
    Specimen {
        identifier,
        placer_identifier,
        r#type: concept_of(&spm.field(4), "HL70487", reading),
        // A range; its start.
        collected_date_time: date_time(&spm.field(17), reading),
        received_time: date_time(&spm.field(18), reading),
    }
}

/// An observation without a time of its own was made when the specimen was taken (OBR-7).
fn inherit_time(report: &mut DiagnosticReport) {
    for observation in &mut report.result {
        if observation.effective_date_time.is_none() {
            observation.effective_date_time.clone_from(&report.effective_date_time);
        }
    }
}
