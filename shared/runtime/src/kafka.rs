//! What every service does to come up on Kafka: show its clients' health, and wait for what it needs.

use std::{fmt::Display, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;
use waybill_contracts::TopicName;
use waybill_kafka::{
    KafkaConfig, Probe,
    admin::{self, TopicProblem},
};

use crate::{Component, Health, Heartbeat};

/// A polling thread that was silent this long is dead: liveness fails. It polls at least every 100 ms.
const THREAD_BOUND: Duration = Duration::from_secs(30);
/// Pause between looks at what is not there yet.
const PAUSE: Duration = Duration::from_secs(1);

struct HealthProbe {
    component: Component,
    heartbeat: Heartbeat,
}

impl Probe for HealthProbe {
    fn ready(&self) {
        self.component.ready();
    }

    fn not_ready(&self, reason: &str) {
        self.component.not_ready(reason);
    }

    fn beat(&self) {
        self.heartbeat.beat();
    }
}

/// Shows a Kafka client as a component of the process, and its polling thread as a heartbeat.
///
/// Each client needs a name of its own: two that share one would hide each other's trouble.
pub fn probe(health: &Health, name: impl Into<String>) -> Arc<dyn Probe> {
    let name = name.into();
    Arc::new(HealthProbe {
        component: health.component(name.clone()),
        heartbeat: health.heartbeat(name, THREAD_BOUND),
    })
}

/// Repeats `look` until it succeeds, showing why not; `None` when the process shuts down first.
///
/// For what a service cannot work without and somebody else provides: topics, registered schemas, a database.
// Not `AsyncFnMut`: the compiler cannot yet prove such a future `Send` for every lifetime.
pub async fn until<T, E: Display, F: Future<Output = Result<T, E>>>(
    component: &Component,
    shutdown: &CancellationToken,
    mut look: impl FnMut() -> F,
) -> Option<T> {
    let mut shown = String::new();
    loop {
        let found = tokio::select! {
            biased;
            () = shutdown.cancelled() => return None,
            found = look() => found,
        };
        match found {
            Ok(value) => return Some(value),
            Err(error) => {
                let reason = error.to_string();
                if reason != shown {
                    component.not_ready(reason.clone());
                    shown = reason;
                }
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => return None,
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

/// Waits until every topic is there, those of one group with the same number of partitions; each that is not is named.
/// Gives the numbers, in the order of the groups. See [`admin::check_topics`].
pub async fn topics(
    component: &Component,
    shutdown: &CancellationToken,
    config: &KafkaConfig,
    groups: &[Vec<TopicName>],
) -> Option<Vec<(TopicName, i32)>> {
    let text =
        |problems: Vec<TopicProblem>| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    until(component, shutdown, || async { admin::check_topics(config, groups).await.map_err(text) }).await
}
