//! The door and the mapping of `ehr-ingest`, for one message.

use ehr_ingest::{
    accept::{self, Verdict, fhir},
    feed::Feed,
    mapping::{self, Payload},
};
use serde_json::Value;
use waybill_contracts::{
    Timestamp,
    inbound::{InboundMessage, InboundRejected},
};
use waybill_hl7v2::Index;

use crate::files::{Kind, Subject, resource_type};

/// What becomes of a message.
#[derive(Debug)]
pub(super) enum Outcome {
    Events(Vec<mapping::Event>),
    /// Accepted and stored; why nothing comes of it.
    NoDestination(String),
    Refused(Refusal),
}

/// An event as the topic has it, without what belongs to the moment of its reception and without the bytes of the file.
pub(super) struct Shown {
    pub(super) topic: &'static str,
    pub(super) key: String,
    pub(super) payload: Value,
}

/// Why a message would be refused, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// AE, AR …; HTTP status for FHIR.
    pub(super) answer: String,
    pub(super) reason: String,
    /// ERR-3 and ERR-2, or the expression of an OperationOutcome.
    pub(super) code: Option<i32>,
    pub(super) location: Option<String>,
}

/// A feed's door and mapping.
pub(super) struct Judge<'f> {
    feed: &'f Feed,
    at: Timestamp,
}

impl<'f> Judge<'f> {
    pub(super) fn new(feed: &'f Feed) -> Self {
        Self { feed, at: Timestamp::from_millis(0) }
    }

    pub(super) fn judge(&self, subject: &Subject) -> Outcome {
        match subject.kind {
            Kind::Hl7 => self.hl7(&subject.bytes),
            Kind::Fhir => self.fhir(&subject.bytes),
        }
    }

    pub(super) fn hl7(&self, bytes: &[u8]) -> Outcome {
        match accept::accept(self.feed, bytes, self.at, &mut Index::new()) {
            Verdict::Store { message, .. } => self.map(&message, bytes),
            Verdict::Refuse { rejected, .. } => Outcome::Refused(refusal(&rejected)),
            // A value that begins another message: it was split before this, so it can only be one that was tried.
            Verdict::Several => Outcome::NoDestination("several messages".to_owned()),
        }
    }

    pub(super) fn fhir(&self, json: &[u8]) -> Outcome {
        let kind = resource_type(json).unwrap_or_default();
        let interaction = match kind.as_str() {
            "" | "Bundle" => fhir::Interaction::Base,
            resource_type => fhir::Interaction::Create { resource_type },
        };
        let request = fhir::Request { interaction, request_id: None, if_match: None, body: json };
        match fhir::accept(self.feed, &request, self.at) {
            fhir::Verdict::Store { message, .. } => self.map(&message, json),
            fhir::Verdict::Refuse { rejected, response } => {
                let outcome: Value = serde_json::from_slice(&response.body).unwrap_or_default();
                let place = outcome["issue"][0]["expression"][0].as_str().map(str::to_owned);
                let refused = refusal(&rejected);
                let location = place.or(refused.location);
                Outcome::Refused(Refusal { answer: response.status.to_string(), location, ..refused })
            }
        }
    }

    fn map(&self, message: &InboundMessage, bytes: &[u8]) -> Outcome {
        match mapping::map(message, bytes, self.feed) {
            Ok(mapping::Mapped::Events(events)) => Outcome::Events(events),
            Ok(mapping::Mapped::NoDestination(reason)) => Outcome::NoDestination(reason.to_string()),
            // Accepted in enhanced mode, where the content is looked at after the answer.
            Err(error) => Outcome::Refused(Refusal {
                answer: message.ack_code.clone(),
                reason: error.reason.to_string(),
                code: None,
                location: Some(error.detail),
            }),
        }
    }
}

fn refusal(rejected: &InboundRejected) -> Refusal {
    Refusal {
        answer: rejected.ack_code.clone(),
        reason: rejected.reason_code.clone(),
        code: rejected.error_code,
        location: rejected.error_location.as_deref().map(str::to_owned),
    }
}

/// An event for people.
pub(super) fn shown(event: &mapping::Event) -> Shown {
    let payload = match &event.payload {
        Payload::Patient(patient) => serde_json::to_value(patient),
        Payload::Encounter(encounter) => serde_json::to_value(encounter),
        Payload::Appointment(appointment) => serde_json::to_value(appointment),
        Payload::Order(order) => serde_json::to_value(order),
        Payload::Result(result) => serde_json::to_value(result),
        Payload::Charge(charge) => serde_json::to_value(charge),
    };
    let mut payload = payload.unwrap_or_default();
    if let Some(source) = payload.get_mut("source").and_then(Value::as_object_mut) {
        source.remove("receivedAt");
        // The time of arrival, which there is none of here, stands in for a time of the sender's.
        if source.get("occurredAt").and_then(Value::as_str) == Some("1970-01-01T00:00:00Z") {
            source.remove("occurredAt");
        }
    }
    if let Some(original) = payload.get_mut("original").and_then(Value::as_object_mut) {
        original.remove("data");
    }
    let key = format!("{:032x}", u128::from_be_bytes(*event.key.as_bytes()));
    Shown { topic: event.payload.topic(), key, payload }
}

impl Outcome {
    /// Whether both say the same of a patient: all but what follows from the bytes as such, which are the message's id, the
    /// ids made from it, and the bytes themselves.
    pub(super) fn means_the_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::NoDestination(one), Self::NoDestination(other)) => one == other,
            (Self::Refused(one), Self::Refused(other)) => one == other,
            (Self::Events(one), Self::Events(other)) => {
                one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
            }
            _ => false,
        }
    }
}

fn same(one: &mapping::Event, other: &mapping::Event) -> bool {
    /// The events with the same source but for the message's id.
    macro_rules! equal {
        ($one:expr, $other:expr) => {{
            let (one, other) = ($one, $other);
            let mut like_one = other.clone();
            like_one.source.message_id = one.source.message_id;
            like_one == *one
        }};
    }
    one.key == other.key
        && match (&one.payload, &other.payload) {
            (Payload::Patient(one), Payload::Patient(other)) => equal!(one, other),
            (Payload::Encounter(one), Payload::Encounter(other)) => equal!(one, other),
            (Payload::Appointment(one), Payload::Appointment(other)) => equal!(one, other),
            (Payload::Order(one), Payload::Order(other)) => equal!(one, other),
            (Payload::Charge(one), Payload::Charge(other)) => equal!(one, other),
            (Payload::Result(one), Payload::Result(other)) => {
                let mut like_one = other.clone();
                like_one.source.message_id = one.source.message_id;
                like_one.original.clone_from(&one.original);
                like_one == *one
            }
            _ => false,
        }
}
