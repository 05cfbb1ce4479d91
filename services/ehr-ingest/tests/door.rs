//! The listener and the normalizer over real sockets and a real Kafka: what is answered, and what is stored.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail by panicking")]

#[path = "support/harness.rs"]
mod harness;

use harness::{Door, bodies, framed, message};
use waybill_contracts::{
    Record,
    clinical::{EncounterEvent, PatientEvent},
    delivery::{Manifest, ManifestStage},
    inbound::{InboundMessage, InboundRejected},
    lab::LabResult,
};

#[tokio::test]
async fn what_is_acknowledged_is_stored_byte_for_byte_and_becomes_events() {
    let Some(door) = Door::started("stored").await else { return };
    let mut sender = door.connect().await;
    let kinds = ["ADT^A01", "ORU^R01", "ADT^A09", "MDM^T02"];
    for (number, kind) in kinds.iter().enumerate() {
        let (id, bytes) = (format!("M{number}"), message(kind, &format!("M{number}")));
        sender.exchange(&bytes).await.is("AA", &id, None);
        // The answer is the promise: it is there now, not soon.
        let stored = bodies(&door.records().await);
        assert_eq!(stored[&id], [bytes], "{kind}");
    }
    let manifests: Vec<Manifest> = door.at_least(4).await.into_iter().map(|(_, manifest)| manifest).collect();
    let of = |id: &str| manifests.iter().find(|found| found.control_id.as_deref() == Some(id)).unwrap();
    assert_eq!(of("M2").reason_code.as_deref(), Some("NRM-0001"));
    assert_eq!(of("M3").reason_code.as_deref(), Some("NRM-0001"));
    assert!(of("M0").reason_code.is_none() && of("M0").stage == ManifestStage::Normalized);
    let topics: Vec<_> = of("M0").events.iter().map(|event| event.topic.as_str()).collect();
    assert_eq!(topics, [PatientEvent::TOPIC, EncounterEvent::TOPIC]);

    let inbound = door.records::<InboundMessage>().await;
    let patients = door.at_least::<PatientEvent>(1).await;
    let results = door.at_least::<LabResult>(1).await;
    let encounters = door.at_least::<EncounterEvent>(1).await;
    assert_eq!((patients.len(), results.len(), encounters.len()), (1, 1, 1));
    let key = inbound[0].0.key().unwrap();
    let keys = [inbound[1].0.key(), patients[0].0.key(), results[0].0.key(), encounters[0].0.key()];
    assert!(keys.iter().all(|other| *other == Some(key)), "one patient, one key");
    let (record, result) = &results[0];
    assert_eq!(result.original.bytes().unwrap(), message("ORU^R01", "M1"));
    let headers = record.event_headers().unwrap();
    assert_eq!(headers.correlation_id, result.source.message_id);
    assert_eq!(headers.id, of("M1").events[0].event_id.to_string());
    assert_eq!(headers.feed.as_deref(), Some("door"));
    let parent = headers.traceparent.unwrap();
    assert!(parent.contains(&result.source.message_id.trace_id()), "{parent}: the trace is the message's");
    assert!(!door.log().contains("Fenwick"), "patient data in the log");
    door.close().await;
}

#[tokio::test]
async fn garbage_around_and_inside_frames_loses_no_message() {
    let Some(door) = Door::started("garbage").await else { return };
    let mut sender = door.connect().await;
    let wire = [
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        framed(&message("ADT^A01", "G1")),
        b"between".to_vec(),
        // A frame that is abandoned by the next one.
        b"\x0bMSH|^~\\&|half".to_vec(),
        framed(&message("ADT^A01", "G2")),
        // An end block in the middle: not a frame, and not a message.
        b"\x0bMSH|^~\\&|EHR|GH|||20260101||ADT^A01|BROKEN|P|2.5\x1cPID|1\x1c\r".to_vec(),
        framed(&message("ADT^A01", "G3")),
        b"after".to_vec(),
    ]
    .concat();
    sender.write(&wire).await;
    for id in ["G1", "G2", "G3"] {
        sender.reply().await.unwrap().is("AA", id, None);
    }
    let kept = door.at_least::<InboundRejected>(1).await;
    assert_eq!((kept[0].1.reason_code.as_str(), kept[0].1.ack_code.as_str()), ("ING-0008", ""));
    assert!(door.metric("waybill_frames_malformed_total", "malformed").await > 0.0);
    assert!(door.metric("waybill_frames_malformed_total", "truncated").await > 0.0);
    assert!(door.metric("waybill_frames_malformed_total", "garbage").await > 0.0);
    door.close().await;
}

#[tokio::test]
async fn refusals_say_what_is_wrong_and_are_kept() {
    let Some(door) = Door::started("refused").await else { return };
    let mut sender = door.connect().await;
    let no_control_id = message("ADT^A01", "");
    sender.exchange(&no_control_id).await.is("AE", "", Some("101"));
    let no_patient = b"MSH|^~\\&|EHR|GH|||20260101||ADT^A01|R2|P|2.5\rPV1|1|I\r".to_vec();
    sender.exchange(&no_patient).await.is("AE", "R2", Some("100"));
    let no_identifier = b"MSH|^~\\&|EHR|GH|||20260101||ORU^R01|R3|P|2.3\rPID|1\rOBR|1\r".to_vec();
    sender.exchange(&no_identifier).await.is("AE", "R3", Some("101"));
    let no_delimiters = b"MSH|^^\\&|EHR|GH|||20260101||ADT^A01|R4|P|2.5\r".to_vec();
    sender.exchange(&no_delimiters).await.is("AR", "R4", Some("101"));
    // UTF-16: nothing to refer to; the connection is closed, the bytes are kept.
    let wide: Vec<u8> = "MSH|^~".encode_utf16().flat_map(u16::to_le_bytes).collect();
    sender.write(&framed(&wide)).await;
    assert_eq!(sender.reply().await, None);

    let kept = door.at_least::<InboundRejected>(5).await;
    let of = |bytes: &[u8]| {
        let (record, found) = kept.iter().find(|(_, kept)| kept.body.bytes().unwrap() == bytes).unwrap();
        assert_eq!(record.key(), Some(&found.message_id.as_bytes()[..]));
        (found.reason_code.as_str(), found.ack_code.as_str(), found.error_location.as_deref())
    };
    assert_eq!(of(&no_control_id), ("ING-0002", "AE", Some("MSH^1^10^1")));
    assert_eq!(of(&no_patient), ("ING-0003", "AE", Some("PID^1")));
    assert_eq!(of(&no_identifier), ("ING-0010", "AE", Some("PID^1^3^1")));
    assert_eq!(of(&no_delimiters), ("ING-0001", "AR", Some("MSH^1")));
    assert_eq!(of(&wide), ("ING-0004", "", Some("MSH^1")));
    assert!(door.records::<InboundMessage>().await.is_empty(), "nothing was accepted");
    door.close().await;
}

#[tokio::test]
async fn a_repeat_is_stored_once_and_a_reused_control_id_is_another_message() {
    let Some(door) = Door::started("repeat").await else { return };
    let (first, other) = (message("ADT^A01", "D1"), message("ORU^R01", "D1"));
    let mut sender = door.connect().await;
    let answer = sender.exchange(&first).await;
    answer.is("AA", "D1", None);
    // On a connection of its own, as a sender does that lost the answer.
    let again = door.connect().await.exchange(&first).await;
    again.is("AA", "D1", None);
    sender.exchange(&other).await.is("AA", "D1", None);
    assert_eq!(bodies(&door.records().await)["D1"].len(), 2);
    assert!((door.metric("waybill_duplicates_total", "door").await - 1.0).abs() < 0.1);
    assert!((door.metric("waybill_control_ids_reused_total", "door").await - 1.0).abs() < 0.1);
    assert!(door.log().contains("came again with other bytes"));
    door.close().await;
}

#[tokio::test]
async fn invalid_utf8_is_stored_and_read_as_what_it_must_be() {
    let Some(door) = Door::started("utf8").await else { return };
    let bytes =
        b"MSH|^~\\&|EHR|GH|||20260101||ADT^A08|U1|P|2.5||||||UNICODE UTF-8\rPID|1||7^^^GH^MR||M\xfcller\r";
    door.connect().await.exchange(bytes).await.is("AA", "U1", None);
    let (_, stored) = &door.records::<InboundMessage>().await[0];
    assert_eq!(stored.body.bytes().unwrap(), bytes.as_slice());
    assert_eq!(stored.warnings, ["CHARSET_NOT_UTF8"]);
    let (_, patient) = &door.at_least::<PatientEvent>(1).await[0];
    assert_eq!(patient.patient.name[0].family.as_ref().unwrap().expose(), "Müller");
    door.close().await;
}

#[tokio::test]
async fn a_message_whose_sender_is_gone_is_stored() {
    let Some(door) = Door::started("gone").await else { return };
    for number in 0..20 {
        let mut sender = door.connect().await;
        sender.write(&framed(&message("ADT^A01", &format!("C{number}")))).await;
        drop(sender);
    }
    let stored = bodies(&door.at_least(20).await);
    assert_eq!(stored.len(), 20);
    // An unfinished frame at the end is no message.
    let mut sender = door.connect().await;
    sender.write(&message("ADT^A01", "C99")).await;
    drop(sender);
    door.close().await;
}

#[tokio::test]
async fn answers_to_pipelined_messages_come_in_their_order() {
    let Some(door) = Door::started("pipeline").await else { return };
    let mut sender = door.connect().await;
    let wire: Vec<u8> = (0..300)
        .flat_map(|number| match number % 3 {
            0 => framed(&message("ADT^A01", &format!("P{number}"))),
            1 => framed(&message("ORU^R01", &format!("P{number}"))),
            // Refused: takes another way than the others, and must not overtake them.
            _ => framed(format!("MSH|^~\\&|EHR|GH|||20260101||ADT^A01|P{number}|P|2.5\r").as_bytes()),
        })
        .collect();
    sender.write(&wire).await;
    for number in 0..300 {
        let reply = sender.reply().await.unwrap();
        assert_eq!(reply.control_id, format!("P{number}"));
        assert_eq!(reply.code, if number % 3 == 2 { "AE" } else { "AA" });
    }
    assert_eq!(door.records::<InboundMessage>().await.len(), 200);
    assert_eq!(door.records::<InboundRejected>().await.len(), 100);
    door.close().await;
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused_and_the_next_one_is_taken() {
    let Some(door) = Door::prepare("large").await else { return };
    let door = door.set("feed.max_frame_bytes", 20_000).start();
    door.ready().await;
    let mut sender = door.connect().await;
    let mut large = message("ORU^R01", "L1");
    large.extend(b"NTE|1||".iter().chain(&vec![b'x'; 100_000]));
    sender.exchange(&large).await.is("AR", "L1", Some("102"));
    sender.exchange(&message("ADT^A01", "L2")).await.is("AA", "L2", None);
    let (_, kept) = &door.at_least::<InboundRejected>(1).await[0];
    assert_eq!((kept.reason_code.as_str(), kept.body.size), ("ING-0005", 4096));
    door.close().await;
}

#[tokio::test]
async fn the_feed_decides_which_headers_it_takes() {
    let Some(door) = Door::prepare("policy").await else { return };
    let accept: toml::Table =
        "versions = ['2.5.1']\nprocessing_ids = ['P']\nmessage_types = ['ADT^A01', 'ORU']".parse().unwrap();
    let door = door.set("feed.accept", accept).start();
    door.ready().await;
    let mut sender = door.connect().await;
    sender.exchange(&message("ADT^A01", "H1")).await.is("AA", "H1", None);
    sender.exchange(&message("ADT^A03", "H2")).await.is("AR", "H2", Some("201"));
    sender.exchange(&message("SIU^S12", "H3")).await.is("AR", "H3", Some("200"));
    let text = String::from_utf8(message("ADT^A01", "H4")).unwrap();
    sender.exchange(text.replace("|P|2.5.1", "|T|2.5.1").as_bytes()).await.is("AR", "H4", Some("202"));
    sender.exchange(text.replace("|P|2.5.1", "|P|2.9").as_bytes()).await.is("AR", "H4", Some("203"));
    door.close().await;
}

/// With MSH-15 and MSH-16.
fn with_conditions(control_id: &str, commit: &str, application: &str) -> Vec<u8> {
    let text = String::from_utf8(message("ADT^A01", control_id)).unwrap();
    text.replacen("|2.5.1\r", &format!("|2.5.1|||{commit}|{application}\r"), 1).into_bytes()
}

#[tokio::test]
async fn the_sender_decides_which_acknowledgement_it_gets() {
    let Some(door) = Door::started("modes").await else { return };
    let mut sender = door.connect().await;
    let no_patient = |id: &str, conditions: &str| {
        format!("MSH|^~\\&|EHR|GH|||20260101||ADT^A01|{id}|P|2.5|||{conditions}\rPV1|1|I\r").into_bytes()
    };
    for (id, commit, application, code) in [
        ("E1", "", "", "AA"),
        ("E2", "AL", "NE", "CA"),
        ("E3", "AL", "AL", "CA"),
        ("E4", "SU", "NE", "CA"),
        ("E5", "NE", "NE", "AA"),
        ("E6", "", "NE", "AA"),
        ("E7", "AL", "", "CA"),
    ] {
        sender.exchange(&with_conditions(id, commit, application)).await.is(code, id, None);
    }
    // Content is judged in original mode only; CA says that it is stored.
    sender.exchange(&no_patient("E8", "NE|NE")).await.is("AE", "E8", Some("100"));
    sender.exchange(&no_patient("E9", "AL|NE")).await.is("CA", "E9", None);
    // No MSH-9: an error in either mode, and one that is owed on errors only.
    let no_type = b"MSH|^~\\&|EHR|GH|||20260101|||E10|P|2.5|||ER|NE\r";
    sender.exchange(no_type).await.is("CE", "E10", Some("101"));
    // Nothing is owed: the next answer is that of the next message.
    for (id, commit, application) in [("N1", "NE", "AL"), ("N2", "ER", "AL")] {
        sender.write(&framed(&with_conditions(id, commit, application))).await;
    }
    sender.write(&framed(b"MSH|^~\\&|A|B|C|D|2026||ACK^A01|N3|P|2.5\rMSA|AA|1\r")).await;
    sender.exchange(&message("ADT^A01", "E11")).await.is("AA", "E11", None);
    let stored = door.records::<InboundMessage>().await;
    let code = |id: &str| {
        let found = stored.iter().find(|(_, record)| record.control_id.as_deref() == Some(id));
        found.map(|(_, record)| record.ack_code.clone())
    };
    assert_eq!(code("E9").as_deref(), Some("CA"));
    for id in ["N1", "N2", "N3"] {
        assert_eq!(code(id).as_deref(), Some(""), "{id} is stored all the same");
    }
    let manifests = door.at_least::<Manifest>(11).await;
    let of_ack = manifests.iter().find(|(_, manifest)| manifest.control_id.as_deref() == Some("N3")).unwrap();
    assert_eq!(of_ack.1.reason_code.as_deref(), Some("NRM-0001"), "an acknowledgement has no destination");
    door.close().await;
}

#[tokio::test]
async fn the_feed_overrules_the_sender_and_mllp_release_2_is_told_of_the_commit() {
    let Some(door) = Door::prepare("overruled").await else { return };
    let ack: toml::Table = "mode = 'enhanced'\ncommit_frames = true".parse().unwrap();
    let door = door.set("feed.ack", ack).start();
    door.ready().await;
    let mut sender = door.connect().await;
    for (id, commit, application) in [("O1", "", ""), ("O2", "NE", "AL"), ("O3", "ER", "ER")] {
        sender.write(&framed(&with_conditions(id, commit, application))).await;
        assert_eq!(sender.frame().await.unwrap(), [0x06]);
        sender.reply().await.unwrap().is("CA", id, None);
        // The sender's own commit frame is no message.
        sender.write(&framed(&[0x06])).await;
    }
    let garbled = b"MSH|^^\\&|EHR|GH|||20260101||ADT^A01|O4|P|2.5\r";
    sender.write(&framed(garbled)).await;
    assert_eq!(sender.frame().await.unwrap(), [0x06], "a refusal is stored too");
    sender.reply().await.unwrap().is("CR", "O4", Some("101"));
    assert_eq!(door.records::<InboundMessage>().await.len(), 3);
    assert_eq!(door.records::<InboundRejected>().await.len(), 1);
    door.close().await;
}
