//! ADT messages as they are sent, through the real mapping, folded by `waybill-adt`: any order and any repetition ends
//! in the same encounters and patients.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use ehr_ingest::{
    accept::{Verdict, accept},
    config::FeedConfig,
    feed::Feed,
    mapping::{self, Mapped, Payload},
};
use proptest::prelude::*;
use waybill_adt::{Census, EncounterKey, Join as _, Name, NotFolded, Notice, Visit};
use waybill_contracts::{PatientKeyer, Phi, Timestamp};
use waybill_hl7v2::Index;

fn feed() -> Feed {
    Feed::new(&FeedConfig { name: "ehr".into(), ..FeedConfig::default() }, PatientKeyer::new(b"test"))
}

/// An ADT message: trigger, `HHMM` of recording, sending and (EVN-6) happening, MRN, and what comes behind PID.
fn adt(trigger: &str, recorded: &str, occurred: &str, mrn: &str, rest: &str) -> String {
    let time = |clock: &str| if clock.is_empty() { String::new() } else { format!("20261102{clock}00-0500") };
    format!(
        "MSH|^~\\&|EHR|GENHOSP|WAYBILL|HUB|{sent}||ADT^{trigger}|C{trigger}{recorded}{mrn}|P|2.5.1\r\
         EVN||{sent}||||{occurred}\r\
         PID|1||{mrn}^^^GENHOSP^MR||Testcase^Fold||19800101|F\r\
         {rest}",
        sent = time(recorded),
        occurred = time(occurred),
    )
}

fn pv1(class: &str, place: &str, visit: &str, discharged: &str) -> String {
    let end = if discharged.is_empty() { String::new() } else { format!("20261102{discharged}00-0500") };
    let disposition = if discharged.is_empty() { "" } else { "01" };
    let mut fields = vec![String::new(); 46];
    for (number, value) in
        [(1, "1"), (2, class), (3, place), (36, disposition), (44, "20261102100000-0500"), (45, &end)]
    {
        value.clone_into(&mut fields[number]);
    }
    fields[19] = if visit.is_empty() { String::new() } else { format!("{visit}^^^GENHOSP^VN") };
    "PV1".clone_into(&mut fields[0]);
    format!("{}\r", fields.join("|"))
}

/// Adds what a message says; gives why an encounter of it is not folded.
fn tell(census: &mut Census, message: &str) -> Vec<NotFolded> {
    let (feed, bytes) = (feed(), message.as_bytes());
    let now = Timestamp::parse_rfc3339("2026-11-03T00:00:00Z").unwrap();
    let Verdict::Store { message: inbound, .. } = accept(&feed, bytes, now, &mut Index::new()) else {
        panic!("refused: {message}");
    };
    let Mapped::Events(events) = mapping::map(&inbound, bytes, &feed).unwrap() else {
        panic!("nothing comes of {message}");
    };
    let mut unfolded = Vec::new();
    for event in events {
        match event.payload {
            Payload::Patient(patient) => unfolded.extend(census.apply_patient(event.id, &patient).err()),
            Payload::Encounter(encounter) => {
                unfolded.extend(census.apply_encounter(event.id, &encounter).err());
            }
            other => panic!("{} comes of ADT", other.topic()),
        }
    }
    unfolded
}

fn census<'a>(messages: impl IntoIterator<Item = &'a String>) -> Census {
    let mut census = Census::default();
    for message in messages {
        assert_eq!(tell(&mut census, message), []);
    }
    census
}

fn name(mrn: &str) -> Name {
    Name { system: Some("GENHOSP".into()), facility: None, value: Phi::from(mrn) }
}

fn ward(visit: &Visit) -> Option<&str> {
    visit.folded.encounter.location.first()?.point_of_care.as_deref()
}

fn ended(visit: &Visit) -> bool {
    visit.folded.encounter.period.as_ref().is_some_and(|period| period.end.is_some())
}

/// healthcare.md §5.3: A01, A08, A03, A13, A03; A40 in the middle; a later A08 under the old number.
fn stay() -> Vec<String> {
    let merge = "MRG|OLD1^^^GENHOSP^MR\r";
    vec![
        adt("A01", "1000", "1000", "OLD1", &pv1("I", "MED^1^A", "V77", "")),
        adt("A08", "1100", "1100", "OLD1", &pv1("I", "MED^1^A", "V77", "")),
        adt("A02", "1130", "1130", "OLD1", &pv1("I", "ICU^2^B", "V77", "")),
        adt("A40", "1200", "1200", "NEW1", merge),
        adt("A03", "1500", "1500", "NEW1", &pv1("I", "ICU^2^B", "V77", "1500")),
        adt("A13", "1600", "1500", "NEW1", &pv1("I", "SURG^3^C", "V77", "")),
        adt("A08", "1630", "1630", "OLD1", &pv1("I", "SURG^3^C", "V77", "")),
        adt("A03", "1800", "1800", "NEW1", &pv1("I", "SURG^3^C", "V77", "1800")),
        // Another visit, registered by mistake; its cancel has the time of what it cancels.
        adt("A04", "1010", "1010", "NEW1", &pv1("O", "CLINIC^1^1", "V78", "")),
        adt("A11", "1020", "1010", "NEW1", &pv1("O", "CLINIC^1^1", "V78", "")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn any_order_and_repetition_ends_in_the_same_encounters(
        order in Just((0..10_usize).collect::<Vec<_>>()).prop_shuffle(),
        again in prop::collection::vec(0..10_usize, 0..10),
        split in 0..10_usize,
    ) {
        let messages = stay();
        let expected = census(&messages);
        let found = census(order.iter().chain(&again).map(|at| &messages[*at]));
        prop_assert_eq!(&found, &expected);
        // Two replicas that saw one part each.
        let mut left = census(order[..split].iter().map(|at| &messages[*at]));
        left.join(&census(order[split..].iter().map(|at| &messages[*at])));
        prop_assert_eq!(&left, &expected);

        let visits = found.encounters();
        prop_assert_eq!(visits.len(), 2);
        let (stay, mistake) = (&visits[0], &visits[1]);
        prop_assert_eq!(stay.folded.encounter.status.as_str(), "finished");
        prop_assert_eq!((ward(stay), ended(stay)), (Some("SURG"), true));
        prop_assert_eq!(stay.patient.as_ref(), Some(&name("NEW1")), "what came under the old number is the survivor's");
        prop_assert_eq!(mistake.folded.encounter.status.as_str(), "cancelled");
        prop_assert_eq!(found.patients().len(), 1);
        prop_assert_eq!(&stay.folded.notices, &[]);
    }
}

#[test]
fn every_prefix_has_the_state_a_ward_clerk_would_say() {
    let messages = stay();
    let said = |count: usize| {
        let visits = census(&messages[..count]).encounters();
        (visits[0].folded.encounter.status.clone(), ward(&visits[0]).map(str::to_owned), ended(&visits[0]))
    };
    let at = |status: &str, place: &str, ended| (status.into(), Some(place.to_owned()), ended);
    assert_eq!(said(1), at("in-progress", "MED", false));
    assert_eq!(said(3), at("in-progress", "ICU", false));
    assert_eq!(said(5), at("finished", "ICU", true));
    assert_eq!(said(6), at("in-progress", "SURG", false));
    assert_eq!(said(8), at("finished", "SURG", true));
}

#[test]
fn a_cancel_before_its_admission_holds_and_shows_until_then() {
    let (admitted, cancelled) = (
        adt("A01", "1000", "1000", "1", &pv1("I", "MED", "V1", "")),
        adt("A11", "1005", "1000", "1", &pv1("I", "MED", "V1", "")),
    );
    let first = census([&cancelled]).encounters();
    assert_eq!(first[0].folded.encounter.status, "cancelled");
    assert!(matches!(first[0].folded.notices[..], [Notice::CancelWithoutTarget(..)]));
    let both = census([&cancelled, &admitted]).encounters();
    assert_eq!((both[0].folded.encounter.status.as_str(), both[0].folded.notices.len()), ("cancelled", 0));
}

#[test]
fn class_changes_transfers_and_pre_admissions() {
    let messages = [
        adt("A05", "0800", "0800", "1", &pv1("P", "", "V1", "")),
        adt("A04", "1000", "1000", "1", &pv1("E", "ED", "V1", "")),
        adt("A38", "1010", "0800", "1", &pv1("P", "", "V1", "")),
        adt("A06", "1200", "1200", "1", &pv1("I", "MED", "V1", "")),
        adt("A02", "1300", "1300", "1", &pv1("I", "ICU", "V1", "")),
        adt("A12", "1400", "1300", "1", &pv1("I", "MED", "V1", "")),
    ];
    let of = |order: &[usize]| {
        let visit = census(order.iter().map(|at| &messages[*at])).encounters().remove(0);
        let class = visit.folded.encounter.class.clone().and_then(|class| class.code).unwrap();
        (visit.folded.encounter.status.clone(), class, ward(&visit).map(str::to_owned))
    };
    let found = of(&[0, 1, 2, 3, 4, 5]);
    assert_eq!(found, ("in-progress".into(), "IMP".into(), Some("MED".to_owned())));
    assert_eq!(of(&[5, 4, 3, 2, 1, 0]), found);
    let outpatient = adt("A07", "1500", "1500", "1", &pv1("O", "CLINIC", "V1", ""));
    let visit = census(messages.iter().chain([&outpatient])).encounters().remove(0);
    assert_eq!(visit.folded.encounter.class.and_then(|class| class.code).as_deref(), Some("AMB"));
}

#[test]
fn other_numbers_for_a_visit_and_other_patients() {
    let admitted = adt("A01", "1000", "1000", "1", &pv1("I", "MED", "V1", ""));
    // A50: the visit has another number.
    let renumbered = adt(
        "A50",
        "1100",
        "1100",
        "1",
        &format!("MRG|1^^^GENHOSP^MR||||V1^^^GENHOSP^VN\r{}", pv1("I", "MED", "V2", "")),
    );
    let left = adt("A03", "1500", "1500", "1", &pv1("I", "MED", "V2", "1500"));
    for order in [[&admitted, &renumbered, &left], [&left, &renumbered, &admitted]] {
        let visits = census(order).encounters();
        assert_eq!((visits.len(), visits[0].folded.encounter.status.as_str()), (1, "finished"));
        assert_eq!(visits[0].key.visit.value.expose(), "V2");
    }
    // A45: the visit is another patient's.
    let account = "PID|1||2^^^GENHOSP^MR||Testcase^Other||19800101|F||||||||||ACC2^^^GENHOSP^AN\r";
    let moved = adt("A45", "1100", "1100", "2", "").replace(
        "PID|1||2^^^GENHOSP^MR||Testcase^Fold||19800101|F\r",
        &format!(
            "{account}MRG|1^^^GENHOSP^MR||ACC1^^^GENHOSP^AN||V1^^^GENHOSP^VN\r{}",
            pv1("I", "MED", "V1", "")
        ),
    );
    for order in [[&admitted, &moved], [&moved, &admitted]] {
        let visits = census(order).encounters();
        assert_eq!(visits.len(), 1);
        assert_eq!(visits[0].patient, Some(name("2")), "the visit's patient is the one it was moved to");
        assert_eq!(visits[0].folded.encounter.status, "in-progress");
    }
}

#[test]
fn without_a_visit_number_there_is_an_event_but_nothing_to_fold() {
    let mut census = Census::default();
    let message = adt("A01", "1000", "1000", "1", &pv1("I", "MED", "", ""));
    assert_eq!(tell(&mut census, &message), [NotFolded::NoVisitNumber]);
    assert_eq!((census.encounters().len(), census.patients().len()), (0, 1));
}

#[test]
fn the_key_is_the_visit_whatever_the_message() {
    let messages = stay();
    let census = census(&messages);
    let key: &EncounterKey = &census.encounters()[0].key;
    let text = format!("{} {:?} {:?}", key.visit.value.expose(), key.visit.system, key.account);
    for message in &messages {
        let control_id = message.split('|').nth(9).unwrap();
        assert!(!text.contains(control_id), "{text}");
    }
}
