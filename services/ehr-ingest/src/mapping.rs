//! A message as canonical events: a pure function of its bytes and its feed.
//!
//! [`v2`] maps HL7 v2 messages, [`fhir`] FHIR R4 bodies. What the listener accepted can be mapped: the errors of content are found before the write.

pub mod fhir;
pub mod v2;

use waybill_contracts::{
    EventId, PatientKey, ReasonCode, Record,
    billing::ChargeEvent,
    body::FHIR_JSON,
    clinical::{AppointmentEvent, EncounterEvent, PatientEvent},
    inbound::InboundMessage,
    lab::{LabOrder, LabResult},
};

use crate::feed::Feed;

/// Raised whenever the same bytes become other events; part of each feed's profile.
pub const MAPPING_VERSION: u32 = 2;

/// Events of a message, or why there are none.
#[derive(Clone, Debug)]
pub enum Mapped {
    /// At least one event.
    Events(Vec<Event>),
    /// The message ends here, for this reason.
    NoDestination(ReasonCode),
}

/// One event with its identity.
#[derive(Clone, Debug)]
pub struct Event {
    /// Id, the same whenever the message is mapped again.
    pub id: EventId,
    /// Key of its patient.
    pub key: PatientKey,
    /// What happened.
    pub payload: Payload,
}

/// What happened, by topic.
#[derive(Clone, Debug)]
pub enum Payload {
    /// `clinical.patient.v1`
    Patient(PatientEvent),
    /// `clinical.encounter.v1`
    Encounter(EncounterEvent),
    /// `clinical.appointment.v1`
    Appointment(AppointmentEvent),
    /// `lab.order.v1`
    Order(LabOrder),
    /// `lab.result.v1`
    Result(LabResult),
    /// `billing.charge.v1`
    Charge(ChargeEvent),
}

impl Payload {
    /// Topic without namespace.
    pub const fn topic(&self) -> &'static str {
        match self {
            Self::Patient(_) => PatientEvent::TOPIC,
            Self::Encounter(_) => EncounterEvent::TOPIC,
            Self::Appointment(_) => AppointmentEvent::TOPIC,
            Self::Order(_) => LabOrder::TOPIC,
            Self::Result(_) => LabResult::TOPIC,
            Self::Charge(_) => ChargeEvent::TOPIC,
        }
    }
}

/// Why a stored message cannot be mapped: the rules have become stricter since it was accepted. Class `data`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Unmappable {
    /// Reason code.
    pub reason: ReasonCode,
    /// What is wrong and where, without content.
    pub detail: String,
}

/// The events of an accepted message; `bytes` are those of its body.
///
/// # Errors
/// When the content does not allow it any more.
pub fn map(inbound: &InboundMessage, bytes: &[u8], feed: &Feed) -> Result<Mapped, Unmappable> {
    if inbound.body.content_type == FHIR_JSON {
        return fhir::map(inbound, bytes, feed);
    }
    v2::map(inbound, bytes, feed).map_err(|refusal| Unmappable {
        reason: refusal.reason,
        detail: format!("{} at {}", refusal.text, refusal.location),
    })
}
