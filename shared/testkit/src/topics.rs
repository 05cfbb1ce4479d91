//! Reading an installation's topics.

use anyhow::Context as _;
use waybill_contracts::{Namespace, Record, TopicName};
use waybill_kafka::{Codec, InRecord, KafkaConfig, Registry, RegistryConfig, admin, read_all};

use crate::Stack;

/// The topics of one namespace, read without joining a group.
#[derive(Clone, Debug)]
pub struct Topics {
    config: KafkaConfig,
    registry: RegistryConfig,
    namespace: Namespace,
}

impl Topics {
    pub(crate) fn new(stack: &Stack, namespace: &str) -> anyhow::Result<Self> {
        let config = KafkaConfig {
            bootstrap_servers: stack.kafka.clone(),
            namespace: namespace.to_owned(),
            client_id: "testkit".to_owned(),
            ..KafkaConfig::default()
        };
        let registry = RegistryConfig { url: stack.registry.clone(), ..RegistryConfig::default() };
        Ok(Self { namespace: config.namespace()?, config, registry })
    }

    /// How to reach the cluster, with the namespace.
    pub fn config(&self) -> &KafkaConfig {
        &self.config
    }

    /// The topic as the cluster knows it.
    pub fn name(&self, topic: &str) -> TopicName {
        self.namespace.topic(topic)
    }

    /// Names of all topics of the namespace, dead letters included.
    pub async fn all(&self) -> anyhow::Result<Vec<TopicName>> {
        let listed = admin::list_topics(&self.config).await.context("list topics")?;
        Ok(listed.into_iter().map(|(name, _)| name).collect())
    }

    /// Every record of a topic (name without namespace) up to its present end.
    pub async fn records(&self, topic: &str) -> anyhow::Result<Vec<InRecord>> {
        read_all(&self.config, &self.name(topic)).await.with_context(|| format!("read {topic}"))
    }

    /// The same, by the cluster's name.
    pub async fn records_of(&self, topic: &TopicName) -> anyhow::Result<Vec<InRecord>> {
        read_all(&self.config, topic).await.with_context(|| format!("read {topic}"))
    }

    /// Every record of a topic, decoded with the schema that its writer used.
    pub async fn decoded<T: Record>(&self, topic: &str) -> anyhow::Result<Vec<(InRecord, T)>> {
        let codec = Codec::start(std::sync::Arc::new(Registry::new(&self.registry)?));
        let mut all = Vec::new();
        for record in self.records(topic).await? {
            let value = record.value().with_context(|| format!("{record:?} has no value"))?;
            let value = codec.decode(value).await.with_context(|| format!("{record:?}"))?;
            all.push((record, value));
        }
        Ok(all)
    }

    /// Deletes the topics of the namespace.
    pub async fn delete(&self) -> anyhow::Result<()> {
        let all = self.all().await?;
        if !all.is_empty() {
            admin::delete_topics(&self.config, &all).await.context("delete topics")?;
        }
        Ok(())
    }

    /// Deletes one topic (name without namespace).
    pub async fn delete_one(&self, topic: &str) -> anyhow::Result<()> {
        admin::delete_topics(&self.config, &[self.name(topic)])
            .await
            .with_context(|| format!("delete {topic}"))
    }

    /// Creates one topic (name without namespace) with so many partitions.
    pub async fn create_one(&self, topic: &str, partitions: i32) -> anyhow::Result<()> {
        admin::create_topics(&self.config, &[(self.name(topic), partitions)])
            .await
            .with_context(|| format!("create {topic}"))?;
        Ok(())
    }
}
