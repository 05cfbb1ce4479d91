//! Input that nobody should send: answered or closed, kept, counted, and without harm to what comes after it.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail by panicking")]

#[path = "support/harness.rs"]
mod harness;

use harness::{Door, SOON, Sender, bodies, framed, message};
use tokio::io::AsyncWriteExt;
use waybill_contracts::{
    delivery::Manifest,
    inbound::{InboundMessage, InboundRejected},
    lab::LabResult,
};
use waybill_testkit::{Installation, Stack, Unit, eventually, pending};

/// Bytes that do not compress, and neither end anything nor repeat it.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        match (state >> 32) as u8 {
            byte @ (0x0b | 0x1c | b'\r' | b'\n' | b'|' | b'~') => byte | 0x80,
            byte => byte,
        }
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// With MSH-10 and the rest of MSH as given.
fn admission(control_id: &[u8]) -> Vec<u8> {
    let head = b"MSH|^~\\&|EHR|GENHOSP|||20260304101500||ADT^A01|".as_slice();
    let rest = b"|P|2.5.1\rPID|1||42^^^GENHOSP^MR||Fenwick^Isolde\rPV1|1|I\r".as_slice();
    [head, control_id, rest].concat()
}

fn result(control_id: &str, rest: &[u8]) -> Vec<u8> {
    let head = format!("MSH|^~\\&|LIS|LAB|||20260304101500||ORU^R01|{control_id}|P|2.5.1\r");
    [head.as_bytes(), rest].concat()
}

#[tokio::test]
async fn any_control_id_comes_back_byte_for_byte() {
    let Some(door) = Door::started("ids").await else { return };
    let mut sender = door.connect().await;
    let huge = vec![b'K'; 20_000];
    let ids: [&[u8]; 9] = [
        b"a^b&c~d",
        b"e\\F\\s\\X0B1C0D\\c",
        b"\\",
        b"n\0l",
        b" spaces ",
        b"latin\xe9\xfc1",
        "utf8-é日本".as_bytes(),
        b"\x01\x02\x7f",
        &huge,
    ];
    for id in ids {
        let bytes = admission(id);
        sender.write(&framed(&bytes)).await;
        let answer = sender.frame().await.unwrap();
        let line = answer.split(|byte| *byte == b'\r').nth(1).unwrap();
        assert_eq!(line, [b"MSA|AA|", id].concat(), "{}", id.escape_ascii());
    }
    let stored = door.records::<InboundMessage>().await;
    for id in ids {
        let bytes = admission(id);
        let found = stored.iter().any(|(_, record)| record.body.bytes().unwrap() == bytes);
        assert!(found, "{} is not stored as sent", id.escape_ascii());
    }
    door.at_least::<Manifest>(ids.len()).await;
    door.close().await;
}

#[tokio::test]
async fn headers_that_are_cut_off_are_answered_where_they_can_be_and_always_kept() {
    let Some(door) = Door::started("headers").await else { return };
    let answered: [(&[u8], &str, &str, Option<&str>); 8] = [
        (b"MSH|^~\\&|", "AE", "", Some("101")),
        (b"MSH|^~\\&#|", "AE", "", Some("101")),
        (b"MSH|^~\\&|EHR|GENHOSP|||2026", "AE", "", Some("101")),
        (b"MSH|^~\\&|EHR|GENHOSP|||20260304||ADT^A01|H1|P|2.5.1\r", "AE", "H1", Some("100")),
        (b"MSH|^~\\&|EHR|GENHOSP|||20260304|||H2|P|2.5.1\r", "AE", "H2", Some("101")),
        (b"MSH|^|EHR|GENHOSP|||20260304||ADT^A01|H3|P|2.5.1\r", "AR", "H3", Some("101")),
        (
            b"PID|1||42^^^G^MR\rMSH|^~\\&|EHR|GENHOSP|||20260304||ADT^A01|H4|P|2.5.1\r",
            "AR",
            "H4",
            Some("100"),
        ),
        (b"MSH$%~\\*$EHR$GH$$$20260304$$ADT%A09$H5\r", "AA", "H5", None),
    ];
    let mut sender = door.connect().await;
    for (bytes, code, id, error) in answered {
        sender.exchange(bytes).await.is(code, id, error);
    }
    let wide = |text: &str| text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<u8>>();
    let closed = [
        b"".to_vec(),
        b"\r".to_vec(),
        b"M".to_vec(),
        b"MSH".to_vec(),
        b"MSH|".to_vec(),
        b"MSHA^~\\&AEHRA".to_vec(),
        b"msh|^~\\&|EHR|GENHOSP|||20260304||ADT^A01|H6|P|2.5.1\r".to_vec(),
        b"\x06".to_vec(),
        wide("MSH|^~\\&|EHR|GENHOSP|||20260304||ADT^A01|H7|P|2.5.1\r"),
        wide("\u{feff}MSH|^~\\&|EHR|GENHOSP|||20260304||ADT^A01|H8|P|2.5.1\r"),
    ];
    for bytes in &closed {
        let mut sender = door.connect().await;
        sender.write(&framed(bytes)).await;
        assert_eq!(sender.reply().await, None, "{}", bytes.escape_ascii());
    }
    let refused: Vec<Vec<u8>> =
        answered[..7].iter().map(|case| case.0.to_vec()).chain(closed.iter().cloned()).collect();
    let kept = door.at_least::<InboundRejected>(refused.len()).await;
    for bytes in refused {
        let found = kept.iter().any(|(_, record)| record.body.bytes().unwrap() == bytes.as_slice());
        assert!(found, "{} is not kept", bytes.escape_ascii());
    }
    door.close().await;
}

#[tokio::test]
async fn whatever_the_line_ends_a_frame_is_stored_as_it_came() {
    let Some(door) = Door::started("frames").await else { return };
    let plain = String::from_utf8(message("ADT^A01", "F1")).unwrap();
    let with_id = |id: &str| plain.replace("|F1|", &format!("|{id}|"));
    let cases = [
        ("F1", with_id("F1").replace('\r', "\n"), None),
        ("F2", with_id("F2").replace('\r', "\r\n"), None),
        ("F3", with_id("F3").trim_end().to_owned(), None),
        ("F4", format!("\u{feff}{}", with_id("F4")), None),
        ("F5", format!("\r\n\r\n{}", with_id("F5")), None),
        ("F6", with_id("F6").replace("Fenwick", "Fen\0wick"), None),
        (
            "F12",
            "MSH|^~\\&|EHR|GH|||20260304||QRY^A19|F12|P|2.3\rQRD|20260304|R|I|Q1|||1^RD|42|DEM\r".to_owned(),
            Some("NRM-0001"),
        ),
        ("F13", "MSH|^~\\&|EHR|GH|||20260304||ADT^Z99|F13|P|2.5\r".to_owned(), Some("NRM-0001")),
        ("F14", "MSH|^~\\&|EHR|GH|||20260304||ABC^Y12|F14|P|2.5\r".to_owned(), Some("NRM-0001")),
    ];
    let mut sender = door.connect().await;
    sender.stream.set_nodelay(true).unwrap();
    for (id, text, _) in &cases {
        // A byte at a time: a frame may be split anywhere.
        for byte in framed(text.as_bytes()) {
            sender.stream.write_all(&[byte]).await.unwrap();
        }
        // An acknowledgement is never acknowledged.
        if *id != "F11" {
            sender.reply().await.unwrap().is("AA", id, None);
        }
    }
    let stored = bodies(&door.records().await);
    let manifests = door.at_least::<Manifest>(cases.len()).await;
    for (id, text, reason) in &cases {
        assert_eq!(stored[*id], [text.as_bytes()], "{id}");
        let of = manifests.iter().map(|(_, manifest)| manifest);
        let manifest = of.into_iter().find(|manifest| manifest.control_id.as_deref() == Some(id)).unwrap();
        assert_eq!(manifest.reason_code.as_deref(), *reason, "{id}");
        assert_eq!(manifest.events.is_empty(), reason.is_some(), "{id}");
    }
    door.close().await;
}

#[tokio::test]
async fn results_of_several_patients_and_of_odd_identifiers_find_their_keys() {
    let Some(door) = Door::started("patients").await else { return };
    let pid = |number: &str| format!("PID|1||{number}||Fenwick^Isolde\rOBR|1||F1^LIS|GLU^Glucose^L\r");
    let mut sender = door.connect().await;
    for (id, rest) in [
        ("P1", pid("42^^^LAB^MR") + &pid("43^^^LAB^MR")),
        ("P2", pid("42")),
        ("P3", pid("078-05-1120^^^USSSA^SS")),
        ("P4", pid("42^^^LAB^MR")),
    ] {
        sender.exchange(&result(id, rest.as_bytes())).await.is("AA", id, None);
    }
    let results = door.at_least::<LabResult>(5).await;
    let keys = |id: &str| {
        let of = results.iter().filter(|(_, result)| result.source.control_id.as_deref() == Some(id));
        of.map(|(record, _)| record.key().unwrap().to_vec()).collect::<Vec<_>>()
    };
    assert_eq!(keys("P1").len(), 2);
    assert_ne!(keys("P1")[0], keys("P1")[1], "two patients");
    assert!(keys("P1").contains(&keys("P4")[0]), "the same patient alone");
    assert_eq!(keys("P2"), keys("P4"), "the sending facility stands for the authority");
    assert_ne!(keys("P3"), keys("P4"));
    let texts: Vec<Vec<u8>> = results.iter().map(|(record, _)| record.key().unwrap().to_vec()).collect();
    assert!(texts.iter().all(|key| key.len() == 16), "no identifier is readable in a key");
    door.close().await;
}

#[tokio::test]
async fn a_frame_without_its_last_byte_is_kept_and_one_without_end_is_counted() {
    let Some(door) = Door::prepare("unended").await else { return };
    let door = door.set("feed.frame_timeout", "500ms").start();
    door.ready().await;
    let bytes = message("ADT^A01", "N1");
    let mut sender = door.connect().await;
    sender.write(&[b"\x0b", bytes.as_slice(), b"\x1c"].concat()).await;
    assert_eq!(sender.reply().await, None);
    let mut sender = door.connect().await;
    sender.write(&[b"\x0b", bytes.as_slice()].concat()).await;
    assert_eq!(sender.reply().await, None);
    let (_, kept) = &door.at_least::<InboundRejected>(1).await[0];
    assert_eq!((kept.reason_code.as_str(), &*kept.body.bytes().unwrap()), ("ING-0008", bytes.as_slice()));
    assert!((door.metric("waybill_frames_malformed_total", "truncated").await - 1.0).abs() < 0.1);
    assert!((door.metric("waybill_frames_malformed_total", "malformed").await - 1.0).abs() < 0.1);
    door.close().await;
}

#[tokio::test]
async fn a_sender_cannot_flood_the_log() {
    let Some(door) = Door::started("flood").await else { return };
    let mut sender = door.connect().await;
    let wire = [vec![0x0b; 100_000].as_slice(), message("ADT^A01", "FLOOD").as_slice(), b"\x1c\r"].concat();
    sender.write(&wire).await;
    sender.reply().await.unwrap().is("AA", "FLOOD", None);
    assert!(door.metric("waybill_frames_malformed_total", "truncated").await > 99_000.0);
    let lines = door.log().lines().filter(|line| line.contains("no MLLP frame")).count();
    assert!((1..=40).contains(&lines), "{lines} lines");
    door.close().await;
}

#[tokio::test]
async fn bytes_without_a_beginning_do_not_come_in_for_ever() {
    let Some(door) = Door::started("endless").await else { return };
    let mut sender = door.connect().await;
    sender.write(&[&noise(60_000), framed(&message("ADT^A01", "E1")).as_slice()].concat()).await;
    sender.reply().await.unwrap().is("AA", "E1", None);
    // More than 64 KiB of it, in any pieces.
    for _ in 0..10 {
        if sender.stream.write_all(&noise(10_000)).await.is_err() {
            break;
        }
    }
    assert_eq!(sender.reply().await, None);
    assert!((door.metric("waybill_connections_refused_total", "reason=\"garbage\"").await - 1.0).abs() < 0.1);
    // What is left of a frame that was too large is no garbage.
    let mut sender = door.connect().await;
    let long = [message("ADT^A02", "E2").as_slice(), b"NTE|1||", &noise(17 * 1024 * 1024)].concat();
    sender.exchange(&long).await.is("AR", "E2", Some("102"));
    sender.exchange(&message("ADT^A01", "E3")).await.is("AA", "E3", None);
    door.close().await;
}

#[tokio::test]
async fn unfinished_frames_of_all_connections_share_a_budget() {
    let Some(door) = Door::prepare("budget").await else { return };
    let door = door.set("feed.max_frame_bytes", 500_000).set("limits.max_buffered_bytes", 1_000_000).start();
    door.ready().await;
    let mut text = [message("ADT^A01", "M1"), b"NTE|1||".to_vec()].concat();
    text.resize(400_000, b'x');
    let wire = framed(&text);
    let mut first = door.connect().await;
    first.write(&wire[..300_000]).await;
    let held = eventually("it is held", SOON, async || {
        let bytes = door.metric("waybill_buffered_bytes", "").await;
        if bytes >= 300_000.0 { Ok(()) } else { pending(format!("{bytes} bytes")) }
    });
    held.await.unwrap();
    let mut second = door.connect().await;
    // The connection may be closed before all of it is written.
    let mut text = [message("ADT^A01", "M2"), b"NTE|1||".to_vec()].concat();
    text.resize(490_000, b'x');
    let _ = second.stream.write_all(&framed(&text)).await;
    second.reply().await.expect("an answer").is("AR", "M2", Some("207"));
    assert_eq!(second.reply().await, None);
    assert!((door.metric("waybill_connections_refused_total", "reason=\"no_room\"").await - 1.0).abs() < 0.1);
    door.connect().await.exchange(&message("ADT^A01", "M3")).await.is("AA", "M3", None);
    first.write(&wire[300_000..]).await;
    first.reply().await.unwrap().is("AA", "M1", None);
    door.close().await;
}

#[tokio::test]
async fn a_message_made_to_grow_is_refused_and_a_long_report_is_not() {
    let Some(door) = Door::started("grow").await else { return };
    let mut sender = door.connect().await;
    let head = b"PID|1||42^^^LAB^MR\rOBR|1||F1^LIS|GLU^Glucose^L\r".as_slice();
    let values = [head, b"OBX|1|NM|A^B^L||", "1~".repeat(200_000).as_bytes(), b"\r"].concat();
    sender.exchange(&result("G1", &values)).await.is("AE", "G1", Some("102"));
    let segments = [head, "OBX\r".repeat(200_000).as_bytes()].concat();
    sender.exchange(&result("G2", &segments)).await.is("AE", "G2", Some("102"));
    let report =
        [head, b"OBX|1|TX|A^B^L||", "a line of a report~".repeat(40_000).as_bytes(), b"||||||F\r"].concat();
    sender.exchange(&result("G3", &report)).await.is("AA", "G3", None);
    let (_, mapped) = &door.at_least::<LabResult>(1).await[0];
    let text = mapped.report[0].result[0].value_string.as_ref().unwrap().expose();
    assert_eq!(text.lines().count(), 40_000);
    let kept = door.at_least::<InboundRejected>(2).await;
    assert!(kept.iter().all(|(_, record)| record.reason_code == "ING-0005" && record.body.size > 300_000));
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_topic_takes_is_kept_with_its_beginning_and_what_cannot_become_an_event_waits_for_somebody() {
    let Some(stack) = Stack::require().await else { return };
    // With topics as the catalogue has them, and a debug build takes its time for so many bytes.
    let installation = Installation::on(&stack).set(Unit::EhrIngest, "feed.0.ack_timeout", "30s");
    let mut waybill = installation.prepare().await.unwrap();
    for unit in [Unit::EhrIngest, Unit::ConfirmationTracker] {
        waybill.start(unit).unwrap();
    }
    waybill.wait_ready(SOON).await.unwrap();
    let mut sender = Sender::to(waybill.mllp("ehr").unwrap()).await;
    let limit = 16 * 1024 * 1024;
    let head = b"MSH|^~\\&|EHR|GENHOSP|||20260304||ADT^A09|W1|P|2.5.1\rZZZ|".as_slice();
    sender.exchange(&[head, &noise(limit - head.len())].concat()).await.is("AR", "W1", Some("102"));

    // Stored as it came, but its result has the text a second time.
    let head = b"PID|1||42^^^LAB^MR\rOBR|1||F1^LIS|GLU^Glucose^L\rOBX|1|TX|A^B^L||".as_slice();
    let bytes = result("W2", &[head, &noise(limit - 20_000)].concat());
    sender.exchange(&bytes).await.is("AA", "W2", None);
    // What comes after it is not held back.
    sender.exchange(&message("ORU^R01", "W3")).await.is("AA", "W3", None);

    let topics = waybill.topics();
    let inbound = topics.decoded::<InboundMessage>("inbound.message.v1").await.unwrap();
    let (origin, stored) =
        inbound.iter().find(|(_, stored)| stored.control_id.as_deref() == Some("W2")).unwrap();
    assert!(stored.body.bytes().unwrap() == bytes, "stored as sent");
    let tracker = waybill.tracker();
    let found = tracker.until(stored.message_id, SOON, |waybill| waybill.state() == "exception").await;
    let found = found.unwrap_or_else(|error| panic!("{error:#}\n{}", waybill.tails()));
    assert_eq!(found.reason_code.as_deref(), Some("KAF-0006"));
    let letters = topics.records("inbound.message.v1.dlq.ehr-ingest.normalize").await.unwrap();
    assert!(
        letters[0].value() == origin.value() && letters[0].key() == origin.key(),
        "identical to its record"
    );

    let refused = topics.decoded::<InboundRejected>("inbound.rejected.v1").await.unwrap();
    let [(_, kept)] = &refused[..] else { panic!("{} refusals", refused.len()) };
    assert_eq!((kept.reason_code.as_str(), kept.body.size), ("ING-0005", 4096));
    tracker.until(kept.message_id, SOON, |waybill| waybill.state() == "refused").await.unwrap();
    let followed = eventually("the message behind it is accounted for", SOON, async || {
        match &tracker.by_control_id("W3").await?[..] {
            [one] if one.lines.is_empty() => Ok(()),
            other => pending(format!("{other:?}")),
        }
    });
    followed.await.unwrap();
    waybill.stop().await.unwrap();
}
