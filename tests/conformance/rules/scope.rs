//! What an expectation has and no event could: nothing is compared.

use super::{Difference, Rule};
use crate::node::Node;

/// Of the parts of a field, as nearly all messages have them.
const DELIMITERS: [char; 3] = ['~', '^', '&'];

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "made from a segment that this part of the events is not made of",
        source: "schemas/*.avsc name the segment of each field; IN2, BLG, PDA, ACC, CTD, TQ1, PV2-1 and the like",
        not_carried: true,
        applies: of_another_segment,
    },
    Rule {
        name: "a specimen's numbers are those of SPM-2: of its parents, its accession and its container none are carried",
        source: "schemas/lab.result.v1.avsc, Specimen; SPM-3, SPM-30, SPM-31",
        not_carried: true,
        applies: |it| {
            let number = it.within("identifier").and_then(|number| number.value("value"));
            it.path().starts_with("Specimen.identifier")
                && it.part_is_missing()
                && number.is_some_and(|number| {
                    let mut own = it.message.fields("SPM", 2);
                    it.message.says(&["SPM"], number)
                        && !own.any(|pair| pair.split(DELIMITERS).any(|part| part == number))
                })
        },
    },
    Rule {
        name: "other participants (PV1-52) are not carried: deprecated since 2.4 in favour of ROL",
        source: "HL7 v2.4 §3.4.3.52",
        not_carried: true,
        applies: |it| it.within("participant").is_some_and(|who| who.value("role") == Some("other")),
    },
    Rule {
        name: "the type of a universal id is no authority",
        source: "HL7 v2 HD-2 and HD-3; the FHIR converter takes HD-3 unless it is ISO, and leaves the authority out",
        not_carried: true,
        applies: |it| match (it.expected(), it.compared.found.as_deref()) {
            (Some(expected), Some([id, ..])) if it.path().ends_with(".system") => {
                let kind = expected.rsplit('/').next().unwrap_or_default();
                it.message.says_ignoring_case(&format!("&{id}&{kind}"))
            }
            _ => false,
        },
    },
    Rule {
        name: "a payer has one identifier without authority and type in the events",
        source: "schemas/clinical.encounter.v1.avsc, Coverage.payerId; IN1-3",
        not_carried: true,
        applies: |it| it.path().starts_with("Coverage.payerIdentifier.") && !it.is_value(),
    },
    Rule {
        name: "type and authority of a transaction id are the converter's own",
        source: "FT1-2 is ST: it has neither",
        not_carried: true,
        applies: |it| it.path().starts_with("ChargeItem.identifier.") && !it.is_value(),
    },
    Rule {
        name: "a name type alone is no name",
        source: "XCN-10 and XPN-7 classify a name; FHIR R4 HumanName",
        not_carried: true,
        applies: |it| {
            let alone = |name: &Node| {
                name.children.is_empty() && name.fields.iter().all(|(field, _)| *field == "use")
            };
            it.within("name").is_some_and(alone)
        },
    },
    Rule {
        name: "a parent order is a number in the order that follows it",
        source: "schemas/lab.order.v1.avsc, ServiceRequest.parent; ORC-8",
        not_carried: true,
        applies: |it| {
            let coded = |request: &Node| request.children.iter().any(|child| child.kind == "code");
            it.part_is_missing()
                && it.within("ServiceRequest").is_some_and(|request| !coded(request))
                && it.message.fields("ORC", 8).any(|parent| !parent.is_empty())
        },
    },
    Rule {
        name: "orders belong to one visit: the patient's, not that of prior results",
        source: "schemas/lab.order.v1.avsc, visit; HL7 v2 §4.4.6, the groups PATIENT_VISIT and PRIOR_RESULT",
        not_carried: true,
        applies: |it| {
            it.path().starts_with("Visit.") && it.part_is_missing() && it.message.fields("PV1", 0).count() > 1
        },
    },
    Rule {
        name: "where a patient was to go and did not (PV2-1) is no place of the encounter",
        source: "HL7 v2 §3.4.4.1",
        not_carried: true,
        applies: |it| {
            let place = it.within("location").and_then(|place| place.value("ward"));
            it.path().starts_with("Encounter.location")
                && it.part_is_missing()
                && place.is_some_and(|place| it.message.field("PV2", 1).contains(place))
        },
    },
    Rule {
        name: "null is no value",
        source: "HL7 v2 §2.5.3: two double quotes mean that there is none",
        not_carried: true,
        applies: |it| it.expected() == Some("\"\""),
    },
];

/// By the outermost parts: their segments.
fn segments(path: &str) -> &'static [&'static str] {
    const BY_PATH: [(&str, &[&str]); 16] = [
        ("Patient.contact", &["NK1"]),
        ("Patient", &["PID"]),
        ("Encounter.location", &["PV1"]),
        ("Encounter.participant", &["PV1", "PV2"]),
        ("Encounter", &["PV1", "PV2"]),
        ("Account", &["PID"]),
        ("Visit", &["PV1"]),
        ("Coverage", &["IN1"]),
        ("Observation", &["OBX", "NTE"]),
        ("Procedure", &["PR1"]),
        ("Diagnosis", &["DG1"]),
        ("DiagnosticReport.specimen", &["SPM"]),
        ("DiagnosticReport", &["OBR", "ORC"]),
        ("Specimen", &["SPM"]),
        ("ServiceRequest.note", &["NTE"]),
        ("ServiceRequest", &["ORC", "OBR"]),
    ];
    BY_PATH.iter().find(|(start, _)| path.starts_with(start)).map_or(&[], |(_, segments)| segments)
}

/// Nothing that names an expected part stands in the segments that such parts are made of.
fn of_another_segment(it: &Difference<'_, '_>) -> bool {
    let segments = segments(it.path());
    if segments.is_empty() || it.expected().is_none() {
        return false;
    }
    if ["ServiceRequest.note", "Coverage.memberNumber", "DiagnosticReport.specimen"].contains(&it.path()) {
        let said = it.expected().is_some_and(|note| it.message.says(segments, note));
        if !said || it.path() != "DiagnosticReport.specimen" {
            return !said;
        }
    }
    it.compared
        .within
        .iter()
        .filter(|part| !["Patient", "Encounter"].contains(&part.kind))
        .any(|part| naming(part).is_some_and(|name| !it.message.says(segments, name)))
}

/// What names a part: short codes stand everywhere and say nothing.
fn naming(part: &Node) -> Option<&str> {
    let own = part.fields.iter().find(|(field, value)| match *field {
        "value" | "family" | "display" | "ward" | "room" | "facility" | "building" | "city" => {
            value.raw.len() > 1
        }
        "code" => value.raw.len() > 2,
        _ => false,
    });
    let own = own.map(|(_, value)| value.raw.as_str());
    own.or_else(|| part.children.iter().find_map(naming))
}
