//! What became of the messages: live counts and the final record.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use serde::{Serialize, Serializer};

/// How a message ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// Acknowledged with AA or CA, or with a status of 200 to 299.
    Accepted,
    /// Answered with AE or CE, or with AR or CR for a reason that will not go away.
    Refused,
    /// No final answer within the time allowed.
    GivenUp,
    /// The run was cancelled first.
    Cancelled,
}

/// One write of a message and what came back.
#[derive(Debug, Clone, Serialize)]
pub struct Attempt {
    /// Since the start of the run, in microseconds in JSON.
    #[serde(rename = "at_us", serialize_with = "micros")]
    pub at: Duration,
    /// From the write to the answer or its failure, in microseconds in JSON.
    #[serde(rename = "took_us", serialize_with = "micros")]
    pub took: Duration,
    /// MSA-1, or `timeout`, `closed`, `reset`, `wrong-control-id`, `garbage`, `unanswered` (cancelled meanwhile).
    pub result: String,
}

/// A message's history.
#[derive(Debug, Clone, Serialize)]
pub struct MessageRecord {
    /// Position in the input, from 0.
    pub index: usize,
    /// MSH-10.
    pub control_id: String,
    /// Of the bytes sent, which are the same in every attempt.
    pub sha256: String,
    /// The file it came from, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Number of its connection, from 0.
    pub connection: usize,
    /// How it ended.
    pub fate: Fate,
    /// MSA-1 of the last answer that was for this message, or its status.
    pub ack: Option<String>,
    /// Connections that could not be opened while it waited.
    pub connect_failures: u64,
    /// Every write, in order.
    pub attempts: Vec<Attempt>,
}

/// Time from write to acknowledgement, over final answers; in microseconds in JSON.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Latency {
    /// Median.
    #[serde(rename = "p50_us", serialize_with = "micros")]
    pub p50: Duration,
    /// 99th percentile.
    #[serde(rename = "p99_us", serialize_with = "micros")]
    pub p99: Duration,
    /// The slowest.
    #[serde(rename = "max_us", serialize_with = "micros")]
    pub max: Duration,
}

/// The outcome of a run.
#[derive(Debug, Clone, Serialize)]
pub struct SendReport {
    /// Messages written at least once.
    pub sent: usize,
    /// Final answers by MSA-1.
    pub acked: BTreeMap<String, usize>,
    /// Writes beyond the first of each message.
    pub resends: usize,
    /// Messages without a final answer: given up or cancelled.
    pub failures: usize,
    /// Of the attempt that was finally answered.
    pub latency: Latency,
    /// Wall-clock time of the run, in microseconds in JSON.
    #[serde(rename = "took_us", serialize_with = "micros")]
    pub took: Duration,
    /// Every message, in the order of the input.
    pub records: Vec<MessageRecord>,
}

impl SendReport {
    pub(super) fn new(records: Vec<MessageRecord>, took: Duration) -> Self {
        let mut acked = BTreeMap::new();
        let mut latencies = Vec::new();
        for record in &records {
            if let (Fate::Accepted | Fate::Refused, Some(code)) = (record.fate, &record.ack) {
                *acked.entry(code.clone()).or_default() += 1;
                latencies.extend(record.attempts.last().map(|attempt| attempt.took));
            }
        }
        latencies.sort_unstable();
        Self {
            sent: records.iter().filter(|record| !record.attempts.is_empty()).count(),
            acked,
            resends: records.iter().map(|record| record.attempts.len().saturating_sub(1)).sum(),
            failures: records.iter().filter(|r| matches!(r.fate, Fate::GivenUp | Fate::Cancelled)).count(),
            latency: Latency {
                p50: percentile(&latencies, 50),
                p99: percentile(&latencies, 99),
                max: latencies.last().copied().unwrap_or_default(),
            },
            took,
            records,
        }
    }

    /// Messages that ended this way.
    pub fn count(&self, fate: Fate) -> usize {
        self.records.iter().filter(|record| record.fate == fate).count()
    }

    /// Messages acknowledged with AA or CA, per second of the run.
    pub fn accepted_per_second(&self) -> f64 {
        self.count(Fate::Accepted) as f64 / self.took.as_secs_f64().max(1e-9)
    }
}

/// Nearest rank in a sorted list; zero for an empty one.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

fn micros<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(value.as_micros() as u64)
}

/// Live counts of a run.
#[derive(Debug, Default)]
pub struct Progress {
    total: AtomicU64,
    sent: AtomicU64,
    accepted: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    resends: AtomicU64,
    connect_failures: AtomicU64,
}

/// [`Progress`] at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ProgressSnapshot {
    /// Messages to send.
    pub total: u64,
    /// Written at least once.
    pub sent: u64,
    /// Acknowledged with AA or CA.
    pub accepted: u64,
    /// Finally refused.
    pub refused: u64,
    /// Given up or cancelled.
    pub failed: u64,
    /// Writes beyond the first.
    pub resends: u64,
    /// Connections that could not be opened.
    pub connect_failures: u64,
}

impl Progress {
    /// The counts now; each is right, together they may be a moment apart.
    pub fn snapshot(&self) -> ProgressSnapshot {
        ProgressSnapshot {
            total: self.total.load(Relaxed),
            sent: self.sent.load(Relaxed),
            accepted: self.accepted.load(Relaxed),
            refused: self.refused.load(Relaxed),
            failed: self.failed.load(Relaxed),
            resends: self.resends.load(Relaxed),
            connect_failures: self.connect_failures.load(Relaxed),
        }
    }

    pub(super) fn begin(&self, messages: usize) {
        self.total.fetch_add(messages as u64, Relaxed);
    }

    pub(super) fn attempt(&self, again: bool) {
        if again { &self.resends } else { &self.sent }.fetch_add(1, Relaxed);
    }

    pub(super) fn connect_failure(&self) {
        self.connect_failures.fetch_add(1, Relaxed);
    }

    pub(super) fn finish(&self, record: &MessageRecord) {
        match record.fate {
            Fate::Accepted => &self.accepted,
            Fate::Refused => &self.refused,
            Fate::GivenUp | Fate::Cancelled => &self.failed,
        }
        .fetch_add(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::percentile;

    #[test]
    fn percentiles_are_nearest_rank() {
        let values: Vec<_> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!(percentile(&values, 50), Duration::from_millis(100));
        assert_eq!(percentile(&values, 99), Duration::from_millis(198));
        assert_eq!(percentile(&values[..1], 99), Duration::from_millis(1));
        assert_eq!(percentile(&[], 50), Duration::ZERO);
    }
}
