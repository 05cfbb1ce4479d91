//! Settings of the service; `config.example.toml` documents each.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use waybill_delivery::Backoff;
use waybill_kafka::{KafkaConfig, RegistryConfig};
use waybill_runtime::{AdminConfig, ConfigProblem, ServiceConfig};
use waybill_telemetry::{HumanDuration, TelemetryConfig};

use crate::routing::{RoutingError, RoutingTable};

/// What a process of this service does; the roles scale apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Results to deliveries.
    Route,
    /// Deliveries to targets.
    Deliver,
}

/// All settings.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Roles of this process.
    pub roles: Vec<Role>,
    /// File with the routing table; without one every result ends as filtered with `LAB-0001`.
    pub routes: Option<PathBuf>,
    /// Brokers.
    pub kafka: KafkaConfig,
    /// Schema registry.
    pub registry: RegistryConfig,
    /// Delivery.
    pub deliver: DeliverConfig,
    /// Admin HTTP.
    pub admin: AdminConfig,
    /// Logs and traces.
    pub telemetry: TelemetryConfig,
}

/// How a delivery is repeated.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeliverConfig {
    /// First pause after a failed attempt; it doubles from there, with full jitter.
    pub backoff_initial: HumanDuration,
    /// Longest pause.
    pub backoff_max: HumanDuration,
    /// Largest acknowledgement that is read, in bytes.
    pub max_answer_bytes: usize,
}

impl Default for DeliverConfig {
    fn default() -> Self {
        Self {
            backoff_initial: HumanDuration::millis(200),
            backoff_max: HumanDuration::secs(30),
            max_answer_bytes: 64 * 1024,
        }
    }
}

impl DeliverConfig {
    /// The schedule.
    pub fn backoff(&self) -> Backoff {
        Backoff::new(self.backoff_initial.get(), self.backoff_max.get())
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            roles: vec![Role::Route, Role::Deliver],
            routes: None,
            kafka: KafkaConfig::default(),
            registry: RegistryConfig::default(),
            deliver: DeliverConfig::default(),
            admin: AdminConfig::on_port(9102),
            telemetry: TelemetryConfig::default(),
        }
    }
}

impl Config {
    /// The routing table, empty when none is set.
    pub fn routing_table(&self) -> Result<RoutingTable, RoutingError> {
        self.routes.as_deref().map_or_else(|| Ok(RoutingTable::default()), RoutingTable::load)
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
            problems.push(ConfigProblem::new("roles", "is empty: the process would do nothing"));
        }
        if let Err(error) = self.routing_table() {
            problems.push(ConfigProblem::new("routes", error.to_string()));
        }
        if let Err(error) = self.kafka.namespace() {
            problems.push(ConfigProblem::new("kafka.namespace", error.to_string()));
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_documents_the_defaults() {
        let example: Config =
            waybill_runtime::config::from_toml(include_str!("../config.example.toml")).unwrap();
        let defaults = toml::Table::try_from(Config::default()).unwrap();
        assert_eq!(toml::Table::try_from(&example).unwrap(), defaults);
    }
}
