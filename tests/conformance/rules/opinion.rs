//! Where the expectation is an opinion that HL7's maps or the standard do not share.

use super::{Difference, Rule};
use crate::node::Node;

const fn rule(name: &'static str, source: &'static str, applies: fn(&Difference<'_, '_>) -> bool) -> Rule {
    Rule { name, source, not_carried: false, applies }
}

pub(super) const RULES: &[Rule] = &[
    rule(
        "the offset in MSH-7 is the default of the whole message",
        "HL7 v2 §2.14.9.7 (MSH-7); the converters take UTC or their own zone",
        |it| match (it.expected(), it.found()) {
            (Some(expected), Some(found)) => {
                local_time(expected).is_some_and(|local| local_time(found) == Some(local))
            }
            _ => false,
        },
    ),
    rule(
        "codes of table 0085 without a FHIR status: I and O registered, R and S preliminary, U and V final, B amended, N cancelled",
        "v2-to-FHIR ObservationResultStatusCodesInterpretation has no target; table 0085's text",
        |it| {
            let codes: &[&str] = match it.found() {
                Some("registered") => &["I", "O"],
                Some("preliminary") => &["R", "S"],
                Some("final") => &["U", "V"],
                Some("amended") => &["B"],
                Some("cancelled") => &["N"],
                _ => return false,
            };
            it.path() == "Observation.status"
                && it.message.fields("OBX", 11).any(|code| codes.contains(&code))
        },
    ),
    rule(
        "a mobile telephone (CP) of which nothing says home or work is mobile",
        "v2-to-FHIR TelecommunicationEquipmentType: CP is the use mobile",
        |it| it.path().ends_with("telecom.use") && it.found() == Some("mobile"),
    ),
    rule("the county in PID-12 is the only address's", "v2-to-FHIR PID[Patient], PID-12", |it| {
        let address = it.within("address");
        it.path() == "Patient.address.district"
            && address.is_some_and(|address| address.fields.len() == 1)
            && it.expected() == Some(it.message.field("PID", 12))
    }),
    rule(
        "a coding system as sent, the field's table only where none is",
        "v2-to-FHIR CWE[CodeableConcept], CWE-3",
        |it| {
            let code = it.within("coding").and_then(|coding| coding.value("code"));
            let sent = it.found().zip(code).is_some_and(|(found, code)| {
                let names: &[&str] = match found {
                    "http://snomed.info/sct" => &["SCT"],
                    "http://loinc.org" => &["LN", "LOINC"],
                    other => &[other],
                };
                names.iter().any(|name| it.message.codes(code, name))
            });
            it.path().ends_with("coding.system") && sent
        },
    ),
    rule("PID-19 is of type SS", "v2-to-FHIR PID[Patient]: SS in the US, SB elsewhere", |it| {
        it.is("Patient.identifier.type", "SB", "SS")
    }),
    rule(
        "what a person is called by (XPN-15) is a name of its own",
        "v2-to-FHIR XPN[HumanName], XPN-15: nickname, where there may be several names",
        |it| {
            let nickname = |name: &Node| name.value("use") == Some("nickname");
            it.path().ends_with("name.given") && it.expected() == Some("Addsm")
                || it.path().ends_with("name") && it.extra().is_some_and(nickname)
        },
    ),
    rule(
        "account number (PID-18) and driver's licence (PID-20) are among the patient's identifiers",
        "schemas/clinical.patient.v1.avsc; v2-to-FHIR DLN[Identifier]",
        |it| {
            let value =
                it.extra().filter(|extra| extra.kind == "identifier").and_then(|extra| extra.value("value"));
            it.path() == "Patient.identifier"
                && value.is_some_and(|value| {
                    [18, 19, 20].iter().any(|at| it.message.field("PID", *at).contains(value))
                })
        },
    ),
    rule(
        "the same identifier in PID-2, PID-3 or PID-4 is one",
        "HL7 v2.3.1 §3.3.2: PID-2 and PID-4 are retained for what PID-3 holds",
        |it| {
            let value = it.within("identifier").and_then(|part| part.value("value"));
            let places = |value: &str| {
                [2, 3, 4].iter().filter(|at| it.message.field("PID", **at).contains(value)).count()
            };
            it.path().starts_with("Patient.identifier.") && value.is_some_and(|value| places(value) > 1)
        },
    ),
    rule(
        "a name type that v2-to-FHIR has no use for gives none",
        "v2-to-FHIR NameType: B and others have no target",
        |it| it.path().ends_with("name.use") && it.found_none(),
    ),
    rule(
        "the event decides the encounter's status; a message of another kind says nothing about it",
        "v2-to-FHIR Event[EncounterStatus]; docs/adr/0004",
        |it| {
            let silent = it.message_is("DFT") || it.message.message_type().1 == "A08";
            it.path() == "Encounter.status" && (it.message.converted || silent)
        },
    ),
    rule(
        "of a patient of class P the location is planned",
        "v2-to-FHIR PV1[Encounter], PV1-3: planned if PV1-2 is P",
        |it| {
            it.path() == "Encounter.location.status"
                && it.found() == Some("planned")
                && it.message.field("PV1", 2).starts_with('P')
        },
    ),
    rule("the type of an appointment is SCH-8, its reason SCH-7", "v2-to-FHIR SCH[Appointment]", |it| {
        it.path().starts_with("Appointment.appointmentType") && !it.part_is_missing()
    }),
    rule(
        "the diagnoses of charges have ranks of their own, so that pointers point to one",
        "schemas/billing.charge.v1.avsc, diagnosisPointer",
        |it| it.path() == "Diagnosis.rank" && it.message_is("DFT"),
    ),
    rule(
        "who was discharged is nowhere any more",
        "HL7 v2 §3.3.3 (A03); what is planned is PV1-42, the pending location",
        |it| {
            it.path() == "Encounter.location.status"
                && it.found() == Some("completed")
                && (it.message.message_type().1 == "A03" || !it.message.field("PV1", 45).is_empty())
        },
    ),
    rule("a cancelled discharge has no disposition", "HL7 v2 §3.3.13 (A13)", |it| {
        it.path().starts_with("Encounter.dischargeDisposition") && it.message.message_type().1 == "A13"
    }),
    rule(
        "order status by ORC-5, else by ORC-1",
        "v2-to-FHIR OrderStatus, OrderControlCode[ServiceRequest.status]",
        |it| it.path() == "ServiceRequest.status" && it.expected() == Some("unknown") && it.found().is_some(),
    ),
    rule(
        "the order's numbers and its orderer are ORC's, OBR's where ORC has none",
        "v2-to-FHIR ORC[ServiceRequest], OBR[ServiceRequest]",
        |it| {
            let place = ["requester", "placer", "filler"].iter().any(|kind| it.within(kind).is_some());
            let found = it.compared.found.iter().flatten().next();
            it.path().starts_with("ServiceRequest.")
                && place
                && found.is_some_and(|found| it.message.says(&["ORC"], found))
        },
    ),
    rule("FHIR time is hh:mm:ss", "FHIR R4 §2.24.0.1; ReportStream copies TM", |it| {
        let digits = |text: &str| text.replace(':', "");
        it.path() == "Observation.valueTime" && it.found().map(digits).as_deref() == it.expected()
    }),
    rule(
        "SN whose suffix is none of - / : is text, as it would be printed: cutting the second number off changes the value",
        "HL7 v2 §2A.3.71; v2-to-FHIR SN[Quantity] keeps the first number",
        |it| {
            let odd =
                |value: &str| value.split('^').nth(2).is_some_and(|suffix| [".", "+"].contains(&suffix));
            it.message.fields("OBX", 5).any(odd)
                && (it.path() == "Observation.valueString"
                    || it.path().starts_with("Observation.valueQuantity"))
        },
    ),
    rule("a number in parts (XTN-6, XTN-7) is a number", "v2-to-FHIR XTN[ContactPoint], XTN-7", |it| {
        let number =
            it.extra().filter(|_| it.path() == "Patient.telecom").and_then(|extra| extra.value("value"));
        let mut parts = number.unwrap_or_default().split([' ', '+', 'X']).filter(|part| !part.is_empty());
        number.is_some_and(|number| number.contains(' ')) && parts.all(|part| it.message.says(&["PID"], part))
    }),
    rule(
        "every NK1 is a contact, with all its names and addresses",
        "v2-to-FHIR NK1[Patient]; FHIR's own cardinality of contact.name and contact.address is one",
        |it| it.extra().is_some() && it.path().starts_with("Patient.contact"),
    ),
    rule(
        "what is of another NK1 is of another contact",
        "v2-to-FHIR NK1[Patient]; ReportStream makes one contact of several NK1",
        |it| {
            it.path().starts_with("Patient.contact.telecom.")
                && it.message.fields("NK1", 0).count() > 1
                && it
                    .compared
                    .found
                    .iter()
                    .flatten()
                    .all(|found| it.message.says(&["NK1"], found) || matches!(*found, "fax" | "other"))
        },
    ),
    rule("sex N, not applicable, is other", "v2-to-FHIR AdministrativeSex, table 0001", |it| {
        it.is("Patient.contact.gender", "unknown", "other")
            && it.message.fields("NK1", 15).any(|sex| sex.starts_with('N'))
    }),
    rule(
        "every OBX is an observation",
        "HL7 v2 §7.4.2; the FHIR converter makes documents of ED and RP, and one resource of two that it cannot tell apart",
        |it| {
            let code = it.extra().and_then(|extra| extra.children.iter().find(|child| child.kind == "code"));
            let code = code.and_then(|code| code.children.first()).and_then(|coding| coding.value("code"));
            it.path() == "Observation"
                && code.is_some_and(|code| it.message.fields("OBX", 3).any(|sent| sent.contains(code)))
        },
    ),
    rule(
        "formatting commands of the text are carried out",
        "HL7 v2 §2.7.6: \\.br\\ begins a new line",
        |it| {
            it.path() == "Observation.valueString"
                && it.expected().is_some_and(|text| text.contains("\\.br\\"))
        },
    ),
    rule(
        "a code is no text",
        "v2-to-FHIR CWE[CodeableConcept]: display is CWE-2; the FHIR converter fills it with CWE-1",
        |it| {
            it.path().ends_with("coding.display")
                && it.found_none()
                && it.within("coding").is_some_and(|coding| coding.value("code") == it.expected())
        },
    ),
    rule(
        "a contact's number says home only where its use code does",
        "v2-to-FHIR NK1[Patient], NK1-5: no use",
        |it| it.path() == "Patient.contact.telecom.use" && it.found_none(),
    ),
    rule(
        "the appointment's comment has the comments of its services and resources too",
        "schemas/clinical.appointment.v1.avsc, comment; HL7 v2 §10.3.1: NTE after SCH, AIS, AIG, AIL, AIP",
        |it| {
            it.path() == "Appointment.comment"
                && it.found().zip(it.expected()).is_some_and(|(found, first)| found.starts_with(first))
        },
    ),
    rule("a note belongs to the segment that it follows", "HL7 v2 §2.15.10 (NTE)", |it| {
        ["Observation.note", "ServiceRequest.note"].contains(&it.path()) && it.found_none()
    }),
    rule("an expected end (PV2-9) is no end", "v2-to-FHIR PV1[Encounter]: period.end is PV1-45", |it| {
        it.path() == "Encounter.period.end" && it.found_none() && it.message.field("PV1", 45).is_empty()
    }),
    rule("every ORC or OBR is an order", "HL7 v2 §4.4.1, §4.4.6", |it| {
        it.path() == "ServiceRequest" && it.extra().is_some()
    }),
    rule(
        "a report without OBR-25 has status unknown",
        "FHIR R4 DiagnosticReport.status; v2-to-FHIR asks for an error",
        |it| it.path() == "DiagnosticReport.status" && it.found() == Some("unknown"),
    ),
    rule(
        "of an order OBR-7 is when something is to be done, and no specimen",
        "HL7 v2.5.1 §4.5.3.7: in a request the time that is asked for",
        |it| it.path() == "Specimen.collected" && it.part_is_missing() && it.message_is_order(),
    ),
    rule(
        "SPM says all of OBR-7, OBR-14 and OBR-15 again",
        "HL7 v2.5 §4.5.3.15: OBR-15 is replaced by SPM",
        |it| {
            it.path().starts_with("Specimen.")
                && it.part_is_missing()
                && it.message.fields("SPM", 0).next().is_some()
        },
    ),
];

/// The local part of a FHIR dateTime that has a time of day.
fn local_time(text: &str) -> Option<&str> {
    let (date, time) = text.split_once('T')?;
    let end = time.find(['Z', '+', '-']).unwrap_or(time.len());
    Some(&text[..date.len() + 1 + end])
}
