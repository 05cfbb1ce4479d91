//! A service that misbehaves on demand; `tests/process.rs` runs it.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use serde::{Deserialize, Serialize};
use waybill_runtime::axum::Router;
use waybill_runtime::axum::routing::get;
use waybill_runtime::{
    AdminConfig, ConfigProblem, Context, Secret, Service, ServiceConfig, TelemetryConfig, run,
};

#[derive(Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    admin: AdminConfig,
    telemetry: TelemetryConfig,
    specimen: Specimen,
}

#[derive(Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Specimen {
    behaviour: Behaviour,
    limit: u32,
    password: Secret,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Behaviour {
    /// Drains when told to.
    Good,
    /// Ends by itself.
    Done,
    /// Never ends.
    Stubborn,
    /// Blocks every worker thread and never ends.
    Blocking,
    Error,
    Panic,
    TaskPanic,
    ThreadError,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            admin: AdminConfig::on_port(0),
            telemetry: TelemetryConfig::default(),
            specimen: Specimen::default(),
        }
    }
}

impl Default for Specimen {
    fn default() -> Self {
        Self { behaviour: Behaviour::Good, limit: 1, password: Secret::literal("built-in".to_owned()) }
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
        if self.specimen.limit > 9 {
            Err(vec![ConfigProblem::new("specimen.limit", "must be at most 9")])
        } else {
            Ok(())
        }
    }
}

async fn serve(context: Context<Config>) -> anyhow::Result<()> {
    let gate = context.health.component("gate");
    let opened = gate.clone();
    context.admin.mount(Router::new().route("/open", get(move || async move { opened.ready() })));
    let length = context.config.specimen.password.expose().len();
    tracing::info!(length, "the password was read");
    let shutdown = context.shutdown.clone();
    match context.config.specimen.behaviour {
        Behaviour::Good => {
            context.tasks.spawn("drain", async move {
                shutdown.cancelled().await;
                tracing::info!("drained");
                Ok(())
            });
            context.shutdown.cancelled().await;
            Ok(())
        }
        Behaviour::Done => Ok(()),
        Behaviour::Stubborn => std::future::pending().await,
        Behaviour::Blocking => {
            gate.ready();
            for _ in 0..64 {
                tokio::spawn(async { std::thread::sleep(Duration::from_secs(3600)) });
            }
            std::future::pending().await
        }
        Behaviour::Error => bail!("the specimen failed"),
        // A literal may be shown; what is formatted may quote patient data.
        Behaviour::Panic => panic!("patient {}", context.config.specimen.password.expose()),
        Behaviour::TaskPanic => {
            context.tasks.spawn("bomb", async { panic!("a literal") });
            context.shutdown.cancelled().await;
            Ok(())
        }
        Behaviour::ThreadError => {
            context.tasks.spawn_thread("loop", || bail!("the loop failed"))?;
            context.shutdown.cancelled().await;
            Ok(())
        }
    }
}

fn main() -> ExitCode {
    run(Service {
        name: "specimen",
        version: "1.2.3",
        about: "Misbehaves on demand.",
        run: |context| Box::pin(serve(context)),
    })
}
