//! The resources that events are made of, with the elements that events carry.
//!
//! A reader takes any resource of R4's JSON form: what is required is asked for by [`Resource::rules`], so that all that
//! is missing can be said at once.

mod administration;
mod billing;
mod clinical;
mod diagnostics;

pub use administration::{
    Appointment, AppointmentParticipant, Communication, Contact, Link, Location, MessageHeader,
    MessageSource, Organization, OrganizationContact, Patient, Practitioner, PractitionerRole, RelatedPerson,
};
pub use billing::{
    Account, AccountCoverage, AccountGuarantor, CareTeam, ChargeItem, Claim, ClaimDiagnosis, ClaimInsurance,
    ClaimItem, ClaimProcedure, Coverage, CoverageClass, ExplanationOfBenefit, SupportingInfo,
};
pub use clinical::{
    Condition, Diagnosis, Encounter, EncounterLocation, Hospitalization, Participant, Performer, Procedure,
};
pub use diagnostics::{
    Collection, Component, DiagnosticReport, Observation, ReferenceRange, ServiceRequest, Specimen,
};

use serde::Deserialize;

use crate::{
    issue::{Issue, IssueCode},
    json::{self, Text},
    types::Period,
};

/// A resource that can be read and has rules.
pub trait Resource<'a>: Deserialize<'a> {
    /// Name of its type.
    const TYPE: &'static str;

    /// Says what R4 demands of it and it has not.
    fn rules(&self, rules: &mut Rules<'_>);
}

/// Reads a resource and applies its rules.
///
/// # Errors
/// What is wrong, at least one thing.
pub fn checked<'a, R: Resource<'a>>(json: &'a str, at: &str) -> Result<R, Vec<Issue>> {
    let resource: R = json::read(json, at).map_err(|issue| vec![issue])?;
    let mut rules = Rules { at, issues: Vec::new() };
    resource.rules(&mut rules);
    if rules.issues.is_empty() { Ok(resource) } else { Err(rules.issues) }
}

/// Collects what does not hold.
#[derive(Debug)]
pub struct Rules<'r> {
    at: &'r str,
    issues: Vec<Issue>,
}

impl Rules<'_> {
    fn report(&mut self, code: IssueCode, text: &'static str, element: &str) {
        self.issues.push(Issue::error(code, text, format!("{}.{element}", self.at)));
    }

    /// The element must be there.
    pub fn required(&mut self, there: bool, element: &str) {
        if !there {
            self.report(IssueCode::Required, "a required element is missing", element);
        }
    }

    /// A code of a value set that R4 binds the element to with strength `required`.
    pub fn code(&mut self, code: Option<&Text<'_>>, set: &[&str], element: &str) {
        if code.is_some_and(|code| !set.contains(&code.as_str())) {
            self.report(
                IssueCode::CodeInvalid,
                "a code that the value set of the element does not have",
                element,
            );
        }
    }

    /// Both of the above.
    pub fn status(&mut self, code: Option<&Text<'_>>, set: &[&str]) {
        self.required(code.is_some(), "status");
        self.code(code, set, "status");
    }

    /// per-1: a period does not end before it starts.
    pub fn period(&mut self, period: Option<&Period<'_>>, element: &str) {
        if let Some(Period { start: Some(start), end: Some(end), .. }) = period
            && end.is_before(start)
        {
            self.report(IssueCode::Invariant, "the period ends before it starts", element);
        }
    }

    /// Of a choice, one type at most.
    pub fn one_of(&mut self, there: &[bool], element: &str) {
        if there.iter().filter(|there| **there).count() > 1 {
            self.report(
                IssueCode::Structure,
                "an element of several types is there with more than one",
                element,
            );
        }
    }
}

impl Rules<'_> {
    /// A number that points to nothing.
    pub fn dangling(&mut self, element: &str) {
        self.report(IssueCode::Invariant, "a sequence number that nothing has", element);
    }
}

/// Each element has a sequence number.
fn checked_items(rules: &mut Rules<'_>, list: &str, sequences: impl Iterator<Item = Option<i32>>) {
    for (at, sequence) in sequences.enumerate() {
        rules.required(sequence.is_some(), &format!("{list}[{at}].sequence"));
    }
}
