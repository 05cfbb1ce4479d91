//! Repeats: the first answer again, byte for byte, and nothing stored again, even by a process that was started since.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail by panicking")]

#[path = "support/harness.rs"]
#[expect(dead_code, reason = "repeats have enough to look at")]
mod harness;
#[path = "support/web.rs"]
#[expect(dead_code, reason = "repeats have enough to look at")]
mod web;

use harness::{Door, framed, message};
use waybill_contracts::inbound::{InboundMessage, InboundRejected};

async fn ask(door: &Door, bytes: &[u8]) -> Vec<u8> {
    let mut sender = door.connect().await;
    sender.write(&framed(bytes)).await;
    sender.frame().await.expect("an answer")
}

fn with_conditions(control_id: &str, commit: &str, application: &str) -> Vec<u8> {
    let text = String::from_utf8(message("ADT^A02", control_id)).unwrap();
    text.replacen("|2.5.1\r", &format!("|2.5.1|||{commit}|{application}\r"), 1).into_bytes()
}

#[tokio::test]
async fn a_repeat_gets_the_same_bytes_before_and_after_a_crash() {
    let Some(door) = Door::prepare("again").await else { return };
    // A group that lost a member to a crash has its place back after this long.
    let mut door = door.set("kafka.session_timeout", "6s").start();
    door.ready().await;
    let large =
        [message("ORU^R01", "R3"), [b"NTE|1||".to_vec(), vec![b'x'; 200_000], b"\r".to_vec()].concat()]
            .concat();
    let messages = [message("ADT^A01", "R1"), with_conditions("R2", "AL", "NE"), large];
    let mut answers = Vec::new();
    for bytes in &messages {
        answers.push(ask(&door, bytes).await);
    }
    assert!(String::from_utf8_lossy(&answers[1]).contains("MSA|CA|R2"));
    for (bytes, answer) in messages.iter().zip(&answers) {
        assert_eq!(&ask(&door, bytes).await, answer, "the time of the answer is that of the first");
    }
    door.kill();
    let door = door.start();
    door.ready().await;
    for (bytes, answer) in messages.iter().zip(&answers) {
        assert_eq!(&ask(&door, bytes).await, answer, "after the crash");
    }
    // A control id of before the crash, with other bytes.
    door.connect().await.exchange(&message("ADT^A08", "R1")).await.is("AA", "R1", None);
    let stored = door.records::<InboundMessage>().await;
    assert_eq!(stored.len(), 4, "each once");
    let reused: Vec<_> = stored
        .iter()
        .filter(|(_, record)| record.warnings.contains(&"CONTROL_ID_REUSED".to_owned()))
        .collect();
    assert_eq!(reused.len(), 1);
    assert_eq!(reused[0].1.body.bytes().unwrap(), message("ADT^A08", "R1"));
    assert!((door.metric("waybill_duplicates_total", "door").await - 3.0).abs() < 0.1);
    assert!((door.metric("waybill_control_ids_reused_total", "door").await - 1.0).abs() < 0.1);
    assert!(door.log().contains("read back which messages came lately"));
    door.close().await;
}

#[tokio::test]
async fn a_refusal_is_repeated_and_its_correction_is_no_reuse() {
    let Some(door) = Door::started("refusal").await else { return };
    let wrong = b"MSH|^~\\&|EHR|GENHOSP|||20260101||ADT^A01|F1|P|2.5\rPV1|1|I\r".to_vec();
    let answer = ask(&door, &wrong).await;
    assert!(String::from_utf8_lossy(&answer).contains("MSA|AE|F1"));
    assert_eq!(ask(&door, &wrong).await, answer);
    assert_eq!(door.at_least::<InboundRejected>(1).await.len(), 1, "kept once");
    door.connect().await.exchange(&message("ADT^A01", "F1")).await.is("AA", "F1", None);
    let (_, corrected) = &door.records::<InboundMessage>().await[0];
    assert!(corrected.warnings.is_empty(), "{:?}", corrected.warnings);
    door.close().await;
}

#[tokio::test]
async fn what_is_owed_no_answer_is_stored_once_all_the_same() {
    let Some(door) = Door::started("silent").await else { return };
    let mut sender = door.connect().await;
    let silent = [
        with_conditions("S1", "NE", "AL"),
        with_conditions("S2", "ER", "NE"),
        with_conditions("S1", "NE", "AL"),
    ];
    for bytes in &silent {
        sender.write(&framed(bytes)).await;
    }
    // Answers come in order: whatever had been answered to those would come first.
    sender.exchange(&message("ADT^A02", "S3")).await.is("AA", "S3", None);
    sender.exchange(&with_conditions("S4", "SU", "NE")).await.is("CA", "S4", None);
    let stored = door.records::<InboundMessage>().await;
    let codes: std::collections::BTreeMap<_, _> = stored
        .iter()
        .map(|(_, record)| (record.control_id.clone().unwrap(), record.ack_code.clone()))
        .collect();
    let codes: Vec<_> = codes.iter().map(|(id, code)| (id.as_str(), code.as_str())).collect();
    assert_eq!(codes, [("S1", ""), ("S2", ""), ("S3", "AA"), ("S4", "CA")]);
    door.close().await;
}

#[tokio::test]
async fn a_bundle_that_comes_again_gets_the_first_answer_before_and_after_a_crash() {
    let Some(door) = web::prepare("bundle", "anonymous = true").await else { return };
    let mut door = door.set("kafka.session_timeout", "6s").start();
    door.ready().await;
    let bundle = serde_json::json!({
        "resourceType": "Bundle",
        "type": "transaction",
        "timestamp": "2026-03-04T10:15:00-05:00",
        "entry": [{
            "fullUrl": "urn:uuid:6b1f7e0a-6c1f-4f0e-9d0c-3f4d2b7a9c11",
            "resource": web::patient(),
            "request": { "method": "POST", "url": "Patient" }
        }]
    })
    .to_string();
    let send = async |door: &Door| {
        let response = web::post(door, "/fhir", web::FHIR_JSON, bundle.clone()).await;
        assert_eq!(response.status(), 200);
        response.text().await.unwrap()
    };
    let first = send(&door).await;
    assert!(first.contains("transaction-response"), "{first}");
    assert_eq!(send(&door).await, first, "the times in the answer are those of the first");
    door.kill();
    let door = door.start();
    door.ready().await;
    assert_eq!(send(&door).await, first, "after the crash");
    assert_eq!(door.records::<InboundMessage>().await.len(), 1, "stored once");
    assert!((door.metric("waybill_duplicates_total", "door").await - 1.0).abs() < 0.1);
    door.close().await;
}
