//! Reading backwards.

use std::time::Duration;

use waybill_kafka::{InRecord, NoProbe, Producer, ProducerOptions, Tail};

use crate::support::{clean_up, create, numbered, real, topic};

/// Offsets by partition, as they were read.
fn offsets(records: &[InRecord], partition: i32) -> Vec<i64> {
    records.iter().filter(|record| record.partition == partition).map(|record| record.offset).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_is_read_from_its_end_to_its_beginning() {
    let Some(config) = real() else { return };
    let out = topic(&config, "tail.v1");
    create(&config, &[(&out, 3)]).await;
    let mut empty = Tail::open(&config, &out).await.unwrap();
    assert!(empty.older(10).await.unwrap().is_empty(), "nothing was written yet");

    let producer =
        Producer::start(&config, ProducerOptions::default(), std::sync::Arc::new(NoProbe)).unwrap();
    producer.send(numbered(&out, 0..1000, 50)).await.unwrap();
    let mut tail = Tail::open(&config, &out).await.unwrap();
    // What comes later is not its business.
    producer.send(numbered(&out, 1000..1100, 50)).await.unwrap();
    producer.flush(Duration::from_secs(5)).await;

    let mut read: Vec<Vec<i64>> = vec![Vec::new(); 3];
    let mut steps = 0;
    loop {
        let records = tail.older(100).await.unwrap();
        if records.is_empty() {
            break;
        }
        steps += 1;
        for (partition, all) in (0..).zip(&mut read) {
            let offsets = offsets(&records, partition);
            assert!(offsets.len() <= 100);
            all.extend(offsets);
        }
    }
    assert!(steps > 2, "{steps} steps");
    let total: usize = read.iter().map(Vec::len).sum();
    assert_eq!(total, 1000);
    for all in &read {
        let expected: Vec<i64> = (0..all.len() as i64).rev().collect();
        assert_eq!(all, &expected, "backwards, without a gap or a repeat");
    }
    assert!(tail.older(100).await.unwrap().is_empty(), "the beginning stays the beginning");
    clean_up(&config).await;
}
