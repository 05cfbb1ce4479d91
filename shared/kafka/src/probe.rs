//! What a process shows of a Kafka component.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;

/// Readiness and life of one component; the runtime's `Component` and `Heartbeat` stand behind it.
pub trait Probe: Send + Sync {
    /// It works.
    fn ready(&self);
    /// It cannot work now, and why.
    fn not_ready(&self, reason: &str);
    /// Its thread is alive.
    fn beat(&self);
}

/// Shows nothing: tools and tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoProbe;

impl Probe for NoProbe {
    fn ready(&self) {}
    fn not_ready(&self, _: &str) {}
    fn beat(&self) {}
}

/// Why a component is not ready. The smallest is shown: what lies nearest to the cause comes first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trouble {
    /// No broker answers.
    Broker,
    /// A topic is missing or closed to us.
    Topic(String),
    /// A handler's surroundings are wrong (class `configuration`), by lane.
    Lane(usize),
    /// The first assignment has not come.
    Joining,
}

/// Turns any number of troubles into one readiness; reports changes only.
pub(crate) struct Health {
    probe: Arc<dyn Probe>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    troubles: BTreeMap<Trouble, String>,
    /// What was reported last; `None` before the first report, an empty text for ready.
    reported: Option<String>,
}

impl Health {
    pub(crate) fn new(probe: Arc<dyn Probe>) -> Self {
        Self { probe, state: Mutex::default() }
    }

    pub(crate) fn beat(&self) {
        self.probe.beat();
    }

    pub(crate) fn set(&self, trouble: Trouble, reason: impl Into<String>) {
        let mut state = self.state.lock();
        state.troubles.insert(trouble, reason.into());
        self.report(&mut state);
    }

    pub(crate) fn clear(&self, trouble: &Trouble) {
        let mut state = self.state.lock();
        if state.troubles.remove(trouble).is_some() {
            self.report(&mut state);
        }
    }

    pub(crate) fn has(&self, trouble: &Trouble) -> bool {
        self.state.lock().troubles.contains_key(trouble)
    }

    fn report(&self, state: &mut State) {
        let reason = state.troubles.values().next().cloned().unwrap_or_default();
        if state.reported.as_ref() == Some(&reason) {
            return;
        }
        if reason.is_empty() {
            self.probe.ready();
        } else {
            self.probe.not_ready(&reason);
        }
        state.reported = Some(reason);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Seen(Mutex<Vec<String>>);
    impl Probe for Seen {
        fn ready(&self) {
            self.0.lock().push("ready".into());
        }
        fn not_ready(&self, reason: &str) {
            self.0.lock().push(reason.into());
        }
        fn beat(&self) {}
    }

    #[test]
    fn shows_the_nearest_cause_and_each_change_once() {
        let seen = Arc::new(Seen::default());
        let health = Health::new(seen.clone());
        health.set(Trouble::Joining, "joining");
        health.set(Trouble::Joining, "joining");
        health.set(Trouble::Broker, "no broker answers");
        health.clear(&Trouble::Joining);
        health.clear(&Trouble::Broker);
        health.clear(&Trouble::Broker);
        assert_eq!(*seen.0.lock(), ["joining", "no broker answers", "ready"]);
    }
}
