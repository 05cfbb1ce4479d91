//! Up to which time everything has been read and applied. Pure.
//!
//! For one partition: if everything below the end that the broker named at time t is applied, then t; else the timestamp of
//! the last record applied; never earlier than it was. For all together the earliest. Nothing is said while one of them is
//! unknown: just assigned and not at its end, or the broker did not answer.

use waybill_contracts::Timestamp;

/// What is known of one partition.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    /// Next offset to apply, once known.
    next: Option<i64>,
    last_applied: Option<Timestamp>,
    /// Up to here everything is applied.
    upto: Option<Timestamp>,
    /// The broker did not answer the last time it was asked.
    silent: bool,
}

impl Progress {
    /// Reading begins at `next`, or at the earliest record.
    pub(super) fn starting(next: Option<i64>) -> Self {
        Self { next, ..Self::default() }
    }

    /// Everything below `next` is applied; the last record was made at `timestamp`.
    pub(super) fn applied(&mut self, next: i64, timestamp: Timestamp) {
        self.next = Some(next);
        self.last_applied = Some(timestamp);
        self.raise(timestamp);
    }

    /// Everything below `next` turned out to be applied already; when those records were made is not known.
    pub(super) fn skip_to(&mut self, next: Option<i64>) {
        self.next = self.next.max(next);
    }

    /// What the broker said when it was asked at `asked`: the earliest offset it has and the end.
    pub(super) fn end(&mut self, answer: Option<(i64, i64)>, asked: Timestamp) {
        self.silent = answer.is_none();
        let Some((low, high)) = answer else { return };
        // What retention has deleted need not be read.
        if self.next.unwrap_or(low).max(low) >= high {
            self.raise(asked);
        } else if let Some(last) = self.last_applied {
            self.raise(last);
        }
    }

    fn raise(&mut self, to: Timestamp) {
        self.upto = self.upto.max(Some(to));
    }

    /// `None` while unknown.
    pub(super) fn watermark(&self) -> Option<Timestamp> {
        self.upto.filter(|_| !self.silent)
    }
}

/// The earliest of all; `None` without partitions or while one is unknown.
pub(super) fn watermark(partitions: impl IntoIterator<Item = Option<Timestamp>>) -> Option<Timestamp> {
    partitions.into_iter().reduce(|a, b| Some(a?.min(b?))).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn unknown_until_the_end_was_seen_or_a_record_applied() {
        let mut progress = Progress::starting(None);
        assert_eq!(progress.watermark(), None);
        progress.end(Some((0, 10)), at(1000));
        assert_eq!(progress.watermark(), None, "ten records are to be read");
        progress.applied(4, at(500));
        assert_eq!(progress.watermark(), Some(at(500)));
        progress.end(Some((0, 10)), at(2000));
        assert_eq!(progress.watermark(), Some(at(500)));
        progress.applied(10, at(900));
        assert_eq!(progress.watermark(), Some(at(900)));
        progress.end(Some((0, 10)), at(3000));
        assert_eq!(progress.watermark(), Some(at(3000)), "at the end, the broker's word counts");
    }

    #[test]
    fn an_empty_partition_is_read_to_its_end() {
        let mut progress = Progress::starting(None);
        progress.end(Some((7, 7)), at(1000));
        assert_eq!(progress.watermark(), Some(at(1000)));
        let mut expired = Progress::starting(Some(3));
        expired.end(Some((7, 7)), at(1000));
        assert_eq!(expired.watermark(), Some(at(1000)), "what retention deleted is not waited for");
    }

    #[test]
    fn a_silent_broker_makes_it_unknown_and_it_comes_back_where_it_was() {
        let mut progress = Progress::starting(Some(7));
        progress.end(Some((0, 7)), at(1000));
        progress.end(None, at(2000));
        assert_eq!(progress.watermark(), None);
        progress.end(Some((0, 9)), at(3000));
        assert_eq!(progress.watermark(), Some(at(1000)), "two records came meanwhile");
    }

    #[test]
    fn all_partitions_count() {
        assert_eq!(watermark([]), None);
        assert_eq!(watermark([Some(at(3)), Some(at(1)), Some(at(2))]), Some(at(1)));
        assert_eq!(watermark([Some(at(3)), None]), None);
        assert_eq!(watermark([None, Some(at(3))]), None);
    }

    proptest! {
        /// Against a partition that is simulated: never later than the oldest record that is written and not applied.
        #[test]
        fn never_passes_a_record_that_is_not_applied(steps in proptest::collection::vec(0_u8..4, 0..200)) {
            let mut written: Vec<i64> = Vec::new();
            let (mut applied, mut clock, mut before) = (0_usize, 0_i64, None);
            let mut progress = Progress::starting(Some(0));
            for step in steps {
                clock += 1;
                match step {
                    0 | 1 => written.push(clock),
                    2 if applied < written.len() => {
                        applied += 1;
                        progress.applied(applied as i64, at(written[applied - 1]));
                    }
                    2 => {}
                    _ => progress.end(Some((0, written.len() as i64)), at(clock)),
                }
                let watermark = progress.watermark();
                prop_assert!(watermark >= before, "never goes back");
                before = watermark;
                if let (Some(watermark), Some(oldest)) = (watermark, written.get(applied)) {
                    prop_assert!(watermark < at(*oldest), "{watermark:?} passes a record of {oldest}");
                }
            }
        }
    }
}
