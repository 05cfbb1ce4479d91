//! Wires the roles to their loops.

use std::sync::Arc;

use anyhow::Context as _;
use waybill_contracts::{
    EventHeaders, MessageId, Namespace, Record, Timestamp, TopicName,
    delivery::{Manifest, Receipt, Subscription, SubscriptionState},
    lab::LabResult,
    topics,
};
use waybill_kafka::{
    Codec, KeyedHandler, KeyedOptions, OutRecord, Producer, ProducerOptions, Registry, RegistryError,
    run_keyed,
};
use waybill_runtime::{Context, kafka};

use crate::{
    config::{Config, Role},
    deliver::Deliver,
    receipts::Receipts,
    route::{self, GROUP},
    route_handler::{Encoders, RouteHandler},
    routing::RoutingTable,
};

pub(crate) async fn run(context: Context<Config>) -> anyhow::Result<()> {
    let config = Arc::clone(&context.config);
    let table = Arc::new(config.routing_table()?);
    let namespace = config.kafka.namespace()?;
    // First of all: the process must not look ready between its producer's first answer and what comes after it.
    let platform = context.health.component("platform");
    let producer = Producer::start(
        &config.kafka,
        ProducerOptions::default(),
        kafka::probe(&context.health, "producer"),
    )?;
    let registry = Arc::new(Registry::new(&config.registry)?);
    let codec = Codec::start(registry);

    let needed = needed_topics(&namespace, &table);
    let shutdown = &context.shutdown;
    if kafka::topics(&platform, shutdown, &config.kafka, &needed).await.is_none() {
        return Ok(());
    }
    let looked_up = kafka::until(&platform, shutdown, || look_up(&codec, &namespace, &table)).await;
    let Some(schemas) = looked_up else { return Ok(()) };

    if config.roles.contains(&Role::Route) {
        let subscription = subscription(&context, &namespace, &schemas)?;
        if kafka::until(&platform, shutdown, || producer.send(vec![subscription.clone()])).await.is_none() {
            return Ok(());
        }
        let handler = RouteHandler {
            table: Arc::clone(&table),
            codec: codec.clone(),
            encoders: schemas.encoders,
            receipts: schemas.receipts.clone(),
        };
        let options = KeyedOptions::new(GROUP, vec![namespace.topic(LabResult::TOPIC)])
            .service(context.service, context.version);
        spawn_loop(&context, "route", options, handler, &producer);
    }
    if config.roles.contains(&Role::Deliver) {
        for target in &table.targets {
            let group = format!("{GROUP}.{}", target.name);
            let mut options =
                KeyedOptions::new(group.clone(), vec![route::delivery_topic(&namespace, &target.name)])
                    .service(context.service, context.version);
            options.lanes = target.connections;
            // Enough to keep the connections busy; what waits beyond that waits in Kafka.
            options.max_in_flight = target.connections * 64;
            options.backoff = config.deliver.backoff();
            let answer = config.deliver.max_answer_bytes;
            let handler =
                Deliver::new(target.clone(), group, answer, codec.clone(), schemas.receipts.clone());
            spawn_loop(&context, "deliver", options, handler, &producer);
        }
    }
    platform.ready();
    context.shutdown.cancelled().await;
    // The loops drain on their own, and the runtime waits for them: nothing of theirs is in flight afterwards.
    Ok(())
}

fn spawn_loop<H: KeyedHandler>(
    context: &Context<Config>,
    name: &'static str,
    options: KeyedOptions,
    handler: H,
    producer: &Producer,
) {
    let (config, producer, shutdown) =
        (Arc::clone(&context.config), producer.clone(), context.shutdown.clone());
    let group = options.group.clone();
    // By target, so that a ready one does not hide one that is not.
    let component =
        group.split_once('.').map_or_else(|| name.to_owned(), |(_, target)| format!("{name} {target}"));
    let probe = kafka::probe(&context.health, component);
    context.tasks.spawn(name, async move {
        run_keyed(&config.kafka, options, Arc::new(handler), producer, probe, shutdown)
            .await
            .with_context(|| format!("consumer group {group}"))
    });
}

struct Schemas {
    encoders: Encoders,
    receipts: Receipts,
    subscriptions: waybill_kafka::Encoder<Subscription>,
}

async fn look_up(
    codec: &Codec,
    namespace: &Namespace,
    table: &RoutingTable,
) -> Result<Schemas, RegistryError> {
    let topic = namespace.topic(Receipt::TOPIC);
    let receipts = Receipts { encoder: codec.encoder(&topic).await?, topic };
    let subscriptions = codec.encoder(&namespace.topic(Subscription::TOPIC)).await?;
    Ok(Schemas { encoders: Encoders::look_up(codec, namespace, table).await?, receipts, subscriptions })
}

/// Topics that must be there. What manifests and receipts say of a message is found in partitions of the same number.
fn needed_topics(namespace: &Namespace, table: &RoutingTable) -> Vec<Vec<TopicName>> {
    let pair = [Manifest::TOPIC, Receipt::TOPIC].map(|name| namespace.topic(name)).to_vec();
    let alone = [LabResult::TOPIC, Subscription::TOPIC].map(|name| namespace.topic(name));
    let targets = table.targets.iter().map(|target| route::delivery_topic(namespace, &target.name));
    alone.into_iter().chain(targets).map(|topic| vec![topic]).chain([pair]).collect()
}

/// The promise that every `lab.result` is confirmed, and by when: the catalogue says it.
fn subscription(
    context: &Context<Config>,
    namespace: &Namespace,
    schemas: &Schemas,
) -> anyhow::Result<OutRecord> {
    let deadline = topics::find(LabResult::TOPIC)
        .and_then(|topic| topic.consumers.iter().find(|consumer| consumer.group == GROUP)?.deadline())
        .context("the catalogue has no deadline for lab-distributor")?;
    let now = Timestamp::now();
    let subscription = Subscription {
        consumer: GROUP.to_owned(),
        topic: LabResult::TOPIC.to_owned(),
        deadline_ms: i64::try_from(deadline.as_millis())?,
        service: context.service.to_owned(),
        version: context.version.to_owned(),
        state: SubscriptionState::Active,
        at: now,
    };
    let key = format!("{GROUP}|{}", LabResult::TOPIC);
    let headers = EventHeaders {
        id: key.clone(),
        source: format!("/{}", context.service).into(),
        event_type: Subscription::TOPIC.into(),
        time: now,
        // No message stands behind a subscription; the id of nothing correlates with nothing.
        correlation_id: MessageId::from_bytes([0; 16]),
        causation_id: None,
        feed: None,
        traceparent: None,
    };
    let value = schemas.subscriptions.encode(&subscription)?;
    Ok(OutRecord::event(namespace.topic(Subscription::TOPIC), key, headers, value))
}
