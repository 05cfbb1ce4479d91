//! How `where` and `balance` show the tracker's answers, and how they end. The answers are written down here: what the
//! tracker really says is for the tests of the whole system.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    process::Command,
};

const MESSAGE: &str = "019cb787-9c00-8d86-ae6d-a9fc9fb3f9ab";

/// Serves fixed answers by path, 404 for others, and gives its URL.
fn tracker(answers: &'static [(&'static str, &'static str)]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
            let request = lines.next().unwrap_or_default();
            while lines.next().is_some_and(|line| !line.is_empty()) {}
            let path = request.split(' ').nth(1).unwrap_or_default();
            let found = answers.iter().find(|(known, _)| *known == path);
            let (status, body) = found.map_or(("404 Not Found", "{}"), |(_, body)| ("200 OK", *body));
            let length = body.len();
            write!(
                stream,
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            )
            .unwrap();
        }
    });
    url
}

fn waybillctl(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_waybillctl")).args(arguments).output().unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap(),
    )
}

const REJECTED: &str = r#"{"messageId":"019cb787-9c00-8d86-ae6d-a9fc9fb3f9ab","traceId":"019cb7879c008d86ae6da9fc9fb3f9ab",
    "feed":"lis","messageType":"ORU^R01^ORU_R01","controlId":"LAB-417","state":"EXCEPTION","reasonCode":"LAB-0002",
    "receivedAt":"2026-03-04T08:00:00.412Z","lines":[
    {"eventId":"e1","topic":"lab.result.v1","destination":"ward-ehr","outcome":"CONFIRMED","attempts":2,"at":"2026-03-04T08:00:01.931Z"},
    {"eventId":"e1","topic":"lab.result.v1","destination":"registry","outcome":"REJECTED","attempts":1,"reasonCode":"LAB-0002","at":1772611200600},
    {"eventId":"e1","topic":"lab.result.v1","destination":"his","outcome":"EXPECTED","attempts":0,"deadlineAt":"2026-03-04T08:05:00Z"}]}"#;

#[test]
fn a_waybill_is_found_by_message_id_trace_id_and_control_id() {
    let url = tracker(&[
        ("/api/v1/messages/019cb787-9c00-8d86-ae6d-a9fc9fb3f9ab", REJECTED),
        (
            "/api/v1/messages?control_id=LAB-417",
            r#"{"messages":[{"messageId":"019cb787-9c00-8d86-ae6d-a9fc9fb3f9ab","state":"EXCEPTION"}]}"#,
        ),
        ("/api/v1/messages?control_id=X%26Y", r#"{"messages":[]}"#),
    ]);
    let expected = "\
Message 019cb787-9c00-8d86-ae6d-a9fc9fb3f9ab  EXCEPTION
  reason    LAB-0002 the target refused the content
  feed      lis
  type      ORU^R01^ORU_R01
  control   LAB-417
  received  2026-03-04T08:00:00.412Z
  trace     019cb7879c008d86ae6da9fc9fb3f9ab

  event  topic          destination  outcome    attempts  at                        reason
  e1     lab.result.v1  ward-ehr     confirmed         2  2026-03-04T08:00:01.931Z
  e1     lab.result.v1  registry     rejected          1  2026-03-04T08:00:00.6Z    LAB-0002 the target refused the content
  e1     lab.result.v1  his          expected          0  by 2026-03-04T08:05:00Z
";
    for id in [MESSAGE, "019cb7879c008d86ae6da9fc9fb3f9ab", "LAB-417"] {
        assert_eq!(waybillctl(&["where", id, "--tracker-url", &url]), (Some(4), expected.to_owned()), "{id}");
    }
    let (code, text) = waybillctl(&["where", "X&Y", "--tracker-url", &url]);
    assert_eq!(code, Some(5), "{text}");
    let (code, text) = waybillctl(&["where", MESSAGE, "--json", "--tracker-url", &url]);
    let (shown, said): (serde_json::Value, serde_json::Value) =
        (serde_json::from_str(&text).unwrap(), serde_json::from_str(REJECTED).unwrap());
    assert_eq!((code, shown), (Some(4), said));
}

#[test]
fn the_balance_sheet_is_a_table_and_an_exit_code() {
    let url = tracker(&[(
        "/api/v1/balance",
        r#"{"rows":[{"feed":"lis","topic":"lab.result.v1","destination":"ward-ehr","expected":12,"confirmed":9,"deadLettered":3}],
            "messages":{"total":10,"byState":{"DELIVERED":9,"NO_DESTINATION":1}},"balanced":true}"#,
    )]);
    let expected = "\
feed  topic          destination  expected  confirmed  dead lettered
lis   lab.result.v1  ward-ehr           12          9              3

messages: 9 delivered, 1 no-destination
balanced
";
    assert_eq!(waybillctl(&["balance", "--tracker-url", &url]), (Some(0), expected.to_owned()));
    let url = tracker(&[(
        "/api/v1/balance",
        r#"{"rows":[],"messages":{"total":0,"byState":{}},"balanced":false}"#,
    )]);
    let (code, text) = waybillctl(&["balance", "--tracker-url", &url]);
    assert_eq!(code, Some(1));
    assert!(text.ends_with("NOT BALANCED\n"), "{text}");
    let url = tracker(&[]);
    assert_eq!(waybillctl(&["balance", "--tracker-url", &url]).0, Some(1));
}
