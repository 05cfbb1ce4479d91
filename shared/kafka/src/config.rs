//! The `[kafka]` and `[registry]` sections, and what they become as client properties.

use std::path::PathBuf;

use rdkafka::ClientConfig;
use serde::{Deserialize, Serialize};
use waybill_contracts::{Namespace, topics::NamespaceError};
use waybill_telemetry::{HumanDuration, Secret};

use crate::ProducerOptions;

/// How to reach the cluster: section `[kafka]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KafkaConfig {
    /// `host:port`, several separated by commas.
    pub bootstrap_servers: String,
    /// Prefix of every topic and group; empty for none.
    pub namespace: String,
    /// Name under which the broker sees this process in its logs and quotas.
    pub client_id: String,
    /// Availability zone; lets a broker name the nearest replica.
    pub client_rack: Option<String>,
    /// A consumer that was silent this long loses its partitions.
    pub session_timeout: HumanDuration,
    /// How records are compressed on the wire and in the log.
    pub compression: Compression,
    /// Encryption and authentication.
    pub security: Security,
}

impl Default for KafkaConfig {
    fn default() -> Self {
        Self {
            bootstrap_servers: "127.0.0.1:9092".to_owned(),
            namespace: String::new(),
            client_id: "waybill".to_owned(),
            client_rack: None,
            session_timeout: HumanDuration::secs(30),
            compression: Compression::Lz4,
            security: Security::default(),
        }
    }
}

/// Compression of record batches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Cheapest; the default.
    #[default]
    Lz4,
    /// Smaller, dearer.
    Zstd,
    /// For what is compressed already.
    None,
}

/// Encryption and authentication towards the brokers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Security {
    /// What is spoken on the wire.
    pub protocol: Protocol,
    /// Certificates of the authorities to trust, PEM.
    pub ca_file: Option<PathBuf>,
    /// Our certificate, PEM.
    pub cert_file: Option<PathBuf>,
    /// Its key, PEM.
    pub key_file: Option<PathBuf>,
    /// SASL mechanism.
    pub sasl_mechanism: SaslMechanism,
    /// SASL user.
    pub sasl_username: Option<String>,
    /// SASL password.
    pub sasl_password: Option<Secret>,
}

/// `security.protocol`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// Neither; for one machine only.
    #[default]
    Plaintext,
    /// TLS, optionally with our certificate.
    Ssl,
    /// A password without encryption.
    SaslPlaintext,
    /// A password over TLS.
    SaslSsl,
}

/// `sasl.mechanism`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SaslMechanism {
    /// Salted challenge and response; what Strimzi's users have.
    #[default]
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
    /// The same with the shorter hash.
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    /// The password itself.
    #[serde(rename = "PLAIN")]
    Plain,
}

impl KafkaConfig {
    /// The namespace, checked.
    pub fn namespace(&self) -> Result<Namespace, NamespaceError> {
        Namespace::new(&self.namespace)
    }

    /// What every client shares.
    pub(crate) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.bootstrap_servers)
            .set("client.id", &self.client_id)
            .set("allow.auto.create.topics", "false")
            .set("socket.keepalive.enable", "true")
            // A broker that comes back is found within two seconds; the default of 10 s delays recovery by as much.
            .set("reconnect.backoff.max.ms", "2000")
            // One topic that is created late is seen soon (default 300 000).
            .set("topic.metadata.refresh.interval.ms", "30000");
        if let Some(rack) = &self.client_rack {
            config.set("client.rack", rack);
        }
        self.security.apply(&mut config);
        config
    }

    /// A producer that neither loses nor repeats nor reorders within its own life.
    pub(crate) fn producer(&self, options: &ProducerOptions) -> ClientConfig {
        let mut config = self.client();
        config
            .set("enable.idempotence", options.requests_per_broker.idempotent().to_string())
            .set("max.in.flight.requests.per.connection", options.requests_per_broker.as_str())
            .set("acks", "all")
            // The Java client's partitioner; librdkafka's default would put a key elsewhere than Streams and Connect do.
            .set("partitioner", "murmur2_random")
            .set("compression.type", self.compression.as_str())
            .set("linger.ms", (options.linger.as_secs_f64() * 1000.0).to_string())
            .set("delivery.timeout.ms", options.delivery_timeout.as_millis().to_string())
            // A topic that does not exist is an error after five seconds, not thirty.
            .set("topic.metadata.propagation.max.ms", "5000")
            // Above our own bound, so that a full queue would be a defect.
            .set(
                "queue.buffering.max.messages",
                (options.max_in_flight.saturating_mul(2).max(1000)).to_string(),
            )
            .set("queue.buffering.max.kbytes", "262144")
            // The largest record of a topic (16 MiB) and its headers.
            .set("message.max.bytes", "17825792");
        config
    }

    /// A member of a consumer group whose offsets are stored by us only.
    pub(crate) fn consumer(&self, group: &str) -> ClientConfig {
        let mut config = self.fetcher();
        config
            .set("group.id", group)
            .set("group.protocol", "classic")
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", self.session_timeout.as_millis().to_string())
            .set(
                "heartbeat.interval.ms",
                (self.session_timeout.as_millis() / 10).clamp(100, 3000).to_string(),
            )
            // The poll thread never processes.
            .set("max.poll.interval.ms", self.session_timeout.as_millis().max(120_000).to_string())
            .set("enable.auto.commit", "true")
            .set("auto.commit.interval.ms", "1000")
            .set("enable.auto.offset.store", "false")
            .set("statistics.interval.ms", "5000");
        config
    }

    /// Reading, without a group.
    pub(crate) fn fetcher(&self) -> ClientConfig {
        let mut config = self.client();
        config
            // What was published before a consumer existed is its business too.
            .set("auto.offset.reset", "earliest")
            .set("isolation.level", "read_committed")
            .set("check.crcs", "true")
            .set("queued.max.messages.kbytes", "16384")
            .set("queued.min.messages", "10000")
            // The default of a second makes pauses where the queue is small.
            .set("fetch.queue.backoff.ms", "20")
            .set("fetch.wait.max.ms", "100")
            .set("fetch.max.bytes", "33554432")
            .set("fetch.message.max.bytes", "1048576")
            .set("receive.message.max.bytes", "67108864");
        config
    }
}

impl Compression {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
            Self::None => "none",
        }
    }
}

impl Security {
    fn apply(&self, config: &mut ClientConfig) {
        let protocol = match self.protocol {
            Protocol::Plaintext => "plaintext",
            Protocol::Ssl => "ssl",
            Protocol::SaslPlaintext => "sasl_plaintext",
            Protocol::SaslSsl => "sasl_ssl",
        };
        config.set("security.protocol", protocol);
        let files = [
            ("ssl.ca.location", &self.ca_file),
            ("ssl.certificate.location", &self.cert_file),
            ("ssl.key.location", &self.key_file),
        ];
        for (property, file) in files {
            if let Some(file) = file {
                config.set(property, file.to_string_lossy());
            }
        }
        if matches!(self.protocol, Protocol::SaslPlaintext | Protocol::SaslSsl) {
            let mechanism = match self.sasl_mechanism {
                SaslMechanism::ScramSha512 => "SCRAM-SHA-512",
                SaslMechanism::ScramSha256 => "SCRAM-SHA-256",
                SaslMechanism::Plain => "PLAIN",
            };
            config.set("sasl.mechanism", mechanism);
            if let Some(user) = &self.sasl_username {
                config.set("sasl.username", user);
            }
            if let Some(password) = &self.sasl_password {
                config.set("sasl.password", password.expose());
            }
        }
    }
}

/// How to reach the schema registry: section `[registry]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RegistryConfig {
    /// Base address of the Confluent-compatible API, version 7.
    pub url: String,
    /// User, when it asks for one.
    pub username: Option<String>,
    /// Password.
    pub password: Option<Secret>,
    /// Bound of one request.
    pub timeout: HumanDuration,
    /// A schema id that the registry does not know counts as wrong when it is still unknown this much later.
    pub confirm_after: HumanDuration,
}

impl Default for RegistryConfig {
    fn default() -> Self {
        Self {
            url: "http://127.0.0.1:8081/apis/ccompat/v7".to_owned(),
            username: None,
            password: None,
            timeout: HumanDuration::secs(5),
            confirm_after: HumanDuration::secs(5),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RequestsPerBroker;

    #[test]
    fn unknown_keys_are_refused_and_the_defaults_are_a_configuration() {
        let defaults = serde_json::to_string(&KafkaConfig::default()).unwrap();
        let read: KafkaConfig = serde_json::from_str(&defaults).unwrap();
        assert_eq!(read.bootstrap_servers, "127.0.0.1:9092");
        assert!(serde_json::from_str::<KafkaConfig>(r#"{"bootstrap_server":"x"}"#).is_err());
        assert!(serde_json::from_str::<KafkaConfig>(r#"{"security":{"protocol":"tls"}}"#).is_err());
    }

    #[test]
    fn every_producer_keeps_the_order_of_its_records_and_waits_for_all_replicas() {
        // Either the broker puts requests in order, or there is one at a time.
        for (requests_per_broker, idempotent, requests) in
            [(RequestsPerBroker::Five, "true", "5"), (RequestsPerBroker::One, "false", "1")]
        {
            let options = ProducerOptions { requests_per_broker, ..ProducerOptions::default() };
            let client = KafkaConfig::default().producer(&options);
            assert_eq!(client.get("enable.idempotence"), Some(idempotent));
            assert_eq!(client.get("acks"), Some("all"));
            assert_eq!(client.get("max.in.flight.requests.per.connection"), Some(requests));
        }
    }

    #[test]
    fn a_password_is_shown_nowhere() {
        let security = Security {
            protocol: Protocol::SaslSsl,
            sasl_username: Some("lab".into()),
            sasl_password: Some(Secret::literal("hunter2".into())),
            ..Security::default()
        };
        let config = KafkaConfig { security, ..KafkaConfig::default() };
        assert!(!format!("{config:?}").contains("hunter2"));
        assert!(!format!("{:?}", config.client()).contains("hunter2"));
        assert_eq!(config.client().get("sasl.password"), Some("hunter2"));
    }
}
