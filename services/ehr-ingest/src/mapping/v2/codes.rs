//! Code tables, HL7 v2 to FHIR R4.
//!
//! Source: the concept maps of HL7's v2-to-FHIR project; where those have no target, the text of the v2 table. What a
//! table does not know never becomes something definite: statuses become `unknown`, other codes stay as sent.

use smol_str::{SmolStr, StrExt, format_smolstr};

const V3_ACT_CODE: &str = "http://terminology.hl7.org/CodeSystem/v3-ActCode";
const V3_MARITAL_STATUS: &str = "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus";
const V3_NULL_FLAVOR: &str = "http://terminology.hl7.org/CodeSystem/v3-NullFlavor";
/// Units of measure.
pub(super) const UCUM: &str = "http://unitsofmeasure.org";

/// Table 0123, OBR-25: status of a report.
pub(super) fn report_status(code: &str) -> &'static str {
    match code {
        // Order received; specimen in the laboratory; scheduled; procedure completed, results pending.
        "O" | "I" | "S" | "N" => "registered",
        // Some, but not all, results; stored, not yet verified.
        "A" | "R" => "partial",
        // "Corrected, not final" (M) is not a final report either.
        "P" | "M" => "preliminary",
        "F" => "final",
        "C" => "corrected",
        // Appended report: FHIR's parent concept, as `appended` is not in the events' list.
        "B" => "amended",
        "X" => "cancelled",
        // Y and Z say that order or patient are not known: nothing about a report.
        _ => "unknown",
    }
}

/// Table 0085, OBX-11: status of an observation.
pub(super) fn observation_status(code: &str) -> &'static str {
    match code {
        // Results pending; order detail only.
        "I" | "O" => "registered",
        // Not verified (R) and partial (S) are preliminary: the standard says that they may change.
        "P" | "R" | "S" => "preliminary",
        // U: what was preliminary is final now. V: final, reviewed and confirmed.
        "F" | "U" | "V" => "final",
        // Amended; appended report.
        "A" | "B" => "amended",
        "C" => "corrected",
        // Cannot be obtained; not asked.
        "X" | "N" => "cancelled",
        // Deleted; posted as wrong.
        "D" | "W" => "entered-in-error",
        _ => "unknown",
    }
}

/// Why an observation has no value, from OBX-11.
pub(super) fn absent_reason(code: &str) -> &'static str {
    match code {
        "N" => "not-asked",
        "X" => "not-performed",
        "D" | "W" => "error",
        _ => "unknown",
    }
}

/// Table 0078 flags that make a result critical, OBX-8.
pub(super) fn is_critical(code: &str) -> bool {
    matches!(code, "HH" | "LL" | "AA")
}

/// Table 0074, OBR-24: services on the patient himself, such as imaging and physiology.
pub(super) fn is_without_specimen(code: &str) -> bool {
    const CODES: [&str; 26] = [
        "CT", "CTH", "CUS", "EC", "EN", "ICU", "MYO", "NMR", "NMS", "NRS", "OT", "OUS", "PAR", "PF", "PHR",
        "PHY", "PT", "RAD", "RC", "RT", "RUS", "RX", "VR", "VUS", "XRC", "CP",
    ];
    CODES.contains(&code)
}

/// Table 0004, PV1-2: code system, code and display of the encounter's class. What has no FHIR class stays as sent.
pub(super) fn encounter_class(code: &str) -> (&'static str, &str, Option<&'static str>) {
    match code {
        "E" => (V3_ACT_CODE, "EMER", Some("emergency")),
        "I" => (V3_ACT_CODE, "IMP", Some("inpatient encounter")),
        "O" => (V3_ACT_CODE, "AMB", Some("ambulatory")),
        "P" => (V3_ACT_CODE, "PRENC", Some("pre-admission")),
        other => ("HL70004", other, None),
    }
}

/// Table 0001, PID-8, in either case; some senders write the words.
pub(super) fn gender(code: &str) -> &'static str {
    const WORDS: [(&str, &[&str]); 3] = [
        ("female", &["F", "female"]),
        ("male", &["M", "male"]),
        ("other", &["O", "A", "N", "other", "ambiguous"]),
    ];
    let is = |words: &[&str]| words.iter().any(|word| code.eq_ignore_ascii_case(word));
    WORDS.iter().find(|(_, words)| is(words)).map_or("unknown", |(gender, _)| gender)
}

/// Table 0002, PID-16: code system, code and display.
pub(super) fn marital_status(code: &str) -> Option<(&'static str, &'static str, &'static str)> {
    let (code, display) = match code {
        "A" | "E" => ("L", "Legally Separated"),
        "D" => ("D", "Divorced"),
        "M" => ("M", "Married"),
        "S" => ("S", "Never Married"),
        "W" => ("W", "Widowed"),
        "C" => ("C", "Common Law"),
        "G" | "P" | "R" => ("T", "Domestic partner"),
        "N" => ("A", "Annulled"),
        "I" => ("I", "Interlocutory"),
        "B" => ("U", "unmarried"),
        "U" => return Some((V3_NULL_FLAVOR, "UNK", "Unknown")),
        "O" => return Some((V3_NULL_FLAVOR, "OTH", "Other")),
        "T" => return Some((V3_NULL_FLAVOR, "NAVU", "Not available")),
        _ => return None,
    };
    Some((V3_MARITAL_STATUS, code, display))
}

/// Table 0200, XPN-7.
pub(super) fn name_use(code: &str) -> Option<&'static str> {
    Some(match code {
        "L" | "R" => "official",
        "D" => "usual",
        "M" => "maiden",
        "N" => "nickname",
        "MSK" => "anonymous",
        "TEMP" | "NAV" => "temp",
        "BAD" => "old",
        _ => return None,
    })
}

/// Table 0190, XAD-7.
pub(super) fn address_use(code: &str) -> Option<&'static str> {
    Some(match code {
        "H" => "home",
        "B" | "O" => "work",
        "C" => "temp",
        "BA" => "old",
        "BI" => "billing",
        _ => return None,
    })
}

/// Table 0201, XTN-2.
pub(super) fn telecom_use(code: &str) -> Option<&'static str> {
    Some(match code {
        "PRN" => "home",
        "WPN" => "work",
        "PRS" => "mobile",
        _ => return None,
    })
}

/// Table 0202, XTN-3.
pub(super) fn telecom_system(code: &str) -> Option<&'static str> {
    Some(match code {
        "PH" | "CP" => "phone",
        "FX" => "fax",
        "BP" => "pager",
        "Internet" | "INTERNET" | "X.400" => "email",
        "MD" | "SAT" | "TDD" | "TTY" => "other",
        _ => return None,
    })
}

/// Table 0203, CX-5: what an identifier is used for.
pub(super) fn identifier_use(code: &str) -> Option<&'static str> {
    Some(match code {
        "MR" | "MRN" | "PI" => "usual",
        "SS" | "DL" | "PPN" | "NI" | "MC" | "NH" => "official",
        "MRT" | "PT" => "temp",
        _ => return None,
    })
}

/// Table 0063, IN1-17 and GT1-11, in the words of FHIR's subscriber-relationship. Other codes stay as sent: a grandchild
/// is more than "other", and of a parent senders disagree whether it is the insured or the patient.
pub(super) fn relationship(code: &str) -> &str {
    match code {
        "SEL" => "self",
        "SPO" => "spouse",
        "DOM" => "common",
        "CHD" => "child",
        other => other,
    }
}

/// Table 0344, IN2-72: the patient's relationship to the insured, in the same words. None of its numbers stays as sent: in
/// X12 most of them mean somebody else.
pub(super) fn insured_relationship(code: &str) -> Option<&str> {
    let Ok(number) = code.parse::<u8>() else { return Some(relationship(code)) };
    Some(match number {
        1 => "self",
        2 => "spouse",
        // Natural children, whoever pays for them, and a step child.
        3..=5 => "child",
        15 => "injured",
        18 => "parent",
        9 | 0 | 20.. => return None,
        _ => "other",
    })
}

/// Table 0485 (and OBR-5 of older versions): urgency of a request. What FHIR has no word for is left out.
pub(super) fn request_priority(code: &str) -> Option<&'static str> {
    Some(match code.to_ascii_uppercase().as_str() {
        "S" | "STAT" => "stat",
        "A" | "ASAP" => "asap",
        "R" | "ROUTINE" => "routine",
        "U" | "URGENT" => "urgent",
        _ => return None,
    })
}

/// Table 0189, PID-22: the code of the CDC's Race and Ethnicity code set, with its display.
pub(super) fn ethnicity(code: &str) -> Option<(&'static str, &'static str)> {
    match code {
        "H" => Some(("2135-2", "Hispanic or Latino")),
        "N" | "NH" => Some(("2186-5", "Non Hispanic or Latino")),
        _ => None,
    }
}

/// A code of the CDC's Race and Ethnicity code set, which table 0005 takes over: `2106-3`.
pub(super) fn is_cdc_race(code: &str) -> bool {
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    code.split_once('-').is_some_and(|(number, check)| {
        number.len() == 4 && check.len() == 1 && digits(number) && digits(check)
    })
}

/// Race and Ethnicity code set of the CDC.
pub(super) const CDC_RACE: &str = "urn:oid:2.16.840.1.113883.6.238";

/// Table 0396, CWE-3: URI of a coding system; names without one stay as sent.
pub(super) fn code_system(name: &str) -> SmolStr {
    SmolStr::new_static(match name.to_ascii_uppercase_smolstr().as_str() {
        "LN" | "LOINC" => "http://loinc.org",
        "SCT" | "SNM" | "SNOMED" | "SNOMED-CT" | "SNOMED CT" | "SCT2" => "http://snomed.info/sct",
        "UCUM" => UCUM,
        "I10C" | "ICD10CM" | "ICD-10-CM" | "I10-CM" => "http://hl7.org/fhir/sid/icd-10-cm",
        "I10" | "ICD10" | "ICD-10" => "http://hl7.org/fhir/sid/icd-10",
        "I10P" | "ICD10PCS" | "ICD-10-PCS" => "http://www.cms.gov/Medicare/Coding/ICD10",
        "I9" | "I9C" | "I9CDX" | "ICD9" | "ICD-9-CM" => "http://hl7.org/fhir/sid/icd-9-cm",
        "C4" | "CPT" | "CPT4" | "CPT-4" | "C5" => "http://www.ama-assn.org/go/cpt",
        "HCPCS" | "HPC" => "https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets",
        "RXNORM" | "RXN" => "http://www.nlm.nih.gov/research/umls/rxnorm",
        "NDC" => "http://hl7.org/fhir/sid/ndc",
        "CVX" => "http://hl7.org/fhir/sid/cvx",
        "MVX" => "http://hl7.org/fhir/sid/mvx",
        "NUCC" => "http://nucc.org/provider-taxonomy",
        "CDCREC" => CDC_RACE,
        _ => return name.into(),
    })
}

/// CWE-14, -17, -20: the object identifier of a coding system, as the URI that its users know where there is one.
pub(super) fn code_system_of_oid(oid: &str) -> SmolStr {
    let oid = oid.strip_prefix("urn:oid:").unwrap_or(oid);
    SmolStr::new_static(match oid {
        "2.16.840.1.113883.6.1" => "http://loinc.org",
        "2.16.840.1.113883.6.96" => "http://snomed.info/sct",
        "2.16.840.1.113883.6.8" => UCUM,
        "2.16.840.1.113883.6.90" => "http://hl7.org/fhir/sid/icd-10-cm",
        "2.16.840.1.113883.6.3" => "http://hl7.org/fhir/sid/icd-10",
        "2.16.840.1.113883.6.4" => "http://www.cms.gov/Medicare/Coding/ICD10",
        "2.16.840.1.113883.6.103" => "http://hl7.org/fhir/sid/icd-9-cm",
        "2.16.840.1.113883.6.12" => "http://www.ama-assn.org/go/cpt",
        "2.16.840.1.113883.6.88" => "http://www.nlm.nih.gov/research/umls/rxnorm",
        "2.16.840.1.113883.6.69" => "http://hl7.org/fhir/sid/ndc",
        "2.16.840.1.113883.12.292" => "http://hl7.org/fhir/sid/cvx",
        _ => return format_smolstr!("urn:oid:{oid}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_of_the_tables_is_known_and_no_other_is_definite() {
        for code in ["O", "I", "S", "A", "P", "C", "R", "F", "X", "M", "N", "B"] {
            assert_ne!(report_status(code), "unknown", "0123 {code}");
        }
        for code in ["A", "B", "C", "D", "F", "I", "N", "O", "P", "R", "S", "V", "X", "U", "W"] {
            assert_ne!(observation_status(code), "unknown", "0085 {code}");
        }
        for code in ["", "f", "Y", "Z", "unknown", "Final", "Q"] {
            assert_eq!(report_status(code), "unknown", "{code}");
        }
        for code in ["", "f", "unknown", "Z", "Q"] {
            assert_eq!(observation_status(code), "unknown", "{code}");
        }
    }
}
