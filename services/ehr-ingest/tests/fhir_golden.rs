//! FHIR bodies and what they become, held in files: `tests/golden/fhir/*.json` beside `*.expected`.
//!
//! `UPDATE_GOLDEN=1 cargo test -p ehr-ingest --test fhir_golden` writes them anew; read the difference before committing.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::{fs, path::Path};

use ehr_ingest::{
    accept::fhir::{Interaction, Request, Response, Verdict, accept},
    config::FeedConfig,
    feed::Feed,
    mapping::{self, Mapped, Payload},
};
use serde_json::{Value, json};
use waybill_contracts::{Body, PatientKeyer, Timestamp, inbound::InboundRejected};

fn feed() -> Feed {
    Feed::new(&FeedConfig { name: "golden".into(), ..FeedConfig::default() }, PatientKeyer::new(b"golden"))
}

fn outcome(name: &str, body: &[u8]) -> Value {
    let feed = feed();
    let sent: Value = serde_json::from_slice(body).unwrap();
    let interaction = match (sent["resourceType"].as_str().unwrap(), sent["id"].as_str()) {
        ("Bundle", _) => Interaction::Base,
        (resource_type, Some(id)) => Interaction::Update { resource_type, id },
        (resource_type, None) => Interaction::Create { resource_type },
    };
    let now = Timestamp::parse_rfc3339("2026-05-01T12:00:00Z").unwrap();
    let request = Request { interaction, request_id: Some("request-1"), if_match: None, body };
    match accept(&feed, &request, now) {
        Verdict::Refuse { rejected, response } => {
            json!({ "response": response_of(&response), "rejected": rejected_of(&rejected) })
        }
        Verdict::Store { message, key, refused, response } => {
            assert_eq!(message.body.bytes().unwrap(), body, "{name}: stored byte for byte");
            let events = match mapping::map(&message, body, &feed).unwrap() {
                Mapped::NoDestination(reason) => json!({ "noDestination": reason.as_str() }),
                Mapped::Events(events) => events.iter().map(event).collect(),
            };
            let mut record = serde_json::to_value(&message).unwrap();
            record.as_object_mut().unwrap().remove("body");
            json!({
                "response": response_of(&response),
                "message": record,
                "key": hex(&key),
                "refused": refused.iter().map(rejected_of).collect::<Vec<_>>(),
                "events": events,
            })
        }
    }
}

fn response_of(response: &Response) -> Value {
    let body: Value = serde_json::from_slice(&response.body).unwrap();
    json!({ "status": response.status, "location": response.location, "etag": response.etag, "body": body })
}

fn rejected_of(rejected: &InboundRejected) -> Value {
    let mut record = serde_json::to_value(rejected).unwrap();
    record.as_object_mut().unwrap().remove("body");
    record
}

fn event(event: &mapping::Event) -> Value {
    let payload = match &event.payload {
        Payload::Patient(patient) => serde_json::to_value(patient),
        Payload::Encounter(encounter) => serde_json::to_value(encounter),
        Payload::Appointment(appointment) => serde_json::to_value(appointment),
        Payload::Order(order) => serde_json::to_value(order),
        Payload::Result(result) => serde_json::to_value(result),
        Payload::Charge(charge) => serde_json::to_value(charge),
    };
    let mut payload = payload.unwrap();
    if let Payload::Result(result) = &event.payload {
        payload["original"] = original(&result.original);
    }
    let kept = without_nothing(payload);
    json!({ "id": event.id, "topic": event.payload.topic(), "key": hex(event.key.as_bytes()), "payload": kept })
}

/// What the original names: its entries, by type.
fn original(body: &Body) -> Value {
    let bundle: Value = serde_json::from_slice(&body.bytes().unwrap()).unwrap();
    let Some(entries) = bundle["entry"].as_array() else { return bundle["resourceType"].clone() };
    let names =
        entries.iter().map(|entry| format!("{} {}", entry["resource"]["resourceType"], entry["fullUrl"]));
    json!({ "contentType": body.content_type, "type": bundle["type"], "entry": names.collect::<Vec<_>>() })
}

/// Without nulls and empty lists, which are most of every record.
fn without_nothing(value: Value) -> Value {
    match value {
        Value::Object(object) => object
            .into_iter()
            .map(|(name, value)| (name, without_nothing(value)))
            .filter(|(_, value)| !value.is_null() && *value != json!([]) && *value != json!({}))
            .collect(),
        Value::Array(list) => list.into_iter().map(without_nothing).collect(),
        other => other,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[test]
fn bodies_become_what_the_files_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/fhir");
    let mut names: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    names.sort();
    assert!(names.len() >= 8, "the golden files are missing");
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut wrong = Vec::new();
    for path in names {
        let name = path.file_name().unwrap().to_str().unwrap();
        let found = serde_json::to_string_pretty(&outcome(name, &fs::read(&path).unwrap())).unwrap() + "\n";
        let expected = path.with_extension("expected");
        if update {
            fs::write(&expected, &found).unwrap();
        }
        let written = fs::read_to_string(&expected).unwrap_or_default();
        if written != found {
            let mut pairs = found.lines().zip(written.lines().chain(std::iter::repeat("")));
            let line = pairs.position(|(found, written)| found != written).unwrap_or_default() + 1;
            wrong.push(format!("{} differs from line {line}", expected.display()));
        }
    }
    assert!(wrong.is_empty(), "{}\nUPDATE_GOLDEN=1 writes them anew", wrong.join("\n"));
}
