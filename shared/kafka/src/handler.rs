//! What a service gives to a loop.

use std::{fmt, future::Future, time::Duration};

use waybill_contracts::{ReasonCode, TopicName, reason};
use waybill_delivery::{Backoff, Classify, ErrorClass};

use crate::{InRecord, OutRecord, TopicPartition};

/// A handler's failure. Its class decides what the loop does: `data` and `defect` go to the dead-letter topic,
/// `unavailable` is repeated in order, `configuration` too and makes the service not ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandlerError {
    /// What it means for the record.
    pub class: ErrorClass,
    /// Which failure it is.
    pub reason: ReasonCode,
    /// For the log, without any content of a message.
    pub detail: String,
    /// Written at once, before a retry or with the dead letter: an `attempted` receipt.
    pub emit: Vec<OutRecord>,
}

impl HandlerError {
    /// From its parts.
    pub fn new(class: ErrorClass, reason: ReasonCode, detail: impl Into<String>) -> Self {
        Self { class, reason, detail: detail.into(), emit: Vec::new() }
    }

    /// From a classified error; its text must not quote content.
    pub fn of(error: &(impl Classify + fmt::Display)) -> Self {
        Self::new(error.class(), error.reason(), error.to_string())
    }

    /// The same, with records to write at once.
    #[must_use]
    pub fn emitting(mut self, emit: Vec<OutRecord>) -> Self {
        self.emit = emit;
        self
    }

    pub(crate) fn panicked() -> Self {
        Self::new(ErrorClass::Defect, reason::HANDLER_DEFECT, "the handler panicked")
    }
}

impl fmt::Display for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.reason, self.class, self.detail)
    }
}

impl std::error::Error for HandlerError {}

impl<E: Classify + fmt::Display> From<E> for HandlerError {
    fn from(error: E) -> Self {
        Self::of(&error)
    }
}

/// A handler of single records: ordered per key, concurrent across keys.
pub trait KeyedHandler: Send + Sync + 'static {
    /// Does the work of one record and says what to write. `attempt` counts from 1.
    ///
    /// It is called again for the same record after a failure, a crash or a hand-over: make the outputs' ids from the
    /// record, never at random. It may be cancelled at an await when its partition is taken away.
    fn handle(
        &self,
        record: &InRecord,
        attempt: u32,
    ) -> impl Future<Output = Result<Vec<OutRecord>, HandlerError>> + Send;

    /// What to write together with a dead letter, such as the receipt.
    fn dead_letter(&self, record: &InRecord, error: &HandlerError) -> Vec<OutRecord> {
        let _ = (record, error);
        Vec::new()
    }
}

/// Options of the keyed loop.
#[derive(Clone, Debug)]
pub struct KeyedOptions {
    /// Consumer group without namespace.
    pub group: String,
    /// Topics to read.
    pub topics: Vec<TopicName>,
    /// Records of different lanes are handled side by side; one key is always in the same lane.
    pub lanes: usize,
    /// Bound of records that were read and are not done, over all partitions.
    pub max_in_flight: usize,
    /// Bound of their bytes.
    pub max_in_flight_bytes: usize,
    /// Bound of the offsets between the oldest record of a partition that is not done and the newest that was read: how
    /// many records a crash repeats while one is stuck. The partition pauses there.
    pub max_span: usize,
    /// Waits between attempts.
    pub backoff: Backoff,
    /// How long records in flight may take to finish at shutdown.
    pub drain: Duration,
    /// Service name, for dead letters.
    pub service: &'static str,
    /// Service version, for dead letters.
    pub version: &'static str,
}

impl KeyedOptions {
    /// With defaults for everything else.
    pub fn new(group: impl Into<String>, topics: Vec<TopicName>) -> Self {
        Self {
            group: group.into(),
            topics,
            lanes: 64,
            max_in_flight: 4096,
            max_in_flight_bytes: 64 << 20,
            max_span: 10_000,
            backoff: Backoff::default(),
            drain: Duration::from_secs(20),
            service: "",
            version: "",
        }
    }

    /// Names the service in dead letters.
    #[must_use]
    pub fn service(mut self, service: &'static str, version: &'static str) -> Self {
        (self.service, self.version) = (service, version);
        self
    }
}

/// What a batch moves a partition by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The partition.
    pub partition: TopicPartition,
    /// What is stored before this batch: the state's transaction must find it there, or another owner has been at work.
    pub previous: Option<i64>,
    /// What to store with it: the offset to go on at.
    pub next: i64,
}

/// Records of any number of partitions, in order within each.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The records.
    pub records: Vec<InRecord>,
    /// One per partition that has records in the batch.
    pub positions: Vec<Position>,
}

/// A handler of batches that keeps the offsets in its own transaction.
pub trait BatchHandler: Send + 'static {
    /// Where to go on, for each partition assigned: the offset that was stored, or `None` to begin at the earliest.
    fn stored_offsets(
        &mut self,
        assigned: &[TopicPartition],
    ) -> impl Future<Output = Result<Vec<(TopicPartition, Option<i64>)>, HandlerError>> + Send;

    /// Joins the batch into the state and stores its positions in the same transaction.
    ///
    /// After an error, of whatever class, [`stored_offsets`](Self::stored_offsets) is asked where the state stands now (the
    /// commit may have succeeded and its answer been lost, or another owner was faster), and what is not stored yet comes
    /// again after a backoff; meanwhile the service is not ready. State that depends on the order of everything cannot
    /// leave a batch out: records that cannot be used are the handler's own to set aside.
    fn apply(&mut self, batch: Batch) -> impl Future<Output = Result<(), HandlerError>> + Send;

    /// About once a second. `watermark` is the time up to which all assigned partitions have been read and applied;
    /// `None` while that is unknown.
    fn tick(
        &mut self,
        watermark: Option<waybill_contracts::Timestamp>,
    ) -> impl Future<Output = Result<(), HandlerError>> + Send;

    /// These partitions are gone; nothing of theirs comes any more.
    fn revoked(&mut self, partitions: &[TopicPartition]) -> impl Future<Output = ()> + Send;
}

/// Options of the batch loop.
#[derive(Clone, Debug)]
pub struct BatchOptions {
    /// Consumer group without namespace.
    pub group: String,
    /// Topics to read.
    pub topics: Vec<TopicName>,
    /// A batch is applied when it holds this many records,
    pub max_records: usize,
    /// or this many bytes,
    pub max_bytes: usize,
    /// or when its first record has waited this long.
    pub max_wait: Duration,
    /// Time between ticks.
    pub tick: Duration,
    /// Waits between attempts.
    pub backoff: Backoff,
    /// How long the last batch may take at shutdown.
    pub drain: Duration,
}

impl BatchOptions {
    /// With defaults for everything else.
    pub fn new(group: impl Into<String>, topics: Vec<TopicName>) -> Self {
        Self {
            group: group.into(),
            topics,
            max_records: 2000,
            max_bytes: 32 << 20,
            max_wait: Duration::from_millis(50),
            tick: Duration::from_secs(1),
            backoff: Backoff::default(),
            drain: Duration::from_secs(20),
        }
    }
}
