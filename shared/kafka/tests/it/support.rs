//! Clusters, probes and handlers for the tests.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use rdkafka::{mocking::MockCluster, producer::DefaultProducerContext};
use tokio::{sync::watch, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;
use waybill_contracts::{TopicName, reason};
use waybill_delivery::{Backoff, ErrorClass};
use waybill_kafka::{
    HandlerError, InRecord, KafkaConfig, KafkaError, KeyedHandler, KeyedOptions, NoProbe, OutRecord, Probe,
    Producer, ProducerOptions, admin, read_all, run_keyed,
};
use waybill_telemetry::HumanDuration;

#[path = "real.rs"]
mod real;
pub(crate) use real::real;

pub(crate) type Mock = MockCluster<'static, DefaultProducerContext>;

/// Longest any condition is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// A configuration for a mock cluster.
pub(crate) fn mock(cluster: &Mock) -> KafkaConfig {
    let session_timeout = HumanDuration::secs(6);
    KafkaConfig { bootstrap_servers: cluster.bootstrap_servers(), session_timeout, ..KafkaConfig::default() }
}

/// Topics of a test.
pub(crate) fn topic(config: &KafkaConfig, name: &str) -> TopicName {
    config.namespace().unwrap().topic(name)
}

/// Creates topics on the real broker.
pub(crate) async fn create(config: &KafkaConfig, topics: &[(&TopicName, i32)]) {
    let wanted: Vec<_> = topics.iter().map(|(name, count)| ((*name).clone(), *count)).collect();
    let created = admin::create_topics(config, &wanted).await.unwrap();
    assert_eq!(created.len(), topics.len());
}

/// Deletes what a test created.
pub(crate) async fn clean_up(config: &KafkaConfig) {
    let topics: Vec<_> =
        admin::list_topics(config).await.unwrap().into_iter().map(|(topic, _)| topic).collect();
    admin::delete_topics(config, &topics).await.unwrap();
}

/// A producer whose failures come soon.
pub(crate) fn producer(config: &KafkaConfig) -> Producer {
    producer_shown(config, Arc::new(NoProbe))
}

fn producer_shown(config: &KafkaConfig, probe: Arc<dyn Probe>) -> Producer {
    let options = ProducerOptions { delivery_timeout: Duration::from_secs(5), ..ProducerOptions::default() };
    Producer::start(config, options, probe).unwrap()
}

/// A probe whose state can be waited for.
pub(crate) struct Shown(watch::Sender<String>, watch::Receiver<String>);

impl Shown {
    pub(crate) fn new() -> Arc<Self> {
        let (sender, receiver) = watch::channel("nothing".to_owned());
        Arc::new(Self(sender, receiver))
    }

    /// Waits until what is shown contains `text`; ready is shown as `ready`.
    pub(crate) async fn wait_for(&self, text: &str) {
        let mut shown = self.1.clone();
        let waited = timeout(PATIENCE, shown.wait_for(|shown| shown.contains(text))).await;
        assert!(waited.is_ok(), "waited for {text:?}, shown is {:?}", self.1.borrow().clone());
    }
}

impl Probe for Shown {
    fn ready(&self) {
        self.0.send_replace("ready".into());
    }
    fn not_ready(&self, reason: &str) {
        self.0.send_replace(reason.into());
    }
    fn beat(&self) {}
}

/// Numbered records: key `k<n mod keys>`, value `n`.
pub(crate) fn numbered(topic: &TopicName, numbers: std::ops::Range<u64>, keys: u64) -> Vec<OutRecord> {
    let record = |n: u64| OutRecord {
        topic: topic.clone(),
        key: format!("k{}", n % keys).into_bytes(),
        headers: Vec::new(),
        value: n.to_string().into_bytes(),
        partition: None,
    };
    numbers.map(record).collect()
}

pub(crate) fn number(record: &InRecord) -> u64 {
    std::str::from_utf8(record.value().unwrap()).unwrap().parse().unwrap()
}

/// Every number is there, and per key the first deliveries are in order.
pub(crate) fn check(records: &[InRecord], total: u64) {
    let mut last: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
    let mut seen = std::collections::BTreeSet::new();
    for record in records {
        let n = number(record);
        if seen.insert(n) {
            let before = last.insert(record.key().unwrap().to_vec(), n);
            assert!(before < Some(n), "{n} after {before:?}");
        }
    }
    let missing: Vec<u64> = (0..total).filter(|n| !seen.contains(n)).collect();
    assert!(missing.is_empty(), "{} of {total} are missing: {missing:?}", missing.len());
    eprintln!("{total} records, {} repeats", records.len() - seen.len());
}

/// Waits until the topic holds every number.
pub(crate) async fn wait_for_all(config: &KafkaConfig, topic: &TopicName, total: u64) -> Vec<InRecord> {
    let waited = timeout(PATIENCE, async {
        loop {
            let records = read_all(config, topic).await.unwrap();
            let seen: std::collections::BTreeSet<u64> = records.iter().map(number).collect();
            if seen.len() as u64 >= total {
                return records;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    waited.await.expect("the outputs are all there in time")
}

/// Copies records to another topic; misbehaves on request.
pub(crate) struct Copy {
    pub(crate) to: TopicName,
    pub(crate) handled: watch::Sender<usize>,
    /// Attempts of record 3 that fail as unavailable.
    pub(crate) unavailable: u32,
    /// Record 5 is refused as data, and record 7 panics.
    pub(crate) poison: bool,
    /// How long each record takes.
    pub(crate) work: Duration,
}

impl Copy {
    pub(crate) fn to(to: &TopicName) -> Self {
        Self {
            to: to.clone(),
            handled: watch::Sender::new(0),
            unavailable: 0,
            poison: false,
            work: Duration::ZERO,
        }
    }
}

impl KeyedHandler for Copy {
    async fn handle(&self, record: &InRecord, attempt: u32) -> Result<Vec<OutRecord>, HandlerError> {
        let n = number(record);
        if !self.work.is_zero() {
            tokio::time::sleep(self.work).await;
        }
        if n == 3 && attempt <= self.unavailable {
            return Err(HandlerError::new(ErrorClass::Unavailable, reason::TARGET_BUSY, "busy"));
        }
        if n == 5 && self.poison {
            return Err(HandlerError::new(ErrorClass::Data, reason::INVALID_RECORD, "refused"));
        }
        assert!(n != 7 || !self.poison, "a panic that is caught");
        self.handled.send_modify(|handled| *handled += 1);
        let (key, value) = (record.key().unwrap().to_vec(), record.value().unwrap().to_vec());
        Ok(vec![OutRecord { topic: self.to.clone(), key, headers: Vec::new(), value, partition: None }])
    }

    fn dead_letter(&self, record: &InRecord, error: &HandlerError) -> Vec<OutRecord> {
        let headers = vec![("code".into(), error.reason.as_str().as_bytes().into())];
        let (key, value) = (record.key().unwrap().to_vec(), record.value().unwrap().to_vec());
        vec![OutRecord { topic: self.to.clone(), key, headers, value, partition: None }]
    }
}

/// A keyed loop that runs.
pub(crate) struct Running {
    pub(crate) shown: Arc<Shown>,
    pub(crate) producer_shown: Arc<Shown>,
    stop: CancellationToken,
    task: JoinHandle<Result<(), KafkaError>>,
}

impl Running {
    pub(crate) fn keyed<H: KeyedHandler>(config: &KafkaConfig, from: &TopicName, handler: Arc<H>) -> Self {
        let mut options = KeyedOptions::new("copier", vec![from.clone()]).service("copier", "1.2.3");
        options.lanes = 16;
        Self::with(config, options, handler)
    }

    pub(crate) fn with<H: KeyedHandler>(
        config: &KafkaConfig,
        mut options: KeyedOptions,
        handler: Arc<H>,
    ) -> Self {
        let (shown, producer_shown) = (Shown::new(), Shown::new());
        let stop = CancellationToken::new();
        options.backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(1));
        let (config, probe, token) = (config.clone(), shown.clone(), stop.clone());
        let producer = self::producer_shown(&config, producer_shown.clone());
        let task =
            tokio::spawn(async move { run_keyed(&config, options, handler, producer, probe, token).await });
        Self { shown, producer_shown, stop, task }
    }

    /// Stops it gracefully.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        timeout(PATIENCE, self.task).await.expect("it stops in time").unwrap().unwrap();
    }

    /// Kills it: the future is dropped in the middle of whatever it does.
    pub(crate) fn kill(self) {
        self.task.abort();
    }
}
