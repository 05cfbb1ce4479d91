//! Where a message stands, told as the cases an operator meets.

use crate::records::{Fact, event, waybill_of};
use waybill_contracts::{
    Timestamp,
    delivery::{MessageState, Outcome},
};
use waybill_delivery::{Waybill, line::Evidence};

const RECEIVED: Fact = Fact::Received { at: 0 };

fn normalized(events: &[usize], reason: Option<&str>) -> Fact {
    Fact::Normalized { at: 2, events: events.to_vec(), reason: reason.map(str::to_owned) }
}

fn receipt(destination: usize, outcome: Outcome, at: i64) -> Fact {
    let evidence = Evidence {
        outcome,
        at: Timestamp::from_millis(at),
        reason: (outcome < Outcome::Confirmed).then(|| "LAB-0002".to_owned()),
        acknowledgement: None,
        outbound_control_id: None,
    };
    Fact::Receipt { event: 0, destination, evidence, attempt: 1 }
}

fn routed(targets: &[(usize, i64)]) -> Fact {
    Fact::Routed { at: 4, event: 0, targets: targets.to_vec() }
}

fn read_up_to(at: i64) -> Fact {
    Fact::Watermark { at }
}

fn assert_stands(facts: &[Fact], state: MessageState, reason: Option<&str>) -> Waybill {
    let waybill = waybill_of(facts);
    let standing = waybill.standing();
    assert_eq!((standing.state, standing.reason.as_deref()), (state, reason), "{facts:?}");
    waybill
}

#[test]
fn a_message_is_open_until_it_is_accounted_for_and_then_overdue() {
    let waybill = assert_stands(&[RECEIVED], MessageState::Open, None);
    assert_eq!(waybill.next_deadline(), Some(Timestamp::from_millis(10)));
    assert_stands(&[RECEIVED, read_up_to(10)], MessageState::Open, None);
    let late = assert_stands(&[RECEIVED, read_up_to(11)], MessageState::Overdue, Some("TRK-0002"));
    assert_eq!(late.next_deadline(), None);
    assert_stands(
        &[RECEIVED, read_up_to(11), normalized(&[], Some("NRM-0001"))],
        MessageState::NoDestination,
        Some("NRM-0001"),
    );
}

#[test]
fn a_message_without_events_goes_nowhere_with_the_normalizers_reason() {
    let waybill = assert_stands(
        &[RECEIVED, normalized(&[], Some("NRM-0002"))],
        MessageState::NoDestination,
        Some("NRM-0002"),
    );
    assert_eq!(waybill.next_deadline(), None);
}

#[test]
fn events_without_a_subscriber_wait_for_the_watermark_before_they_go_nowhere() {
    let waybill = assert_stands(&[RECEIVED, normalized(&[1], None)], MessageState::Open, None);
    assert_eq!(waybill.next_deadline(), Some(Timestamp::from_millis(2)));
    assert_stands(
        &[RECEIVED, normalized(&[1], None), read_up_to(3)],
        MessageState::NoDestination,
        Some("TRK-0001"),
    );
}

#[test]
fn a_result_is_delivered_when_router_and_targets_confirmed() {
    let mut facts = vec![RECEIVED, normalized(&[0], None)];
    let waybill = assert_stands(&facts, MessageState::Open, None);
    assert_eq!(waybill.next_deadline(), Some(Timestamp::from_millis(22)));
    facts.push(routed(&[(1, 40), (2, 50)]));
    let waybill = assert_stands(&facts, MessageState::Open, None);
    assert_eq!(waybill.lines().count(), 3);
    assert_eq!(waybill.events[&event(0)].lines["lab-distributor"].outcome(), Outcome::Confirmed);
    assert_eq!(waybill.next_deadline(), Some(Timestamp::from_millis(44)));
    facts.push(receipt(1, Outcome::Confirmed, 6));
    assert_stands(&facts, MessageState::Open, None);
    facts.push(receipt(2, Outcome::Confirmed, 7));
    assert_stands(&facts, MessageState::Delivered, None);
}

#[test]
fn no_route_is_no_destination_with_the_routers_reason() {
    assert_stands(
        &[RECEIVED, normalized(&[0], None), routed(&[])],
        MessageState::NoDestination,
        Some("LAB-0001"),
    );
}

#[test]
fn a_line_is_overdue_by_the_watermark_and_a_late_confirmation_delivers() {
    let mut facts = vec![
        RECEIVED,
        normalized(&[0], None),
        routed(&[(1, 10)]),
        receipt(1, Outcome::Unknown, 5),
        read_up_to(14),
    ];
    assert_stands(&facts, MessageState::Open, None);
    facts.push(read_up_to(15));
    assert_stands(&facts, MessageState::Overdue, Some("TRK-0004"));
    facts.push(receipt(1, Outcome::Confirmed, 99));
    assert_stands(&facts, MessageState::Delivered, None);
}

#[test]
fn a_refusal_by_the_target_is_an_exception_even_while_others_are_open_until_it_confirms() {
    let mut facts =
        vec![RECEIVED, normalized(&[0], None), routed(&[(1, 10), (2, 10)]), receipt(1, Outcome::Rejected, 5)];
    assert_stands(&facts, MessageState::Exception, Some("LAB-0002"));
    facts.push(receipt(1, Outcome::Attempted, 6));
    assert_stands(&facts, MessageState::Exception, Some("LAB-0002"));
    facts.extend([receipt(1, Outcome::Confirmed, 7), receipt(2, Outcome::Filtered, 7)]);
    assert_stands(&facts, MessageState::Delivered, None);
}

#[test]
fn a_dead_letter_counts_only_while_no_receipt_settles_the_line() {
    let dead = Fact::DeadLetter { event: Some(0), destination: 1, at: 8 };
    let mut facts = vec![RECEIVED, normalized(&[0], None), routed(&[(1, 10)]), dead];
    assert_stands(&facts, MessageState::Exception, Some("KAF-0001"));
    let rejected = receipt(1, Outcome::Rejected, 5);
    let waybill =
        assert_stands(&[facts.clone(), vec![rejected]].concat(), MessageState::Exception, Some("LAB-0002"));
    assert_eq!(waybill.events[&event(0)].lines["ward-ehr"].outcome(), Outcome::Rejected);
    facts.push(receipt(1, Outcome::Confirmed, 5));
    assert_stands(&facts, MessageState::Delivered, None);
}

#[test]
fn a_message_the_normalizer_cannot_read_is_an_exception_until_it_can() {
    let dead = Fact::DeadLetter { event: None, destination: 0, at: 3 };
    let waybill = assert_stands(&[RECEIVED, dead.clone()], MessageState::Exception, Some("KAF-0001"));
    assert_eq!(waybill.next_deadline(), None);
    assert_stands(
        &[RECEIVED, dead, normalized(&[], Some("NRM-0001"))],
        MessageState::NoDestination,
        Some("NRM-0001"),
    );
}

#[test]
fn a_refusal_at_the_door_stands_until_the_message_comes_in() {
    let refused = Fact::Refused { at: 1 };
    let waybill = assert_stands(std::slice::from_ref(&refused), MessageState::Refused, Some("ING-0002"));
    assert_eq!(waybill.next_deadline(), None);
    assert_stands(&[refused, RECEIVED], MessageState::Open, None);
}

#[test]
fn receipts_without_a_message_are_orphans_after_the_grace() {
    let waybill = assert_stands(&[receipt(1, Outcome::Confirmed, 5)], MessageState::Open, None);
    assert_eq!(waybill.next_deadline(), Some(Timestamp::from_millis(35)));
    assert_stands(
        &[receipt(1, Outcome::Confirmed, 5), read_up_to(36)],
        MessageState::Overdue,
        Some("TRK-0003"),
    );
}

#[test]
fn a_receipt_that_nobody_expected_is_a_line() {
    let facts = [RECEIVED, normalized(&[0], None), routed(&[]), receipt(2, Outcome::Accepted, 5)];
    let waybill = assert_stands(&facts, MessageState::Open, None);
    assert_eq!(waybill.lines().count(), 2);
    assert_stands(&[facts.to_vec(), vec![read_up_to(36)]].concat(), MessageState::Overdue, Some("TRK-0004"));
}
