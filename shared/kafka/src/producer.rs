//! The producer: `acks=all`, records of a key in order, one polling thread, one wake-up per batch of delivery reports.
//!
//! - [`Producer::send`] enqueues a group of records at once and in order, and never waits: too many records in flight
//!   are an error of class `unavailable` at once, so that the caller can push back on its own sender.
//! - The group is done when its last record is acknowledged, or when its first one fails. A record that failed may
//!   have been written all the same (it timed out in flight): repeat it with the same id.
//! - While no broker answers the producer is not ready, looks for one every second, and recovers by itself.
//! - An error that librdkafka calls fatal (an idempotent producer that lost its sequence) does not end the process: the
//!   client is thrown away with what is in flight, which fails as `unavailable`, and a new one is made. Order per key
//!   holds within the life of one client; across it the callers' retries restore it, because each lane repeats its
//!   oldest group first.

mod group;
mod poll;

pub(crate) use poll::look;

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use parking_lot::RwLock;
use rdkafka::{
    ClientConfig,
    error::KafkaError as ClientError,
    producer::{BaseProducer, BaseRecord},
    types::RDKafkaErrorCode,
};
use tokio::sync::Notify;
use waybill_telemetry::metrics::{Label, Metric, count};

use self::{
    group::{Group, Hub},
    poll::Reports,
};
use crate::{
    KafkaConfig, KafkaError, OutRecord, Probe, ProduceError,
    out::RawRecord,
    probe::{Health, Trouble},
};
use waybill_delivery::Classify;

type Client = BaseProducer<Reports>;

/// What a service decides about its producer.
#[derive(Clone, Copy, Debug)]
pub struct ProducerOptions {
    /// How long a record may wait for company: 0 on the acknowledgement path, 5 ms where throughput counts.
    pub linger: Duration,
    /// A record that is not acknowledged after this long has failed.
    pub delivery_timeout: Duration,
    /// Bound of records that wait for acknowledgement.
    pub max_in_flight: usize,
    /// How many requests are on their way to a broker at once.
    pub requests_per_broker: RequestsPerBroker,
}

/// Requests on their way to one broker at once. Order per key holds either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestsPerBroker {
    /// Where throughput counts: the most that an idempotent producer may have. The broker drops what is sent again.
    Five,
    /// On the acknowledgement path, where nothing lingers: records of the time between gather in the next request, and
    /// librdkafka's thread sleeps instead of spinning on them. Not idempotent: a record whose answer is lost may be
    /// written twice (docs/adr/0013).
    One,
}

impl RequestsPerBroker {
    pub(crate) const fn idempotent(self) -> bool {
        matches!(self, Self::Five)
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Five => "5",
            Self::One => "1",
        }
    }
}

impl Default for ProducerOptions {
    fn default() -> Self {
        Self {
            linger: Duration::from_millis(5),
            delivery_timeout: Duration::from_secs(30),
            max_in_flight: 10_000,
            requests_per_broker: RequestsPerBroker::Five,
        }
    }
}

/// Writes records; cheap to clone. Dropping the last clone purges what is not acknowledged: [`flush`](Self::flush) first.
#[derive(Clone)]
pub struct Producer(Arc<Handle>);

/// Owned by the clones only, so that its drop tells the thread to stop.
struct Handle {
    shared: Arc<Shared>,
}

/// Owned by the clones, the thread and the client's callbacks.
struct Shared {
    pub(super) config: ClientConfig,
    max_in_flight: usize,
    in_flight: AtomicUsize,
    idle: Notify,
    pub(super) hub: Hub,
    pub(super) health: Health,
    /// Every connection broke, which an idle one does by itself; the thread looks whether a broker answers.
    pub(super) suspect: AtomicBool,
    pub(super) closed: AtomicBool,
    /// Replaced after a fatal error, empty once closed.
    pub(super) client: RwLock<Option<Arc<Client>>>,
}

impl Producer {
    /// Starts the client, its thread and the task that wakes waiters; needs a tokio runtime around it.
    ///
    /// It returns before a broker has answered; `probe` tells when one has.
    pub fn start(
        config: &KafkaConfig,
        options: ProducerOptions,
        probe: Arc<dyn Probe>,
    ) -> Result<Self, KafkaError> {
        config.namespace()?;
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| KafkaError::NoRuntime)?;
        let client_config = config.producer(&options);
        let shared = Arc::new(Shared {
            config: client_config,
            max_in_flight: options.max_in_flight,
            in_flight: AtomicUsize::new(0),
            idle: Notify::new(),
            hub: Hub::default(),
            health: Health::new(probe),
            suspect: AtomicBool::new(true),
            closed: AtomicBool::new(false),
            client: RwLock::new(None),
        });
        shared.health.set(Trouble::Broker, "no broker has answered yet");
        *shared.client.write() = Some(poll::client(&shared)?);
        poll::spawn(&shared)?;
        let hub = shared.clone();
        runtime.spawn(async move { hub.hub.run().await });
        Ok(Self(Arc::new(Handle { shared })))
    }

    /// Enqueues `records` at once, in order; the result resolves when all are acknowledged or the first has failed.
    ///
    /// All or nothing as far as the bound of records in flight goes; a record that the client refuses (too large)
    /// fails the group, and those before it are written.
    #[expect(clippy::needless_pass_by_value, reason = "the caller has given the records away")]
    pub fn send(&self, records: Vec<OutRecord>) -> Delivery {
        self.send_raw(records.len(), records.iter().map(OutRecord::raw))
    }

    pub(crate) fn send_raw<'a>(
        &self,
        total: usize,
        records: impl Iterator<Item = RawRecord<'a>>,
    ) -> Delivery {
        if total == 0 {
            return Delivery::settled(Ok(()));
        }
        let shared = &self.0.shared;
        let in_flight = shared.in_flight.fetch_add(total, Ordering::Relaxed);
        if in_flight + total > shared.max_in_flight.max(total) {
            shared.done(total);
            return Delivery::settled(Err(ProduceError::Full { in_flight }));
        }
        let Some(client) = shared.client.read().clone() else {
            shared.done(total);
            return Delivery::settled(Err(ProduceError::Closed));
        };
        let group = Group::new(total);
        for (at, record) in records.enumerate() {
            let topic = record.topic;
            if let Err(error) = enqueue(&client, record, &group) {
                let error = ProduceError::failed(topic, &error);
                count_error(topic, &error);
                group.fail(error);
                // This one and those after it never reach the client.
                shared.done(total - at);
                break;
            }
        }
        Delivery(State::Waiting(group))
    }

    /// Waits until nothing is in flight, at most `within`.
    pub async fn flush(&self, within: Duration) {
        let shared = &self.0.shared;
        let idle = async {
            loop {
                let notified = shared.idle.notified();
                if shared.in_flight.load(Ordering::Acquire) == 0 {
                    return;
                }
                notified.await;
            }
        };
        if tokio::time::timeout(within, idle).await.is_err() {
            tracing::warn!(in_flight = self.in_flight(), "records are still not acknowledged");
        }
    }

    /// Records that wait for their acknowledgement.
    pub fn in_flight(&self) -> usize {
        self.0.shared.in_flight.load(Ordering::Relaxed)
    }
}

impl std::fmt::Debug for Producer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Producer").field("in_flight", &self.in_flight()).finish_non_exhaustive()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Release);
    }
}

fn enqueue(client: &Client, record: RawRecord<'_>, group: &Arc<Group>) -> Result<(), ClientError> {
    let mut out = BaseRecord::with_opaque_to(record.topic, group.clone()).headers(record.headers);
    out.partition = record.partition;
    out.key = record.key;
    out.payload = record.value;
    client.send(out).map_err(|(error, _)| error)
}

impl Shared {
    /// `n` records are no longer in flight.
    pub(super) fn done(&self, n: usize) {
        if self.in_flight.fetch_sub(n, Ordering::AcqRel) == n {
            self.idle.notify_waiters();
        }
    }

    pub(super) fn waiting(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// What a failed record says about the cluster.
    pub(super) fn failed(&self, error: &ClientError) {
        if let Some(RDKafkaErrorCode::MessageTimedOut | RDKafkaErrorCode::BrokerTransportFailure) =
            error.rdkafka_error_code()
        {
            self.health.set(Trouble::Broker, "no broker acknowledges records");
        }
    }
}

fn count_error(topic: &str, error: &ProduceError) {
    count(Metric::ProduceErrors, 1, &[Label::Topic(topic), Label::Class(error.class().as_str())]);
}

/// The fate of a group of records. Dropping it does not recall them.
#[must_use = "records are only safe once this has resolved"]
pub struct Delivery(State);

enum State {
    Settled(Option<Result<(), ProduceError>>),
    Waiting(Arc<Group>),
}

impl Delivery {
    /// Nothing was enqueued, because too much waits already.
    pub(crate) fn is_full(&self) -> bool {
        matches!(self.0, State::Settled(Some(Err(ProduceError::Full { .. }))))
    }

    pub(crate) fn settled(result: Result<(), ProduceError>) -> Self {
        Self(State::Settled(Some(result)))
    }
}

impl Future for Delivery {
    type Output = Result<(), ProduceError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            // Polled again after completion: the records' fate has been told already.
            State::Settled(result) => Poll::Ready(result.take().unwrap_or(Ok(()))),
            State::Waiting(group) => group.poll(cx),
        }
    }
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Delivery")
    }
}
