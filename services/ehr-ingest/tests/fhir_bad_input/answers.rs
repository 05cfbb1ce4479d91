//! What is answered to Bundles and messages with something bad in them.

use ehr_ingest::{
    accept::fhir::{Interaction, Request, Verdict, unavailable},
    mapping::{self, Mapped},
};
use serde_json::{Value, json};

use super::{entry, expect, feed, first_issue, patient, refusal, send, transaction};

#[test]
fn urls_and_bodies_that_do_not_fit() {
    let body = serde_json::to_vec(&patient()).unwrap();
    expect(refusal(Interaction::Base, &body), 400, "invalid", "Patient.resourceType");
    expect(
        refusal(Interaction::Create { resource_type: "Person" }, &body),
        400,
        "invalid",
        "Patient.resourceType",
    );
    expect(refusal(Interaction::Create { resource_type: "Patien" }, &body), 404, "not-supported", "");
    expect(
        refusal(Interaction::Update { resource_type: "Patient", id: "1" }, &body),
        400,
        "invalid",
        "Patient.id",
    );
    let bundle = transaction(&[entry("urn:uuid:1", patient())]);
    let found = refusal(Interaction::Create { resource_type: "Bundle" }, &bundle);
    expect(found, 400, "invalid", "Bundle.resourceType");
    let request = |method: &str, url: &str| {
        let mut one = entry("urn:uuid:1", patient());
        one["request"] = json!({ "method": method, "url": url });
        refusal(Interaction::Base, &transaction(&[one]))
    };
    let place = "Bundle.entry[0].request";
    expect(request("POST", "Person"), 422, "invariant", &format!("{place}.url"));
    expect(request("POST", "Patient/1"), 400, "value", &format!("{place}.url"));
    expect(request("PUT", "Patient/1"), 422, "invariant", "Bundle.entry[0].resource.id");
    expect(request("DELETE", "Patient/1"), 422, "not-supported", &format!("{place}.method"));
    expect(request("TAKE", "Patient"), 422, "code-invalid", &format!("{place}.method"));
    let mut one = entry("urn:uuid:1", patient());
    one.as_object_mut().unwrap().remove("request");
    expect(refusal(Interaction::Base, &transaction(&[one])), 422, "required", place);
}

#[test]
fn one_bad_entry_refuses_a_transaction_and_not_a_batch() {
    let entries =
        [entry("urn:uuid:1", patient()), entry("urn:uuid:2", json!({ "resourceType": "Encounter" }))];
    expect(
        refusal(Interaction::Base, &transaction(&entries)),
        422,
        "required",
        "Bundle.entry[1].resource.status",
    );
    let batch = json!({ "resourceType": "Bundle", "type": "batch", "entry": entries });
    let body = serde_json::to_vec(&batch).unwrap();
    let Verdict::Store { message, refused, response, .. } = send(Interaction::Base, &body) else {
        panic!("refused")
    };
    let answer: Value = serde_json::from_slice(&response.body).unwrap();
    assert_eq!((response.status, answer["type"].as_str().unwrap()), (200, "batch-response"));
    assert_eq!(answer["entry"][0]["response"]["status"], "201 Created");
    let bad = &answer["entry"][1]["response"];
    assert_eq!(bad["status"], "422 Unprocessable Entity");
    assert_eq!(bad["outcome"]["issue"][0]["expression"][0], "Bundle.entry[1].resource.status");
    assert_eq!((refused[0].batch_id, refused[0].batch_index), (Some(message.message_id), Some(1)));
    assert_ne!(refused[0].message_id, message.message_id);
    let Mapped::Events(events) = mapping::map(&message, &body, &feed()).unwrap() else { panic!("no events") };
    assert_eq!(events.len(), 1, "the good entry's event, and no other");
}

#[test]
fn a_batch_without_a_good_entry_is_refused_entry_by_entry() {
    let batch = json!({ "resourceType": "Bundle", "type": "batch", "entry": [{ "request": { "method": "GET", "url": "Patient" } }] });
    let Verdict::Refuse { rejected, response } =
        send(Interaction::Base, &serde_json::to_vec(&batch).unwrap())
    else {
        panic!("taken")
    };
    let answer: Value = serde_json::from_slice(&response.body).unwrap();
    assert_eq!((response.status, answer["type"].as_str().unwrap()), (200, "batch-response"));
    assert_eq!(answer["entry"][0]["response"]["outcome"]["issue"][0]["code"], "not-supported");
    assert_eq!(rejected.reason_code, "ING-0025");
}

#[test]
fn messages_are_answered_as_messages() {
    let header = json!({ "resourceType": "MessageHeader", "id": "m", "eventUri": "urn:e", "source": { "endpoint": "urn:s" } });
    let message =
        |entries: Value| json!({ "resourceType": "Bundle", "type": "message", "entry": entries }).to_string();
    let bad = message(json!([{ "resource": header }, { "resource": { "resourceType": "Encounter" } }]));
    let Verdict::Refuse { response, .. } = send(Interaction::Base, bad.as_bytes()) else { panic!("taken") };
    let answer: Value = serde_json::from_slice(&response.body).unwrap();
    let of = &answer["entry"][0]["resource"]["response"];
    assert_eq!((response.status, &of["identifier"], &of["code"]), (422, &json!("m"), &json!("fatal-error")));
    assert_eq!(answer["entry"][1]["resource"]["issue"][0]["code"], "required");
    assert_eq!(of["details"]["reference"], answer["entry"][1]["fullUrl"]);
    let request =
        Request { interaction: Interaction::Base, request_id: None, if_match: None, body: bad.as_bytes() };
    let busy = unavailable(&request);
    let answer: Value = serde_json::from_slice(&busy.body).unwrap();
    assert_eq!(
        (busy.status, &answer["entry"][0]["resource"]["response"]["code"]),
        (503, &json!("transient-error"))
    );
    let headless = message(json!([{ "resource": patient() }]));
    expect(refusal(Interaction::Base, headless.as_bytes()), 422, "invariant", "Bundle.entry[0].resource");
    expect(first_issue(&unavailable(&Request { body: b"{}", ..request })), 503, "transient", "");
}

#[test]
fn resources_that_refer_to_each_other_without_end_do_not_multiply() {
    // 20,000 reports of one large observation: the events would be 10,000 times the body.
    let mut entries = vec![
        json!({ "fullUrl": "urn:uuid:p", "resource": patient() }),
        json!({ "fullUrl": "urn:uuid:o", "resource": { "resourceType": "Observation", "status": "final", "code": { "text": "x" }, "valueString": "y".repeat(500_000) } }),
    ];
    for n in 0..20_000 {
        let report = json!({ "resourceType": "DiagnosticReport", "status": "final", "code": { "text": "x" },
            "subject": { "reference": "urn:uuid:p" }, "result": [{ "reference": "urn:uuid:o" }] });
        entries.push(json!({ "fullUrl": format!("urn:uuid:r{n}"), "resource": report }));
    }
    let body =
        serde_json::to_vec(&json!({ "resourceType": "Bundle", "type": "collection", "entry": entries }))
            .unwrap();
    let Verdict::Store { message, .. } = send(Interaction::Base, &body) else { panic!("refused") };
    let error = mapping::map(&message, &body, &feed()).unwrap_err();
    assert_eq!(error.reason.as_str(), "ING-0020");
}

#[test]
fn answers_never_repeat_what_was_sent() {
    let secret = "Müller-4711";
    for resource in [
        json!({ "resourceType": "Patient", "identifier": [{ "value": secret }], "birthDate": secret }),
        json!({ "resourceType": "Patient", "identifier": [{ "value": secret }], "gender": secret }),
        json!({ "resourceType": "Patient", "identifier": [{ "value": secret }], "active": secret }),
        json!({ "resourceType": "Patient", "id": secret }),
        json!({ "resourceType": "Patient", secret: {}, "identifier": [{ "value": "1" }] }),
        json!({ "resourceType": secret }),
    ] {
        let body = transaction(&[entry("urn:uuid:1", resource)]);
        let Verdict::Refuse { rejected, response } = send(Interaction::Base, &body) else { panic!("taken") };
        assert!(!String::from_utf8_lossy(&response.body).contains(secret));
        assert!(!rejected.error_location.unwrap_or_default().contains(secret));
    }
}
