//! ServiceRequest.

use waybill_contracts::{lab, lab::LabOrder};
use waybill_fhir::resources::{Encounter, ServiceRequest};

use super::{
    content::Content,
    coverage,
    datatypes::{
        codes, date_time, identifier, identifiers, occurrence, of_kind, opt_concept, phi, phi_concepts, text,
    },
    encounter,
    observation::Collected,
    people, report,
};
use crate::mapping::{Event, Payload};

/// `lab.order` of a ServiceRequest.
pub(super) fn event(content: &Content<'_, '_>, at: usize) -> Option<Event> {
    let read: ServiceRequest<'_> = content.at(at)?.read()?;
    let (who, patient) = content.patient_of(at, read.subject.as_ref())?;
    let named = read.insurance.iter().filter_map(|insurance| coverage::referred(content, at, insurance));
    let mut coverage: Vec<_> = named.collect();
    if coverage.is_empty() {
        coverage = coverage::of_patient(content, &who);
    }
    let visited: Option<(Encounter<'_>, usize)> = content.encounter_of(at, read.encounter.as_ref());
    let order = LabOrder {
        source: content.source(at),
        patient,
        visit: encounter::visit(content, at, read.encounter.as_ref()),
        account: visited.and_then(|(visited, from)| encounter::account_number(content, from, &visited)),
        order: vec![order(content, at, &read)],
        coverage,
        guarantor: Vec::new(),
    };
    Some(content.event(at, &who, Payload::Order(order)))
}

fn order(content: &Content<'_, '_>, at: usize, read: &ServiceRequest<'_>) -> lab::ServiceRequest {
    let own = identifiers(&read.identifier);
    let parent = read.based_on.iter().find_map(|reference| {
        let order: Option<ServiceRequest<'_>> = content.read(at, Some(reference));
        let named = order.and_then(|order| report::placer(&identifiers(&order.identifier)));
        named.or_else(|| people::identifier_in(reference))
    });
    let mut answers = Collected::default();
    for information in &read.supporting_info {
        if let Some(found) = content.find(at, information) {
            answers.add(content, found);
        }
    }
    lab::ServiceRequest {
        placer_order_number: report::placer(&own),
        filler_order_number: of_kind(&own, "FILL"),
        placer_group_number: read.requisition.as_ref().and_then(identifier),
        status: text(&read.status).unwrap_or_default(),
        priority: text(&read.priority),
        code: opt_concept(read.code.as_ref()).unwrap_or_default(),
        category: codes(&read.category),
        authored_on: date_time(read.authored_on.as_ref()),
        occurrence: occurrence(read.occurrence_date_time.as_ref(), read.occurrence_period.as_ref()),
        requester: people::practitioners(content, at, &read.requester, "orderer"),
        performer: people::practitioners(content, at, &read.performer, "performer"),
        reason_code: phi_concepts(&read.reason_code),
        diagnosis: encounter::referred_diagnoses(content, at, &read.reason_reference),
        specimen: read.specimen.iter().filter_map(|one| report::specimen(content, at, Some(one))).collect(),
        supporting_info: answers.observations,
        note: read.note.iter().filter_map(|note| phi(&note.text)).collect(),
        parent,
        ..lab::ServiceRequest::default()
    }
}
