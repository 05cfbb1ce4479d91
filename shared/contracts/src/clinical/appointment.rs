//! Appointments.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{Coverage, EncounterDiagnosis, EncounterLocation, EventSource, Guarantor};
use crate::{
    Phi,
    avro::record_of,
    fhir::{CodeableConcept, Identifier, Patient, Practitioner, record},
};

type Text = Option<SmolStr>;
type PhiText = Option<Phi<SmolStr>>;

/// An appointment as of an event, with what an eligibility check needs (`clinical.appointment.v1`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppointmentEvent {
    /// Where it came from.
    pub source: EventSource,
    /// The patient.
    pub patient: Patient,
    /// The appointment.
    pub appointment: Appointment,
    /// Visit number (PV1-19).
    #[serde(default)]
    pub visit: Option<Identifier>,
    /// Account number (PID-18).
    #[serde(default)]
    pub account: Option<Identifier>,
    /// Coverages in order (IN1).
    #[serde(default)]
    pub coverage: Vec<Coverage>,
    /// Guarantors (GT1).
    #[serde(default)]
    pub guarantor: Vec<Guarantor>,
    /// Diagnoses (DG1).
    #[serde(default)]
    pub diagnosis: Vec<EncounterDiagnosis>,
}
record_of!(AppointmentEvent, "clinical.appointment.v1");

record! {
    /// FHIR R4 Appointment (SCH and its resources).
    Appointment {
        /// SCH-1 placer (type PLAC), SCH-2 filler (type FILL).
        identifier: Vec<Identifier>,
        /// proposed | pending | booked | arrived | fulfilled | cancelled | noshow | entered-in-error | checked-in | waitlist.
        status: SmolStr,
        /// SCH-25 as sent.
        status_code: Option<CodeableConcept>,
        /// SCH-6; of a cancellation its reason.
        event_reason: Option<CodeableConcept>,
        /// Appointment reason (SCH-7).
        reason_code: Option<Phi<CodeableConcept>>,
        /// SCH-8.
        appointment_type: Option<CodeableConcept>,
        /// AIS-3.
        service_type: Vec<CodeableConcept>,
        /// FHIR Appointment.specialty.
        specialty: Option<CodeableConcept>,
        /// AIS-4, else SCH-11.4.
        start: PhiText,
        /// SCH-11.5, else start and duration.
        end: PhiText,
        /// Minutes: SCH-9 with SCH-10, AIS-7 with AIS-8.
        minutes_duration: Option<i32>,
        /// FHIR Appointment.priority, SCH-11.6.
        priority: Text,
        /// FHIR Appointment.created.
        created: PhiText,
        /// NTE-3.
        comment: PhiText,
        /// AIP, SCH-12, SCH-16, SCH-20.
        participant: Vec<Practitioner>,
        /// AIL, AIG.
        location: Vec<EncounterLocation>,
        /// SCH-4.
        placer_group_number: Option<Identifier>,
        /// SCH-23, SCH-24: the appointment this one follows.
        parent: Option<Identifier>,
        /// SCH-3.
        occurrence: Option<i32>,
    }
}
