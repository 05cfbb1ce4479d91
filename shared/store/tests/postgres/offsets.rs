use waybill_contracts::Timestamp;
use waybill_store::{Advanced, Move, Offsets, Partition, Store, StoreError, migrate};

use crate::schema;

fn partition(number: i32) -> Partition {
    Partition { topic: "delivery.receipt.v1".into(), partition: number }
}

fn step(number: i32, previous: Option<i64>, next: i64) -> Move {
    Move { partition: partition(number), previous, next }
}

async fn advance(store: &Store, moves: &[Move]) -> Result<Advanced, StoreError> {
    let mut connection = store.connection().await?;
    let tx = connection.begin().await?;
    let advanced = Offsets::new("tracker").advance(&tx, moves).await?;
    tx.commit().await?;
    connection.release();
    Ok(advanced)
}

async fn load(store: &Store, partitions: &[Partition]) -> Vec<Option<i64>> {
    let mut connection = store.connection().await.unwrap();
    let offsets = Offsets::new("tracker").load(connection.client().unwrap(), partitions).await.unwrap();
    connection.release();
    offsets
}

async fn migrated(schema: &waybill_store::testing::TestSchema) -> Store {
    let store = schema.store();
    migrate(&store, &[Offsets::migration(1)]).await.unwrap();
    store
}

#[tokio::test]
async fn offsets_move_by_compare_and_set_and_all_or_none() {
    let schema = schema!();
    let store = migrated(&schema).await;
    let both = [partition(1), partition(0)];
    assert_eq!(load(&store, &both).await, [None, None]);
    assert_eq!(advance(&store, &[step(0, None, 10), step(1, None, 20)]).await.unwrap(), Advanced::Stored);
    assert_eq!(load(&store, &both).await, [Some(20), Some(10)]);
    // Another owner, still thinking that partition 1 stands at its beginning.
    let error = advance(&store, &[step(0, Some(10), 11), step(1, None, 21)]).await.unwrap_err();
    assert!(
        matches!(error, StoreError::Fenced { partition: 1, expected: None, found: Some(20), .. }),
        "{error}"
    );
    assert_eq!(load(&store, &both).await, [Some(20), Some(10)]);
    // The batch whose commit was not answered.
    assert_eq!(advance(&store, &[step(0, None, 10), step(1, None, 20)]).await.unwrap(), Advanced::Already);
    schema.drop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_owners_one_wins_and_the_other_is_fenced() {
    let schema = schema!();
    let store = migrated(&schema).await;
    load(&store, &[partition(0)]).await;
    let mut fenced = 0;
    for round in 0..20_i64 {
        let previous = (round > 0).then_some(round * 10);
        let owners: Vec<_> = (0..2_i64)
            .map(|owner| {
                let (store, next) = (store.clone(), (round + 1) * 10 - owner);
                tokio::spawn(async move { advance(&store, &[step(0, previous, next)]).await })
            })
            .collect();
        for owner in owners {
            fenced += i32::from(matches!(owner.await.unwrap(), Err(StoreError::Fenced { .. })));
        }
        // Whoever won, go on from a known place.
        let stood = load(&store, &[partition(0)]).await[0];
        if stood != Some((round + 1) * 10) {
            let _ = advance(&store, &[step(0, stood, (round + 1) * 10)]).await.unwrap();
        }
    }
    assert_eq!(fenced, 20);
    schema.drop().await.unwrap();
}

#[tokio::test]
async fn the_low_watermark_needs_every_partition_and_a_zombie_cannot_raise_it() {
    let schema = schema!();
    let store = migrated(&schema).await;
    let offsets = Offsets::new("tracker");
    let both = [partition(0), partition(1)];
    load(&store, &both).await;
    let mut connection = store.connection().await.unwrap();
    let client = connection.client().unwrap();
    let at = Timestamp::from_millis;
    assert_eq!(offsets.low_watermark(client, &both).await.unwrap(), None);
    offsets.read_up_to(client, &[(partition(0), None)], at(100)).await.unwrap();
    assert_eq!(offsets.low_watermark(client, &both).await.unwrap(), None);
    offsets.read_up_to(client, &[(partition(1), None)], at(90)).await.unwrap();
    assert_eq!(offsets.low_watermark(client, &both).await.unwrap(), Some(at(90)));
    // Lower is ignored, and so is one who stands elsewhere than the partition does.
    offsets.read_up_to(client, &[(partition(1), None)], at(80)).await.unwrap();
    offsets.read_up_to(client, &[(partition(1), Some(7))], at(500)).await.unwrap();
    assert_eq!(offsets.low_watermark(client, &both).await.unwrap(), Some(at(90)));
    assert_eq!(offsets.low_watermark(client, &[]).await.unwrap(), None);
    connection.release();
    schema.drop().await.unwrap();
}
