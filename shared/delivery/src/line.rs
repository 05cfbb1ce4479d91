//! A line of a waybill: one event at one destination.
//!
//! Every field is a join of its own (a maximum or a minimum of a total order), so the whole is one too.

use std::{cmp::Ordering, time::Duration};

use serde::{Deserialize, Serialize};
use waybill_contracts::{Timestamp, delivery::Outcome};

/// By when something must be settled.
///
/// A deadline that a manifest set beats the grace that is given to what nobody announced; among equals the earlier one
/// counts, so that a repeat can never postpone it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Due {
    /// Nobody announced it: from its first sign plus the orphan grace.
    #[serde(rename = "g")]
    Grace(Timestamp),
    /// A manifest or the message itself set it.
    #[serde(rename = "d")]
    Deadline(Timestamp),
}

impl Due {
    /// The moment.
    pub const fn at(self) -> Timestamp {
        match self {
            Self::Grace(at) | Self::Deadline(at) => at,
        }
    }

    /// The join.
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        match (self, other) {
            (Self::Deadline(a), Self::Deadline(b)) => Self::Deadline(a.min(b)),
            (Self::Grace(a), Self::Grace(b)) => Self::Grace(a.min(b)),
            (deadline @ Self::Deadline(_), Self::Grace(_))
            | (Self::Grace(_), deadline @ Self::Deadline(_)) => deadline,
        }
    }
}

/// What was observed last, or, of confirmations, first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Outcome.
    #[serde(rename = "o", with = "outcome_number")]
    pub outcome: Outcome,
    /// When it was observed.
    #[serde(rename = "t")]
    pub at: Timestamp,
    /// Reason code.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// MSA-1, HTTP status or the like.
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    pub acknowledgement: Option<String>,
    /// MSH-10 sent.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub outbound_control_id: Option<String>,
}

impl Evidence {
    /// The total order whose maximum is kept: rank first; then the latest, but the first confirmation; then the texts,
    /// which only decide between records that contradict each other.
    fn cmp_kept(&self, other: &Self) -> Ordering {
        let time = self.at.cmp(&other.at);
        self.outcome
            .cmp(&other.outcome)
            .then(if self.outcome == Outcome::Confirmed { time.reverse() } else { time })
            .then_with(|| self.reason.cmp(&other.reason))
            .then_with(|| self.acknowledgement.cmp(&other.acknowledgement))
            .then_with(|| self.outbound_control_id.cmp(&other.outbound_control_id))
    }
}

/// A failure as a dead-letter topic shows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Failure {
    /// When.
    #[serde(rename = "t")]
    pub at: Timestamp,
    /// Reason code.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// One event at one destination.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// What receipts say; none: expected, and nothing heard.
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
    /// It was seen in a dead-letter topic: counts only while no receipt settles the line.
    #[serde(rename = "x", default, skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<Failure>,
    /// Attempts so far, the highest number seen.
    #[serde(rename = "n", default, skip_serializing_if = "is_zero")]
    pub attempts: u32,
    /// First receipt.
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    pub first_at: Option<Timestamp>,
    /// Last receipt.
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    pub last_at: Option<Timestamp>,
    /// By when it must be settled.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Due>,
}

impl Line {
    /// A line that was announced at `at` and must be settled `within` that time.
    pub fn expected(at: Timestamp, within: Duration) -> Self {
        Self { due: Some(Due::Deadline(at.saturating_add(within))), ..Self::default() }
    }

    /// A line of which something was observed.
    pub fn observed(evidence: Evidence, attempts: u32) -> Self {
        let at = Some(evidence.at);
        Self { evidence: Some(evidence), attempts, first_at: at, last_at: at, ..Self::default() }
    }

    /// The join: commutative, associative, idempotent.
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        Self {
            evidence: merge(self.evidence, other.evidence, |a, b| if a.cmp_kept(&b).is_ge() { a } else { b }),
            dead_letter: merge(self.dead_letter, other.dead_letter, Ord::max),
            attempts: self.attempts.max(other.attempts),
            first_at: merge(self.first_at, other.first_at, Ord::min),
            last_at: merge(self.last_at, other.last_at, Ord::max),
            due: merge(self.due, other.due, Due::join),
        }
    }

    /// What became of it.
    pub fn outcome(&self) -> Outcome {
        match &self.evidence {
            Some(evidence) if is_terminal(evidence.outcome) => evidence.outcome,
            _ if self.dead_letter.is_some() => Outcome::DeadLettered,
            Some(evidence) => evidence.outcome,
            None => Outcome::Expected,
        }
    }

    /// Reason of [`Self::outcome`].
    pub fn reason(&self) -> Option<&str> {
        match (&self.evidence, &self.dead_letter) {
            (Some(evidence), _) if is_terminal(evidence.outcome) => evidence.reason.as_deref(),
            (_, Some(failure)) => failure.reason.as_deref(),
            (Some(evidence), None) => evidence.reason.as_deref(),
            (None, None) => None,
        }
    }

    /// When [`Self::outcome`] was observed.
    pub fn at(&self) -> Option<Timestamp> {
        match (&self.evidence, &self.dead_letter) {
            (Some(evidence), _) if is_terminal(evidence.outcome) => Some(evidence.at),
            (_, Some(failure)) => Some(failure.at),
            (evidence, None) => evidence.as_ref().map(|evidence| evidence.at),
        }
    }

    /// Nothing more need come.
    pub fn is_settled(&self) -> bool {
        is_terminal(self.outcome())
    }

    /// Its deadline when it is still awaited.
    pub fn awaited_until(&self) -> Option<Timestamp> {
        if self.is_settled() { None } else { self.due.map(Due::at) }
    }

    /// Still awaited after its time, by what has been read so far.
    pub fn is_overdue(&self, watermark: Option<Timestamp>) -> bool {
        self.awaited_until().is_some_and(|due| watermark.is_some_and(|read| read > due))
    }

    /// Which side of the balance it stands on.
    pub fn bucket(&self, watermark: Option<Timestamp>) -> Bucket {
        match self.outcome() {
            Outcome::Confirmed => Bucket::Confirmed,
            Outcome::Filtered => Bucket::Filtered,
            Outcome::Superseded => Bucket::Superseded,
            Outcome::Rejected | Outcome::DeadLettered | Outcome::Expired => Bucket::Exception,
            Outcome::Expected | Outcome::Attempted | Outcome::Unknown | Outcome::Accepted => {
                if self.is_overdue(watermark) { Bucket::Overdue } else { Bucket::Open }
            }
        }
    }
}

/// Side of the balance sheet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bucket {
    /// The receiver has it.
    Confirmed,
    /// Deliberately not delivered.
    Filtered,
    /// A later version went instead.
    Superseded,
    /// Rejected, dead-lettered or expired.
    Exception,
    /// Awaited.
    Open,
    /// Awaited, and its deadline has passed.
    Overdue,
}

impl Bucket {
    /// Every bucket.
    pub const ALL: [Self; 6] =
        [Self::Confirmed, Self::Filtered, Self::Superseded, Self::Exception, Self::Open, Self::Overdue];
}

/// Nothing more need come after it.
pub const fn is_terminal(outcome: Outcome) -> bool {
    !matches!(outcome, Outcome::Expected | Outcome::Attempted | Outcome::Unknown | Outcome::Accepted)
}

/// It ended, and not well.
pub const fn is_exception(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Rejected | Outcome::DeadLettered | Outcome::Expired)
}

/// Joins what may be absent: absent is the least element.
pub(crate) fn merge<T>(a: Option<T>, b: Option<T>, join: impl FnOnce(T, T) -> T) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(join(a, b)),
        (a, b) => a.or(b),
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form serde asks for")]
const fn is_zero(attempts: &u32) -> bool {
    *attempts == 0
}

/// Outcomes are stored by their number, which never changes.
mod outcome_number {
    use serde::{Deserialize, Deserializer, Serializer, de};
    use waybill_contracts::delivery::Outcome;

    const ALL: [Outcome; 10] = [
        Outcome::Expected,
        Outcome::Attempted,
        Outcome::Unknown,
        Outcome::Accepted,
        Outcome::Rejected,
        Outcome::DeadLettered,
        Outcome::Expired,
        Outcome::Superseded,
        Outcome::Filtered,
        Outcome::Confirmed,
    ];

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the form serde asks for")]
    pub(super) fn serialize<S: Serializer>(outcome: &Outcome, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(*outcome as u8)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Outcome, D::Error> {
        let number = u8::deserialize(deserializer)?;
        ALL.get(usize::from(number)).copied().ok_or_else(|| de::Error::custom("not an outcome"))
    }
}
