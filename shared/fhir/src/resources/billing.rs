//! Coverages, accounts, charges and claims (R4 module Financial).

use serde::Deserialize;

use super::{Performer, Resource, Rules, checked_items};
use crate::{
    date::DateTime,
    json::{List, Text},
    types::{Annotation, CodeableConcept, Identifier, Money, OptText, Period, Quantity, Reference, element},
};

/// Value set fm-status.
const FM_STATUS: &[&str] = &["active", "cancelled", "draft", "entered-in-error"];

element! {
    /// Coverage.
    Coverage {
        /// Identifiers.
        identifier: List<Identifier<'a>>,
        /// Status.
        status: OptText<'a>,
        /// Kind.
        r#type: Option<CodeableConcept<'a>>,
        /// Whose plan.
        policy_holder: Option<Reference<'a>>,
        /// Who subscribed.
        subscriber: Option<Reference<'a>>,
        /// Number of the subscriber.
        subscriber_id: OptText<'a>,
        /// Who is covered.
        beneficiary: Option<Reference<'a>>,
        /// Number of the dependent.
        dependent: OptText<'a>,
        /// Beneficiary's relationship to the subscriber.
        relationship: Option<CodeableConcept<'a>>,
        /// When.
        period: Option<Period<'a>>,
        /// Who pays.
        payor: List<Reference<'a>>,
        /// Group, plan …
        class: List<CoverageClass<'a>>,
        /// Order of coordination.
        order: Option<i32>,
    }
    /// Coverage.class.
    CoverageClass {
        /// group | plan …
        r#type: Option<CodeableConcept<'a>>,
        /// Number.
        value: OptText<'a>,
        /// Name.
        name: OptText<'a>,
    }
    /// Account.
    Account {
        /// Identifiers.
        identifier: List<Identifier<'a>>,
        /// Status.
        status: OptText<'a>,
        /// Whose.
        subject: List<Reference<'a>>,
        /// Coverages in order.
        coverage: List<AccountCoverage<'a>>,
        /// Who pays the rest.
        guarantor: List<AccountGuarantor<'a>>,
    }
    /// Account.coverage.
    AccountCoverage {
        /// Coverage.
        coverage: Option<Reference<'a>>,
        /// Order, from 1.
        priority: Option<i32>,
    }
    /// Account.guarantor.
    AccountGuarantor {
        /// Who.
        party: Option<Reference<'a>>,
    }
    /// ChargeItem.
    ChargeItem {
        /// Identifiers.
        identifier: List<Identifier<'a>>,
        /// Status.
        status: OptText<'a>,
        /// What.
        code: Option<CodeableConcept<'a>>,
        /// For whom.
        subject: Option<Reference<'a>>,
        /// In which encounter.
        context: Option<Reference<'a>>,
        /// When.
        occurrence_date_time: Option<DateTime<'a>>,
        /// When.
        occurrence_period: Option<Period<'a>>,
        /// By whom.
        performer: List<Performer<'a>>,
        /// How many.
        quantity: Option<Quantity<'a>>,
        /// Price instead of the list's.
        price_override: Option<Money<'a>>,
        /// Who entered it.
        enterer: Option<Reference<'a>>,
        /// When it was entered.
        entered_date: Option<DateTime<'a>>,
        /// Why.
        reason: List<CodeableConcept<'a>>,
        /// Product.
        product_codeable_concept: Option<CodeableConcept<'a>>,
        /// Accounts.
        account: List<Reference<'a>>,
        /// Notes.
        note: List<Annotation<'a>>,
    }
    /// Claim.
    Claim {
        /// Identifiers.
        identifier: List<Identifier<'a>>,
        /// Status.
        status: OptText<'a>,
        /// institutional | professional …
        r#type: Option<CodeableConcept<'a>>,
        /// claim | preauthorization | predetermination.
        r#use: OptText<'a>,
        /// For whom.
        patient: Option<Reference<'a>>,
        /// Service dates.
        billable_period: Option<Period<'a>>,
        /// When it was made.
        created: Option<DateTime<'a>>,
        /// Who entered it.
        enterer: Option<Reference<'a>>,
        /// Who shall pay.
        insurer: Option<Reference<'a>>,
        /// Who bills.
        provider: Option<Reference<'a>>,
        /// Urgency.
        priority: Option<CodeableConcept<'a>>,
        /// Referral.
        referral: Option<Reference<'a>>,
        /// Where.
        facility: Option<Reference<'a>>,
        /// Who.
        care_team: List<CareTeam<'a>>,
        /// What else.
        supporting_info: List<SupportingInfo<'a>>,
        /// Diagnoses.
        diagnosis: List<ClaimDiagnosis<'a>>,
        /// Procedures.
        procedure: List<ClaimProcedure<'a>>,
        /// Coverages.
        insurance: List<ClaimInsurance<'a>>,
        /// Lines.
        item: List<ClaimItem<'a>>,
        /// Sum.
        total: Option<Money<'a>>,
    }
    /// Claim.careTeam.
    CareTeam {
        /// Number that items point to.
        sequence: Option<i32>,
        /// Who.
        provider: Option<Reference<'a>>,
        /// Role.
        role: Option<CodeableConcept<'a>>,
    }
    /// Claim.supportingInfo.
    SupportingInfo {
        /// Kind.
        category: Option<CodeableConcept<'a>>,
        /// What.
        code: Option<CodeableConcept<'a>>,
        /// When.
        timing_period: Option<Period<'a>>,
        /// When.
        timing_date: Option<DateTime<'a>>,
    }
    /// Claim.diagnosis.
    ClaimDiagnosis {
        /// Number that items point to.
        sequence: Option<i32>,
        /// What.
        diagnosis_codeable_concept: Option<CodeableConcept<'a>>,
        /// What, as a Condition.
        diagnosis_reference: Option<Reference<'a>>,
        /// admitting | principal …
        r#type: List<CodeableConcept<'a>>,
        /// Present on admission.
        on_admission: Option<CodeableConcept<'a>>,
    }
    /// Claim.procedure.
    ClaimProcedure {
        /// Number that items point to.
        sequence: Option<i32>,
        /// When.
        date: Option<DateTime<'a>>,
        /// What.
        procedure_codeable_concept: Option<CodeableConcept<'a>>,
        /// What, as a Procedure.
        procedure_reference: Option<Reference<'a>>,
    }
    /// Claim.insurance, ExplanationOfBenefit.insurance.
    ClaimInsurance {
        /// Order, from 1.
        sequence: Option<i32>,
        /// The one that is asked to pay.
        focal: Option<bool>,
        /// Coverage.
        coverage: Option<Reference<'a>>,
        /// Prior authorizations.
        pre_auth_ref: List<Option<Text<'a>>>,
    }
    /// Claim.item.
    ClaimItem {
        /// Number.
        sequence: Option<i32>,
        /// Care team members.
        care_team_sequence: List<i32>,
        /// Diagnoses.
        diagnosis_sequence: List<i32>,
        /// Procedures.
        procedure_sequence: List<i32>,
        /// Revenue code.
        revenue: Option<CodeableConcept<'a>>,
        /// What.
        product_or_service: Option<CodeableConcept<'a>>,
        /// Modifiers.
        modifier: List<CodeableConcept<'a>>,
        /// When.
        serviced_date: Option<DateTime<'a>>,
        /// When.
        serviced_period: Option<Period<'a>>,
        /// Place of service.
        location_codeable_concept: Option<CodeableConcept<'a>>,
        /// How many.
        quantity: Option<Quantity<'a>>,
        /// Price of one.
        unit_price: Option<Money<'a>>,
        /// Sum.
        net: Option<Money<'a>>,
        /// Encounters.
        encounter: List<Reference<'a>>,
    }
    /// ExplanationOfBenefit, for the coverages that it alone may hold.
    ExplanationOfBenefit {
        /// Of which claim.
        claim: Option<Reference<'a>>,
        /// Coverages.
        insurance: List<ClaimInsurance<'a>>,
    }
}

impl<'a> Resource<'a> for Coverage<'a> {
    const TYPE: &'static str = "Coverage";
    fn rules(&self, rules: &mut Rules<'_>) {
        rules.status(self.status.as_ref(), FM_STATUS);
        rules.required(self.beneficiary.is_some(), "beneficiary");
        rules.required(!self.payor.is_empty(), "payor");
        rules.period(self.period.as_ref(), "period");
    }
}

impl<'a> Resource<'a> for Account<'a> {
    const TYPE: &'static str = "Account";
    fn rules(&self, rules: &mut Rules<'_>) {
        let set = &["active", "inactive", "entered-in-error", "on-hold", "unknown"];
        rules.status(self.status.as_ref(), set);
    }
}

impl<'a> Resource<'a> for ChargeItem<'a> {
    const TYPE: &'static str = "ChargeItem";
    fn rules(&self, rules: &mut Rules<'_>) {
        let set =
            &["planned", "billable", "not-billable", "aborted", "billed", "entered-in-error", "unknown"];
        rules.status(self.status.as_ref(), set);
        rules.required(self.code.is_some(), "code");
        rules.required(self.subject.is_some(), "subject");
        rules.period(self.occurrence_period.as_ref(), "occurrence");
    }
}

impl<'a> Resource<'a> for Claim<'a> {
    const TYPE: &'static str = "Claim";
    fn rules(&self, rules: &mut Rules<'_>) {
        rules.status(self.status.as_ref(), FM_STATUS);
        rules.required(self.r#type.is_some(), "type");
        rules.required(self.r#use.is_some(), "use");
        rules.code(self.r#use.as_ref(), &["claim", "preauthorization", "predetermination"], "use");
        rules.required(self.patient.is_some(), "patient");
        rules.required(self.created.is_some(), "created");
        rules.required(self.provider.is_some(), "provider");
        rules.required(self.priority.is_some(), "priority");
        rules.required(!self.insurance.is_empty(), "insurance");
        rules.period(self.billable_period.as_ref(), "billablePeriod");
        let diagnoses = self.diagnosis.iter().map(|diagnosis| diagnosis.sequence);
        checked_items(rules, "diagnosis", diagnoses);
        checked_items(rules, "item", self.item.iter().map(|item| item.sequence));
        for (at, item) in self.item.iter().enumerate() {
            rules.required(item.product_or_service.is_some(), &format!("item[{at}].productOrService"));
            let known =
                |pointer: &i32| self.diagnosis.iter().any(|diagnosis| diagnosis.sequence == Some(*pointer));
            if !item.diagnosis_sequence.iter().all(known) {
                rules.dangling(&format!("item[{at}].diagnosisSequence"));
            }
        }
    }
}

impl<'a> Resource<'a> for ExplanationOfBenefit<'a> {
    const TYPE: &'static str = "ExplanationOfBenefit";
    fn rules(&self, _: &mut Rules<'_>) {}
}
