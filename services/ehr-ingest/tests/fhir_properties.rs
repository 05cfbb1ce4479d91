//! Whatever is sent, it is answered; and what is taken can be mapped, the same way every time.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::{fs, path::Path, sync::LazyLock};

use ehr_ingest::{
    accept::fhir::{Interaction, Request, Verdict, accept, unavailable},
    config::FeedConfig,
    feed::Feed,
    mapping::{self, Mapped},
};
use proptest::prelude::*;
use serde_json::{Value, json};
use waybill_contracts::{PatientKeyer, Timestamp};

static FEED: LazyLock<Feed> =
    LazyLock::new(|| Feed::new(&FeedConfig::default(), PatientKeyer::new(b"properties")));

/// The golden bodies.
static BODIES: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/fhir");
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    paths.iter().map(|path| serde_json::from_slice(&fs::read(path).unwrap()).unwrap()).collect()
});

/// Answers a body; `true` when it was taken.
fn check(body: &[u8], is_bundle: bool, resource_type: &str) -> bool {
    let interaction = if is_bundle { Interaction::Base } else { Interaction::Create { resource_type } };
    let request = Request { interaction, request_id: None, if_match: None, body };
    assert_eq!(unavailable(&request).status, 503);
    match accept(&FEED, &request, Timestamp::from_millis(1)) {
        Verdict::Refuse { response, rejected } => {
            assert!(serde_json::from_slice::<Value>(&response.body).is_ok());
            assert!(response.status >= 400 || rejected.message_type.as_deref() == Some("Bundle/batch"));
            assert!(!rejected.reason_code.is_empty());
            false
        }
        Verdict::Store { message, response, refused, .. } => {
            assert!(matches!(response.status, 200 | 201));
            assert!(serde_json::from_slice::<Value>(&response.body).is_ok());
            let once = mapping::map(&message, body, &FEED).unwrap();
            let again = mapping::map(&message, body, &FEED).unwrap();
            if let (Mapped::Events(once), Mapped::Events(again)) = (once, again) {
                let mut ids: Vec<_> = once.iter().map(|event| event.id).collect();
                assert_eq!(ids, again.iter().map(|event| event.id).collect::<Vec<_>>());
                ids.sort();
                ids.dedup();
                assert_eq!(ids.len(), once.len(), "every event has its own id");
            }
            assert!(refused.iter().all(|one| one.batch_id == Some(message.message_id)));
            true
        }
    }
}

/// Every place in a value, as a JSON pointer.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(object) => {
            object.iter().for_each(|(name, value)| places(value, &format!("{at}/{name}"), found));
        }
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(index, value)| places(value, &format!("{at}/{index}"), found));
        }
        _ => {}
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        prop_oneof![
            Just("2026-02-30"),
            Just("19"),
            Just("#"),
            Just("#x"),
            Just("urn:uuid:1"),
            Just("Patient/1"),
            Just("http://a/Patient/1/_history/2"),
            Just("Practitioner?identifier=a|b"),
            Just("Patient?"),
        ]
        .prop_map(Value::from),
        Just(json!([])),
        Just(json!({})),
        Just(json!([null])),
        Just(json!([[{}]])),
        Just(json!({ "reference": "#" })),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_change_of_a_good_body_is_answered(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any_json(), 0..4_u8), 1..4),
    ) {
        let mut body = BODIES[which.index(BODIES.len())].clone();
        for (place, value, how) in changes {
            let mut found = Vec::new();
            places(&body, "", &mut found);
            let place = &found[place.index(found.len())];
            let other = body.pointer(&found[place.len() % found.len()]).cloned();
            let Some(target) = body.pointer_mut(place) else { continue };
            match (how, &mut *target) {
                (0, Value::Object(object)) => { object.remove(&object.keys().next().cloned().unwrap_or_default()); }
                (1, Value::Array(list)) if !list.is_empty() => list.push(list[0].clone()),
                (2, target) => *target = other.unwrap_or_default(),
                (_, target) => *target = value,
            }
        }
        let kind = body["resourceType"].as_str().unwrap_or_default().to_owned();
        check(&serde_json::to_vec(&body).unwrap(), kind == "Bundle", &kind);
    }

    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(!check(&bytes, true, "Patient"));
    }

    #[test]
    fn any_cut_or_flip_is_answered(which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
        let body = &BODIES[which.index(BODIES.len())];
        let kind = body["resourceType"].as_str().unwrap();
        let mut bytes = serde_json::to_vec(body).unwrap();
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] = byte }
        check(&bytes, kind == "Bundle", kind);
    }
}

#[test]
fn the_good_bodies_are_good() {
    let taken = BODIES.iter().filter(|body| {
        let kind = body["resourceType"].as_str().unwrap();
        check(&serde_json::to_vec(body).unwrap(), kind == "Bundle", kind)
    });
    assert_eq!(taken.count(), BODIES.len() - 1, "all but the one with the dangling reference");
}

/// The key of a patient does not depend on how the message came in.
#[test]
fn one_patient_has_one_key_in_both_worlds() {
    use ehr_ingest::accept;
    let v2 = b"MSH|^~\\&|EHR|GH|||20260304||ADT^A08|7|P|2.5\rEVN|A08|20260304\rPID|1||9^^^SSA^SS~42^^^&1.2.3&ISO^MR\r";
    let accept::Verdict::Store { key: v2_key, .. } =
        accept::accept(&FEED, v2, Timestamp::from_millis(1), &mut waybill_hl7v2::Index::new())
    else {
        panic!("refused")
    };
    let kind =
        json!({ "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR" }] });
    let patient = json!({ "resourceType": "Patient", "identifier": [
        { "system": "http://hl7.org/fhir/sid/us-ssn", "value": "9" },
        { "type": kind, "system": "urn:oid:1.2.3", "value": "42" },
    ]});
    let body = serde_json::to_vec(&patient).unwrap();
    let request = Request {
        interaction: Interaction::Create { resource_type: "Patient" },
        request_id: None,
        if_match: None,
        body: &body,
    };
    let Verdict::Store { key, .. } = accept(&FEED, &request, Timestamp::from_millis(1)) else {
        panic!("refused")
    };
    assert_eq!(key, v2_key);
}

/// A patient of the Bundle is known by any of his identifiers, and keyed by one.
#[test]
fn a_reference_by_another_identifier_means_the_same_patient() {
    let patient = json!({ "resourceType": "Patient", "gender": "female", "identifier": [
        { "type": { "coding": [{ "code": "MR" }] }, "system": "urn:oid:1.2.3", "value": "42" },
        { "system": "http://hl7.org/fhir/sid/us-ssn", "value": "9" },
    ]});
    let visit = |subject: Value| json!({ "resourceType": "Encounter", "status": "finished", "class": { "code": "AMB" }, "subject": subject });
    let entries = [
        patient,
        visit(json!({ "reference": "Patient?identifier=http%3A%2F%2Fhl7.org/fhir/sid/us-ssn%7C9" })),
        visit(json!({ "identifier": { "system": "urn:oid:1.2.3", "value": "42" } })),
    ]
    .map(|resource| json!({ "resource": resource }));
    let body =
        serde_json::to_vec(&json!({ "resourceType": "Bundle", "type": "collection", "entry": entries }))
            .unwrap();
    let request = Request { interaction: Interaction::Base, request_id: None, if_match: None, body: &body };
    let Verdict::Store { message, key, .. } = accept(&FEED, &request, Timestamp::from_millis(1)) else {
        panic!("refused")
    };
    let Mapped::Events(events) = mapping::map(&message, &body, &FEED).unwrap() else { panic!("no events") };
    assert_eq!(events.len(), 3);
    for event in events {
        assert_eq!(event.key.as_bytes(), &key);
        if let mapping::Payload::Encounter(encounter) = event.payload {
            assert_eq!(encounter.patient.gender.as_deref(), Some("female"));
        }
    }
}
