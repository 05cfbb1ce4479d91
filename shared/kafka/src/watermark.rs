//! Which offset may be committed: everything below it is done, whatever order the work finished in. Pure.
//!
//! One [`Tracker`] belongs to one assignment of one partition. When the partition is taken away the tracker is closed and
//! forgotten by its owner; work that still holds it can acknowledge as late as it likes and moves nothing. That is the
//! assignment epoch: not a number that is compared but the tracker itself.

use std::{collections::VecDeque, time::Instant};

/// Offsets of one assignment of one partition.
#[derive(Debug, Default)]
pub(crate) struct Tracker {
    /// The offset to commit: all below are done. `None` until the first record.
    base: Option<i64>,
    /// From `base` on: when the record was read, or `None` once it is done.
    slots: VecDeque<Option<Instant>>,
    open: usize,
    closed: bool,
}

impl Tracker {
    /// A record was read. `false` for an offset that was read before: such a record is not waited for.
    ///
    /// Offsets that were skipped (compaction, transaction markers) count as done.
    pub(crate) fn track(&mut self, offset: i64, at: Instant) -> bool {
        if self.closed {
            return false;
        }
        let base = *self.base.get_or_insert(offset);
        let next = base + self.slots.len() as i64;
        if offset < next {
            return false;
        }
        if self.slots.is_empty() {
            self.base = Some(offset);
        } else {
            self.slots.extend((next..offset).map(|_| None));
        }
        self.slots.push_back(Some(at));
        self.open += 1;
        true
    }

    /// A record is done. Repeats and offsets that were never tracked change nothing.
    pub(crate) fn ack(&mut self, offset: i64) {
        let Some(base) = self.base.filter(|base| !self.closed && offset >= *base) else { return };
        let Ok(at) = usize::try_from(offset - base) else { return };
        if self.slots.get_mut(at).and_then(Option::take).is_none() {
            return;
        }
        self.open -= 1;
        let done = self.slots.iter().take_while(|slot| slot.is_none()).count();
        self.slots.drain(..done);
        self.base = Some(base + done as i64);
    }

    /// The offset to commit, once a record was read.
    pub(crate) fn committable(&self) -> Option<i64> {
        self.base
    }

    /// Records that were read and are not done.
    #[cfg(test)]
    pub(crate) fn open(&self) -> usize {
        self.open
    }

    /// Offsets between the oldest that is not done and the newest that was read.
    pub(crate) fn span(&self) -> usize {
        self.slots.len()
    }

    /// When the oldest record that is not done was read.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.slots.front().copied().flatten()
    }

    /// The partition is taken away; nothing moves any more.
    pub(crate) fn close(&mut self) {
        self.closed = true;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    /// What can happen to one partition.
    #[derive(Clone, Debug)]
    enum Step {
        /// The next record, after a gap.
        Read { gap: i64 },
        /// One of the records ever read is done, of this assignment or of an older one.
        Ack { which: usize },
        /// A record is done that nobody read.
        Stray { offset: i64 },
        /// Taken away and given back; reading goes on where was committed.
        Reassign,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            5 => prop_oneof![4 => Just(0_i64), 1 => 1_i64..20].prop_map(|gap| Step::Read { gap }),
            6 => any::<usize>().prop_map(|which| Step::Ack { which }),
            1 => (-5_i64..500).prop_map(|offset| Step::Stray { offset }),
            1 => Just(Step::Reassign),
        ]
    }

    proptest! {
        #[test]
        fn never_passes_what_is_not_done(start in 0_i64..1000, steps in proptest::collection::vec(step(), 0..300)) {
            let now = Instant::now();
            let mut trackers = vec![Tracker::default()];
            let mut open: BTreeSet<i64> = BTreeSet::new();
            let mut ever: Vec<(usize, i64)> = Vec::new();
            let (mut next, mut committed) = (start, None::<i64>);
            let mut old: BTreeMap<usize, Option<i64>> = BTreeMap::new();
            for step in steps {
                let epoch = trackers.len() - 1;
                match step {
                    Step::Read { gap } => {
                        next += gap;
                        prop_assert!(trackers[epoch].track(next, now));
                        prop_assert!(!trackers[epoch].track(next, now), "a repeat is not waited for");
                        open.insert(next);
                        ever.push((epoch, next));
                        next += 1;
                    }
                    Step::Ack { which } if !ever.is_empty() => {
                        let (of, offset) = ever[which % ever.len()];
                        trackers[of].ack(offset);
                        if of == epoch {
                            open.remove(&offset);
                        }
                    }
                    Step::Ack { .. } => {}
                    Step::Stray { offset } => {
                        if !open.contains(&offset) {
                            trackers[epoch].ack(offset);
                        }
                    }
                    Step::Reassign => {
                        trackers[epoch].close();
                        old.insert(epoch, trackers[epoch].committable());
                        trackers.push(Tracker::default());
                        next = committed.unwrap_or(start);
                        open.clear();
                        committed = None;
                    }
                }
                let tracker = &trackers[trackers.len() - 1];
                let at = tracker.committable();
                prop_assert!(at >= committed, "went back from {committed:?} to {at:?}");
                committed = at;
                let lowest_open = open.first().copied();
                if let Some(at) = at {
                    // Exactly the oldest that is not done, or behind the last that was read.
                    prop_assert_eq!(at, lowest_open.unwrap_or(next));
                }
                prop_assert_eq!(tracker.open(), open.len());
                prop_assert_eq!(tracker.oldest().is_some(), lowest_open.is_some());
                for (epoch, offset) in &old {
                    prop_assert_eq!(trackers[*epoch].committable(), *offset, "a closed assignment moved");
                }
            }
        }
    }
}
