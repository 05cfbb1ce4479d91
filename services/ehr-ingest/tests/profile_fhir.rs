//! What a feed profile does to FHIR resources.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::path::Path;

use ehr_ingest::{
    accept::fhir::{Interaction, Request, Verdict, accept},
    config::FeedConfig,
    feed::Feed,
    mapping::{self, Mapped, Payload},
};
use waybill_contracts::{PatientKeyer, Timestamp};

fn feed() -> Feed {
    let profile = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles/regional-fhir.toml");
    let config = FeedConfig { name: "site".into(), profile: Some(profile), ..FeedConfig::default() };
    Feed::open(&config, PatientKeyer::new(b"test")).unwrap()
}

const BUNDLE: &str = r#"{"resourceType":"Bundle","type":"transaction","entry":[
  {"fullUrl":"urn:uuid:11111111-1111-4111-8111-111111111111","resource":{"resourceType":"Patient","identifier":[{"system":"https://exchange.example.org/mrn","value":"7"}]},"request":{"method":"POST","url":"Patient"}},
  {"fullUrl":"urn:uuid:22222222-2222-4222-8222-222222222222","resource":{"resourceType":"Observation","status":"final","subject":{"reference":"Patient?identifier=https://exchange.example.org/mrn|7"},
    "code":{"coding":[{"system":"https://exchange.example.org/tests","code":"GLU"}]},"valueQuantity":{"value":1.50,"unit":"g/L"}},"request":{"method":"POST","url":"Observation"}},
  {"fullUrl":"urn:uuid:33333333-3333-4333-8333-333333333333","resource":{"resourceType":"DiagnosticReport","status":"final","code":{"text":"Chemistry"},"subject":{"reference":"urn:uuid:11111111-1111-4111-8111-111111111111"},
    "result":[{"reference":"urn:uuid:22222222-2222-4222-8222-222222222222"}]},"request":{"method":"POST","url":"DiagnosticReport"}}]}"#;

#[test]
fn a_bundle_becomes_events_with_standard_codes_and_one_key_and_its_own_bytes() {
    let feed = feed();
    let request =
        Request { interaction: Interaction::Base, request_id: None, if_match: None, body: BUNDLE.as_bytes() };
    let Verdict::Store { message, key, .. } = accept(&feed, &request, Timestamp::from_millis(0)) else {
        panic!("refused")
    };
    assert_eq!(message.body.bytes().unwrap(), BUNDLE.as_bytes(), "stored byte for byte");
    assert_eq!(
        key,
        *feed.keyer.key("CITYHOSP", "7").as_bytes(),
        "the key that HL7 v2 of the same patient has"
    );
    let Mapped::Events(events) = mapping::map(&message, BUNDLE.as_bytes(), &feed).unwrap() else {
        panic!("no events")
    };
    let results: Vec<_> = events
        .iter()
        .filter_map(|event| match &event.payload {
            Payload::Result(result) => Some(result),
            _ => None,
        })
        .collect();
    let [result] = results[..] else { panic!("one result, not {}", results.len()) };
    assert!(events.iter().all(|event| *event.key.as_bytes() == key));
    assert_eq!(result.patient.identifier[0].system.as_deref(), Some("CITYHOSP"));
    let observation = &result.report[0].result[0];
    let codes: Vec<_> = observation.code.coding.iter().filter_map(|coding| coding.code.as_deref()).collect();
    assert_eq!(codes, ["GLU", "2345-7"]);
    assert_eq!(observation.value_quantity.as_ref().unwrap().value, "1.50");
    let original = String::from_utf8(result.original.bytes().unwrap().into_owned()).unwrap();
    assert!(
        original.contains("https://exchange.example.org/mrn\"") && !original.contains("2345-7"),
        "{original}"
    );
}

#[test]
fn fhir_identifiers_and_codes_are_translated_in_place() {
    let feed = feed();
    let sent = r#"{"resourceType":"Bundle","entry":[
      {"resource":{"resourceType":"Patient","identifier":[{"system":"https:\/\/exchange.example.org/mrn","value":"7"}]}},
      {"resource":{"resourceType":"Observation","valueQuantity":{"value":1.50},"subject":{"reference":"Patient?identifier=https://exchange.example.org/mrn|7"},
        "code":{"coding":[{"system":"https://exchange.example.org/tests","code":"GLU"}]}}},
      {"resource":{"class":{"system":"https://exchange.example.org/classes","code":"STAT"},"resourceType":"Encounter"}},
      {"resource":{"resourceType":"Observation","code":{"coding":[{"system":"https://exchange.example.org/tests","code":"XYZ"}]}}}]}"#;
    let changed = String::from_utf8(feed.rewrite_fhir(sent.as_bytes()).unwrap()).unwrap();
    let expected = sent
        .replace(r#""https:\/\/exchange.example.org/mrn""#, r#""CITYHOSP""#)
        .replace("identifier=https://exchange.example.org/mrn|7", "identifier=CITYHOSP|7")
        .replace(
            r#""code":"GLU"}"#,
            r#""code":"GLU"},{"system":"http://loinc.org","code":"2345-7","display":"Glucose [Mass/volume] in Serum or Plasma"}"#,
        )
        .replace(
            r#"{"system":"https://exchange.example.org/classes","code":"STAT"}"#,
            r#"{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"IMP","display":"inpatient encounter"}"#,
        );
    assert_eq!(changed, expected);
    assert_eq!(feed.rewrite_fhir(changed.as_bytes()), None, "nothing is left to do");
    let missing = feed.rules.unwrap().untranslated_fhir(sent.as_bytes());
    assert_eq!(missing.iter().map(|one| one.code.as_str()).collect::<Vec<_>>(), ["XYZ"]);
    for broken in ["{", "not json", "\u{0}", "[]", "{\"identifier\":[1,null,{\"system\":2}]}"] {
        assert_eq!(self::feed().rewrite_fhir(broken.as_bytes()), None, "{broken}");
    }
}
