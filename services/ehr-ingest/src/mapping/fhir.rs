//! FHIR R4 bodies as canonical events.
//!
//! | resource | event |
//! |---|---|
//! | Patient | `clinical.patient` |
//! | Encounter | `clinical.encounter` (a snapshot), with its conditions, procedures, participants, places, account, coverages, and the observations that are in no report |
//! | DiagnosticReport | `lab.result`, with its observations, their components and members; the original is its part of the body |
//! | Observation of category `laboratory`, in no report, observation or encounter of the body | `lab.result` |
//! | ServiceRequest | `lab.order` |
//! | Appointment with a patient | `clinical.appointment` |
//! | ChargeItem, Claim | `billing.charge` |
//!
//! Every other resource only helps these. A body without any of them ends with NRM-0001. What is about a group, a device or
//! a place instead of a patient becomes no event.
//!
//! The rules are those of the door (`plan`): a transaction, message or collection with one bad entry is none; of a batch
//! the good entries become events, the bad ones stand in `inbound.rejected`, each with its place in the batch. So the
//! manifest of a batch names exactly the events of its good entries, and its `batchId` finds the rest.

mod appointment;
mod charge;
mod content;
mod coverage;
mod datatypes;
mod encounter;
mod identity;
mod observation;
mod order;
mod patient;
mod people;
pub(crate) mod plan;
mod report;

use waybill_contracts::{inbound::InboundMessage, reason};
use waybill_fhir::{
    Bundle, Issue, IssueCode, Kind, bundle,
    resources::{
        Appointment, ChargeItem, Claim, DiagnosticReport, Encounter, Observation, Patient, Resource,
        ServiceRequest,
    },
};

use self::{content::Content, plan::reason_of};
use super::{Mapped, Unmappable};
use crate::feed::Feed;

/// The events of an accepted body.
///
/// # Errors
/// When the rules have become stricter since it was accepted, or the events would be many times as large as the body.
pub fn map(inbound: &InboundMessage, bytes: &[u8], feed: &Feed) -> Result<Mapped, Unmappable> {
    // The feed's profile says what the sender calls what; what goes with a result stays as it came.
    let rewritten = feed.rewrite_fhir(bytes);
    let plan = plan::plan(rewritten.as_deref().unwrap_or(bytes), feed).map_err(|issue| unmappable(&issue))?;
    let received = rewritten.as_ref().and_then(|_| Bundle::read(bundle::text_of(bytes).ok()?.0).ok());
    let refused = plan.issues.iter().flatten().next();
    if let (Some(issue), true) = (refused, plan.bundle.kind != Kind::Batch) {
        return Err(unmappable(issue));
    }
    let mut content = Content::new(&plan, inbound, bytes.len(), feed);
    content.received = received.as_ref();
    let mut events = Vec::new();
    for at in content.good() {
        let Some(found) = content.at(at) else { break };
        events.extend(match found.resource_type {
            Patient::TYPE => patient::event(&content, at),
            Encounter::TYPE => encounter::event(&content, at),
            DiagnosticReport::TYPE => report::event(&content, at),
            Observation::TYPE => report::of_observation(&content, at),
            ServiceRequest::TYPE => order::event(&content, at),
            Appointment::TYPE => appointment::event(&content, at),
            ChargeItem::TYPE => charge::of_charge_item(&content, at),
            Claim::TYPE => charge::of_claim(&content, at),
            _ => None,
        });
        if content.is_exhausted() {
            break;
        }
    }
    if content.is_exhausted() {
        return Err(unmappable(&Issue::general(
            IssueCode::TooCostly,
            "the resources refer to each other too often",
        )));
    }
    if events.is_empty() {
        return Ok(Mapped::NoDestination(reason::EVENT_NOT_MAPPED));
    }
    Ok(Mapped::Events(events))
}

fn unmappable(issue: &Issue) -> Unmappable {
    let place = issue.expression.as_deref().unwrap_or("the body");
    Unmappable { reason: reason_of(issue), detail: format!("{} at {place}", issue.diagnostics) }
}
