//! Any batching, by any number of replicas at once, gives the same books.

use std::collections::BTreeMap;

use confirmation_tracker::queries::{self, Filter};
use waybill_contracts::{
    MessageId,
    delivery::{MessageState, Outcome},
};
use waybill_delivery::{Waybill, record};

use crate::{
    books,
    facts::{self, Owner, message, normalized, partition, receipt, received, routed},
};

const TARGETS: [&str; 2] = ["registry", "ward-ehr"];

/// What the records of one message say, all of them.
fn story(number: u32) -> Vec<Waybill> {
    let id = message(number);
    let mut story =
        vec![received(0), normalized(id, 1, &[facts::LAB, "clinical.patient.v1"]), routed(id, 2, &TARGETS)];
    for target in TARGETS {
        story.push(receipt(id, target, Outcome::Attempted, 1, 3));
        story.push(receipt(id, target, Outcome::Unknown, 2, 4));
        story.push(match number % 3 {
            0 => receipt(id, target, Outcome::Confirmed, 3, 5),
            1 => receipt(id, target, Outcome::Rejected, 3, 5),
            _ => receipt(id, target, Outcome::Accepted, 3, 5),
        });
    }
    story
}

/// A fixed mix: the numbers of a linear congruential generator.
fn mixed<T>(mut items: Vec<T>, mut seed: u64) -> Vec<T> {
    for last in (1..items.len()).rev() {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        items.swap(last, (seed >> 33) as usize % (last + 1));
    }
    items
}

#[tokio::test(flavor = "multi_thread")]
async fn four_replicas_on_the_same_messages_agree_with_the_pure_join() {
    let books = books!().with_subscription().await;
    let messages = 60;
    let mut all: Vec<(MessageId, Waybill)> = (0..messages)
        .flat_map(|number| story(number).into_iter().map(move |fact| (message(number), fact)))
        .collect();
    // Some records are repeated, elsewhere and later.
    let repeats: Vec<_> = all.iter().step_by(7).cloned().collect();
    all.extend(repeats);
    let all = mixed(all, 7);

    let replicas: Vec<_> = (0..4_usize)
        .map(|number| {
            let (ledger, mine) =
                (books.replica(), all.iter().skip(number).step_by(4).cloned().collect::<Vec<_>>());
            tokio::spawn(async move {
                let mut owner = Owner::of(ledger, partition(number as i32)).await;
                for batch in mine.chunks(9 + number) {
                    owner.apply(batch.to_vec()).await.unwrap();
                }
            })
        })
        .collect();
    for replica in replicas {
        replica.await.unwrap();
    }

    let subscriptions = [facts::subscription(0)].iter().collect();
    for number in 0..messages {
        let expected = story(number).into_iter().fold(Waybill::default(), Waybill::join);
        let expected = record::claim(expected, &subscriptions);
        let entry = books.message(message(number)).await;
        assert_eq!(entry.waybill, expected);
        assert_eq!(entry.standing, expected.standing());
        let state =
            [MessageState::Delivered, MessageState::Exception, MessageState::Open][number as usize % 3];
        assert_eq!(entry.standing.state, state);
    }
    books.assert_balanced().await;

    // The last status of each message that was told says where it stands.
    let mut told = BTreeMap::new();
    for status in books.outbox().await {
        told.insert(status.message_id, status.state);
    }
    for number in 0..messages {
        let told = told.get(&message(number)).copied();
        assert_eq!(
            told,
            [Some(MessageState::Delivered), Some(MessageState::Exception), None][number as usize % 3]
        );
    }
    books.drop().await;
}

#[tokio::test]
async fn a_list_is_paged_newest_first_and_filtered() {
    let books = books!().with_subscription().await;
    let mut owner = Owner::of(books.replica(), partition(0)).await;
    let facts = (0..25_u32).flat_map(|number| {
        let mut facts = story(number);
        facts[0] = received(i64::from(number) - 30);
        facts.into_iter().map(move |fact| (message(number), fact))
    });
    owner.apply(facts.collect()).await.unwrap();
    let mut seen = Vec::new();
    let mut filter = Filter { limit: 10, ..Filter::default() };
    loop {
        let page = queries::messages(books.ledger.store(), &filter).await.unwrap();
        let Some(last) = page.last() else { break };
        filter.after = Some((last.waybill.accounted_at(), last.id));
        seen.extend(page.iter().map(|entry| entry.id));
    }
    assert_eq!(seen, (0..25).rev().map(message).collect::<Vec<_>>());
    let only = |state| Filter { state: Some(state), limit: 100, ..Filter::default() };
    let rejected = queries::messages(books.ledger.store(), &only(MessageState::Exception)).await.unwrap();
    assert_eq!(rejected.len(), 8);
    let delivered = queries::messages(books.ledger.store(), &only(MessageState::Delivered)).await.unwrap();
    assert_eq!(delivered.len(), 9);
    let control_id = delivered[0].waybill.control_id.clone();
    let one = Filter { control_id, feed: Some("lis".into()), limit: 100, ..Filter::default() };
    assert!(
        queries::messages(books.ledger.store(), &one)
            .await
            .unwrap()
            .iter()
            .any(|entry| entry.id == delivered[0].id)
    );
    let other = Filter { feed: Some("ehr".into()), limit: 100, ..Filter::default() };
    assert!(queries::messages(books.ledger.store(), &other).await.unwrap().is_empty());
    books.drop().await;
}
