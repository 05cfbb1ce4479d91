//! Crashes, repeats and owners that do not know yet that they are none.

use waybill_contracts::delivery::{MessageState, Outcome};
use waybill_delivery::{Classify as _, ErrorClass};
use waybill_store::{Move, PostgresConfig, StoreError};

use crate::{
    books,
    facts::{self, Owner, at, intake, message, normalized, partition, receipt, received, routed},
};

/// The commit was answered into the void: the same batch comes again with the same positions.
#[tokio::test]
async fn a_batch_whose_commit_was_not_answered_changes_nothing_the_second_time() {
    let books = books!().with_subscription().await;
    books.ledger.stored_offsets(&[partition(0)]).await.unwrap();
    let id = message(1);
    let batch = intake(vec![(id, received(0)), (id, normalized(id, 1, &[facts::LAB]))]);
    let moves = [Move { partition: partition(0), previous: None, next: 2 }];
    let first = books.ledger.apply(&batch, &moves, at(10)).await.unwrap();
    assert_eq!(first.len(), 1);
    let before = books.message(id).await;
    assert!(books.ledger.apply(&batch, &moves, at(20)).await.unwrap().is_empty());
    assert_eq!(books.message(id).await, before);
    assert_eq!(books.ledger.stored_offsets(&[partition(0)]).await.unwrap(), [Some(2)]);
    books.assert_balanced().await;
    books.drop().await;
}

/// Kafka was wiped or the offsets were set back: everything is read again.
#[tokio::test]
async fn a_full_replay_changes_nothing() {
    let books = books!().with_subscription().await;
    let id = message(1);
    let story = vec![
        (id, received(0)),
        (id, normalized(id, 1, &[facts::LAB])),
        (id, routed(id, 2, &["ward-ehr"])),
        (id, receipt(id, "ward-ehr", Outcome::Confirmed, 1, 3)),
    ];
    let mut owner = Owner::of(books.replica(), partition(0)).await;
    owner.apply(story.clone()).await.unwrap();
    let before = books.message(id).await;
    assert_eq!(before.standing.state, MessageState::Delivered);
    let told = books.outbox().await.len();
    let mut again = Owner::of(books.replica(), partition(1)).await;
    for one in story {
        assert!(again.apply(vec![one]).await.unwrap().is_empty());
    }
    assert_eq!(books.message(id).await, before);
    assert_eq!(books.outbox().await.len(), told);
    books.assert_balanced().await;
    books.drop().await;
}

#[tokio::test]
async fn an_owner_that_was_replaced_is_fenced_and_writes_nothing() {
    let books = books!().with_subscription().await;
    let mut zombie = Owner::of(books.replica(), partition(0)).await;
    zombie.apply(vec![(message(1), received(0))]).await.unwrap();
    let mut owner = Owner::of(books.replica(), partition(0)).await;
    owner.apply(vec![(message(2), received(0)), (message(3), received(0))]).await.unwrap();
    let error = zombie.apply(vec![(message(4), received(0))]).await.unwrap_err();
    assert!(
        matches!(error, StoreError::Fenced { partition: 0, expected: Some(1), found: Some(3), .. }),
        "{error}"
    );
    assert_eq!(error.class(), ErrorClass::Unavailable);
    let found = confirmation_tracker::queries::message(books.ledger.store(), message(4)).await.unwrap();
    assert!(found.is_none());
    // It cannot raise the watermark of a partition either.
    zombie.ledger.read_up_to(&[(partition(0), zombie.stands)], at(99)).await.unwrap();
    assert_eq!(books.ledger.watermark(&[partition(0)]).await.unwrap(), None);
    owner.ledger.read_up_to(&[(partition(0), owner.stands)], at(50)).await.unwrap();
    assert_eq!(books.ledger.watermark(&[partition(0)]).await.unwrap(), Some(at(50)));
    books.drop().await;
}

#[tokio::test]
async fn a_database_that_is_not_there_is_unavailable_and_nothing_hangs() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let config = PostgresConfig {
        url: format!("postgresql://waybill@{address}/waybill"),
        ..PostgresConfig::default()
    };
    let ledger = confirmation_tracker::ledger::Ledger::new(waybill_store::Store::new(&config).unwrap(), "g");
    for error in [
        ledger.migrate().await.unwrap_err(),
        ledger.stored_offsets(&[partition(0)]).await.unwrap_err(),
        ledger.apply(&intake(vec![(message(1), received(0))]), &[], at(0)).await.unwrap_err(),
        ledger.pass(at(0), at(0)).await.unwrap_err(),
    ] {
        assert_eq!(error.class(), ErrorClass::Unavailable, "{error}");
    }
}
