//! Sender and receiver against each other over real sockets, once for every way a receiver can behave.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use waybill_simulator::generate::{GenerateConfig, Generated, Generator};
use waybill_simulator::receive::{
    Action, Behaviour, Condition, ReceiveConfig, Received, Receiver, ReceiverHandle, Rule,
};
use waybill_simulator::send::{CancellationToken, Fate, Outgoing, SendConfig, SendReport, Sender};
use waybill_simulator::sha256_hex;

async fn receiver(behaviour: Behaviour) -> ReceiverHandle {
    Receiver::start(ReceiveConfig { behaviour, ..ReceiveConfig::default() }).await.unwrap()
}

/// Well-formed messages, each once.
fn messages(count: usize) -> Vec<Generated> {
    let config = GenerateConfig { bad_share: 0.0, repeat_share: 0.0, ..GenerateConfig::new(11, count) };
    Generator::new(config).collect()
}

fn quick(receiver: &ReceiverHandle) -> SendConfig {
    SendConfig {
        ack_timeout: Duration::from_millis(150),
        retry_delay: Duration::from_millis(5),
        retry_delay_max: Duration::from_millis(20),
        give_up_after: Duration::from_secs(20),
        ..SendConfig::to(receiver.addr().to_string())
    }
}

async fn send(config: SendConfig, messages: Vec<Generated>) -> SendReport {
    let messages = messages.into_iter().map(Outgoing::from).collect();
    Sender::new(config).run(messages, CancellationToken::new()).await
}

fn results(report: &SendReport, index: usize) -> Vec<&str> {
    report.records[index].attempts.iter().map(|attempt| attempt.result.as_str()).collect()
}

#[tokio::test]
async fn everything_sent_arrives_byte_for_byte_and_is_acknowledged() {
    let receiver = receiver(Behaviour::accept()).await;
    let sent = messages(200);
    let report = send(SendConfig { connections: 4, ..quick(&receiver) }, sent.clone()).await;
    assert_eq!((report.sent, report.failures, report.resends), (200, 0, 0));
    assert_eq!(report.acked.get("AA"), Some(&200));
    assert!(report.latency.p50 > Duration::ZERO && report.latency.p50 <= report.latency.max);

    let mut arrived: Vec<_> = receiver.taken().into_iter().map(|r| r.bytes.unwrap()).collect();
    let mut expected: Vec<_> = sent.into_iter().map(|m| m.bytes).collect();
    arrived.sort();
    expected.sort();
    assert_eq!(arrived, expected);
    assert_eq!(receiver.stats().connections, 4);
}

#[tokio::test]
async fn one_patients_messages_stay_in_order_on_many_connections() {
    let receiver = receiver(Behaviour::accept().rule(Rule::every(7, Action::CloseAfterRead))).await;
    let sent = messages(300);
    send(SendConfig { connections: 8, ..quick(&receiver) }, sent.clone()).await;
    let arrived: Vec<_> = receiver.taken().into_iter().map(|r| r.control_id).collect();
    let mut patients: Vec<_> = sent.iter().map(|m| &m.mrn).collect();
    patients.sort();
    patients.dedup();
    for patient in patients {
        let ids: Vec<_> = sent.iter().filter(|m| m.mrn == *patient).map(|m| &m.control_id).collect();
        let got: Vec<_> = arrived.iter().filter(|id| ids.contains(id)).collect();
        assert_eq!(got, ids);
    }
}

/// Sends three messages of which the first is answered badly once, and checks that it was sent again, unchanged.
async fn first_answer_is_lost(action: Action, result: &str) -> Vec<Received> {
    let receiver = receiver(Behaviour::accept().rule(Rule::next(1, action))).await;
    let report = send(quick(&receiver), messages(3)).await;
    assert_eq!(results(&report, 0), [result, "AA"]);
    assert_eq!((report.resends, report.failures, report.count(Fate::Accepted)), (1, 0, 3));
    let history = receiver.history();
    assert_eq!(history.len(), 4);
    assert_eq!(history[0].bytes, history[1].bytes);
    assert_eq!(receiver.stats().taken, 3);
    history
}

#[tokio::test]
async fn silence_ends_in_a_timeout_and_the_same_bytes_again() {
    let history = first_answer_is_lost(Action::Silence, "timeout").await;
    assert!(history[1].duplicate && history[1].connection != history[0].connection);
}

#[tokio::test]
async fn an_answer_to_another_message_is_no_answer() {
    first_answer_is_lost(Action::WrongControlId, "wrong-control-id").await;
}

#[tokio::test]
async fn a_connection_closed_after_reading_is_opened_again() {
    first_answer_is_lost(Action::CloseAfterRead, "closed").await;
}

#[tokio::test]
async fn garbage_is_no_answer() {
    first_answer_is_lost(Action::Garbage, "garbage").await;
}

#[tokio::test]
async fn an_answer_slower_than_the_timeout_comes_too_late() {
    first_answer_is_lost(Action::Slow { millis: 2000 }, "timeout").await;
}

#[tokio::test]
async fn a_system_unable_is_asked_again_on_the_same_connection() {
    let history = first_answer_is_lost(Action::Reject { code: 207 }, "AR").await;
    assert!(!history[1].duplicate && history[1].connection == history[0].connection);
}

#[tokio::test]
async fn refusals_are_final() {
    for (action, code) in [(Action::Error { code: 204 }, "AE"), (Action::Reject { code: 203 }, "AR")] {
        let receiver = receiver(Behaviour::always(action)).await;
        let report = send(quick(&receiver), messages(3)).await;
        assert_eq!((report.count(Fate::Refused), report.resends, receiver.stats().taken), (3, 0, 0));
        assert_eq!(report.acked.get(code), Some(&3));
    }
}

#[tokio::test]
async fn one_order_can_be_refused_for_ever_and_the_rest_goes_on() {
    let sent = messages(120);
    let unwanted = sent.iter().find_map(|m| m.filler_order.clone()).unwrap();
    let rule = Rule::new(Condition::field("OBR", 3, unwanted.clone()), Action::Error { code: 204 });
    let receiver = receiver(Behaviour::accept().rule(rule)).await;
    let report = send(quick(&receiver), sent.clone()).await;
    for (message, record) in sent.iter().zip(&report.records) {
        let refused = message.filler_order.as_ref() == Some(&unwanted);
        assert_eq!(record.fate, if refused { Fate::Refused } else { Fate::Accepted });
        assert_eq!(record.sha256, sha256_hex(&message.bytes));
    }
}

#[tokio::test]
async fn every_fiftieth_answer_may_be_lost_without_losing_a_message() {
    let receiver = receiver(Behaviour::accept().rule(Rule::every(50, Action::CloseAfterRead))).await;
    let report = send(SendConfig { connections: 2, ..quick(&receiver) }, messages(200)).await;
    let stats = receiver.stats();
    assert_eq!((report.failures, stats.taken, stats.duplicates), (0, 200, report.resends as u64));
    assert_eq!(stats.conflicting, 0);
    assert!(report.resends >= 4);
}

#[tokio::test]
async fn a_system_that_was_down_gets_everything_when_it_is_back() {
    let receiver = receiver(Behaviour::accept()).await;
    let sender = Sender::new(quick(&receiver));
    let progress = sender.progress();
    let outgoing = messages(200).into_iter().map(Outgoing::from).collect();
    let run = tokio::spawn(async move { sender.run(outgoing, CancellationToken::new()).await });
    receiver.wait_until(|stats| stats.taken >= 20).await;
    receiver.down().await;
    assert!(receiver.stats().down);
    while progress.snapshot().connect_failures == 0 {
        tokio::task::yield_now().await;
    }
    receiver.up().await.unwrap();
    let report = run.await.unwrap();
    assert_eq!((report.failures, receiver.stats().taken), (0, 200));
    assert!(report.records.iter().any(|record| record.connect_failures > 0));
}

#[tokio::test]
async fn a_message_is_given_up_after_its_time() {
    let receiver = receiver(Behaviour::always(Action::Garbage)).await;
    let config = SendConfig { give_up_after: Duration::from_millis(60), ..quick(&receiver) };
    let report = send(config, messages(1)).await;
    assert_eq!((report.count(Fate::GivenUp), report.failures), (1, 1));
    assert!(report.resends > 0 && report.acked.is_empty());
}

#[tokio::test]
async fn a_cancelled_run_says_so_of_every_message_left() {
    let receiver = receiver(Behaviour::accept().rule(Rule::new(Condition::any(), Action::Silence))).await;
    let sender = Sender::new(SendConfig { ack_timeout: Duration::from_mins(10), ..quick(&receiver) });
    let cancel = CancellationToken::new();
    let (outgoing, token) = (messages(5).into_iter().map(Outgoing::from).collect(), cancel.clone());
    let run = tokio::spawn(async move { sender.run(outgoing, token).await });
    receiver.wait_until(|stats| stats.received == 1).await;
    cancel.cancel();
    let report = run.await.unwrap();
    assert_eq!((report.sent, report.count(Fate::Cancelled)), (1, 5));
}

#[tokio::test]
async fn the_rate_is_kept() {
    let receiver = receiver(Behaviour::accept()).await;
    let report =
        send(SendConfig { connections: 2, rate: Some(200.0), ..quick(&receiver) }, messages(41)).await;
    assert!(report.took >= Duration::from_millis(195), "{:?}", report.took);
}

#[tokio::test]
async fn bad_messages_are_sent_like_any_other() {
    let receiver = receiver(Behaviour::accept()).await;
    let config = GenerateConfig { bad_share: 1.0, ..GenerateConfig::new(11, 30) };
    let report = send(quick(&receiver), Generator::new(config).collect()).await;
    assert_eq!((report.failures, receiver.stats().received), (0, 30));
}

#[tokio::test]
async fn the_control_interface_steers_a_running_receiver() {
    let control = Some(([127, 0, 0, 1], 0).into());
    let receiver = Receiver::start(ReceiveConfig { control, ..ReceiveConfig::default() }).await.unwrap();
    let http = receiver.control_addr().unwrap();
    let body = r#"{"rules":[{"action":{"kind":"error"},"times":1}]}"#;
    assert!(request(http, "PUT", "/behaviour", body).await.starts_with("HTTP/1.1 204"));
    assert!(request(http, "PUT", "/behaviour", r#"{"rule":[]}"#).await.starts_with("HTTP/1.1 422"));
    let report = send(quick(&receiver), messages(2)).await;
    assert_eq!((report.count(Fate::Refused), report.count(Fate::Accepted)), (1, 1));

    let history = request(http, "GET", "/history", "").await;
    assert!(history.contains(&format!("\"control_id\":\"{}\"", report.records[0].control_id)));
    assert!(!history.contains("PID"));
    assert!(!request(http, "GET", "/history?after=1", "").await.contains(&report.records[0].control_id));
    assert!(request(http, "GET", "/stats", "").await.contains("\"taken\":1"));

    assert!(request(http, "POST", "/down", "").await.starts_with("HTTP/1.1 204"));
    assert!(tokio::net::TcpStream::connect(receiver.addr()).await.is_err());
    assert!(request(http, "POST", "/up", "").await.starts_with("HTTP/1.1 204"));
    assert!(tokio::net::TcpStream::connect(receiver.addr()).await.is_ok());
}

async fn request(to: std::net::SocketAddr, method: &str, path: &str, body: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(to).await.unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: simulator\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}
