//! Topics of the cluster in one call each; [`Cluster`] is the whole of it.

use std::{collections::BTreeMap, time::Duration};

use rdkafka::{admin::AdminClient, client::DefaultClientContext, types::RDKafkaRespErr};
use waybill_contracts::TopicName;

use crate::{Cluster, KafkaConfig, KafkaError, TopicPlan};

/// Bound of one request.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What is wrong with a topic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopicProblem {
    /// Not there.
    #[error("the topic {0} does not exist")]
    Missing(TopicName),
    /// There, with another number of partitions; the order per key depends on it.
    #[error("the topic {topic} has {found} partitions, expected {expected}")]
    Partitions {
        /// The topic.
        topic: TopicName,
        /// As the cluster has it.
        found: usize,
        /// As the catalogue has it.
        expected: i32,
    },
    /// Not ours to see.
    #[error("not authorized for the topic {0}")]
    NotAuthorized(TopicName),
    /// No answer at all, so nothing is known of any topic.
    #[error("no broker answers: {0}")]
    NoAnswer(String),
    /// No answer about it.
    #[error("Kafka does not say whether the topic {topic} exists: {what}")]
    Unknown {
        /// The topic.
        topic: TopicName,
        /// What was said.
        what: String,
    },
}

/// Checks that topics exist with the right number of partitions.
pub async fn check_topics(
    config: &KafkaConfig,
    expected: &[(TopicName, i32)],
) -> Result<(), Vec<TopicProblem>> {
    let no_answer = |what: String| vec![TopicProblem::NoAnswer(what)];
    let client: Result<AdminClient<DefaultClientContext>, _> = config.client().create();
    let client = client.map_err(|error| no_answer(error.to_string()))?;
    let topics = expected.to_vec();
    let problems = tokio::task::spawn_blocking(move || {
        let mut problems = Vec::new();
        for (topic, partitions) in &topics {
            match check(&client, topic, *partitions) {
                // Each further topic would take as long to say the same.
                Some(silence @ TopicProblem::NoAnswer(_)) => return vec![silence],
                found => problems.extend(found),
            }
        }
        problems
    });
    match problems.await {
        Ok(problems) if problems.is_empty() => Ok(()),
        Ok(problems) => Err(problems),
        Err(error) => Err(no_answer(error.to_string())),
    }
}

fn unknown(topic: &TopicName, what: &str) -> TopicProblem {
    TopicProblem::Unknown { topic: topic.clone(), what: what.to_owned() }
}

fn check(
    client: &AdminClient<DefaultClientContext>,
    topic: &TopicName,
    expected: i32,
) -> Option<TopicProblem> {
    let metadata = match client.inner().fetch_metadata(Some(topic.as_str()), TIMEOUT) {
        Ok(metadata) => metadata,
        Err(error) => return Some(TopicProblem::NoAnswer(error.to_string())),
    };
    let found = metadata.topics().first()?;
    match found.error() {
        None if found.partitions().len() == expected as usize => None,
        None => {
            Some(TopicProblem::Partitions { topic: topic.clone(), found: found.partitions().len(), expected })
        }
        Some(RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) => {
            Some(TopicProblem::Missing(topic.clone()))
        }
        Some(RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED) => {
            Some(TopicProblem::NotAuthorized(topic.clone()))
        }
        Some(error) => Some(unknown(topic, &format!("{error:?}"))),
    }
}

/// Creates topics with the broker's settings; one that exists is left as it is. Gives the names of those created.
pub async fn create_topics(
    config: &KafkaConfig,
    topics: &[(TopicName, i32)],
) -> Result<Vec<TopicName>, KafkaError> {
    let cluster = Cluster::new(config)?;
    let mut created = Vec::new();
    for (name, partitions) in topics {
        let plan = TopicPlan {
            name: name.clone(),
            partitions: *partitions,
            replication: None,
            config: BTreeMap::new(),
        };
        if cluster.create(&plan).await? {
            created.push(plan.name);
        }
    }
    Ok(created)
}

/// Deletes topics with their records; one that does not exist counts as deleted.
pub async fn delete_topics(config: &KafkaConfig, topics: &[TopicName]) -> Result<(), KafkaError> {
    Cluster::new(config)?.delete(topics).await
}

/// Names and partition counts of the topics in the namespace.
pub async fn list_topics(config: &KafkaConfig) -> Result<Vec<(TopicName, i32)>, KafkaError> {
    let namespace = config.namespace()?;
    let all = Cluster::new(config)?.topics().await?;
    let ours = all.iter().filter_map(|(name, state)| {
        let name = namespace.strip(name)?;
        // The broker's own topics begin with two underscores.
        (!name.starts_with("__")).then(|| (namespace.topic(name), state.partitions))
    });
    Ok(ours.collect())
}
