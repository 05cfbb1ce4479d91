//! FHIR as senders really send it: resources one by one, states that follow each other, references of every form, and
//! bodies that are made to be expensive.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]

use ehr_ingest::{
    accept::fhir::{Interaction, Request, Response, Verdict, accept},
    config::FeedConfig,
    feed::Feed,
    mapping::{self, Event, Mapped, Payload},
};
use proptest::prelude::*;
use serde_json::{Value, json};
use smol_str::SmolStr;
use waybill_adt::Census;
use waybill_contracts::{MessageId, PatientKeyer, Timestamp, fhir::Identifier, inbound::InboundMessage};

fn feed() -> Feed {
    Feed::new(&FeedConfig { name: "ehr".into(), ..FeedConfig::default() }, PatientKeyer::new(b"senders"))
}

fn judge(request: &Request<'_>, second: i64) -> Verdict {
    accept(&feed(), request, Timestamp::from_millis(1_000_000_000_000 + second * 1000))
}

fn stored(request: &Request<'_>, second: i64) -> (InboundMessage, [u8; 16], Response) {
    match judge(request, second) {
        Verdict::Store { message, key, response, .. } => (*message, key, response),
        Verdict::Refuse { response, .. } => panic!("refused: {}", String::from_utf8_lossy(&response.body)),
    }
}

fn events(inbound: &InboundMessage, body: &[u8]) -> Vec<Event> {
    match mapping::map(inbound, body, &feed()).unwrap() {
        Mapped::Events(events) => events,
        Mapped::NoDestination(reason) => panic!("no event: {reason}"),
    }
}

fn put<'a>(resource_type: &'a str, id: &'a str, body: &'a [u8]) -> Request<'a> {
    Request { interaction: Interaction::Update { resource_type, id }, request_id: None, if_match: None, body }
}

fn bundle(kind: &str, entries: &[Value]) -> Vec<u8> {
    json!({ "resourceType": "Bundle", "type": kind, "entry": entries }).to_string().into_bytes()
}

fn base(body: &[u8]) -> Request<'_> {
    Request { interaction: Interaction::Base, request_id: None, if_match: None, body }
}

fn mapped(body: &[u8]) -> Vec<Event> {
    events(&stored(&base(body), 0).0, body)
}

/// As `type|system|value`.
fn numbers(identifiers: &[Identifier]) -> Vec<String> {
    let part = |text: &Option<SmolStr>| text.clone().unwrap_or_default();
    let number = |id: &Identifier| format!("{}|{}|{}", part(&id.r#type), part(&id.system), id.value.expose());
    identifiers.iter().map(number).collect()
}

fn encounter(status: &str) -> Vec<u8> {
    let resource = json!({
        "resourceType": "Encounter", "id": "e1", "status": status, "class": { "code": "IMP" },
        "identifier": [{ "system": "urn:oid:1.2.3", "value": "V1" }], "subject": { "reference": "Patient/p1" },
    });
    resource.to_string().into_bytes()
}

proptest! {
    /// No `meta.lastUpdated` anywhere: the states come in the order in which they were taken in, however they are folded.
    #[test]
    fn states_of_an_encounter_follow_each_other(order in Just(vec![0, 1, 2, 3, 4]).prop_shuffle()) {
        let states = ["planned", "arrived", "in-progress", "onleave", "finished"];
        let mut census = Census::default();
        for at in order {
            let body = encounter(states[at]);
            let (inbound, ..) = stored(&put("Encounter", "e1", &body), i64::try_from(at).unwrap());
            for event in events(&inbound, &body) {
                let Payload::Encounter(encounter) = &event.payload else { panic!("no encounter") };
                census.apply_encounter(event.id, encounter).unwrap();
            }
        }
        let visits = census.encounters();
        prop_assert_eq!(visits.len(), 1);
        prop_assert_eq!(visits[0].folded.encounter.status.as_str(), "finished");
    }
}

#[test]
fn what_is_put_back_is_no_repeat() {
    let body = encounter("in-progress");
    let id = |request: Request<'_>| stored(&request, 0).0.message_id;
    let plain = put("Encounter", "e1", &body);
    let with = |if_match, request_id| id(Request { if_match, request_id, ..plain });
    assert_eq!(with(None, None), with(None, None), "a repeat");
    assert_eq!(with(Some("W/\"1\""), None), with(Some("W/\"1\""), None), "a repeat");
    assert_ne!(with(Some("W/\"1\""), None), with(Some("W/\"3\""), None));
    assert_ne!(with(None, Some("r1")), with(None, Some("r2")));
    assert_ne!(with(None, None), with(None, Some("r1")));

    // Money is counted once, whatever a gateway calls the request.
    let claim = json!({ "resourceType": "ChargeItem", "id": "c", "status": "billable", "code": { "text": "x" }, "subject": { "reference": "Patient/p1" } });
    let body = claim.to_string().into_bytes();
    let charge = |request_id| id(Request { request_id, ..put("ChargeItem", "c", &body) });
    assert_eq!(charge(Some("r1")), charge(Some("r2")));
    let created = |request_id| {
        let interaction = Interaction::Create { resource_type: "Encounter" };
        id(Request { interaction, request_id, if_match: None, body: &encounter("planned") })
    };
    assert_eq!(created(Some("r1")), created(Some("r2")));
    let in_bundle = |method: &str, request_id: &'static str| -> MessageId {
        let resource: Value = serde_json::from_slice(&encounter("planned")).unwrap();
        let url = if method == "PUT" { "Encounter/e1" } else { "Encounter" };
        let entry = json!({ "resource": resource, "request": { "method": method, "url": url } });
        id(Request { request_id: Some(request_id), ..base(&bundle("transaction", &[entry])) })
    };
    assert_ne!(in_bundle("PUT", "r1"), in_bundle("PUT", "r2"));
    assert_eq!(in_bundle("POST", "r1"), in_bundle("POST", "r2"));
}

/// Patient and encounter come one by one, each by its id: what the second names, the first must say.
#[test]
fn resources_that_come_alone_can_be_joined() {
    let body = json!({ "resourceType": "Patient", "id": "p1", "identifier": [{ "system": "urn:oid:1.2", "value": "7", "type": { "text": "MRN" } }] });
    let body = body.to_string().into_bytes();
    let event = events(&stored(&put("Patient", "p1", &body), 0).0, &body).remove(0);
    let Payload::Patient(event) = event.payload else { panic!("no patient") };
    assert_eq!(
        numbers(&event.patient.identifier),
        ["MRN|urn:oid:1.2|7", "RI|urn:waybill:feed:ehr:Patient|p1"]
    );
    let body = encounter("arrived");
    let event = events(&stored(&put("Encounter", "e1", &body), 0).0, &body).remove(0);
    let Payload::Encounter(event) = event.payload else { panic!("no encounter") };
    assert_eq!(numbers(&event.patient.identifier), ["RI|urn:waybill:feed:ehr:Patient|p1"]);
    assert_eq!(
        numbers(&event.encounter.identifier),
        ["|urn:oid:1.2.3|V1", "RI|urn:waybill:feed:ehr:Encounter|e1"]
    );
    let report = json!({ "resourceType": "DiagnosticReport", "id": "d", "status": "final", "code": { "text": "x" }, "subject": { "reference": "Patient/p1" }, "encounter": { "reference": "Encounter/e1" } });
    let body = report.to_string().into_bytes();
    let event = events(&stored(&put("DiagnosticReport", "d", &body), 0).0, &body).remove(0);
    let Payload::Result(event) = event.payload else { panic!("no result") };
    assert_eq!(numbers(event.visit.as_slice()), ["RI|urn:waybill:feed:ehr:Encounter|e1"]);
}

/// Epic's identifiers: the kind is a text, and the record number is not the first.
#[test]
fn a_record_number_is_known_by_its_kind_however_that_is_written() {
    let number = |kind: Value, value: &str| json!({ "use": "usual", "type": kind, "system": format!("urn:oid:1.2.840.114350.{value}"), "value": value });
    let patient = |kind: Value| {
        let identifiers = [
            number(json!({ "text": "CEID" }), "1"),
            number(kind, "2"),
            number(json!({ "text": "FHIR" }), "3"),
        ];
        json!({ "resourceType": "Patient", "identifier": identifiers }).to_string().into_bytes()
    };
    let key = |body: &[u8]| {
        let interaction = Interaction::Create { resource_type: "Patient" };
        stored(&Request { interaction, ..base(body) }, 0).1
    };
    let alone = json!({ "resourceType": "Patient", "identifier": [number(json!({ "text": "MRN" }), "2")] });
    let alone = key(&alone.to_string().into_bytes());
    let table = "http://terminology.hl7.org/CodeSystem/v2-0203";
    for kind in [
        json!({ "text": "MRN" }),
        json!({ "coding": [{ "system": table, "code": "MR" }] }),
        json!({ "coding": [{ "system": "urn:local", "code": "10" }, { "system": table, "code": "MR" }], "text": "Local number" }),
    ] {
        assert_eq!(key(&patient(kind.clone())), alone, "{kind}");
    }
}

fn subject_of(event: &Event) -> (String, Vec<String>) {
    match &event.payload {
        Payload::Patient(event) => ("patient".into(), numbers(&event.patient.identifier)),
        Payload::Encounter(event) => ("encounter".into(), numbers(&event.patient.identifier)),
        Payload::Appointment(event) => ("appointment".into(), numbers(&event.patient.identifier)),
        Payload::Result(event) => ("result".into(), numbers(&event.patient.identifier)),
        Payload::Order(event) => ("order".into(), numbers(&event.patient.identifier)),
        Payload::Charge(event) => ("charge".into(), numbers(&event.patient.identifier)),
    }
}

#[test]
fn two_patients_in_a_bundle_stay_two_however_they_are_referred_to() {
    let patient = |url: &str, id: &str, mrn: &str| json!({ "fullUrl": url, "resource": { "resourceType": "Patient", "id": id, "identifier": [{ "system": "urn:oid:1.2", "value": mrn }] } });
    let encounter = |url: &str, subject: Value| json!({ "fullUrl": url, "resource": { "resourceType": "Encounter", "status": "finished", "class": { "code": "AMB" }, "subject": subject } });
    let of = |reference: &str| json!({ "reference": reference });
    let entries = [
        patient("http://a/fhir/Patient/1", "1", "A1"),
        patient("http://b/fhir/Patient/2", "2", "B2"),
        patient("Patient/3", "3", "C3"),
        json!({ "fullUrl": "Patient/4", "resource": { "resourceType": "Patient", "identifier": [{ "system": "urn:oid:1.2", "value": "D4" }] } }),
        encounter("http://a/fhir/Encounter/1", of("Patient/1")),
        encounter("http://a/fhir/Encounter/2", of("http://a/fhir/Patient/1/_history/7")),
        encounter("http://b/fhir/Encounter/3", of("Patient/2")),
        // Another server's patient 2 is not in the Bundle.
        encounter("http://a/fhir/Encounter/4", of("Patient/2")),
        encounter("urn:uuid:5", of("Patient/3/_history/1")),
        encounter("urn:uuid:6", of("Patient/4")),
        encounter("urn:uuid:7", json!({ "identifier": { "system": "urn:oid:1.2", "value": "B2" } })),
        encounter("urn:uuid:8", of("Patient?identifier=urn:oid:1.2%7CA1")),
        encounter(
            "urn:uuid:9",
            json!({ "reference": "Patient/99", "identifier": { "system": "urn:oid:1.2", "value": "A1" } }),
        ),
    ];
    let body = bundle("collection", &entries);
    let found = mapped(&body);
    let first = |event: &Event| subject_of(event).1.remove(0);
    let subjects: Vec<String> =
        found.iter().filter(|event| subject_of(event).0 == "encounter").map(first).collect();
    let known = |value: &str| format!("|urn:oid:1.2|{value}");
    assert_eq!(
        subjects,
        [
            known("A1"),
            known("A1"),
            known("B2"),
            "RI|http://a/fhir/Patient|2".to_owned(),
            known("C3"),
            known("D4"),
            known("B2"),
            known("A1"),
            known("A1")
        ]
    );
    for (event, patient) in found[4..].iter().zip([0, 0, 1, 9, 2, 3, 1, 0, 0]) {
        if patient < 4 {
            assert_eq!(event.key, found[patient].key, "{:?}", subject_of(event));
        }
    }
    let (_, key, _) = stored(&base(&body), 0);
    assert!(
        found.iter().all(|event| *event.key.as_bytes() != key),
        "of several patients the record is nobody's"
    );
}

#[test]
fn the_patient_of_an_appointment_is_the_one_that_is_said_to_be_one() {
    let doctor = json!({ "identifier": { "system": "http://hl7.org/fhir/sid/us-npi", "value": "1234567893" }, "display": "Dr. Who" });
    let appointment = |patient: Value| {
        json!({
            "resourceType": "Appointment", "status": "booked",
            "contained": [{ "resourceType": "Location", "id": "l", "name": "Room" }, { "resourceType": "Patient", "id": "p", "identifier": [{ "system": "urn:oid:1.2", "value": "7" }] }],
            "participant": [{ "actor": doctor, "status": "accepted" }, { "actor": { "reference": "#l" }, "status": "accepted" }, { "actor": patient, "status": "accepted" }],
        })
    };
    let expected = vec!["|urn:oid:1.2|7".to_owned()];
    for patient in [
        json!({ "reference": "#p" }),
        json!({ "type": "Patient", "identifier": { "system": "urn:oid:1.2", "value": "7" } }),
        json!({ "reference": "Patient?identifier=urn:oid:1.2|7" }),
    ] {
        let body = appointment(patient).to_string().into_bytes();
        let interaction = Interaction::Create { resource_type: "Appointment" };
        let (inbound, key, _) = stored(&Request { interaction, ..base(&body) }, 0);
        let event = events(&inbound, &body).remove(0);
        assert_eq!(subject_of(&event), ("appointment".to_owned(), expected.clone()));
        assert_eq!(*event.key.as_bytes(), key, "the record has the key of its only patient");
    }
    let mut nobody = appointment(doctor.clone());
    nobody["participant"].as_array_mut().unwrap().truncate(2);
    let body = nobody.to_string().into_bytes();
    let interaction = Interaction::Create { resource_type: "Appointment" };
    let (inbound, ..) = stored(&Request { interaction, ..base(&body) }, 0);
    assert!(matches!(mapping::map(&inbound, &body, &feed()).unwrap(), Mapped::NoDestination(_)));
}

#[test]
fn a_claim_that_asks_for_no_payment_says_so_line_by_line() {
    let claim = |status: &str, purpose: &str| {
        let claim = json!({
            "resourceType": "Claim", "id": "c", "status": status, "type": { "text": "professional" }, "use": purpose,
            "patient": { "reference": "Patient/p1" }, "created": "2026-01-01", "provider": { "display": "x" }, "priority": { "text": "normal" },
            "insurance": [{ "sequence": 1, "focal": true, "coverage": { "display": "x" } }], "item": [{ "sequence": 1, "productOrService": { "text": "x" } }],
        });
        let body = claim.to_string().into_bytes();
        let event = events(&stored(&put("Claim", "c", &body), 0).0, &body).remove(0);
        let Payload::Charge(charge) = event.payload else { panic!("no charge") };
        charge.charge[0].status.clone()
    };
    for (status, purpose, expected) in [
        ("active", "claim", None),
        ("active", "preauthorization", Some("planned")),
        ("active", "predetermination", Some("planned")),
        ("draft", "claim", Some("planned")),
        ("cancelled", "claim", Some("aborted")),
        ("entered-in-error", "claim", Some("entered-in-error")),
    ] {
        assert_eq!(claim(status, purpose).as_deref(), expected, "{status} {purpose}");
    }
}

/// Each charge has its whole stay with it: many times the body, and what the sender meant.
#[test]
fn the_charges_of_a_long_stay_are_all_there() {
    let note = "An operative note that a real system sends along. ".repeat(24);
    let mut entries = vec![
        json!({ "fullUrl": "urn:uuid:p", "resource": { "resourceType": "Patient", "identifier": [{ "system": "urn:oid:1.2", "value": "7" }] } }),
        json!({ "fullUrl": "urn:uuid:e", "resource": { "resourceType": "Encounter", "status": "finished", "class": { "code": "IMP" }, "subject": { "reference": "urn:uuid:p" } } }),
    ];
    let of_stay = json!({ "subject": { "reference": "urn:uuid:p" }, "encounter": { "reference": "urn:uuid:e" }, "note": [{ "text": note }] });
    let mut add = |mut resource: Value, more: &Value| {
        resource.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        entries.push(json!({ "resource": resource }));
    };
    for n in 0..60 {
        add(
            json!({ "resourceType": "Condition", "code": { "coding": [{ "code": format!("D{n}") }] } }),
            &of_stay,
        );
    }
    for n in 0..120 {
        add(
            json!({ "resourceType": "Procedure", "status": "completed", "code": { "coding": [{ "code": format!("P{n}") }] } }),
            &of_stay,
        );
    }
    let of_stay =
        json!({ "subject": { "reference": "urn:uuid:p" }, "context": { "reference": "urn:uuid:e" } });
    for n in 0..600 {
        add(
            json!({ "resourceType": "ChargeItem", "status": "billable", "code": { "coding": [{ "code": format!("C{n}") }] } }),
            &of_stay,
        );
    }
    let found = mapped(&bundle("collection", &entries));
    let charges: Vec<_> = found
        .iter()
        .filter_map(|event| match &event.payload {
            Payload::Charge(charge) => charge.encounter.as_ref(),
            _ => None,
        })
        .collect();
    assert_eq!((charges.len(), found.len()), (600, 602));
    assert!(charges.iter().all(|stay| stay.diagnosis.len() == 60 && stay.procedure.len() == 120));
}

/// Every entry has twenty faults: what is said of them must not be a hundred times what was sent.
#[test]
fn faults_without_number_cost_no_memory() {
    let many = format!("{{{}}}", (0..20).map(|n| format!(r#""a{n}":"""#)).collect::<Vec<_>>().join(","));
    let entry = format!(
        r#"{{"resource":{{"resourceType":"Patient","x":{many}}},"request":{{"method":"POST","url":"Patient"}}}}"#
    );
    let (count, good) = (
        20_000,
        r#"{"resource":{"resourceType":"Patient","id":"1"},"request":{"method":"PUT","url":"Patient/1"}}"#,
    );
    let body = format!(
        r#"{{"resourceType":"Bundle","type":"batch","entry":[{good},{}]}}"#,
        vec![entry; count].join(",")
    );
    let Verdict::Store { response, refused, .. } = judge(&base(body.as_bytes()), 0) else {
        panic!("refused")
    };
    assert_eq!(refused.len(), count, "each on record");
    let answer: Value = serde_json::from_slice(&response.body).unwrap();
    let answers = answer["entry"].as_array().unwrap();
    assert_eq!(answers.len(), count + 1);
    let issues = |answer: &Value| answer["response"]["outcome"]["issue"].as_array().map_or(0, Vec::len);
    assert_eq!((issues(&answers[0]), issues(&answers[1]), issues(&answers[count])), (0, 20, 1));
    assert!(response.body.len() < 2 * body.len(), "{} of {}", response.body.len(), body.len());
}
