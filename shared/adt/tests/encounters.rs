//! The rules of an encounter, each in every order of its events and with every event twice.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]
#![expect(dead_code, reason = "each test file uses its part of the support")]

#[path = "support/story.rs"]
mod story;

use story::{Story, Told as _, at, id, identifier};
use waybill_adt::{EncounterKey, EncounterState, Folded, Join as _, Keying, NotFolded, Notice};
use waybill_contracts::{
    Phi,
    clinical::{EncounterChange as Change, EncounterEvent},
};

const STAY: Story = Story::of("V1", "1");

fn tell(change: Change, occurred: &str, sent: &str) -> EncounterEvent {
    STAY.tell(change, occurred, sent)
}

/// The state after `events` in every order, each event twice; the same after all of them.
fn after(events: &[EncounterEvent]) -> Folded {
    assert!(events.len() <= 6, "{} orders would take too long", events.len());
    let mut order: Vec<usize> = (0..events.len()).collect();
    let expected = fold(events.iter().collect());
    loop {
        let twice = order.iter().flat_map(|at| [&events[*at], &events[order[0]]]).collect();
        assert_eq!(fold(twice), expected, "in the order {order:?}");
        if !next_permutation(&mut order) {
            return expected;
        }
    }
}

fn fold(events: Vec<&EncounterEvent>) -> Folded {
    let mut state = EncounterState::default();
    for event in events {
        state.apply(id(&event.source), event);
    }
    state.folded()
}

fn next_permutation(order: &mut [usize]) -> bool {
    let Some(at) = order.windows(2).rposition(|pair| pair[0] < pair[1]) else { return false };
    let other = order.iter().rposition(|value| *value > order[at]).unwrap();
    order.swap(at, other);
    order[at + 1..].reverse();
    true
}

fn ward(folded: &Folded) -> Option<&str> {
    folded.encounter.location.first()?.point_of_care.as_deref()
}

fn end(folded: &Folded) -> Option<&str> {
    folded.encounter.period.as_ref()?.end.as_ref().map(|end| end.expose().as_str())
}

#[test]
fn each_event_has_its_status() {
    for (change, status) in [
        (Change::Admit, "in-progress"),
        (Change::Register, "in-progress"),
        (Change::PreAdmit, "planned"),
        (Change::Transfer, "in-progress"),
        (Change::ToInpatient, "in-progress"),
        (Change::ToOutpatient, "in-progress"),
        (Change::Discharge, "finished"),
        (Change::CancelAdmit, "cancelled"),
        (Change::CancelPreAdmit, "cancelled"),
        (Change::CancelDischarge, "in-progress"),
        (Change::CancelTransfer, "in-progress"),
        (Change::Update, "unknown"),
        (Change::Merge, "unknown"),
    ] {
        assert_eq!(after(&[tell(change, "10:00", "10:00")]).encounter.status, status, "{change:?}");
    }
}

#[test]
fn a_stay_in_any_order() {
    let folded = after(&[
        tell(Change::Admit, "10:00", "10:00").place("MED").class("IMP"),
        tell(Change::Update, "11:00", "11:00").place("MED"),
        tell(Change::Transfer, "12:00", "12:00").place("ICU"),
        tell(Change::Discharge, "15:00", "15:01").place("ICU").ended("15:00").disposed("01"),
    ]);
    assert_eq!((folded.encounter.status.as_str(), ward(&folded)), ("finished", Some("ICU")));
    assert_eq!(end(&folded), Some(at("15:00").to_rfc3339().as_str()));
    assert!(folded.encounter.discharge_disposition.is_some());
    assert_eq!(folded.notices, []);
}

#[test]
fn a_cancelled_discharge_and_another_one() {
    // healthcare.md §5.3: A01, A08, A03, A13, A03.
    let events = [
        tell(Change::Admit, "10:00", "10:00").place("MED"),
        tell(Change::Update, "11:00", "11:00").place("MED"),
        tell(Change::Discharge, "15:00", "15:00").place("MED").ended("15:00").disposed("01"),
        // EVN-6 of a cancel is the time of what it cancels.
        tell(Change::CancelDischarge, "15:00", "16:00").place("SURG"),
        tell(Change::Discharge, "18:00", "18:00").place("SURG").ended("18:00").disposed("02"),
    ];
    let open = after(&events[..4]);
    assert_eq!(
        (open.encounter.status.as_str(), ward(&open), end(&open)),
        ("in-progress", Some("SURG"), None)
    );
    assert_eq!(open.encounter.discharge_disposition, None);
    let closed = after(&events);
    assert_eq!((closed.encounter.status.as_str(), ward(&closed)), ("finished", Some("SURG")));
    assert_eq!(end(&closed), Some(at("18:00").to_rfc3339().as_str()));
}

#[test]
fn a_discharge_entered_again_with_an_earlier_time_stands() {
    let folded = after(&[
        tell(Change::Admit, "10:00", "10:00"),
        tell(Change::Discharge, "15:00", "15:00").ended("15:00"),
        tell(Change::CancelDischarge, "15:00", "16:00"),
        tell(Change::Discharge, "14:30", "17:00").ended("14:30"),
    ]);
    assert_eq!((folded.encounter.status.as_str(), folded.notices.len()), ("finished", 0));
    assert_eq!(end(&folded), Some(at("14:30").to_rfc3339().as_str()));
}

#[test]
fn an_update_that_repeats_a_cancelled_discharge_ends_nothing() {
    let folded = after(&[
        tell(Change::Admit, "10:00", "10:00"),
        tell(Change::Discharge, "15:00", "15:00").ended("15:00"),
        tell(Change::Update, "15:30", "15:30").ended("15:00"),
        tell(Change::CancelDischarge, "15:00", "16:00"),
    ]);
    assert_eq!((folded.encounter.status.as_str(), end(&folded)), ("in-progress", None));
}

#[test]
fn a_cancelled_admission_takes_the_stay_with_it_and_a_new_one_stands() {
    let admitted = tell(Change::Admit, "10:00", "10:00");
    let discharged = tell(Change::Discharge, "15:00", "15:00").ended("15:00");
    let cancelled = tell(Change::CancelAdmit, "10:00", "16:00");
    assert_eq!(
        after(&[admitted.clone(), discharged.clone(), cancelled.clone()]).encounter.status,
        "cancelled"
    );
    let again = tell(Change::Admit, "17:00", "17:00");
    assert_eq!(after(&[admitted, discharged, cancelled, again]).encounter.status, "in-progress");
}

#[test]
fn a_registration_is_cancelled_like_an_admission() {
    let events = [tell(Change::Register, "10:00", "10:00"), tell(Change::CancelAdmit, "11:00", "11:00")];
    assert_eq!(after(&events).encounter.status, "cancelled");
}

#[test]
fn a_cancel_waits_for_its_target_and_says_so() {
    let cancel = tell(Change::CancelAdmit, "10:00", "10:05");
    let alone = after(std::slice::from_ref(&cancel));
    assert!(
        matches!(alone.notices[..], [Notice::CancelWithoutTarget(Change::CancelAdmit, stamp)]
            if stamp.sent == Some(at("10:05"))),
        "{:?}",
        alone.notices
    );
    let both = after(&[cancel, tell(Change::Admit, "10:00", "10:00")]);
    assert_eq!((both.encounter.status.as_str(), both.notices.len()), ("cancelled", 0));
}

#[test]
fn a_cancel_holds_against_an_older_event_with_a_newer_header() {
    let cancel = tell(Change::CancelAdmit, "12:00", "12:00");
    let resent = tell(Change::Admit, "10:00", "12:30");
    let folded = after(&[cancel.clone(), resent.clone()]);
    assert_eq!(folded.encounter.status, "cancelled");
    assert!(matches!(folded.notices[..], [Notice::CancelledThoughSentLater(Change::Admit, _)]));
    // The first sending is known as well: still the same admission.
    let first = tell(Change::Admit, "10:00", "10:00");
    assert_eq!(after(&[cancel, resent, first]).encounter.status, "cancelled");
}

#[test]
fn without_times_of_sending_the_event_s_own_time_decides() {
    let events = [tell(Change::CancelDischarge, "15:00", ""), tell(Change::Discharge, "14:59", "")];
    assert_eq!(after(&events).encounter.status, "in-progress");
    let events = [tell(Change::CancelDischarge, "15:00", ""), tell(Change::Discharge, "15:01", "")];
    assert_eq!(after(&events).encounter.status, "finished");
}

#[test]
fn a_cancelled_transfer_leads_back() {
    let admitted = tell(Change::Admit, "10:00", "10:00").place("MED");
    let moved = tell(Change::Transfer, "12:00", "12:00").place("ICU");
    let update = tell(Change::Update, "13:00", "13:00").place("ICU");
    // PV1-3 says where the patient is after it.
    let back = tell(Change::CancelTransfer, "12:00", "14:00").place("MED");
    let folded = after(&[admitted.clone(), moved.clone(), update.clone(), back]);
    assert_eq!((ward(&folded), folded.encounter.status.as_str()), (Some("MED"), "in-progress"));
    // Or does not say it.
    let silent = tell(Change::CancelTransfer, "12:00", "14:00");
    let folded = after(&[admitted.clone(), moved.clone(), update, silent]);
    assert_eq!(ward(&folded), Some("MED"));
    // Of two moves only the last is taken back.
    let again = tell(Change::Transfer, "13:00", "13:00").place("SURG");
    let last = tell(Change::CancelTransfer, "13:00", "14:00");
    let first = tell(Change::CancelTransfer, "12:00", "15:00");
    assert_eq!(ward(&after(&[admitted.clone(), moved.clone(), again.clone(), last.clone()])), Some("ICU"));
    assert_eq!(ward(&after(&[admitted, moved, again, last, first])), Some("MED"));
}

#[test]
fn a_pre_admission_neither_starts_late_nor_ends_a_stay() {
    let planned = tell(Change::PreAdmit, "08:00", "08:00");
    let withdrawn = tell(Change::CancelPreAdmit, "08:00", "09:00");
    assert_eq!(after(&[planned.clone(), withdrawn.clone()]).encounter.status, "cancelled");
    let admitted = tell(Change::Admit, "08:30", "08:30");
    assert_eq!(after(&[planned.clone(), withdrawn, admitted.clone()]).encounter.status, "in-progress");
    let repeated = tell(Change::PreAdmit, "11:00", "11:00");
    assert_eq!(after(&[planned, admitted, repeated]).encounter.status, "in-progress");
}

#[test]
fn class_changes_and_comes_back() {
    let events = [
        tell(Change::Register, "10:00", "10:00").class("EMER"),
        tell(Change::ToInpatient, "12:00", "12:00").class("IMP"),
        tell(Change::Update, "11:00", "11:00").class("EMER"),
        tell(Change::ToOutpatient, "14:00", "14:00").class("AMB"),
    ];
    let class = |events: &[EncounterEvent]| after(events).encounter.class.unwrap().code.unwrap();
    assert_eq!(class(&events[..3]), "IMP", "a late, older update does not regress it");
    assert_eq!(class(&events), "AMB");
}

#[test]
fn an_update_says_nothing_about_the_status_and_a_late_one_nothing_new() {
    let mut old = tell(Change::Update, "11:00", "11:00").place("MED");
    old.encounter.financial_class = Some("OLD".into());
    let mut new = tell(Change::Update, "13:00", "13:00").place("ICU");
    new.encounter.financial_class = Some("NEW".into());
    let silent = tell(Change::Update, "14:00", "14:00");
    let folded = after(&[tell(Change::Admit, "10:00", "10:00"), old, new, silent]);
    assert_eq!((folded.encounter.status.as_str(), ward(&folded)), ("in-progress", Some("ICU")));
    assert_eq!(folded.encounter.financial_class.as_deref(), Some("NEW"), "nothing said is no information");
}

#[test]
fn a_snapshot_is_the_whole_encounter_at_its_time() {
    let mut first = tell(Change::Snapshot, "10:00", "").status("in-progress").place("MED").class("IMP");
    first.encounter.financial_class = Some("X".into());
    let second = tell(Change::Snapshot, "12:00", "").status("finished").ended("12:00").class("IMP");
    let folded = after(&[first.clone(), second]);
    assert_eq!((folded.encounter.status.as_str(), ward(&folded)), ("finished", None));
    assert_eq!(folded.encounter.financial_class, None);
    assert!(end(&folded).is_some());
    let admitted = tell(Change::Admit, "11:00", "11:00");
    assert_eq!(after(&[first, admitted]).encounter.status, "in-progress");
}

#[test]
fn events_of_one_second_have_the_order_of_a_stay() {
    let events = [tell(Change::Discharge, "10:00", "10:00"), tell(Change::Admit, "10:00", "10:00")];
    assert_eq!(after(&events).encounter.status, "finished");
}

#[test]
fn a_new_admission_after_a_discharge_opens_the_stay_again() {
    let folded = after(&[
        tell(Change::Admit, "10:00", "10:00"),
        tell(Change::Discharge, "12:00", "12:00").ended("12:00"),
        tell(Change::Admit, "13:00", "13:00"),
    ]);
    assert_eq!((folded.encounter.status.as_str(), end(&folded)), ("in-progress", None));
}

#[test]
fn what_a_newer_version_writes_is_content_and_a_notice() {
    let mut event = tell(Change::Unknown, "10:00", "10:00");
    event.encounter.financial_class = Some("X".into());
    let folded = after(&[event, tell(Change::Admit, "09:00", "09:00")]);
    assert_eq!(folded.encounter.status, "in-progress");
    assert!(folded.encounter.financial_class.is_some());
    assert!(matches!(folded.notices[..], [Notice::UnknownChange(_)]));
}

#[test]
fn memory_is_bounded_and_what_is_forgotten_is_the_oldest() {
    let mut state = EncounterState::default();
    let mut events = Vec::new();
    for minute in 0..300 {
        let clock = format!("{:02}:{:02}", minute / 60, minute % 60);
        events.push(tell(Change::Transfer, &clock, &clock).place(&format!("W{minute}")));
    }
    let size = |state: &EncounterState| serde_json::to_string(state).unwrap().len();
    for event in events.iter().rev() {
        state.apply(id(&event.source), event);
    }
    let backwards = size(&state);
    let mut forwards = EncounterState::default();
    for event in &events {
        forwards.apply(id(&event.source), event);
    }
    assert_eq!(state, forwards);
    assert!(
        backwards
            < 40 * size(&{
                let mut one = EncounterState::default();
                one.apply(id(&events[0].source), &events[0]);
                one
            })
    );
    assert_eq!(ward(&state.folded()), Some("W299"));
}

#[test]
fn states_are_joined_and_stored() {
    let one = tell(Change::Admit, "10:00", "10:00").place("MED");
    let other = tell(Change::Discharge, "12:00", "12:00");
    let state = |event: &EncounterEvent| {
        let mut state = EncounterState::default();
        state.apply(id(&event.source), event);
        state
    };
    let (mut left, mut right) = (state(&one), state(&other));
    left.join(&state(&other));
    right.join(&state(&one));
    assert_eq!(left, right);
    left.join(&right.clone());
    assert_eq!(left, right);
    let text = serde_json::to_string(&left).unwrap();
    assert_eq!(serde_json::from_str::<EncounterState>(&text).unwrap(), right);
}

#[test]
fn the_key_is_the_visit_never_the_message() {
    let key = |event: &EncounterEvent| EncounterKey::of(event, Keying::Visit);
    let event = tell(Change::Admit, "10:00", "10:00");
    let mut other = tell(Change::Update, "11:00", "11:00");
    other.source.control_id = Some("another".into());
    assert_eq!(key(&event), key(&other));

    let mut elsewhere = event.clone();
    elsewhere.source.sending_facility = Some("OTHER".into());
    assert_ne!(key(&event), key(&elsewhere), "a namespace is the facility's own");
    let unique = |event: &EncounterEvent| {
        let mut event = event.clone();
        event.encounter.identifier[0].system = Some("urn:oid:1.2.3".into());
        event
    };
    assert_eq!(key(&unique(&event)), key(&unique(&elsewhere)));

    let mut nameless = event.clone();
    nameless.encounter.identifier.clear();
    assert_eq!(key(&nameless), Err(NotFolded::NoVisitNumber));
    nameless.encounter.pre_admit_number = Some(identifier("VN", "GH", "P1"));
    assert!(key(&nameless).is_ok());

    let mut account = event.clone();
    account.encounter.account = Some(identifier("AN", "GH", "A1"));
    assert_eq!(key(&account), key(&event));
    let within = EncounterKey::of(&account, Keying::VisitInAccount).unwrap();
    assert_ne!(within, EncounterKey::of(&event, Keying::VisitInAccount).unwrap());
}

#[test]
fn nothing_identifying_is_printed() {
    let mut event = tell(Change::Admit, "10:00", "10:00");
    event.encounter.identifier[0].value = Phi::from("VERYSECRET");
    let mut state = EncounterState::default();
    state.apply(id(&event.source), &event);
    let key = EncounterKey::of(&event, Keying::Visit).unwrap();
    assert!(!format!("{state:?} {key:?} {:?}", state.folded()).contains("VERYSECRET"));
}
