//! The keyed loop when its handler, or what it writes to, cannot keep up.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::timeout};
use waybill_contracts::{TopicName, reason};
use waybill_delivery::ErrorClass;
use waybill_kafka::{HandlerError, InRecord, KeyedHandler, KeyedOptions, OutRecord, read_all};

use crate::support::{
    Copy, Mock, PATIENCE, Running, check, clean_up, create, mock, number, numbered, producer, real, topic,
    wait_for_all,
};

/// Copies, but holds or refuses records of the key `k0` until told otherwise.
pub(crate) struct Held {
    pub(crate) to: TopicName,
    pub(crate) state: watch::Receiver<State>,
    pub(crate) all_keys: bool,
    pub(crate) handled: watch::Sender<usize>,
    pub(crate) started: watch::Sender<usize>,
}

impl Held {
    pub(crate) fn new(to: &TopicName, state: watch::Receiver<State>, all_keys: bool) -> Arc<Self> {
        let (handled, started) = (watch::Sender::new(0), watch::Sender::new(0));
        Arc::new(Self { to: to.clone(), state, all_keys, handled, started })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Hold,
    Misconfigured,
    Go,
}

impl KeyedHandler for Held {
    async fn handle(&self, record: &InRecord, _: u32) -> Result<Vec<OutRecord>, HandlerError> {
        self.started.send_modify(|started| *started += 1);
        let mut state = self.state.clone();
        if self.all_keys || record.key() == Some(b"k0") {
            let now = *state.wait_for(|state| *state != State::Hold).await.unwrap();
            if now == State::Misconfigured {
                return Err(HandlerError::new(
                    ErrorClass::Configuration,
                    reason::TARGET_UNKNOWN,
                    "no such target",
                ));
            }
        }
        self.handled.send_modify(|handled| *handled += 1);
        let (key, value) = (record.key().unwrap().to_vec(), record.value().unwrap().to_vec());
        Ok(vec![OutRecord { topic: self.to.clone(), key, headers: Vec::new(), value, partition: None }])
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_that_were_paused_go_on_without_a_repeat() {
    let Some(config) = real() else { return };
    let (from, to) = (topic(&config, "in.v1"), topic(&config, "out.v1"));
    create(&config, &[(&from, 3), (&to, 3)]).await;
    producer(&config).send(numbered(&from, 0..5000, 50)).await.unwrap();
    let (tell, state) = watch::channel(State::Hold);
    let handler = Held::new(&to, state, true);
    let mut options = KeyedOptions::new("copier", vec![from.clone()]);
    options.max_in_flight = 100;
    let running = Running::with(&config, options, handler.clone());
    running.shown.wait_for("ready").await;
    // Longer than the five seconds after which the partitions are paused.
    let mut handled = handler.handled.subscribe();
    let early = timeout(Duration::from_secs(7), handled.wait_for(|handled| *handled > 0)).await;
    assert!(early.is_err(), "handled while it was held");
    tell.send_replace(State::Go);
    let records = wait_for_all(&config, &to, 5000).await;
    running.stop().await;
    check(&records, 5000);
    assert_eq!(read_all(&config, &to).await.unwrap().len(), 5000, "nothing is repeated");
    clean_up(&config).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_key_that_is_stuck_holds_its_partition_at_the_span_and_no_other() {
    let Some(config) = real() else { return };
    let (from, to) = (topic(&config, "in.v1"), topic(&config, "out.v1"));
    create(&config, &[(&from, 2), (&to, 1)]).await;
    let source = producer(&config);
    source.send(numbered(&from, 0..100, 10)).await.unwrap();
    let (tell, state) = watch::channel(State::Hold);
    let handler = Held::new(&to, state, false);
    let mut options = KeyedOptions::new("copier", vec![from.clone()]);
    options.max_span = 200;
    // So many that no key of the other partition is likely to share the lane of the one that is stuck.
    options.lanes = 8192;
    let running = Running::with(&config, options, handler.clone());
    running.shown.wait_for("ready").await;
    let partition_of =
        |records: &[InRecord], key: &[u8]| records.iter().find(|r| r.key() == Some(key)).unwrap().partition;
    let first = read_all(&config, &from).await.unwrap();
    let of_stuck = partition_of(&first, b"k0");
    let keys_of_free =
        (0..10).filter(|key| partition_of(&first, format!("k{key}").as_bytes()) != of_stuck).count();
    // In steps, each when the other partition has done the one before: between them this one can be paused.
    let (mut handled, mut of_free) = (handler.handled.subscribe(), 0);
    for step in 1..50 {
        source.send(numbered(&from, step * 100..(step + 1) * 100, 10)).await.unwrap();
        of_free += 10 * keys_of_free;
        let in_time = timeout(PATIENCE, handled.wait_for(|handled| *handled >= of_free)).await;
        in_time.expect("the other partition is not held").unwrap();
    }
    let sources = read_all(&config, &from).await.unwrap();
    let stuck = partition_of(&sources, b"k0");
    let free = sources.iter().filter(|record| record.partition != stuck).count();
    let seen = tokio::time::timeout(PATIENCE, async {
        loop {
            let outputs = read_all(&config, &to).await.unwrap();
            let of_free = |out: &&InRecord| partition_of(&sources, out.key().unwrap()) != stuck;
            if outputs.iter().filter(of_free).count() == free {
                return outputs.len() - free;
            }
        }
    });
    let beside = seen.await.expect("the other partition is not held");
    assert!(beside < sources.len() - free - 500, "the stuck partition is held: {beside} were copied");
    tell.send_replace(State::Go);
    let records = wait_for_all(&config, &to, 5000).await;
    running.stop().await;
    check(&records, 5000);
    assert_eq!(records.len(), 5000, "nothing is repeated");
    clean_up(&config).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_surroundings_make_it_not_ready_and_no_record_is_set_aside() {
    let cluster = Mock::new(1).unwrap();
    cluster.create_topic("in", 2, 1).unwrap();
    cluster.create_topic("out", 2, 1).unwrap();
    cluster.create_topic("in.dlq.copier", 2, 1).unwrap();
    let config = mock(&cluster);
    let (from, to) = (topic(&config, "in"), topic(&config, "out"));
    producer(&config).send(numbered(&from, 0..100, 10)).await.unwrap();
    let (tell, state) = watch::channel(State::Misconfigured);
    let handler = Held::new(&to, state, false);
    let running = Running::keyed(&config, &from, handler);
    running.shown.wait_for("LAB-0003 (configuration): no such target").await;
    tell.send_replace(State::Go);
    running.shown.wait_for("ready").await;
    let records = wait_for_all(&config, &to, 100).await;
    running.stop().await;
    check(&records, 100);
    assert!(read_all(&config, &from.dead_letter("copier")).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_that_cannot_be_written_is_tried_until_it_is() {
    let Some(config) = real() else { return };
    let (from, to) = (topic(&config, "in.v1"), topic(&config, "out.v1"));
    let letters = from.dead_letter("copier");
    create(&config, &[(&from, 1), (&to, 1)]).await;
    producer(&config).send(numbered(&from, 0..20, 20)).await.unwrap();
    let running = Running::keyed(&config, &from, Arc::new(Copy { poison: true, ..Copy::to(&to) }));
    running.shown.wait_for(letters.as_str()).await;
    create(&config, &[(&letters, 1)]).await;
    running.shown.wait_for("ready").await;
    let waited = tokio::time::timeout(PATIENCE, async {
        while read_all(&config, &letters).await.unwrap().len() < 2 {}
    });
    waited.await.unwrap();
    running.stop().await;
    let mut set_aside: Vec<u64> = read_all(&config, &letters).await.unwrap().iter().map(number).collect();
    set_aside.sort_unstable();
    set_aside.dedup();
    assert_eq!(set_aside, [5, 7]);
    clean_up(&config).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_is_down_at_the_start_is_waited_for() {
    let cluster = Mock::new(1).unwrap();
    cluster.create_topic("in", 2, 1).unwrap();
    cluster.create_topic("out", 2, 1).unwrap();
    let config = mock(&cluster);
    let (from, to) = (topic(&config, "in"), topic(&config, "out"));
    producer(&config).send(numbered(&from, 0..100, 10)).await.unwrap();
    cluster.broker_down(1).unwrap();
    let running = Running::keyed(&config, &from, Arc::new(Copy::to(&to)));
    running.shown.wait_for("no broker answers").await;
    cluster.broker_up(1).unwrap();
    running.shown.wait_for("ready").await;
    check(&wait_for_all(&config, &to, 100).await, 100);
    running.stop().await;
}
