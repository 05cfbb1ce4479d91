//! Orders.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{Observation, Specimen};
use crate::{
    Phi,
    avro::record_of,
    clinical::{Coverage, EncounterDiagnosis, EventSource, Guarantor},
    fhir::{CodeableConcept, Identifier, Patient, Period, Practitioner, record},
};

type Text = Option<SmolStr>;
type PhiText = Option<Phi<SmolStr>>;

/// The orders placed together for one patient (`lab.order.v1`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabOrder {
    /// Where it came from.
    pub source: EventSource,
    /// The patient.
    pub patient: Patient,
    /// Visit number (PV1-19).
    #[serde(default)]
    pub visit: Option<Identifier>,
    /// Account number (PID-18).
    #[serde(default)]
    pub account: Option<Identifier>,
    /// Orders in the order sent.
    #[serde(default)]
    pub order: Vec<ServiceRequest>,
    /// Coverages in order (IN1).
    #[serde(default)]
    pub coverage: Vec<Coverage>,
    /// Guarantors (GT1).
    #[serde(default)]
    pub guarantor: Vec<Guarantor>,
}
record_of!(LabOrder, "lab.order.v1");

record! {
    /// FHIR R4 ServiceRequest (ORC, OBR).
    ServiceRequest {
        /// ORC-2, else OBR-2.
        placer_order_number: Option<Identifier>,
        /// ORC-3, else OBR-3.
        filler_order_number: Option<Identifier>,
        /// ORC-4.
        placer_group_number: Option<Identifier>,
        /// ORC-1, table 0119: NW, CA, XO, OC, SC …
        order_control: Text,
        /// draft | active | on-hold | revoked | completed | entered-in-error | unknown.
        status: SmolStr,
        /// ORC-5 as sent.
        status_code: Text,
        /// routine | urgent | asap | stat (ORC-7.6, OBR-27.6, OBR-5).
        priority: Text,
        /// OBR-4.
        code: CodeableConcept,
        /// OBR-24.
        category: Vec<SmolStr>,
        /// ORC-9.
        authored_on: PhiText,
        /// OBR-6, ORC-7.4 and ORC-7.5, OBR-27.4.
        occurrence: Option<Period>,
        /// OBR-7.
        collected: PhiText,
        /// ORC-12, else OBR-16.
        requester: Vec<Practitioner>,
        /// Copies to and others: OBR-28, ORC-11 …
        performer: Vec<Practitioner>,
        /// OBR-31, ORC-16.
        reason_code: Vec<Phi<CodeableConcept>>,
        /// DG1 of the order.
        diagnosis: Vec<EncounterDiagnosis>,
        /// SPM, OBR-15.
        specimen: Vec<Specimen>,
        /// OBX of the order: answers to questions at order entry.
        supporting_info: Vec<Observation>,
        /// NTE-3 of the order.
        note: Vec<Phi<SmolStr>>,
        /// ORC-8, OBR-29: the order this one follows.
        parent: Option<Identifier>,
    }
}
