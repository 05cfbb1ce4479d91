//! The whole way of a result on the real stack: in over MLLP, routed, delivered, answered in every way there is.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]

#[path = "support/site.rs"]
mod site;

use std::time::Duration;

use site::{ALPHA, BETA, Site, result};
use waybill_contracts::{
    delivery::{Outcome, Receipt},
    lab::LabDelivery,
};
use waybill_kafka::dead_letter::DeadLetterHeaders;
use waybill_simulator::receive::{Action, Behaviour, Condition, Rule};
use waybill_testkit::tracker::{Line, Waybill};

/// What the target does with a result, the receipts that it leads to, and how the line ends.
struct Case {
    name: &'static str,
    actions: &'static [Action],
    /// Outcome, reason, and MSA-1 of each attempt before the last.
    before: &'static [(Outcome, &'static str, Option<&'static str>)],
    end: (Outcome, Option<&'static str>, Option<&'static str>),
}

const CONFIRMED: (Outcome, Option<&str>, Option<&str>) = (Outcome::Confirmed, None, Some("AA"));
const REFUSED: Outcome = Outcome::Rejected;

#[rustfmt::skip]
const CASES: [Case; 11] = [
    Case { name: "PLAIN", actions: &[], before: &[], end: CONFIRMED },
    Case { name: "SLOW", actions: &[Action::Slow { millis: 300 }], before: &[], end: CONFIRMED },
    Case { name: "CONTENT", actions: &[Action::Error { code: 101 }], before: &[], end: (REFUSED, Some("LAB-0002"), Some("AE")) },
    Case { name: "DUPLICATE", actions: &[Action::Error { code: 205 }], before: &[], end: (REFUSED, Some("LAB-0002"), Some("AE")) },
    Case {
        name: "BUSY", actions: &[Action::Reject { code: 207 }, Action::Reject { code: 206 }],
        before: &[(Outcome::Attempted, "LAB-0007", Some("AR")), (Outcome::Attempted, "LAB-0007", Some("AR"))], end: CONFIRMED,
    },
    Case { name: "LOCKED", actions: &[Action::Error { code: 207 }], before: &[(Outcome::Attempted, "LAB-0007", Some("AE"))], end: CONFIRMED },
    Case { name: "SILENT", actions: &[Action::Silence], before: &[(Outcome::Unknown, "LAB-0004", None)], end: CONFIRMED },
    Case { name: "CLOSED", actions: &[Action::CloseAfterRead], before: &[(Outcome::Unknown, "LAB-0004", None)], end: CONFIRMED },
    Case { name: "MISTAKEN", actions: &[Action::WrongControlId], before: &[(Outcome::Unknown, "LAB-0008", None)], end: CONFIRMED },
    Case { name: "GARBAGE", actions: &[Action::Garbage], before: &[(Outcome::Unknown, "LAB-0008", None)], end: CONFIRMED },
    // Whoever refuses as known what was never answered has it.
    Case {
        name: "KNOWN", actions: &[Action::Silence, Action::Error { code: 205 }],
        before: &[(Outcome::Unknown, "LAB-0004", None)], end: (Outcome::Confirmed, None, Some("AE")),
    },
];

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_ends_the_line_as_the_table_says() {
    let mut behaviour = Behaviour::accept();
    for case in &CASES {
        for action in case.actions {
            behaviour = behaviour.rule(Rule::new(Condition::contains(case.name), *action).times(1));
        }
    }
    // It answers each message by its script alone, also one that it has seen.
    let Some(site) = Site::started(behaviour, false).await else { return };
    // Every case is a patient of its own, and followed by another result of the same patient.
    for (number, case) in CASES.iter().enumerate() {
        for id in [case.name.to_owned(), format!("NEXT{number}")] {
            site.send(&result(&id, number)).await;
        }
    }
    for (number, case) in CASES.iter().enumerate() {
        let (outcome, reason, acknowledgement) = case.end;
        let waybill = site.settled(case.name).await;
        let rejected = outcome == Outcome::Rejected;
        assert_eq!(waybill.state(), if rejected { "exception" } else { "delivered" }, "{}", case.name);
        let line = waybill.line(ALPHA).unwrap();
        assert_eq!(line.outcome(), if rejected { "rejected" } else { "confirmed" }, "{}", case.name);
        assert_eq!(line.reason_code.as_deref(), reason, "{}", case.name);
        let attempts = case.before.len() + 1;
        assert_eq!(line.attempts, i64::try_from(attempts).unwrap(), "{}", case.name);
        assert_eq!(waybill.line(BETA).unwrap().outcome(), "confirmed", "{}: the other target", case.name);
        let next = site.settled(&format!("NEXT{number}")).await;
        assert_eq!(next.state(), "delivered", "what comes after {}", case.name);

        // The same bytes at every attempt, and what went out is what came in but for MSH-10.
        let arrived = site.arrived(case.name);
        assert_eq!(arrived.len(), attempts, "{}", case.name);
        let event = line.event_id.as_deref().unwrap().parse::<waybill_contracts::EventId>().unwrap();
        let outbound = event.outbound_control_id(ALPHA);
        let sent = String::from_utf8(result(case.name, number)).unwrap();
        let expected = sent.replacen(&format!("|{}|P|", case.name), &format!("|{outbound}|P|"), 1);
        assert!(arrived.iter().all(|bytes| bytes == expected.as_bytes()), "{}: other bytes", case.name);

        let mut receipts = site.receipts(&waybill, ALPHA).await;
        let last = receipts.pop().unwrap();
        let said = (last.outcome, last.reason_code.as_deref(), last.acknowledgement.as_deref());
        assert_eq!(said, (outcome, reason, acknowledgement), "{}", case.name);
        assert_eq!(usize::try_from(last.attempt).unwrap(), attempts, "{}", case.name);
        assert!(last.evidence_sha256.is_some(), "{}: the answer is in evidence", case.name);
        assert_eq!(last.outbound_control_id.as_deref(), Some(outbound.as_str()));
        let before: Vec<_> = receipts.iter().map(said_before).collect();
        assert_eq!(before, case.before, "{}", case.name);
    }
    let rejected = CASES.iter().filter(|case| case.end.0 == Outcome::Rejected).count();
    dead_letters_are_identical(&site, rejected).await;
    let log = site.log();
    for private in ["Fenwick", "GH00", "19640229"] {
        assert!(!log.contains(private), "patient data in the log");
    }
    site.stop().await;
}

fn said_before(receipt: &Receipt) -> (Outcome, &str, Option<&str>) {
    (receipt.outcome, receipt.reason_code.as_deref().unwrap_or_default(), receipt.acknowledgement.as_deref())
}

async fn dead_letters_are_identical(site: &Site, count: usize) {
    let topics = site.topics();
    let deliveries = topics.records("lab.delivery.alpha.v1").await.unwrap();
    let letters = topics.records("lab.delivery.alpha.v1.dlq.lab-distributor.alpha").await.unwrap();
    assert_eq!(letters.len(), count);
    for letter in &letters {
        let failure = DeadLetterHeaders::read(letter).unwrap();
        assert_eq!((failure.code.as_str(), failure.attempts), ("LAB-0002", 1));
        let at = |(partition, offset)| partition == failure.partition && offset == failure.offset;
        let origin = deliveries.iter().find(|record| at((record.partition, record.offset))).unwrap();
        assert!(letter.value() == origin.value() && letter.key() == origin.key(), "not the same bytes");
        let kept: Vec<_> = letter.headers().take(origin.headers().count()).collect();
        assert_eq!(kept, origin.headers().collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_was_down_gets_everything_in_order_and_holds_back_nobody() {
    let Some(site) = Site::started(Behaviour::accept(), true).await else { return };
    site.alpha.down().await;
    let ids: Vec<(String, usize)> = (0..30).map(|number| (format!("D{number:02}X"), number % 4)).collect();
    for (id, patient) in &ids {
        site.send(&result(id, *patient)).await;
    }
    site.beta.wait_until(|stats| stats.taken == 30).await;
    // Whichever is at the head of its lane is tried; the others of the lane wait behind it.
    let waiting = site.any_open(|waybill| {
        let is = |name: &str, outcome: &str| waybill.line(name).is_some_and(|line| line.outcome() == outcome);
        let unreachable = |line: &Line| line.reason_code.as_deref() == Some("LAB-0005");
        is(BETA, "confirmed") && is(ALPHA, "attempted") && waybill.line(ALPHA).is_some_and(unreachable)
    });
    let waiting = waiting.await;
    assert_eq!(waiting.state(), "open");
    // A person sees what is the matter.
    let shown = site.waybillctl(&["where", waiting.control_id.as_deref().unwrap()]);
    assert!(shown.contains("attempted") && shown.contains("LAB-0005"), "{shown}");

    site.alpha.up().await.unwrap();
    for (id, _) in &ids {
        assert_eq!(site.settled(id).await.state(), "delivered");
    }
    for (receiver, name) in [(&site.alpha, ALPHA), (&site.beta, BETA)] {
        let taken = receiver.taken();
        assert_eq!(taken.len(), 30, "{name}: each once");
        for patient in 0..4 {
            let order: Vec<&str> = taken.iter().filter_map(|one| site::source_id(one, patient)).collect();
            let sent: Vec<&str> =
                ids.iter().filter(|(_, of)| *of == patient).map(|(id, _)| id.as_str()).collect();
            assert_eq!(order, sent, "{name}, patient {patient}");
        }
    }
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_the_send_and_the_receipt_it_sends_the_same_message_again() {
    let silent = Behaviour::accept().rule(Rule::next(1, Action::Silence));
    let Some(mut site) = Site::with(silent, true, "60s").await else { return };
    site.send(&result("KILLED", 0)).await;
    site.alpha.wait_until(|stats| stats.received == 1).await;
    // It has the message; nobody knows.
    site.kill_distributor().await;
    site.alpha.set_behaviour(Behaviour::accept());
    site.start_distributor();
    let waybill = site.settled("KILLED").await;
    assert_eq!(waybill.state(), "delivered");
    let history = site.alpha.history();
    assert_eq!(history.len(), 2, "sent again");
    assert!(history[0].control_id == history[1].control_id && history[0].sha256 == history[1].sha256);
    assert_eq!(site.alpha.taken().len(), 1, "and recognised");
    assert_eq!(site.beta.taken().len(), 1);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_not_set_up_stops_its_own_lane_and_says_so() {
    let refuses = Behaviour::always(Action::Reject { code: 200 });
    let Some(mut site) = Site::started(refuses, true).await else { return };
    for (number, id) in ["S1X", "S2X", "S3X"].iter().enumerate() {
        site.send(&result(id, number)).await;
    }
    site.not_ready(&["deliver alpha", "LAB-0006"]).await;
    site.beta.wait_until(|stats| stats.taken == 3).await;
    // The head of each lane says why it waits; it is tried again and becomes no dead letter.
    let mut heads = 0;
    for id in ["S1X", "S2X", "S3X"] {
        let confirmed =
            |waybill: &Waybill| waybill.line(BETA).is_some_and(|line| line.outcome() == "confirmed");
        let waybill = site.until(id, confirmed).await;
        let receipts = site.receipts(&waybill, ALPHA).await;
        heads += usize::from(!receipts.is_empty());
        let waits = |receipt: &Receipt| said_before(receipt) == (Outcome::Attempted, "LAB-0006", Some("AR"));
        assert!(receipts.iter().all(waits), "{receipts:?}");
    }
    assert!(heads > 0);

    site.alpha.set_behaviour(Behaviour::accept());
    for id in ["S1X", "S2X", "S3X"] {
        assert_eq!(site.settled(id).await.state(), "delivered");
    }
    site.ready(Duration::from_secs(20)).await;
    let letters = site.topics().records("lab.delivery.alpha.v1.dlq.lab-distributor.alpha").await.unwrap();
    assert!(letters.is_empty());
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_decoded_is_set_aside_and_no_route_is_a_reason() {
    let Some(site) = Site::started(Behaviour::accept(), true).await else { return };
    // Preliminary results go nowhere in this table.
    let preliminary = String::from_utf8(result("PRELIM", 0)).unwrap().replace("||CH|F\r", "||CH|P\r");
    site.send(preliminary.as_bytes()).await;
    let waybill = site.settled("PRELIM").await;
    let own = waybill.line("lab-distributor").unwrap();
    assert_eq!((own.outcome().as_str(), own.reason_code.as_deref()), ("filtered", Some("LAB-0001")));
    assert!(waybill.line(ALPHA).is_none() && waybill.line(BETA).is_none());

    site.send(&result("GOOD", 1)).await;
    site.settled("GOOD").await;
    let (record, _) = site.topics().decoded::<LabDelivery>("lab.delivery.alpha.v1").await.unwrap().remove(0);
    site.write_garbage("lab.delivery.alpha.v1", &record).await;
    site.write_garbage("lab.result.v1", &record).await;
    site.send(&result("AFTER", 1)).await;
    assert_eq!(site.settled("AFTER").await.state(), "delivered");
    for topic in ["lab.delivery.alpha.v1.dlq.lab-distributor.alpha", "lab.result.v1.dlq.lab-distributor"] {
        let letters = site.dead_letters(topic, 1).await;
        assert_eq!(letters[0].value(), Some(site::GARBAGE), "{topic}");
        assert_eq!(DeadLetterHeaders::read(&letters[0]).unwrap().attempts, 1);
    }
    site.stop().await;
}
