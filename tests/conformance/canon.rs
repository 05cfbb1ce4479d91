//! Values in a form in which equal ones are equal: other names of the same thing are not differences.

use waybill_contracts::Timestamp;

/// A value as it stands there, and as it is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Value {
    pub(crate) raw: String,
    pub(crate) canonical: String,
}

/// Text without the blanks around it.
pub(crate) fn text(raw: &str) -> Option<Value> {
    let raw = raw.trim();
    (!raw.is_empty()).then(|| Value { raw: raw.to_owned(), canonical: raw.to_owned() })
}

/// A number by its value: trailing zeros are no difference.
pub(crate) fn number(raw: &str) -> Option<Value> {
    let value = text(raw)?;
    let canonical = value.raw.parse::<f64>().map_or(value.canonical, |number| number.to_string());
    Some(Value { raw: value.raw, canonical })
}

/// A date and time by its moment, whatever offset it is written with; a date as it is.
pub(crate) fn date(raw: &str) -> Option<Value> {
    let value = text(raw)?;
    let moment = Timestamp::parse_rfc3339(&value.raw);
    let canonical = moment.map_or(value.canonical, |moment| format!("{moment:?}"));
    Some(Value { raw: value.raw, canonical })
}

/// A relationship to the subscriber by FHIR's name, whatever table it is from.
pub(crate) fn relationship(raw: &str) -> Option<Value> {
    let value = text(raw)?;
    let canonical = match value.raw.as_str() {
        "SEL" => "self",
        "SPO" => "spouse",
        "CHD" => "child",
        other => other,
    };
    Some(Value { canonical: canonical.to_owned(), raw: value.raw })
}

/// Prefixes under which converters make URIs of names that are none.
const MADE_UP: [&str; 4] = [
    "http://example.com/v2-to-fhir-converter/Identifier/",
    "http://example.com/v2-to-fhir-converter/CodeSystem/",
    "https://terminology.hl7.org/CodeSystem-v2-0396.html#v2-0396-",
    "urn:id:",
];

/// A code system or authority by one of its names.
pub(crate) fn system(raw: &str) -> Option<Value> {
    let value = text(raw)?;
    let plain = MADE_UP.iter().find_map(|prefix| value.raw.strip_prefix(prefix)).unwrap_or(&value.raw);
    let table = plain.strip_prefix("http://terminology.hl7.org/CodeSystem/v2-");
    let canonical = match plain.to_ascii_uppercase().as_str() {
        "LN" | "LOINC" => "http://loinc.org",
        "SCT" | "SNOMED" => "http://snomed.info/sct",
        "UCUM" => "http://unitsofmeasure.org",
        "I10" => "http://hl7.org/fhir/sid/icd-10",
        "I10C" => "http://hl7.org/fhir/sid/icd-10-cm",
        "I9" | "I9C" => "http://hl7.org/fhir/sid/icd-9-cm",
        "C4" => "http://www.ama-assn.org/go/cpt",
        "NDC" => "http://hl7.org/fhir/sid/ndc",
        "CVX" => "http://hl7.org/fhir/sid/cvx",
        // The table of race codes is the code set of the CDC.
        "CDCREC"
        | "HTTP://HL7.ORG/FHIR/US/CORE/CODESYSTEM-CDCREC.HTML"
        | "HTTP://TERMINOLOGY.HL7.ORG/CODESYSTEM/V3-RACE" => "urn:oid:2.16.840.1.113883.6.238",
        "99ZZZORL" => "L",
        // The codes of currencies.
        "ISO" => "urn:iso:std:iso:3986",
        _ => plain,
    };
    // In a made-up URI a hyphen stands for each blank of the name.
    let canonical = table.map_or_else(|| canonical.replace(' ', "-"), |number| format!("HL7{number}"));
    Some(Value { raw: value.raw, canonical })
}
