//! A bound on the memory of all that has come in and is not answered.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use waybill_telemetry::metrics::{self, Gauge, Metric};

/// Bytes that may be held at the same time, over all connections of the process.
#[derive(Clone)]
pub(crate) struct Budget(Arc<State>);

struct State {
    limit: usize,
    held: AtomicUsize,
    shown: Gauge,
}

/// A part of the budget; given back when dropped.
pub(crate) struct Held {
    budget: Budget,
    bytes: usize,
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Self {
        let shown = metrics::gauge_handle(Metric::BufferedBytes, &[]);
        Self(Arc::new(State { limit, held: AtomicUsize::new(0), shown }))
    }

    /// Nothing yet.
    pub(crate) fn nothing(&self) -> Held {
        Held { budget: self.clone(), bytes: 0 }
    }
}

impl Held {
    /// Holds `bytes` from now on, instead of what it held; `false`, and no change, when there is not as much left.
    pub(crate) fn resize(&mut self, bytes: usize) -> bool {
        let state = &self.budget.0;
        match bytes.checked_sub(self.bytes) {
            Some(0) => return true,
            Some(more) => {
                let within = |held: usize| held.checked_add(more).filter(|held| *held <= state.limit);
                if state.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within).is_err() {
                    return false;
                }
            }
            None => {
                state.held.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
            }
        }
        self.bytes = bytes;
        state.shown.set(state.held.load(Ordering::Relaxed) as f64);
        true
    }

    /// Bytes held.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.resize(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_the_limit_is_held_and_what_is_dropped_is_free_again() {
        let budget = Budget::new(100);
        let (mut one, mut two) = (budget.nothing(), budget.nothing());
        assert!(one.resize(60));
        assert!(!two.resize(41));
        assert_eq!(two.bytes(), 0);
        assert!(two.resize(40));
        assert!(one.resize(10) && two.resize(90));
        assert!(!one.resize(usize::MAX));
        drop(two);
        assert!(one.resize(100));
        drop(one);
        assert!(budget.nothing().resize(100));
    }
}
