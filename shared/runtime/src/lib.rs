//! Turns a service value into a process: command line, configuration, telemetry, health, signals, a bounded drain.
//!
//! ```no_run
//! # use waybill_runtime::{AdminConfig, Context, Service, ServiceConfig, TelemetryConfig};
//! #[derive(Default, serde::Serialize, serde::Deserialize)]
//! #[serde(default, deny_unknown_fields)]
//! struct Config {
//!     admin: AdminConfig,
//!     telemetry: TelemetryConfig,
//! }
//!
//! impl ServiceConfig for Config {
//!     fn admin(&self) -> &AdminConfig {
//!         &self.admin
//!     }
//!     fn telemetry(&self) -> &TelemetryConfig {
//!         &self.telemetry
//!     }
//! }
//!
//! async fn serve(context: Context<Config>) -> anyhow::Result<()> {
//!     context.health.component("work").ready();
//!     context.shutdown.cancelled().await;
//!     Ok(())
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     waybill_runtime::run(Service {
//!         name: "example",
//!         version: "1.0.0",
//!         about: "Does nothing, properly.",
//!         run: |context| Box::pin(serve(context)),
//!     })
//! }
//! ```
//!
//! # Life of a process
//!
//! 1. The configuration is read and checked before anything is opened. What is wrong with it is printed, all of it;
//!    exit code 64.
//! 2. Telemetry, then the admin port: `/live`, `/ready`, `/metrics` and `/version` answer while dependencies are still
//!    unreachable. A port that is taken, or a failed start: exit code 1.
//! 3. The service's future runs. It is ready when every component it registered is ([`Health`]).
//! 4. SIGTERM or SIGINT: not ready, and [`Context::shutdown`] is cancelled. The future returns when its work is done;
//!    exit code 0. So does a service whose work ends by itself.
//! 5. A second signal ends the process at once, and so does `admin.drain_timeout`: exit code 1.
//! 6. A panic or an error of the future or of a task of [`Context::tasks`] drains the rest: exit code 1.
//!
//! Deliberately unknown here: databases and messages, and of Kafka all but how its clients show their health ([`kafka`]).

pub mod config;
pub mod http;
pub mod kafka;

mod admin;
mod cli;
mod health;
mod lifecycle;
mod tasks;

use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;

pub use axum;
pub use tokio_util::sync::CancellationToken;
pub use waybill_telemetry::{HumanDuration, Progress, Secret, TelemetryConfig, metrics::Metrics};

pub use self::admin::AdminRouter;
pub use self::config::{AdminConfig, ConfigErrors, ConfigProblem, ServiceConfig};
pub use self::health::{Component, Health, Heartbeat};
pub use self::tasks::Tasks;

/// A boxed future that can move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A service, as a value.
#[derive(Debug)]
pub struct Service<C> {
    /// Name of the service and of its binary.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// One sentence for `--help`.
    pub about: &'static str,
    /// Does the work: returns when [`Context::shutdown`] is cancelled and everything in flight is settled.
    pub run: fn(Context<C>) -> BoxFuture<'static, anyhow::Result<()>>,
}

/// What a running service is given.
#[derive(Debug)]
pub struct Context<C> {
    /// The checked configuration.
    pub config: Arc<C>,
    /// Cancelled when the service must finish.
    pub shutdown: CancellationToken,
    /// Readiness and liveness.
    pub health: Health,
    /// More routes on the admin port.
    pub admin: AdminRouter,
    /// Supervised tasks: one that dies takes the service down, properly.
    pub tasks: Tasks,
    /// The process's metrics.
    pub metrics: Metrics,
    /// [`Service::name`].
    pub service: &'static str,
    /// [`Service::version`].
    pub version: &'static str,
}

impl<C> Clone for Context<C> {
    fn clone(&self) -> Self {
        Self {
            config: Arc::clone(&self.config),
            shutdown: self.shutdown.clone(),
            health: self.health.clone(),
            admin: self.admin.clone(),
            tasks: self.tasks.clone(),
            metrics: self.metrics.clone(),
            ..*self
        }
    }
}

/// Runs a service: the whole of its `main`.
#[expect(clippy::needless_pass_by_value, reason = "a `main` reads best when it hands its service over")]
pub fn run<C: ServiceConfig>(service: Service<C>) -> ExitCode {
    match cli::configure::<C>(service.name, service.version, service.about) {
        cli::Next::Run(config) => lifecycle::run(&service, *config),
        cli::Next::Exit(code) => code,
    }
}
