//! Canonical events compared field by field with what public converters make of the same messages.
//!
//! An expectation is an opinion: where it differs, HL7's own v2-to-FHIR maps and the standard's chapters decide. What they
//! decide for the event stands in [`rules`], each with its source; what they decide against it is a fault to be mended.
//! The figures go to `target/conformance.txt` too.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod canon;
mod corpora;
mod datatypes;
mod events;
mod fhir;
mod json;
mod node;
mod parts;
mod report;
mod rules;
mod sample;
mod source;
mod tables;

use ehr_ingest::{
    accept::{Verdict, accept},
    config::FeedConfig,
    feed::Feed,
    mapping::{self, Mapped},
};
use waybill_contracts::{PatientKeyer, Timestamp};
use waybill_hl7v2::Index;

use crate::{
    corpora::{Pair, RoundTrip},
    fhir::Bundle,
    node::{Node, compare},
    report::Report,
    rules::Difference,
    source::Source,
};

/// Compared fields of all corpora that must be equal, in hundredths.
const THRESHOLD: usize = 97;

/// Of each corpus every difference has its rule, and of all compared fields the most are equal.
#[test]
fn events_say_what_is_expected() {
    let reports: Vec<Report> = [
        expected("ms-fhir-converter", corpora::fhir_converter()),
        expected("reportstream/mappinginventory", corpora::report_stream("mappinginventory")),
        expected("reportstream/HL7_to_FHIR", corpora::report_stream("HL7_to_FHIR")),
        expected("trusted-intermediary", corpora::trusted_intermediary()),
        round_trips("reportstream/HL7_to_FHIR_to_HL7", corpora::round_trips()),
    ]
    .into_iter()
    .flatten()
    .collect();
    if !reports.is_empty() {
        report::finish(reports, THRESHOLD);
    }
}

fn expected(corpus: &str, pairs: Option<Vec<Pair>>) -> Option<Report> {
    let mut report = Report::new(corpus);
    for pair in &pairs? {
        compare_pair(pair, &mut report);
    }
    Some(report)
}

/// What a message became for another receiver is the same message: its events say the same.
fn round_trips(corpus: &str, pairs: Option<Vec<RoundTrip>>) -> Option<Report> {
    let mut report = Report::new(corpus);
    for RoundTrip { name, sent, returned } in &pairs? {
        let message = Source::read(sent).complete();
        let (expected, _) = found(&Source::read(returned).complete().bytes());
        let (found, outcome) = found(&message.bytes());
        report.pair(name, &outcome);
        judge(&mut report, name, &message, &expected, &found);
    }
    Some(report)
}

/// The kinds of parts that the events of a message type carry; none of what is not mapped.
fn kinds(message_type: &str, trigger: &str) -> &'static [&'static str] {
    match (message_type, trigger) {
        (
            "ADT",
            "A01" | "A02" | "A03" | "A04" | "A05" | "A06" | "A07" | "A08" | "A11" | "A12" | "A13" | "A38",
        ) => &["Patient", "Encounter", "Account", "Coverage", "Diagnosis", "Procedure", "Observation"],
        ("ADT", "A28" | "A31" | "A40" | "A41" | "A42" | "A43" | "A44" | "A45" | "A46" | "A47" | "A50") => {
            &["Patient"]
        }
        ("SIU", "S12" | "S13" | "S14" | "S15" | "S16" | "S17" | "S26") => {
            &["Patient", "Visit", "Account", "Appointment", "Diagnosis", "Coverage"]
        }
        ("ORM", "O01") | ("OML", "O21") | ("OMG", "O19") => &[
            "Patient",
            "Visit",
            "Account",
            "ServiceRequest",
            "Specimen",
            "Observation",
            "Diagnosis",
            "Coverage",
        ],
        ("ORU", "R01" | "R30" | "R31" | "R32") => {
            &["Patient", "Visit", "DiagnosticReport", "Observation", "Specimen"]
        }
        ("DFT", "P03" | "P11") => {
            &["Patient", "Encounter", "Account", "ChargeItem", "Coverage", "Diagnosis", "Procedure"]
        }
        _ => &[],
    }
}

fn compare_pair(pair: &Pair, report: &mut Report) {
    let message = Source::read(&pair.message).complete();
    let (message_type, trigger) = message.message_type();
    let kinds = kinds(&message_type, &trigger);
    if kinds.is_empty() {
        report.not_mapped(&format!("{message_type}^{trigger}"));
        return;
    }
    let mut expected = Bundle::new(&pair.expected).root(kinds);
    let (found, outcome) = found(&message.bytes());
    if message.added_identifier {
        expected.without("Patient", "identifier");
    }
    if !matches!(outcome.as_str(), "mapped") && message.fields("OBR", 0).next().is_none() {
        // An order of a drug, a diet or supplies: no order of a laboratory.
        report.not_mapped(&format!("{message_type}^{trigger} without OBR"));
        return;
    }
    report.pair(&pair.name, &outcome);
    judge(report, &pair.name, &message, &expected, &found);
}

/// Every field of a pair into the report, with the rule of each difference.
fn judge(report: &mut Report, name: &str, message: &Source, expected: &Node, found: &Node) {
    for field in &compare(expected, found) {
        let difference = Difference { compared: field, message };
        report.field(name, field, if field.equal { None } else { rules::of(&difference) });
    }
}

/// The events of a message that the door takes.
fn events_of(bytes: &[u8]) -> Vec<mapping::Event> {
    let feed = Feed::new(&FeedConfig::default(), PatientKeyer::new(b"conformance"));
    let verdict = accept(&feed, bytes, Timestamp::from_millis(0), &mut Index::new());
    let Verdict::Store { message, .. } = verdict else {
        panic!("refused: {}", String::from_utf8_lossy(bytes))
    };
    match mapping::map(&message, bytes, &feed).unwrap() {
        Mapped::Events(events) => events,
        Mapped::NoDestination(_) => Vec::new(),
    }
}

fn found(bytes: &[u8]) -> (Node, String) {
    let feed = Feed::new(&FeedConfig::default(), PatientKeyer::new(b"conformance"));
    match accept(&feed, bytes, Timestamp::from_millis(0), &mut Index::new()) {
        Verdict::Refuse { rejected, .. } => (Node::default(), format!("refused: {}", rejected.reason_code)),
        Verdict::Several => panic!("a batch among the pairs"),
        Verdict::Store { message, .. } => match mapping::map(&message, bytes, &feed).unwrap() {
            Mapped::NoDestination(reason) => (Node::default(), format!("no destination: {reason}")),
            Mapped::Events(events) => (events::root(&events), "mapped".to_owned()),
        },
    }
}
