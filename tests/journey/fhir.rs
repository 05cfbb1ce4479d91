//! FHIR over HTTP, end to end: a Bundle becomes its events, one waybill and one trace; the same again changes nothing;
//! what cannot be taken is answered with an OperationOutcome and is on record.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use waybill_contracts::{
    MessageId, Record,
    billing::ChargeEvent,
    clinical::{AppointmentEvent, EncounterChange, EncounterEvent, PatientEvent},
    inbound::{InboundMessage, InboundRejected, Protocol},
    lab::LabResult,
};
use waybill_demo::{
    evidence::{Evidence, Sent},
    messages::{FHIR as FEED, Letter},
    scene::{self, Receivers},
    screen::Screen,
};
use waybill_simulator::{
    generate::{GenerateConfig, Generated, Generator},
    send::{CancellationToken, SendConfig, Sender},
};
use waybill_testkit::{Installation, Stack, TOKEN};

use crate::{
    SOON,
    http::{self, FHIR},
    installation, traces,
};

/// Bundles of this run only: traces of earlier runs have other ids.
fn bundles(waybill: &Installation, count: usize) -> Vec<Generated> {
    let seed = waybill.namespace().bytes().fold(7_u64, |seed, byte| seed.wrapping_mul(31) + u64::from(byte));
    let config = GenerateConfig {
        fhir_share: 1.0,
        unrouted_share: 0.0,
        bad_share: 0.0,
        repeat_share: 0.0,
        ..GenerateConfig::new(seed, count)
    };
    Generator::new(config).collect()
}

async fn events<T: Record>(waybill: &Installation) -> Vec<T> {
    let decoded = waybill.topics().decoded::<T>(T::TOPIC).await.unwrap();
    decoded.into_iter().map(|(_, event)| event).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_becomes_its_events_one_waybill_and_one_trace() {
    let Some(stack) = Stack::require().await else { return };
    let receivers = Receivers::start(None).await.unwrap();
    let mut waybill = installation(&stack, &receivers).start().await.unwrap();
    let bundle = bundles(&waybill, 30)
        .into_iter()
        .find(|bundle| bundle.resources.contains_key("Appointment") && bundle.resources.contains_key("Claim"))
        .unwrap();
    let sent: Value = serde_json::from_slice(&bundle.bytes).unwrap();

    let answer = http::post(&waybill, "/fhir", FHIR, &bundle.bytes).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let response: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(response["type"], "transaction-response");
    assert_eq!(response["entry"].as_array().unwrap().len(), sent["entry"].as_array().unwrap().len());

    let stored = events::<InboundMessage>(&waybill).await;
    assert_eq!((stored.len(), stored[0].protocol), (1, Protocol::FhirHttp));
    assert_eq!(stored[0].body.bytes().unwrap(), bundle.bytes, "byte for byte");
    assert_eq!(stored[0].control_id.as_deref(), Some(bundle.control_id.as_str()));
    let id = stored[0].message_id;
    let done =
        waybill.tracker().until(id, SOON, waybill_testkit::tracker::Waybill::is_settled).await.unwrap();
    assert_eq!(done.message_type.as_deref(), stored[0].message_type.as_deref(), "{done:?}");
    the_events_are_those_of(&waybill, &bundle, &sent).await;

    if waybill.jaeger().is_some() {
        traces::is_whole(&waybill, id, &["confirmation-tracker", "ehr-ingest", "lab-distributor"]).await;
    }
    // The same bytes again: the same locations and versions, the same message, and no event that was not there.
    let again = http::post(&waybill, "/fhir", FHIR, &bundle.bytes).await;
    assert_eq!(places(&again.body), places(&answer.body));
    waybill.tracker().until(id, SOON, waybill_testkit::tracker::Waybill::is_settled).await.unwrap();
    waybill.stop().await.unwrap();
    assert!(events::<InboundMessage>(&waybill).await.iter().all(|message| message.message_id == id));
    let results = waybill.topics().decoded::<LabResult>(LabResult::TOPIC).await.unwrap();
    let ids: BTreeSet<_> = results.iter().map(|(record, _)| record.event_headers().unwrap().id).collect();
    assert_eq!(ids.len(), bundle.resources["DiagnosticReport"]);
}

/// Of each entry of a response what identifies the result; the times of answering differ.
fn places(response: &str) -> Vec<(Value, Value)> {
    let response: Value = serde_json::from_str(response).unwrap();
    let entries = response["entry"].as_array().unwrap().iter().map(|entry| &entry["response"]);
    entries.map(|entry| (entry["location"].clone(), entry["etag"].clone())).collect()
}

/// Each resource's event, with what its consumers need of it.
async fn the_events_are_those_of(waybill: &Installation, bundle: &Generated, sent: &Value) {
    let resources = |kind: &str| -> Vec<Value> {
        let entries = sent["entry"].as_array().unwrap().iter().map(|entry| entry["resource"].clone());
        entries.filter(|resource| resource["resourceType"] == kind).collect()
    };
    let patients = events::<PatientEvent>(waybill).await;
    assert_eq!(patients.len(), 1);
    let patient = &patients[0].patient;
    assert!(patient.identifier.iter().any(|identifier| *identifier.value.expose() == bundle.mrn));
    let family = resources("Patient")[0]["name"][0]["family"].clone();
    assert_eq!(patient.name[0].family.as_ref().map(|name| name.expose().as_str()), family.as_str());

    let encounters = events::<EncounterEvent>(waybill).await;
    assert_eq!(encounters.len(), 1);
    let event = &encounters[0];
    assert_eq!((event.change, event.encounter.status.as_str()), (EncounterChange::Snapshot, "finished"));
    let visit = resources("Encounter")[0]["identifier"][0]["value"].clone();
    assert_eq!(Some(event.encounter.identifier[0].value.expose().as_str()), visit.as_str());
    assert_eq!(event.encounter.diagnosis.len(), 1, "the condition belongs to its encounter");
    assert_eq!(event.coverage.len(), resources("Coverage").len());
    assert_eq!(event.patient.identifier, patient.identifier);

    let results = events::<LabResult>(waybill).await;
    assert_eq!(results.len(), bundle.resources["DiagnosticReport"]);
    let observations: usize =
        results.iter().flat_map(|result| &result.report).map(|report| report.result.len()).sum();
    assert_eq!(observations, bundle.resources["Observation"], "every observation is in its report");

    let charges = events::<ChargeEvent>(waybill).await;
    let count = |kind: &str| bundle.resources.get(kind).copied().unwrap_or_default();
    assert_eq!(charges.len(), count("Claim") + count("ChargeItem"));
    let claim = charges.iter().find(|charge| charge.claim.is_some()).unwrap();
    assert_eq!(claim.charge.len(), resources("Claim")[0]["item"].as_array().unwrap().len());
    assert_eq!(claim.coverage.len(), 1, "the claim's coverage is resolved");

    let appointments = events::<AppointmentEvent>(waybill).await;
    assert_eq!(appointments.len(), 1);
    let start = resources("Appointment")[0]["start"].clone();
    assert_eq!(
        appointments[0].appointment.start.as_ref().map(|start| start.expose().as_str()),
        start.as_str()
    );
    assert_eq!(appointments[0].appointment.status, "booked");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_taken_is_answered_and_on_record() {
    let Some(stack) = Stack::require().await else { return };
    let receivers = Receivers::start(None).await.unwrap();
    let waybill = installation(&stack, &receivers).start().await.unwrap();
    let good = bundles(&waybill, 1).remove(0).bytes;
    let text = String::from_utf8(good.clone()).unwrap();
    let dangling = text.replacen(r#""reference":"urn:uuid:"#, r#""reference":"urn:uuid:0"#, 1);
    let refused = [
        ("broken", good[..good.len() / 2].to_vec()),
        ("no JSON", b"MSH|^~\\&|".to_vec()),
        ("a dangling reference", dangling.into_bytes()),
        ("no Bundle", text.replacen(r#""type":"transaction""#, r#""type":"nonsense""#, 1).into_bytes()),
    ];
    for (what, body) in &refused {
        let answer = http::post(&waybill, "/fhir", FHIR, body).await;
        assert!((400..500).contains(&answer.status), "{what}: {answer:?}");
        let outcome: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(outcome["resourceType"], "OperationOutcome", "{what}: {answer:?}");
        assert!(outcome["issue"][0]["severity"] != "warning", "{what}: {answer:?}");
    }
    let on_record = events::<InboundRejected>(&waybill).await;
    for (what, body) in &refused {
        let found = on_record.iter().find(|one| one.body.bytes().is_ok_and(|bytes| bytes == *body));
        let found = found.unwrap_or_else(|| panic!("{what} is not in inbound.rejected"));
        assert!(!found.reason_code.is_empty());
        let id = found.message_id;
        waybill.tracker().until(id, SOON, |waybill| waybill.state() == "refused").await.unwrap();
    }
    // Without the token nothing is even looked at.
    for token in [None, Some("wrong")] {
        let answer = http::ask(&waybill, "/fhir", FHIR, token, &good).await;
        assert_eq!(answer.status, 401, "{answer:?}");
    }
    assert!(events::<InboundMessage>(&waybill).await.is_empty());
    assert_eq!(events::<InboundRejected>(&waybill).await.len(), refused.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_bundles_at_once_are_all_accounted_for() {
    let Some(stack) = Stack::require().await else { return };
    let receivers = Receivers::start(None).await.unwrap();
    let waybill = installation(&stack, &receivers).start().await.unwrap();
    let generated = bundles(&waybill, 120);
    let letters: Vec<Letter> = generated.into_iter().map(Letter::from).collect();
    let evidence = sent(&waybill, &receivers, Vec::new(), letters).await;
    let audit = waybill_demo::audit::Audit::of(&evidence, &scene::plan(&[]));
    assert!(audit.findings.is_empty(), "{:#?}\n{}", audit.findings, waybill.tails());
    assert_eq!((audit.accepted, audit.events["clinical.encounter.v1"]), (120, 120));
    let balance = waybill.tracker().balance().await.unwrap();
    assert!(balance.balanced && balance.open() == 0, "{balance:?}");
}

/// Sends letters of the feed over HTTP and waits until everything about them, and about those sent `before`, is settled.
pub(crate) async fn sent(
    waybill: &Installation,
    receivers: &Receivers,
    before: Vec<Sent>,
    letters: Vec<Letter>,
) -> Evidence {
    let address = waybill.mllp(FEED).unwrap().to_string();
    let config = SendConfig { connections: 4, ..SendConfig::fhir(address, Some(TOKEN)) };
    let outgoing = letters.iter().map(|letter| letter.outgoing.clone()).collect();
    let report = Sender::new(config).run(outgoing, CancellationToken::new()).await;
    assert_eq!(report.failures, 0, "{:?}\n{}", report.acked, waybill.tails());
    let records = report.records.into_iter();
    let sent = records.map(|record| Sent { letter: letters[record.index].clone(), record });
    let sent = before.into_iter().chain(sent).collect();
    scene::settle(waybill, receivers, sent, &mut Screen::default()).await.unwrap()
}

/// Events of a message by the type of the resource that each was made from.
pub(crate) fn by_source<'e, T: 'e>(
    events: &'e [T],
    source: impl Fn(&T) -> &waybill_contracts::clinical::EventSource,
) -> BTreeMap<(MessageId, String), usize> {
    let mut counts = BTreeMap::new();
    for event in events {
        let source = source(event);
        let kind = source.message_type.as_deref().unwrap_or_default().to_owned();
        *counts.entry((source.message_id, kind)).or_default() += 1;
    }
    counts
}
