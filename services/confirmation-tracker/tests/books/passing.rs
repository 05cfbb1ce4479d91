//! Time passes by the watermark.

use waybill_contracts::delivery::{MessageState, Outcome};

use crate::{
    books,
    facts::{self, Owner, at, message, normalized, partition, receipt, received, routed},
};

#[tokio::test]
async fn what_is_late_is_said_once_and_a_late_confirmation_closes_it() {
    let books = books!().with_subscription().await;
    let id = message(1);
    let mut owner = Owner::of(books.replica(), partition(0)).await;
    owner
        .apply(vec![
            (id, received(0)),
            (id, normalized(id, 1, &[facts::LAB])),
            (id, routed(id, 2, &["ward-ehr"])),
        ])
        .await
        .unwrap();
    let (none, more) = books.ledger.pass(at(302), at(0)).await.unwrap();
    assert!(none.is_empty() && !more);
    let (late, _) = books.ledger.pass(at(303), at(0)).await.unwrap();
    assert_eq!(late.len(), 1);
    assert_eq!(late[0].standing.reason.as_deref(), Some("TRK-0004"));
    let (again, _) = books.ledger.pass(at(400), at(0)).await.unwrap();
    assert!(again.is_empty());
    books.assert_balanced().await;
    // A replica that has not seen that time pass does not set it back.
    owner.apply(vec![(id, receipt(id, "ward-ehr", Outcome::Attempted, 1, 200))]).await.unwrap();
    assert_eq!(books.message(id).await.standing.state, MessageState::Overdue);
    let closed = owner.apply(vec![(id, receipt(id, "ward-ehr", Outcome::Confirmed, 2, 500))]).await.unwrap();
    assert_eq!(closed[0].before, Some(MessageState::Overdue));
    assert_eq!(closed[0].standing.state, MessageState::Delivered);
    let told: Vec<_> = books.outbox().await.iter().map(|status| status.state).collect();
    assert_eq!(told, [MessageState::Overdue, MessageState::Delivered]);
    books.assert_balanced().await;
    books.drop().await;
}

#[tokio::test]
async fn a_message_that_is_never_accounted_for_cannot_hide() {
    let books = books!();
    let mut owner = Owner::of(books.replica(), partition(0)).await;
    owner.apply(vec![(message(1), received(0))]).await.unwrap();
    let (late, _) = books.ledger.pass(at(61), at(0)).await.unwrap();
    assert_eq!(late[0].standing.reason.as_deref(), Some("TRK-0002"));
    books.drop().await;
}

#[tokio::test]
async fn a_subscription_that_was_read_late_still_counts() {
    let books = books!();
    let (id, other) = (message(1), message(2));
    let mut owner = Owner::of(books.replica(), partition(0)).await;
    let first = owner.apply(vec![(id, normalized(id, 10, &[facts::LAB]))]).await.unwrap();
    assert_eq!(first[0].standing.state, MessageState::Open);
    owner.apply(vec![(other, normalized(other, 10, &["clinical.patient.v1"]))]).await.unwrap();
    // Declared before the manifest was made, in a partition that was read after it.
    books.ledger.declare(&[facts::subscription(5)]).await.unwrap();
    let (passed, _) = books.ledger.pass(at(11), at(0)).await.unwrap();
    assert_eq!(passed.len(), 1);
    assert_eq!(passed[0].id, other);
    assert_eq!(passed[0].standing.reason.as_deref(), Some("TRK-0001"));
    let entry = books.message(id).await;
    assert_eq!(entry.standing.state, MessageState::Open);
    assert_eq!(entry.waybill.lines().count(), 1);
    books.assert_balanced().await;
    books.drop().await;
}

#[tokio::test]
async fn the_latest_declaration_counts_in_whatever_order_they_come() {
    let books = books!();
    let retired = waybill_contracts::delivery::Subscription {
        state: waybill_contracts::delivery::SubscriptionState::Retired,
        ..facts::subscription(20)
    };
    books.ledger.declare(&[retired, facts::subscription(5)]).await.unwrap();
    books.ledger.declare(&[facts::subscription(5)]).await.unwrap();
    let (owed, free) = (message(1), message(2));
    let mut owner = Owner::of(books.replica(), partition(0)).await;
    owner
        .apply(vec![(owed, normalized(owed, 10, &[facts::LAB])), (free, normalized(free, 30, &[facts::LAB]))])
        .await
        .unwrap();
    assert_eq!(books.message(owed).await.waybill.lines().count(), 1);
    assert_eq!(books.message(free).await.waybill.lines().count(), 0);
    books.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_pass_together_say_everything_once() {
    let books = books!();
    let mut owner = Owner::of(books.replica(), partition(0)).await;
    let messages = 2500_u32;
    owner.apply((0..messages).map(|number| (message(number), received(0))).collect()).await.unwrap();
    let replicas: Vec<_> = (0..3)
        .map(|_| {
            let ledger = books.replica();
            tokio::spawn(async move {
                let mut said = 0;
                loop {
                    let (transitions, more) = ledger.pass(at(61), at(0)).await.unwrap();
                    said += transitions.len();
                    if !more {
                        return said;
                    }
                }
            })
        })
        .collect();
    let mut said = 0;
    for replica in replicas {
        said += replica.await.unwrap();
    }
    // What another one had locked is left to it, or to the next look.
    said += books.ledger.pass(at(61), at(0)).await.unwrap().0.len();
    assert_eq!(said, messages as usize);
    assert_eq!(books.outbox().await.len(), messages as usize);
    books.assert_balanced().await;
    books.drop().await;
}
