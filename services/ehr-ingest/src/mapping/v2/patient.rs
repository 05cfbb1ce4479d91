//! PID as a patient.

use smol_str::SmolStr;
use waybill_contracts::{
    Phi,
    fhir::{Address, CodeableConcept, Coding, Identifier, Patient, PatientContact},
};
use waybill_hl7v2::Segment;

use super::{
    codes,
    datatypes::{self, Reading, Value, code, concept, concepts, date, date_time, identifier, leaf},
    people::{addresses, names, telecoms, telecoms_of},
};

/// The patient of a PID segment.
pub(super) fn patient(pid: &Segment<'_>, default_authority: Option<&str>, reading: &Reading) -> Patient {
    let yes_or_no = |number| match code(&pid.field(number), reading).as_deref() {
        // Table 0136; spelled out it says the same.
        Some("Y" | "YES") => Some(true),
        Some("N" | "NO") => Some(false),
        _ => None,
    };
    let deceased_date_time = date_time(&pid.field(29), reading);
    let birth_order = code(&pid.field(25), reading).and_then(|order| order.parse().ok());
    let mut telecom = telecoms(&pid.field(13), Some(&pid.field(14)), reading);
    telecom.extend(telecoms_of(&pid.field(40), None, reading));
    Patient {
        identifier: identifiers(pid, default_authority, reading),
        active: true,
        name: [5, 9].into_iter().flat_map(|number| names(&pid.field(number), reading)).collect(),
        telecom,
        gender: code(&pid.field(8), reading).map(|code| SmolStr::new_static(codes::gender(&code))),
        birth_date: date(&pid.field(7)),
        // FHIR has one of the two, here and of the births.
        deceased_boolean: yes_or_no(30).filter(|_| deceased_date_time.is_none()),
        deceased_date_time,
        address: patient_addresses(pid, reading),
        marital_status: concept(&pid.field(16).repetition(1), reading).map(marital_status),
        communication: concepts(&pid.field(15), reading),
        race: concepts(&pid.field(10), reading).into_iter().map(race).collect(),
        ethnicity: concepts(&pid.field(22), reading).into_iter().map(ethnicity).collect(),
        multiple_birth_boolean: yes_or_no(24).filter(|_| birth_order.is_none()),
        multiple_birth_integer: birth_order,
        ..Patient::default()
    }
}

/// PID-11; the county in PID-12 is that of the only address, unless it says its own (XAD-9).
fn patient_addresses(pid: &Segment<'_>, reading: &Reading) -> Vec<Address> {
    let mut addresses = addresses(&pid.field(11), reading);
    let Some(county) = code(&pid.field(12), reading).map(Phi::new) else { return addresses };
    match addresses.as_mut_slice() {
        [] => addresses.push(Address { district: Some(county), ..Address::default() }),
        [only] if only.district.is_none() => only.district = Some(county),
        _ => {}
    }
    addresses
}

/// Next of kin and other contacts: one per NK1 among the segments that says anything.
pub(super) fn contacts(segments: &[Segment<'_>], reading: &Reading) -> Vec<PatientContact> {
    let contact = |nk1: &Segment<'_>| {
        let field = |number| nk1.field(number);
        let mut telecom = telecoms_of(&field(5), None, reading);
        telecom.extend(telecoms_of(&field(6), Some("work"), reading));
        for further in [40, 41] {
            telecom.extend(telecoms_of(&field(further), None, reading));
        }
        PatientContact {
            relationship: [(3, "HL70063"), (7, "HL70131")]
                .into_iter()
                .filter_map(|(number, table)| datatypes::concept_of(&field(number), table, reading))
                .collect(),
            name: names(&field(2), reading),
            telecom,
            address: addresses(&field(4), reading),
            gender: code(&field(15), reading).map(|code| SmolStr::new_static(codes::gender(&code))),
        }
    };
    let mut contacts: Vec<_> =
        segments.iter().filter(|segment| segment.name() == b"NK1").map(contact).collect();
    contacts.retain(|contact| *contact != PatientContact::default());
    contacts
}

/// PID-3 first, in the order sent; then what older versions put elsewhere, unless it is the same again.
fn identifiers(pid: &Segment<'_>, default_authority: Option<&str>, reading: &Reading) -> Vec<Identifier> {
    let mut identifiers: Vec<Identifier> = Vec::new();
    let sources = [
        (3, None, default_authority),
        (2, None, None),
        (4, None, None),
        (18, Some("AN"), None),
        (19, Some("SS"), Some("http://hl7.org/fhir/sid/us-ssn")),
    ];
    let all = sources.into_iter().flat_map(|(number, default_type, authority)| {
        datatypes::identifiers(&pid.field(number), default_type, authority, reading)
    });
    for found in all.chain(licence(pid, reading)) {
        let known = identifiers.iter().any(|known| {
            known.value == found.value && (found.r#type.is_none() || known.r#type == found.r#type)
        });
        if !known {
            identifiers.push(found);
        }
    }
    identifiers
}

/// PID-20, DLN: the driver's licence under the state that issued it.
fn licence(pid: &Segment<'_>, reading: &Reading) -> Option<Identifier> {
    let whole = pid.field(20).repetition(1);
    let value = leaf(&whole, 1).read(reading)?;
    let kind = SmolStr::new_static("DL");
    Some(Identifier {
        r#use: codes::identifier_use(&kind).map(SmolStr::new_static),
        r#type: Some(kind),
        system: leaf(&whole, 2).read(reading),
        value: Phi::new(value),
        assigner: None,
    })
}

/// The account number, PID-18.
pub(super) fn account(pid: &Segment<'_>, reading: &Reading) -> Option<Identifier> {
    identifier(&pid.field(18).repetition(1), Some("AN"), None, reading)
}

/// The sender's code, and the one of FHIR's own code system.
fn marital_status(sent: CodeableConcept) -> Phi<CodeableConcept> {
    translated(sent, |local| {
        let (system, code, display) = codes::marital_status(local)?;
        Some(coding(system, code, display))
    })
}

/// The sender's code in the code set of the CDC, where it is one or has one there.
fn ethnicity(sent: CodeableConcept) -> Phi<CodeableConcept> {
    let sent = in_cdc_race(sent);
    translated(sent, |local| {
        let (code, display) = codes::ethnicity(local)?;
        Some(coding(codes::CDC_RACE, code, display))
    })
}

fn race(sent: CodeableConcept) -> Phi<CodeableConcept> {
    Phi::new(in_cdc_race(sent))
}

/// Tables 0005 and 0189 take over the codes of the CDC: theirs is the system, not the table.
fn in_cdc_race(mut sent: CodeableConcept) -> CodeableConcept {
    for coding in &mut sent.coding {
        let is_table = matches!(coding.system.as_deref(), None | Some("HL70005" | "HL70189"));
        if is_table && coding.code.as_deref().is_some_and(codes::is_cdc_race) {
            coding.system = Some(SmolStr::new_static(codes::CDC_RACE));
        }
    }
    sent
}

/// The concept with a translation of its first code, unless the sender has translated it.
fn translated(mut sent: CodeableConcept, translate: impl Fn(&str) -> Option<Coding>) -> Phi<CodeableConcept> {
    let local = sent.coding.first().and_then(|coding| coding.code.as_deref());
    if let Some(translation) = local.and_then(translate) {
        let is_known =
            |coding: &Coding| coding.system == translation.system && coding.code == translation.code;
        if !sent.coding.iter().any(is_known) {
            sent.text = sent.text.or_else(|| translation.display.clone());
            sent.coding.push(translation);
        }
    }
    Phi::new(sent)
}

fn coding(system: &'static str, code: &'static str, display: &'static str) -> Coding {
    let text = |text| Some(SmolStr::new_static(text));
    Coding { system: text(system), code: text(code), display: text(display) }
}
