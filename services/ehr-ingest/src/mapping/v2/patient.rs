//! PID as a patient.

use waybill_contracts::{
    Phi,
    fhir::{CodeableConcept, Coding, Identifier, Patient},
};
use waybill_hl7v2::Segment;

use super::{
    codes,
    datatypes::{Reading, code, concept, concepts, date, date_time, identifier},
    people::{addresses, names, telecoms},
};

/// The patient of a PID segment.
pub(super) fn patient(pid: &Segment<'_>, default_authority: Option<&str>, reading: &Reading) -> Patient {
    let deceased_date_time = date_time(&pid.field(29), reading);
    let deceased = match code(&pid.field(30), reading).as_deref() {
        Some("Y") => Some(true),
        Some("N") => Some(false),
        _ => None,
    };
    Patient {
        identifier: identifiers(pid, default_authority, reading),
        active: true,
        name: [5, 9].into_iter().flat_map(|number| names(&pid.field(number), reading)).collect(),
        telecom: telecoms(&pid.field(13), Some(&pid.field(14)), reading),
        gender: code(&pid.field(8), reading).map(|code| codes::gender(&code).to_owned()),
        birth_date: date(&pid.field(7)),
        // FHIR has one of the two.
        deceased_boolean: deceased.filter(|_| deceased_date_time.is_none()),
        deceased_date_time,
        address: addresses(&pid.field(11), reading),
        marital_status: concept(&pid.field(16).repetition(1), reading).map(marital_status),
        communication: concepts(&pid.field(15), reading),
        race: concepts(&pid.field(10), reading).into_iter().map(Phi::new).collect(),
        ethnicity: concepts(&pid.field(22), reading).into_iter().map(Phi::new).collect(),
        ..Patient::default()
    }
}

/// PID-3 first, in the order sent; then what older versions put elsewhere, unless it is the same again.
fn identifiers(pid: &Segment<'_>, default_authority: Option<&str>, reading: &Reading) -> Vec<Identifier> {
    let mut identifiers: Vec<Identifier> = Vec::new();
    let sources = [
        (3, None, default_authority),
        (2, None, None),
        (4, None, None),
        (18, Some("AN"), None),
        (19, Some("SS"), None),
    ];
    for (number, default_type, authority) in sources {
        for whole in pid.field(number).repetitions() {
            let Some(found) = identifier(&whole, default_type, authority, reading) else { continue };
            let known = identifiers.iter().any(|known| {
                known.value == found.value && (found.r#type.is_none() || known.r#type == found.r#type)
            });
            if !known {
                identifiers.push(found);
            }
        }
    }
    identifiers
}

/// The account number, PID-18.
pub(super) fn account(pid: &Segment<'_>, reading: &Reading) -> Option<Identifier> {
    identifier(&pid.field(18).repetition(1), Some("AN"), None, reading)
}

/// In FHIR's own code system where the table has a counterpart there.
fn marital_status(mut sent: CodeableConcept) -> Phi<CodeableConcept> {
    let local = sent.coding.first().and_then(|coding| coding.code.as_deref());
    if let Some((system, code, display)) = local.and_then(codes::marital_status) {
        let coding = Coding {
            system: Some(system.to_owned()),
            code: Some(code.to_owned()),
            display: Some(display.to_owned()),
        };
        sent.coding = vec![coding];
        sent.text.get_or_insert_with(|| display.to_owned());
    }
    Phi::new(sent)
}
