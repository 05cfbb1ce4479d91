//! The balance sheet: expected = confirmed + filtered + superseded + exceptions + open + overdue.
//!
//! `expected` counts the lines themselves and the other side counts what became of them, so that a line which were
//! lost between two states would show.

use std::{
    collections::BTreeMap,
    ops::{AddAssign, Neg},
};

use waybill_contracts::Timestamp;

use crate::{
    line::Bucket,
    waybill::{EventTopic, Waybill},
};

const HOUR_MS: i64 = 3_600_000;

/// A row of the balance sheet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Account {
    /// Feed; empty while unknown.
    pub feed: String,
    /// Topic of the events, without namespace; empty while unknown.
    pub topic: String,
    /// Consumer group, or target.
    pub destination: String,
    /// Start of the hour in which the message came in.
    pub hour: Timestamp,
}

/// Numbers of lines. As a difference they may be negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Lines there are.
    pub expected: i64,
    /// Confirmed.
    pub confirmed: i64,
    /// Filtered.
    pub filtered: i64,
    /// Superseded.
    pub superseded: i64,
    /// Rejected, dead-lettered or expired.
    pub exceptions: i64,
    /// Awaited in time.
    pub open: i64,
    /// Awaited after their deadline.
    pub overdue: i64,
}

impl Counts {
    /// One line in `bucket`.
    pub fn one(bucket: Bucket) -> Self {
        let mut counts = Self { expected: 1, ..Self::default() };
        *match bucket {
            Bucket::Confirmed => &mut counts.confirmed,
            Bucket::Filtered => &mut counts.filtered,
            Bucket::Superseded => &mut counts.superseded,
            Bucket::Exception => &mut counts.exceptions,
            Bucket::Open => &mut counts.open,
            Bucket::Overdue => &mut counts.overdue,
        } = 1;
        counts
    }

    /// Expected minus everything that became of it: zero when it balances.
    pub const fn difference(&self) -> i64 {
        self.expected
            - (self.confirmed + self.filtered + self.superseded + self.exceptions + self.open + self.overdue)
    }

    /// Nothing in it.
    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.expected += other.expected;
        self.confirmed += other.confirmed;
        self.filtered += other.filtered;
        self.superseded += other.superseded;
        self.exceptions += other.exceptions;
        self.open += other.open;
        self.overdue += other.overdue;
    }
}

impl Neg for Counts {
    type Output = Self;

    fn neg(self) -> Self {
        let mut negated = Self::default();
        negated.expected -= self.expected;
        negated.confirmed -= self.confirmed;
        negated.filtered -= self.filtered;
        negated.superseded -= self.superseded;
        negated.exceptions -= self.exceptions;
        negated.open -= self.open;
        negated.overdue -= self.overdue;
        negated
    }
}

/// Start of the hour that `at` lies in.
pub const fn hour_of(at: Timestamp) -> Timestamp {
    Timestamp::from_millis(at.as_millis().div_euclid(HOUR_MS) * HOUR_MS)
}

/// A balance sheet, or the difference between two.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sheet(BTreeMap<Account, Counts>);

impl Sheet {
    /// Adds the lines of a waybill.
    pub fn add(&mut self, waybill: &Waybill) {
        self.count(waybill, |counts| counts);
    }

    /// Takes the lines of a waybill away.
    pub fn subtract(&mut self, waybill: &Waybill) {
        self.count(waybill, Neg::neg);
    }

    /// Rows that are not zero, in the order of their accounts.
    pub fn rows(&self) -> impl Iterator<Item = (&Account, &Counts)> {
        self.0.iter().filter(|(_, counts)| !counts.is_zero())
    }

    fn count(&mut self, waybill: &Waybill, sign: impl Fn(Counts) -> Counts) {
        let hour = hour_of(waybill.accounted_at());
        for ((_, event), destination, line) in waybill.lines() {
            let account = Account {
                feed: waybill.feed.clone().unwrap_or_default(),
                topic: event.topic.as_ref().map_or("", EventTopic::as_str).to_owned(),
                destination: destination.to_owned(),
                hour,
            };
            *self.0.entry(account).or_default() += sign(Counts::one(line.bucket(waybill.watermark)));
        }
    }
}
