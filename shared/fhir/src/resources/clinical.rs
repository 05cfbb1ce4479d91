//! Encounters and what belongs to them.

use serde::Deserialize;

use super::{Resource, Rules};
use crate::{
    date::DateTime,
    json::List,
    types::{CodeableConcept, Coding, Identifier, OptText, Period, Reference, element},
};

element! {
    /// Encounter.
    Encounter {
        /// Identifiers.
        identifier: List<Identifier<'a>>,
        /// Status.
        status: OptText<'a>,
        /// Class.
        class: Option<Coding<'a>>,
        /// Types.
        r#type: List<CodeableConcept<'a>>,
        /// Service.
        service_type: Option<CodeableConcept<'a>>,
        /// Urgency.
        priority: Option<CodeableConcept<'a>>,
        /// Patient.
        subject: Option<Reference<'a>>,
        /// Who.
        participant: List<Participant<'a>>,
        /// When.
        period: Option<Period<'a>>,
        /// Reasons.
        reason_code: List<CodeableConcept<'a>>,
        /// Reasons as resources.
        reason_reference: List<Reference<'a>>,
        /// Diagnoses.
        diagnosis: List<Diagnosis<'a>>,
        /// Accounts.
        account: List<Reference<'a>>,
        /// Admission and discharge.
        hospitalization: Option<Hospitalization<'a>>,
        /// Where.
        location: List<EncounterLocation<'a>>,
        /// Whose.
        service_provider: Option<Reference<'a>>,
    }
    /// Encounter.participant.
    Participant {
        /// Role.
        r#type: List<CodeableConcept<'a>>,
        /// Who.
        individual: Option<Reference<'a>>,
    }
    /// Encounter.diagnosis.
    Diagnosis {
        /// Condition or Procedure.
        condition: Option<Reference<'a>>,
        /// Role of the diagnosis.
        r#use: Option<CodeableConcept<'a>>,
        /// Rank, from 1.
        rank: Option<i32>,
    }
    /// Encounter.hospitalization.
    Hospitalization {
        /// Number before the admission.
        pre_admission_identifier: Option<Identifier<'a>>,
        /// Where from.
        admit_source: Option<CodeableConcept<'a>>,
        /// Again.
        re_admission: Option<CodeableConcept<'a>>,
        /// Where to.
        discharge_disposition: Option<CodeableConcept<'a>>,
    }
    /// Encounter.location.
    EncounterLocation {
        /// Place.
        location: Option<Reference<'a>>,
        /// planned | active | reserved | completed.
        status: OptText<'a>,
        /// Kind of place.
        physical_type: Option<CodeableConcept<'a>>,
        /// When.
        period: Option<Period<'a>>,
    }
    /// Condition.
    Condition {
        /// provisional | confirmed | entered-in-error …
        verification_status: Option<CodeableConcept<'a>>,
        /// encounter-diagnosis, problem-list-item …
        category: List<CodeableConcept<'a>>,
        /// What.
        code: Option<CodeableConcept<'a>>,
        /// Whose.
        subject: Option<Reference<'a>>,
        /// In which encounter.
        encounter: Option<Reference<'a>>,
        /// When it was recorded.
        recorded_date: Option<DateTime<'a>>,
    }
    /// Procedure.
    Procedure {
        /// Status.
        status: OptText<'a>,
        /// What.
        code: Option<CodeableConcept<'a>>,
        /// On whom.
        subject: Option<Reference<'a>>,
        /// In which encounter.
        encounter: Option<Reference<'a>>,
        /// When.
        performed_date_time: Option<DateTime<'a>>,
        /// When.
        performed_period: Option<Period<'a>>,
        /// By whom.
        performer: List<Performer<'a>>,
    }
    /// Procedure.performer, ChargeItem.performer.
    Performer {
        /// Role.
        function: Option<CodeableConcept<'a>>,
        /// Who.
        actor: Option<Reference<'a>>,
    }
}

impl<'a> Resource<'a> for Encounter<'a> {
    const TYPE: &'static str = "Encounter";
    fn rules(&self, rules: &mut Rules<'_>) {
        let set = &[
            "planned",
            "arrived",
            "triaged",
            "in-progress",
            "onleave",
            "finished",
            "cancelled",
            "entered-in-error",
            "unknown",
        ];
        rules.status(self.status.as_ref(), set);
        rules.required(self.class.is_some(), "class");
        rules.required(self.subject.is_some(), "subject");
        rules.period(self.period.as_ref(), "period");
        for (at, diagnosis) in self.diagnosis.iter().enumerate() {
            rules.required(diagnosis.condition.is_some(), &format!("diagnosis[{at}].condition"));
        }
        for (at, location) in self.location.iter().enumerate() {
            rules.required(location.location.is_some(), &format!("location[{at}].location"));
            let set = &["planned", "active", "reserved", "completed"];
            rules.code(location.status.as_ref(), set, &format!("location[{at}].status"));
        }
    }
}

impl<'a> Resource<'a> for Condition<'a> {
    const TYPE: &'static str = "Condition";
    fn rules(&self, rules: &mut Rules<'_>) {
        rules.required(self.subject.is_some(), "subject");
    }
}

impl<'a> Resource<'a> for Procedure<'a> {
    const TYPE: &'static str = "Procedure";
    fn rules(&self, rules: &mut Rules<'_>) {
        let set = &[
            "preparation",
            "in-progress",
            "not-done",
            "on-hold",
            "stopped",
            "completed",
            "entered-in-error",
            "unknown",
        ];
        rules.status(self.status.as_ref(), set);
        rules.required(self.subject.is_some(), "subject");
        rules.one_of(&[self.performed_date_time.is_some(), self.performed_period.is_some()], "performed");
        rules.period(self.performed_period.as_ref(), "performed");
    }
}
