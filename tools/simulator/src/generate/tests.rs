use std::collections::{BTreeMap, HashMap, HashSet};

use super::{ExpectedAck, Feed, GenerateConfig, Generated, Generator, Kind};
use crate::phi::occurrences;

fn many() -> Vec<Generated> {
    Generator::new(GenerateConfig::new(7, 4000)).collect()
}

fn bundles() -> Vec<Generated> {
    let all =
        Generator::new(GenerateConfig { fhir_share: 0.3, bad_share: 0.05, ..GenerateConfig::new(7, 1000) });
    all.filter(|message| message.feed == Feed::Fhir).collect()
}

/// Segments of a message, read here as Latin-1 so that every byte is one character.
fn segments(message: &Generated) -> Vec<String> {
    let text: String = message.bytes.iter().map(|b| char::from(*b)).collect();
    text.trim_end_matches('\r').split('\r').map(str::to_owned).collect()
}

fn field(segment: &str, number: usize) -> &str {
    let number = if segment.starts_with("MSH") { number - 1 } else { number };
    segment.split('|').nth(number).unwrap_or("")
}

fn share(messages: &[Generated], matches: impl Fn(&Generated) -> bool) -> f64 {
    messages.iter().filter(|message| matches(message)).count() as f64 / messages.len() as f64
}

fn contains(message: &Generated, bytes: &[u8]) -> bool {
    message.bytes.windows(bytes.len()).any(|window| window == bytes)
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let bytes = |seed| Generator::new(GenerateConfig::new(seed, 300)).map(|m| m.bytes).collect::<Vec<_>>();
    assert_eq!(bytes(7), bytes(7));
    assert_ne!(bytes(7), bytes(8));
    let ids = |seed| {
        let ids = Generator::new(GenerateConfig::new(seed, 300)).map(|m| m.control_id);
        ids.filter(|id| !id.is_empty()).collect::<HashSet<_>>()
    };
    assert!(ids(7).is_disjoint(&ids(8)));
}

#[test]
fn a_longer_run_from_the_same_patients_starts_the_same() {
    let run = |count| Generator::new(GenerateConfig { patients: 20, ..GenerateConfig::new(7, count) });
    assert!(run(50).map(|m| m.bytes).eq(run(200).map(|m| m.bytes).take(50)));
}

#[test]
fn every_message_is_framed_by_msh_and_carriage_return() {
    for message in many() {
        assert!(message.bytes.starts_with(b"MSH|^~\\&"));
        assert!(message.bytes.ends_with(b"\r"));
        let control = message.bytes.iter().find(|b| matches!(b, b'\n' | 0x0B | 0x1C));
        assert_eq!(control, None, "{:?}", String::from_utf8_lossy(&message.bytes));
        for segment in segments(&message) {
            let name = segment.get(..3).unwrap_or("");
            assert!(name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()), "{segment}");
        }
        let msh = &segments(&message)[0];
        assert_eq!(field(msh, 10), message.control_id);
        assert!(message.control_id.len() <= 20);
        assert!(field(msh, 9).starts_with(&message.message_type));
    }
}

#[test]
fn identifying_values_are_really_in_the_message() {
    for message in many().into_iter().chain(bundles()) {
        let whole = !matches!(message.expect.kind, Kind::MissingPatient | Kind::BrokenBundle);
        assert!(!whole || message.phi.len() >= 4 || message.message_type == "ADT^A40");
        for value in &message.phi {
            assert!(occurrences(&message.bytes, value) > 0, "{value} not in {}", message.control_id);
        }
    }
}

#[test]
fn bad_messages_are_labelled_and_good_ones_are_whole() {
    let mut refused = BTreeMap::<_, usize>::new();
    for message in many() {
        let segments = segments(&message);
        let has_pid = segments.iter().any(|s| s.starts_with("PID|"));
        let has_id = !field(&segments[0], 10).is_empty();
        assert_eq!(has_pid, message.expect.kind != Kind::MissingPatient);
        assert_eq!(has_id, message.expect.kind != Kind::MissingControlId);
        assert_eq!(message.expect.ack == ExpectedAck::AA, has_pid && has_id);
        if message.expect.ack == ExpectedAck::AE {
            *refused.entry(format!("{:?}", message.expect.kind)).or_default() += 1;
        }
    }
    assert_eq!(refused.len(), 2, "both sorts occur: {refused:?}");
    let none = GenerateConfig { bad_share: 0.0, ..GenerateConfig::new(7, 500) };
    assert!(Generator::new(none).all(|m| m.expect.ack == ExpectedAck::AA));
}

#[test]
fn quirks_have_the_share_of_real_feeds() {
    let messages = many();
    let lab: Vec<_> = messages.iter().filter(|m| m.feed == Feed::Lis).cloned().collect();
    let ehr: Vec<_> = messages.iter().filter(|m| m.feed == Feed::Ehr).cloned().collect();
    let within = |what: &str, value: f64, low: f64, high: f64| {
        assert!((low..=high).contains(&value), "{what}: {value:.3} not in {low}..={high}");
    };
    let five = |m: &Generated| field(&segments(m)[0], 2) == "^~\\&#";
    within("five encoding characters, ORU", share(&lab, five), 0.70, 0.82);
    within("five encoding characters, ADT", share(&ehr, five), 0.06, 0.14);
    let declared = |m: &Generated| field(&segments(m)[0], 18).to_owned();
    within("8859/1", share(&messages, |m| declared(m) == "8859/1"), 0.05, 0.30);
    within("UTF-8", share(&messages, |m| declared(m) == "UNICODE UTF-8"), 0.2, 0.6);
    let undeclared = |m: &Generated| declared(m).is_empty() && !m.bytes.is_ascii();
    within("Latin-1 undeclared", share(&messages, undeclared), 0.03, 0.25);
    within("Z segments", share(&messages, |m| contains(m, b"\rZ")), 0.1, 0.4);
    within("explicit nulls", share(&messages, |m| contains(m, b"|\"\"")), 0.05, 0.4);
    within("trailing separators", share(&messages, |m| contains(m, b"||\r")), 0.05, 0.4);
    within("line breaks", share(&lab, |m| contains(m, b"\\.br\\")), 0.02, 0.3);
    within("hexadecimal escapes", share(&lab, |m| contains(m, b"\\X0D\\")), 0.01, 0.2);
    within("unknown escapes", share(&lab, |m| contains(m, b"\\Zlab7\\")), 0.01, 0.2);
    within("repeats", share(&messages, |m| m.repeat), 0.01, 0.03);
    within("results", lab.len() as f64 / messages.len() as f64, 0.38, 0.50);
    within("critical", share(&lab, |m| m.critical), 0.01, 0.2);
    within("no destination", share(&messages, |m| m.expect.kind == Kind::NoDestination), 0.02, 0.06);
    within("appointments", share(&messages, |m| m.expect.kind == Kind::Appointment), 0.04, 0.12);
    within("charges", share(&messages, |m| m.expect.kind == Kind::Charge), 0.04, 0.12);
    within("orders", share(&messages, |m| m.expect.kind == Kind::Order), 0.03, 0.1);
    for version in super::draft::VERSIONS {
        within(version, share(&messages, |m| field(&segments(m)[0], 12) == *version), 0.03, 0.5);
    }
}

#[test]
fn utf8_is_declared_only_where_it_is_true() {
    for message in many() {
        let declared = field(&segments(&message)[0], 18).to_owned();
        match declared.as_str() {
            "UNICODE UTF-8" => assert!(std::str::from_utf8(&message.bytes).is_ok()),
            "8859/1" => assert!(!message.bytes.is_ascii()),
            "" => assert!(message.bytes.is_ascii() || std::str::from_utf8(&message.bytes).is_err()),
            other => panic!("unexpected character set {other}"),
        }
    }
}

#[test]
fn a_repeat_has_the_bytes_of_its_original_and_control_ids_are_otherwise_unique() {
    let mut seen = HashMap::new();
    let mut repeats = 0;
    for message in many() {
        if message.repeat {
            repeats += 1;
            assert_eq!(seen.get(&message.control_id), Some(&message.bytes));
        } else if !message.control_id.is_empty() {
            assert!(seen.insert(message.control_id, message.bytes).is_none());
        }
    }
    assert!(repeats > 0);
}

/// What a visit can go through, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stay {
    Planned,
    Present,
    Left,
    Cancelled,
}

#[test]
fn stays_are_coherent() {
    let first = |field: &str| field.split('^').next().unwrap_or_default().to_owned();
    let mut stays: HashMap<String, Stay> = HashMap::new();
    let mut seen = HashSet::new();
    let told = |m: &Generated| !m.repeat && m.feed == Feed::Ehr && m.message_type.starts_with("ADT^");
    for message in many().into_iter().filter(|m| told(m) && m.expect.kind != Kind::NoDestination) {
        let segments = segments(&message);
        let segment = |name: &str| segments.iter().find(|s| s.starts_with(name)).cloned().unwrap_or_default();
        let visit = first(field(&segment("PV1"), 19));
        let trigger = message.message_type[4..].to_owned();
        let before = stays.get(&visit).copied();
        let after = match (trigger.as_str(), before) {
            ("A01", None | Some(Stay::Planned))
            | ("A04", None)
            | ("A13", Some(Stay::Left))
            | ("A02" | "A06" | "A07" | "A08" | "A12" | "A45", Some(Stay::Present)) => Stay::Present,
            ("A03", Some(Stay::Present)) => Stay::Left,
            ("A05", None) | ("A08", Some(Stay::Planned)) => Stay::Planned,
            ("A11", Some(Stay::Present)) | ("A38", Some(Stay::Planned)) => Stay::Cancelled,
            ("A28" | "A31" | "A40", _) if visit.is_empty() => {
                seen.insert(trigger);
                continue;
            }
            impossible => panic!("{impossible:?} of {visit}"),
        };
        assert!(!visit.is_empty(), "{trigger} without a visit number");
        stays.insert(visit, after);
        // EVN-6 of a cancel is the time of what it takes back.
        let (recorded, occurred) =
            (field(&segment("EVN"), 2).to_owned(), field(&segment("EVN"), 6).to_owned());
        let cancels = matches!(trigger.as_str(), "A11" | "A12" | "A13" | "A38");
        assert_eq!(cancels, occurred < recorded, "{trigger}: {occurred} {recorded}");
        if trigger == "A45" {
            assert_eq!(first(field(&segment("MRG"), 5)), first(field(&segment("PV1"), 19)));
        }
        seen.insert(trigger);
    }
    let all = [
        "A01", "A02", "A03", "A04", "A05", "A06", "A07", "A08", "A11", "A12", "A13", "A28", "A31", "A38",
        "A40", "A45",
    ];
    assert!(all.iter().all(|trigger| seen.contains(*trigger)), "only {seen:?}");
}

#[test]
fn a_merge_names_a_record_that_was_used_and_is_not_any_more() {
    let first = |field: &str| field.split('^').next().unwrap_or_default().to_owned();
    let (mut used, mut gone) = (HashSet::new(), HashSet::new());
    for message in many().into_iter().filter(|m| !m.repeat) {
        assert!(!gone.contains(&message.mrn), "{} under a number that was merged away", message.message_type);
        if message.message_type == "ADT^A40" && message.expect.kind == Kind::Adt {
            let segments = segments(&message);
            let prior = first(field(segments.iter().find(|s| s.starts_with("MRG")).unwrap(), 1));
            assert!(used.contains(&prior) && prior != message.mrn);
            gone.insert(prior);
        }
        used.insert(message.mrn);
    }
    assert!(gone.len() > 5, "{} merges", gone.len());
}

#[test]
fn a_credit_takes_back_a_charge_under_its_transaction() {
    let mut charged: HashMap<String, String> = HashMap::new();
    let mut credits = 0;
    for message in many().into_iter().filter(|m| !m.repeat && m.expect.kind == Kind::Charge) {
        for ft1 in segments(&message).iter().filter(|s| s.starts_with("FT1")) {
            let (transaction, amount) = (field(ft1, 2).to_owned(), field(ft1, 11).to_owned());
            match field(ft1, 6) {
                "CG" => assert!(charged.insert(transaction, amount).is_none()),
                "CR" => {
                    assert_eq!(amount, format!("-{}", charged.remove(&transaction).unwrap()));
                    credits += 1;
                }
                other => panic!("{other}"),
            }
        }
    }
    assert!(credits > 5 && charged.len() > 200, "{credits} credits, {} charges", charged.len());
}

#[test]
fn an_appointment_is_booked_before_anything_else_happens_to_it() {
    let mut last: HashMap<String, String> = HashMap::new();
    let mut seen = HashSet::new();
    for message in many().into_iter().filter(|m| !m.repeat && m.expect.kind == Kind::Appointment) {
        let number = field(&segments(&message)[1], 2).to_owned();
        let trigger = message.message_type[4..].to_owned();
        match (last.insert(number, trigger.clone()).as_deref(), trigger.as_str()) {
            (None, "S12") | (Some("S12" | "S13"), "S13" | "S15" | "S26") => {}
            impossible => panic!("{impossible:?}"),
        }
        seen.insert(trigger);
    }
    assert_eq!(seen.len(), 4, "{seen:?}");
}

#[test]
fn bundles_are_whole_and_their_references_lead_somewhere() {
    let (mut whole, mut broken) = (0, 0);
    for message in bundles() {
        let parsed = serde_json::from_slice::<serde_json::Value>(&message.bytes);
        if message.expect.kind == Kind::BrokenBundle {
            assert!(parsed.is_err() && message.expect.ack == ExpectedAck::AE);
            broken += 1;
            continue;
        }
        let bundle = parsed.unwrap();
        assert_eq!(bundle["identifier"]["value"], *message.control_id);
        let entries = bundle["entry"].as_array().unwrap();
        let mut count = BTreeMap::<&str, usize>::new();
        let mut urls = HashSet::new();
        for entry in entries {
            *count.entry(entry["resource"]["resourceType"].as_str().unwrap()).or_default() += 1;
            assert!(urls.insert(entry["fullUrl"].as_str().unwrap()), "a repeated fullUrl");
            assert_eq!(entry["request"]["url"], entry["resource"]["resourceType"]);
        }
        assert_eq!(count, message.resources);
        assert!(count["Patient"] == 1 && count["Encounter"] == 1 && count["DiagnosticReport"] >= 1);
        assert!(count.contains_key("Claim") || count.contains_key("ChargeItem"));
        let text = std::str::from_utf8(&message.bytes).unwrap();
        for reference in text.split(r#""reference":""#).skip(1).map(|rest| rest.split('"').next().unwrap()) {
            assert!(
                urls.contains(reference) || reference.starts_with("Practitioner?identifier="),
                "{reference}"
            );
        }
        whole += 1;
    }
    assert!(whole > 200 && broken > 3, "{whole} whole, {broken} broken");
    let kinds: HashSet<_> = bundles().iter().flat_map(|m| m.resources.keys().copied()).collect();
    assert!(
        ["Coverage", "Claim", "ChargeItem", "Appointment", "ServiceRequest", "Observation"]
            .iter()
            .all(|k| kinds.contains(k))
    );
}

#[test]
fn results_run_from_preliminary_to_final_to_corrected() {
    let mut last: HashMap<String, &'static str> = HashMap::new();
    let mut corrected = 0;
    for message in many().into_iter().filter(|m| !m.repeat && m.feed == Feed::Lis) {
        let status = message.result_status.unwrap();
        let filler = message.filler_order.clone().unwrap();
        match (last.insert(filler, status), status) {
            (None, "P" | "F") | (Some("P"), "F") => {}
            (Some("F"), "C") => corrected += 1,
            other => panic!("impossible sequence {other:?}"),
        }
        let panic_flag = contains(&message, b"|HH|") || contains(&message, b"|LL|");
        assert!(message.critical || !panic_flag);
    }
    assert!(corrected > 20, "{corrected} corrections");
}

#[test]
fn every_value_type_occurs() {
    let messages = many();
    for kind in ["NM", "SN", "CE", "CWE", "TX", "FT"] {
        let found = messages.iter().flat_map(segments).any(|s| s.starts_with("OBX") && field(&s, 2) == kind);
        assert!(found, "{kind}");
    }
}
