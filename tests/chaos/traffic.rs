//! What flows meanwhile: a hospital and a laboratory that send, two systems that receive results.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result};
use time::OffsetDateTime;
use tokio::task::JoinHandle;
use waybill_simulator::{
    generate::{Feed, GenerateConfig, Generated, Generator, Kind},
    receive::{Received, ReceiverHandle},
    send::{CancellationToken, Fate, Outgoing, Progress, SendConfig, SendReport, Sender},
};
use waybill_testkit::Target;

use crate::checker::{Arrival, Sent, anonymous, digest};

/// Gets every result.
pub(crate) const PORTAL: &str = "portal";
/// Gets final and corrected results.
pub(crate) const REGISTRY: &str = "registry";

/// Messages per second over both feeds.
pub(crate) const RATE: f64 = 300.0;
/// Connections per feed.
const CONNECTIONS: usize = 4;
/// Few enough that each has many results to be kept in order.
const PATIENTS: usize = 400;

/// Both senders at work, for one round.
pub(crate) struct Traffic {
    round: u32,
    started: OffsetDateTime,
    lanes: Vec<Lane>,
    cancel: CancellationToken,
}

struct Lane {
    messages: Arc<Vec<Generated>>,
    progress: Arc<Progress>,
    run: JoinHandle<SendReport>,
}

/// What the senders know when all is over.
#[derive(Default)]
pub(crate) struct History {
    /// Distinct messages that were written at least once, in the order of sending per feed and round.
    pub(crate) sent: Vec<Sent>,
    /// Writes beyond the first of each message.
    pub(crate) resends: usize,
    /// When each AA came, in order.
    pub(crate) acknowledged: Vec<OffsetDateTime>,
}

impl Traffic {
    /// Starts sending, other messages in every round and run; there is enough for `longest`, and [`stop`](Self::stop)
    /// ends it before.
    pub(crate) fn start(ehr: SocketAddr, lis: SocketAddr, round: u32, longest: Duration) -> Self {
        let seed = u64::from(std::process::id()) * 100 + u64::from(round);
        let count = (RATE * longest.as_secs_f64()) as usize;
        let config =
            GenerateConfig { patients: PATIENTS, lab_share: 0.5, ..GenerateConfig::new(seed, count) };
        let (admissions, results): (Vec<_>, Vec<_>) =
            Generator::new(config).partition(|message| message.feed == Feed::Ehr);
        let cancel = CancellationToken::new();
        let started = OffsetDateTime::now_utc();
        let lanes = [(ehr, admissions), (lis, results)]
            .into_iter()
            .map(|(address, messages)| {
                let rate = RATE * messages.len() as f64 / count.max(1) as f64;
                Lane::start(address, messages, rate, cancel.clone())
            })
            .collect();
        Self { round, started, lanes, cancel }
    }

    /// Messages acknowledged with AA so far.
    pub(crate) fn accepted(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.progress.snapshot().accepted).sum()
    }

    /// Neither sender has run out of messages.
    pub(crate) fn is_flowing(&self) -> bool {
        self.lanes.iter().all(|lane| !lane.run.is_finished())
    }

    /// Ends the stream, also in the middle of an exchange, as a sender that is switched off does.
    pub(crate) async fn stop(self, history: &mut History) -> Result<()> {
        self.cancel.cancel();
        for lane in self.lanes {
            let report = lane.run.await.context("a sender")?;
            history.resends += report.resends;
            history.add(self.round, self.started, &lane.messages, &report);
        }
        history.acknowledged.sort_unstable();
        Ok(())
    }
}

impl Lane {
    fn start(address: SocketAddr, messages: Vec<Generated>, rate: f64, cancel: CancellationToken) -> Self {
        let config = SendConfig {
            connections: CONNECTIONS,
            rate: Some(rate),
            // Longer than any outage here: a message that was begun is brought to its end.
            give_up_after: Duration::from_mins(10),
            ..SendConfig::to(address.to_string())
        };
        let sender = Sender::new(config);
        let progress = sender.progress();
        let messages = Arc::new(messages);
        let outgoing: Vec<Outgoing> = messages.iter().cloned().map(Outgoing::from).collect();
        let run = tokio::spawn(async move { sender.run(outgoing, cancel).await });
        Self { messages, progress, run }
    }
}

impl History {
    fn add(&mut self, round: u32, started: OffsetDateTime, messages: &[Generated], report: &SendReport) {
        let mut known = HashMap::new();
        for record in report.records.iter().filter(|record| !record.attempts.is_empty()) {
            let message = &messages[record.index];
            let digest = digest(&message.bytes);
            let at = *known.entry(digest).or_insert_with(|| {
                self.sent.push(Sent {
                    control_id: name(message),
                    digest,
                    anonymous: anonymous(&message.bytes),
                    // A message that a round's end left unanswered may be stored after the next round's first.
                    patient: format!("{round}/{}", message.mrn),
                    targets: targets(message),
                    accepted: false,
                    refused: false,
                });
                self.sent.len() - 1
            });
            self.sent[at].accepted |= record.fate == Fate::Accepted;
            self.sent[at].refused |= record.fate == Fate::Refused;
            if let (Fate::Accepted, Some(last)) = (record.fate, record.attempts.last()) {
                self.acknowledged.push(started + last.at + last.took);
            }
        }
    }
}

/// What a finding calls a message: its control id, or which one without a control id it is.
fn name(message: &Generated) -> String {
    if message.control_id.is_empty() { "(no control id)".to_owned() } else { message.control_id.clone() }
}

/// Both of them, for the routing table.
pub(crate) fn routing(receivers: &BTreeMap<&'static str, ReceiverHandle>) -> Vec<Target> {
    let target = |(name, receiver): (&&str, &ReceiverHandle)| {
        let target = Target::new(name, receiver.addr());
        if *name == REGISTRY { target.when(r#"{ status = ["final", "corrected"] }"#) } else { target }
    };
    receivers.iter().map(target).collect()
}

/// What [`routing`] says, said again.
fn targets(message: &Generated) -> Vec<String> {
    if message.expect.kind != Kind::Result {
        return Vec::new();
    }
    let mut targets = vec![PORTAL.to_owned()];
    if matches!(message.result_status, Some("F" | "C")) {
        targets.push(REGISTRY.to_owned());
    }
    targets
}

/// The receivers' histories, by target.
pub(crate) fn arrivals(receivers: &BTreeMap<&'static str, ReceiverHandle>) -> BTreeMap<String, Vec<Arrival>> {
    let of = |received: Received| {
        let bytes = received.bytes.unwrap_or_default();
        Arrival {
            control_id: received.control_id,
            digest: digest(&bytes),
            anonymous: anonymous(&bytes),
            acknowledged: received.ack.as_deref() == Some("AA"),
        }
    };
    receivers
        .iter()
        .map(|(name, receiver)| ((*name).to_owned(), receiver.history().into_iter().map(of).collect()))
        .collect()
}

/// When each message arrived anywhere, sorted.
pub(crate) fn arrival_times(receivers: &BTreeMap<&'static str, ReceiverHandle>) -> Vec<OffsetDateTime> {
    let mut times: Vec<_> = receivers
        .values()
        .flat_map(|receiver| receiver.history().into_iter().map(|received| received.at))
        .collect();
    times.sort_unstable();
    times
}
