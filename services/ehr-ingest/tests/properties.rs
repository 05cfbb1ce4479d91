//! Whatever bytes come in: no panic, one verdict, and what is accepted can be mapped.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::{fs, path::Path};

use ehr_ingest::{
    accept::{Verdict, accept},
    config::FeedConfig,
    feed::Feed,
    mapping,
};
use proptest::prelude::*;
use waybill_contracts::{PatientKeyer, Timestamp};
use waybill_hl7v2::{Header, Index, ack};

fn golden() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "hl7"));
    files.sort();
    let read = |path| {
        fs::read(path).unwrap().iter().map(|byte| if *byte == b'\n' { b'\r' } else { *byte }).collect()
    };
    files.into_iter().map(read).collect()
}

fn check(bytes: &[u8]) {
    let feed = Feed::new(&FeedConfig::default(), PatientKeyer::new(b"properties"));
    let now = Timestamp::from_millis(1_800_000_000_000);
    let mut index = Index::new();
    match accept(&feed, bytes, now, &mut index) {
        Verdict::Store { message, key, ack } => {
            assert_eq!(message.body.bytes().unwrap(), bytes);
            if let Ok(header) = Header::parse(bytes) {
                assert_eq!(ack::read(&ack).unwrap().control_id, header.control_id());
            }
            let mapped = mapping::map(&message, bytes, &feed).unwrap();
            if let mapping::Mapped::Events(events) = mapped {
                let ids: std::collections::HashSet<_> = events.iter().map(|event| event.id).collect();
                assert_eq!(ids.len(), events.len(), "every event has its own id");
                assert_eq!(events[0].key.as_bytes(), &key, "listener and normalizer agree on the key");
            }
        }
        Verdict::Refuse { ack, rejected } => {
            assert!(!rejected.reason_code.is_empty());
            if let Some(ack) = ack {
                ack::read(&ack).unwrap();
            }
        }
    }
}

fn mutation() -> impl Strategy<Value = (usize, Vec<(u8, prop::sample::Index, u8)>)> {
    let interesting = prop_oneof![
        Just(b'|'),
        Just(b'^'),
        Just(b'~'),
        Just(b'\\'),
        Just(b'&'),
        Just(b'\r'),
        Just(b'"'),
        any::<u8>()
    ];
    (0..10_usize, prop::collection::vec((0..4_u8, any::<prop::sample::Index>(), interesting), 0..12))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_messages_are_judged((which, changes) in mutation()) {
        let all = golden();
        let mut bytes = all[which % all.len()].clone();
        for (kind, at, byte) in changes {
            if bytes.is_empty() { break; }
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => { bytes.remove(at); }
                _ => bytes.truncate(at),
            }
        }
        check(&bytes);
    }

    #[test]
    fn arbitrary_bytes_are_judged(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        check(&bytes);
        let after: Vec<u8> = [b"MSH|^~\\&|A|B|||20260101||ORU^R01|1|P|2.5\r".as_slice(), &bytes].concat();
        check(&after);
    }
}
