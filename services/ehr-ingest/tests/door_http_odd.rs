//! What HTTP/1.1 allows and nobody expects, and what it forbids: on real sockets.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail by panicking")]

#[path = "support/harness.rs"]
#[expect(dead_code, reason = "MLLP has more of it")]
mod harness;
#[path = "support/web.rs"]
#[expect(dead_code, reason = "the other tests of HTTP have more of it")]
mod web;

use harness::{Door, SOON};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use waybill_contracts::inbound::InboundMessage;
use web::{FHIR_JSON, patient, prepare, started, to_the_end};

/// Sends it all, reads until the other side closes.
async fn tell(door: &Door, request: &str) -> String {
    let mut stream = TcpStream::connect(door.mllp).await.unwrap();
    // The other side may have answered and gone before all is written.
    let _ = stream.write_all(request.as_bytes()).await;
    to_the_end(&mut stream).await
}

fn head(method: &str, path: &str, more: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: {FHIR_JSON}\r\n{more}")
}

fn statuses(answer: &str) -> Vec<&str> {
    answer.split("HTTP/1.").skip(1).filter_map(|answer| answer.get(2..5)).collect()
}

#[tokio::test]
async fn one_request_is_one_message_however_it_is_framed() {
    let Some(door) = started("odd").await else { return };
    let body = patient().to_string();
    let length = body.len();
    let hidden = format!("POST /fhir/Patient HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{body}");
    for (request, expected) in [
        // Two lengths that differ, a length that is none, both framings, chunked that is not last: nothing is taken.
        (
            head(
                "POST",
                "/fhir/Patient",
                &format!("Content-Length: {length}\r\nContent-Length: 3\r\n\r\n{body}"),
            ),
            "400",
        ),
        (head("POST", "/fhir/Patient", &format!("Content-Length: +{length}\r\n\r\n{body}")), "400"),
        (head("POST", "/fhir/Patient", &format!("Content-Length: {length},{length}\r\n\r\n{body}")), "400"),
        (
            head(
                "POST",
                "/fhir/Patient",
                &format!(
                    "Transfer-Encoding: chunked, identity\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n{hidden}"
                ),
            ),
            "400",
        ),
        (
            head(
                "POST",
                "/fhir/Patient",
                &format!("Transfer-Encoding: chunked\r\n\r\n-1\r\n{body}\r\n0\r\n\r\n"),
            ),
            "400",
        ),
        (
            head(
                "POST",
                "/fhir/Patient",
                &format!("Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n{body}XX0\r\n\r\n"),
            ),
            "400",
        ),
        // A header that is folded, has a space before its colon, or is longer than the buffer.
        (head("POST", "/fhir/Patient", &format!("Content-Length : {length}\r\n\r\n{body}")), "400"),
        (
            head(
                "POST",
                "/fhir/Patient",
                &format!("X-Long: {}\r\nContent-Length: {length}\r\n\r\n{body}", "a".repeat(200_000)),
            ),
            "431",
        ),
        (head("POST", &format!("/fhir/{}", "P".repeat(200_000)), "\r\n"), "431"),
        (head("POST", "/fhir/P%61tient", &format!("Content-Length: {length}\r\n\r\n{body}")), "404"),
        (head("POST", "/fhir/../fhir/Patient", &format!("Content-Length: {length}\r\n\r\n{body}")), "404"),
        (head("POST", "//fhir/Patient", &format!("Content-Length: {length}\r\n\r\n{body}")), "404"),
        (head("OPTIONS", "*", "\r\n"), "404"),
        (head("OPTIONS", "/fhir/Patient", "\r\n"), "405"),
        (head("TRACE", "/fhir", "\r\n"), "405"),
        (head("PATCH", "/fhir/Patient/1", "\r\n"), "405"),
        (head("DELETE", "/fhir/Patient/1", "\r\n"), "405"),
        (head("GET", "/fhir/Patient?name=Fenwick", "\r\n"), "405"),
        (head("POST", "/fhir/Patient", "\r\n"), "400"),
    ] {
        let answer = tell(&door, &request).await;
        let line = request.lines().next().unwrap_or_default();
        let shown = format!("{line:.60} {answer:.400}");
        assert_eq!(statuses(&answer).first(), Some(&expected), "{shown}");
        assert_eq!(statuses(&answer).len(), 1, "{shown}");
        assert!(!answer.contains("Fenwick"), "patient data in an answer: {shown}");
    }
    assert_eq!(tell(&door, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await, "", "no HTTP/1.1");
    assert_eq!(door.records::<InboundMessage>().await.len(), 0);

    // Taken: an absolute URI, HTTP/1.0, chunks with extensions and trailers, two requests at once.
    let mut sent = 0;
    let mut named = || {
        sent += 1;
        let mut patient = patient();
        patient["identifier"][0]["value"] = json!(sent.to_string());
        patient.to_string()
    };
    let with_length = |body: &str| format!("Content-Length: {}\r\n\r\n{body}", body.len());
    let body = named();
    let absolute = head("POST", "http://elsewhere/fhir/Patient", &with_length(&body));
    assert_eq!(statuses(&tell(&door, &absolute).await), ["201"]);
    let body = named();
    let old = format!("POST /fhir/Patient HTTP/1.0\r\nContent-Type: {FHIR_JSON}\r\n{}", with_length(&body));
    assert_eq!(statuses(&tell(&door, &old).await), ["201"]);
    let body = named();
    let chunks = format!(
        "Transfer-Encoding: chunked\r\n\r\n{:x};a=b\r\n{body}\r\n0\r\nX-Trailer: 1\r\n\r\n",
        body.len()
    );
    assert_eq!(statuses(&tell(&door, &head("POST", "/fhir/Patient", &chunks)).await), ["201"]);
    let (one, two) = (named(), named());
    let first = head("POST", "/fhir/Patient", &with_length(&one)).replace("Connection: close\r\n", "");
    let both = first + &head("POST", "/fhir/Patient", &with_length(&two));
    assert_eq!(statuses(&tell(&door, &both).await), ["201", "201"]);
    let message = json!({ "resourceType": "Bundle", "type": "message", "entry": [
        { "resource": { "resourceType": "MessageHeader", "eventUri": "urn:e", "source": { "endpoint": "urn:s" } } },
        { "resource": patient() },
    ]});
    let answer =
        tell(&door, &head("POST", "/fhir/$process-message?async=false", &with_length(&message.to_string())))
            .await;
    assert_eq!(statuses(&answer), ["200"], "{answer}");
    assert_eq!(door.records::<InboundMessage>().await.len(), sent + 1);
    let answer = tell(&door, &head("HEAD", "/fhir/metadata", "\r\n")).await;
    assert!(statuses(&answer) == ["200"] && answer.ends_with("\r\n\r\n"), "{answer:.300}");
    assert!(!door.log().contains("Fenwick"), "patient data in the log");
    door.close().await;
}

#[tokio::test]
async fn who_waits_for_100_continue_is_answered_and_nothing_is_taken_for_a_body() {
    let token = format!("tokens = [{{ name = \"a\", sha256 = \"{}\" }}]", "0".repeat(64));
    let Some(door) = prepare("expect", &token).await else { return };
    let door = door.start();
    door.ready().await;
    let request = format!(
        "POST /fhir/Patient HTTP/1.1\r\nHost: x\r\nContent-Type: {FHIR_JSON}\r\nExpect: 100-continue\r\nContent-Length: 60\r\n\r\n"
    );
    let answer = tell(&door, &request).await;
    assert_eq!(statuses(&answer), ["401"], "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    let nowhere = request.replace("/fhir/Patient", "/nowhere");
    assert_eq!(statuses(&tell(&door, &nowhere).await), ["404"]);
    door.close().await;

    let Some(door) = started("continue").await else { return };
    let huge = request.replace("Content-Length: 60", "Content-Length: 999999999999");
    assert_eq!(statuses(&tell(&door, &huge).await), ["413"]);
    let body = patient().to_string();
    let request = request
        .replace("Content-Length: 60", &format!("Connection: close\r\nContent-Length: {}", body.len()));
    let mut stream = TcpStream::connect(door.mllp).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut line = [0; 25];
    tokio::time::timeout(SOON, stream.read_exact(&mut line)).await.expect("no answer").unwrap();
    assert_eq!(&line, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(body.as_bytes()).await.unwrap();
    assert_eq!(statuses(&to_the_end(&mut stream).await), ["201"]);

    // A large body to a wrong path is read to its end: its sender sees the answer, not a reset.
    let mut stream = TcpStream::connect(door.mllp).await.unwrap();
    let head = head("POST", "/nowhere", "Content-Length: 30000000\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    for _ in 0..30 {
        stream.write_all(&vec![b' '; 1_000_000]).await.unwrap();
    }
    assert_eq!(statuses(&to_the_end(&mut stream).await), ["404"]);
    door.close().await;
}
