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
    /// There, with another number of partitions than the topic that it goes with.
    #[error("the topic {topic} has {found} partitions and {other} has {expected}; they must be equal")]
    Partitions {
        /// The topic.
        topic: TopicName,
        /// Its partitions.
        found: i32,
        /// The topic that it goes with.
        other: TopicName,
        /// Its partitions.
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

/// Checks that topics exist; those of one group must have the same number of partitions, whatever it is. Gives the
/// numbers, in the order of the groups.
///
/// A topic's dead letters go to the partition of their origin, and what two topics say of a message is found together
/// because it has the same key: such topics form a group. Nothing depends on the catalogue's numbers: larger installations
/// have more.
pub async fn check_topics(
    config: &KafkaConfig,
    groups: &[Vec<TopicName>],
) -> Result<Vec<(TopicName, i32)>, Vec<TopicProblem>> {
    let no_answer = |what: String| vec![TopicProblem::NoAnswer(what)];
    let client: Result<AdminClient<DefaultClientContext>, _> = config.client().create();
    let client = client.map_err(|error| no_answer(error.to_string()))?;
    let groups = groups.to_vec();
    let checked = tokio::task::spawn_blocking(move || {
        let (mut found, mut problems) = (Vec::new(), Vec::new());
        for group in &groups {
            let mut first: Option<(&TopicName, i32)> = None;
            for topic in group {
                match partitions(&client, topic) {
                    // Each further topic would take as long to say the same.
                    Err(silence @ TopicProblem::NoAnswer(_)) => return Err(vec![silence]),
                    Err(problem) => problems.push(problem),
                    Ok(number) => {
                        let (other, expected) = *first.get_or_insert((topic, number));
                        if number != expected {
                            let (topic, other) = (topic.clone(), other.clone());
                            problems.push(TopicProblem::Partitions { topic, found: number, other, expected });
                        }
                        found.push((topic.clone(), number));
                    }
                }
            }
        }
        if problems.is_empty() { Ok(found) } else { Err(problems) }
    });
    checked.await.unwrap_or_else(|error| Err(no_answer(error.to_string())))
}

fn unknown(topic: &TopicName, what: &str) -> TopicProblem {
    TopicProblem::Unknown { topic: topic.clone(), what: what.to_owned() }
}

fn partitions(client: &AdminClient<DefaultClientContext>, topic: &TopicName) -> Result<i32, TopicProblem> {
    let metadata = client
        .inner()
        .fetch_metadata(Some(topic.as_str()), TIMEOUT)
        .map_err(|error| TopicProblem::NoAnswer(error.to_string()))?;
    let found = metadata.topics().first().ok_or_else(|| unknown(topic, "it is not in the answer"))?;
    match found.error() {
        // While it is being created it has none yet.
        None if found.partitions().is_empty() => Err(unknown(topic, "it has no partitions")),
        None => Ok(found.partitions().len() as i32),
        Some(RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) => {
            Err(TopicProblem::Missing(topic.clone()))
        }
        Some(RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED) => {
            Err(TopicProblem::NotAuthorized(topic.clone()))
        }
        Some(error) => Err(unknown(topic, &format!("{error:?}"))),
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
