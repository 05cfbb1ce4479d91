//! HAPI HL7 v2 sends over MLLP and accepts our acknowledgements.

use std::collections::BTreeMap;

use waybill_demo::scene::Receivers;
use waybill_testkit::{Installation, Stack, Unit, corpora};

use crate::{java, listed};

#[tokio::test(flavor = "multi_thread")]
async fn hapi_accepts_the_acknowledgement_of_every_sample() {
    let Some(stack) = Stack::require().await else { return };
    let Some(samples) = corpora::folder("hl7v2") else { return };
    let messages: Vec<_> = waybill_simulator::folder::read(&samples, true)
        .unwrap()
        .into_iter()
        .map(|outgoing| outgoing.bytes)
        .filter(|bytes| control_id(bytes).is_some_and(|id| !id.is_empty()) && !is_response(bytes))
        .collect();
    assert!(messages.len() > 400, "{} messages", messages.len());
    let receivers = Receivers::start(None).await.unwrap();
    // Some samples ask for no answer on this connection; HAPI's initiator waits for one to each message.
    let installation =
        receivers.targets(Installation::on(&stack)).set(Unit::EhrIngest, "feed.0.ack.mode", "original");
    let mut waybill = installation.start().await.unwrap();
    let address = waybill.mllp("ehr").unwrap();

    let files = tempfile::tempdir().unwrap();
    let list = listed(files.path(), messages.iter().cloned());
    let (host, port) = (address.ip().to_string(), address.port().to_string());
    let lines = java("v2", "Sender.java", &[&host, &port, list.to_str().unwrap()]).await;
    assert_eq!(lines.len(), messages.len());

    let (mut counts, mut wrong) = (BTreeMap::<(String, String), usize>::new(), Vec::new());
    for (line, message) in lines.iter().zip(&messages) {
        let columns: Vec<_> = line.split('\t').collect();
        let [_, way, code, same, complaint] = columns[..] else { panic!("{line}") };
        *counts.entry((way.to_owned(), code.to_owned())).or_default() += 1;
        let known = matches!(code, "AA" | "AE" | "AR" | "CA" | "CE" | "CR");
        // HAPI parses no message, acknowledgements included, of a version that HL7 never had.
        let no_such_version = way == "raw" && complaint.contains("version");
        if !(known && same == "same" && complaint.is_empty() || no_such_version) {
            wrong.push(format!("{line} to {:?}", control_id(message).unwrap()));
        }
    }
    println!("HAPI sent {}, by way and answer: {counts:?}", lines.len());
    assert!(wrong.is_empty(), "{} of {}: {wrong:#?}", wrong.len(), lines.len());
    // HAPI reads four encoding characters, not the five of HL7 v2.7 (2.9.1 §2.5.4): those go as they are.
    let by_initiator: usize =
        counts.iter().filter(|((way, _), _)| way == "initiator").map(|(_, count)| count).sum();
    let readable = messages.iter().filter(|bytes| bytes.get(8) == bytes.get(3)).count();
    assert!(by_initiator + 10 >= readable, "HAPI itself sent {by_initiator} of {readable}");
    waybill.stop().await.unwrap();
}

/// An acknowledgement is never acknowledged.
fn is_response(message: &[u8]) -> bool {
    message.split(|byte| *byte == b'\r').any(|segment| segment.starts_with(b"MSA"))
}

/// MSH-10, by hand.
fn control_id(message: &[u8]) -> Option<String> {
    let header = message.split(|byte| *byte == b'\r').next()?;
    let separator = *header.get(3)?;
    header.starts_with(b"MSH").then_some(())?;
    header.split(|byte| *byte == separator).nth(9).map(|id| String::from_utf8_lossy(id).into_owned())
}
