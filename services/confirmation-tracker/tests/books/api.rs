//! The API over a real socket, held to its description.

use std::collections::BTreeSet;

use confirmation_tracker::api::{Books, router};
use reqwest::{Client, StatusCode};
use serde_json::Value;
use tokio::sync::watch;
use waybill_contracts::delivery::Outcome;
use waybill_store::{PostgresConfig, Store};

use crate::{
    books,
    facts::{self, Owner, TestBooks, at, message, normalized, partition, receipt, received, routed},
    openapi::{assert_matches, document},
};

struct Api {
    base: String,
    client: Client,
    // Keeps the channel open.
    _partitions: watch::Sender<Vec<waybill_store::Partition>>,
}

impl Api {
    async fn over(ledger: confirmation_tracker::ledger::Ledger) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (sender, partitions) = watch::channel(vec![partition(0)]);
        let router = router(Books { ledger, partitions });
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { base, client: Client::new(), _partitions: sender }
    }

    async fn get(&self, path: &str) -> (StatusCode, String, Value) {
        let answer = self.client.get(format!("{}{path}", self.base)).send().await.unwrap();
        let status = answer.status();
        let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
        (status, kind, answer.json().await.unwrap())
    }

    /// Asks, and holds the answer to the description of `route`.
    async fn documented(&self, route: &str, path: &str) -> (StatusCode, Value) {
        let (status, kind, body) = self.get(path).await;
        let document = document();
        let answer = &document["paths"][route]["get"]["responses"][status.as_str()];
        assert!(answer.is_object(), "{path}: status {status} is not documented");
        let schema = &answer["content"][&kind]["schema"];
        assert!(schema.is_object(), "{path}: {kind} is not documented");
        assert_matches(&document, schema, &body, path);
        (status, body)
    }
}

async fn filled() -> Option<(TestBooks, Api)> {
    let books = TestBooks::create().await?.with_subscription().await;
    let mut owner = Owner::of(books.replica(), partition(0)).await;
    let (delivered, rejected, unmapped, orphan) = (message(1), message(2), message(3), message(4));
    let mut records = vec![(unmapped, received(0)), (unmapped, normalized(unmapped, 1, &[]))];
    for (id, outcome) in [(delivered, Outcome::Confirmed), (rejected, Outcome::Rejected)] {
        records.extend([
            (id, received(0)),
            (id, normalized(id, 1, &[facts::LAB, "clinical.patient.v1"])),
            (id, routed(id, 2, &["ward-ehr"])),
            (id, receipt(id, "ward-ehr", outcome, 1, 3)),
        ]);
    }
    records.push((orphan, receipt(orphan, "ward-ehr", Outcome::Unknown, 1, 3)));
    owner.apply(records).await.unwrap();
    books.ledger.read_up_to(&[(partition(0), owner.stands)], at(10)).await.unwrap();
    let api = Api::over(books.replica()).await;
    Some((books, api))
}

#[tokio::test]
async fn every_route_answers_as_it_is_described() {
    let Some((books, api)) = filled().await else { return };
    let mut answered = BTreeSet::new();
    for (route, path, status) in [
        ("/api/openapi.json", "/api/openapi.json".to_owned(), 200),
        ("/api/v1/messages", "/api/v1/messages".to_owned(), 200),
        ("/api/v1/messages", "/api/v1/messages?state=exception&feed=lis&limit=10".to_owned(), 200),
        ("/api/v1/messages", "/api/v1/messages?state=lost".to_owned(), 400),
        ("/api/v1/messages", "/api/v1/messages?limit=0".to_owned(), 400),
        ("/api/v1/messages", "/api/v1/messages?limit=many".to_owned(), 400),
        ("/api/v1/messages", "/api/v1/messages?after=yesterday".to_owned(), 400),
        ("/api/v1/messages", "/api/v1/messages?patient=1".to_owned(), 400),
        ("/api/v1/messages/{id}", format!("/api/v1/messages/{}", message(1)), 200),
        ("/api/v1/messages/{id}", format!("/api/v1/messages/{}", message(2).trace_id()), 200),
        ("/api/v1/messages/{id}", format!("/api/v1/messages/{}", message(4)), 200),
        ("/api/v1/messages/{id}", format!("/api/v1/messages/{}", message(9)), 404),
        ("/api/v1/messages/{id}", "/api/v1/messages/LAB20260304".to_owned(), 400),
        ("/api/v1/balance", "/api/v1/balance?verify=true".to_owned(), 200),
        (
            "/api/v1/balance",
            "/api/v1/balance?from=2026-03-04T08:00:00Z&to=2026-03-04T09:00:00Z&feed=lis".to_owned(),
            200,
        ),
        ("/api/v1/balance", "/api/v1/balance?from=monday".to_owned(), 400),
    ] {
        let (found, _) = api.documented(route, &path).await;
        assert_eq!(found.as_u16(), status, "{path}");
        answered.insert(route);
    }
    let document = document();
    let described: BTreeSet<&str> =
        document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(answered, described);
    books.drop().await;
}

/// Neither may stop the books: PostgreSQL takes no NUL, and no index entry of that size.
#[tokio::test]
async fn control_ids_that_no_database_takes_are_kept_as_far_as_they_can_be_and_found() {
    let Some((books, api)) = filled().await else { return };
    let mut owner = Owner::of(books.replica(), partition(0)).await;
    // Nothing that compresses: an index entry may be large before compression.
    let huge: String = (0..20_000_u32)
        .map(|n| char::from(b'!' + (n.wrapping_mul(2_654_435_761) >> 17) as u8 % 90))
        .collect();
    for (number, control_id) in [(7, "a\0b".to_owned()), (8, huge.replace(['%', '&', '#', '+'], "x"))] {
        let mut waybill = normalized(message(number), 1, &[]);
        waybill.control_id = Some(control_id.clone());
        waybill.message_type = Some(control_id.clone());
        owner.apply(vec![(message(number), received(0)), (message(number), waybill)]).await.unwrap();
        let asked = format!("/api/v1/messages?control_id={}", control_id.replace('\0', "%00"));
        let (status, _, list) = api.get(&asked).await;
        assert_eq!(
            (status.as_u16(), &list["messages"][0]["messageId"]),
            (200, &message(number).to_string().into())
        );
    }
    let (status, _, list) = api.get("/api/v1/messages?feed=%00").await;
    assert_eq!((status.as_u16(), list["messages"].as_array().map(Vec::len)), (200, Some(0)));
    books.drop().await;
}

#[tokio::test]
async fn a_waybill_shows_its_lines_and_the_balance_adds_up() {
    let Some((books, api)) = filled().await else { return };
    let (_, _, waybill) = api.get(&format!("/api/v1/messages/{}", message(1))).await;
    assert_eq!(waybill["state"], "DELIVERED");
    assert_eq!(waybill["traceId"], message(1).trace_id());
    assert_eq!(waybill["receivedAt"], "2026-03-04T08:00:00Z");
    let lines = waybill["lines"].as_array().unwrap();
    let told: Vec<_> = lines
        .iter()
        .map(|line| (line["destination"].as_str().unwrap(), line["outcome"].as_str().unwrap()))
        .collect();
    assert_eq!(told, [("lab-distributor", "CONFIRMED"), ("ward-ehr", "CONFIRMED")]);
    assert_eq!(lines[1]["deadline"], "2026-03-04T08:05:02Z");
    assert_eq!(lines[1]["acknowledgement"], "AA");
    let (_, _, balance) = api.get("/api/v1/balance?verify=true").await;
    assert_eq!(balance["balanced"], true);
    assert_eq!(balance["verified"], true);
    assert_eq!(balance["watermark"], "2026-03-04T08:00:10Z");
    assert_eq!(balance["messages"]["total"], 4);
    assert_eq!(
        balance["messages"]["byState"],
        serde_json::json!({"OPEN": 1, "DELIVERED": 1, "NO_DESTINATION": 1, "EXCEPTION": 1})
    );
    assert_eq!(balance["total"]["expected"], 5);
    assert_eq!(balance["total"]["confirmed"], 3);
    assert_eq!(balance["total"]["exceptions"], 1);
    assert_eq!(balance["total"]["open"], 1);
    let (_, _, elsewhere) = api.get("/api/v1/balance?from=2026-03-04T09:00:00Z").await;
    assert_eq!(elsewhere["messages"]["total"], 0);
    books.drop().await;
}

#[tokio::test]
async fn pages_follow_one_another() {
    let Some((books, api)) = filled().await else { return };
    let mut path = "/api/v1/messages?limit=3".to_owned();
    let mut seen = BTreeSet::new();
    for expected in [3, 1] {
        let (_, _, page) = api.get(&path).await;
        let messages = page["messages"].as_array().unwrap();
        assert_eq!(messages.len(), expected);
        seen.extend(messages.iter().map(|message| message["messageId"].to_string()));
        path = format!("/api/v1/messages?limit=3&after={}", page["next"].as_str().unwrap_or_default());
    }
    assert_eq!(seen.len(), 4);
    books.drop().await;
}

#[tokio::test]
async fn what_is_not_there_is_said_in_the_same_form() {
    let books = books!();
    let api = Api::over(books.replica()).await;
    let (status, kind, body) = api.get("/api/v2/messages").await;
    assert_eq!((status, kind.as_str()), (StatusCode::NOT_FOUND, "application/problem+json"));
    assert_eq!(body["status"], 404);
    let answer = api.client.post(format!("{}/api/v1/messages", api.base)).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    books.drop().await;
}

#[tokio::test]
async fn without_a_database_the_answer_is_503_and_comes_back() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let config = PostgresConfig {
        url: format!("postgresql://waybill@{address}/waybill"),
        ..PostgresConfig::default()
    };
    let api = Api::over(confirmation_tracker::ledger::Ledger::new(Store::new(&config).unwrap(), "g")).await;
    for (route, path) in [
        ("/api/v1/messages", "/api/v1/messages".to_owned()),
        ("/api/v1/messages/{id}", format!("/api/v1/messages/{}", message(1))),
        ("/api/v1/balance", "/api/v1/balance".to_owned()),
    ] {
        let (status, body) = api.documented(route, &path).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(body["code"], "STO-0001");
    }
}
