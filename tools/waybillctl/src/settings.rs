//! Settings: defaults, then `--config`, then the environment, then flags.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use waybill_contracts::Namespace;
use waybill_kafka::{KafkaConfig, RegistryConfig};
use waybill_runtime::{
    TelemetryConfig,
    config::{AdminConfig, ServiceConfig, load},
};

use crate::{
    cli::{ClusterArgs, TargetArgs},
    failure::Failure,
};

/// How to reach cluster and registry.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    /// As of the services.
    pub(crate) kafka: KafkaConfig,
    /// As of the services.
    pub(crate) registry: RegistryConfig,
    #[serde(skip)]
    admin: AdminConfig,
    #[serde(skip)]
    telemetry: TelemetryConfig,
}

impl ServiceConfig for Settings {
    fn admin(&self) -> &AdminConfig {
        &self.admin
    }

    fn telemetry(&self) -> &TelemetryConfig {
        &self.telemetry
    }
}

impl Settings {
    pub(crate) fn new(arguments: &ClusterArgs, registry_url: Option<&String>) -> Result<Self, Failure> {
        // The services' other variables may be set beside ours and are none of our keys.
        let ours = |(name, _): &(String, String)| {
            name.starts_with("WAYBILL_KAFKA__") || name.starts_with("WAYBILL_REGISTRY__")
        };
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let mut settings: Self =
            load(arguments.config.as_deref(), environment.filter(ours)).map_err(|errors| {
                let problems: Vec<_> = errors.problems().iter().map(ToString::to_string).collect();
                Failure::Usage(problems.join("; "))
            })?;
        if let Some(servers) = &arguments.bootstrap_servers {
            settings.kafka.bootstrap_servers.clone_from(servers);
        }
        if let Some(namespace) = &arguments.namespace {
            settings.kafka.namespace.clone_from(namespace);
        }
        if let Some(url) = registry_url {
            settings.registry.url.clone_from(url);
        }
        Ok(settings)
    }

    pub(crate) fn namespace(&self) -> Result<Namespace, Failure> {
        namespace(&self.kafka.namespace)
    }
}

pub(crate) fn namespace(name: &str) -> Result<Namespace, Failure> {
    Namespace::new(name).map_err(|error| Failure::Usage(error.to_string()))
}

/// Only what is read of a routing table; lab-distributor checks the rest.
#[derive(Deserialize)]
struct Routes {
    #[serde(default)]
    target: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

/// Names of targets, each once, in order.
pub(crate) fn targets(arguments: &TargetArgs) -> Result<Vec<String>, Failure> {
    let mut names: BTreeSet<String> = arguments.targets.iter().cloned().collect();
    if let Some(path) = &arguments.routes {
        let problem = |what: String| Failure::Usage(format!("routing table {}: {what}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| problem(error.to_string()))?;
        let routes: Routes = toml::from_str(&text).map_err(|error| problem(error.message().to_owned()))?;
        names.extend(routes.target.into_iter().map(|target| target.name));
    }
    for name in &names {
        let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if name.is_empty() || !name.bytes().all(legal) {
            return Err(Failure::Usage(format!(
                "target {name:?} is not made of lower-case letters, digits and '-'"
            )));
        }
    }
    Ok(names.into_iter().collect())
}
