//! The settings; `config.example.toml` explains each.

mod ack;
mod door;
mod feed;

use std::{collections::BTreeSet, path::Path};

use serde::{Deserialize, Serialize};
use waybill_contracts::PatientKeyer;
use waybill_kafka::{KafkaConfig, RegistryConfig};
use waybill_runtime::{AdminConfig, ConfigProblem, Secret, ServiceConfig, TelemetryConfig};

pub use self::{
    ack::{AckConfig, AckMode, BatchAck},
    door::{HttpConfig, LimitsConfig, Protocol, TlsConfig, TokenConfig},
    feed::{AcceptConfig, FeedConfig},
};
use crate::{feed::Feed, profile::ProfileErrors};

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
    /// Section `[limits]`.
    pub limits: LimitsConfig,
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
            limits: LimitsConfig::default(),
            patient_key: PatientKeyConfig::default(),
            normalize: NormalizeConfig::default(),
            kafka: KafkaConfig { client_id: "ehr-ingest".to_owned(), ..KafkaConfig::default() },
            registry: RegistryConfig::default(),
            admin: AdminConfig::on_port(9101),
            telemetry: TelemetryConfig::default(),
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
    ///
    /// # Errors
    /// When a profile cannot be used; [`Config::validate`] has found it faultless a moment before.
    pub fn compiled_feeds(&self) -> Result<Vec<Feed>, ProfileErrors> {
        let keyer = self.patient_key.keyer();
        self.feeds.iter().map(|feed| Feed::open(feed, keyer.clone())).collect()
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

    fn locate(&mut self, folder: &Path) {
        for profile in self.feeds.iter_mut().filter_map(|feed| feed.profile.as_mut()) {
            *profile = folder.join(&*profile);
        }
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
            problems.extend(door::shared_address(&self.feeds[..at], feed, at));
        }
        problems.extend(self.limits.problems(&self.feeds));
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}
