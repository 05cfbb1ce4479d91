//! Whatever bytes come in: no panic, one verdict, and what is accepted can be mapped.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::{fs, path::Path};

use ehr_ingest::{
    accept::{Envelope, Layout, Verdict, accept},
    config::FeedConfig,
    feed::Feed,
    mapping,
};
use proptest::prelude::*;
use waybill_contracts::{PatientKeyer, Timestamp, inbound::InboundMessage};
use waybill_hl7v2::{Header, Index, Message, ack};

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
        Verdict::Store { message, key, reply } => {
            assert_eq!(message.body.bytes().unwrap(), bytes);
            if let (Ok(header), Some(ack)) = (Header::parse(bytes), reply.bytes()) {
                assert_eq!(ack::read(ack).unwrap().control_id, header.control_id());
            }
            check_mapping(&message, bytes, &key, &feed);
        }
        Verdict::Refuse { reply, rejected } => {
            assert!(!rejected.reason_code.is_empty());
            if let Some(ack) = reply.bytes() {
                ack::read(ack).unwrap();
            }
        }
        Verdict::Several => {
            let envelope = Envelope::read(&feed, bytes, now);
            let layout = Layout::read(&feed, bytes, envelope.sha256()).unwrap();
            let mut end = 0;
            for entry in &layout.messages {
                assert!(entry.range.start >= end && entry.range.end <= bytes.len());
                end = entry.range.end;
            }
        }
    }
}

/// What the plan allows is mapped, what it refuses is not, and the events are in order.
fn check_mapping(message: &InboundMessage, bytes: &[u8], key: &[u8], feed: &Feed) {
    let parsed = Message::parse(bytes).unwrap();
    let events = match (mapping::v2::plan(&parsed), mapping::map(message, bytes, feed)) {
        (Err(refusal), Err(unmappable)) => {
            assert_eq!(refusal.reason, unmappable.reason);
            return;
        }
        (Ok(_), Ok(mapping::Mapped::NoDestination(_))) => return,
        (Ok(_), Ok(mapping::Mapped::Events(events))) => events,
        (plan, mapped) => panic!("planned {plan:?}, mapped {mapped:?}"),
    };
    assert!(!events.is_empty(), "a message without events has a reason");
    let ids: std::collections::HashSet<_> = events.iter().map(|event| event.id).collect();
    assert_eq!(ids.len(), events.len(), "every event has its own id");
    // The first patient of an order message may have ordered nothing that is a laboratory's.
    if !matches!(events[0].payload, mapping::Payload::Order(_)) {
        assert_eq!(events[0].key.as_bytes(), key, "listener and normalizer agree on the key");
    }
    events.iter().for_each(encode);
}

/// Every event fits its schema, and comes back as it was.
fn encode(event: &mapping::Event) {
    use mapping::Payload;
    use waybill_contracts::{Record, avro};
    fn record<T: Record + PartialEq>(value: &T) {
        let mut datum = Vec::new();
        avro::encode(value, &mut datum).unwrap();
        assert!(avro::decode::<T>(T::schema(), &datum).unwrap() == *value, "{}", T::TOPIC);
    }
    match &event.payload {
        Payload::Patient(patient) => record(patient),
        Payload::Encounter(encounter) => record(encounter),
        Payload::Appointment(appointment) => record(appointment),
        Payload::Order(order) => record(order),
        Payload::Result(result) => record(result),
        Payload::Charge(charge) => record(charge),
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
    (any::<usize>(), prop::collection::vec((0..4_u8, any::<prop::sample::Index>(), interesting), 0..12))
}

/// Every event that is mapped, and some that are not.
const EVENTS: [&str; 48] = [
    "ADT^A01", "ADT^A02", "ADT^A03", "ADT^A04", "ADT^A05", "ADT^A06", "ADT^A07", "ADT^A08", "ADT^A11",
    "ADT^A12", "ADT^A13", "ADT^A18", "ADT^A28", "ADT^A31", "ADT^A34", "ADT^A35", "ADT^A36", "ADT^A38",
    "ADT^A40", "ADT^A41", "ADT^A42", "ADT^A43", "ADT^A44", "ADT^A45", "ADT^A46", "ADT^A47", "ADT^A49",
    "ADT^A50", "ADT^A51", "SIU^S12", "SIU^S13", "SIU^S14", "SIU^S15", "SIU^S16", "SIU^S17", "SIU^S26",
    "ORM^O01", "OML^O21", "OML^O33", "OML^O35", "OMG^O19", "ORU^R01", "ORU^R30", "ORU^R31", "ORU^R32",
    "DFT^P03", "DFT^P11", "MFN^M02",
];

/// A segment of a kind that some mapping reads, with anything in its fields.
fn segment() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![
        "EVN", "PID", "PID", "PV1", "PV1", "PV2", "NK1", "MRG", "MRG", "DG1", "PR1", "GT1", "IN1", "IN2",
        "IN3", "SCH", "TQ1", "RGS", "AIS", "AIG", "AIL", "AIP", "ORC", "ORC", "OBR", "OBR", "OBX", "NTE",
        "SPM", "FT1", "FT1", "RXO", "ZZZ",
    ]);
    let value = prop_oneof![
        6 => Just(String::new()),
        1 => Just("\"\"".to_owned()),
        2 => "[0-9]{1,4}",
        1 => "20260[1-9]0[1-9]([01][0-9]){0,2}",
        1 => "-?[0-9]{0,3}(\\.[0-9]{0,2})?(&USD)?",
        2 => prop::sample::select(vec!["NW", "PR", "RE", "CA", "F", "I", "N", "min", "TM30", "CG", "CD", "1", "0"]).prop_map(str::to_owned),
        3 => "[A-Z0-9]{1,3}(\\^[A-Z]{0,2}){0,6}(~[0-9]{0,2}\\^\\^\\^GH\\^(MR|PI|SS|AN|VN)?){0,2}",
        1 => "[ -~é]{0,12}",
    ];
    // A patient's number now and then, or no message would come as far as the mapping.
    let fields = prop::collection::vec(value, 0..52);
    (name, fields, 0..4_u8).prop_map(|(name, mut fields, number)| {
        let numbers: &[usize] = match name {
            "PID" => &[3, 18],
            "MRG" => &[1, 3, 5, 6],
            "PV1" => &[19, 50],
            _ => &[],
        };
        for at in numbers.iter().filter(|_| number > 0) {
            fields.resize(fields.len().max(*at), String::new());
            fields[at - 1] = format!("{number}^^^GH^MR");
        }
        format!("{name}|{}\r", fields.join("|"))
    })
}

fn message() -> impl Strategy<Value = String> {
    let segments = prop::collection::vec(segment(), 0..14);
    (prop::sample::select(EVENTS.to_vec()), segments).prop_map(|(event, segments)| {
        let (before, after) = match &event[..3] {
            "SIU" => ("SCH|1|2\r", ""),
            "ORU" => ("", "OBR|1\r"),
            "DFT" => ("", "FT1|1\r"),
            "ORM" | "OML" | "OMG" => ("", "ORC|NW\r"),
            _ => ("", ""),
        };
        let rest = segments.concat();
        format!("MSH|^~\\&|A|B|||20260101||{event}|1|P|2.5\r{before}PID|1||7^^^GH^MR\r{after}{rest}")
    })
}

/// A property of what is mapped says nothing when nothing is.
#[test]
fn every_topic_has_events_of_generated_messages() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let feed = Feed::new(&FeedConfig::default(), PatientKeyer::new(b"properties"));
    let mut runner = TestRunner::deterministic();
    let mut topics = std::collections::BTreeMap::<_, usize>::new();
    for _ in 0..600 {
        let bytes = message().new_tree(&mut runner).unwrap().current().into_bytes();
        let now = Timestamp::from_millis(1_800_000_000_000);
        let Verdict::Store { message, .. } = accept(&feed, &bytes, now, &mut Index::new()) else { continue };
        if let Ok(mapping::Mapped::Events(events)) = mapping::map(&message, &bytes, &feed) {
            for event in &events {
                *topics.entry(event.payload.topic()).or_default() += 1;
            }
        }
    }
    assert!(topics.len() == 6 && topics.values().all(|events| *events >= 5), "{topics:?}");
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

proptest! {
    // Long messages, and every event is encoded.
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn segments_in_any_order_are_judged(message in message()) {
        check(message.as_bytes());
    }
}
