//! No identifying value of any message in logs, metrics, traces, the tracker's API, replies, keys, headers or the
//! records of `delivery.*`: with an outage, a refusal and refused messages among them, for errors are where it leaks.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fmt::Write as _,
    time::Duration,
};

use waybill_demo::{
    messages::Letter,
    scene::{self, Pace, Receivers},
    screen::Screen,
};
use waybill_simulator::{
    generate::{GenerateConfig, Generated, Generator},
    phi::occurrences,
};
use waybill_testkit::{Installation, Stack};

use crate::{SOON, http, installation, mllp};

/// Shorter ones are found by chance.
const SHORTEST: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn no_identifying_value_leaves_the_records() {
    let Some(stack) = Stack::require().await else { return };
    let config =
        GenerateConfig { bad_share: 0.05, fhir_share: 0.15, patients: 80, ..GenerateConfig::new(4711, 240) };
    let generated: Vec<_> = Generator::new(config).collect();
    let kinds: BTreeSet<_> = generated.iter().map(|message| format!("{:?}", message.expect.kind)).collect();
    for kind in
        ["Adt", "Appointment", "Order", "Charge", "Result", "Bundle", "BrokenBundle", "MissingPatient"]
    {
        assert!(kinds.contains(kind), "no {kind} among {kinds:?}");
    }
    let values = identifying(&generated);
    assert!(values.len() > 500, "only {} values", values.len());
    let letters: Vec<_> = generated.iter().cloned().map(Letter::from).collect();
    let plan = scene::plan(&letters);
    let receivers = Receivers::start(plan.refused_order.as_deref()).await.unwrap();
    // Every level of our own crates: what a support person would switch on.
    let log = "info,ehr_ingest=trace,lab_distributor=trace,confirmation_tracker=trace,waybill_kafka=trace,waybill_hl7v2=trace";
    let mut waybill = installation(&stack, &receivers).set_all("telemetry.log", log).start().await.unwrap();

    let pace = Pace { rate: 100.0, outage: Duration::from_secs(1) };
    let mut screen = Screen::default();
    let sent = scene::play(&waybill, &receivers, letters, pace, &mut screen).await.unwrap();
    let evidence = scene::settle(&waybill, &receivers, sent, &mut screen).await.unwrap();
    let mut places = BTreeMap::new();
    let replies = replies(&waybill, &generated).await;
    places.insert("replies".to_owned(), replies.into_bytes());
    metrics(&waybill, &mut places).await;
    let jaeger = waybill.jaeger();
    let mut traces = String::new();
    for id in evidence.waybills.keys() {
        if let Some(jaeger) = &jaeger {
            let trace = jaeger.until(*id, SOON, |trace| trace.names().contains(&"settle")).await.unwrap();
            traces += &trace.raw.to_string();
        }
    }
    assert!(jaeger.is_none() || traces.len() > 100_000, "{} bytes of traces", traces.len());
    places.insert("traces".to_owned(), traces.into_bytes());
    api(&waybill, &evidence, &mut places).await;
    let values_of_records = topics(&waybill, &mut places).await;
    // After the stop, so that what is logged at the end counts too.
    waybill.stop().await.unwrap();
    for unit in waybill.units() {
        places.insert(format!("log of {}", unit.name()), unit.log().into_bytes());
    }

    // The search itself works: in the records' values they all are.
    let some: Vec<_> = values.iter().step_by(values.len() / 50).cloned().collect();
    let there = found(&values_of_records, &some).len();
    assert!(there > some.len() / 2, "the search finds {there} of {} where all of them are", some.len());
    let mut leaks = Vec::new();
    for (name, place) in &places {
        assert!(!place.is_empty(), "nothing was looked at: {name}");
        let hits = found(place, &values);
        if !hits.is_empty() {
            leaks.push(format!("{name}: {} values, such as {:?}", hits.len(), &hits[..hits.len().min(5)]));
        }
    }
    let sizes: Vec<_> = places.iter().map(|(name, place)| format!("{name} {}", place.len())).collect();
    println!("{} values looked for in: {}", values.len(), sizes.join(", "));
    assert!(leaks.is_empty(), "{leaks:#?}");
}

/// The values that stand in a place.
fn found<'a>(place: &[u8], values: &'a [String]) -> Vec<&'a String> {
    let words = words(place);
    let stands = |value: &&String| words.contains(longest_word(value)) && occurrences(place, value) > 0;
    values.iter().filter(stands).collect()
}

/// Every identifying value, and dates also as FHIR writes them.
fn identifying(generated: &[Generated]) -> Vec<String> {
    let mut values = BTreeSet::new();
    for value in
        generated.iter().flat_map(|message| &message.phi).filter(|value| value.chars().count() >= SHORTEST)
    {
        if value.len() == 8 && value.bytes().all(|byte| byte.is_ascii_digit()) {
            values.insert(format!("{}-{}-{}", &value[..4], &value[4..6], &value[6..]));
        }
        values.insert(value.clone());
    }
    values.into_iter().collect()
}

/// What senders get back, refusals foremost. All of it was sent before, so these are repeats and refusals.
async fn replies(waybill: &Installation, generated: &[Generated]) -> String {
    let mut replies = String::new();
    let (bundles, hl7): (Vec<_>, Vec<_>) =
        generated.iter().partition(|message| message.feed == waybill_simulator::generate::Feed::Fhir);
    replies += &http_replies(waybill, &bundles, &hl7).await;
    for message in hl7.iter().take(60).chain(hl7.iter().filter(|message| message.control_id.is_empty())) {
        let feed = message.feed.sender().0.to_lowercase();
        replies += &mllp::ask(waybill.mllp(&feed).unwrap(), &message.bytes, SOON).await.unwrap();
    }
    // Torn and spoilt ones, whose errors have a position to report.
    for (at, message) in hl7.iter().enumerate().take(30) {
        let cut = message.bytes.len() * (at + 10) / 60;
        replies +=
            &mllp::ask(waybill.mllp("ehr").unwrap(), &message.bytes[..cut], SOON).await.unwrap_or_default();
    }
    replies
}

/// Everything that can be wrong with a request over HTTP, and repeats: the answers with their headers.
async fn http_replies(waybill: &Installation, bundles: &[&Generated], hl7: &[&Generated]) -> String {
    let mut replies = String::new();
    let mut said = async |path: &str, kind: &str, token: Option<&str>, body: &[u8]| {
        let answer = http::ask(waybill, path, kind, token, body).await;
        writeln!(replies, "{answer:?}").unwrap();
    };
    let token = Some(waybill_testkit::TOKEN);
    for (at, message) in bundles.iter().enumerate().take(12) {
        let text = String::from_utf8_lossy(&message.bytes).into_owned();
        said("/fhir", http::FHIR, token, &message.bytes).await;
        said("/fhir", http::FHIR, Some("wrong"), &message.bytes).await;
        said("/fhir", "text/plain", token, &message.bytes).await;
        said("/fhir/Patient", http::FHIR, token, &message.bytes).await;
        said("/fhir/Nonsense", http::FHIR, token, &message.bytes).await;
        said("/nowhere", http::FHIR, token, &message.bytes).await;
        said("/hl7", http::HL7, token, &message.bytes).await;
        // Torn, and with values where they do not belong: those are what an error would like to quote.
        said("/fhir", http::FHIR, token, &message.bytes[..message.bytes.len() * (at + 3) / 20]).await;
        for value in message.phi.iter().take(8) {
            let quoted = format!("\"{value}\"");
            for wrong in [r#"[{"x":1}]"#.to_owned(), format!("{quoted},{quoted}"), value.clone()] {
                said("/fhir", http::FHIR, token, text.replacen(&quoted, &wrong, 1).as_bytes()).await;
            }
            let misplaced = text.replacen(r#""status":"final""#, &format!(r#""status":{quoted}"#), 1);
            said("/fhir", http::FHIR, token, misplaced.as_bytes()).await;
            let dangling =
                text.replacen(r#""reference":"urn:uuid:"#, &format!(r#""reference":"Patient/{value}"#), 1);
            said("/fhir", http::FHIR, token, dangling.as_bytes()).await;
        }
    }
    for message in hl7.iter().take(20) {
        said("/hl7", http::HL7, token, &message.bytes).await;
        said("/hl7", http::FHIR, token, &message.bytes).await;
        said("/hl7", http::HL7, token, &message.bytes[..message.bytes.len() / 2]).await;
        said("/fhir", http::FHIR, token, &message.bytes).await;
    }
    replies
}

async fn metrics(waybill: &Installation, places: &mut BTreeMap<String, Vec<u8>>) {
    for unit in waybill.units() {
        places.insert(format!("metrics of {}", unit.name()), unit.metrics().await.unwrap().into_bytes());
        places.insert(
            format!("readiness of {}", unit.name()),
            unit.readiness().await.unwrap().body.into_bytes(),
        );
    }
}

async fn api(
    waybill: &Installation,
    evidence: &waybill_demo::evidence::Evidence,
    places: &mut BTreeMap<String, Vec<u8>>,
) {
    let tracker = waybill.tracker();
    let mut answers = String::new();
    for path in ["messages?limit=1000", "balance", "balance?verify=true"] {
        answers += &tracker.json(path).await.unwrap().unwrap().to_string();
    }
    for id in evidence.waybills.keys() {
        answers += &tracker.json(&format!("messages/{id}")).await.unwrap().unwrap().to_string();
    }
    places.insert("tracker's API".to_owned(), answers.into_bytes());
}

/// Keys and headers of every topic, dead letters included, and the values of `delivery.*`. Gives the values of the rest.
async fn topics(waybill: &Installation, places: &mut BTreeMap<String, Vec<u8>>) -> Vec<u8> {
    let (mut around, mut accounts, mut records) = (Vec::new(), Vec::new(), Vec::new());
    let mut dead_letters = 0;
    for topic in waybill.topics().all().await.unwrap() {
        for record in waybill.topics().records_of(&topic).await.unwrap() {
            dead_letters += usize::from(topic.as_str().contains(".dlq."));
            around.extend_from_slice(record.key().unwrap_or_default());
            around.push(b'\n');
            for (name, value) in record.headers() {
                around.extend_from_slice(name.as_bytes());
                around.push(b'\n');
                around.extend_from_slice(value);
                around.push(b'\n');
            }
            let is_account = topic.as_str().contains(".delivery.") && !topic.as_str().contains(".lab.");
            let values = if is_account { &mut accounts } else { &mut records };
            values.extend_from_slice(record.value().unwrap_or_default());
            values.push(b'\n');
        }
    }
    assert!(dead_letters > 0, "the refused order must have left a dead letter");
    places.insert("keys and headers".to_owned(), around);
    places.insert("values of delivery.*".to_owned(), accounts);
    records
}

/// Runs of letters and digits: a value can only be where its longest run is.
fn words(place: &[u8]) -> HashSet<&[u8]> {
    place.split(|byte| !byte.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect()
}

fn longest_word(value: &str) -> &[u8] {
    value
        .as_bytes()
        .split(|byte| !byte.is_ascii_alphanumeric())
        .max_by_key(|word| word.len())
        .unwrap_or_default()
}
