//! Records that wait for the ones before them, and so travel together.
//!
//! A record costs the client and the broker several times less in company than alone. Waiting a fixed time for company would
//! delay whoever is alone; so the wait is for something that takes time anyway: while records are on their way, new ones
//! gather, and leave together when those are acknowledged. The first one leaves at once. The more come, the larger the
//! company; nobody waits longer than one round trip.

use std::{mem, sync::Arc};

use parking_lot::Mutex;

use super::group::Group;
use crate::OutRecord;

/// Records of one call.
pub(super) struct Waiting {
    pub(super) records: Vec<OutRecord>,
    pub(super) group: Arc<Group>,
}

/// Who is on the way and who waits. While any waits, some are on their way.
#[derive(Default)]
pub(super) struct Gathering(Mutex<State>);

#[derive(Default)]
struct State {
    /// Records that the client has and has not reported.
    on_the_way: usize,
    waiting: Vec<Waiting>,
}

impl Gathering {
    /// Gives the records back when they are to leave at once; else they wait.
    pub(super) fn admit(&self, records: Vec<OutRecord>, group: &Arc<Group>) -> Option<Vec<OutRecord>> {
        let mut state = self.0.lock();
        if state.on_the_way == 0 {
            state.on_the_way = records.len();
            return Some(records);
        }
        state.waiting.push(Waiting { records, group: group.clone() });
        None
    }

    /// So many leave without having been asked.
    pub(super) fn leave(&self, records: usize) {
        self.0.lock().on_the_way += records;
    }

    /// So many are no longer on their way. Gives those that leave now: the caller hands them to the client.
    pub(super) fn arrived(&self, records: usize) -> Vec<Waiting> {
        let mut state = self.0.lock();
        state.on_the_way -= records;
        if state.on_the_way > 0 {
            return Vec::new();
        }
        let leaving = mem::take(&mut state.waiting);
        state.on_the_way = leaving.iter().map(|waiting| waiting.records.len()).sum();
        leaving
    }
}

#[cfg(test)]
mod tests {
    use waybill_contracts::Namespace;

    use super::*;

    fn records(count: usize) -> Vec<OutRecord> {
        let topic = Namespace::default().topic("lab.result.v1");
        let record =
            OutRecord { topic, key: Vec::new(), headers: Vec::new(), value: Vec::new(), partition: None };
        vec![record; count]
    }

    #[test]
    fn the_first_leaves_at_once_and_those_after_it_together_once_it_has_arrived() {
        let gathering = Gathering::default();
        let group = Group::new(1);
        assert_eq!(gathering.admit(records(2), &group).map(|records| records.len()), Some(2));
        assert!(gathering.admit(records(1), &group).is_none());
        assert!(gathering.admit(records(3), &group).is_none());
        assert!(gathering.arrived(1).is_empty(), "one is still on its way");
        let leaving: Vec<_> = gathering.arrived(1).iter().map(|waiting| waiting.records.len()).collect();
        assert_eq!(leaving, [1, 3]);
        gathering.leave(1);
        assert!(gathering.admit(records(1), &group).is_none());
        assert!(gathering.arrived(4).is_empty());
        assert_eq!(gathering.arrived(1).len(), 1);
        assert!(gathering.arrived(1).is_empty());
        assert!(gathering.admit(records(1), &group).is_some(), "nothing is on its way any more");
    }
}
