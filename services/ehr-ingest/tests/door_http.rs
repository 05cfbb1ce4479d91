//! HL7 v2 and FHIR over HTTP on real sockets and a real Kafka: what is answered, what is stored, and who is kept out.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail by panicking")]

#[path = "support/harness.rs"]
#[expect(dead_code, reason = "MLLP has more of it")]
mod harness;

use std::{io::Write, time::Duration};

use flate2::{Compression, write::GzEncoder};
use harness::{Door, SOON, bodies, message};
use reqwest::{Response, header::HeaderMap};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use toml::Table;
use waybill_contracts::{
    body::HL7_V2,
    inbound::{InboundMessage, InboundRejected, Protocol},
};
use waybill_testkit::{Proxy, Stack, eventually, http, pending};

const FHIR_JSON: &str = "application/fhir+json";
const REFUSED: &str = "waybill_requests_refused_total";
/// SHA-256 of `secret`.
const SECRET: &str = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
/// SHA-256 of `other`.
const OTHER: &str = "d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa";

/// An HTTP feed with these lines in `[feed.http]`; not started yet.
async fn prepare(name: &str, settings: &str) -> Option<Door> {
    let settings: Table = settings.parse().unwrap();
    Some(Door::prepare(name).await?.set("feed.protocol", "http").set("feed.http", settings))
}

async fn started(name: &str) -> Option<Door> {
    let door = prepare(name, "anonymous = true").await?.start();
    door.ready().await;
    Some(door)
}

fn url(door: &Door, path: &str) -> String {
    format!("http://{}{path}", door.mllp)
}

async fn post(door: &Door, path: &str, kind: &str, body: impl Into<reqwest::Body>) -> Response {
    let request = http::client().post(url(door, path)).header("content-type", kind);
    request.timeout(SOON).body(body).send().await.unwrap()
}

async fn hl7(door: &Door, id: &str) -> Response {
    post(door, "/hl7", HL7_V2, message("ADT^A01", id)).await
}

fn patient() -> Value {
    json!({
        "resourceType": "Patient",
        "identifier": [{"system": "urn:oid:1.2.3", "value": "42"}],
        "name": [{"family": "Fenwick", "given": ["Isolde"]}],
        "birthDate": "1964-02-29",
    })
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Status, and the code of the first issue of an OperationOutcome.
async fn issue(response: Response) -> (u16, String, HeaderMap) {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let kind = headers["content-type"].to_str().unwrap().to_owned();
    assert!(kind.starts_with(FHIR_JSON), "{status} {kind}");
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["resourceType"], "OperationOutcome", "{body}");
    assert!(!body.to_string().contains("Fenwick"), "patient data in an answer: {body}");
    (status, body["issue"][0]["code"].as_str().unwrap().to_owned(), headers)
}

/// A feed more at the same address.
fn with_feed(mut door: Door, settings: &str) -> Door {
    let mut feed: Table = settings.parse().unwrap();
    feed.insert("listen".to_owned(), door.mllp.to_string().into());
    door.settings["feed"].as_array_mut().unwrap().push(feed.into());
    door
}

/// The most memory that the service has had, in bytes (`VmHWM`).
fn peak_memory(door: &Door) -> u64 {
    let status = format!("/proc/{}/status", door.child.as_ref().unwrap().id());
    let status = std::fs::read_to_string(status).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

async fn refused(door: &Door, reason: &str) -> f64 {
    door.metric(REFUSED, &format!("reason=\"{reason}\"")).await
}

/// All that comes until the other side closes.
async fn to_the_end(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(SOON, stream.read_to_end(&mut bytes)).await;
    let _ = read.expect("the connection stays open");
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn hl7_is_stored_before_it_is_answered_and_a_repeat_is_recognised() {
    let Some(door) = started("hoh").await else { return };
    let bytes = message("ADT^A01", "H1");
    let request = http::client().post(url(&door, "/hl7")).header("content-type", "application/hl7-v2; charset=utf-8");
    let response = request.header("X-Request-Id", "r-17").body(bytes.clone()).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["x-request-id"], "r-17");
    assert_eq!(response.headers()["content-type"], "application/hl7-v2; charset=utf-8");
    let ack = response.text().await.unwrap();
    assert!(ack.starts_with("MSH|^~\\&|") && ack.contains("\rMSA|AA|H1\r"), "{ack}");
    let stored = door.records::<InboundMessage>().await;
    let [(_, record)] = &stored[..] else { panic!("{} records", stored.len()) };
    assert_eq!((record.protocol, record.feed.as_str()), (Protocol::Hl7Http, "door"));
    assert_eq!(record.body.bytes().unwrap(), bytes);

    assert!(hl7(&door, "H1").await.text().await.unwrap().contains("\rMSA|AA|H1\r"));
    assert_eq!(door.records::<InboundMessage>().await.len(), 1, "a repeat is not stored again");

    // Refused by the application: an acknowledgement like any other.
    let response = post(&door, "/hl7", "text/plain", "MSH|^~\\&|EHR|GH|||20260304||ADT^A01|H2|P|2.5.1\r").await;
    assert_eq!(response.status(), 200);
    assert!(response.text().await.unwrap().contains("\rMSA|AE|H2\r"));
    // Nothing that an answer could refer to.
    assert_eq!(post(&door, "/hl7", HL7_V2, "hello").await.status(), 400);
    let kept = door.at_least::<InboundRejected>(2).await;
    assert!(kept.iter().all(|(_, rejected)| rejected.protocol == Protocol::Hl7Http));
    assert!((door.metric("waybill_messages_received_total", "ack=\"AA\"").await - 2.0).abs() < 0.1);
    assert!(!door.log().contains("Fenwick"), "patient data in the log");
    door.close().await;
}

#[tokio::test]
async fn a_batch_is_split_and_answered_as_one() {
    let Some(door) = started("batch").await else { return };
    let good = String::from_utf8(message("ADT^A01", "P1")).unwrap();
    let batch = format!("FHS|^~\\&|E|F\rBHS|^~\\&|E|F|||||||B7\r{good}MSH|^~\\&|E|F|||20260304||ADT^A01|P2|P|2.5.1\rBTS|2\rFTS|1\r");
    let response = post(&door, "/hl7", HL7_V2, batch).await;
    assert_eq!(response.status(), 200);
    let answer = response.text().await.unwrap();
    assert!(answer.starts_with("FHS|") && answer.contains("\rMSA|AA|P1\r") && answer.contains("\rMSA|AE|P2\r"), "{answer}");
    let stored = door.records::<InboundMessage>().await;
    assert_eq!((stored.len(), stored[0].1.batch_index, stored[0].1.batch_control_id.as_deref()), (1, Some(0), Some("B7")));
    assert_eq!(door.records::<InboundRejected>().await[0].1.batch_index, Some(1));
    // Who wants no answer (MSH-15) gets a status.
    let silent = "MSH|^~\\&|EHR|GENHOSP|||20260304101500-0500||ADT^A02|P3|P|2.5.1|||NE|AL\rPID|1||42^^^GENHOSP^MR\rPV1|1|I\r";
    let response = post(&door, "/hl7", HL7_V2, silent).await;
    assert_eq!((response.status().as_u16(), response.text().await.unwrap().as_str()), (204, ""));
    assert_eq!(door.records::<InboundMessage>().await.len(), 2);
    door.close().await;
}

#[tokio::test]
async fn fhir_is_stored_before_it_is_answered_and_refusals_say_where() {
    let Some(door) = started("fhir").await else { return };
    let response = post(&door, "/fhir/Patient", FHIR_JSON, patient().to_string()).await;
    assert_eq!(response.status(), 201, "{}", response.text().await.unwrap());
    let stored = door.records::<InboundMessage>().await;
    let [(_, record)] = &stored[..] else { panic!("{} records", stored.len()) };
    assert_eq!((record.protocol, record.body.content_type.as_str()), (Protocol::FhirHttp, FHIR_JSON));
    assert_eq!(record.body.bytes().unwrap(), patient().to_string().as_bytes());

    let quiet = http::client().put(url(&door, "/fhir/Patient/p1")).header("content-type", FHIR_JSON);
    let mut known = patient();
    known["id"] = "p1".into();
    let quiet = quiet.header("prefer", "respond-async, return=minimal").body(known.to_string()).send().await.unwrap();
    assert!(quiet.status().is_success(), "{}", quiet.status());
    assert_eq!(quiet.bytes().await.unwrap().len(), 0);

    let (status, code, _) = issue(post(&door, "/fhir/Patient", "application/json", "{\"a\": Fenwick").await).await;
    assert_eq!((status, code.as_str()), (400, "structure"));
    let kept = door.at_least::<InboundRejected>(1).await;
    assert_eq!(kept[0].1.body.bytes().unwrap().as_ref(), b"{\"a\": Fenwick");

    let response = http::client().get(url(&door, "/fhir/metadata")).send().await.unwrap();
    let statement: Value = response.json().await.unwrap();
    assert_eq!((&statement["resourceType"], &statement["fhirVersion"]), (&json!("CapabilityStatement"), &json!("4.0.1")));
    assert!(!door.log().contains("Fenwick"), "patient data in the log");
    door.close().await;
}

#[tokio::test]
async fn tokens_open_their_own_feed_only() {
    let tokens = format!("tokens = [{{ name = 'ehr', sha256 = '{SECRET}' }}]\npath = '/north'\npublic_metadata = true");
    let Some(door) = prepare("tokens", &tokens).await else { return };
    let south = format!("protocol = 'http'\nname = 'south'\nhttp = {{ path = '/south', tokens = [{{ name = 'lis', sha256 = '{OTHER}' }}] }}");
    let door = with_feed(door, &south).start();
    door.ready().await;
    let ask = async |path: &str, token: Option<&str>| {
        let request = http::client().post(url(&door, path)).header("content-type", HL7_V2);
        let request = token.into_iter().fold(request, |request, token| request.header("authorization", token));
        request.body(message("ADT^A01", "T1")).send().await.unwrap()
    };
    let nobody = ask("/north/hl7", None).await;
    assert_eq!(nobody.status(), 401);
    assert_eq!(nobody.headers()["www-authenticate"], "Bearer realm=\"waybill\"");
    assert!(nobody.text().await.unwrap().starts_with("ING-0030"));
    for wrong in ["Bearer wrong", &format!("Bearer {SECRET}"), "Basic c2VjcmV0"] {
        assert_eq!(ask("/north/hl7", Some(wrong)).await.status(), 401, "{wrong}");
    }
    assert_eq!(ask("/north/hl7", Some("Bearer other")).await.status(), 403);
    let (status, code, _) = issue(ask("/south/fhir", None).await).await;
    assert_eq!((status, code.as_str()), (401, "login"));
    assert!(door.records::<InboundMessage>().await.is_empty());

    assert_eq!(ask("/north/hl7", Some("bearer secret")).await.status(), 200);
    assert_eq!(ask("/south/hl7", Some("Bearer other")).await.status(), 200);
    let feeds: Vec<String> = door.records::<InboundMessage>().await.into_iter().map(|(_, record)| record.feed).collect();
    assert!(feeds.len() == 2 && feeds.contains(&"door".to_owned()) && feeds.contains(&"south".to_owned()), "{feeds:?}");

    assert!(http::get(&url(&door, "/north/fhir/metadata")).await.is_ok());
    assert_eq!(http::ask(&url(&door, "/south/fhir/metadata")).await.unwrap().status, 401);
    assert!(refused(&door, "unknown_token").await > 0.0 && refused(&door, "forbidden").await > 0.0);
    let log = door.log();
    assert!(log.contains("a request was refused") && !log.contains("Bearer") && !log.contains(SECRET), "{log}");
    door.close().await;
}

#[tokio::test]
async fn what_is_not_served_is_said_in_the_language_that_was_asked() {
    let Some(door) = started("served").await else { return };
    for path in ["/", "/metrics", "/fhir/Patient/1/2", "/fhir/patient", "/hl7/x"] {
        let (status, code, _) = issue(post(&door, path, FHIR_JSON, "{}").await).await;
        assert_eq!((status, code.as_str()), (404, "not-found"), "{path}");
    }
    let response = http::client().get(url(&door, "/fhir/Patient/1")).send().await.unwrap();
    let (status, code, headers) = issue(response).await;
    assert_eq!((status, code.as_str(), headers["allow"].to_str().unwrap()), (405, "not-supported", "PUT"));
    let response = http::client().get(url(&door, "/hl7")).send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.headers()["allow"].to_str().unwrap()), (405, "POST"));
    for (path, kind) in [("/fhir", "application/fhir+xml"), ("/fhir/Patient", HL7_V2)] {
        let (status, code, _) = issue(post(&door, path, kind, "<x/>").await).await;
        assert_eq!((status, code.as_str()), (415, "not-supported"), "{path} {kind}");
    }
    assert_eq!(post(&door, "/hl7", FHIR_JSON, message("ADT^A01", "X")).await.status(), 415);
    let xml = http::client().get(url(&door, "/fhir/metadata")).header("accept", "application/fhir+xml");
    assert_eq!(issue(xml.send().await.unwrap()).await.0, 406);
    let zipped = http::client().post(url(&door, "/hl7")).header("content-type", HL7_V2).header("content-encoding", "br");
    let response = zipped.body(message("ADT^A01", "X")).send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.headers()["accept-encoding"].to_str().unwrap()), (415, "gzip"));
    assert_eq!(post(&door, "/hl7", HL7_V2, "").await.status(), 400);
    assert_eq!(issue(post(&door, "/fhir", FHIR_JSON, "").await).await.0, 400);
    for reason in ["not_found", "method", "content_type", "not_acceptable", "content_coding", "empty"] {
        assert!(refused(&door, reason).await > 0.0 || reason == "not_found", "{reason} is not counted");
    }
    // What is no HTTP is closed.
    let mut stream = TcpStream::connect(door.mllp).await.unwrap();
    stream.write_all(b"\x0bMSH|^~\\&|EHR|GH\r\x1c\r\r\n\r\n").await.unwrap();
    assert!(!to_the_end(&mut stream).await.contains("200 OK"));
    assert!(door.records::<InboundMessage>().await.is_empty() && door.records::<InboundRejected>().await.is_empty());
    assert_eq!(hl7(&door, "S1").await.status(), 200);
    door.close().await;
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
    let request = http::client().post(url(&door, "/fhir")).header("content-type", FHIR_JSON).header("content-encoding", "gzip");
    assert_eq!(issue(request.timeout(SOON).body(bomb).send().await.unwrap()).await.0, 413);
    assert!(refused(&door, "too_large").await > 2.9);

    // One message of HL7 has the limit of the topics, and its sender an acknowledgement.
    let mut bytes = message("ADT^A01", "L1");
    bytes.extend(b"NTE|1||".iter().copied().chain(std::iter::repeat_n(b'x', 17 * 1024 * 1024)));
    let response = post(&door, "/hl7", HL7_V2, bytes).await;
    assert_eq!(response.status(), 413);
    assert!(response.text().await.unwrap().contains("\rMSA|AR|L1\r"));

    let bytes = message("ADT^A01", "L2");
    let request = http::client().post(url(&door, "/hl7")).header("content-type", HL7_V2).header("content-encoding", "gzip");
    assert_eq!(request.body(gzip(&bytes)).send().await.unwrap().status(), 200);
    assert_eq!(bodies(&door.records().await)["L2"], [bytes]);
    let damaged = http::client().post(url(&door, "/hl7")).header("content-type", HL7_V2).header("content-encoding", "gzip");
    assert_eq!(damaged.body(message("ADT^A01", "L3")).send().await.unwrap().status(), 400);
    assert!(door.metric("waybill_buffered_bytes", "").await < 1.0, "all is given back");
    let peak = peak_memory(&door);
    // 64 MiB of a body, as much again while it grows or is inflated, and the process.
    assert!(peak < 400 << 20, "{} MiB", peak >> 20);
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
    let start = format!("POST /fhir HTTP/1.1\r\nHost: x\r\nContent-Type: {FHIR_JSON}\r\nContent-Length: 1000\r\n\r\n{{");
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
        match http::client().post(url(&door, "/hl7")).header("content-type", HL7_V2).body(message("ADT^A01", "D1")).send().await {
            Ok(response) if response.status() == 200 => Ok(()),
            other => pending(format!("{other:?}")),
        }
    });
    free.await.unwrap();
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
        let head = format!("POST /hl7 HTTP/1.1\r\nHost: x\r\nContent-Type: {HL7_V2}\r\nContent-Length: {length}\r\n\r\n");
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
    assert_eq!(post(&door, "/hl7", HL7_V2, [message("ADT^A01", "B3"), vec![b'x'; 400_000]].concat()).await.status(), 200);
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
    let head = format!("POST /hl7 HTTP/1.1\r\nHost: x\r\nContent-Type: {HL7_V2}\r\nContent-Length: {}\r\n\r\n", bytes.len());
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
