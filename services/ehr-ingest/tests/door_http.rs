//! HL7 v2 and FHIR over HTTP on real sockets and a real Kafka: what is answered, what is stored, and who is kept out.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail by panicking")]

#[path = "support/harness.rs"]
#[expect(dead_code, reason = "MLLP has more of it")]
mod harness;
#[path = "support/web.rs"]
mod web;

use harness::{Door, message};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, net::TcpStream};
use toml::Table;
use waybill_contracts::{
    body::HL7_V2,
    inbound::{InboundMessage, InboundRejected, Protocol},
};
use waybill_testkit::http;
use web::{FHIR_JSON, hl7, issue, patient, post, prepare, refused, started, to_the_end, url};

/// SHA-256 of `secret`.
const SECRET: &str = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
/// SHA-256 of `other`.
const OTHER: &str = "d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa";

/// A feed more at the same address.
fn with_feed(mut door: Door, settings: &str) -> Door {
    let mut feed: Table = settings.parse().unwrap();
    feed.insert("listen".to_owned(), door.mllp.to_string().into());
    door.settings["feed"].as_array_mut().unwrap().push(feed.into());
    door
}

#[tokio::test]
async fn hl7_is_stored_before_it_is_answered_and_a_repeat_is_recognised() {
    let Some(door) = started("hoh").await else { return };
    let bytes = message("ADT^A01", "H1");
    let request =
        http::client().post(url(&door, "/hl7")).header("content-type", "application/hl7-v2; charset=utf-8");
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
    let response =
        post(&door, "/hl7", "text/plain", "MSH|^~\\&|EHR|GH|||20260304||ADT^A01|H2|P|2.5.1\r").await;
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
    let batch = format!(
        "FHS|^~\\&|E|F\rBHS|^~\\&|E|F|||||||B7\r{good}MSH|^~\\&|E|F|||20260304||ADT^A01|P2|P|2.5.1\rBTS|2\rFTS|1\r"
    );
    let response = post(&door, "/hl7", HL7_V2, batch).await;
    assert_eq!(response.status(), 200);
    let answer = response.text().await.unwrap();
    assert!(
        answer.starts_with("FHS|") && answer.contains("\rMSA|AA|P1\r") && answer.contains("\rMSA|AE|P2\r"),
        "{answer}"
    );
    let stored = door.records::<InboundMessage>().await;
    assert_eq!(
        (stored.len(), stored[0].1.batch_index, stored[0].1.batch_control_id.as_deref()),
        (1, Some(0), Some("B7"))
    );
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
    let quiet =
        quiet.header("prefer", "respond-async, return=minimal").body(known.to_string()).send().await.unwrap();
    assert!(quiet.status().is_success(), "{}", quiet.status());
    assert_eq!(quiet.bytes().await.unwrap().len(), 0);

    let (status, code, _) =
        issue(post(&door, "/fhir/Patient", "application/json", "{\"a\": Fenwick").await).await;
    assert_eq!((status, code.as_str()), (400, "structure"));
    let kept = door.at_least::<InboundRejected>(1).await;
    assert_eq!(kept[0].1.body.bytes().unwrap().as_ref(), b"{\"a\": Fenwick");

    let response = http::client().get(url(&door, "/fhir/metadata")).send().await.unwrap();
    let statement: Value = response.json().await.unwrap();
    assert_eq!(
        (&statement["resourceType"], &statement["fhirVersion"]),
        (&json!("CapabilityStatement"), &json!("4.0.1"))
    );
    assert!(!door.log().contains("Fenwick"), "patient data in the log");
    door.close().await;
}

#[tokio::test]
async fn tokens_open_their_own_feed_only() {
    let tokens = format!(
        "tokens = [{{ name = 'ehr', sha256 = '{SECRET}' }}]\npath = '/north'\npublic_metadata = true"
    );
    let Some(door) = prepare("tokens", &tokens).await else { return };
    let south = format!(
        "protocol = 'http'\nname = 'south'\nhttp = {{ path = '/south', tokens = [{{ name = 'lis', sha256 = '{OTHER}' }}] }}"
    );
    let door = with_feed(door, &south).start();
    door.ready().await;
    let ask = async |path: &str, token: Option<&str>| {
        let request = http::client().post(url(&door, path)).header("content-type", HL7_V2);
        let request =
            token.into_iter().fold(request, |request, token| request.header("authorization", token));
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
    // Whoever is refused gets to read it, however much there is to send.
    let request = http::client().post(url(&door, "/north/fhir")).header("content-type", FHIR_JSON);
    let (status, ..) = issue(request.body(vec![b' '; 20_000_000]).send().await.unwrap()).await;
    assert_eq!(status, 401);
    let (status, code, _) = issue(ask("/south/fhir", None).await).await;
    assert_eq!((status, code.as_str()), (401, "login"));
    assert!(door.records::<InboundMessage>().await.is_empty());

    assert_eq!(ask("/north/hl7", Some("bearer secret")).await.status(), 200);
    assert_eq!(ask("/south/hl7", Some("Bearer other")).await.status(), 200);
    let feeds: Vec<String> =
        door.records::<InboundMessage>().await.into_iter().map(|(_, record)| record.feed.into()).collect();
    assert!(
        feeds.len() == 2 && feeds.contains(&"door".to_owned()) && feeds.contains(&"south".to_owned()),
        "{feeds:?}"
    );

    assert!(http::get(&url(&door, "/north/fhir/metadata")).await.is_ok());
    assert_eq!(http::ask(&url(&door, "/south/fhir/metadata")).await.unwrap().status, 401);
    assert!(refused(&door, "unknown_token").await > 0.0 && refused(&door, "forbidden").await > 0.0);
    let log = door.log();
    assert!(
        log.contains("a request was refused") && !log.contains("Bearer") && !log.contains(SECRET),
        "{log}"
    );
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
    let zipped = http::client()
        .post(url(&door, "/hl7"))
        .header("content-type", HL7_V2)
        .header("content-encoding", "br");
    let response = zipped.body(message("ADT^A01", "X")).send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), response.headers()["accept-encoding"].to_str().unwrap()),
        (415, "gzip")
    );
    assert_eq!(post(&door, "/hl7", HL7_V2, "").await.status(), 400);
    assert_eq!(issue(post(&door, "/fhir", FHIR_JSON, "").await).await.0, 400);
    for reason in ["not_found", "method", "content_type", "not_acceptable", "content_coding", "empty"] {
        assert!(refused(&door, reason).await > 0.0 || reason == "not_found", "{reason} is not counted");
    }
    // What is no HTTP is closed.
    let mut stream = TcpStream::connect(door.mllp).await.unwrap();
    stream.write_all(b"\x0bMSH|^~\\&|EHR|GH\r\x1c\r\r\n\r\n").await.unwrap();
    assert!(!to_the_end(&mut stream).await.contains("200 OK"));
    assert!(
        door.records::<InboundMessage>().await.is_empty()
            && door.records::<InboundRejected>().await.is_empty()
    );
    assert_eq!(hl7(&door, "S1").await.status(), 200);
    door.close().await;
}
