//! Patient.

use waybill_contracts::{
    Phi,
    clinical::{Alias, AliasLevel, PatientEvent},
    fhir,
};
use waybill_fhir::{
    resources::{Link, Patient},
    types::Extension,
};

use super::{
    content::{Content, Found},
    coverage,
    datatypes::{
        addresses, concept, concepts, date_time, identifier, identifiers, name, names, opt_concept, telecoms,
        text,
    },
};
use crate::mapping::{Event, Payload};

const RACE: &str = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race";
const ETHNICITY: &str = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-ethnicity";

/// `clinical.patient` of a Patient.
pub(super) fn event(content: &Content<'_, '_>, at: usize) -> Option<Event> {
    let (who, mut patient) = content.patient_at(at)?;
    // Resources that come alone know him by nothing else.
    let known_as = content.logical_id(at).filter(|known| !patient.identifier.contains(known));
    patient.identifier.extend(known_as);
    let event = PatientEvent {
        source: content.source(at),
        alias: aliases(&patient),
        patient,
        coverage: coverage::of_patient(content, &who),
        guarantor: Vec::new(),
    };
    Some(content.event(at, &who, Payload::Patient(event)))
}

/// A Patient resource as events carry it.
pub(super) fn patient(content: &Content<'_, '_>, found: Found<'_>) -> Option<fhir::Patient> {
    let read: Patient<'_> = waybill_fhir::json::read(found.raw, "Patient").ok()?;
    let communication = read.communication.iter().filter_map(|spoken| opt_concept(spoken.language.as_ref()));
    Some(fhir::Patient {
        identifier: identifiers(&read.identifier),
        active: read.active.unwrap_or(true),
        name: names(&read.name),
        telecom: telecoms(&read.telecom),
        gender: text(&read.gender),
        birth_date: read.birth_date.as_ref().map(|date| Phi::from(date.as_str())),
        deceased_date_time: date_time(read.deceased_date_time.as_ref()),
        deceased_boolean: read.deceased_boolean,
        address: addresses(&read.address),
        marital_status: opt_concept(read.marital_status.as_ref()).map(Phi::new),
        communication: communication.collect(),
        race: categories(&read.extension, RACE),
        ethnicity: categories(&read.extension, ETHNICITY),
        multiple_birth_boolean: read.multiple_birth_boolean,
        multiple_birth_integer: read.multiple_birth_integer,
        contact: read
            .contact
            .iter()
            .map(|contact| fhir::PatientContact {
                relationship: concepts(&contact.relationship),
                name: contact.name.as_ref().map(name).into_iter().collect(),
                telecom: telecoms(&contact.telecom),
                address: contact.address.as_ref().map(super::datatypes::address).into_iter().collect(),
                gender: text(&contact.gender),
            })
            .collect(),
        link: read.link.iter().filter_map(|link| linked(content, found.from, link)).collect(),
    })
}

fn linked(content: &Content<'_, '_>, from: usize, link: &Link<'_>) -> Option<fhir::PatientLink> {
    let other = link.other.as_ref()?;
    let resource: Option<Patient<'_>> = content.read(from, Some(other));
    let mut named = resource.map(|patient| identifiers(&patient.identifier)).unwrap_or_default();
    if named.is_empty() {
        named.extend(other.identifier.as_ref().and_then(identifier));
    }
    if named.is_empty() {
        named.extend(
            content
                .patient_of(from, Some(other))
                .map(|(who, _)| who.patient().identifier)
                .unwrap_or_default(),
        );
    }
    (!named.is_empty())
        .then(|| fhir::PatientLink { r#type: text(&link.r#type).unwrap_or_default(), other: named })
}

/// A merge: identifiers of the record that is replaced stand for the first one of the survivor.
fn aliases(patient: &fhir::Patient) -> Vec<Alias> {
    let mut aliases = Vec::new();
    for link in &patient.link {
        let (from, to) = match link.r#type.as_str() {
            "replaced-by" => (&patient.identifier, &link.other),
            "replaces" => (&link.other, &patient.identifier),
            _ => continue,
        };
        for from in from {
            // Of the same type where there is one: a merge joins like with like.
            let to = to
                .iter()
                .find(|to| to.r#type == from.r#type && to.system == from.system)
                .or_else(|| to.first());
            aliases.extend(to.map(|to| Alias {
                level: AliasLevel::Patient,
                from: from.clone(),
                to: to.clone(),
            }));
        }
    }
    aliases
}

/// Race and ethnicity as US Core has them: categories and details as codings, and a text.
fn categories(extensions: &[Extension<'_>], url: &str) -> Vec<Phi<fhir::CodeableConcept>> {
    let read = |extension: &Extension<'_>| {
        let parts = &extension.extension;
        let spelled = parts.iter().find(|part| part.url.as_deref() == Some("text"));
        let mut found = fhir::CodeableConcept {
            coding: parts
                .iter()
                .filter_map(|part| part.value_coding.as_ref())
                .map(super::datatypes::coding)
                .collect(),
            text: spelled.and_then(|part| text(&part.value_string)),
        };
        if let Some(whole) = &extension.value_codeable_concept {
            found = concept(whole);
        }
        (found != fhir::CodeableConcept::default()).then(|| Phi::new(found))
    };
    extensions.iter().filter(|extension| extension.url.as_deref() == Some(url)).filter_map(read).collect()
}
