//! The settings; `config.example.toml` explains each.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use waybill_contracts::PatientKeyer;
use waybill_hl7v2::Charset;
use waybill_kafka::{KafkaConfig, RegistryConfig};
use waybill_runtime::{AdminConfig, ConfigProblem, HumanDuration, Secret, ServiceConfig, TelemetryConfig};

use crate::feed::{Feed, parse_utc_offset};

/// Largest message that the topics take.
pub const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;

/// Of no worth as a secret: it is in the source code.
const DEVELOPMENT_SECRET: &str = "waybill development patient key";

/// Settings of `ehr-ingest`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What this process does.
    pub roles: BTreeSet<Role>,
    /// Where messages come in.
    #[serde(rename = "feed")]
    pub feeds: Vec<FeedConfig>,
    /// Section `[patient_key]`.
    pub patient_key: PatientKeyConfig,
    /// Section `[normalize]`.
    pub normalize: NormalizeConfig,
    /// Section `[kafka]`.
    pub kafka: KafkaConfig,
    /// Section `[registry]`.
    pub registry: RegistryConfig,
    /// Section `[admin]`.
    pub admin: AdminConfig,
    /// Section `[telemetry]`.
    pub telemetry: TelemetryConfig,
}

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Takes messages from senders and stores them.
    Listen,
    /// Makes events from stored messages.
    Normalize,
}

/// One feed: section `[[feed]]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FeedConfig {
    /// Name; part of every message's id, so never change it.
    pub name: String,
    /// Address of the MLLP listener.
    pub listen: String,
    /// See [`Feed::default_authority`].
    pub default_authority: Option<String>,
    /// See [`Feed::charset`].
    pub charset: Option<String>,
    /// See [`Feed::utc_offset`]; `+01:00`.
    pub utc_offset: String,
    /// Largest message in bytes.
    pub max_frame_bytes: usize,
    /// A connection without a byte for this long is closed.
    pub idle_timeout: HumanDuration,
    /// A message that has begun must have come in after this long.
    pub frame_timeout: HumanDuration,
    /// A message that is not stored after this long is answered with AR and 207.
    pub ack_timeout: HumanDuration,
    /// Connections at the same time.
    pub max_connections: usize,
    /// Messages of one connection that are worked on at the same time.
    pub max_pipelined: usize,
    /// Message ids that are remembered to recognise repeats.
    pub remember: usize,
    /// Which headers are acceptable.
    pub accept: AcceptConfig,
}

/// Which headers are acceptable: section `[feed.accept]`. An empty list accepts anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AcceptConfig {
    /// MSH-12.1; refused with 203.
    pub versions: Vec<String>,
    /// MSH-11.1; refused with 202.
    pub processing_ids: Vec<String>,
    /// MSH-9 as `ADT` or `ADT^A01`; refused with 200 or 201.
    pub message_types: Vec<String>,
}

/// Section `[patient_key]`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PatientKeyConfig {
    /// The installation's secret.
    pub secret: Option<Secret>,
    /// Take a secret that everybody knows where none is set.
    pub allow_development_secret: bool,
}

/// Section `[normalize]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NormalizeConfig {
    /// Records worked on at the same time.
    pub max_in_flight: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            roles: BTreeSet::from([Role::Listen, Role::Normalize]),
            feeds: vec![FeedConfig::default()],
            patient_key: PatientKeyConfig::default(),
            normalize: NormalizeConfig::default(),
            kafka: KafkaConfig { client_id: "ehr-ingest".to_owned(), ..KafkaConfig::default() },
            registry: RegistryConfig::default(),
            admin: AdminConfig::on_port(9101),
            telemetry: TelemetryConfig::default(),
        }
    }
}

impl Default for FeedConfig {
    fn default() -> Self {
        Self {
            name: "default".to_owned(),
            listen: "127.0.0.1:2575".to_owned(),
            default_authority: None,
            charset: None,
            utc_offset: "+00:00".to_owned(),
            max_frame_bytes: MAX_MESSAGE_BYTES,
            idle_timeout: HumanDuration::secs(3600),
            frame_timeout: HumanDuration::secs(60),
            ack_timeout: HumanDuration::secs(5),
            max_connections: 1000,
            max_pipelined: 64,
            remember: 100_000,
            accept: AcceptConfig::default(),
        }
    }
}

impl Default for NormalizeConfig {
    fn default() -> Self {
        Self { max_in_flight: 256 }
    }
}

impl Config {
    /// Whether this process does `role`.
    pub fn does(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// The feeds, compiled.
    pub fn compiled_feeds(&self) -> Vec<Feed> {
        let keyer = self.patient_key.keyer();
        self.feeds.iter().map(|feed| Feed::new(feed, keyer.clone())).collect()
    }
}

impl PatientKeyConfig {
    /// Whether the secret is the one that everybody knows.
    pub const fn is_development(&self) -> bool {
        self.secret.is_none()
    }

    fn keyer(&self) -> PatientKeyer {
        let secret = self.secret.as_ref().map_or(DEVELOPMENT_SECRET, |secret| secret.expose().as_str());
        PatientKeyer::new(secret.as_bytes())
    }
}

impl ServiceConfig for Config {
    fn admin(&self) -> &AdminConfig {
        &self.admin
    }

    fn telemetry(&self) -> &TelemetryConfig {
        &self.telemetry
    }

    fn validate(&self) -> Result<(), Vec<ConfigProblem>> {
        let mut problems = Vec::new();
        if self.roles.is_empty() {
            problems.push(ConfigProblem::new("roles", "names no role"));
        }
        if self.feeds.is_empty() {
            problems.push(ConfigProblem::new("feed", "no feed is configured"));
        }
        if let Err(error) = self.kafka.namespace() {
            problems.push(ConfigProblem::new("kafka.namespace", error.to_string()));
        }
        if self.patient_key.is_development() && !self.patient_key.allow_development_secret {
            problems.push(ConfigProblem::new("patient_key.secret", "is not set"));
        }
        if self.patient_key.secret.as_ref().is_some_and(|secret| secret.expose().is_empty()) {
            problems.push(ConfigProblem::new("patient_key.secret", "is empty"));
        }
        if self.normalize.max_in_flight == 0 {
            problems.push(ConfigProblem::new("normalize.max_in_flight", "must be at least 1"));
        }
        for (at, feed) in self.feeds.iter().enumerate() {
            problems.extend(feed.problems(at));
            if self.feeds[..at].iter().any(|other| other.name == feed.name) {
                problems.push(ConfigProblem::new(format!("feed.{at}.name"), "is used by another feed"));
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}

impl FeedConfig {
    /// What is wrong with the feed at position `at` of the list.
    pub fn problems(&self, at: usize) -> Vec<ConfigProblem> {
        let mut problems = Vec::new();
        let mut check = |wrong: bool, key: &str, message: &str| {
            if wrong {
                problems.push(ConfigProblem::new(format!("feed.{at}.{key}"), message));
            }
        };
        let name_is_legal = |name: &str| {
            (1..=40).contains(&name.len())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        check(!name_is_legal(&self.name), "name", "has 1 to 40 letters, digits, '-' and '_'");
        check(self.listen.is_empty(), "listen", "is empty");
        let charset_is_known = self.charset.as_deref().is_none_or(|name| Charset::named(name).is_some());
        check(!charset_is_known, "charset", "is not a character set of HL7 table 0211 or a WHATWG label");
        check(parse_utc_offset(&self.utc_offset).is_none(), "utc_offset", "is not of the form +01:00");
        let size_is_legal = (1..=MAX_MESSAGE_BYTES).contains(&self.max_frame_bytes);
        check(!size_is_legal, "max_frame_bytes", "must be 1 to 16777216, the limit of the topics");
        check(self.max_connections == 0, "max_connections", "must be at least 1");
        check(self.max_pipelined == 0, "max_pipelined", "must be at least 1");
        for (key, value) in [
            ("idle_timeout", self.idle_timeout),
            ("frame_timeout", self.frame_timeout),
            ("ack_timeout", self.ack_timeout),
        ] {
            check(value.get().is_zero(), key, "must be longer than nothing");
        }
        problems
    }
}
