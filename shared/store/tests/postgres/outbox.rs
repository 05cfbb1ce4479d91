use waybill_store::{
    migrate,
    outbox::{self, Outgoing},
};

use crate::schema;

fn record(body: &str) -> Outgoing {
    Outgoing { topic: "delivery.status.v1".into(), key: b"k".to_vec(), traceparent: None, body: body.into() }
}

#[tokio::test]
async fn records_leave_in_order_once_and_by_one_replica_at_a_time() {
    let schema = schema!();
    let store = schema.store();
    migrate(&store, &[outbox::migration(1)]).await.unwrap();
    let mut writer = store.connection().await.unwrap();
    let tx = writer.begin().await.unwrap();
    outbox::enqueue(&tx, &[record("1"), record("2"), record("3")]).await.unwrap();
    tx.commit().await.unwrap();
    let tx = writer.begin().await.unwrap();
    outbox::enqueue(&tx, &[record("never")]).await.unwrap();
    tx.rollback().await.unwrap();
    writer.release();

    let (mut first, mut second) = (store.connection().await.unwrap(), store.connection().await.unwrap());
    let tx = first.begin().await.unwrap();
    let taken = outbox::take(&tx, 2).await.unwrap().unwrap();
    assert_eq!(taken.iter().map(|(_, record)| record.body.as_str()).collect::<Vec<_>>(), ["1", "2"]);
    let other = second.begin().await.unwrap();
    assert!(outbox::take(&other, 2).await.unwrap().is_none());
    drop(other);
    // It dies before the removal: the same records come again.
    drop(tx);
    drop(first);
    let mut third = store.connection().await.unwrap();
    let mut bodies = Vec::new();
    loop {
        let tx = third.begin().await.unwrap();
        let Some(taken) = outbox::take(&tx, 2).await.unwrap() else {
            // The dead connection's lock goes with its session, which the server notices in its own time.
            tokio::task::yield_now().await;
            continue;
        };
        if taken.is_empty() {
            break;
        }
        bodies.extend(taken.iter().map(|(_, record)| record.body.clone()));
        outbox::remove(&tx, &taken.iter().map(|(id, _)| *id).collect::<Vec<_>>()).await.unwrap();
        tx.commit().await.unwrap();
    }
    assert_eq!(bodies, ["1", "2", "3"]);
    schema.drop().await.unwrap();
}
