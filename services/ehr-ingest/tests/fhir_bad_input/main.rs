//! Bad FHIR input: each case with status, issue code and the place that is named; never what was sent.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod answers;

use ehr_ingest::{
    accept::fhir::{Interaction, Request, Response, Verdict, accept, refuse_too_large},
    config::FeedConfig,
    feed::Feed,
};
use serde_json::{Value, json};
use waybill_contracts::{PatientKeyer, Timestamp};

fn feed() -> Feed {
    Feed::new(&FeedConfig::default(), PatientKeyer::new(b"bad input"))
}

fn send(interaction: Interaction<'_>, body: &[u8]) -> Verdict {
    accept(
        &feed(),
        &Request { interaction, request_id: None, if_match: None, body },
        Timestamp::from_millis(1),
    )
}

/// Status, code and expression of the first issue; the record names the same place.
fn refusal(interaction: Interaction<'_>, body: &[u8]) -> (u16, String, String) {
    match send(interaction, body) {
        Verdict::Store { response, .. } => panic!("taken: {}", String::from_utf8_lossy(&response.body)),
        Verdict::Refuse { rejected, response } => {
            let found = first_issue(&response);
            assert_eq!(
                rejected.error_location.clone().unwrap_or_default(),
                found.2,
                "the record names the place"
            );
            assert_eq!(rejected.body.bytes().unwrap(), body, "a refusal is a message too");
            found
        }
    }
}

fn first_issue(response: &Response) -> (u16, String, String) {
    let outcome: Value = serde_json::from_slice(&response.body).unwrap();
    assert_eq!(outcome["resourceType"], "OperationOutcome");
    let issue = &outcome["issue"][0];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (response.status, text(&issue["code"]), text(&issue["expression"][0]))
}

fn transaction(entries: &[Value]) -> Vec<u8> {
    serde_json::to_vec(&json!({ "resourceType": "Bundle", "type": "transaction", "entry": entries })).unwrap()
}

#[expect(clippy::needless_pass_by_value, reason = "callers write the resource where it is used")]
fn entry(url: &str, resource: Value) -> Value {
    let kind = resource["resourceType"].clone();
    json!({ "fullUrl": url, "resource": resource, "request": { "method": "POST", "url": kind } })
}

fn patient() -> Value {
    json!({ "resourceType": "Patient", "identifier": [{ "system": "urn:oid:1.2", "value": "7" }] })
}

fn encounter(subject: &str) -> Value {
    json!({ "resourceType": "Encounter", "status": "finished", "class": { "code": "AMB" }, "subject": { "reference": subject } })
}

#[expect(clippy::needless_pass_by_value, reason = "callers hand over what they have just got")]
fn expect(found: (u16, String, String), status: u16, code: &str, expression: &str) {
    assert_eq!((found.0, found.1.as_str(), found.2.as_str()), (status, code, expression));
}

#[test]
fn a_body_that_is_no_json() {
    for body in [
        &b"{"[..],
        b"",
        b"   ",
        b"\xff\xfe{\0}\0",
        b"<Patient/>",
        b"{\"resourceType\":\"Patient\",}",
        b"{'a':1}",
    ] {
        expect(refusal(Interaction::Base, body), 400, "structure", "");
    }
    // Inside a resource that could be framed.
    let broken = br#"{"resourceType":"Patient","id":"1","name":[{"family":"\ud800"}]}"#;
    let found = refusal(Interaction::Create { resource_type: "Patient" }, broken);
    expect(found, 400, "structure", "Patient.name[0].family");
}

#[test]
fn a_byte_order_mark_is_tolerated_and_noted() {
    let body = [b"\xef\xbb\xbf", serde_json::to_vec(&patient()).unwrap().as_slice()].concat();
    let Verdict::Store { message, .. } = send(Interaction::Create { resource_type: "Patient" }, &body) else {
        panic!("refused")
    };
    assert_eq!(message.warnings, ["BYTE_ORDER_MARK"]);
}

#[test]
fn a_dangling_reference() {
    let body = transaction(&[entry("urn:uuid:1", patient()), entry("urn:uuid:2", encounter("urn:uuid:3"))]);
    expect(refusal(Interaction::Base, &body), 422, "not-found", "Bundle.entry[1].resource.subject.reference");
    let body = transaction(&[entry("urn:uuid:2", encounter("#p"))]);
    expect(refusal(Interaction::Base, &body), 422, "not-found", "Bundle.entry[0].resource.subject.reference");
    // What we do not have is none of our business: this is a hub.
    let body = transaction(&[entry("urn:uuid:2", encounter("Patient/elsewhere"))]);
    assert!(matches!(send(Interaction::Base, &body), Verdict::Store { .. }));
}

#[test]
fn a_wrong_type() {
    let at = |resource: Value| {
        let body = transaction(&[entry("urn:uuid:1", resource)]);
        refusal(Interaction::Base, &body)
    };
    let with = |name: &str, value: Value| {
        let mut resource = encounter("Patient/1");
        resource[name] = value;
        resource
    };
    let place = "Bundle.entry[0].resource";
    expect(at(with("status", json!(5))), 400, "structure", &format!("{place}.status"));
    expect(at(with("identifier", json!({ "value": "1" }))), 400, "structure", &format!("{place}.identifier"));
    expect(at(with("period", json!({ "start": true }))), 400, "structure", &format!("{place}.period.start"));
    expect(
        at(with("period", json!({ "start": "2026-02-30" }))),
        400,
        "value",
        &format!("{place}.period.start"),
    );
    expect(at(with("type", json!([]))), 400, "structure", &format!("{place}.type"));
    expect(at(with("type", json!([{ "text": "" }]))), 400, "structure", &format!("{place}.type[0].text"));
    expect(at(with("class", Value::Null)), 400, "structure", &format!("{place}.class"));
    expect(at(with("status", json!("done"))), 422, "code-invalid", &format!("{place}.status"));
    let numbered =
        json!({ "resource": { "resourceType": 7 }, "request": { "method": "POST", "url": "Encounter" } });
    let found = refusal(Interaction::Base, &transaction(&[numbered]));
    expect(found, 400, "structure", &format!("{place}.resourceType"));
    expect(refusal(Interaction::Base, b"[1,2]"), 400, "structure", "");
    expect(
        refusal(Interaction::Base, br#"{"resourceType":"Bundle","type":"batch","entry":{}}"#),
        400,
        "structure",
        "Bundle.entry",
    );
    expect(refusal(Interaction::Base, br#"{"resourceType":"Bundle"}"#), 422, "required", "Bundle.type");
    expect(
        refusal(Interaction::Base, br#"{"resourceType":"Bundle","type":"x"}"#),
        422,
        "code-invalid",
        "Bundle.type",
    );
    expect(
        refusal(Interaction::Base, br#"{"resourceType":"Bundle","type":"searchset"}"#),
        422,
        "not-supported",
        "Bundle.type",
    );
    expect(refusal(Interaction::Base, br#"{"a":1}"#), 400, "structure", "Resource.resourceType");
}

#[test]
fn birth_dates() {
    for (sent, good) in [
        ("1970", true),
        ("1970-03", true),
        ("1970-03-01", true),
        ("19", false),
        ("1970-3", false),
        ("1970-13", false),
        ("1970-03-01T10:00:00Z", false),
    ] {
        let mut resource = patient();
        resource["birthDate"] = sent.into();
        let body = serde_json::to_vec(&resource).unwrap();
        let interaction = Interaction::Create { resource_type: "Patient" };
        if good {
            assert!(matches!(send(interaction, &body), Verdict::Store { .. }), "{sent}");
        } else {
            expect(refusal(interaction, &body), 400, "value", "Patient.birthDate");
        }
    }
}

#[test]
fn an_element_twice() {
    let body =
        br#"{"resourceType":"Patient","identifier":[{"value":"1"}],"gender":"male","gender":"female"}"#;
    expect(
        refusal(Interaction::Create { resource_type: "Patient" }, body),
        400,
        "structure",
        "Patient.gender",
    );
}

#[test]
fn a_repeated_entry() {
    let one = entry("urn:uuid:1", patient());
    let body = transaction(&[one.clone(), one.clone()]);
    expect(refusal(Interaction::Base, &body), 422, "duplicate", "Bundle.entry[1].fullUrl");
    let put = |url: &str| {
        let mut resource = patient();
        resource["id"] = "p".into();
        json!({ "fullUrl": url, "resource": resource, "request": { "method": "PUT", "url": "Patient/p" } })
    };
    let body = transaction(&[put("urn:uuid:1"), put("urn:uuid:2")]);
    expect(refusal(Interaction::Base, &body), 422, "duplicate", "Bundle.entry[1].request.url");
    // Of a batch, the second is refused and the first is not.
    let batch = json!({ "resourceType": "Bundle", "type": "batch", "entry": [one.clone(), one] });
    let body = serde_json::to_vec(&batch).unwrap();
    let Verdict::Store { refused, .. } = send(Interaction::Base, &body) else { panic!("refused") };
    assert_eq!(refused.len(), 1);
    assert_eq!((refused[0].reason_code.as_str(), refused[0].batch_index), ("ING-0024", Some(1)));
}

#[test]
fn deep_nesting() {
    let deep = |levels: usize| {
        let nested = format!("{}1{}", r#"{"a":"#.repeat(levels), "}".repeat(levels));
        format!(r#"{{"resourceType":"Patient","identifier":[{{"value":"1"}}],"x":{nested}}}"#).into_bytes()
    };
    let (status, code, place) = refusal(Interaction::Create { resource_type: "Patient" }, &deep(1_000));
    assert_eq!((status, code.as_str()), (400, "too-costly"));
    assert!(place.starts_with("Patient.x.a.a"));
    let lists = format!("{}{}", "[".repeat(1_000_000), "]".repeat(1_000_000)).into_bytes();
    assert_eq!(refusal(Interaction::Base, &lists).0, 400);
    // As deep as may be where each level is read, on the stack of a test's thread.
    let nested =
        format!("{}{}", r#"{"extension":["#.repeat(60), r#"{"url":"x"}"#.to_owned() + &"]}".repeat(60));
    let body =
        format!(r#"{{"resourceType":"Patient","identifier":[{{"value":"1"}}],"extension":[{nested}]}}"#);
    let verdict = send(Interaction::Create { resource_type: "Patient" }, body.as_bytes());
    assert!(matches!(verdict, Verdict::Store { .. }));
    let verdict = send(Interaction::Create { resource_type: "Patient" }, &deep(50));
    assert!(matches!(verdict, Verdict::Store { .. }));
}

#[test]
fn too_many_entries_and_elements() {
    let entries = vec!["{}"; 100_001].join(",");
    let body = format!(r#"{{"resourceType":"Bundle","type":"batch","entry":[{entries}]}}"#);
    expect(refusal(Interaction::Base, body.as_bytes()), 400, "too-costly", "Bundle.entry");
    let names = vec![r#"{"text":"x"}"#; 10_001].join(",");
    let body = format!(r#"{{"resourceType":"Patient","name":[{names}]}}"#);
    let found = refusal(Interaction::Create { resource_type: "Patient" }, body.as_bytes());
    expect(found, 400, "too-costly", "Patient.name");
}

#[test]
fn a_hundred_megabytes() {
    let mut body = br#"{"resourceType":"Patient","identifier":[{"value":"1"}],"text":{"div":""#.to_vec();
    body.resize(100_000_000, b'x');
    body.extend_from_slice(br#""}}"#);
    let interaction = Interaction::Create { resource_type: "Patient" };
    assert!(matches!(send(interaction, &body), Verdict::Store { .. }), "the parser has no limit of its own");
    let request = Request { interaction, request_id: None, if_match: None, body: &body[..1024] };
    let Verdict::Refuse { rejected, response } =
        refuse_too_large(&feed(), &request, Timestamp::from_millis(1))
    else {
        panic!("taken")
    };
    expect(first_issue(&response), 413, "too-long", "");
    assert_eq!(rejected.reason_code, "ING-0005");
}

#[test]
fn required_elements() {
    let at = |resource: Value| {
        let kind = resource["resourceType"].as_str().unwrap().to_owned();
        let body = serde_json::to_vec(&resource).unwrap();
        let found = refusal(Interaction::Create { resource_type: &kind }, &body);
        assert_eq!((found.0, found.1.as_str()), (422, "required"));
        found.2
    };
    let who = json!({ "reference": "Patient/1" });
    assert_eq!(
        at(json!({ "resourceType": "Encounter", "class": { "code": "AMB" }, "subject": who })),
        "Encounter.status"
    );
    assert_eq!(
        at(json!({ "resourceType": "Encounter", "status": "finished", "subject": who })),
        "Encounter.class"
    );
    assert_eq!(
        at(json!({ "resourceType": "Encounter", "status": "finished", "class": { "code": "AMB" } })),
        "Encounter.subject"
    );
    assert_eq!(at(json!({ "resourceType": "Observation", "status": "final" })), "Observation.code");
    assert_eq!(at(json!({ "resourceType": "Observation", "code": { "text": "x" } })), "Observation.status");
    assert_eq!(
        at(json!({ "resourceType": "DiagnosticReport", "status": "final", "subject": who })),
        "DiagnosticReport.code"
    );
    assert_eq!(at(json!({ "resourceType": "Claim", "status": "active" })), "Claim.type");
    assert_eq!(at(json!({ "resourceType": "Appointment", "status": "booked" })), "Appointment.participant");
    assert_eq!(
        at(json!({ "resourceType": "ServiceRequest", "status": "active", "subject": who })),
        "ServiceRequest.intent"
    );
    assert_eq!(
        at(json!({ "resourceType": "ChargeItem", "status": "billable", "subject": who })),
        "ChargeItem.code"
    );
}

#[test]
fn a_patient_whom_nothing_names() {
    let at = |resource: Value| {
        let kind = resource["resourceType"].as_str().unwrap().to_owned();
        refusal(Interaction::Create { resource_type: &kind }, &serde_json::to_vec(&resource).unwrap())
    };
    let nobody = json!({ "resourceType": "Patient", "name": [{ "family": "Nobody" }] });
    expect(at(nobody), 422, "business-rule", "Patient.identifier");
    let mut visit = encounter("Patient/1");
    visit["subject"] = json!({ "display": "Nobody" });
    expect(at(visit), 422, "business-rule", "Encounter.subject");
}

#[test]
fn contradictions() {
    let mut visit = encounter("Patient/1");
    visit["period"] = json!({ "start": "2026-03-02", "end": "2026-02-28" });
    let body = serde_json::to_vec(&visit).unwrap();
    expect(
        refusal(Interaction::Create { resource_type: "Encounter" }, &body),
        422,
        "invariant",
        "Encounter.period",
    );
    let concept = json!({ "text": "x" });
    let claim = json!({
        "resourceType": "Claim", "status": "active", "type": concept, "use": "claim", "patient": { "reference": "Patient/1" },
        "created": "2026-03-01", "provider": { "display": "x" }, "priority": concept,
        "insurance": [{ "sequence": 1, "focal": true, "coverage": { "display": "x" } }],
        "item": [{ "sequence": 1, "productOrService": concept, "diagnosisSequence": [3] }],
    });
    let body = serde_json::to_vec(&claim).unwrap();
    let found = refusal(Interaction::Create { resource_type: "Claim" }, &body);
    expect(found, 422, "invariant", "Claim.item[0].diagnosisSequence");
}
