//! `clinical.*`: what happened to a patient.

mod appointment;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::{
    Phi, Timestamp,
    avro::record_of,
    fhir::{
        Address, CodeableConcept, Coding, ContactPoint, HumanName, Identifier, Patient, Period, Practitioner,
        record,
    },
    ids::MessageId,
    lab::Observation,
    symbol,
};

pub use appointment::{Appointment, AppointmentEvent};

type Text = Option<SmolStr>;
type PhiText = Option<Phi<SmolStr>>;

/// Where an event came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventSource {
    /// Inbound message id, also the trace id.
    pub message_id: MessageId,
    /// Feed by which the message came in.
    pub feed: SmolStr,
    /// MSH-9 as code^trigger^structure, or the FHIR resource type.
    #[serde(default)]
    pub message_type: Text,
    /// MSH-10, or Bundle.identifier.
    #[serde(default)]
    pub control_id: Text,
    /// MSH-3 namespace id.
    #[serde(default)]
    pub sending_application: Text,
    /// MSH-4 namespace id.
    #[serde(default)]
    pub sending_facility: Text,
    /// When it happened, FHIR dateTime (EVN-6, EVN-2 or MSH-7).
    #[serde(default)]
    pub occurred_at: PhiText,
    /// When the sender made the message (MSH-7).
    #[serde(default)]
    pub sent_at: Option<Timestamp>,
    /// When the message came in.
    pub received_at: Timestamp,
    /// Feed profile and content hash that mapped it.
    #[serde(default)]
    pub profile: Text,
}

/// A patient's demographics as of an event (`clinical.patient.v1`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PatientEvent {
    /// Where it came from.
    pub source: EventSource,
    /// The patient.
    pub patient: Patient,
    /// Identifiers that stand for others from now on: merges, moves and changes of number.
    #[serde(default)]
    pub alias: Vec<Alias>,
    /// Coverages in order (IN1): they change without a visit, too (A28, A31).
    #[serde(default)]
    pub coverage: Vec<Coverage>,
    /// Guarantors (GT1).
    #[serde(default)]
    pub guarantor: Vec<Guarantor>,
}
record_of!(PatientEvent, "clinical.patient.v1");

/// An encounter as of an event (`clinical.encounter.v1`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncounterEvent {
    /// Where it came from.
    pub source: EventSource,
    /// The patient.
    pub patient: Patient,
    /// The encounter.
    pub encounter: Encounter,
    /// Coverages in order (IN1).
    #[serde(default)]
    pub coverage: Vec<Coverage>,
    /// Guarantors (GT1).
    #[serde(default)]
    pub guarantor: Vec<Guarantor>,
    /// What happened.
    #[serde(default, deserialize_with = "symbol::or_default")]
    pub change: EncounterChange,
    /// Observations of the visit (OBX in ADT).
    #[serde(default)]
    pub observation: Vec<Observation>,
}
record_of!(EncounterEvent, "clinical.encounter.v1");

/// What happened to an encounter: the kind of event that consumers fold into its state (HL7 v2.9.1 §3.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum EncounterChange {
    /// Written by a version that knows more than this one.
    #[default]
    Unknown,
    /// A01.
    Admit,
    /// A04.
    Register,
    /// A05.
    PreAdmit,
    /// A02.
    Transfer,
    /// A06.
    ToInpatient,
    /// A07.
    ToOutpatient,
    /// A03.
    Discharge,
    /// A08: says nothing about the status.
    Update,
    /// A11: there was no admission or registration.
    CancelAdmit,
    /// A12: there was no transfer.
    CancelTransfer,
    /// A13: there was no discharge.
    CancelDischarge,
    /// A38: there is no pre-admission.
    CancelPreAdmit,
    /// The visit or its account got another number or patient (A41 to A50).
    Merge,
    /// The whole encounter as its source has it now (FHIR).
    Snapshot,
}

/// What an [`Alias`] is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AliasLevel {
    /// Written by a version that knows more than this one.
    #[default]
    Unknown,
    /// PID-3.
    Patient,
    /// PID-18.
    Account,
    /// PV1-19.
    Visit,
}

/// One identifier that stands for another from now on (MRG).
///
/// In a move (A44, A45) the number stays: `from` and `to` are then the same, and what changes is whose it is, the
/// account's patient or the visit's account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alias {
    /// Patient, account or visit.
    #[serde(deserialize_with = "symbol::or_default")]
    pub level: AliasLevel,
    /// The identifier that is no longer used.
    pub from: Identifier,
    /// The identifier that survives.
    pub to: Identifier,
}

record! {
    /// FHIR R4 Encounter.
    Encounter {
        /// Visit numbers (PV1-19, PV1-50); never made from MSH-10.
        identifier: Vec<Identifier>,
        /// Account number (PID-18).
        account: Option<Identifier>,
        /// planned | arrived | triaged | in-progress | onleave | finished | cancelled | entered-in-error | unknown.
        status: SmolStr,
        /// v3-ActCode class, from table 0004 (PV1-2).
        class: Option<Coding>,
        /// Admission type (PV1-4).
        r#type: Vec<CodeableConcept>,
        /// Hospital service (PV1-10).
        service_type: Option<CodeableConcept>,
        /// Admission to discharge (PV1-44, PV1-45).
        period: Option<Period>,
        /// Where (PV1-3, PV1-6, PV1-11).
        location: Vec<EncounterLocation>,
        /// Who (PV1-7, 8, 9, 17).
        participant: Vec<Practitioner>,
        /// Diagnoses (DG1).
        diagnosis: Vec<EncounterDiagnosis>,
        /// Procedures (PR1).
        procedure: Vec<EncounterProcedure>,
        /// PV1-14.
        admit_source: Option<CodeableConcept>,
        /// PV1-36.
        discharge_disposition: Option<CodeableConcept>,
        /// PV1-20.
        financial_class: Text,
        /// Admit reason (PV2-3).
        reason_code: Option<Phi<CodeableConcept>>,
        /// Urgency of the visit (PV2-25; FHIR Encounter.priority).
        priority: Option<CodeableConcept>,
        /// Number before the visit had one (PV1-5).
        pre_admit_number: Option<Identifier>,
        /// PV1-13.
        re_admission: Text,
    }
}

record! {
    /// Encounter.location, the place spelled out (PL).
    EncounterLocation {
        /// planned | active | reserved | completed.
        status: Text,
        /// Ward or unit (PL.1).
        point_of_care: Text,
        /// Room (PL.2).
        room: Text,
        /// Bed (PL.3).
        bed: Text,
        /// Facility (PL.4).
        facility: Text,
        /// Building (PL.7).
        building: Text,
        /// Floor (PL.8).
        floor: Text,
        /// When.
        period: Option<Period>,
    }
}

record! {
    /// Encounter.diagnosis with the condition's code (DG1).
    EncounterDiagnosis {
        /// DG1-15 or the order sent, from 1.
        rank: Option<i32>,
        /// Diagnosis (DG1-3).
        code: Phi<CodeableConcept>,
        /// Table 0052: A admitting, W working, F final.
        r#use: Text,
        /// DG1-5.
        recorded_date: PhiText,
        /// DG1-26: Y N U W.
        present_on_admission: Text,
        /// DG1-21, table 0206: A add, D delete, U update.
        action_code: Text,
    }
}

record! {
    /// A procedure of the encounter (PR1).
    EncounterProcedure {
        /// Procedure (PR1-3).
        code: Phi<CodeableConcept>,
        /// Modifiers (PR1-16).
        modifier: Vec<SmolStr>,
        /// PR1-5.
        performed_date_time: PhiText,
        /// Performers (PR1-8, 11, 12).
        performer: Vec<Practitioner>,
    }
}

record! {
    /// FHIR R4 Coverage with its payer (IN1).
    Coverage {
        /// Coordination of benefits order (IN1-22, else IN1-1).
        order: Option<i32>,
        /// Plan (IN1-2).
        plan_id: Option<CodeableConcept>,
        /// Payer identifier (IN1-3).
        payer_id: Text,
        /// Payer name (IN1-4).
        payer_name: Text,
        /// Group number (IN1-8).
        group: PhiText,
        /// Policy number (IN1-36).
        subscriber_id: PhiText,
        /// Member id (IN1-49).
        member_id: PhiText,
        /// Patient's relationship to the subscriber: FHIR subscriber-relationship, else the code as sent (IN1-17, IN2-72).
        relationship: Text,
        /// Subscriber (IN1-16).
        subscriber_name: Option<HumanName>,
        /// IN1-18.
        subscriber_birth_date: PhiText,
        /// Plan dates (IN1-12, IN1-13).
        period: Option<Period>,
        /// Identifiers of the coverage itself (FHIR Coverage.identifier).
        identifier: Vec<Identifier>,
        /// active | cancelled | draft | entered-in-error.
        status: Text,
        /// Plan type (IN1-15).
        r#type: Option<CodeableConcept>,
        /// Group name (IN1-9).
        group_name: PhiText,
        /// Payer address (IN1-5).
        payer_address: Option<Address>,
        /// Payer telephone (IN1-7).
        payer_telecom: Vec<ContactPoint>,
        /// male | female | other | unknown (IN1-43).
        subscriber_gender: Text,
        /// IN1-19.
        subscriber_address: Option<Address>,
        /// Prior authorization number (IN1-14.1).
        authorization: PhiText,
        /// IN1-20.
        assignment_of_benefits: Text,
        /// IN1-27.
        release_of_information: Text,
    }
}

record! {
    /// Who pays what the coverages do not (GT1).
    Guarantor {
        /// GT1-2.
        identifier: Vec<Identifier>,
        /// GT1-3.
        name: Vec<HumanName>,
        /// GT1-5.
        address: Vec<Address>,
        /// GT1-6.
        telecom: Vec<ContactPoint>,
        /// GT1-11.
        relationship: Text,
    }
}
