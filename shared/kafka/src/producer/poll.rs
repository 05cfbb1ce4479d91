//! The polling thread and what the client calls back.

use std::{
    sync::{Arc, Weak, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext, Message, Statistics,
    client::Client as NativeClient,
    config::FromClientConfigAndContext,
    error::KafkaError as ClientError,
    message::DeliveryResult,
    producer::{Producer as _, ProducerContext},
    types::RDKafkaErrorCode,
};
use waybill_telemetry::metrics::{Metric, gauge_handle};

use super::{Client, Shared, group::Group};
use crate::{
    KafkaError, ProduceError,
    probe::{Health, Trouble},
};

/// How long one `poll` lasts: it never returns early, so this bounds how late a stop is noticed, not how late a report is.
const SLICE: Duration = Duration::from_millis(100);
/// How often a broker is looked for while none answers, and how long one look may take.
const LOOK: Duration = Duration::from_secs(1);

/// The client's callbacks. They run on the polling thread.
pub(super) struct Reports(Weak<Shared>);

impl ClientContext for Reports {
    fn stats(&self, _: Statistics) {}

    fn error(&self, error: ClientError, reason: &str) {
        let Some(shared) = self.0.upgrade() else { return };
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::AllBrokersDown) => shared.suspect.store(true, Ordering::Release),
            Some(RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SaslAuthenticationFailed) => {
                shared.health.set(Trouble::Broker, format!("the broker refuses our credentials: {reason}"));
            }
            _ => tracing::debug!(%error, reason, "producer"),
        }
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = Arc<Group>;

    fn delivery(&self, result: &DeliveryResult<'_>, group: Arc<Group>) {
        let shared = self.0.upgrade();
        let report = match result {
            Ok(_) => Ok(()),
            Err((error, message)) => {
                let failed = ProduceError::failed(message.topic(), error);
                if let Some(shared) = &shared {
                    super::count_error(message.topic(), &failed);
                    shared.failed(error);
                }
                Err(failed)
            }
        };
        let waker = group.report(report);
        match (shared, waker) {
            (Some(shared), waker) => {
                if let Some(waker) = waker {
                    shared.hub.push(waker);
                }
                shared.done(1);
            }
            (None, Some(waker)) => waker.wake(),
            (None, None) => {}
        }
    }
}

pub(super) fn client(shared: &Arc<Shared>) -> Result<Arc<Client>, KafkaError> {
    let client = Client::from_config_and_context(&shared.config, Reports(Arc::downgrade(shared)));
    client.map(Arc::new).map_err(|error| KafkaError::creation(&error))
}

pub(super) fn spawn(shared: &Arc<Shared>) -> Result<(), KafkaError> {
    let shared = shared.clone();
    let spawned = thread::Builder::new().name("kafka-producer".to_owned()).spawn(move || run(&shared));
    spawned.map(drop).map_err(|_| KafkaError::Thread("kafka-producer"))
}

fn run(shared: &Arc<Shared>) {
    let queue = gauge_handle(Metric::ProducerQueue, &[]);
    let mut looked: Option<Instant> = None;
    while !shared.closed.load(Ordering::Acquire) {
        let Some(client) = shared.client.read().clone() else { break };
        client.poll(SLICE);
        shared.health.beat();
        queue.set(shared.waiting() as f64);
        if let Some((code, reason)) = client.client().fatal_error() {
            tracing::error!(%code, reason, "the producer met a fatal error and is rebuilt");
            rebuild(shared, client);
            continue;
        }
        let due = shared.health.has(&Trouble::Broker) && looked.is_none_or(|at| at.elapsed() >= LOOK);
        if shared.suspect.swap(false, Ordering::AcqRel) || due {
            look(client.client(), &shared.health);
            looked = Some(Instant::now());
        }
    }
    // Drops the client here: it purges its queue, which reports every record that is left as failed.
    let last = shared.client.write().take();
    drop(last);
    shared.hub.close();
}

fn rebuild(shared: &Arc<Shared>, dead: Arc<Client>) {
    match client(shared) {
        Ok(fresh) => {
            *shared.client.write() = Some(fresh);
            drop(dead);
        }
        Err(error) => {
            // The settings were good once, so this is a want of memory or threads; try again with the next round.
            tracing::error!(%error, "cannot rebuild the producer");
        }
    }
}

/// Shows whether some broker answers a request for metadata.
pub(crate) fn look<C: ClientContext>(client: &NativeClient<C>, health: &Health) {
    if client.fetch_metadata(None, LOOK).is_ok_and(|metadata| !metadata.brokers().is_empty()) {
        health.clear(&Trouble::Broker);
    } else if !health.has(&Trouble::Broker) {
        health.set(Trouble::Broker, "no broker answers");
    }
}
