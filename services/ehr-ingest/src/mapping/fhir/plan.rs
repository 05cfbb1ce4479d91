//! What a body becomes, and every error of its content, entry by entry.

use std::collections::{HashMap, HashSet};

use waybill_contracts::{ReasonCode, reason};
use waybill_fhir::{
    Bundle, Issue, IssueCode, Kind, Severity, Target,
    bundle::{contained_ids, text_of},
    is_resource_type,
    reference::is_type,
    resources::{
        self, Account, Appointment, ChargeItem, Claim, Condition, Coverage, DiagnosticReport, Encounter,
        ExplanationOfBenefit, Location, MessageHeader, Observation, Organization, Patient, Practitioner,
        PractitionerRole, Procedure, RelatedPerson, Resource, ServiceRequest, Specimen,
    },
    types::Reference,
    walk::walk,
};

use super::identity::{self, Identity, Subject};
use crate::feed::Feed;

/// Issues of one body. Beyond, each bad entry keeps its first: it is known as bad, and a million of them would be many
/// times as large as the body.
const MAX_ISSUES: usize = 1000;
/// Verbs of entries that ask for something, or take it away.
const UNSUPPORTED: [&str; 4] = ["GET", "HEAD", "DELETE", "PATCH"];

/// A body that was read, with what is wrong in it.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    /// The entries.
    pub(crate) bundle: Bundle<'a>,
    /// What is wrong with each entry.
    pub(crate) issues: Vec<Vec<Issue>>,
    /// A byte order mark was in front.
    pub(crate) had_mark: bool,
    /// Patients of the Bundle by entry.
    pub(crate) patients: HashMap<usize, Identity>,
    /// The same by each of their identifiers: system and value.
    by_identifier: HashMap<(String, String), usize>,
    /// Everyone that an event is about.
    pub(crate) subjects: HashSet<Identity>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[identity]")
    }
}

/// Reads a body and judges its entries.
///
/// # Errors
/// When the whole cannot be read, or is of a kind that is not taken.
pub(crate) fn plan<'a>(body: &'a [u8], feed: &Feed) -> Result<Plan<'a>, Issue> {
    let (text, had_mark) = text_of(body)?;
    let bundle = Bundle::read(text)?;
    if bundle.kind == Kind::Message
        && bundle.entries.first().is_none_or(|first| &*first.head.resource_type != MessageHeader::TYPE)
    {
        let text = "the first entry of a message is its MessageHeader";
        return Err(Issue::error(IssueCode::Invariant, text, "Bundle.entry[0].resource"));
    }
    let mut plan = Plan {
        issues: Vec::new(),
        had_mark,
        patients: HashMap::new(),
        by_identifier: HashMap::new(),
        subjects: HashSet::new(),
        bundle,
    };
    plan.find_patients(feed);
    let repeated = repeated(&plan.bundle);
    let mut found = 0;
    for at in 0..plan.bundle.entries.len() {
        let mut issues = repeated.get(&at).cloned().into_iter().collect();
        plan.check(at, feed, &mut issues);
        issues.truncate((MAX_ISSUES - found.min(MAX_ISSUES)).max(1));
        found += issues.len();
        issues.shrink_to_fit();
        plan.issues.push(issues);
    }
    Ok(plan)
}

impl Plan<'_> {
    /// The entry can be used.
    pub(crate) fn is_good(&self, at: usize) -> bool {
        self.issues.get(at).is_some_and(Vec::is_empty)
    }

    /// Whom a reference of entry `from` means.
    pub(crate) fn subject(&self, from: usize, reference: &Reference<'_>, feed: &Feed) -> Subject {
        let known = identity::Known {
            by_entry: &|at| self.patients.get(&at).cloned(),
            by_identifier: &|system, value| {
                self.by_identifier.get(&(system.to_owned(), value.to_owned())).copied()
            },
        };
        identity::subject(&self.bundle, from, reference, &known, feed)
    }

    /// Which of the references made in entry `from` is to the patient, where others may be meant as well. One that says no
    /// type and leads to nothing in the body may mean anyone: a clinician, a room.
    pub(crate) fn patient_among<'r, 'b>(
        &self,
        from: usize,
        references: impl IntoIterator<Item = &'r Reference<'b>>,
    ) -> Option<&'r Reference<'b>>
    where
        'b: 'r,
    {
        let mut contained = None;
        references.into_iter().find(|reference| {
            let Some(text) = reference.reference.as_deref() else { return is_patient(reference) };
            if let Target::Contained(id) = Target::of(text) {
                // Looked through once, however many refer to it.
                let raw = self.bundle.entries[from].raw;
                let ids = contained
                    .get_or_insert_with(|| HashSet::<&str>::from_iter(contained_ids(raw, Patient::TYPE)));
                return ids.contains(id);
            }
            match self.bundle.resolve(from, text) {
                Some(at) => &*self.bundle.entries[at].head.resource_type == Patient::TYPE,
                None => is_patient(reference),
            }
        })
    }

    fn find_patients(&mut self, feed: &Feed) {
        for (at, entry) in self.bundle.entries.iter().enumerate() {
            if &*entry.head.resource_type != Patient::TYPE {
                continue;
            }
            let patient: Option<Patient<'_>> = resources::checked(entry.raw, "").ok();
            let Some(patient) = patient else { continue };
            if let Some(identity) = identity::of_patient(&patient, self.bundle.base_of(at), feed) {
                self.patients.insert(at, identity);
                let named = patient.identifier.iter().filter_map(|identifier| {
                    let system = identifier.system.as_deref().unwrap_or_default();
                    Some((system.to_owned(), identifier.value.as_deref()?.trim().to_owned()))
                });
                for name in named {
                    self.by_identifier.entry(name).or_insert(at);
                }
            }
        }
    }

    fn check(&mut self, at: usize, feed: &Feed, issues: &mut Vec<Issue>) {
        let entry = &self.bundle.entries[at];
        let is_requested = matches!(self.bundle.kind, Kind::Transaction | Kind::Batch);
        if let Some(method) = entry.request.as_ref().and_then(|request| request.method.as_deref())
            && is_requested
            && UNSUPPORTED.contains(&method)
        {
            let place = format!("Bundle.entry[{at}].request.method");
            let text = "entries are created or updated here: POST or PUT";
            issues.push(Issue::error(IssueCode::NotSupported, text, place));
            return;
        }
        if let Some(issue) = &entry.issue {
            issues.push(issue.clone());
            return;
        }
        let place = self.bundle.expression(at);
        let (raw, resource_type) = (entry.raw, entry.head.resource_type.clone());
        let resource_type = resource_type.as_str();
        if !is_resource_type(resource_type) {
            let text = "no resource type of R4";
            issues.push(Issue::error(IssueCode::NotSupported, text, format!("{place}.resourceType")));
            return;
        }
        if is_requested {
            check_request(&self.bundle, at, issues);
        }
        let walked = walk(raw, &place, &|url| {
            matches!(self.bundle.kind, Kind::Single | Kind::Collection)
                || self.bundle.by_full_url(url).is_some()
        });
        let readable = walked.iter().all(|issue| issue.code == IssueCode::NotFound);
        issues.extend(walked);
        // What the walk has found would be found again, in other words.
        if readable {
            let patient_among = |actors: &[Reference<'_>]| {
                let found = self.patient_among(at, actors)?;
                actors.iter().position(|actor| std::ptr::eq(actor, found))
            };
            let subject = check_resource(resource_type, raw, &place, issues, &patient_among);
            self.check_subject(at, resource_type, &place, subject, feed, issues);
        }
    }

    fn check_subject(
        &mut self,
        at: usize,
        resource_type: &str,
        place: &str,
        subject: Option<About<'_>>,
        feed: &Feed,
        issues: &mut Vec<Issue>,
    ) {
        const NOBODY: &str = "the patient has no identifier, and no reference by which to know him";
        if resource_type == Patient::TYPE {
            match self.patients.get(&at) {
                Some(identity) => drop(self.subjects.insert(identity.clone())),
                None if issues.is_empty() => {
                    issues.push(Issue::error(IssueCode::BusinessRule, NOBODY, format!("{place}.identifier")));
                }
                None => {}
            }
        }
        let Some(About { reference, element, is_needed }) = subject else { return };
        match self.subject(at, &reference, feed) {
            Subject::Patient(identity, _) => drop(self.subjects.insert(identity)),
            Subject::Other => {}
            Subject::Unknown if !is_needed => {}
            // A reference that points nowhere has been reported as that.
            Subject::Unknown if issues.iter().any(|issue| issue.code == IssueCode::NotFound) => {}
            Subject::Unknown => {
                issues.push(Issue::error(IssueCode::BusinessRule, NOBODY, format!("{place}.{element}")));
            }
        }
    }
}

/// Whom a resource is about.
struct About<'a> {
    reference: Reference<'a>,
    element: &'static str,
    /// An event comes of the resource, and no event is without a patient.
    is_needed: bool,
}

/// Applies the rules of the types that are read here; says whom the resource is about.
fn check_resource<'a>(
    resource_type: &str,
    raw: &'a str,
    at: &str,
    issues: &mut Vec<Issue>,
    patient_among: &dyn Fn(&[Reference<'a>]) -> Option<usize>,
) -> Option<About<'a>> {
    fn read<'a, R: Resource<'a>>(raw: &'a str, at: &str, issues: &mut Vec<Issue>) -> Option<R> {
        resources::checked(raw, at).map_err(|found| issues.extend(found)).ok()
    }
    let needed = |reference: Option<Reference<'a>>, element| {
        Some(About { reference: reference?, element, is_needed: true })
    };
    let named = |reference: Option<Reference<'a>>| {
        Some(About { reference: reference?, element: "subject", is_needed: false })
    };
    match resource_type {
        Encounter::TYPE => needed(read::<Encounter<'_>>(raw, at, issues)?.subject, "subject"),
        DiagnosticReport::TYPE => needed(read::<DiagnosticReport<'_>>(raw, at, issues)?.subject, "subject"),
        ServiceRequest::TYPE => needed(read::<ServiceRequest<'_>>(raw, at, issues)?.subject, "subject"),
        ChargeItem::TYPE => needed(read::<ChargeItem<'_>>(raw, at, issues)?.subject, "subject"),
        Claim::TYPE => needed(read::<Claim<'_>>(raw, at, issues)?.patient, "patient"),
        // Its patient is one of the participants, if there is one.
        Appointment::TYPE => {
            let participants = read::<Appointment<'_>>(raw, at, issues)?.participant.0;
            let actors = participants.into_iter().filter_map(|participant| participant.actor);
            let mut actors: Vec<_> = actors.collect();
            let at = patient_among(&actors);
            needed(at.map(|at| actors.swap_remove(at)), "participant")
        }
        Observation::TYPE => named(read::<Observation<'_>>(raw, at, issues)?.subject),
        Condition::TYPE => named(read::<Condition<'_>>(raw, at, issues)?.subject),
        Procedure::TYPE => named(read::<Procedure<'_>>(raw, at, issues)?.subject),
        Coverage::TYPE => named(read::<Coverage<'_>>(raw, at, issues)?.beneficiary),
        Patient::TYPE => read::<Patient<'_>>(raw, at, issues).and(None),
        Account::TYPE => read::<Account<'_>>(raw, at, issues).and(None),
        ExplanationOfBenefit::TYPE => read::<ExplanationOfBenefit<'_>>(raw, at, issues).and(None),
        Location::TYPE => read::<Location<'_>>(raw, at, issues).and(None),
        MessageHeader::TYPE => read::<MessageHeader<'_>>(raw, at, issues).and(None),
        Organization::TYPE => read::<Organization<'_>>(raw, at, issues).and(None),
        Practitioner::TYPE => read::<Practitioner<'_>>(raw, at, issues).and(None),
        PractitionerRole::TYPE => read::<PractitionerRole<'_>>(raw, at, issues).and(None),
        RelatedPerson::TYPE => read::<RelatedPerson<'_>>(raw, at, issues).and(None),
        Specimen::TYPE => read::<Specimen<'_>>(raw, at, issues).and(None),
        _ => None,
    }
}

/// A reference that says that it means a patient.
fn is_patient(reference: &Reference<'_>) -> bool {
    let literal = reference.reference.as_deref().map(Target::of);
    literal.and_then(|target| target.resource_type()).or(reference.r#type.as_deref()) == Some(Patient::TYPE)
}

/// `entry.request` of a transaction or batch (bdl-3, and R4 §3.1.0.11).
fn check_request(bundle: &Bundle<'_>, at: usize, issues: &mut Vec<Issue>) {
    let entry = &bundle.entries[at];
    let place = format!("Bundle.entry[{at}].request");
    let Some(request) = &entry.request else {
        issues.push(Issue::error(IssueCode::Required, "a required element is missing", place));
        return;
    };
    let mut report = |code, text: &'static str, element: &str| {
        issues.push(Issue::error(code, text, format!("{place}.{element}")));
    };
    let method = request.method.as_deref();
    match method {
        None => report(IssueCode::Required, "a required element is missing", "method"),
        Some("POST" | "PUT") => {}
        Some(_) => report(IssueCode::CodeInvalid, "no HTTP verb of R4", "method"),
    }
    let Some(url) = request.url.as_deref() else {
        return report(IssueCode::Required, "a required element is missing", "url");
    };
    let url = url.strip_prefix('/').unwrap_or(url);
    let (path, query) = url.split_once('?').map_or((url, None), |(path, query)| (path, Some(query)));
    let (resource_type, id) = path.split_once('/').map_or((path, None), |(kind, id)| (kind, Some(id)));
    if !is_type(resource_type) {
        return report(IssueCode::Value, "the URL begins with a resource type, relative to the base", "url");
    }
    if resource_type != entry.head.resource_type.as_str() {
        return report(IssueCode::Invariant, "the URL names another resource type than the resource", "url");
    }
    match (method, id, query) {
        (Some("POST"), Some(_), _) => {
            report(IssueCode::Value, "the URL of POST is the resource type alone", "url");
        }
        (Some("PUT"), None, None) => {
            report(IssueCode::Value, "the URL of PUT names an id or a condition", "url");
        }
        (Some("PUT"), Some(id), _) if entry.head.id.as_deref() != Some(id) => {
            let text = "the id of the resource is not the one of the URL";
            issues.push(Issue::error(IssueCode::Invariant, text, format!("Bundle.entry[{at}].resource.id")));
        }
        _ => {}
    }
}

/// Entries that are there before (bdl-7; a transaction names a resource once, R4 §3.1.0.11.2).
fn repeated(bundle: &Bundle<'_>) -> HashMap<usize, Issue> {
    let mut seen: HashSet<(&str, String)> = HashSet::new();
    let mut repeated = HashMap::new();
    for (at, entry) in bundle.entries.iter().enumerate() {
        let version =
            entry.head.meta.as_ref().and_then(|meta| meta.version_id.as_deref()).unwrap_or_default();
        let put = entry.request.as_ref().filter(|request| request.method.as_deref() == Some("PUT"));
        let posted = entry.request.as_ref().is_some_and(|request| request.method.as_deref() == Some("POST"));
        let mut is_new = true;
        let mut element = "fullUrl";
        if let Some(url) = entry.full_url.as_deref() {
            is_new = seen.insert((version, format!("url {url}")));
        } else if let (false, Some(id)) = (posted, entry.head.id.as_deref()) {
            element = "resource.id";
            is_new = seen.insert((version, format!("id {}/{id}", &*entry.head.resource_type)));
        }
        if let (true, Some(url)) = (is_new, put.and_then(|request| request.url.as_deref())) {
            element = "request.url";
            is_new = seen.insert(("", format!("put {url}")));
        }
        if !is_new {
            let text = "the same resource is there before";
            let place = format!("Bundle.entry[{at}].{element}");
            repeated.insert(at, Issue::error(IssueCode::Duplicate, text, place));
        }
    }
    repeated
}

/// The reason code of an issue.
pub(crate) fn reason_of(issue: &Issue) -> ReasonCode {
    if issue.severity == Severity::Fatal {
        return reason::FHIR_NOT_READABLE;
    }
    match issue.code {
        IssueCode::Required | IssueCode::Invariant | IssueCode::CodeInvalid => reason::FHIR_RULE_BROKEN,
        IssueCode::NotFound => reason::FHIR_REFERENCE_UNRESOLVED,
        IssueCode::Duplicate => reason::FHIR_ENTRY_REPEATED,
        IssueCode::NotSupported => reason::FHIR_NOT_SUPPORTED,
        IssueCode::BusinessRule => reason::NO_PATIENT_IDENTIFIER,
        IssueCode::TooLong => reason::TOO_LARGE,
        IssueCode::TooCostly => reason::FHIR_NOT_READABLE,
        _ => reason::FHIR_NOT_OF_ITS_FORM,
    }
}
