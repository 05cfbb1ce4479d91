//! Whole lives as Synthea exports them, 0.5 to 5 MB each, posted by HTTP: every Encounter, DiagnosticReport and Claim is
//! an event that its manifest names, every waybill is closed; and what it took.

use std::{
    collections::BTreeMap,
    fs,
    io::Read as _,
    time::{Duration, Instant},
};

use waybill_contracts::{MessageId, Record, billing::ChargeEvent, clinical::EncounterEvent, lab::LabResult};
use waybill_demo::{
    audit::Audit,
    evidence::Evidence,
    messages::{FHIR as FEED, Letter},
    scene::{self, Receivers},
};
use waybill_simulator::send::Outgoing;
use waybill_testkit::{Installation, Stack, Unit, corpora};

use crate::{
    fhir::{by_source, sent},
    installation,
};

/// Of the accounting of one file's resources.
const KINDS: [&str; 3] = ["Encounter", "DiagnosticReport", "Claim"];

/// A file of the corpus: its Bundle and how many resources of each type are in it.
struct Life {
    name: String,
    bytes: Vec<u8>,
    resources: BTreeMap<String, usize>,
}

/// Hospitals and practitioners first: the patients refer to them.
fn lives() -> Option<Vec<Life>> {
    let folder = corpora::folder("synthea")?.join("seed42");
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let read = |path: &std::path::Path| {
        let mut bytes = Vec::new();
        flate2::read::GzDecoder::new(fs::File::open(path).unwrap()).read_to_end(&mut bytes).unwrap();
        let bundle: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        let mut resources = BTreeMap::new();
        for entry in bundle["entry"].as_array().unwrap() {
            let kind = entry["resource"]["resourceType"].as_str().unwrap().to_owned();
            *resources.entry(kind).or_default() += 1;
        }
        Life { name: path.file_name().unwrap().display().to_string(), bytes, resources }
    };
    Some(paths.iter().map(|path| read(path)).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_encounter_report_and_claim_of_whole_lives_is_accounted_for() {
    let Some(stack) = Stack::require().await else { return };
    let Some(lives) = lives() else { return };
    let receivers = Receivers::start(None).await.unwrap();
    let mut waybill = installation(&stack, &receivers).start().await.unwrap();
    let before = peak_memory(&mut waybill);
    let started = Instant::now();
    let mut evidence: Option<Evidence> = None;
    // In order, as far as the order matters.
    let (basics, patients): (Vec<_>, Vec<_>) = lives.iter().partition(|life| life.name.starts_with('0'));
    for part in [basics, patients] {
        let letters = part.iter().map(|life| {
            Letter::unknown(FEED, Outgoing::new(life.bytes.clone()).from_file(life.name.clone()))
        });
        let posted = Instant::now();
        let before = evidence.map(|evidence| evidence.sent).unwrap_or_default();
        evidence = Some(sent(&waybill, &receivers, before, letters.collect()).await);
        println!("{} files posted and settled in {:.1?}", part.len(), posted.elapsed());
    }
    let (took, after) = (started.elapsed(), peak_memory(&mut waybill));
    let evidence = evidence.unwrap();

    let id_of = |life: &Life| -> MessageId {
        let found = evidence.stored.iter().find(|stored| stored.bytes == life.bytes);
        found.unwrap_or_else(|| panic!("{} is not in inbound.message", life.name)).id
    };
    let found = by_kind(&waybill).await;
    let mut total = BTreeMap::<&str, usize>::new();
    for life in &lives {
        let id = id_of(life);
        for kind in KINDS {
            let wanted = life.resources.get(kind).copied().unwrap_or_default();
            let events = found.get(&(id, kind.to_owned())).copied().unwrap_or_default();
            assert_eq!(events, wanted, "{kind} of {}", life.name);
            *total.entry(kind).or_default() += wanted;
        }
        let waybill = &evidence.waybills[&id];
        assert!(waybill.is_settled(), "{}: {}", life.name, waybill.state());
    }
    assert!(total.values().all(|count| *count > 0), "{total:?}");
    // The manifests name what is in the topics, and nothing else is there.
    let audit = Audit::of(&evidence, &scene::plan(&[]));
    assert!(audit.findings.is_empty(), "{:#?}", audit.findings);
    assert_eq!(audit.accepted, lives.len());
    let balance = waybill.tracker().balance().await.unwrap();
    assert!(balance.balanced && balance.open() == 0, "{balance:?}");

    let megabytes = lives.iter().map(|life| life.bytes.len()).sum::<usize>() as f64 / 1e6;
    let seconds = took.as_secs_f64();
    println!(
        "{} Bundles, {megabytes:.1} MB, {total:?}: {seconds:.1} s to the last settled line; ehr-ingest VmHWM {before} \
         MB before, {after} MB at its peak",
        lives.len()
    );
    // A bound on memory, not a measurement: debug builds and both roles in one process.
    assert!(after < 1024, "{after} MB");
    assert!(took < Duration::from_mins(3), "{took:?}");
}

async fn by_kind(waybill: &Installation) -> BTreeMap<(MessageId, String), usize> {
    async fn events<T: Record>(waybill: &Installation) -> Vec<T> {
        let decoded = waybill.topics().decoded::<T>(T::TOPIC).await.unwrap();
        decoded.into_iter().map(|(_, event)| event).collect()
    }
    let mut counts = by_source(&events::<EncounterEvent>(waybill).await, |event| &event.source);
    counts.extend(by_source(&events::<LabResult>(waybill).await, |event| &event.source));
    counts.extend(by_source(&events::<ChargeEvent>(waybill).await, |event| &event.source));
    counts
}

/// The most memory that ehr-ingest has had resident so far, in megabytes.
fn peak_memory(waybill: &mut Installation) -> u64 {
    let pid = waybill.unit(Unit::EhrIngest).unwrap().pid().unwrap();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}
