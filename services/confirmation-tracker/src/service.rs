//! Wires the loop, the outbox and the API.

use std::{collections::BTreeMap, convert::Infallible, sync::Arc};

use anyhow::Context as _;
use tokio::sync::{Notify, watch};
use waybill_contracts::{
    Namespace, Record as _, Timestamp, TopicName,
    delivery::{Manifest, Receipt, Status},
};
use waybill_kafka::{
    BatchOptions, Codec, KafkaConfig, KafkaError, Producer, ProducerOptions, Registry, admin, run_batch,
};
use waybill_runtime::{CancellationToken, Context, http, kafka};
use waybill_store::{Partition, Store};

use crate::{
    GROUP,
    api::{self, Books},
    config::Config,
    handler::Handler,
    intake::{self, Reader},
    ledger::Ledger,
    outbox::Sender,
};

/// Schema of the tables, unless another one is configured.
const SCHEMA: &str = "tracker";

pub(crate) async fn run(context: Context<Config>) -> anyhow::Result<()> {
    let config = Arc::clone(&context.config);
    let shutdown = &context.shutdown;
    let namespace = config.kafka.namespace()?;
    let store = Store::new(&config.postgres.or_schema(SCHEMA))?;
    let ledger = Ledger::new(store, namespace.group(GROUP));
    let database = context.health.component("database");
    let platform = context.health.component("platform");
    let outbox = context.health.component("outbox");
    let (announce, partitions) = watch::channel(Vec::new());

    // The API answers from the start, with 503 while the database does not.
    let listener = http::bind("api.listen", &config.api.listen).await?;
    let books = Books { ledger: ledger.clone(), partitions };
    context.tasks.spawn("api", http::serve(listener, api::router(books), shutdown.clone()));

    if kafka::until(&database, shutdown, || ledger.migrate()).await.is_none() {
        return Ok(());
    }
    database.ready();
    let needed = needed_topics(&namespace);
    let Some(found) = kafka::topics(&platform, shutdown, &config.kafka, &needed).await else {
        return Ok(());
    };
    let is_read = |(topic, _): &(TopicName, i32)| *topic != namespace.topic(Status::TOPIC);
    let fixed: Vec<_> = found.into_iter().filter(is_read).collect();
    let codec = Codec::start(Arc::new(Registry::new(&config.registry)?));
    let status_topic = namespace.topic(Status::TOPIC);
    let Some(encoder) = kafka::until(&platform, shutdown, || codec.encoder(&status_topic)).await else {
        return Ok(());
    };
    let producer = Producer::start(
        &config.kafka,
        ProducerOptions::default(),
        kafka::probe(&context.health, "producer"),
    )?;
    let outgoing = Arc::new(Notify::new());
    let sender = Sender {
        store: ledger.store().clone(),
        producer: producer.clone(),
        encoder,
        namespace: namespace.clone(),
        outgoing: Arc::clone(&outgoing),
        component: outbox,
    };
    context.tasks.spawn("outbox", sender.run(shutdown.clone()));

    let reader = Reader { codec, namespace: namespace.clone(), allow: config.accounting.allowances() };
    let probe = kafka::probe(&context.health, "intake");
    while !shutdown.is_cancelled() {
        let listed = kafka::until(&platform, shutdown, || input(&config.kafka, &namespace, &fixed)).await;
        let Some(input) = listed else { break };
        platform.ready();
        let partitions: Vec<Partition> = input.iter().flat_map(partitions_of).collect();
        announce.send_replace(partitions.clone());
        let handler = Handler {
            ledger: ledger.clone(),
            reader: reader.clone(),
            kafka: config.kafka.clone(),
            producer: producer.clone(),
            partitions,
            slack: config.accounting.slack.get(),
            database: database.clone(),
            outgoing: Arc::clone(&outgoing),
            standing: BTreeMap::new(),
            counted_at: Timestamp::default(),
        };
        let mut options = BatchOptions::new(GROUP, input.iter().map(|(topic, _)| topic.clone()).collect());
        options.max_records = config.intake.max_records;
        options.max_wait = config.intake.max_wait.get();
        options.tick = config.intake.tick.get();
        // A target that was added brings a dead-letter topic: the loop starts again with it.
        let until_changed = shutdown.child_token();
        let running = run_batch(&config.kafka, options, handler, Arc::clone(&probe), until_changed.clone());
        let watching = watch_input(&config, &namespace, &fixed, &input, until_changed);
        tokio::select! {
            ended = running => ended.with_context(|| format!("consumer group {GROUP}"))?,
            never = watching => match never {},
        }
    }
    producer.flush(config.admin.drain_timeout.get() / 2).await;
    Ok(())
}

/// Cancels `until_changed` once other topics than `known` are to be read.
async fn watch_input(
    config: &Config,
    namespace: &Namespace,
    fixed: &[(TopicName, i32)],
    known: &[(TopicName, i32)],
    until_changed: CancellationToken,
) -> Infallible {
    loop {
        tokio::time::sleep(config.intake.discovery.get()).await;
        // A broker that does not answer is the loop's affair.
        if let Ok(found) = input(&config.kafka, namespace, fixed).await
            && found != known
        {
            tracing::info!(topics = found.len(), before = known.len(), "other topics are to be read now");
            until_changed.cancel();
        }
    }
}

/// Topics to read, with their partitions: those that must be there, and the dead-letter topics there are.
async fn input(
    kafka: &KafkaConfig,
    namespace: &Namespace,
    fixed: &[(TopicName, i32)],
) -> Result<Vec<(TopicName, i32)>, KafkaError> {
    let listed = admin::list_topics(kafka).await?;
    let found = intake::dead_letter_topics(namespace, listed);
    Ok(fixed.iter().cloned().chain(found).collect())
}

/// Topics that must be there: those that are read, and the one that is written. What manifests and receipts say of a
/// message is in partitions of the same number, so that one replica has it all.
fn needed_topics(namespace: &Namespace) -> Vec<Vec<TopicName>> {
    let is_paired = |name: &str| [Manifest::TOPIC, Receipt::TOPIC].contains(&name);
    let (pair, alone): (Vec<&str>, Vec<&str>) = intake::TOPICS.iter().partition(|name| is_paired(name));
    let topic = |name: &str| namespace.topic(name);
    let alone = alone.into_iter().chain([Status::TOPIC]).map(|name| vec![topic(name)]);
    alone.chain([pair.into_iter().map(topic).collect()]).collect()
}

fn partitions_of((topic, partitions): &(TopicName, i32)) -> impl Iterator<Item = Partition> {
    (0..*partitions).map(move |partition| Partition { topic: topic.as_str().to_owned(), partition })
}
