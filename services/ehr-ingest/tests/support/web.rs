//! Requests to an HTTP feed.

use reqwest::{Response, header::HeaderMap};
use serde_json::{Value, json};
use tokio::{io::AsyncReadExt, net::TcpStream};
use toml::Table;
use waybill_contracts::body::HL7_V2;
use waybill_testkit::http;

use super::harness::{Door, SOON, message};

pub(crate) const FHIR_JSON: &str = "application/fhir+json";
const REFUSED: &str = "waybill_requests_refused_total";

/// An HTTP feed with these lines in `[feed.http]`; not started yet.
pub(crate) async fn prepare(name: &str, settings: &str) -> Option<Door> {
    let settings: Table = settings.parse().unwrap();
    Some(Door::prepare(name).await?.set("feed.protocol", "http").set("feed.http", settings))
}

pub(crate) async fn started(name: &str) -> Option<Door> {
    let door = prepare(name, "anonymous = true").await?.start();
    door.ready().await;
    Some(door)
}

pub(crate) fn url(door: &Door, path: &str) -> String {
    format!("http://{}{path}", door.mllp)
}

pub(crate) async fn post(door: &Door, path: &str, kind: &str, body: impl Into<reqwest::Body>) -> Response {
    let request = http::client().post(url(door, path)).header("content-type", kind);
    request.timeout(SOON).body(body).send().await.unwrap()
}

pub(crate) async fn hl7(door: &Door, id: &str) -> Response {
    post(door, "/hl7", HL7_V2, message("ADT^A01", id)).await
}

pub(crate) fn patient() -> Value {
    json!({
        "resourceType": "Patient",
        "identifier": [{"system": "urn:oid:1.2.3", "value": "42"}],
        "name": [{"family": "Fenwick", "given": ["Isolde"]}],
        "birthDate": "1964-02-29",
    })
}

/// Status, and the code of the first issue of an OperationOutcome.
pub(crate) async fn issue(response: Response) -> (u16, String, HeaderMap) {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let kind = headers["content-type"].to_str().unwrap().to_owned();
    assert!(kind.starts_with(FHIR_JSON), "{status} {kind}");
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["resourceType"], "OperationOutcome", "{body}");
    assert!(!body.to_string().contains("Fenwick"), "patient data in an answer: {body}");
    (status, body["issue"][0]["code"].as_str().unwrap().to_owned(), headers)
}

pub(crate) async fn refused(door: &Door, reason: &str) -> f64 {
    door.metric(REFUSED, &format!("reason=\"{reason}\"")).await
}

/// All that comes until the other side closes.
pub(crate) async fn to_the_end(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(SOON, stream.read_to_end(&mut bytes)).await;
    let _ = read.expect("the connection stays open");
    String::from_utf8_lossy(&bytes).into_owned()
}
