//! Every public FHIR sample is answered, what is accepted can be mapped, and nothing of Synthea's patients is lost.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::{collections::BTreeMap, fs, io::Read, path::Path};

use ehr_ingest::{
    accept::fhir::{Interaction, Request, Verdict, accept},
    config::FeedConfig,
    feed::Feed,
    mapping::{self, Event, Mapped, Payload},
};
use flate2::read::GzDecoder;
use serde_json::Value;
use waybill_contracts::{PatientKeyer, Timestamp};
use waybill_testkit::corpora;

fn feed() -> Feed {
    Feed::new(&FeedConfig::default(), PatientKeyer::new(b"corpora"))
}

fn files(folder: &Path, ending: &str) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), path))
        .filter(|(name, _)| name.ends_with(ending))
        .map(|(name, path)| (name, fs::read(path).unwrap()))
        .collect();
    files.sort();
    files
}

/// As a sender would: Bundles to the base, resources to their type.
fn send(feed: &Feed, body: &[u8]) -> Verdict {
    let value: Option<Value> = serde_json::from_slice(body).ok();
    let resource_type = value.as_ref().and_then(|value| value["resourceType"].as_str()).unwrap_or("Patient");
    let interaction = match resource_type {
        "Bundle" => Interaction::Base,
        resource_type => Interaction::Create { resource_type },
    };
    accept(feed, &Request { interaction, request_id: None, if_match: None, body }, Timestamp::from_millis(1))
}

fn events(feed: &Feed, verdict: &Verdict, body: &[u8]) -> Vec<Event> {
    let Verdict::Store { message, .. } = verdict else { return Vec::new() };
    match mapping::map(message, body, feed).unwrap() {
        Mapped::Events(events) => events,
        Mapped::NoDestination(_) => Vec::new(),
    }
}

/// Status and reason of an answer, and the place it names.
fn outcome(verdict: &Verdict) -> (u16, &str, &str) {
    match verdict {
        Verdict::Store { response, .. } => (response.status, "", ""),
        Verdict::Refuse { rejected, response } => {
            (response.status, &rejected.reason_code, rejected.error_location.as_deref().unwrap_or_default())
        }
    }
}

#[test]
fn official_examples_are_taken_unless_of_a_kind_that_never_is() {
    let Some(root) = corpora::folder("fhir-r4") else { return };
    let feed = feed();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut count = |what: String| *counts.entry(what).or_default() += 1;
    for folder in ["r4-examples", "us-core"] {
        for (name, body) in files(&root.join(folder), ".json") {
            let verdict = send(&feed, &body);
            for event in &events(&feed, &verdict, &body) {
                count(format!("{folder}: event {}", event.payload.topic()));
            }
            let (status, reason, place) = outcome(&verdict);
            count(format!("{folder}: {status} {reason}"));
            let may_be_refused = match reason {
                // Documents, search results, answers; requests for something (a batch of GET).
                "ING-0025" => place == "Bundle.type" || place.ends_with(".request.method"),
                // Nobody to key an event by: a patient of whom only the name is said.
                "ING-0010" => name.contains("contained") || name.contains("appendectomy"),
                _ => false,
            };
            assert!(reason.is_empty() || may_be_refused, "{folder}/{name}: {status} {reason} {place}");
        }
    }
    eprintln!("{counts:#?}");
}

/// What the reference validator says of form: JSON, types, cardinality of what is read here, dates, ids.
fn is_about_form(issue: &Value) -> bool {
    let text = issue["details"]["text"].as_str().unwrap_or_default();
    let forms = [
        "Error parsing JSON",
        "Comma is missing",
        "extra comma",
        "Comments are not allowed",
        "has no quotes",
        "Array cannot be empty",
        "must be an Object, not",
        "must be a JSON Array",
        "Invalid Resource id",
        "Not a valid date format",
        "Observation.code: minimum required",
    ];
    forms.iter().any(|form| text.contains(form))
}

#[test]
fn validator_cases_are_judged_as_the_reference_validator_judges_their_form() {
    let Some(root) = corpora::folder("fhir-r4/validator-cases") else { return };
    let feed = feed();
    let (mut agreed, mut refused_form, mut taken, mut kinds, mut deviations) = (0, 0, 0, 0, Vec::new());
    for (name, body) in files(&root, ".json") {
        let Some(stem) = name.strip_suffix(".json").filter(|_| !name.ends_with(".outcome.json")) else {
            continue;
        };
        let Ok(expected) = fs::read(root.join(format!("{stem}.outcome.json"))) else { continue };
        let expected: Value = serde_json::from_slice(&expected).unwrap_or_default();
        let errors = expected["issue"].as_array().into_iter().flatten();
        let errors: Vec<_> =
            errors.filter(|issue| matches!(issue["severity"].as_str(), Some("error" | "fatal"))).collect();
        let verdict = send(&feed, &body);
        let (status, reason, place) = outcome(&verdict);
        if reason == "ING-0025" {
            // Documents and search results, whatever is in them.
            kinds += 1;
            continue;
        }
        let is_form = errors.iter().any(|issue| is_about_form(issue));
        match (is_form, errors.is_empty(), reason.is_empty()) {
            (true, _, false) => refused_form += 1,
            (_, true, true) => taken += 1,
            // Profiles, terminology, invariants of resources that no event is made of: not asked here.
            (false, false, _) => continue,
            _ => {
                deviations.push(format!("{name}: {status} {reason} {place}"));
                continue;
            }
        }
        agreed += 1;
    }
    eprintln!(
        "agreed on form: {agreed} ({refused_form} refused, {taken} taken); {} not; {kinds} of a kind that is not taken\n{deviations:#?}",
        deviations.len()
    );
    let explained = [
        // The validator was told to take comments, and an id that is too long: no JSON, no R4.
        "json-comments-1-yes.json",
        "json-comments-2-yes.json",
        "contained-resource-bad-id-ignore.json",
        // Only read as R4 by the validator: the code system says `profile` as R2 did. Taken here before meta was read.
    ];
    for deviation in &deviations {
        assert!(explained.iter().any(|name| deviation.starts_with(name)), "{deviation}");
    }
    assert!(agreed >= 30, "{agreed}");
}

#[test]
fn nothing_of_synthea_is_lost() {
    let Some(root) = corpora::folder("synthea/seed42") else { return };
    let feed = feed();
    for (name, zipped) in files(&root, ".json.gz") {
        let mut body = Vec::new();
        GzDecoder::new(zipped.as_slice()).read_to_end(&mut body).unwrap();
        let verdict = send(&feed, &body);
        let mapped = events(&feed, &verdict, &body);
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for event in &mapped {
            *counts.entry(event.payload.topic()).or_default() += 1;
        }
        let value: Value = serde_json::from_slice(&body).unwrap();
        let count = |kind: &str| {
            let entries = value["entry"].as_array().unwrap();
            entries.iter().filter(|entry| entry["resource"]["resourceType"] == kind).count()
        };
        eprintln!("{name}: {:?} {counts:?}", outcome(&verdict));
        for (topic, kind) in [
            ("clinical.patient.v1", "Patient"),
            ("clinical.encounter.v1", "Encounter"),
            ("lab.result.v1", "DiagnosticReport"),
            ("billing.charge.v1", "Claim"),
        ] {
            assert_eq!(counts.get(topic).copied().unwrap_or_default(), count(kind), "{name}: {kind}");
        }
        check_content(&name, &value, &mapped);
    }
}

/// Nothing inside the resources is lost either: lines of claims, observations, payers, providers, amounts.
fn check_content(name: &str, bundle: &Value, events: &[Event]) {
    let of = |kind: &str| {
        let entries = bundle["entry"].as_array().unwrap().iter();
        entries
            .map(|entry| &entry["resource"])
            .filter(|found| found["resourceType"] == kind)
            .collect::<Vec<_>>()
    };
    let length = |value: &Value| value.as_array().map_or(0, Vec::len);
    let sent_lines: usize = of("Claim").iter().map(|claim| length(&claim["item"])).sum();
    // A panel is its components.
    let sent_observations: usize =
        of("Observation").iter().map(|observation| length(&observation["component"]).max(1)).sum();
    let sent_procedures = of("Procedure").len();
    let (mut lines, mut observations, mut procedures) = (0, 0, 0);
    for event in events {
        match &event.payload {
            Payload::Charge(charge) => {
                lines += charge.charge.len();
                assert!(
                    charge.coverage.iter().any(|coverage| coverage.payer_name.is_some()),
                    "{name}: payer"
                );
                assert!(charge.total.is_some() && charge.claim.is_some(), "{name}: total and number");
                let billing = charge.encounter.as_ref().unwrap().participant.iter();
                assert!(
                    billing.clone().any(|who| who.role.as_deref() == Some("billing")),
                    "{name}: provider"
                );
            }
            Payload::Encounter(encounter) => {
                observations += encounter.observation.len();
                procedures += encounter.encounter.procedure.len();
                let who = encounter.encounter.participant.iter().filter_map(|who| who.identifier.as_ref());
                assert!(who.clone().any(|id| id.r#type.as_deref() == Some("NPI")), "{name}: NPI");
                assert!(
                    encounter.encounter.location.iter().any(|place| place.facility.is_some()),
                    "{name}: place"
                );
                assert!(encounter.encounter.period.is_some(), "{name}: period");
            }
            Payload::Result(result) => {
                observations += result.report[0].result.len();
                assert!(!result.original.bytes().unwrap().is_empty());
            }
            _ => {}
        }
    }
    assert_eq!(
        (lines, observations, procedures),
        (sent_lines, sent_observations, sent_procedures),
        "{name}: lines of claims, observations, procedures"
    );
}
