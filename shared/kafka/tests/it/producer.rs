//! The producer.

use std::{sync::Arc, time::Duration};

use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use waybill_delivery::{Classify, ErrorClass};
use waybill_kafka::{NoProbe, ProduceError, Producer, ProducerOptions, admin, read_all};

use crate::support::{Mock, Shown, check, clean_up, create, mock, numbered, real, topic};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_groups_in_order_and_the_topic_can_be_read_back() {
    let Some(config) = real() else { return };
    let out = topic(&config, "out.v1");
    create(&config, &[(&out, 3)]).await;
    let shown = Shown::new();
    let producer = Producer::start(&config, ProducerOptions::default(), shown.clone()).unwrap();
    shown.wait_for("ready").await;
    let deliveries: Vec<_> =
        (0..50).map(|i| producer.send(numbered(&out, i * 100..(i + 1) * 100, 7))).collect();
    for delivery in deliveries {
        delivery.await.unwrap();
    }
    producer.flush(Duration::from_secs(5)).await;
    assert_eq!(producer.in_flight(), 0);
    let records = read_all(&config, &out).await.unwrap();
    assert_eq!(records.len(), 5000, "no repeats");
    check(&records, 5000);

    let more = topic(&config, "more.v1");
    create(&config, &[(&more, 4)]).await;
    let alone = [vec![out.clone()], vec![more.clone()]];
    let found = admin::check_topics(&config, &alone).await.unwrap();
    assert_eq!(found, [(out.clone(), 3), (more.clone(), 4)], "any number is right");
    let missing = topic(&config, "nowhere.v1");
    let together = [vec![out.clone(), more.clone()], vec![missing.clone()]];
    let problems = admin::check_topics(&config, &together).await.unwrap_err();
    assert_eq!(
        problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            format!("the topic {more} has 4 partitions and {out} has 3; they must be equal"),
            format!("the topic {missing} does not exist")
        ]
    );
    clean_up(&config).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn says_at_once_that_too_much_is_in_flight_and_that_a_record_is_too_large() {
    let cluster = Mock::new(1).unwrap();
    cluster.create_topic("out", 1, 1).unwrap();
    cluster.broker_round_trip_time(1, Duration::from_millis(500)).unwrap();
    let config = mock(&cluster);
    let options = ProducerOptions { max_in_flight: 10, ..ProducerOptions::default() };
    let producer = Producer::start(&config, options, Arc::new(NoProbe)).unwrap();
    let out = topic(&config, "out");
    let first = producer.send(numbered(&out, 0..10, 1));
    let second = producer.send(numbered(&out, 10..11, 1)).await.unwrap_err();
    assert!(matches!(second, ProduceError::Full { in_flight: 10 }), "{second}");
    assert_eq!(second.class(), ErrorClass::Unavailable);
    first.await.unwrap();

    let mut huge = numbered(&out, 0..1, 1);
    huge[0].value = vec![b'x'; 20 << 20];
    let error = producer.send(huge).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Data, "{error}");
    assert_eq!(producer.in_flight(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shows_that_no_broker_answers_and_recovers_by_itself() {
    let cluster = Mock::new(1).unwrap();
    cluster.create_topic("out", 1, 1).unwrap();
    let config = mock(&cluster);
    let shown = Shown::new();
    let producer = Producer::start(&config, ProducerOptions::default(), shown.clone()).unwrap();
    shown.wait_for("ready").await;
    let out = topic(&config, "out");
    producer.send(numbered(&out, 0..1, 1)).await.unwrap();
    cluster.broker_down(1).unwrap();
    shown.wait_for("no broker").await;
    let waiting = producer.send(numbered(&out, 1..2, 1));
    cluster.broker_up(1).unwrap();
    shown.wait_for("ready").await;
    waiting.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn not_enough_replicas_is_waited_out() {
    let cluster = Mock::new(3).unwrap();
    cluster.create_topic("out", 2, 3).unwrap();
    let config = mock(&cluster);
    let producer = Producer::start(&config, ProducerOptions::default(), Arc::new(NoProbe)).unwrap();
    let out = topic(&config, "out");
    producer.send(numbered(&out, 0..1, 1)).await.unwrap();
    let error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS;
    cluster.request_errors(RDKafkaApiKey::Produce, &[error, error, error]);
    producer.send(numbered(&out, 1..200, 5)).await.unwrap();
    check(&read_all(&config, &out).await.unwrap(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fatal_error_makes_a_new_client_and_the_next_records_get_through() {
    let cluster = Mock::new(1).unwrap();
    cluster.create_topic("out", 1, 1).unwrap();
    let config = mock(&cluster);
    let producer = Producer::start(&config, ProducerOptions::default(), Arc::new(NoProbe)).unwrap();
    let out = topic(&config, "out");
    producer.send(numbered(&out, 0..1, 1)).await.unwrap();
    // An idempotent producer that is told this about its oldest request cannot know what was written.
    cluster.request_errors(
        RDKafkaApiKey::Produce,
        &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER],
    );
    let mut attempts = 0;
    while let Err(error) = producer.send(numbered(&out, 1..2, 1)).await {
        assert_eq!(error.class(), ErrorClass::Unavailable, "{error}");
        attempts += 1;
        assert!(attempts < 100, "{error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(attempts > 0, "the fatal error was seen");
    check(&read_all(&config, &out).await.unwrap(), 2);
}
