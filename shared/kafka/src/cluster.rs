//! Topics as the cluster has them: for the deployment's tool and for tests; services only check.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use rdkafka::{
    admin::{
        AdminClient, AdminOptions, AlterConfig, ConfigSource, NewTopic, ResourceSpecifier, TopicReplication,
    },
    client::DefaultClientContext,
    types::RDKafkaErrorCode as Code,
};
use waybill_contracts::TopicName;

use crate::{KafkaConfig, KafkaError};

/// How long the cluster may take for one request; a broker that is there answers in milliseconds.
const REQUEST: Duration = Duration::from_secs(5);

/// A topic to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicPlan {
    /// Its name, namespace included.
    pub name: TopicName,
    /// Partitions.
    pub partitions: i32,
    /// Copies of each partition; `None` leaves it to the broker's default.
    pub replication: Option<i32>,
    /// Settings of the topic, such as `retention.ms`.
    pub config: BTreeMap<&'static str, String>,
}

/// A topic that is there.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct TopicState {
    /// Partitions.
    pub partitions: i32,
    /// Copies of each partition; the smallest number over the partitions.
    pub replication: i32,
    /// Settings in force, the broker's defaults included.
    pub config: BTreeMap<String, String>,
    /// Names of the settings that were made for this topic.
    pub overrides: BTreeSet<String>,
}

/// The cluster, asked as an administrator.
pub struct Cluster {
    admin: Arc<AdminClient<DefaultClientContext>>,
}

impl Cluster {
    /// Asks nothing yet.
    pub fn new(config: &KafkaConfig) -> Result<Self, KafkaError> {
        let admin = config.client().create().map_err(|error| KafkaError::creation(&error))?;
        Ok(Self { admin: Arc::new(admin) })
    }

    /// Every topic of the cluster: partitions and replicas, without settings.
    pub async fn topics(&self) -> Result<BTreeMap<String, TopicState>, KafkaError> {
        let admin = Arc::clone(&self.admin);
        // The metadata request blocks its thread.
        let metadata = tokio::task::spawn_blocking(move || admin.inner().fetch_metadata(None, REQUEST))
            .await
            .map_err(|_| KafkaError::Thread("metadata"))?
            .map_err(|error| KafkaError::of(&error))?;
        let topics = metadata.topics().iter().map(|topic| {
            let replicas =
                topic.partitions().iter().map(|partition| partition.replicas().len()).min().unwrap_or(0);
            let state = TopicState {
                partitions: topic.partitions().len() as i32,
                replication: replicas as i32,
                ..TopicState::default()
            };
            (topic.name().to_owned(), state)
        });
        Ok(topics.collect())
    }

    /// The topics among `names` that are there, with their settings.
    pub async fn describe(&self, names: &[TopicName]) -> Result<BTreeMap<TopicName, TopicState>, KafkaError> {
        let mut all = self.topics().await?;
        let mut found: BTreeMap<TopicName, TopicState> =
            names.iter().filter_map(|name| Some((name.clone(), all.remove(name.as_str())?))).collect();
        if found.is_empty() {
            return Ok(found);
        }
        let resources: Vec<_> = found.keys().map(|name| ResourceSpecifier::Topic(name.as_str())).collect();
        let answers = self
            .admin
            .describe_configs(&resources, &options())
            .await
            .map_err(|error| KafkaError::of(&error))?;
        for (answer, state) in answers.into_iter().zip(found.values_mut()) {
            let resource = answer.map_err(|code| refused("a topic's settings cannot be read", code))?;
            for entry in resource.entries {
                if entry.source == ConfigSource::DynamicTopic {
                    state.overrides.insert(entry.name.clone());
                }
                state.config.insert(entry.name, entry.value.unwrap_or_default());
            }
        }
        Ok(found)
    }

    /// Makes a topic; `false` when it was there already.
    pub async fn create(&self, spec: &TopicPlan) -> Result<bool, KafkaError> {
        let replication = TopicReplication::Fixed(spec.replication.unwrap_or(-1));
        let topic = NewTopic::new(spec.name.as_str(), spec.partitions, replication);
        let topic = spec.config.iter().fold(topic, |topic, (key, value)| topic.set(key, value));
        let answers =
            self.admin.create_topics([&topic], &options()).await.map_err(|error| KafkaError::of(&error))?;
        match answers.into_iter().next() {
            Some(Err((_, Code::TopicAlreadyExists))) => Ok(false),
            Some(Err((name, code))) => Err(refused(&format!("{name} cannot be created"), code)),
            Some(Ok(_)) => Ok(true),
            None => Err(KafkaError::Unavailable(format!("no answer about {}", spec.name))),
        }
    }

    /// Sets `changes` on a topic and keeps what else was set on it: the request replaces all of a topic's settings.
    pub async fn configure(
        &self,
        name: &TopicName,
        state: &TopicState,
        changes: &BTreeMap<&'static str, String>,
    ) -> Result<(), KafkaError> {
        let kept = state.overrides.iter().filter(|key| !changes.contains_key(key.as_str()));
        let kept = kept.filter_map(|key| Some((key.as_str(), state.config.get(key)?.as_str())));
        let all = kept.chain(changes.iter().map(|(key, value)| (*key, value.as_str())));
        let request = all
            .fold(AlterConfig::new(ResourceSpecifier::Topic(name.as_str())), |request, (key, value)| {
                request.set(key, value)
            });
        let answers =
            self.admin.alter_configs([&request], &options()).await.map_err(|error| KafkaError::of(&error))?;
        match answers.into_iter().next() {
            Some(Err((_, code))) => Err(refused(&format!("{name} cannot be changed"), code)),
            _ => Ok(()),
        }
    }

    /// Deletes topics with their records; those that are not there count as deleted.
    pub async fn delete(&self, names: &[TopicName]) -> Result<(), KafkaError> {
        let names: Vec<_> = names.iter().map(TopicName::as_str).collect();
        let answers =
            self.admin.delete_topics(&names, &options()).await.map_err(|error| KafkaError::of(&error))?;
        for answer in answers {
            match answer {
                Ok(_) | Err((_, Code::UnknownTopic | Code::UnknownTopicOrPartition)) => {}
                Err((name, code)) => return Err(refused(&format!("{name} cannot be deleted"), code)),
            }
        }
        Ok(())
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(REQUEST)).operation_timeout(Some(REQUEST))
}

fn refused(what: &str, code: Code) -> KafkaError {
    KafkaError::Refused(format!("{what}: {code}"))
}
