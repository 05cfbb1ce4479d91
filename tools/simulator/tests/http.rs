//! The sender over HTTP, against a receiver that is made for the test: what is posted, and what it makes of answers.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use waybill_simulator::generate::{GenerateConfig, Generated, Generator, Kind};
use waybill_simulator::send::{CancellationToken, Fate, Outgoing, SendConfig, SendReport, Sender};

/// Bundles, broken ones among them.
fn bundles() -> Vec<Generated> {
    let config =
        GenerateConfig { fhir_share: 1.0, bad_share: 0.2, unrouted_share: 0.0, ..GenerateConfig::new(3, 40) };
    Generator::new(config).collect()
}

async fn serve(app: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

async fn send(config: SendConfig, messages: Vec<Outgoing>) -> SendReport {
    Sender::new(config).run(messages, CancellationToken::new()).await
}

#[tokio::test]
async fn bundles_are_posted_with_the_token_until_they_are_taken() {
    let posts = Arc::new(AtomicUsize::new(0));
    let count = posts.clone();
    let take = move |headers: HeaderMap, body: Bytes| {
        let number = count.fetch_add(1, Relaxed);
        async move {
            if headers["authorization"] != "Bearer secret"
                || headers["content-type"] != "application/fhir+json"
            {
                return StatusCode::UNAUTHORIZED;
            }
            if serde_json::from_slice::<serde_json::Value>(&body).is_err() {
                return StatusCode::BAD_REQUEST;
            }
            if number == 5 { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }
        }
    };
    let address = serve(Router::new().route("/fhir", post(take))).await;
    let messages = bundles();
    let broken = messages.iter().filter(|message| message.expect.kind == Kind::BrokenBundle).count();
    let outgoing: Vec<_> = messages.into_iter().map(Outgoing::from).collect();
    let different = outgoing.len();

    let report = send(SendConfig::fhir(&address, Some("secret")), outgoing.clone()).await;
    assert!(broken > 2, "{broken} broken");
    assert_eq!((report.count(Fate::Accepted), report.count(Fate::Refused)), (different - broken, broken));
    assert!(report.resends <= 1 && report.failures == 0, "{report:?}");

    let report = send(SendConfig::fhir(&address, Some("wrong")), outgoing[..3].to_vec()).await;
    assert_eq!((report.count(Fate::Refused), report.acked["401"]), (3, 3));
}

#[tokio::test]
async fn over_http_the_acknowledgement_in_the_body_answers() {
    let take = |body: Bytes| async move {
        let text = String::from_utf8_lossy(&body).into_owned();
        let id = text.split('|').nth(9).unwrap_or_default().to_owned();
        let code = if text.contains("\rPID|") { "AA" } else { "AE" };
        (StatusCode::OK, format!("MSH|^~\\&|HUB|W|A|B|1||ACK|1|P|2.5\rMSA|{code}|{id}\r"))
    };
    let address = serve(Router::new().route("/hl7", post(take))).await;
    let messages: Vec<_> = Generator::new(GenerateConfig { bad_share: 0.1, ..GenerateConfig::new(3, 60) })
        .filter(|message| !message.control_id.is_empty())
        .collect();
    let refused = messages.iter().filter(|message| message.expect.kind == Kind::MissingPatient).count();
    let total = messages.len();
    let outgoing = messages.into_iter().map(Outgoing::from).collect();
    let report = send(SendConfig::hl7_over_http(&address, None), outgoing).await;
    assert!(refused > 0);
    assert_eq!((report.acked["AA"], report.acked["AE"]), (total - refused, refused));
}
