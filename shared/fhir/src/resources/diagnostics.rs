//! Orders, specimens, observations and reports.

use serde::Deserialize;

use super::{Resource, Rules};
use crate::{
    date::DateTime,
    json::List,
    types::{
        Annotation, Attachment, CodeableConcept, Identifier, OptText, Period, Quantity, Range, Ratio,
        Reference, element,
    },
};

element! {
    /// Observation.
    Observation {
        /// Identifiers.
        identifier: List<Identifier<'a>>,
        /// Status.
        status: OptText<'a>,
        /// Categories.
        category: List<CodeableConcept<'a>>,
        /// What was observed.
        code: Option<CodeableConcept<'a>>,
        /// Of whom.
        subject: Option<Reference<'a>>,
        /// In which encounter.
        encounter: Option<Reference<'a>>,
        /// When.
        effective_date_time: Option<DateTime<'a>>,
        /// When.
        effective_period: Option<Period<'a>>,
        /// When.
        effective_instant: Option<DateTime<'a>>,
        /// By whom.
        performer: List<Reference<'a>>,
        /// The value, if a quantity.
        value_quantity: Option<Quantity<'a>>,
        /// The value, if coded.
        value_codeable_concept: Option<CodeableConcept<'a>>,
        /// The value, if text.
        value_string: OptText<'a>,
        /// The value, if yes or no.
        value_boolean: Option<bool>,
        /// The value, if an integer.
        value_integer: Option<i64>,
        /// The value, if a range.
        value_range: Option<Range<'a>>,
        /// The value, if a ratio.
        value_ratio: Option<Ratio<'a>>,
        /// The value, if a time of day.
        value_time: OptText<'a>,
        /// The value, if a moment.
        value_date_time: Option<DateTime<'a>>,
        /// The value, if a span.
        value_period: Option<Period<'a>>,
        /// Why there is no value.
        data_absent_reason: Option<CodeableConcept<'a>>,
        /// Flags.
        interpretation: List<CodeableConcept<'a>>,
        /// Notes.
        note: List<Annotation<'a>>,
        /// Where on the body.
        body_site: Option<CodeableConcept<'a>>,
        /// How.
        method: Option<CodeableConcept<'a>>,
        /// Of what.
        specimen: Option<Reference<'a>>,
        /// Reference ranges.
        reference_range: List<ReferenceRange<'a>>,
        /// Observations of a panel.
        has_member: List<Reference<'a>>,
        /// Parts.
        component: List<Component<'a>>,
    }
    /// Observation.component.
    Component {
        /// What was observed.
        code: Option<CodeableConcept<'a>>,
        /// The value, if a quantity.
        value_quantity: Option<Quantity<'a>>,
        /// The value, if coded.
        value_codeable_concept: Option<CodeableConcept<'a>>,
        /// The value, if text.
        value_string: OptText<'a>,
        /// The value, if yes or no.
        value_boolean: Option<bool>,
        /// The value, if an integer.
        value_integer: Option<i64>,
        /// The value, if a range.
        value_range: Option<Range<'a>>,
        /// The value, if a ratio.
        value_ratio: Option<Ratio<'a>>,
        /// The value, if a time of day.
        value_time: OptText<'a>,
        /// The value, if a moment.
        value_date_time: Option<DateTime<'a>>,
        /// The value, if a span.
        value_period: Option<Period<'a>>,
        /// Why there is no value.
        data_absent_reason: Option<CodeableConcept<'a>>,
        /// Flags.
        interpretation: List<CodeableConcept<'a>>,
        /// Reference ranges.
        reference_range: List<ReferenceRange<'a>>,
    }
    /// Observation.referenceRange.
    ReferenceRange {
        /// Low.
        low: Option<Quantity<'a>>,
        /// High.
        high: Option<Quantity<'a>>,
        /// As text.
        text: OptText<'a>,
    }
    /// Specimen.
    Specimen {
        /// Identifiers.
        identifier: List<Identifier<'a>>,
        /// The laboratory's number.
        accession_identifier: Option<Identifier<'a>>,
        /// What.
        r#type: Option<CodeableConcept<'a>>,
        /// How it was taken.
        collection: Option<Collection<'a>>,
        /// When the laboratory got it.
        received_time: Option<DateTime<'a>>,
    }
    /// Specimen.collection.
    Collection {
        /// When.
        collected_date_time: Option<DateTime<'a>>,
        /// When.
        collected_period: Option<Period<'a>>,
    }
    /// ServiceRequest.
    ServiceRequest {
        /// Identifiers.
        identifier: List<Identifier<'a>>,
        /// Number of the requisition.
        requisition: Option<Identifier<'a>>,
        /// The orders this one follows.
        based_on: List<Reference<'a>>,
        /// Status.
        status: OptText<'a>,
        /// proposal | plan | order …
        intent: OptText<'a>,
        /// Categories.
        category: List<CodeableConcept<'a>>,
        /// routine | urgent | asap | stat.
        priority: OptText<'a>,
        /// What.
        code: Option<CodeableConcept<'a>>,
        /// For whom.
        subject: Option<Reference<'a>>,
        /// In which encounter.
        encounter: Option<Reference<'a>>,
        /// When it shall be done.
        occurrence_date_time: Option<DateTime<'a>>,
        /// When it shall be done.
        occurrence_period: Option<Period<'a>>,
        /// When it was signed.
        authored_on: Option<DateTime<'a>>,
        /// Who wants it.
        requester: Option<Reference<'a>>,
        /// Who shall do it.
        performer: List<Reference<'a>>,
        /// Reasons.
        reason_code: List<CodeableConcept<'a>>,
        /// Reasons as resources.
        reason_reference: List<Reference<'a>>,
        /// Coverages.
        insurance: List<Reference<'a>>,
        /// What else to know.
        supporting_info: List<Reference<'a>>,
        /// Specimens.
        specimen: List<Reference<'a>>,
        /// Notes.
        note: List<Annotation<'a>>,
    }
    /// DiagnosticReport.
    DiagnosticReport {
        /// Identifiers.
        identifier: List<Identifier<'a>>,
        /// Orders.
        based_on: List<Reference<'a>>,
        /// Status.
        status: OptText<'a>,
        /// Categories.
        category: List<CodeableConcept<'a>>,
        /// What.
        code: Option<CodeableConcept<'a>>,
        /// About whom.
        subject: Option<Reference<'a>>,
        /// In which encounter.
        encounter: Option<Reference<'a>>,
        /// When.
        effective_date_time: Option<DateTime<'a>>,
        /// When.
        effective_period: Option<Period<'a>>,
        /// When it was released.
        issued: Option<DateTime<'a>>,
        /// By whom.
        performer: List<Reference<'a>>,
        /// Interpreted by whom.
        results_interpreter: List<Reference<'a>>,
        /// Specimens.
        specimen: List<Reference<'a>>,
        /// Observations.
        result: List<Reference<'a>>,
        /// Conclusion.
        conclusion: OptText<'a>,
        /// The report as documents.
        presented_form: List<Attachment<'a>>,
    }
}

/// Value set observation-status.
const OBSERVATION_STATUS: &[&str] = &[
    "registered",
    "preliminary",
    "final",
    "amended",
    "corrected",
    "cancelled",
    "entered-in-error",
    "unknown",
];

impl<'a> Resource<'a> for Observation<'a> {
    const TYPE: &'static str = "Observation";
    fn rules(&self, rules: &mut Rules<'_>) {
        rules.status(self.status.as_ref(), OBSERVATION_STATUS);
        rules.required(self.code.is_some(), "code");
        rules.one_of(
            &[
                self.value_quantity.is_some(),
                self.value_codeable_concept.is_some(),
                self.value_string.is_some(),
                self.value_boolean.is_some(),
                self.value_integer.is_some(),
                self.value_range.is_some(),
                self.value_ratio.is_some(),
                self.value_time.is_some(),
                self.value_date_time.is_some(),
                self.value_period.is_some(),
            ],
            "value",
        );
        rules.period(self.effective_period.as_ref(), "effective");
        for (at, component) in self.component.iter().enumerate() {
            rules.required(component.code.is_some(), &format!("component[{at}].code"));
        }
    }
}

impl<'a> Resource<'a> for DiagnosticReport<'a> {
    const TYPE: &'static str = "DiagnosticReport";
    fn rules(&self, rules: &mut Rules<'_>) {
        let set = &[
            "registered",
            "partial",
            "preliminary",
            "final",
            "amended",
            "corrected",
            "appended",
            "cancelled",
            "entered-in-error",
            "unknown",
        ];
        rules.status(self.status.as_ref(), set);
        rules.required(self.code.is_some(), "code");
        rules.required(self.subject.is_some(), "subject");
        rules.one_of(&[self.effective_date_time.is_some(), self.effective_period.is_some()], "effective");
        rules.period(self.effective_period.as_ref(), "effective");
    }
}

impl<'a> Resource<'a> for Specimen<'a> {
    const TYPE: &'static str = "Specimen";
    fn rules(&self, _: &mut Rules<'_>) {}
}

impl<'a> Resource<'a> for ServiceRequest<'a> {
    const TYPE: &'static str = "ServiceRequest";
    fn rules(&self, rules: &mut Rules<'_>) {
        let set = &["draft", "active", "on-hold", "revoked", "completed", "entered-in-error", "unknown"];
        rules.status(self.status.as_ref(), set);
        let set = &[
            "proposal",
            "plan",
            "directive",
            "order",
            "original-order",
            "reflex-order",
            "filler-order",
            "instance-order",
            "option",
        ];
        rules.required(self.intent.is_some(), "intent");
        rules.code(self.intent.as_ref(), set, "intent");
        rules.code(self.priority.as_ref(), &["routine", "urgent", "asap", "stat"], "priority");
        rules.required(self.subject.is_some(), "subject");
        rules.one_of(&[self.occurrence_date_time.is_some(), self.occurrence_period.is_some()], "occurrence");
        rules.period(self.occurrence_period.as_ref(), "occurrence");
    }
}
