//! The keyed loop against the real broker.

use std::{sync::Arc, time::Duration};

use tokio::time::timeout;
use waybill_delivery::ErrorClass;
use waybill_kafka::{dead_letter::DeadLetterHeaders, read_all};

use crate::support::{
    Copy, PATIENCE, Running, check, clean_up, create, number, numbered, producer, real, topic, wait_for_all,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handles_every_record_in_order_per_key_and_goes_on_where_it_stopped() {
    let Some(config) = real() else { return };
    let (from, to) = (topic(&config, "in.v1"), topic(&config, "out.v1"));
    create(&config, &[(&from, 3), (&to, 3)]).await;
    let source = producer(&config);
    source.send(numbered(&from, 0..5000, 50)).await.unwrap();
    let running = Running::keyed(&config, &from, Arc::new(Copy::to(&to)));
    running.shown.wait_for("ready").await;
    wait_for_all(&config, &to, 5000).await;
    running.stop().await;

    source.send(numbered(&from, 5000..6000, 50)).await.unwrap();
    let again = Running::keyed(&config, &from, Arc::new(Copy::to(&to)));
    let records = wait_for_all(&config, &to, 6000).await;
    again.stop().await;
    check(&records, 6000);
    assert_eq!(read_all(&config, &to).await.unwrap().len(), 6000, "a graceful stop repeats nothing");
    clean_up(&config).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_keep_the_record_and_tell_why_and_the_rest_goes_on() {
    let Some(config) = real() else { return };
    let (from, to) = (topic(&config, "in.v1"), topic(&config, "out.v1"));
    let letters = from.dead_letter("copier");
    create(&config, &[(&from, 3), (&to, 3), (&letters, 3)]).await;
    producer(&config).send(numbered(&from, 0..100, 10)).await.unwrap();
    let handler = Copy { poison: true, unavailable: 3, ..Copy::to(&to) };
    let running = Running::keyed(&config, &from, Arc::new(handler));
    let records = wait_for_all(&config, &to, 100).await;
    running.stop().await;

    let codes: Vec<_> = records
        .iter()
        .filter_map(|record| {
            Some((number(record), String::from_utf8_lossy(record.header("code")?).into_owned()))
        })
        .collect();
    let mut sorted = codes.clone();
    sorted.sort();
    assert_eq!(
        sorted,
        [(5, "KAF-0003".to_owned()), (7, "KAF-0002".to_owned())],
        "the handler's own records came too"
    );

    let sources = read_all(&config, &from).await.unwrap();
    let mut letters = read_all(&config, &letters).await.unwrap();
    letters.sort_by_key(number);
    assert_eq!(letters.iter().map(number).collect::<Vec<_>>(), [5, 7]);
    for (letter, class) in letters.iter().zip([ErrorClass::Data, ErrorClass::Defect]) {
        let headers = DeadLetterHeaders::read(letter).unwrap();
        let source = sources.iter().find(|source| number(source) == number(letter)).unwrap();
        assert_eq!(
            (headers.topic.as_str(), headers.partition, headers.offset),
            (from.as_str(), source.partition, source.offset)
        );
        assert_eq!(
            (letter.key(), letter.value(), letter.partition),
            (source.key(), source.value(), source.partition)
        );
        assert_eq!((headers.class, headers.attempts, headers.replay_count), (class, 1, 0));
        assert_eq!(
            (headers.group.as_str(), headers.service.as_str(), headers.version.as_str()),
            ("copier", "copier", "1.2.3")
        );
    }
    clean_up(&config).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn consumers_that_join_and_leave_lose_nothing_and_keep_the_order() {
    let Some(config) = real() else { return };
    let (from, to) = (topic(&config, "in.v1"), topic(&config, "out.v1"));
    create(&config, &[(&from, 6), (&to, 1)]).await;
    let source = producer(&config);
    let handler = || Arc::new(Copy { work: Duration::from_millis(1), ..Copy::to(&to) });
    let first = Running::keyed(&config, &from, handler());
    first.shown.wait_for("ready").await;
    let writing = tokio::spawn({
        let (source, from) = (source.clone(), from.clone());
        async move {
            let mut pace = tokio::time::interval(Duration::from_millis(50));
            for chunk in 0..200 {
                pace.tick().await;
                source.send(numbered(&from, chunk * 100..(chunk + 1) * 100, 60)).await.unwrap();
            }
        }
    });
    let working = handler();
    let mut handled = working.handled.subscribe();
    let second = Running::keyed(&config, &from, working);
    second.shown.wait_for("ready").await;
    timeout(PATIENCE, handled.wait_for(|handled| *handled > 100)).await.unwrap().unwrap();
    first.stop().await;
    let third = Running::keyed(&config, &from, handler());
    third.shown.wait_for("ready").await;
    second.kill();
    writing.await.unwrap();
    let records = wait_for_all(&config, &to, 20_000).await;
    third.stop().await;
    check(&records, 20_000);
    clean_up(&config).await;
}

/// Six members that come and go at once are always in the middle of a rebalance when they are told to stop, which is where
/// librdkafka aborts the process (`!rd_kafka_assignment_in_progress`) when an answer it got is not one it can bear.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_stop_in_the_middle_of_rebalances() {
    const TOTAL: u64 = 4_000;
    const MEMBERS: u64 = 6;
    const LIVES: u64 = 8;
    let Some(config) = real() else { return };
    let (from, to) = (topic(&config, "in.v1"), topic(&config, "out.v1"));
    create(&config, &[(&from, 6), (&to, 1)]).await;
    producer(&config).send(numbered(&from, 0..TOTAL, 60)).await.unwrap();
    let handler = || Arc::new(Copy { work: Duration::from_millis(1), ..Copy::to(&to) });
    let steady = Running::keyed(&config, &from, handler());
    steady.shown.wait_for("ready").await;
    let lives = (0..MEMBERS).map(|member| {
        let (config, from, to) = (config.clone(), from.clone(), to.clone());
        tokio::spawn(async move {
            for life in 0..LIVES {
                let handler = Arc::new(Copy { work: Duration::from_millis(1), ..Copy::to(&to) });
                let mut handled = handler.handled.subscribe();
                let running = Running::keyed(&config, &from, handler);
                // Some stop before they have joined, some just after, some in the rebalance that another one causes.
                let moment = Duration::from_millis((member * 37 + life * 61) % 400);
                if life % 2 == 0 {
                    running.shown.wait_for("ready").await;
                    let _ = timeout(moment, handled.wait_for(|handled| *handled > 20)).await;
                } else {
                    let _ = timeout(moment, running.shown.wait_for("ready")).await;
                }
                running.stop().await;
            }
        })
    });
    for life in lives.collect::<Vec<_>>() {
        life.await.unwrap();
    }
    let records = wait_for_all(&config, &to, TOTAL).await;
    steady.stop().await;
    check(&records, TOTAL);
    clean_up(&config).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_topic_is_named_and_the_loop_recovers_when_it_appears() {
    let Some(config) = real() else { return };
    let (from, to) = (topic(&config, "late.v1"), topic(&config, "out.v1"));
    create(&config, &[(&to, 1)]).await;
    let running = Running::keyed(&config, &from, Arc::new(Copy::to(&to)));
    running.shown.wait_for(&format!("the topic {from} does not exist")).await;
    create(&config, &[(&from, 1)]).await;
    running.shown.wait_for("ready").await;
    producer(&config).send(numbered(&from, 0..10, 3)).await.unwrap();
    wait_for_all(&config, &to, 10).await;
    running.stop().await;
    clean_up(&config).await;
}
