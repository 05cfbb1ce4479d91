//! Appointment.

use smol_str::{SmolStr, ToSmolStr};
use waybill_contracts::{Phi, clinical, clinical::AppointmentEvent};
use waybill_fhir::{Target, resources::Appointment, types::Reference};

use super::{
    content::Content,
    coverage,
    datatypes::{code, concepts, date_time, identifiers, opt_concept, phi, text},
    encounter, people,
};
use crate::mapping::{Event, Payload};

/// `clinical.appointment` of an Appointment with a patient.
pub(super) fn event(content: &Content<'_, '_>, at: usize) -> Option<Event> {
    let read: Appointment<'_> = content.at(at)?.read()?;
    let actors = || read.participant.iter().filter_map(|participant| participant.actor.as_ref());
    let (who, patient) = content.patient_of(at, content.plan.patient_among(at, actors()))?;
    let event = AppointmentEvent {
        source: content.source(at),
        patient,
        appointment: appointment(content, at, &read),
        visit: None,
        account: None,
        coverage: coverage::of_patient(content, &who),
        guarantor: Vec::new(),
        diagnosis: encounter::referred_diagnoses(content, at, &read.reason_reference),
    };
    Some(content.event(at, &who, Payload::Appointment(event)))
}

fn appointment(content: &Content<'_, '_>, at: usize, read: &Appointment<'_>) -> clinical::Appointment {
    let (mut people_found, mut places) = (Vec::new(), Vec::new());
    for participant in &read.participant {
        let Some(actor) = &participant.actor else { continue };
        match kind_of(content, at, actor).as_deref() {
            None | Some("Patient" | "RelatedPerson" | "Device" | "HealthcareService") => {}
            Some("Location") => places.extend(people::place(content, at, actor)),
            Some(_) => {
                let role = code(participant.r#type.first());
                let role = match role.as_deref() {
                    Some("ATND") => Some("attender"),
                    Some("REF") => Some("referrer"),
                    Some("CON") => Some("consultant"),
                    Some("ADM") => Some("admitter"),
                    None | Some("PPRF" | "SPRF" | "PRF") => Some("performer"),
                    other => other,
                };
                people_found.extend(people::practitioner(content, at, actor, role));
            }
        }
    }
    clinical::Appointment {
        identifier: identifiers(&read.identifier),
        status: text(&read.status).unwrap_or_default(),
        event_reason: opt_concept(read.cancelation_reason.as_ref()),
        reason_code: read.reason_code.first().and_then(|reason| opt_concept(Some(reason))).map(Phi::new),
        appointment_type: opt_concept(read.appointment_type.as_ref()),
        service_type: concepts(&read.service_type),
        specialty: read.specialty.first().and_then(|specialty| opt_concept(Some(specialty))),
        start: date_time(read.start.as_ref()),
        end: date_time(read.end.as_ref()),
        minutes_duration: read.minutes_duration,
        priority: read.priority.map(|priority| priority.to_smolstr()),
        created: date_time(read.created.as_ref()),
        comment: phi(&read.comment).or_else(|| phi(&read.description)),
        participant: people_found,
        location: places,
        ..clinical::Appointment::default()
    }
}

/// Type of what a participant's reference means.
fn kind_of(content: &Content<'_, '_>, at: usize, actor: &Reference<'_>) -> Option<SmolStr> {
    if let Some(found) = content.find(at, actor) {
        return Some(found.resource_type.into());
    }
    let literal = actor.reference.as_deref().map(Target::of).and_then(|target| target.resource_type());
    literal.or(actor.r#type.as_deref()).map(SmolStr::from)
}
