//! Configuration: built-in defaults, then a TOML file, then environment variables; every problem is reported at once.

mod lines;
mod overrides;
mod read;

use std::fmt;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{HumanDuration, TelemetryConfig};

/// The configuration of a service.
///
/// Write `#[serde(default, deny_unknown_fields)]` on it and on every section, so that a misspelt key is an error, and
/// give secrets the type [`Secret`](crate::Secret).
pub trait ServiceConfig: DeserializeOwned + Serialize + Send + Sync + 'static {
    /// Section `[admin]`.
    fn admin(&self) -> &AdminConfig;

    /// Section `[telemetry]`.
    fn telemetry(&self) -> &TelemetryConfig;

    /// Completes paths that are meant relative to the configuration file: `folder` is where it lies, empty
    /// without a file. Called before [`ServiceConfig::validate`].
    fn locate(&mut self, _folder: &Path) {}

    /// Checks what types cannot say. All problems, please, not the first.
    fn validate(&self) -> Result<(), Vec<ConfigProblem>> {
        Ok(())
    }
}

/// Section `[admin]`: the port for probes and metrics, and how the process ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdminConfig {
    /// Address of `/live`, `/ready`, `/metrics` and `/version`. Port 0 lets the system choose.
    pub listen: String,
    /// Longest time a stop may take. Keep it under the grace period of whatever sends SIGTERM.
    pub drain_timeout: HumanDuration,
    /// Worker threads; 0 means one per core.
    pub workers: usize,
}

impl AdminConfig {
    /// The default with another port.
    pub fn on_port(port: u16) -> Self {
        Self { listen: format!("127.0.0.1:{port}"), ..Self::default() }
    }
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self { listen: "127.0.0.1:9100".to_owned(), drain_timeout: HumanDuration::secs(30), workers: 0 }
    }
}

/// Something wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigProblem {
    /// Path of the key, its parts joined by dots; the position in a list counts from 0: `feeds.0.port`.
    pub key: String,
    /// What is wrong; read after the key.
    pub message: String,
    origin: Option<Origin>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Origin {
    Line(usize),
    Variable(String),
}

impl ConfigProblem {
    /// A problem with the value of a key.
    pub fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { key: key.into(), message: message.into(), origin: None }
    }

    /// Line of the configuration file, from 1, when the value comes from there.
    pub fn line(&self) -> Option<usize> {
        match self.origin {
            Some(Origin::Line(line)) => Some(line),
            _ => None,
        }
    }

    /// Environment variable, when the value comes from there.
    pub fn variable(&self) -> Option<&str> {
        match &self.origin {
            Some(Origin::Variable(name)) => Some(name),
            _ => None,
        }
    }
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Some(Origin::Line(line)) => write!(f, "line {line}: ")?,
            Some(Origin::Variable(name)) => write!(f, "environment variable {name}: ")?,
            None => {}
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

/// Everything that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors(Vec<ConfigProblem>);

impl ConfigErrors {
    /// The problems; at least one.
    pub fn problems(&self) -> &[ConfigProblem] {
        &self.0
    }
}

impl std::error::Error for ConfigErrors {}

/// Reads the configuration from a file, if any, and the environment, and checks it.
pub fn load<C: ServiceConfig>(
    file: Option<&Path>,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<C, ConfigErrors> {
    let text = file.map_or(Ok(String::new()), std::fs::read_to_string).map_err(|error| {
        let path = file.unwrap_or(Path::new("")).display();
        ConfigErrors(vec![ConfigProblem::new(
            "",
            format!("cannot read the configuration file {path}: {error}"),
        )])
    })?;
    let folder = file.and_then(Path::parent).unwrap_or(Path::new(""));
    read::read(&text, folder, environment)
}

/// Reads a configuration from text alone; tests of example files use it.
pub fn from_toml<C: ServiceConfig>(text: &str) -> Result<C, ConfigErrors> {
    read::read(text, Path::new(""), std::iter::empty())
}
