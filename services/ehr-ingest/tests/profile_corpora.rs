//! Whatever the message and whatever the profile: no panic, the same segments in the same order, and nothing left to do.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::path::Path;

use ehr_ingest::{
    accept::{Verdict, accept},
    config::FeedConfig,
    feed::Feed,
    mapping,
};
use proptest::prelude::*;
use waybill_contracts::{PatientKeyer, Timestamp};
use waybill_hl7v2::{Index, Message};
use waybill_testkit::corpora;

fn feeds() -> Vec<Feed> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles");
    let open = |name: &str| {
        let config = FeedConfig { profile: Some(folder.join(name)), ..FeedConfig::default() };
        Feed::open(&config, PatientKeyer::new(b"test")).unwrap()
    };
    ["city-lab.toml", "hill-clinic.toml", "regional-fhir.toml"].map(open).into()
}

fn names(message: &Message<'_>) -> Vec<Vec<u8>> {
    message.segments().map(|segment| segment.name().to_vec()).collect()
}

/// Whether a rule applied.
fn check(feed: &Feed, bytes: &[u8]) -> bool {
    feed.rewrite_fhir(bytes);
    if let Verdict::Store { message, .. } = accept(feed, bytes, Timestamp::from_millis(0), &mut Index::new())
    {
        assert_eq!(message.body.bytes().unwrap(), bytes);
        let _ = mapping::map(&message, bytes, feed);
    }
    let Ok(message) = Message::parse(bytes) else { return false };
    let Some(changed) = feed.rewrite_v2(&message) else { return false };
    let again = Message::parse(&changed).unwrap();
    assert_eq!(names(&again), names(&message));
    // Rules for a type go by the type as sent: one that was translated has rules of its own the second time.
    let kind = |of: &Message<'_>| of.header().field(9).raw().to_vec();
    if kind(&again) == kind(&message) {
        assert_eq!(feed.rewrite_v2(&again), None, "nothing is left to do");
    }
    true
}

#[test]
fn every_message_of_the_corpora_can_be_rewritten() {
    let samples = corpora::hl7v2().unwrap();
    let mut changed = 0;
    for feed in feeds() {
        changed += samples.iter().filter(|sample| check(&feed, &sample.bytes)).count();
    }
    assert!(samples.is_empty() || changed > 100, "{changed} of {} messages", samples.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn no_message_is_too_odd(
        lines in proptest::collection::vec(
            ("(PID|PV1|OBX|OBR|ZLR|ZPV|ZLX|ORC|MRG|pid|)", "[|^~\\\\&#A-Z0-9\" \u{e9}]{0,60}"), 0..12),
        head in "MSH\\|\\^~\\\\&#?\\|[A-Z^|]{0,30}(ORU\\^R01|ADT\\^A03|ADT\\^Z08)[|A-Z0-9.]{0,20}",
    ) {
        let body: Vec<String> = lines.into_iter().map(|(name, rest)| format!("{name}|{rest}")).collect();
        let text = format!("{head}\r{}\r", body.join("\r"));
        for feed in feeds() {
            check(&feed, text.as_bytes());
        }
    }
}
