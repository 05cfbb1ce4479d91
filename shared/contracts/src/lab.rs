//! `lab.*`: results, and results on their way to a target.

mod order;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::{
    Body, Phi, Timestamp,
    avro::record_of,
    clinical::EventSource,
    fhir::{CodeableConcept, Identifier, Patient, Period, Practitioner, record},
    ids::{EventId, MessageId},
};

pub use order::{LabOrder, ServiceRequest};

type Text = Option<SmolStr>;
type PhiText = Option<Phi<SmolStr>>;

/// The results that were released together for one patient (`lab.result.v1`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabResult {
    /// Where it came from.
    pub source: EventSource,
    /// The patient.
    pub patient: Patient,
    /// Visit number (PV1-19).
    #[serde(default)]
    pub visit: Option<Identifier>,
    /// Reports in the order sent.
    #[serde(default)]
    pub report: Vec<DiagnosticReport>,
    /// An observation is flagged HH, LL or AA (table 0078).
    #[serde(default)]
    pub critical: bool,
    /// The message, or this patient's part of it, byte for byte.
    pub original: Body,
}
record_of!(LabResult, "lab.result.v1");

/// One result on its way to one target (`lab.delivery.<target>.v1`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LabDelivery {
    /// Inbound message id.
    pub message_id: MessageId,
    /// Event id of the `lab.result`.
    pub event_id: EventId,
    /// Feed it came by.
    pub feed: String,
    /// Target by the routing table; checked again at the send.
    pub target: String,
    /// MSH-10 of the outbound message, the same for every attempt.
    pub control_id: String,
    /// MSH-10 as received.
    #[serde(default)]
    pub source_control_id: Text,
    /// Content hash of the routing table.
    pub routing_version: String,
    /// Rule of the routing table that chose the target.
    pub rule: String,
    /// See [`LabResult::critical`].
    #[serde(default)]
    pub critical: bool,
    /// When it was routed.
    pub routed_at: Timestamp,
    /// What to send, with MSH-10 still the sender's.
    pub body: Body,
}

// The pattern of the catalogue; the topic of one target is `topics::lab_delivery`.
record_of!(
    LabDelivery,
    "lab.delivery.{target}.v1",
    in "lab.delivery.v1",
    fn expected_size(&self) -> usize {
        self.body.stored() + 512
    }
);

record! {
    /// FHIR R4 DiagnosticReport (OBR and its OBX).
    DiagnosticReport {
        /// ORC-2, else OBR-2.
        placer_order_number: Option<Identifier>,
        /// ORC-3, else OBR-3.
        filler_order_number: Option<Identifier>,
        /// registered | partial | preliminary | final | amended | corrected | cancelled | entered-in-error | unknown.
        status: SmolStr,
        /// OBR-25 as sent.
        status_code: Text,
        /// OBR-4.
        code: CodeableConcept,
        /// OBR-24.
        category: Vec<SmolStr>,
        /// OBR-7.
        effective_date_time: PhiText,
        /// OBR-22.
        issued: PhiText,
        /// OBR-29: the report this one belongs to.
        parent_filler_order_number: Option<Identifier>,
        /// OBR-32, OBX-16, OBR-16 with roles.
        performer: Vec<Practitioner>,
        /// Specimens.
        specimen: Vec<Specimen>,
        /// Observations.
        result: Vec<Observation>,
        /// NTE-3 after the OBR.
        note: Vec<Phi<SmolStr>>,
        /// Identifiers of the report itself (FHIR DiagnosticReport.identifier).
        identifier: Vec<Identifier>,
        /// FHIR DiagnosticReport.conclusion.
        conclusion: PhiText,
        /// The report as documents (FHIR).
        presented_form: Vec<Attachment>,
        /// OBR-31.
        reason_code: Vec<Phi<CodeableConcept>>,
        /// ORC-1 of the result.
        order_control: Text,
        /// routine | urgent | asap | stat (OBR-27.6, ORC-7.6, OBR-5).
        priority: Text,
    }
}

record! {
    /// FHIR R4 Observation (OBX). Exactly one `value…` or `data_absent_reason`.
    Observation {
        /// OBX-3: the sender's code and LOINC where known.
        code: CodeableConcept,
        /// OBX-4.
        sub_id: Text,
        /// registered | preliminary | final | amended | corrected | cancelled | entered-in-error | unknown.
        status: SmolStr,
        /// NM, or SN with comparator.
        value_quantity: Option<Quantity>,
        /// CE, CWE, CNE.
        value_codeable_concept: Option<CodeableConcept>,
        /// ST, TX, FT.
        // No SmolStr: a report grows in it line by line.
        value_string: Option<Phi<String>>,
        /// SN low - high, NR.
        value_range: Option<Range>,
        /// SN a : b.
        value_ratio: Option<Ratio>,
        /// TS, DTM, DT.
        value_date_time: PhiText,
        /// TM.
        value_time: Text,
        /// ED, RP.
        value_attachment: Option<Attachment>,
        /// DR.
        value_period: Option<Period>,
        /// unknown | not-asked | not-performed | error.
        data_absent_reason: Text,
        /// OBX-8, table 0078 codes.
        interpretation: Vec<SmolStr>,
        /// OBX-7 as sent.
        reference_range: Text,
        /// OBX-14, else OBR-7.
        effective_date_time: PhiText,
        /// OBX-17.
        method: Option<CodeableConcept>,
        /// NTE-3 after this OBX.
        note: Vec<Phi<SmolStr>>,
        /// OBX-21; FHIR Observation.identifier.
        identifier: Option<Identifier>,
        /// laboratory, vital-signs … (FHIR).
        category: Vec<SmolStr>,
        /// OBX-20.
        body_site: Option<CodeableConcept>,
        /// OBX-16, OBX-23 of this observation.
        performer: Vec<Practitioner>,
    }
}

record! {
    /// FHIR R4 Quantity; the value is decimal text so that its precision survives.
    Quantity {
        /// < | <= | >= | >.
        comparator: Text,
        /// Decimal number as sent.
        value: SmolStr,
        /// Unit as sent.
        unit: Text,
        /// `http://unitsofmeasure.org` for UCUM.
        system: Text,
        /// Unit code.
        code: Text,
    }
}

record! {
    /// FHIR R4 Range.
    Range {
        /// Low.
        low: Option<Quantity>,
        /// High.
        high: Option<Quantity>,
    }
}

record! {
    /// FHIR R4 Ratio.
    Ratio {
        /// Numerator.
        numerator: Quantity,
        /// Denominator.
        denominator: Quantity,
    }
}

record! {
    /// FHIR R4 Attachment: what it is; the bytes stay in the original.
    Attachment {
        /// MIME type or ED.3.
        content_type: Text,
        /// ED.2 or file name.
        title: PhiText,
        /// Bytes in the original.
        size: i64,
        /// Where it can be fetched: RP.1, Attachment.url.
        url: PhiText,
    }
}

record! {
    /// FHIR R4 Specimen (SPM, OBR-15).
    Specimen {
        /// SPM-2: the filler's number, else the placer's.
        identifier: Option<Identifier>,
        /// SPM-4, OBR-15.
        r#type: Option<CodeableConcept>,
        /// SPM-17, OBR-7.
        collected_date_time: PhiText,
        /// SPM-18, OBR-14.
        received_time: PhiText,
        /// SPM-2.1, where `identifier` is the filler's.
        placer_identifier: Option<Identifier>,
    }
}
