//! A sending system as it should be: one message at a time per connection, each patient always on the same one, and
//! the same bytes again until the receiver has acknowledged them.
//!
//! ```no_run
//! # async fn example(hub: std::net::SocketAddr) {
//! use waybill_simulator::generate::{GenerateConfig, Generator};
//! use waybill_simulator::send::{CancellationToken, SendConfig, Sender};
//!
//! let messages = Generator::new(GenerateConfig::new(7, 500)).map(Into::into).collect();
//! let sender = Sender::new(SendConfig { connections: 4, rate: Some(300.0), ..SendConfig::to(hub.to_string()) });
//! let progress = sender.progress();
//! let report = sender.run(messages, CancellationToken::new()).await;
//! assert_eq!(report.failures, 0);
//! # let _ = progress.snapshot();
//! # }
//! ```

mod http;
mod lane;
mod message;
mod pace;
mod report;

pub use tokio_util::sync::CancellationToken;

pub use self::message::Outgoing;
pub use self::report::{Attempt, Fate, Latency, MessageRecord, Progress, ProgressSnapshot, SendReport};

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use self::lane::Lane;
use self::pace::Pace;

/// How messages travel.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Transport {
    /// MLLP: frames over TCP.
    #[default]
    Mllp,
    /// One POST per message.
    Http(HttpConfig),
}

/// How messages are posted.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpConfig {
    /// Path of the resource, `/fhir` or `/hl7`.
    pub path: String,
    /// What is sent.
    pub content: Content,
    /// Bearer token.
    pub token: Option<String>,
}

impl std::fmt::Debug for HttpConfig {
    /// Without the token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { path, content, token } = self;
        f.debug_struct("HttpConfig")
            .field("path", path)
            .field("content", content)
            .field("token", &token.is_some())
            .finish()
    }
}

/// What a POST carries, and so what answers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// A FHIR resource in JSON; the status answers.
    Fhir,
    /// An HL7 v2 message or batch; the acknowledgement in the body answers.
    Hl7,
}

impl Content {
    /// The media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Fhir => "application/fhir+json",
            // HAPI's HL7 over HTTP, the usual name since nothing is registered.
            Self::Hl7 => "application/hl7-v2",
        }
    }
}

/// Where to send, how fast, and how stubbornly.
#[derive(Debug, Clone)]
pub struct SendConfig {
    /// `host:port` of the listener.
    pub target: String,
    /// How messages travel.
    pub transport: Transport,
    /// Connections open at the same time; a patient's messages all take the same one.
    pub connections: usize,
    /// Messages per second over all connections; as fast as acknowledgements come when `None`.
    pub rate: Option<f64>,
    /// How long opening a connection may take.
    pub connect_timeout: Duration,
    /// How long to wait for an acknowledgement before the connection is given up and the message sent again.
    pub ack_timeout: Duration,
    /// Pause before the first repetition; doubled each time up to `retry_delay_max`.
    pub retry_delay: Duration,
    /// Longest pause between repetitions.
    pub retry_delay_max: Duration,
    /// A message not acknowledged this long after its first try is given up and counted as a failure.
    pub give_up_after: Duration,
}

impl SendConfig {
    /// One connection without a rate limit; acknowledgement within 10 s (the shortest default among real senders),
    /// given up after two minutes.
    pub fn to(target: impl Into<String>) -> Self {
        Self {
            target: target.into(),
            transport: Transport::Mllp,
            connections: 1,
            rate: None,
            connect_timeout: Duration::from_secs(5),
            ack_timeout: Duration::from_secs(10),
            retry_delay: Duration::from_millis(50),
            retry_delay_max: Duration::from_secs(1),
            give_up_after: Duration::from_mins(2),
        }
    }

    /// The same, FHIR over HTTP: every message is posted to `/fhir`.
    pub fn fhir(target: impl Into<String>, token: Option<&str>) -> Self {
        Self::to(target).over("/fhir", Content::Fhir, token)
    }

    /// The same, HL7 v2 over HTTP: every message is posted to `/hl7`.
    pub fn hl7_over_http(target: impl Into<String>, token: Option<&str>) -> Self {
        Self::to(target).over("/hl7", Content::Hl7, token)
    }

    fn over(self, path: &str, content: Content, token: Option<&str>) -> Self {
        let http = HttpConfig { path: path.to_owned(), content, token: token.map(str::to_owned) };
        Self { transport: Transport::Http(http), ..self }
    }
}

/// Sends messages and reports what became of each.
#[derive(Debug)]
pub struct Sender {
    config: Arc<SendConfig>,
    progress: Arc<Progress>,
}

impl Sender {
    /// Prepares a sender; nothing is opened yet.
    pub fn new(config: SendConfig) -> Self {
        Self { config: Arc::new(config), progress: Arc::default() }
    }

    /// Live counts, valid during and after a run.
    pub fn progress(&self) -> Arc<Progress> {
        self.progress.clone()
    }

    /// Sends every message and waits for all answers. After `cancel` nothing new is sent; a message whose answer is
    /// outstanding then ends as [`Fate::Cancelled`].
    pub async fn run(&self, messages: Vec<Outgoing>, cancel: CancellationToken) -> SendReport {
        let started = Instant::now();
        self.progress.begin(messages.len());
        let pace = Arc::new(Pace::new(self.config.rate, started));
        let lanes = self.config.connections.max(1);
        let mut queues: Vec<Vec<(usize, Outgoing)>> = vec![Vec::new(); lanes];
        for (index, message) in messages.into_iter().enumerate() {
            queues[(message.patient_hash() % lanes as u64) as usize].push((index, message));
        }
        let tasks: Vec<_> = queues
            .into_iter()
            .enumerate()
            .map(|(number, queue)| {
                let lane = Lane {
                    number,
                    config: self.config.clone(),
                    progress: self.progress.clone(),
                    pace: pace.clone(),
                    cancel: cancel.clone(),
                    started,
                };
                tokio::spawn(lane.run(queue))
            })
            .collect();
        let mut records = Vec::new();
        for task in tasks {
            // A lane ends by itself or, on cancellation, early; it does not panic and nobody aborts it.
            if let Ok(lane) = task.await {
                records.extend(lane);
            }
        }
        records.sort_by_key(|record| record.index);
        SendReport::new(records, started.elapsed())
    }
}
