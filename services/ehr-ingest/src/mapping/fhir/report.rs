//! DiagnosticReport with its observations, and the part of the body that is the report.

use smol_str::SmolStr;
use waybill_contracts::{Body, body::FHIR_JSON, fhir, lab, lab::LabResult};
use waybill_fhir::{
    resources::{DiagnosticReport, Observation, ServiceRequest, Specimen},
    types::{Attachment, Reference},
};

use super::{
    content::{Content, Found},
    datatypes::{
        codes, concept, date_time, identifier, identifiers, moment, of_kind, opt_concept, phi, text,
    },
    encounter,
    observation::{self, Collected},
    people,
};
use crate::mapping::{Event, Payload};

/// `lab.result` of a DiagnosticReport.
pub(super) fn event(content: &Content<'_, '_>, at: usize) -> Option<Event> {
    let found = content.at(at)?;
    let read: DiagnosticReport<'_> = found.read()?;
    let (who, patient) = content.patient_of(at, read.subject.as_ref())?;
    let report = report(content, at, &read);
    let visit = encounter::visit(content, at, read.encounter.as_ref());
    let result = LabResult {
        source: content.source(at),
        patient,
        visit,
        critical: observation::is_critical(&report.result),
        report: vec![report],
        original: Body::new(FHIR_JSON, &original(content, found, &read)),
    };
    Some(content.event(at, &who, Payload::Result(result)))
}

/// `lab.result` of a laboratory Observation that belongs to no report, observation or encounter of the body.
pub(super) fn of_observation(content: &Content<'_, '_>, at: usize) -> Option<Event> {
    let found = content.at(at)?;
    let read: Observation<'_> = found.read()?;
    let is_laboratory = codes(&read.category).iter().any(|category| category == "laboratory");
    let is_of_encounter = content.encounter_of(at, read.encounter.as_ref()).is_some();
    if !is_laboratory || is_of_encounter || content.reported.contains(&at) {
        return None;
    }
    let (who, patient) = content.patient_of(at, read.subject.as_ref())?;
    let mut collected = Collected::default();
    collected.add(content, found);
    let report = lab::DiagnosticReport {
        status: text(&read.status).unwrap_or_default(),
        code: observation::code_of(&read),
        category: codes(&read.category),
        effective_date_time: moment(
            read.effective_date_time.as_ref().or(read.effective_instant.as_ref()),
            read.effective_period.as_ref(),
        ),
        performer: people::practitioners(content, at, &read.performer, "performer"),
        specimen: specimen(content, at, read.specimen.as_ref()).into_iter().collect(),
        result: collected.observations,
        ..lab::DiagnosticReport::default()
    };
    let mut parts = Parts::new(content, found);
    parts.refer(at, read.subject.as_ref());
    parts.refer(at, read.specimen.as_ref());
    let result = LabResult {
        source: content.source(at),
        patient,
        visit: encounter::visit(content, at, read.encounter.as_ref()),
        critical: observation::is_critical(&report.result),
        report: vec![report],
        original: Body::new(FHIR_JSON, &parts.bundle()),
    };
    Some(content.event(at, &who, Payload::Result(result)))
}

fn report(content: &Content<'_, '_>, at: usize, read: &DiagnosticReport<'_>) -> lab::DiagnosticReport {
    let own = identifiers(&read.identifier);
    let orders = orders(content, at, &read.based_on);
    let mut collected = Collected::default();
    for result in &read.result {
        if let Some(found) = content.find(at, result) {
            collected.add(content, found);
        }
    }
    let interpreters = people::practitioners(content, at, &read.results_interpreter, "interpreter");
    let mut performer = people::practitioners(content, at, &read.performer, "performer");
    performer.extend(interpreters);
    lab::DiagnosticReport {
        placer_order_number: of_kind(&own, "PLAC").or_else(|| placer(&orders)),
        // R4 maps an identifier of the report to OBR-3 unless it says otherwise.
        filler_order_number: of_kind(&own, "FILL")
            .or_else(|| own.iter().find(|id| id.r#type.as_deref() != Some("PLAC")).cloned())
            .or_else(|| of_kind(&orders, "FILL")),
        status: match read.status.as_deref() {
            // FHIR's parent concept: `appended` is not in the events' list.
            Some("appended") => SmolStr::new_static("amended"),
            Some(status) => status.into(),
            None => SmolStr::default(),
        },
        code: read.code.as_ref().map(concept).unwrap_or_default(),
        category: codes(&read.category),
        effective_date_time: moment(read.effective_date_time.as_ref(), read.effective_period.as_ref()),
        issued: date_time(read.issued.as_ref()),
        performer,
        specimen: read
            .specimen
            .iter()
            .filter_map(|reference| specimen(content, at, Some(reference)))
            .collect(),
        result: collected.observations,
        identifier: own,
        conclusion: phi(&read.conclusion),
        presented_form: read.presented_form.iter().map(attachment).collect(),
        ..lab::DiagnosticReport::default()
    }
}

/// Identifiers of the orders that references lead to.
fn orders(content: &Content<'_, '_>, from: usize, references: &[Reference<'_>]) -> Vec<fhir::Identifier> {
    let of = |reference: &Reference<'_>| match content.read::<ServiceRequest<'_>>(from, Some(reference)) {
        Some(order) => identifiers(&order.identifier),
        None => people::identifier_in(reference).into_iter().collect(),
    };
    references.iter().flat_map(of).collect()
}

/// The placer's number: R4 maps an identifier of the order to ORC-2 unless it says otherwise.
pub(super) fn placer(identifiers: &[fhir::Identifier]) -> Option<fhir::Identifier> {
    let untyped = || identifiers.iter().find(|id| id.r#type.as_deref() != Some("FILL")).cloned();
    of_kind(identifiers, "PLAC").or_else(untyped)
}

/// A Specimen.
pub(super) fn specimen(
    content: &Content<'_, '_>,
    from: usize,
    reference: Option<&Reference<'_>>,
) -> Option<lab::Specimen> {
    let read: Specimen<'_> = content.read(from, reference)?;
    let collection = read.collection.as_ref();
    let own = read.identifier.iter().find_map(identifier);
    Some(lab::Specimen {
        identifier: own.or_else(|| identifier(read.accession_identifier.as_ref()?)),
        r#type: opt_concept(read.r#type.as_ref()),
        collected_date_time: collection.and_then(|collection| {
            moment(collection.collected_date_time.as_ref(), collection.collected_period.as_ref())
        }),
        received_time: date_time(read.received_time.as_ref()),
        placer_identifier: None,
    })
}

fn attachment(read: &Attachment<'_>) -> lab::Attachment {
    lab::Attachment {
        content_type: text(&read.content_type),
        title: phi(&read.title),
        url: phi(&read.url),
        size: i64::try_from(read.bytes()).unwrap_or(i64::MAX),
    }
}

/// The report's part of the body: a collection of the report, its patient, observations, specimens, orders, performers
/// and encounter, each byte for byte.
fn original(content: &Content<'_, '_>, found: Found<'_>, read: &DiagnosticReport<'_>) -> Vec<u8> {
    if content.plan.bundle.kind == waybill_fhir::Kind::Single {
        return content.original(found.from).to_vec();
    }
    let at = found.from;
    let mut parts = Parts::new(content, found);
    parts.refer(at, read.subject.as_ref());
    parts.refer(at, read.encounter.as_ref());
    for reference in
        read.based_on.iter().chain(&read.specimen).chain(&read.performer).chain(&read.results_interpreter)
    {
        parts.refer(at, Some(reference));
    }
    for result in &read.result {
        parts.observation(at, result);
    }
    parts.bundle()
}

struct Parts<'p, 'c, 'a> {
    content: &'p Content<'c, 'a>,
    entries: Vec<usize>,
}

impl<'p, 'c, 'a> Parts<'p, 'c, 'a> {
    fn new(content: &'p Content<'c, 'a>, first: Found<'_>) -> Self {
        Self { content, entries: vec![first.from] }
    }

    fn refer(&mut self, from: usize, reference: Option<&Reference<'_>>) -> Option<Found<'a>> {
        let found = self.content.find(from, reference?).filter(|found| found.is_entry)?;
        if self.entries.contains(&found.from) {
            return None;
        }
        self.entries.push(found.from);
        Some(found)
    }

    fn observation(&mut self, from: usize, reference: &Reference<'_>) {
        let Some(found) = self.refer(from, Some(reference)) else { return };
        let Some(read) = found.read::<Observation<'_>>() else { return };
        self.refer(found.from, read.specimen.as_ref());
        for performer in &read.performer {
            self.refer(found.from, Some(performer));
        }
        for member in &read.has_member {
            self.observation(found.from, member);
        }
    }

    fn bundle(&self) -> Vec<u8> {
        let mut bundle = Vec::from(&br#"{"resourceType":"Bundle","type":"collection","entry":["#[..]);
        for (place, at) in self.entries.iter().enumerate() {
            let entry = &self.content.plan.bundle.entries[*at];
            bundle.extend_from_slice(if place == 0 { b"{" } else { b",{" });
            if let Some(url) = entry.full_url.as_deref() {
                bundle.extend_from_slice(b"\"fullUrl\":");
                bundle.extend(serde_json::to_vec(url).unwrap_or_default());
                bundle.push(b',');
            }
            bundle.extend_from_slice(b"\"resource\":");
            bundle.extend_from_slice(self.content.original(*at));
            bundle.push(b'}');
        }
        bundle.extend_from_slice(b"]}");
        bundle
    }
}
