//! By which identifier a patient is known, and whom a reference means.
//!
//! The choice is that of HL7 v2 (`patient_id`), so that one patient has one key however the message came in:
//! `MR`, `MRN`, `PI` of table 0203, else the first with a system, else the first. The authority is the identifier's system;
//! `urn:oid:1.2.3` is the universal id `1.2.3` of CX-4.2. A v2 feed that sends a namespace (CX-4.1) and a FHIR feed that
//! sends a URI for the same authority come to the same key only by the feed's settings.
//!
//! Who is known by a logical id alone (`Patient/123`) is known by it within its server: the base of an absolute
//! reference, else the feed.

use smol_str::SmolStr;
use waybill_contracts::{Phi, fhir};
use waybill_fhir::{
    Bundle, Target,
    reference::split_token,
    resources::{self, Patient},
    types::{CodeableConcept, Identifier, Reference},
};

use crate::feed::Feed;

/// Types of table 0203 that name a patient, best first.
const BY_TYPE: [&str; 3] = ["MR", "MRN", "PI"];
/// Table 0203: an identifier of a resource.
const RESOURCE_ID: &str = "RI";

/// Who a patient is: what the key is made of, and the identifier where there is no resource to take it from.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Identity {
    /// Assigning authority as the key has it.
    pub(crate) authority: String,
    /// Identifier.
    pub(crate) value: String,
    system: Option<SmolStr>,
    kind: Option<&'static str>,
}

impl Identity {
    /// A patient of whom nothing else is known.
    pub(crate) fn patient(&self) -> fhir::Patient {
        let identifier = fhir::Identifier {
            r#type: self.kind.map(SmolStr::new_static),
            system: self.system.clone(),
            value: Phi::new(self.value.clone().into()),
            ..fhir::Identifier::default()
        };
        fhir::Patient { identifier: vec![identifier], active: true, ..fhir::Patient::default() }
    }
}

/// Whom a reference means.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Subject {
    /// A patient, and where the Bundle has the resource.
    Patient(Identity, Option<usize>),
    /// Something that is no patient: a group, a device, a place.
    Other,
    /// A patient without anything to know him by.
    Unknown,
}

/// The patient's own identifier; the logical id where there is none.
pub(crate) fn of_patient(patient: &Patient<'_>, base: Option<&str>, feed: &Feed) -> Option<Identity> {
    let named = || {
        patient
            .identifier
            .iter()
            .filter(|identifier| identifier.value.as_deref().is_some_and(|value| !value.trim().is_empty()))
    };
    let current = || named().filter(|identifier| identifier.r#use.as_deref() != Some("old"));
    let chosen = BY_TYPE
        .into_iter()
        .find_map(|kind| current().find(|identifier| type_code(identifier.r#type.as_ref()) == Some(kind)))
        .or_else(|| current().find(|identifier| identifier.system.is_some()))
        .or_else(|| named().next());
    chosen
        .and_then(|identifier| of_identifier(identifier, feed))
        .or_else(|| patient.id.as_ref().map(|id| of_logical_id(base, id, feed)))
}

/// Code of table 0203 that an identifier's type has, else its first code, else its text: some send `MRN` as that alone.
pub(crate) fn type_code<'t>(kind: Option<&'t CodeableConcept<'_>>) -> Option<&'t str> {
    let kind = kind?;
    let of_table = |system: &str| system.ends_with("v2-0203") || system.ends_with("v2/0203");
    let mut codings = kind.coding.iter().filter(|coding| coding.code.is_some());
    codings
        .clone()
        .find(|coding| coding.system.as_deref().is_some_and(of_table))
        .or_else(|| codings.next())
        .and_then(|coding| coding.code.as_deref())
        .or(kind.text.as_deref())
}

fn of_identifier(identifier: &Identifier<'_>, feed: &Feed) -> Option<Identity> {
    let value = identifier.value.as_deref()?.trim();
    let system = identifier.system.as_deref();
    Some(of_token(system, value, feed)).filter(|_| !value.is_empty())
}

fn of_token(system: Option<&str>, value: &str, feed: &Feed) -> Identity {
    let authority = system.map(authority).or(feed.default_authority.as_deref()).unwrap_or_default();
    Identity {
        authority: authority.trim().to_owned(),
        value: value.to_owned(),
        system: system.or(feed.default_authority.as_deref()).map(SmolStr::from),
        kind: None,
    }
}

/// The authority of a system as HL7 v2 writes it.
fn authority(system: &str) -> &str {
    system.strip_prefix("urn:oid:").unwrap_or(system)
}

fn of_logical_id(base: Option<&str>, id: &str, feed: &Feed) -> Identity {
    let system = base
        .map_or_else(|| format!("urn:waybill:feed:{}:Patient", feed.name), |base| format!("{base}Patient"));
    Identity {
        authority: system.clone(),
        value: id.to_owned(),
        system: Some(system.into()),
        kind: Some(RESOURCE_ID),
    }
}

/// The patients of the Bundle.
pub(crate) struct Known<'k> {
    /// Of an entry.
    pub(crate) by_entry: &'k dyn Fn(usize) -> Option<Identity>,
    /// The entry of the patient with this system and value, whichever of his identifiers that is.
    pub(crate) by_identifier: &'k dyn Fn(&str, &str) -> Option<usize>,
}

impl Known<'_> {
    /// The patient with this identifier: the Bundle's own, else whoever that is.
    fn named(&self, system: Option<&str>, value: &str, feed: &Feed) -> Option<Subject> {
        if value.is_empty() {
            return None;
        }
        let at = (self.by_identifier)(system.unwrap_or_default(), value);
        let known = at.and_then(|at| Some(Subject::Patient((self.by_entry)(at)?, Some(at))));
        known.or_else(|| Some(Subject::Patient(of_token(system, value, feed), None)))
    }
}

/// Whom `reference`, made in entry `from`, means.
pub(crate) fn subject(
    bundle: &Bundle<'_>,
    from: usize,
    reference: &Reference<'_>,
    known: &Known<'_>,
    feed: &Feed,
) -> Subject {
    let literal = reference.reference.as_deref().map(Target::of);
    if let Some(text) = reference.reference.as_deref()
        && let Some(at) = bundle.resolve(from, text)
    {
        return match (&*bundle.entries[at].head.resource_type, (known.by_entry)(at)) {
            ("Patient", Some(identity)) => Subject::Patient(identity, Some(at)),
            ("Patient", None) => Subject::Unknown,
            _ => Subject::Other,
        };
    }
    if let Some(Target::Contained(id)) = literal {
        return match bundle.contained(from, id) {
            Some(("Patient", raw)) => resources::checked::<Patient<'_>>(raw, "Patient")
                .ok()
                .and_then(|patient| of_patient(&Patient { id: None, ..patient }, None, feed))
                .map_or(Subject::Unknown, |identity| Subject::Patient(identity, None)),
            Some(_) => Subject::Other,
            None => Subject::Unknown,
        };
    }
    let kind = literal.and_then(|target| target.resource_type()).or(reference.r#type.as_deref());
    if kind.is_some_and(|kind| kind != "Patient") {
        return Subject::Other;
    }
    let by_reference = literal.and_then(|target| match target {
        Target::Conditional { token, .. } => {
            let (system, value) = split_token(token);
            known.named(Some(system.as_str()).filter(|system| !system.is_empty()), value.trim(), feed)
        }
        _ => None,
    });
    let by_identifier = || {
        let identifier = reference.identifier.as_ref()?;
        known.named(identifier.system.as_deref(), identifier.value.as_deref()?.trim(), feed)
    };
    let by_logical_id = || {
        let identity = match literal? {
            Target::Relative { id, .. } => of_logical_id(bundle.base_of(from), id, feed),
            Target::Absolute { base, id, .. } => of_logical_id(Some(base), id, feed),
            _ => return None,
        };
        Some(Subject::Patient(identity, None))
    };
    by_reference.or_else(by_identifier).or_else(by_logical_id).unwrap_or(Subject::Unknown)
}
