//! Frames of several messages, over a real socket and a real Kafka: each message is judged, stored and answered by itself.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail by panicking")]

#[path = "support/harness.rs"]
#[expect(dead_code, reason = "batches have enough to look at")]
mod harness;

use harness::{Door, framed, message};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use waybill_contracts::inbound::{InboundMessage, InboundRejected};
use waybill_testkit::{Proxy, Stack};

const HEAD: &str = "FHS|^~\\&|EHR|GENHOSP|HUB|W|20260304||||F-1\r";

fn bhs(control_id: &str) -> String {
    format!("BHS|^~\\&|EHR|GENHOSP|HUB|W|20260304||||{control_id}\r")
}

/// Refused: no PID.
fn bad(control_id: &str) -> Vec<u8> {
    format!("MSH|^~\\&|EHR|GENHOSP|||20260304||ADT^A01|{control_id}|P|2.5.1\rPV1|1|I\r").into_bytes()
}

fn frame(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// The answer without what is made anew, as the names of its segments with what matters of them.
fn shape(answer: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(answer).into_owned();
    let line = |line: &str| {
        let fields: Vec<&str> = line.split('|').collect();
        let field = |number: usize| fields.get(number).copied().unwrap_or_default();
        match field(0) {
            name @ ("FHS" | "BHS") => format!("{name} {} {}", field(9), field(11)).trim_end().to_owned(),
            "MSA" => format!("MSA {} {}", field(1), field(2)),
            "ERR" => format!("ERR {}", field(3).split('^').next().unwrap_or_default()),
            "MSH" => "MSH".to_owned(),
            name => format!("{name} {}", field(1)),
        }
    };
    text.split_terminator('\r').map(line).filter(|line| line != "MSH").collect()
}

async fn ask(door: &Door, bytes: &[u8]) -> Vec<u8> {
    let mut sender = door.connect().await;
    sender.write(&framed(bytes)).await;
    sender.frame().await.expect("an answer")
}

#[tokio::test]
async fn one_bad_message_never_loses_the_batch() {
    let Some(door) = Door::started("batch").await else { return };
    let (one, three) = (message("ADT^A01", "B1"), message("ORU^R01", "B3"));
    let bytes = frame(&[
        HEAD.as_bytes(),
        bhs("G-1").as_bytes(),
        &one,
        &bad("B2"),
        &three,
        b"BTS|3\r",
        bhs("G-2").as_bytes(),
        // Other separators than the header around it.
        b"MSH!@%$*!EHR!GENHOSP!!!20260304!!ADT@A08!B4!P!2.3\rPID!1!!42@@@GENHOSP@MR\r",
        b"BTS|1\rFTS|2\r",
    ]);
    let answer = ask(&door, &bytes).await;
    let expected = [
        "FHS  F-1",
        "BHS  G-1",
        "MSA AA B1",
        "MSA AE B2",
        "ERR 100",
        "MSA AA B3",
        "BTS 3",
        "BHS  G-2",
        "MSH!@%$*!!!EHR!GENHOSP!",
        "BTS 1",
        "FTS 2",
    ];
    let found = shape(&answer);
    assert_eq!(found.len(), expected.len() + 1, "{found:?}");
    assert_eq!(found[..8], expected[..8]);
    assert_eq!(found[9..], ["MSA!AA!B4 ", "BTS 1", "FTS 2"]);

    let mut stored = door.records::<InboundMessage>().await;
    stored.sort_by_key(|(_, record)| record.batch_index);
    let of = |at: usize| &stored[at].1;
    assert_eq!(stored.len(), 3);
    let ids: Vec<_> = stored.iter().map(|(_, record)| record.control_id.clone().unwrap()).collect();
    assert_eq!(ids, ["B1", "B3", "B4"]);
    assert_eq!(of(0).body.bytes().unwrap(), one);
    assert_eq!(of(1).body.bytes().unwrap(), three);
    let places: Vec<_> = stored
        .iter()
        .map(|(_, record)| (record.batch_index.unwrap(), record.batch_control_id.as_deref().unwrap()))
        .collect();
    assert_eq!(places, [(0, "G-1"), (2, "G-1"), (3, "G-2")]);
    assert!(
        of(0).batch_id.is_some()
            && of(0).batch_id == of(2).batch_id
            && of(0).batch_id != Some(of(0).message_id)
    );
    assert!(stored.iter().all(|(_, record)| record.warnings.iter().all(|code| !code.contains("BATCH"))));
    let (_, kept) = &door.at_least::<InboundRejected>(1).await[0];
    assert_eq!(
        (kept.batch_index, kept.reason_code.as_str(), kept.ack_code.as_str()),
        (Some(1), "ING-0003", "AE")
    );
    assert_eq!(kept.body.bytes().unwrap(), bad("B2"));

    // Byte for byte the same answer, and nothing stored again; the same message alone is the same message.
    assert_eq!(ask(&door, &bytes).await, answer);
    door.connect().await.exchange(&one).await.is("AA", "B1", None);
    assert_eq!(door.records::<InboundMessage>().await.len(), 3);
    assert_eq!(door.records::<InboundRejected>().await.len(), 1);
    door.close().await;
}

#[tokio::test]
async fn what_is_wrong_around_messages_is_said_and_refuses_none() {
    let Some(door) = Door::started("around").await else { return };
    let m = |id: &str| message("ADT^A02", id);
    let (warned, clean): (&[&str], &[&str]) = (&["BATCH_COUNT_MISMATCH"], &[]);
    let rows: &[(Vec<u8>, &[&str], &[&str])] = &[
        (
            frame(&[bhs("1").as_bytes(), &m("C1"), &m("C2"), b"BTS|3\r"]),
            &["BHS BTS-1 says 3, 2 messages were found 1", "MSA AA C1", "MSA AA C2", "BTS 2"],
            warned,
        ),
        (
            frame(&[bhs("2").as_bytes(), &m("C3"), b"BTS|many\r"]),
            &["BHS BTS-1 is no number, 1 messages were found 2", "MSA AA C3", "BTS 1"],
            warned,
        ),
        (frame(&[bhs("3").as_bytes(), &m("C4")]), &["BHS  3", "MSA AA C4", "BTS 1"], &["BATCH_INCOMPLETE"]),
        (frame(&[&m("C5"), b"BTS|1\r"]), &["BHS", "MSA AA C5", "BTS 1"], &["BATCH_INCOMPLETE"]),
        (frame(&[HEAD.as_bytes(), &m("C6"), b"FTS|1"]), &["FHS  F-1", "MSA AA C6", "FTS 1"], clean),
        (
            frame(&[HEAD.as_bytes(), bhs("4").as_bytes(), &m("C7"), b"BTS|1\rFTS|7\r"]),
            &["FHS FTS-1 says 7, 1 batches were found F-1", "BHS  4", "MSA AA C7", "BTS 1", "FTS 1"],
            &["FILE_COUNT_MISMATCH"],
        ),
        (frame(&[&m("C8"), &m("C9")]), &["MSA AA C8", "MSA AA C9"], &["SEVERAL_MESSAGES_IN_FRAME"]),
        // The first has no control id: the second is not lost with it.
        (
            frame(&[&bad(""), &m("C10")]),
            &["MSA AE ", "ERR 101", "MSA AA C10"],
            &["SEVERAL_MESSAGES_IN_FRAME"],
        ),
        (
            frame(&[bhs("5").as_bytes(), b"PID|1||nobody\r", &m("C11"), b"BTS|1\r"]),
            &[
                "BHS BTS-1 says 1, 2 messages were found; 1 without a usable MSH were refused 5",
                "MSA AA C11",
                "BTS 1",
            ],
            warned,
        ),
        (
            frame(&[bhs("6").as_bytes(), &m("C12"), &m("C12"), b"BTS|2\r"]),
            &["BHS  6", "MSA AA C12", "MSA AA C12", "BTS 2"],
            clean,
        ),
        (frame(&[bhs("7").as_bytes(), b"BTS|0\r"]), &["BHS  7", "BTS 0"], clean),
        (frame(&[HEAD.as_bytes(), b"FTS|0\r"]), &["FHS  F-1", "FTS 0"], clean),
    ];
    for (bytes, expected, _) in rows {
        assert_eq!(shape(&ask(&door, bytes).await), *expected, "{}", bytes.escape_ascii());
    }
    let stored = door.records::<InboundMessage>().await;
    assert_eq!(stored.len(), 12, "each message once");
    for (bytes, _, warnings) in rows {
        for (_, record) in &stored {
            let body = record.body.bytes().unwrap();
            if bytes.windows(body.len()).any(|window| window == &*body) {
                assert_eq!(record.warnings, *warnings, "{:?}", record.control_id);
            }
        }
    }
    let kept = door.at_least::<InboundRejected>(2).await;
    let stray =
        kept.iter().find(|(_, kept)| kept.body.bytes().unwrap() == b"PID|1||nobody\r".as_slice()).unwrap();
    assert_eq!((stray.1.reason_code.as_str(), stray.1.batch_index), ("ING-0001", Some(0)));
    door.close().await;
}

#[tokio::test]
async fn a_batch_of_acknowledgements_is_not_answered_and_errors_only_may_be_empty() {
    let Some(door) = Door::prepare("errors").await else { return };
    let ack: toml::Table = "batch = 'errors'".parse().unwrap();
    let door = door.set("feed.ack", ack).start();
    door.ready().await;
    let mut sender = door.connect().await;
    let acks = frame(&[bhs("1").as_bytes(), b"MSH|^~\\&|A|B|C|D|2026||ACK|X1|P|2.5\rMSA|AA|7\r", b"BTS|1\r"]);
    sender.write(&framed(&acks)).await;
    let good = frame(&[bhs("2").as_bytes(), &message("ADT^A02", "E1"), b"BTS|1\r"]);
    sender.write(&framed(&good)).await;
    assert_eq!(shape(&sender.frame().await.unwrap()), ["BHS  2", "BTS 0"]);
    let mixed = frame(&[bhs("3").as_bytes(), &message("ADT^A02", "E2"), &bad("E3"), b"BTS|2\r"]);
    sender.write(&framed(&mixed)).await;
    assert_eq!(shape(&sender.frame().await.unwrap()), ["BHS  3", "MSA AE E3", "ERR 100", "BTS 1"]);
    let stored = door.at_least::<InboundMessage>(3).await;
    let silent = stored.iter().find(|(_, record)| record.control_id.as_deref() == Some("X1")).unwrap();
    assert_eq!(
        (silent.1.ack_code.as_str(), silent.1.warnings.as_slice()),
        ("", ["RESPONSE".to_owned()].as_slice())
    );
    door.close().await;
}

#[tokio::test]
async fn a_batch_that_is_larger_than_what_may_be_on_its_way_is_stored_whole() {
    let Some(door) = Door::started("wide").await else { return };
    let messages: Vec<Vec<u8>> = (0..6000).map(|number| message("ADT^A02", &format!("W{number}"))).collect();
    let bytes = [bhs("wide").into_bytes(), messages.concat(), b"BTS|6000\r".to_vec()].concat();
    let answer = ask(&door, &bytes).await;
    let found = shape(&answer);
    assert_eq!(found.len(), 6002);
    assert_eq!(
        (found[1].as_str(), found[6000].as_str(), found[6001].as_str()),
        ("MSA AA W0", "MSA AA W5999", "BTS 6000")
    );
    assert!(found[1..=6000].iter().all(|line| line.starts_with("MSA AA ")));
    assert_eq!(door.records::<InboundMessage>().await.len(), 6000);

    // Many at once: they take turns, none is told that there is no room.
    let batch = |number: usize| {
        let messages =
            (0..300).flat_map(|at| message("ADT^A02", &format!("V{number}-{at}"))).collect::<Vec<u8>>();
        framed(&[bhs("v").into_bytes(), messages, b"BTS|300\r".to_vec()].concat())
    };
    let wire: Vec<u8> = (0..30).flat_map(batch).collect();
    let mut sender = door.connect().await;
    let (mut reading, mut writing) = sender.stream.split();
    let read = async {
        let mut answers = Vec::new();
        while !answers.ends_with(b"BTS|300\r\x1c\r") || answers.split(|byte| *byte == 0x1c).count() < 31 {
            assert_ne!(reading.read_buf(&mut answers).await.unwrap(), 0);
        }
        answers
    };
    let (answers, written) = tokio::join!(read, writing.write_all(&wire));
    written.unwrap();
    let text = String::from_utf8(answers).unwrap();
    assert_eq!((text.matches("MSA|AA|V").count(), text.matches("MSA|A").count()), (9000, 9000));
    door.close().await;
}

#[tokio::test]
async fn what_of_a_batch_cannot_be_stored_is_told_apart() {
    let Some(door) = Door::prepare("partly").await else { return };
    let broker = Proxy::kafka(Stack::from_env().kafka_address().unwrap()).await.unwrap();
    let door = door
        .set("kafka.bootstrap_servers", broker.address().to_string())
        .set("feed.ack_timeout", "1s")
        .start();
    door.ready().await;
    let known = message("ADT^A02", "P1");
    door.connect().await.exchange(&known).await.is("AA", "P1", None);
    broker.freeze();
    let bytes = frame(&[bhs("1").as_bytes(), &known, &message("ADT^A02", "P2"), b"BTS|2\r"]);
    assert_eq!(shape(&ask(&door, &bytes).await), ["BHS  1", "MSA AA P1", "MSA AR P2", "ERR 207", "BTS 2"]);
    broker.thaw();
    let mut found = Vec::new();
    while found != ["BHS  1", "MSA AA P1", "MSA AA P2", "BTS 2"] {
        found = shape(&ask(&door, &bytes).await);
        assert!(found.len() == 4 || found.contains(&"ERR 207".to_owned()), "{found:?}");
    }
    door.close().await;
}
