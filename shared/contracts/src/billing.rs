//! `billing.*`: what is to be charged.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::{
    Phi,
    avro::record_of,
    clinical::{
        Coverage, Encounter, EncounterDiagnosis, EncounterLocation, EncounterProcedure, EventSource,
        Guarantor,
    },
    fhir::{CodeableConcept, Identifier, Money, Patient, Period, Practitioner, record},
    lab::Quantity,
};

type Text = Option<SmolStr>;
type PhiText = Option<Phi<SmolStr>>;

/// Charges, credits and adjustments posted together for one patient (`billing.charge.v1`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChargeEvent {
    /// Where it came from.
    pub source: EventSource,
    /// The patient.
    pub patient: Patient,
    /// The encounter they belong to: PV1, or what the Claim says of it.
    #[serde(default)]
    pub encounter: Option<Encounter>,
    /// Lines in the order sent.
    #[serde(default)]
    pub charge: Vec<ChargeItem>,
    /// Diagnoses of the encounter or claim (DG1).
    #[serde(default)]
    pub diagnosis: Vec<EncounterDiagnosis>,
    /// Procedures (PR1).
    #[serde(default)]
    pub procedure: Vec<EncounterProcedure>,
    /// Coverages in order (IN1).
    #[serde(default)]
    pub coverage: Vec<Coverage>,
    /// Guarantors (GT1).
    #[serde(default)]
    pub guarantor: Vec<Guarantor>,
    /// Identifier of the FHIR Claim that the lines are of.
    #[serde(default)]
    pub claim: Option<Identifier>,
    /// Total as the sender states it.
    #[serde(default)]
    pub total: Option<Money>,
}
record_of!(ChargeEvent, "billing.charge.v1");

record! {
    /// FHIR R4 ChargeItem, or an item of a Claim (FT1).
    ChargeItem {
        /// FT1-2 transaction id, FT1-3 batch id (type BATCH); ChargeItem.identifier.
        identifier: Vec<Identifier>,
        /// charge | credit | payment | adjustment | unknown, from table 0017.
        r#type: SmolStr,
        /// FT1-6 as sent: CG, CD, CR, PY, AJ, CO.
        type_code: Text,
        /// planned | billable | billed | not-billable | aborted | entered-in-error | unknown (FHIR).
        status: Text,
        /// FT1-4.
        occurrence: Option<Period>,
        /// FT1-5.
        posted: PhiText,
        /// Transaction code (FT1-7).
        code: Phi<CodeableConcept>,
        /// FT1-8, FT1-9.
        description: PhiText,
        /// FT1-10.
        quantity: Option<Quantity>,
        /// Extended amount (FT1-11).
        amount: Option<Money>,
        /// FT1-12, else FT1-22.
        unit_price: Option<Money>,
        /// FT1-13.
        department: Option<CodeableConcept>,
        /// FT1-14.
        insurance_plan: Option<CodeableConcept>,
        /// FT1-16.
        location: Option<EncounterLocation>,
        /// FT1-17.
        fee_schedule: Text,
        /// FT1-18.
        patient_type: Text,
        /// FT1-19, in order; ranks are what pointers point to.
        diagnosis: Vec<EncounterDiagnosis>,
        /// Ranks among the event's diagnoses that this line names (Claim.item.diagnosisSequence).
        diagnosis_pointer: Vec<i32>,
        /// FT1-20 performer, FT1-21 orderer, FT1-24 enterer.
        performer: Vec<Practitioner>,
        /// FT1-23.
        filler_order_number: Option<Identifier>,
        /// ORC-2, or FT1-31's order.
        placer_order_number: Option<Identifier>,
        /// Procedure code (FT1-25).
        procedure: Option<Phi<CodeableConcept>>,
        /// FT1-26.
        modifier: Vec<SmolStr>,
        /// NUBC revenue code, where sent.
        revenue_code: Text,
        /// NDC or device (FT1-29, FHIR productCodeableConcept).
        product_code: Option<CodeableConcept>,
        /// Place of service (Claim.item.locationCodeableConcept).
        place_of_service: Option<CodeableConcept>,
    }
}
