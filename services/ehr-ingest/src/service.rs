//! Wires the roles to sockets and topics.

use std::{collections::HashMap, sync::Arc};

use anyhow::Context as _;
use waybill_contracts::{
    Namespace, Record, TopicName,
    inbound::{InboundMessage, InboundRejected},
};
use waybill_delivery::Backoff;
use waybill_kafka::{Codec, KeyedOptions, Producer, ProducerOptions, Registry, RequestsPerBroker, run_keyed};
use waybill_runtime::{Context, HumanDuration, kafka};

use crate::{
    config::{Config, Role},
    listen::{BrokerProbe, Budget, Listener, OpenFeed, Schemas, Shared, Store, read_back},
    normalize::{GROUP, Normalizer, OUTPUTS, Outputs},
    profile::ProfileErrors,
};

/// Records of all connections that wait for Kafka's acknowledgement; beyond it senders are told to wait. At 54 µs to 3.5 µs
/// each a broker that works clears as many in well under the time that a sender waits.
const MAX_UNACKNOWLEDGED: usize = 4096;

pub(crate) async fn run(context: Context<Config>) -> anyhow::Result<()> {
    if context.config.patient_key.is_development() {
        tracing::warn!(
            "patient keys are made with the development secret: anybody can tell which key is which patient's; \
             set patient_key.secret"
        );
    }
    let codec = Codec::start(Arc::new(Registry::new(&context.config.registry)?));
    if context.config.does(Role::Listen) {
        listen(&context, &codec).await?;
    }
    if context.config.does(Role::Normalize) {
        normalize(&context, codec)?;
    }
    context.shutdown.cancelled().await;
    // The roles finish what they have; the runtime waits for them, for as long as it may.
    Ok(())
}

/// Binds every feed at once; what comes in before topics and schemas are found is answered with AR and 207.
async fn listen(context: &Context<Config>, codec: &Codec) -> anyhow::Result<()> {
    let config = &context.config;
    let namespace = config.kafka.namespace()?;
    let longest = config.feeds.iter().map(|feed| feed.ack_timeout).max().unwrap_or(HumanDuration::secs(5));
    let options = ProducerOptions {
        // A sender waits for each record: company is only what comes anyway.
        linger: std::time::Duration::ZERO,
        delivery_timeout: longest.get(),
        max_in_flight: MAX_UNACKNOWLEDGED,
        requests_per_broker: RequestsPerBroker::One,
    };
    // Before the producer, which may be ready first.
    let platform = context.health.component("listen");
    let broker = Arc::new(BrokerProbe::new(kafka::probe(&context.health, "listen producer")));
    let producer = Producer::start(&config.kafka, options, broker.clone())?;
    let store = Arc::new(Store::new(producer.clone(), broker, &namespace, MAX_UNACKNOWLEDGED));
    let shared = Shared { store: store.clone(), budget: Budget::new(config.limits.max_buffered_bytes) };
    let mut memories = HashMap::new();
    for feeds in by_address(config)? {
        memories.extend(feeds.iter().map(|open| (open.feed.name.clone(), open.memory.clone())));
        let listener = Listener::bind(feeds, shared.clone()).await?;
        let (shutdown, producer) = (context.shutdown.clone(), producer.clone());
        context.tasks.spawn("listener", async move {
            listener.serve(shutdown).await?;
            // What was given up on by a sender may still be on its way.
            producer.flush(longest.get()).await;
            Ok(())
        });
    }
    let (shutdown, config, codec) = (context.shutdown.clone(), config.clone(), codec.clone());
    let needed = each(&namespace, [InboundMessage::TOPIC, InboundRejected::TOPIC]);
    context.tasks.spawn("listen start", async move {
        if kafka::topics(&platform, &shutdown, &config.kafka, &needed).await.is_none() {
            return Ok(());
        }
        let look = async || Schemas::look_up(&codec, &namespace).await;
        let Some(schemas) = kafka::until(&platform, &shutdown, look).await else { return Ok(()) };
        store.open(schemas);
        // Messages are taken meanwhile. Whoever directs senders here should wait, though: not for long.
        let inbound = namespace.topic(InboundMessage::TOPIC);
        tokio::select! {
            () = read_back(&config.kafka, &codec, &inbound, &memories) => {}
            () = shutdown.cancelled() => {}
        }
        platform.ready();
        Ok(())
    });
    Ok(())
}

/// The feeds of each address.
fn by_address(config: &Config) -> Result<Vec<Vec<OpenFeed>>, ProfileErrors> {
    let mut listeners: Vec<(&str, Vec<OpenFeed>)> = Vec::new();
    for (feed, settings) in config.compiled_feeds()?.into_iter().zip(&config.feeds) {
        let open = OpenFeed::new(feed, settings.clone());
        match listeners.iter_mut().find(|(address, _)| *address == settings.listen) {
            Some((_, feeds)) => feeds.push(open),
            None => listeners.push((&settings.listen, vec![open])),
        }
    }
    Ok(listeners.into_iter().map(|(_, feeds)| feeds).collect())
}

fn normalize(context: &Context<Config>, codec: Codec) -> anyhow::Result<()> {
    let config = context.config.clone();
    let namespace = config.kafka.namespace()?;
    let (platform, shutdown) = (context.health.component("normalize"), context.shutdown.clone());
    let options = ProducerOptions::default();
    let producer =
        Producer::start(&config.kafka, options, kafka::probe(&context.health, "normalize producer"))?;
    let consumer = kafka::probe(&context.health, "normalize consumer");
    let (service, version) = (context.service, context.version);
    let feeds = config.compiled_feeds()?;
    context.tasks.spawn("normalize", async move {
        let inbound = namespace.topic(InboundMessage::TOPIC);
        let mut needed = each(&namespace, OUTPUTS);
        needed.push(vec![inbound.clone(), inbound.dead_letter(GROUP)]);
        if kafka::topics(&platform, &shutdown, &config.kafka, &needed).await.is_none() {
            return Ok(());
        }
        let look = async || Outputs::look_up(&codec, &namespace).await;
        let Some(outputs) = kafka::until(&platform, &shutdown, look).await else { return Ok(()) };
        platform.ready();
        let handler = Arc::new(Normalizer::new(codec, feeds, outputs));
        let mut options = KeyedOptions::new(GROUP, vec![inbound]).service(service, version);
        options.max_in_flight = config.normalize.max_in_flight;
        options.backoff = Backoff::default();
        run_keyed(&config.kafka, options, handler, producer, consumer, shutdown)
            .await
            .with_context(|| format!("consumer group {GROUP}"))
    });
    Ok(())
}

/// Topics that must be there; what one of them holds depends on no other's partitions.
fn each(namespace: &Namespace, names: impl IntoIterator<Item = &'static str>) -> Vec<Vec<TopicName>> {
    names.into_iter().map(|name| vec![namespace.topic(name)]).collect()
}
