//! A generated message and what is known about it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Which system sends a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Feed {
    /// The hospital's patient administration: MSH-3 `EHR`, MSH-4 `GENHOSP`.
    Ehr,
    /// The laboratory: MSH-3 `LIS`, MSH-4 `GENLAB`.
    Lis,
    /// The clinic's newer system, which sends FHIR bundles over HTTP.
    Fhir,
}

impl Feed {
    /// Sending application and facility (MSH-3, MSH-4).
    pub fn sender(self) -> (&'static str, &'static str) {
        match self {
            Self::Ehr => ("EHR", "GENHOSP"),
            Self::Lis => ("LIS", "GENLAB"),
            Self::Fhir => ("FHIR", "GENHOSP"),
        }
    }
}

/// Whether the hub should take a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExpectedAck {
    /// Accepted: AA, or CA in enhanced mode.
    AA,
    /// Refused for its content: AE, or AR where the receiver counts it as a structural fault.
    AE,
}

/// What sort of message it is, from the hub's point of view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Patient administration: ADT A01–A08, A11–A13, A28, A31, A38, A40, A45.
    Adt,
    /// Scheduling: SIU S12, S13, S15, S26.
    Appointment,
    /// An order: ORM O01, OML O21.
    Order,
    /// Charges and credits: DFT P03.
    Charge,
    /// A laboratory result: ORU R01.
    Result,
    /// Well formed, but nothing is mapped from it: must be acknowledged and end as no-destination.
    NoDestination,
    /// Refused: MSH-10 is empty.
    MissingControlId,
    /// Refused: a message that needs a patient has no PID segment.
    MissingPatient,
    /// A FHIR transaction Bundle.
    Bundle,
    /// Refused: a Bundle that ends in the middle.
    BrokenBundle,
}

/// What should become of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expect {
    /// The acknowledgement.
    pub ack: ExpectedAck,
    /// The sort of message.
    pub kind: Kind,
}

/// One message and what is known about it.
#[derive(Debug, Clone)]
pub struct Generated {
    /// Who sends it.
    pub feed: Feed,
    /// MSH-10, empty when [`Kind::MissingControlId`]; of a Bundle its identifier.
    pub control_id: String,
    /// The message as it goes into a frame: segments ended by CR, in the character set MSH-18 declares (or not). Of a
    /// Bundle its JSON.
    pub bytes: Vec<u8>,
    /// What should become of it.
    pub expect: Expect,
    /// Every identifying value in it, as text: names, record, account, visit and policy numbers, birth dates,
    /// phones, streets, social security numbers. See [`crate::phi::occurrences`] for finding them.
    pub phi: Vec<String>,
    /// Message type and trigger, `ADT^A01`; or `Bundle`.
    pub message_type: String,
    /// PID-3.1 of the patient it is about (also when the PID segment was left out).
    pub mrn: String,
    /// Filler order number (OBR-3.1) of a result.
    pub filler_order: Option<String>,
    /// OBR-25 of a result: P, F or C.
    pub result_status: Option<&'static str>,
    /// A result with a value beyond a panic limit (OBX-8 HH or LL).
    pub critical: bool,
    /// The same bytes were generated before: a sender that lost its acknowledgement.
    pub repeat: bool,
    /// Of a Bundle: how many resources of each type it brings.
    pub resources: BTreeMap<&'static str, usize>,
}
