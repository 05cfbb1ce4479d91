//! Merges and moves, in every order and again.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]
#![expect(dead_code, reason = "each test file uses its part of the support")]

#[path = "support/story.rs"]
mod story;

use proptest::prelude::*;
use story::{Event, Story, Told as _, about, alias, id, identifier, merge};
use waybill_adt::{Census, EncounterKey, Join as _, Keying, Name};
use waybill_contracts::{
    EventId,
    clinical::{AliasLevel, Coverage, EncounterChange as Change, PatientEvent},
};

fn census(events: &[Event]) -> Census {
    let mut census = Census::default();
    for event in events {
        match event {
            Event::Encounter(id, event) => drop(census.apply_encounter(*id, event).unwrap()),
            Event::Patient(id, event) => drop(census.apply_patient(*id, event).unwrap()),
        }
    }
    census
}

fn name(mrn: &str) -> Name {
    Name::of_person(&identifier("MR", "GH", mrn), &about(mrn, "", "").source).unwrap()
}

fn key(visit: &'static str) -> EncounterKey {
    let event = Story::of(visit, "1").tell(Change::Admit, "10:00", "10:00");
    EncounterKey::of(&event, Keying::Visit).unwrap()
}

fn encounter(event: waybill_contracts::clinical::EncounterEvent) -> Event {
    Event::Encounter(id(&event.source), event)
}

fn person(event: PatientEvent) -> Event {
    Event::Patient(EventId::derive(event.source.message_id, "clinical.patient.v1", 0), event)
}

fn merged(old: &str, new: &str, family: &str, occurred: &str) -> [Event; 2] {
    merge(old, new, family, occurred).map(|(id, event)| Event::Patient(id, event))
}

fn family(census: &Census, mrn: &str) -> String {
    let found = census.patient(&name(mrn)).unwrap();
    found.patient.name[0].family.as_ref().unwrap().expose().to_string()
}

/// A01, A08, A03, A13, A03 with an A40 in the middle and a later A08 under the old number.
fn stay_with_a_merge() -> Vec<Event> {
    let (old, new) = (Story::of("V1", "OLD"), Story::of("V1", "NEW"));
    let mut events = vec![
        encounter(old.tell(Change::Admit, "10:00", "10:00").place("MED")),
        person(about("OLD", "Before", "10:00")),
        encounter(old.tell(Change::Update, "11:00", "11:00").place("ICU")),
        encounter(new.tell(Change::Discharge, "15:00", "15:00").ended("15:00")),
        encounter(new.tell(Change::CancelDischarge, "15:00", "16:00").place("SURG")),
        encounter(new.tell(Change::Discharge, "18:00", "18:00").ended("18:00")),
        // The ward's system has not heard of the merge.
        encounter(old.tell(Change::Update, "17:00", "17:00").place("SURG")),
        person(about("OLD", "Later", "17:00")),
        person(about("NEW", "Survivor", "09:00")),
    ];
    events.extend(merged("OLD", "NEW", "Merged", "12:00"));
    events
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn any_order_and_repetition_ends_in_the_same_encounter(
        order in Just((0..11_usize).collect::<Vec<_>>()).prop_shuffle(),
        again in prop::collection::vec(0..11_usize, 0..12),
        split in 0..11_usize,
    ) {
        let events = stay_with_a_merge();
        let told = |order: &[usize]| order.iter().map(|at| events[*at].clone()).collect::<Vec<_>>();
        let expected = census(&events);
        let mut shuffled = order.clone();
        shuffled.extend(&again);
        let found = census(&told(&shuffled));
        prop_assert_eq!(&found, &expected);
        // Two replicas that saw one part each.
        let (mut left, right) = (census(&told(&order[..split])), census(&told(&order[split..])));
        left.join(&right);
        prop_assert_eq!(&left, &expected);

        let visits = found.encounters();
        prop_assert_eq!(visits.len(), 1);
        prop_assert_eq!(visits[0].folded.encounter.status.as_str(), "finished");
        prop_assert_eq!(visits[0].folded.encounter.location[0].point_of_care.as_deref(), Some("SURG"));
        prop_assert_eq!(visits[0].patient.as_ref(), Some(&name("NEW")));
        prop_assert_eq!(&visits[0].folded.notices, &[]);
        prop_assert_eq!(family(&found, "OLD"), "Later", "what came under the old number lands on the survivor");
        prop_assert_eq!(found.patients().len(), 1);
    }

    #[test]
    fn joining_is_commutative_associative_and_idempotent(
        parts in prop::collection::vec(prop::collection::vec(0..11_usize, 0..8), 3),
    ) {
        let events = stay_with_a_merge();
        let [a, b, c] = [0, 1, 2].map(|part| {
            census(&parts[part].iter().map(|at| events[*at].clone()).collect::<Vec<_>>())
        });
        let joined = |one: &Census, other: &Census| {
            let mut one = one.clone();
            one.join(other);
            one
        };
        prop_assert_eq!(joined(&a, &b), joined(&b, &a));
        prop_assert_eq!(joined(&joined(&a, &b), &c), joined(&a, &joined(&b, &c)));
        prop_assert_eq!(joined(&a, &a), a);
    }
}

#[test]
fn the_survivor_has_its_own_identifiers_and_knows_what_it_replaced() {
    let events: Vec<_> = merged("OLD", "NEW", "Merged", "12:00").into();
    let census = census(&events);
    let found = census.patient(&name("OLD")).unwrap();
    assert_eq!(found.name, name("NEW"));
    assert_eq!(found.patient.identifier, [identifier("MR", "GH", "NEW")]);
    assert!(found.patient.active);
    assert_eq!((found.replaced, found.patient.link[0].r#type.as_str()), (vec![name("OLD")], "replaces"));
}

#[test]
fn coverages_of_the_person_are_the_latest_and_the_survivor_s() {
    let with = |plan: &str, event: PatientEvent| {
        let coverage = Coverage { payer_id: Some(plan.into()), ..Coverage::default() };
        person(PatientEvent { coverage: vec![coverage], ..event })
    };
    let mut events = vec![
        with("NEWER", about("OLD", "Old", "11:00")),
        with("OLDER", about("NEW", "New", "09:00")),
        person(about("NEW", "New", "13:00")),
    ];
    events.extend(merged("OLD", "NEW", "Merged", "12:00"));
    let found = census(&events).patient(&name("NEW")).unwrap();
    assert_eq!(found.coverage[0].payer_id.as_deref(), Some("NEWER"), "nothing said is no information");
}

#[test]
fn chains_lead_to_the_last_survivor() {
    let mut events = Vec::new();
    for (old, new, at) in [("3", "4", "08:00"), ("1", "2", "12:00"), ("2", "3", "10:00")] {
        events.extend(merged(old, new, new, at));
    }
    let census = census(&events);
    for mrn in ["1", "2", "3", "4"] {
        assert_eq!(census.patient(&name(mrn)).unwrap().name, name("4"));
    }
}

#[test]
fn circles_end_at_the_survivor_of_the_latest_merge() {
    for (merges, survivor) in [
        (vec![("1", "2", "10:00"), ("2", "1", "11:00")], "1"),
        (vec![("1", "2", "11:00"), ("2", "1", "10:00")], "2"),
        (vec![("1", "2", "10:00"), ("2", "3", "11:00"), ("3", "1", "12:00")], "1"),
    ] {
        let events: Vec<_> = merges.iter().flat_map(|(old, new, at)| merged(old, new, new, at)).collect();
        let census = census(&events);
        for (mrn, _, _) in &merges {
            assert_eq!(census.patient(&name(mrn)).unwrap().name, name(survivor), "{merges:?} from {mrn}");
        }
    }
    // Something that leads into a circle.
    let mut events: Vec<_> = merged("1", "2", "x", "10:00").into();
    events.extend(merged("2", "1", "x", "11:00"));
    events.extend(merged("0", "2", "x", "12:00"));
    assert_eq!(census(&events).patient(&name("0")).unwrap().name, name("1"));
}

#[test]
fn a_merge_can_be_taken_back() {
    let mut events = vec![person(about("OLD", "Old", "09:00")), person(about("NEW", "New", "09:00"))];
    events.extend(merged("OLD", "NEW", "New", "12:00"));
    events.push(encounter(Story::of("V1", "OLD").tell(Change::Admit, "10:00", "10:00")));
    let mut census = census(&events);
    assert_eq!(census.encounters()[0].patient, Some(name("NEW")));
    let later = {
        let event = about("OLD", "Old", "13:00");
        let mut other = Census::default();
        other
            .apply_patient(
                id(&event.source),
                &PatientEvent { alias: vec![alias(AliasLevel::Patient, ("MR", "X"), ("MR", "Y"))], ..event },
            )
            .unwrap();
        other.aliases().history(AliasLevel::Patient, &name("X")).next().unwrap().stamp
    };
    census.aliases().unlink(AliasLevel::Patient, name("OLD"), later);
    assert_eq!(census.encounters()[0].patient, Some(name("OLD")));
    assert_eq!(census.patient(&name("OLD")).unwrap().name, name("OLD"));
    assert_eq!(census.aliases().history(AliasLevel::Patient, &name("OLD")).count(), 2, "the log stays");
}

#[test]
fn a_visit_with_another_number_is_one_visit() {
    // A50 changes the number, A42 merges two.
    let change = PatientEvent {
        alias: vec![alias(AliasLevel::Visit, ("VN", "V1"), ("VN", "V2"))],
        ..about("1", "Name", "12:00")
    };
    let events = [
        encounter(Story::of("V2", "1").tell(Change::Discharge, "15:00", "15:00")),
        person(change),
        encounter(Story::of("V1", "1").tell(Change::Admit, "10:00", "10:00").place("MED")),
    ];
    let census = census(&events);
    let visits = census.encounters();
    assert_eq!((visits.len(), visits[0].key.clone()), (1, key("V2")));
    assert_eq!(visits[0].folded.encounter.status, "finished");
    assert_eq!(census.encounter(&key("V1")), census.encounter(&key("V2")));
    assert_eq!(census.encounter(&key("V3")), None);
}

#[test]
fn a_visit_moved_to_another_patient_is_that_patient_s() {
    // A45: same visit, other patient; the event of the encounter has the new one.
    let events = [
        encounter(Story::of("V1", "WRONG").tell(Change::Admit, "10:00", "10:00")),
        encounter(Story::of("V1", "RIGHT").tell(Change::Merge, "12:00", "12:00")),
    ];
    let visits = census(&events).encounters();
    assert_eq!(visits[0].patient, Some(name("RIGHT")));
    assert_eq!(visits[0].folded.encounter.status, "in-progress");
}

#[test]
fn accounts_that_are_merged_hold_one_visit() {
    let visit = |account: &str, change, at: &str| {
        let mut event = Story::of("V1", "1").tell(change, at, at);
        event.encounter.account = Some(identifier("AN", "GH", account));
        event
    };
    let merged = PatientEvent {
        alias: vec![alias(AliasLevel::Account, ("AN", "A1"), ("AN", "A2"))],
        ..about("1", "Name", "12:00")
    };
    let mut census = Census::new(Keying::VisitInAccount);
    for event in [visit("A1", Change::Admit, "10:00"), visit("A2", Change::Discharge, "15:00")] {
        census.apply_encounter(id(&event.source), &event).unwrap();
    }
    assert_eq!(census.encounters().len(), 2);
    census.apply_patient(id(&merged.source), &merged).unwrap();
    let visits = census.encounters();
    assert_eq!((visits.len(), visits[0].folded.encounter.status.as_str()), (1, "finished"));
}

#[test]
fn what_was_said_under_the_preadmit_number_belongs_to_the_visit() {
    let mut planned = Story::of("", "1").tell(Change::PreAdmit, "08:00", "08:00").class("PRENC");
    planned.encounter.pre_admit_number = Some(identifier("VN", "GH", "P1"));
    planned.encounter.admit_source = Some(waybill_contracts::fhir::CodeableConcept::default());
    let mut admitted = Story::of("V1", "1").tell(Change::Admit, "10:00", "10:00").class("IMP");
    admitted.encounter.pre_admit_number = Some(identifier("VN", "GH", "P1"));
    for events in [[planned.clone(), admitted.clone()], [admitted, planned]] {
        let visits = census(&events.map(encounter)).encounters();
        assert_eq!((visits.len(), visits[0].key.clone()), (1, key("V1")));
        assert_eq!(visits[0].folded.encounter.status, "in-progress");
        assert!(visits[0].folded.encounter.admit_source.is_some());
    }
}

#[test]
fn a_census_is_stored_and_read_back() {
    let census = census(&stay_with_a_merge());
    let text = serde_json::to_string(&census).unwrap();
    assert_eq!(serde_json::from_str::<Census>(&text).unwrap(), census);
}
