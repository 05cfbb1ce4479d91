//! Large messages are mapped in a time that grows like them.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]

use std::{
    fmt::Write,
    time::{Duration, Instant},
};

use ehr_ingest::{
    accept::{Verdict, accept},
    config::FeedConfig,
    feed::Feed,
    mapping::{self, Event, Mapped, Payload},
};
use waybill_contracts::{PatientKeyer, Timestamp};
use waybill_hl7v2::Index;

/// Each takes a second or two unoptimized, and took minutes where all were compared with all.
const ENOUGH: Duration = Duration::from_secs(30);

fn mapped(text: &str) -> Vec<Event> {
    let feed = Feed::new(&FeedConfig::default(), PatientKeyer::new(b"large"));
    let started = Instant::now();
    let verdict = accept(&feed, text.as_bytes(), Timestamp::from_millis(0), &mut Index::new());
    let Verdict::Store { message, .. } = verdict else { panic!("refused") };
    let Mapped::Events(events) = mapping::map(&message, text.as_bytes(), &feed).unwrap() else {
        panic!("no events")
    };
    assert!(started.elapsed() < ENOUGH, "{:?}", started.elapsed());
    events
}

fn message(kind: &str) -> String {
    format!("MSH|^~\\&|LIS|LAB|||20260304101500||{kind}|1|P|2.5.1\rPID|1||42^^^GH^MR\r")
}

#[test]
fn a_report_with_an_observer_for_each_observation() {
    let mut text = message("ORU^R01");
    for report in 0..2 {
        let _ = write!(text, "OBR|1||F{report}|C^^L|||||||||D1^Orderer\r");
        for number in 0..20_000 {
            // Every second one is somebody again, written otherwise.
            let (id, end) = (number / 2, if number % 2 == 0 { "" } else { "^^" });
            let _ = write!(text, "OBX|1|NM|A^^L|{number}|1||||||F|||||D{id}^Doe^J{end}\r");
        }
    }
    let events = mapped(&text);
    let [Event { payload: Payload::Result(result), .. }] = events.as_slice() else { panic!("one event") };
    for report in &result.report {
        assert_eq!(report.result.len(), 20_000);
        assert_eq!(report.performer.len(), 10_000, "each once, and in each report");
        let first: Vec<_> = report.performer[..2]
            .iter()
            .map(|one| one.identifier.as_ref().unwrap().value.expose().as_str())
            .collect();
        assert_eq!(first, ["D0", "D1"]);
    }
}

#[test]
fn observers_that_differ_in_any_part_are_others() {
    let observers = [
        "D1^Doe^J",
        "D1^Doe^J^^^^^^NPI",
        "D1^Doe^J^^^^^^^^^^PN",
        "D1^Doe",
        "D1",
        "^Doe^J",
        "D1^Doe^J^K",
        "D1^Doe^^J",
        "D1^Doe^J^^K",
        "D1^Doe^J^^^K",
        "D1^Doe^J^^^^^^^D",
        "D1^^DoeJ",
    ];
    let mut text = message("ORU^R01") + "OBR|1||F|C^^L\r";
    for observer in observers.iter().chain(&observers) {
        let _ = write!(text, "OBX|1|NM|A^^L||1||||||F|||||{observer}\r");
    }
    let events = mapped(&text);
    let [Event { payload: Payload::Result(result), .. }] = events.as_slice() else { panic!("one event") };
    // D1^Doe^^J has J as its further name and no first: FHIR has one list for both.
    assert_eq!(result.report[0].performer.len(), observers.len() - 1);
}
