//! Settings of the service; `config.example.toml` documents each.

use serde::{Deserialize, Serialize};
use waybill_delivery::record::Allowances;
use waybill_kafka::{KafkaConfig, RegistryConfig};
use waybill_runtime::{AdminConfig, ConfigProblem, HumanDuration, ServiceConfig, TelemetryConfig};
use waybill_store::PostgresConfig;

/// All settings.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What counts as late.
    pub accounting: AccountingConfig,
    /// Reading the topics.
    pub intake: IntakeConfig,
    /// The HTTP API.
    pub api: ApiConfig,
    /// The database.
    pub postgres: PostgresConfig,
    /// Brokers.
    pub kafka: KafkaConfig,
    /// Schema registry.
    pub registry: RegistryConfig,
    /// Admin HTTP.
    pub admin: AdminConfig,
    /// Logs and traces.
    pub telemetry: TelemetryConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            accounting: AccountingConfig::default(),
            intake: IntakeConfig::default(),
            api: ApiConfig::default(),
            postgres: PostgresConfig::default(),
            kafka: KafkaConfig::default(),
            registry: RegistryConfig::default(),
            admin: AdminConfig::on_port(9106),
            telemetry: TelemetryConfig::default(),
        }
    }
}

/// What counts as late.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccountingConfig {
    /// From receipt of a message until the normalizer must have accounted for it.
    pub manifest_within: HumanDuration,
    /// How long receipts may stand without the message or the line they belong to.
    pub orphan_grace: HumanDuration,
    /// How long a record may take from its time stamp to its topic: a deadline passes this much later.
    pub slack: HumanDuration,
}

impl Default for AccountingConfig {
    fn default() -> Self {
        Self {
            manifest_within: HumanDuration::secs(60),
            orphan_grace: HumanDuration::secs(300),
            slack: HumanDuration::secs(1),
        }
    }
}

impl AccountingConfig {
    /// As the join takes them.
    pub fn allowances(&self) -> Allowances {
        Allowances { manifest_within: self.manifest_within.get(), orphan_grace: self.orphan_grace.get() }
    }
}

/// Reading the topics.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IntakeConfig {
    /// Records per transaction at most.
    pub max_records: usize,
    /// How long the first record of a batch may wait for more.
    pub max_wait: HumanDuration,
    /// Time between looks at the deadlines.
    pub tick: HumanDuration,
    /// Time between looks for dead-letter topics that were made since.
    pub discovery: HumanDuration,
}

impl Default for IntakeConfig {
    fn default() -> Self {
        Self {
            max_records: 2000,
            max_wait: HumanDuration::millis(50),
            tick: HumanDuration::secs(1),
            discovery: HumanDuration::secs(60),
        }
    }
}

/// The HTTP API.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApiConfig {
    /// `host:port`.
    pub listen: String,
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self { listen: "127.0.0.1:8090".to_owned() }
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
        let mut problems: Vec<ConfigProblem> = self
            .postgres
            .problems()
            .into_iter()
            .map(|(key, what)| ConfigProblem::new(format!("postgres.{key}"), what))
            .collect();
        if self.kafka.namespace().is_err() {
            problems
                .push(ConfigProblem::new("kafka.namespace", "has at most 40 letters, digits, '-' and '_'"));
        }
        if self.intake.max_records == 0 {
            problems.push(ConfigProblem::new("intake.max_records", "is zero"));
        }
        if self.intake.tick.is_zero() {
            problems.push(ConfigProblem::new("intake.tick", "is zero"));
        }
        if self.intake.discovery.is_zero() {
            problems.push(ConfigProblem::new("intake.discovery", "is zero"));
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_the_default() {
        let example: Config =
            waybill_runtime::config::from_toml(include_str!("../config.example.toml")).unwrap();
        assert!(example.validate().is_ok());
        let text = |config: &Config| serde_json::to_value(config).unwrap();
        assert_eq!(text(&example), text(&Config::default()));
    }
}
