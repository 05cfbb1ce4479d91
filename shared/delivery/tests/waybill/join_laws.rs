//! No order, repetition or grouping of records changes the waybill.

use crate::records::{ALLOW, Fact, evidence, fact, subscriptions, waybill_of};
use proptest::prelude::*;
use waybill_contracts::{Timestamp, delivery::MessageState};
use waybill_delivery::{
    Line, Outcome, Waybill,
    balance::Sheet,
    line::{Due, is_terminal},
    record,
};

fn line() -> impl Strategy<Value = Line> {
    (
        proptest::option::of(evidence()),
        proptest::option::of((0_i64..9, proptest::option::of("[ab]"))),
        0_u32..4,
        proptest::option::of((any::<bool>(), 0_i64..9)),
    )
        .prop_map(|(evidence, dead, attempts, due)| {
            let mut line = evidence.map_or_else(Line::default, |evidence| Line::observed(evidence, attempts));
            line.dead_letter = dead.map(|(at, reason)| waybill_delivery::line::Failure {
                at: Timestamp::from_millis(at),
                reason,
            });
            line.due = due.map(|(grace, at)| {
                let at = Timestamp::from_millis(at);
                if grace { Due::Grace(at) } else { Due::Deadline(at) }
            });
            line
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn lines_join(a in line(), b in line(), c in line()) {
        prop_assert_eq!(a.clone().join(b.clone()), b.clone().join(a.clone()));
        prop_assert_eq!(a.clone().join(b.clone()).join(c.clone()), a.clone().join(b.clone().join(c)));
        prop_assert_eq!(a.clone().join(a.clone()), a.clone());
        prop_assert_eq!(a.clone().join(Line::default()), a.clone());
        let joined = a.clone().join(b);
        prop_assert!(joined.outcome() >= a.outcome() || is_terminal(joined.outcome()));
        prop_assert!(joined.attempts >= a.attempts);
    }

    #[test]
    fn waybills_join(a in proptest::collection::vec(fact(), 0..6), b in proptest::collection::vec(fact(), 0..6), c in proptest::collection::vec(fact(), 0..6)) {
        let (a, b, c) = (waybill_of(&a), waybill_of(&b), waybill_of(&c));
        prop_assert_eq!(a.clone().join(b.clone()), b.clone().join(a.clone()));
        prop_assert_eq!(a.clone().join(b.clone()).join(c.clone()), a.clone().join(b.join(c)));
        prop_assert_eq!(a.clone().join(a.clone()), a);
    }

    /// Any order, with any repeats, cut into any batches whose results are joined, stored and read again between.
    #[test]
    fn no_order_repeat_or_batching_matters(
        facts in proptest::collection::vec(fact(), 1..12),
        shuffle in any::<prop::sample::Selector>(),
        repeats in proptest::collection::vec(any::<prop::sample::Index>(), 0..8),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..5),
    ) {
        let expected = waybill_of(&facts);
        let mut replayed = facts.clone();
        replayed.extend(repeats.iter().map(|at| facts[at.index(facts.len())].clone()));
        let mut order: Vec<usize> = Vec::new();
        while order.len() < replayed.len() {
            let left: Vec<usize> = (0..replayed.len()).filter(|at| !order.contains(at)).collect();
            order.push(shuffle.select(left));
        }
        let replayed: Vec<Fact> = order.into_iter().map(|at| replayed[at].clone()).collect();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(replayed.len())).collect();
        cuts.extend([0, replayed.len()]);
        cuts.sort_unstable();
        let mut stored = Waybill::default();
        for range in cuts.windows(2) {
            let text = serde_json::to_string(&stored).unwrap();
            let read: Waybill = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(&read, &stored);
            stored = read.join(waybill_of(&replayed[range[0]..range[1]]));
        }
        prop_assert_eq!(stored.standing(), expected.standing());
        prop_assert_eq!(stored.next_deadline(), expected.next_deadline());
        prop_assert_eq!(stored, expected);
    }

    #[test]
    fn a_growing_watermark_only_moves_what_is_open(facts in proptest::collection::vec(fact(), 0..10), step in 0_i64..60) {
        let before = waybill_of(&facts);
        let watermark = before.watermark.unwrap_or_default().as_millis() + step;
        let after = before.clone().read_up_to(Timestamp::from_millis(watermark));
        match before.standing().state {
            MessageState::Open => prop_assert!(matches!(
                after.standing().state,
                MessageState::Open | MessageState::Overdue | MessageState::NoDestination
            )),
            state => prop_assert_eq!(after.standing().state, state),
        }
        if after.standing() != before.standing() {
            prop_assert!(before.next_deadline().is_some_and(|due| due.as_millis() < watermark), "a change nobody would look for");
        }
        prop_assert!(after.next_deadline() >= before.next_deadline() || after.next_deadline().is_none());
    }

    #[test]
    fn confirming_everything_delivers_however_late(facts in proptest::collection::vec(fact(), 0..10), watermark in 0_i64..90) {
        let mut waybill = waybill_of(&facts).join(waybill_of(&[Fact::Received { at: 1 }, Fact::Normalized { at: 2, events: vec![0], reason: None }]));
        waybill = waybill.read_up_to(Timestamp::from_millis(watermark));
        let all: Vec<Fact> = waybill.lines().map(|((event, _), destination, _)| Fact::Confirmed { event, destination: destination.to_owned(), at: 99 }).collect();
        prop_assert!(!all.is_empty());
        let waybill = waybill.join(waybill_of(&all));
        prop_assert_eq!(waybill.standing().state, MessageState::Delivered);
        prop_assert_eq!(waybill.next_deadline(), None);
        // Whatever else is heard of these lines changes nothing.
        for fact in facts.iter().filter(|fact| matches!(fact, Fact::Receipt { .. } | Fact::DeadLetter { .. })) {
            prop_assert_eq!(waybill.clone().join(fact.waybill()).standing().state, MessageState::Delivered);
        }
    }

    #[test]
    fn the_sheet_of_differences_is_the_sheet_of_the_result(
        steps in proptest::collection::vec(proptest::collection::vec(fact(), 0..4), 1..6),
    ) {
        let (mut known, mut running) = (Waybill::default(), Sheet::default());
        for facts in &steps {
            let next = known.clone().join(waybill_of(facts));
            running.subtract(&known);
            running.add(&next);
            known = next;
        }
        let mut whole = Sheet::default();
        whole.add(&known);
        prop_assert!(running.rows().eq(whole.rows()));
        prop_assert!(whole.rows().all(|(_, counts)| counts.difference() == 0));
        prop_assert_eq!(whole.rows().map(|(_, counts)| counts.expected).sum::<i64>(), i64::try_from(known.lines().count()).unwrap());
    }

    #[test]
    fn claiming_twice_is_claiming_once(facts in proptest::collection::vec(fact(), 0..8)) {
        let once = record::claim(waybill_of(&facts), &subscriptions());
        prop_assert_eq!(record::claim(once.clone(), &subscriptions()), once.clone());
        prop_assert_eq!(once.clone().join(waybill_of(&facts)), once);
    }
}

#[test]
fn allowances_are_what_the_generator_assumes() {
    assert!(ALLOW.manifest_within < ALLOW.orphan_grace);
    assert_eq!(Outcome::Expected, Line::default().outcome());
}
