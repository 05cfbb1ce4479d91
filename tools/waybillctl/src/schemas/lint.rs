//! Rules for a schema by itself.

use super::types::{Types, short};

/// What `phi` may say.
const PHI: [&str; 4] = ["direct", "date", "quasi", "free-text"];

/// Fields that identify a person wherever they stand, by name; FHIR's names for 45 CFR 164.514(b)(2).
const IDENTIFYING: &[&str] = &[
    "family",
    "given",
    "prefix",
    "suffix",
    "line",
    "city",
    "district",
    "postalCode",
    "phone",
    "fax",
    "email",
    "ssn",
    "mrn",
    "subscriberId",
    "memberId",
    "accountNumber",
    "licenseNumber",
    "deviceSerialNumber",
    "url",
    "ipAddress",
    "photo",
    "note",
    "valueString",
    "occurredAt",
    "issued",
    "receivedTime",
    "maritalStatus",
    "race",
    "ethnicity",
];
/// Fields that do so in one record.
const IDENTIFYING_IN: &[(&str, &str)] = &[
    ("Identifier", "value"),
    ("ContactPoint", "value"),
    ("Address", "state"),
    ("Address", "country"),
    ("Period", "start"),
    ("Period", "end"),
    ("Coverage", "group"),
    ("EncounterDiagnosis", "code"),
    ("EncounterProcedure", "code"),
    ("Attachment", "title"),
    ("Body", "data"),
];

/// What breaks the rules.
pub(crate) fn problems(types: &Types) -> Vec<String> {
    let mut found = Vec::new();
    for (record, fields) in &types.records {
        let record = short(record);
        for field in fields {
            let place = format!("{record}.{}", field.name);
            if field.doc.as_deref().unwrap_or_default().trim().is_empty() {
                found.push(format!("{place} has no doc"));
            }
            match &field.phi {
                Some(phi) if !PHI.contains(&phi.as_str()) => {
                    found.push(format!("{place} has phi {phi:?}, which is none of {PHI:?}"));
                }
                None if identifies(record, &field.name, &field.ty) => {
                    found.push(format!("{place} identifies a person and carries no phi"));
                }
                _ => {}
            }
        }
    }
    found
}

fn identifies(record: &str, name: &str, ty: &str) -> bool {
    // A date of a person's life is text in the precision sent; a timestamp of ours is a long.
    let date = ty.contains("string") && (name.ends_with("Date") || name.ends_with("DateTime"));
    date || IDENTIFYING.contains(&name) || IDENTIFYING_IN.contains(&(record, name))
}
