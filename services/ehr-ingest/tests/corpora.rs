//! Every public sample message is answered, with the right MSA-2, and what is accepted can be mapped.

use std::collections::BTreeMap;

use ehr_ingest::{
    accept::{Envelope, Layout, Reply, Verdict, accept},
    config::FeedConfig,
    feed::Feed,
    mapping::{self, Mapped},
};
use waybill_contracts::{PatientKeyer, Timestamp};
use waybill_hl7v2::{Index, ack};
use waybill_testkit::corpora;

/// MSH-10 of the first MSH line, by a split that shares nothing with the code under test.
fn control_id(bytes: &[u8]) -> Option<Vec<u8>> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let line = bytes.split(|byte| matches!(byte, b'\r' | b'\n')).find(|line| line.starts_with(b"MSH"))?;
    let separator = *line.get(3)?;
    Some(line.split(|byte| *byte == separator).nth(9).unwrap_or_default().to_vec())
}

#[test]
fn every_sample_is_answered_and_every_accepted_one_is_mapped() {
    let samples = corpora::hl7v2().unwrap();
    if samples.is_empty() {
        return;
    }
    let feed = Feed::new(&FeedConfig::default(), PatientKeyer::new(b"corpora"));
    let mut index = Index::new();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut count = |what: String| *counts.entry(what).or_default() += 1;
    for sample in &samples {
        let name = &sample.name;
        match accept(&feed, &sample.bytes, Timestamp::from_millis(1), &mut index) {
            Verdict::Store { message, reply: Reply::Ack { bytes: ack, .. }, .. } => {
                let view = ack::read(&ack).unwrap();
                assert_eq!(Some(view.control_id.to_vec()), control_id(&sample.bytes), "{name}: MSA-2");
                assert_eq!(message.body.bytes().unwrap(), sample.bytes, "{name}: body");
                count(view.code.unwrap().to_string());
                match mapping::map(&message, &sample.bytes, &feed) {
                    Err(error) => {
                        assert_eq!(message.ack_code, "CA", "{name}: {error}");
                        count(format!("stored unjudged, cannot be mapped: {}", error.reason));
                    }
                    Ok(Mapped::NoDestination(reason)) => count(format!("mapped to nothing: {reason}")),
                    Ok(Mapped::Events(events)) => {
                        assert!(!events.is_empty(), "{name}: no events and no reason");
                        for event in &events {
                            count(format!("event {}", event.payload.topic()));
                        }
                    }
                }
            }
            Verdict::Refuse { rejected, reply: Reply::Ack { bytes: ack, .. } } => {
                let view = ack::read(&ack).unwrap();
                assert_eq!(Some(view.control_id.to_vec()), control_id(&sample.bytes), "{name}: MSA-2");
                let place = rejected.error_location.unwrap_or_default();
                count(view.code.unwrap().to_string());
                count(format!("{} {} {place}", view.code.unwrap(), rejected.reason_code));
            }
            Verdict::Refuse { rejected, reply } => {
                count(format!("{reply:?} {}", rejected.reason_code));
            }
            // MSH-15 and 16 say so, or it is an acknowledgement itself.
            Verdict::Store { .. } => count("stored, no answer".to_owned()),
            Verdict::Several => {
                let envelope = Envelope::read(&feed, &sample.bytes, Timestamp::from_millis(1));
                let layout = Layout::read(&feed, &sample.bytes, envelope.sha256()).unwrap();
                count(format!("{} messages in a frame", layout.messages.len()));
            }
        }
    }
    eprintln!("{} samples", samples.len());
    for (what, number) in counts {
        eprintln!("{number:6} {what}");
    }
}
