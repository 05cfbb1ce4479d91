//! The catalogue of topics, read from `schemas/topics.yaml`.

use std::{fmt, sync::OnceLock, time::Duration};

use serde::Deserialize;

/// Text of the catalogue as compiled in.
pub const CATALOGUE: &str = include_str!("../../../schemas/topics.yaml");

/// A prefix that lets environments and tests share a cluster; empty for none.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Namespace(String);

impl Namespace {
    /// `name` may hold letters, digits, `-` and `_`; at most 40.
    pub fn new(name: &str) -> Result<Self, NamespaceError> {
        let legal =
            name.len() <= 40 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if legal { Ok(Self(name.to_owned())) } else { Err(NamespaceError) }
    }

    /// The topic as the cluster knows it: `test-3f2a.lab.result.v1`, or without a prefix.
    pub fn topic(&self, name: &str) -> TopicName {
        TopicName(self.prefixed(name))
    }

    /// A consumer group under the same prefix.
    pub fn group(&self, name: &str) -> String {
        self.prefixed(name)
    }

    /// The name without this namespace, if it is in it.
    pub fn strip<'a>(&self, topic: &'a str) -> Option<&'a str> {
        if self.0.is_empty() { Some(topic) } else { topic.strip_prefix(&self.0)?.strip_prefix('.') }
    }

    /// The prefix itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn prefixed(&self, name: &str) -> String {
        if self.0.is_empty() { name.to_owned() } else { format!("{}.{name}", self.0) }
    }
}

/// The namespace has characters a topic cannot have. Class `configuration`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a namespace has at most 40 letters, digits, '-' and '_'")]
pub struct NamespaceError;

/// A topic as the cluster knows it, namespace included.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicName(String);

impl TopicName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its dead-letter topic for a consumer group (without the group's namespace).
    #[must_use]
    pub fn dead_letter(&self, group: &str) -> Self {
        Self(format!("{}.dlq.{group}", self.0))
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Topic of one target, without namespace.
pub fn lab_delivery(target: &str) -> String {
    format!("lab.delivery.{target}.v1")
}

/// How Kafka cleans a topic up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cleanup {
    /// By age.
    Delete,
    /// Keeping the last record of each key.
    Compact,
}

/// One topic of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Topic {
    /// Name without namespace; `{target}` stands for one topic per target.
    pub name: String,
    /// What it carries.
    pub about: String,
    /// Service that writes it and owns its schema.
    pub owner: String,
    /// What the key is.
    pub key: String,
    /// Schema file without `.avsc`.
    pub schema: String,
    /// Partitions.
    pub partitions: i32,
    /// Why that many.
    pub partitions_reason: String,
    /// How long records stay; at least as long as the longest outage they must outlive.
    pub retention_hours: u64,
    /// How it is cleaned up.
    pub cleanup: Cleanup,
    /// Compatibility of its subject.
    pub compatibility: String,
    /// Who reads it.
    #[serde(default)]
    pub consumers: Vec<Consumer>,
}

/// A consumer of a topic.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Consumer {
    /// Consumer group without namespace.
    pub group: String,
    /// It keeps dead letters: `<topic>.dlq.<group>` exists.
    #[serde(default)]
    pub dead_letters: bool,
    /// It confirms every event within this many seconds; absent: it does not confirm.
    #[serde(default)]
    pub confirms_within_seconds: Option<u64>,
}

impl Consumer {
    /// Deadline of its lines.
    pub fn deadline(&self) -> Option<Duration> {
        self.confirms_within_seconds.map(Duration::from_secs)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Catalogue {
    topics: Vec<Topic>,
}

/// The topics of the compiled-in catalogue.
pub fn catalogue() -> &'static [Topic] {
    static TOPICS: OnceLock<Vec<Topic>> = OnceLock::new();
    // That it parses is a test's business; an empty catalogue makes every service report its topics as unknown.
    TOPICS
        .get_or_init(|| serde_saphyr::from_str::<Catalogue>(CATALOGUE).map(|c| c.topics).unwrap_or_default())
}

/// The catalogue's entry for a topic without namespace, `{target}` topics included.
pub fn find(name: &str) -> Option<&'static Topic> {
    catalogue().iter().find(|topic| match topic.name.split_once("{target}") {
        Some((before, after)) => {
            name.len() > before.len() + after.len() && name.starts_with(before) && name.ends_with(after)
        }
        None => topic.name == name,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_parses_and_is_whole() {
        let parsed: Catalogue = serde_saphyr::from_str(CATALOGUE).unwrap();
        assert_eq!(parsed.topics.len(), 13);
        for topic in &parsed.topics {
            assert_eq!(topic.compatibility, "FULL_TRANSITIVE", "{}", topic.name);
            assert!(topic.partitions > 0 && !topic.partitions_reason.is_empty(), "{}", topic.name);
        }
    }

    #[test]
    fn names_carry_the_namespace() {
        let namespace = Namespace::new("test-3f2a").unwrap();
        let topic = namespace.topic("lab.result.v1");
        assert_eq!(topic.as_str(), "test-3f2a.lab.result.v1");
        assert_eq!(namespace.strip(topic.as_str()), Some("lab.result.v1"));
        assert_eq!(
            topic.dead_letter("lab-distributor").as_str(),
            "test-3f2a.lab.result.v1.dlq.lab-distributor"
        );
        assert_eq!(Namespace::default().topic("a.v1").as_str(), "a.v1");
        assert!(Namespace::new("a.b").is_err());
        assert_eq!(find(&lab_delivery("ehr")).unwrap().schema, "lab.delivery.v1");
        assert!(find("lab.delivery..v1").is_none());
    }
}
