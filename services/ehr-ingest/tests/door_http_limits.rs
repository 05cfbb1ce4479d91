//! Bodies that are too large, too slow or too many, and what happens when Kafka is gone or the process ends: over HTTP, on
//! real sockets and a real Kafka.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail by panicking")]

#[path = "support/harness.rs"]
#[expect(dead_code, reason = "MLLP has more of it")]
mod harness;
#[path = "support/web.rs"]
mod web;

use std::{
    io::{Read, Write},
    time::Duration,
};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use harness::{Door, SOON, bodies, message};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use waybill_contracts::{body::HL7_V2, inbound::InboundMessage};
use waybill_testkit::{Proxy, Stack, corpora, eventually, http, pending};
use web::{FHIR_JSON, hl7, issue, patient, post, prepare, refused, started, to_the_end, url};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The most memory that the service has had, in bytes (`VmHWM`).
fn peak_memory(door: &Door) -> u64 {
    let status = format!("/proc/{}/status", door.child.as_ref().unwrap().id());
    let status = std::fs::read_to_string(status).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_are_refused_however_they_come_and_cost_no_memory() {
    let Some(door) = started("large").await else { return };
    let hundred = 100 * 1024 * 1024;
    // Announced, then sent in pieces of unknown number, then hidden in a few kilobytes.
    let (status, code, _) = issue(post(&door, "/fhir", FHIR_JSON, vec![b' '; hundred]).await).await;
    assert_eq!((status, code.as_str()), (413, "too-long"));
    let mut chunked = TcpStream::connect(door.mllp).await.unwrap();
    let head = "POST /fhir HTTP/1.1\r\nHost: x\r\nContent-Type: application/fhir+json\r\nTransfer-Encoding: chunked\r\n\r\n";
    chunked.write_all(head.as_bytes()).await.unwrap();
    let chunk = [b"100000\r\n".as_slice(), &vec![b' '; 0x10_0000], b"\r\n"].concat();
    for _ in 0..100 {
        chunked.write_all(&chunk).await.unwrap();
    }
    chunked.write_all(b"0\r\n\r\n").await.unwrap();
    let mut answer = [0; 12];
    chunked.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
    drop(chunked);
    let bomb = gzip(&vec![b' '; hundred]);
    let request = http::client()
        .post(url(&door, "/fhir"))
        .header("content-type", FHIR_JSON)
        .header("content-encoding", "gzip");
    assert_eq!(issue(request.timeout(SOON).body(bomb).send().await.unwrap()).await.0, 413);
    assert!(refused(&door, "too_large").await > 2.9);

    // One message of HL7 has the limit of the topics, and its sender an acknowledgement.
    let mut bytes = message("ADT^A01", "L1");
    bytes.extend(b"NTE|1||".iter().copied().chain(std::iter::repeat_n(b'x', 17 * 1024 * 1024)));
    let response = post(&door, "/hl7", HL7_V2, bytes).await;
    assert_eq!(response.status(), 413);
    assert!(response.text().await.unwrap().contains("\rMSA|AR|L1\r"));

    let bytes = message("ADT^A01", "L2");
    let request = http::client()
        .post(url(&door, "/hl7"))
        .header("content-type", HL7_V2)
        .header("content-encoding", "gzip");
    assert_eq!(request.body(gzip(&bytes)).send().await.unwrap().status(), 200);
    assert_eq!(bodies(&door.records().await)["L2"], [bytes]);
    let damaged = http::client()
        .post(url(&door, "/hl7"))
        .header("content-type", HL7_V2)
        .header("content-encoding", "gzip");
    assert_eq!(damaged.body(message("ADT^A01", "L3")).send().await.unwrap().status(), 400);
    assert!(door.metric("waybill_buffered_bytes", "").await < 1.0, "all is given back");
    let peak = peak_memory(&door);
    // 64 MiB of a body, as much again while it grows or is inflated, and the process.
    assert!(peak < 400 << 20, "{} MiB", peak >> 20);
    door.close().await;
}

#[tokio::test]
async fn whole_patients_come_in_compressed() {
    let Some(folder) = corpora::folder("synthea/seed42") else { return };
    let Some(door) = prepare("synthea", "anonymous = true").await else { return };
    // A debug build takes its time for megabytes.
    let door = door.set("feed.ack_timeout", "30s").start();
    door.ready().await;
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    // Hospitals and practitioners first: their names begin with a number.
    files.sort();
    let mut sent = Vec::new();
    for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "gz")) {
        let request = http::client().post(url(&door, "/fhir")).header("content-type", FHIR_JSON);
        let request =
            request.header("content-encoding", "gzip").timeout(SOON).body(std::fs::read(file).unwrap());
        let response = request.send().await.unwrap();
        let (status, answer) = (response.status(), response.text().await.unwrap());
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        assert!(status == 200 && answer.contains("-response\""), "{name}: {status} {answer:.300}");
        let mut text = Vec::new();
        GzDecoder::new(std::fs::read(file).unwrap().as_slice()).read_to_end(&mut text).unwrap();
        sent.push((name, text));
    }
    assert!(!sent.is_empty());
    let stored = door.records::<InboundMessage>().await;
    assert_eq!(stored.len(), sent.len(), "one record per Bundle");
    for (name, text) in &sent {
        let is_kept =
            stored.iter().any(|(_, record)| record.body.bytes().unwrap().as_ref() == text.as_slice());
        assert!(is_kept, "{name} is not stored as it was before it was compressed");
    }
    let largest = sent.iter().map(|(_, text)| text.len() as u64).max().unwrap();
    let peak = peak_memory(&door);
    // Parsed, mapped and encoded one after the other in two roles of one process.
    assert!(peak < (100 << 20) + 20 * largest, "{} MiB for {largest} bytes", peak >> 20);
    door.close().await;
}

#[tokio::test]
async fn a_sender_that_drips_is_cut_off() {
    let Some(door) = prepare("drip", "anonymous = true").await else { return };
    let door = door.set("feed.frame_timeout", "700ms").set("feed.max_connections", 2).start();
    door.ready().await;
    // In the head.
    let mut head = TcpStream::connect(door.mllp).await.unwrap();
    head.write_all(b"POST /hl7 HTTP/1.1\r\nHost: x\r\nX-A: ").await.unwrap();
    // In the body.
    let mut body = TcpStream::connect(door.mllp).await.unwrap();
    let start = format!(
        "POST /fhir HTTP/1.1\r\nHost: x\r\nContent-Type: {FHIR_JSON}\r\nContent-Length: 1000\r\n\r\n{{"
    );
    body.write_all(start.as_bytes()).await.unwrap();
    let dripping = async {
        // Each byte is a sign of life, and no help.
        while body.write_all(b" ").await.is_ok() && head.write_all(b"a").await.is_ok() {
            let mut one = [0];
            let heard = tokio::time::timeout(Duration::from_millis(50), body.peek(&mut one)).await;
            if matches!(heard, Ok(Ok(_))) {
                break;
            }
        }
    };
    tokio::time::timeout(SOON, dripping).await.expect("nobody is cut off");
    let answer = to_the_end(&mut body).await;
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("transient"), "{answer}");
    assert!(!to_the_end(&mut head).await.contains("200 OK"));
    assert!(refused(&door, "frame_timeout").await > 0.9);
    // Their places are free again.
    let free = eventually("a place", SOON, async || {
        match http::client()
            .post(url(&door, "/hl7"))
            .header("content-type", HL7_V2)
            .body(message("ADT^A01", "D1"))
            .send()
            .await
        {
            Ok(response) if response.status() == 200 => Ok(()),
            other => pending(format!("{other:?}")),
        }
    });
    free.await.unwrap();
    door.close().await;
}

#[tokio::test]
async fn a_sender_that_asks_and_never_reads_does_not_keep_its_place() {
    let Some(door) = prepare("unread", "anonymous = true").await else { return };
    let door = door.set("feed.frame_timeout", "700ms").start();
    door.ready().await;
    let mut stream = TcpStream::connect(door.mllp).await.unwrap();
    let asking = async {
        // Answers that nobody reads fill the wire; then nothing more is taken.
        while stream.write_all(b"GET /fhir/metadata HTTP/1.1\r\nHost: x\r\n\r\n").await.is_ok() {}
    };
    tokio::time::timeout(SOON, asking).await.expect("it is asked for ever");
    let gone = eventually("its place is free", SOON, async || {
        let open = door.metric("waybill_connections", "door").await;
        if open < 1.0 { Ok(()) } else { pending(open.to_string()) }
    });
    gone.await.unwrap();
    door.close().await;
}

#[tokio::test]
async fn bodies_share_a_budget_and_who_finds_none_left_is_told_to_come_again() {
    let Some(door) = prepare("budget", "anonymous = true\nmax_body_bytes = 500000").await else { return };
    let door = door.set("feed.max_frame_bytes", 500_000).set("limits.max_buffered_bytes", 1_000_000).start();
    door.ready().await;
    let (mut halves, length) = (Vec::new(), 480_000);
    for id in ["B0", "B1"] {
        let mut text = [message("ADT^A01", id), b"NTE|1||".to_vec()].concat();
        text.resize(length, b'x');
        let mut stream = TcpStream::connect(door.mllp).await.unwrap();
        let head = format!(
            "POST /hl7 HTTP/1.1\r\nHost: x\r\nContent-Type: {HL7_V2}\r\nContent-Length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&text[..450_000]).await.unwrap();
        halves.push((stream, text));
    }
    let held = eventually("both are held", SOON, async || {
        let bytes = door.metric("waybill_buffered_bytes", "").await;
        if bytes > 899_000.0 { Ok(()) } else { pending(format!("{bytes} bytes")) }
    });
    held.await.unwrap();
    let (status, code, headers) = issue(post(&door, "/fhir", FHIR_JSON, vec![b' '; 200_000]).await).await;
    assert_eq!((status, code.as_str(), headers["retry-after"].to_str().unwrap()), (503, "transient", "5"));
    assert_eq!(hl7(&door, "B2").await.status(), 200, "there is room for a small one");
    for (stream, text) in &mut halves {
        stream.write_all(&text[450_000..]).await.unwrap();
        let mut answer = [0; 15];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200 OK");
    }
    assert!(refused(&door, "no_room").await > 0.9);
    assert_eq!(
        post(&door, "/hl7", HL7_V2, [message("ADT^A01", "B3"), vec![b'x'; 400_000]].concat()).await.status(),
        200
    );
    door.close().await;
}

#[tokio::test]
async fn without_kafka_senders_are_told_to_come_again() {
    let Some(door) = prepare("nokafka", "anonymous = true").await else { return };
    let proxy = Proxy::kafka(Stack::from_env().kafka_address().unwrap()).await.unwrap();
    let servers = proxy.address().to_string();
    let door = door.set("kafka.bootstrap_servers", servers).set("feed.ack_timeout", "1s").start();
    door.ready().await;
    assert_eq!(hl7(&door, "K1").await.status(), 200);
    proxy.close();
    let response = eventually("it is noticed", SOON, async || {
        let response = post(&door, "/fhir/Patient", FHIR_JSON, patient().to_string()).await;
        if response.status() == 503 { Ok(response) } else { pending(response.status().to_string()) }
    });
    let (status, code, headers) = issue(response.await.unwrap()).await;
    assert_eq!((status, code.as_str(), headers["retry-after"].to_str().unwrap()), (503, "transient", "5"));
    let response = hl7(&door, "K2").await;
    assert_eq!((response.status().as_u16(), response.headers()["retry-after"].to_str().unwrap()), (503, "5"));
    let ack = response.text().await.unwrap();
    assert!(ack.contains("\rMSA|AR|K2\r") && ack.contains("207"), "{ack}");
    proxy.open().await.unwrap();
    let stored = eventually("it is stored again", SOON, async || {
        let response = hl7(&door, "K2").await;
        if response.status() == 200 { Ok(()) } else { pending(response.status().to_string()) }
    });
    stored.await.unwrap();
    door.close().await;
}

#[tokio::test]
async fn a_request_that_is_coming_in_is_answered_when_the_process_ends() {
    let Some(mut door) = started("drain").await else { return };
    let bytes = message("ADT^A01", "E1");
    let mut stream = TcpStream::connect(door.mllp).await.unwrap();
    let head = format!(
        "POST /hl7 HTTP/1.1\r\nHost: x\r\nContent-Type: {HL7_V2}\r\nContent-Length: {}\r\n\r\n",
        bytes.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&bytes[..10]).await.unwrap();
    // Idle connections, one of them never used, do not hold the process.
    let mut idle = TcpStream::connect(door.mllp).await.unwrap();
    let held = eventually("it is coming in", SOON, async || {
        let bytes = door.metric("waybill_buffered_bytes", "").await;
        if bytes > 9.0 { Ok(()) } else { pending(format!("{bytes} bytes")) }
    });
    held.await.unwrap();
    let (ended, answer) = tokio::join!(door.terminate(), async {
        assert_eq!(to_the_end(&mut idle).await, "");
        stream.write_all(&bytes[10..]).await.unwrap();
        to_the_end(&mut stream).await
    });
    assert!(answer.contains("200 OK") && answer.contains("\rMSA|AA|E1\r"), "{answer}\n{}", door.log());
    assert_eq!(ended, Some(0), "{}", door.log());
    assert_eq!(bodies(&door.records().await)["E1"], [bytes]);
    door.close().await;
}
