//! A large Bundle does not become a large tree: memory and time of 30 MB at once.
//!
//! Alone in its process, because the peak is the process's.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::{fs, io::Read, path::Path, time::Instant};

use ehr_ingest::{
    accept::fhir::{Interaction, Request, Verdict, accept},
    config::FeedConfig,
    feed::Feed,
    mapping::{self, Mapped},
};
use flate2::read::GzDecoder;
use waybill_contracts::{PatientKeyer, Timestamp};
use waybill_testkit::corpora;

/// Peak of resident memory in kB since the last call.
fn peak_kb() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let peak = line.split_whitespace().nth(1)?.parse().ok();
    // proc(5): 5 resets the peak to what is resident now.
    fs::write("/proc/self/clear_refs", "5").ok()?;
    peak
}

fn resident_kb() -> u64 {
    let _ = peak_kb();
    peak_kb().unwrap_or_default()
}

/// All patients of Synthea in one transaction.
fn body() -> Option<Vec<u8>> {
    let mut body = br#"{"resourceType":"Bundle","type":"transaction","entry":["#.to_vec();
    let mut paths: Vec<_> = fs::read_dir(corpora::folder("synthea/seed42")?)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    for path in paths.iter().filter(|path| path.to_string_lossy().contains("patient-")) {
        let mut text = String::new();
        GzDecoder::new(fs::read(path).unwrap().as_slice()).read_to_string(&mut text).unwrap();
        let entries = &text[text.find("\"entry\"").unwrap()..];
        let entries = &entries[entries.find('[').unwrap() + 1..entries.rfind(']').unwrap()];
        if !body.ends_with(b"[") {
            body.push(b',');
        }
        body.extend_from_slice(entries.as_bytes());
    }
    body.extend_from_slice(b"]}");
    Some(body)
}

#[test]
fn memory_stays_near_the_size_of_the_body() {
    let Some(body) = body() else { return };
    let feed = Feed::new(&FeedConfig::default(), PatientKeyer::new(b"memory"));
    let mut before = resident_kb();
    if before == 0 {
        eprintln!("skipped: this system does not tell the peak of memory");
        return;
    }
    let began = Instant::now();
    let request = Request { interaction: Interaction::Base, request_id: None, if_match: None, body: &body };
    let verdict = accept(&feed, &request, Timestamp::from_millis(1));
    let accepting = began.elapsed();
    let accept_kb = peak_kb().unwrap() - before;
    let Verdict::Store { message, .. } = &verdict else { panic!("refused") };
    before = resident_kb();
    let began = Instant::now();
    let Mapped::Events(events) = mapping::map(message, &body, &feed).unwrap() else { panic!("no events") };
    let mapping = began.elapsed();
    let map_kb = peak_kb().unwrap() - before;
    let body_kb = body.len() as u64 / 1024;
    eprintln!(
        "{body_kb} kB, stored {} kB: accepted in {accepting:?} with {accept_kb} kB more at the peak; {} events in {mapping:?} with {map_kb} kB more",
        message.body.data.expose().0.len() / 1024,
        events.len(),
    );
    // Entries' frames, the answer and the compressed copy.
    assert!(accept_kb < body_kb, "{accept_kb} kB beside a body of {body_kb} kB");
    // The events themselves, their originals and patients among them.
    assert!(map_kb < 3 * body_kb, "{map_kb} kB beside a body of {body_kb} kB");
    drop((events, verdict));

    // A profile looks at every value, and holds those of one resource at a time.
    let profile = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles/regional-fhir.toml");
    let config = FeedConfig { profile: Some(profile), ..FeedConfig::default() };
    let feed = Feed::open(&config, PatientKeyer::new(b"memory")).unwrap();
    before = resident_kb();
    let began = Instant::now();
    assert!(matches!(accept(&feed, &request, Timestamp::from_millis(1)), Verdict::Store { .. }));
    let (accepting, profile_kb) = (began.elapsed(), peak_kb().unwrap() - before);
    eprintln!("with a profile: accepted in {accepting:?} with {profile_kb} kB more at the peak");
    assert!(profile_kb < 2 * body_kb, "{profile_kb} kB beside a body of {body_kb} kB");
}
