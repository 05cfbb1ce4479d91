//! Whether a process is ready for work, and whether it is alive at all.
//!
//! Ready: every component is, and the process is not draining. A component is what the service needs to do its work: a
//! connection, an assignment, a schema. Alive: every heartbeat came within its bound. An unreachable broker is a reason
//! for "not ready" and never for "not alive": restarting a whole fleet because its broker is away makes it worse.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use waybill_telemetry::metrics::{Gauge, Label, Metric, gauge_handle};

/// The health of a process.
#[derive(Clone)]
pub struct Health(Arc<Inner>);

struct Inner {
    draining: CancellationToken,
    started: Instant,
    components: RwLock<Vec<Component>>,
    heartbeats: RwLock<Vec<Weak<Pulse>>>,
}

impl Health {
    /// Health that turns "not ready" when the token is cancelled. A service gets one with its context; tests make one.
    pub fn new(draining: CancellationToken) -> Self {
        Self(Arc::new(Inner {
            draining,
            started: Instant::now(),
            components: RwLock::default(),
            heartbeats: RwLock::default(),
        }))
    }

    /// Registers a component, not ready until it says so; a name that is known gives the same component.
    ///
    /// A process without components is not ready: it has not started its work.
    pub fn component(&self, name: impl Into<String>) -> Component {
        let name = name.into();
        let mut components = self.0.components.write();
        if let Some(known) = components.iter().find(|known| known.0.name == name) {
            return known.clone();
        }
        let ready = gauge_handle(Metric::ComponentReady, &[Label::Component(&name)]);
        ready.set(0.0);
        let component =
            Component(Arc::new(State { name, reason: Mutex::new(Some("starting".to_owned())), ready }));
        components.push(component.clone());
        component
    }

    /// Registers a heartbeat that must come at least once per `bound`. It is retired when its last clone is dropped.
    pub fn heartbeat(&self, name: impl Into<String>, bound: Duration) -> Heartbeat {
        let started = self.0.started;
        let pulse = Arc::new(Pulse { name: name.into(), bound, started, last: AtomicU64::new(0) });
        let heartbeat = Heartbeat(pulse);
        heartbeat.beat();
        let mut heartbeats = self.0.heartbeats.write();
        heartbeats.retain(|known| known.strong_count() > 0);
        heartbeats.push(Arc::downgrade(&heartbeat.0));
        heartbeat
    }

    /// Whether the process takes work.
    pub fn is_ready(&self) -> bool {
        self.readiness().ready
    }

    /// Whether the process works at all.
    pub fn is_live(&self) -> bool {
        self.liveness().live
    }

    pub(crate) fn readiness(&self) -> Readiness {
        let components: Vec<_> = self.0.components.read().iter().map(Component::report).collect();
        let draining = self.0.draining.is_cancelled();
        let ready = !draining && !components.is_empty() && components.iter().all(|component| component.ready);
        let status = match (draining, ready) {
            (true, _) => "draining",
            (false, true) => "ready",
            (false, false) => "not ready",
        };
        Readiness { ready, status, components }
    }

    pub(crate) fn liveness(&self) -> Liveness {
        let heartbeats: Vec<_> =
            self.0.heartbeats.read().iter().filter_map(Weak::upgrade).map(|pulse| pulse.report()).collect();
        Liveness { live: heartbeats.iter().all(|heartbeat| heartbeat.live), heartbeats }
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health").field("ready", &self.is_ready()).field("live", &self.is_live()).finish()
    }
}

/// Something the service needs to be ready.
#[derive(Clone)]
pub struct Component(Arc<State>);

struct State {
    name: String,
    /// Why it is not ready.
    reason: Mutex<Option<String>>,
    ready: Gauge,
}

impl Component {
    /// It is ready.
    pub fn ready(&self) {
        if self.0.reason.lock().take().is_some() {
            self.0.ready.set(1.0);
            tracing::info!(component = self.0.name, "component is ready");
        }
    }

    /// It is not, for this reason: a short text for operators, without message content.
    pub fn not_ready(&self, reason: impl Into<String>) {
        let reason = reason.into();
        let mut current = self.0.reason.lock();
        if current.as_ref() != Some(&reason) {
            self.0.ready.set(0.0);
            tracing::warn!(component = self.0.name, reason, "component is not ready");
            *current = Some(reason);
        }
    }

    /// Whether it is ready.
    pub fn is_ready(&self) -> bool {
        self.0.reason.lock().is_none()
    }

    fn report(&self) -> ComponentReport {
        let reason = self.0.reason.lock().clone();
        ComponentReport { name: self.0.name.clone(), ready: reason.is_none(), reason }
    }
}

impl fmt::Debug for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Component").field("name", &self.0.name).field("ready", &self.is_ready()).finish()
    }
}

/// Proof that a thread or task still turns.
#[derive(Clone)]
pub struct Heartbeat(Arc<Pulse>);

struct Pulse {
    name: String,
    bound: Duration,
    started: Instant,
    /// Milliseconds from `started` to the last beat.
    last: AtomicU64,
}

impl Heartbeat {
    /// It turns. One clock reading and one atomic store.
    pub fn beat(&self) {
        self.0.last.store(self.0.age_of_process(), Ordering::Relaxed);
    }
}

impl Pulse {
    fn age_of_process(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }

    fn report(&self) -> HeartbeatReport {
        let age_ms = self.age_of_process().saturating_sub(self.last.load(Ordering::Relaxed));
        let bound_ms = self.bound.as_millis() as u64;
        HeartbeatReport { name: self.name.clone(), live: age_ms <= bound_ms, age_ms, bound_ms }
    }
}

impl fmt::Debug for Heartbeat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Heartbeat").field("name", &self.0.name).field("bound", &self.0.bound).finish()
    }
}

#[derive(Serialize)]
pub(crate) struct Readiness {
    #[serde(skip)]
    pub(crate) ready: bool,
    status: &'static str,
    components: Vec<ComponentReport>,
}

#[derive(Serialize)]
struct ComponentReport {
    name: String,
    ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Serialize)]
pub(crate) struct Liveness {
    pub(crate) live: bool,
    heartbeats: Vec<HeartbeatReport>,
}

#[derive(Serialize)]
struct HeartbeatReport {
    name: String,
    live: bool,
    age_ms: u64,
    bound_ms: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_ready_when_every_component_is_and_not_while_draining() {
        let draining = CancellationToken::new();
        let health = Health::new(draining.clone());
        assert!(!health.is_ready(), "nothing was started yet");
        let (kafka, store) = (health.component("kafka"), health.component("store"));
        kafka.ready();
        assert!(!health.is_ready());
        health.component("store").ready();
        assert!(health.is_ready(), "the same name is the same component");
        store.not_ready("connection refused");
        let report = serde_json::to_value(health.readiness()).unwrap();
        assert_eq!(report["status"], "not ready");
        assert_eq!(report["components"][1]["reason"], "connection refused");
        store.ready();
        draining.cancel();
        assert!(!health.is_ready());
        assert_eq!(serde_json::to_value(health.readiness()).unwrap()["status"], "draining");
    }

    #[test]
    fn is_alive_while_every_heartbeat_comes() {
        let health = Health::new(CancellationToken::new());
        assert!(health.is_live());
        let poll = health.heartbeat("poll", Duration::from_hours(1));
        let stuck = health.heartbeat("stuck", Duration::ZERO);
        let waited = Instant::now();
        while waited.elapsed() < Duration::from_millis(2) {
            std::hint::spin_loop();
        }
        assert!(!health.is_live());
        drop(stuck);
        assert!(health.is_live(), "a heartbeat that ended is not missed");
        poll.beat();
        assert!(health.is_live());
    }
}
