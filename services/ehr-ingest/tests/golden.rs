//! Messages and what they become, held in files: `tests/golden/*.hl7` beside `*.json`.
//!
//! `UPDATE_GOLDEN=1 cargo test -p ehr-ingest --test golden` writes the JSON anew; read the difference before committing.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::{fs, path::Path};

use ehr_ingest::{
    accept::{Envelope, Layout, Reply, Verdict, accept},
    config::FeedConfig,
    feed::Feed,
    mapping::{self, Mapped, Payload},
};
use serde_json::{Value, json};
use waybill_contracts::{PatientKeyer, Timestamp};
use waybill_hl7v2::Index;

fn feed() -> Feed {
    let config = FeedConfig { name: "golden".into(), ..FeedConfig::default() };
    let feed = Feed::new(&config, PatientKeyer::new(b"golden"));
    // The hash changes with every new setting; what is held here is the mapping.
    Feed { profile: "golden@0".into(), ..feed }
}

/// As a sender would send it: the files have line feeds for those who read them.
fn received(file: &[u8]) -> Vec<u8> {
    file.iter().map(|byte| if *byte == b'\n' { b'\r' } else { *byte }).collect()
}

fn readable(message: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(message).split_terminator('\r').map(str::to_owned).collect()
}

fn outcome(bytes: &[u8]) -> Value {
    let feed = feed();
    let now = Timestamp::parse_rfc3339("2026-05-01T12:00:00Z").unwrap();
    match accept(&feed, bytes, now, &mut Index::new()) {
        Verdict::Refuse { rejected, reply } => {
            let mut record = serde_json::to_value(&rejected).unwrap();
            record.as_object_mut().unwrap().remove("body");
            json!({ "ack": answer(&reply), "rejected": record })
        }
        Verdict::Store { message, key, reply } => {
            assert_eq!(message.body.bytes().unwrap(), bytes, "stored byte for byte");
            let events = match mapping::map(&message, bytes, &feed) {
                Ok(Mapped::NoDestination(reason)) => json!({ "noDestination": reason.as_str() }),
                Ok(Mapped::Events(events)) => events.iter().map(event).collect(),
                // Of a message whose sender wanted to know only that it is stored.
                Err(unmappable) => {
                    json!({ "unmappable": unmappable.reason.as_str(), "detail": unmappable.detail })
                }
            };
            let mut record = serde_json::to_value(&message).unwrap();
            record.as_object_mut().unwrap().remove("body");
            json!({ "ack": answer(&reply), "message": record, "key": hex(&key), "events": events })
        }
        Verdict::Several => {
            let envelope = Envelope::read(&feed, bytes, now);
            let layout = Layout::read(&feed, bytes, envelope.sha256()).unwrap();
            layout.messages.iter().map(|entry| outcome(&bytes[entry.range.clone()])).collect()
        }
    }
}

fn answer(reply: &Reply) -> Value {
    reply.bytes().map_or(Value::Null, |ack| json!(readable(ack)))
}

fn event(event: &mapping::Event) -> Value {
    let mut payload = match &event.payload {
        Payload::Patient(patient) => serde_json::to_value(patient),
        Payload::Encounter(encounter) => serde_json::to_value(encounter),
        Payload::Appointment(appointment) => serde_json::to_value(appointment),
        Payload::Order(order) => serde_json::to_value(order),
        Payload::Result(result) => serde_json::to_value(result),
        Payload::Charge(charge) => serde_json::to_value(charge),
    }
    .unwrap();
    if let Payload::Result(result) = &event.payload {
        payload["original"]["data"] = json!(readable(&result.original.bytes().unwrap()));
    }
    prune(&mut payload);
    let key = hex(event.key.as_bytes());
    json!({ "topic": event.payload.topic(), "id": event.id.to_string(), "key": key, "payload": payload })
}

/// What says nothing is left out, so that a reader sees what was found.
fn prune(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(prune);
            fields
                .retain(|_, value| !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty()));
        }
        Value::Array(list) => list.iter_mut().for_each(prune),
        _ => {}
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[test]
fn every_message_becomes_what_its_file_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "hl7"));
    files.sort();
    assert!(files.len() >= 40, "the golden messages are missing");
    let mut wrong = Vec::new();
    for file in files {
        let found =
            serde_json::to_string_pretty(&outcome(&received(&fs::read(&file).unwrap()))).unwrap() + "\n";
        let expected = file.with_extension("json");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&expected, &found).unwrap();
        }
        let written = fs::read_to_string(&expected).unwrap_or_default();
        if written != found {
            let line =
                found.lines().zip(written.lines().chain(std::iter::repeat(""))).position(|(a, b)| a != b);
            wrong.push(format!(
                "{} differs from line {}",
                expected.display(),
                line.map_or(0, |line| line + 1)
            ));
        }
    }
    assert!(wrong.is_empty(), "{}\nUPDATE_GOLDEN=1 writes them anew", wrong.join("\n"));
}
