//! What encounters and patients are known by.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use waybill_contracts::{
    Phi,
    clinical::{EncounterEvent, EventSource},
    fhir::{Identifier, Patient},
};

/// An identifier as a name: its authority, and where that alone does not make it unique, the facility that sent it.
///
/// Neither type nor use are part of it: senders add them at will.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Name {
    /// Assigning authority.
    pub system: Option<SmolStr>,
    /// Sending facility; `None` where the authority is unique by itself.
    pub facility: Option<SmolStr>,
    /// The identifier.
    pub value: Phi<SmolStr>,
}

impl Name {
    /// A patient's or an account's: the authority names it; without one it is the sending facility's own.
    pub fn of_person(identifier: &Identifier, source: &EventSource) -> Option<Self> {
        Self::new(identifier, source, |system| system.is_some())
    }

    /// A visit's: unique within authority and facility (healthcare.md §1.5), for a namespace such as `VN` is often used
    /// by every hospital of a group. A URI or an OID needs no facility beside it.
    pub fn of_visit(identifier: &Identifier, source: &EventSource) -> Option<Self> {
        Self::new(identifier, source, |system| system.is_some_and(is_unique))
    }

    fn new(
        identifier: &Identifier,
        source: &EventSource,
        is_enough: impl Fn(Option<&str>) -> bool,
    ) -> Option<Self> {
        let value = identifier.value.expose().trim();
        if value.is_empty() {
            return None;
        }
        let system = identifier.system.as_deref().map(str::trim).filter(|system| !system.is_empty());
        let facility = source.sending_facility.clone().filter(|_| !is_enough(system));
        Some(Self { system: system.map(SmolStr::from), facility, value: Phi::from(value) })
    }

    /// The patient's own: the medical record number before other numbers, never simply the first repetition (PID-3),
    /// which may be an account or an insurance number.
    pub fn of_patient(patient: &Patient, source: &EventSource) -> Option<Self> {
        let of_type = |kind: &str| {
            patient.identifier.iter().find(move |identifier| identifier.r#type.as_deref() == Some(kind))
        };
        let chosen = ["MR", "MRN", "PI"].into_iter().find_map(of_type);
        let others = || {
            patient
                .identifier
                .iter()
                .filter(|identifier| !matches!(identifier.r#type.as_deref(), Some("AN" | "VN" | "SS")))
        };
        chosen
            .or_else(|| others().find(|identifier| identifier.system.is_some()))
            .or_else(|| others().next())
            .and_then(|identifier| Self::of_person(identifier, source))
    }
}

/// A URI, or an OID in digits and dots.
fn is_unique(system: &str) -> bool {
    system.contains(':')
        || (system.contains('.') && system.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'))
}

/// Whether visit numbers are unique by themselves, or only within an account (HL7 v2.9.1 §3.6.2.1.1 says the latter;
/// most systems do the former).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Keying {
    /// By the visit number alone.
    #[default]
    Visit,
    /// By account number and visit number.
    VisitInAccount,
}

/// What an encounter is known by: never anything of the message that told of it, such as MSH-10.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EncounterKey {
    /// Visit number: PV1-19, else PV1-50, else the preadmit number PV1-5.
    pub visit: Name,
    /// Account number, where visits are only unique within one.
    pub account: Option<Name>,
}

impl EncounterKey {
    /// The key of an event's encounter.
    ///
    /// # Errors
    /// When the event has no visit number: there is nothing that a later event could be joined by.
    pub fn of(event: &EncounterEvent, keying: Keying) -> Result<Self, NotFolded> {
        let encounter = &event.encounter;
        let visit = encounter
            .identifier
            .iter()
            .find_map(|number| Name::of_visit(number, &event.source))
            .or_else(|| preadmit(event))
            .ok_or(NotFolded::NoVisitNumber)?;
        let account = match keying {
            Keying::Visit => None,
            Keying::VisitInAccount => {
                encounter.account.as_ref().and_then(|account| Name::of_person(account, &event.source))
            }
        };
        Ok(Self { visit, account })
    }
}

/// The number that the visit had before it had one.
pub(crate) fn preadmit(event: &EncounterEvent) -> Option<Name> {
    event.encounter.pre_admit_number.as_ref().and_then(|number| Name::of_visit(number, &event.source))
}

/// Why an event is not folded; it is complete in itself and goes to its consumers all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotFolded {
    /// An encounter without a visit number.
    #[error("the encounter has no visit number")]
    NoVisitNumber,
    /// A patient without an identifier.
    #[error("the patient has no identifier")]
    NoPatientIdentifier,
}
