//! From a configuration to an exit code.

mod supervisor;

use std::panic::PanicHookInfo;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use waybill_telemetry::metrics::Metrics;

use self::supervisor::Supervisor;
use crate::admin::{self, Admin, REVISION, Version};
use crate::cli::{EXIT_USAGE, complain};
use crate::tasks::Death;
use crate::{AdminRouter, Context, Health, Service, ServiceConfig, Tasks, http};

/// The tokio runtime's own heartbeat: how often, and how late it may be.
const TICK: Duration = Duration::from_secs(1);
const LATEST_TICK: Duration = Duration::from_secs(30);

/// Runs the service on a runtime made for it.
pub(crate) fn run<C: ServiceConfig>(service: &Service<C>, config: C) -> ExitCode {
    match prepare(service, config) {
        Ok(code) => code,
        Err(error) => {
            complain(service.name, &format_args!("failed to start: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn prepare<C: ServiceConfig>(service: &Service<C>, config: C) -> anyhow::Result<ExitCode> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if config.admin().workers > 0 {
        builder.worker_threads(config.admin().workers);
    }
    let runtime = builder.enable_all().thread_name(service.name).build().context("the tokio runtime")?;
    let entered = runtime.enter();
    let telemetry = match waybill_telemetry::init(config.telemetry(), service.name, service.version) {
        Ok(telemetry) => telemetry,
        // The command line has checked what it can; what is left is still a matter of configuration.
        Err(error) => {
            complain(service.name, &error);
            return Ok(EXIT_USAGE.into());
        }
    };
    std::panic::set_hook(Box::new(report_panic));

    let shutdown = CancellationToken::new();
    let tasks = Tasks::new(shutdown.clone());
    let supervisor = Supervisor::start(shutdown.clone(), config.admin().drain_timeout.get(), tasks.clone())
        .context("the signal handlers")?;
    let good = runtime.block_on(serve(service, Arc::new(config), shutdown, tasks, telemetry.metrics()));
    drop(entered);
    telemetry.shutdown();
    // What is left are blocking calls that nobody waits for.
    runtime.shutdown_timeout(Duration::from_secs(1));
    supervisor.finish();
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Serves until the end. True: a good one.
async fn serve<C: ServiceConfig>(
    service: &Service<C>,
    config: Arc<C>,
    shutdown: CancellationToken,
    tasks: Tasks,
    metrics: Metrics,
) -> bool {
    let listen = config.admin().listen.clone();
    let context = Context {
        config,
        shutdown: shutdown.clone(),
        health: Health::new(shutdown.clone()),
        admin: AdminRouter::default(),
        tasks: tasks.clone(),
        metrics,
        service: service.name,
        version: service.version,
    };
    // The admin port outlives the drain: an orchestrator and an operator want to see it.
    let admin_end = CancellationToken::new();
    let admin = match start_admin(&context, &listen, admin_end.clone()).await {
        Ok(admin) => admin,
        Err(error) => {
            tracing::error!(error = %format_args!("{error:#}"), "the service cannot start");
            return false;
        }
    };
    tokio::spawn(keep_house(context.health.clone(), context.metrics.clone()));

    let end = match tokio::spawn((service.run)(context)).await {
        Ok(result) => result.map_err(Death::Error),
        Err(error) if error.is_panic() => Err(Death::Panic),
        Err(_) => Ok(()),
    };
    if let Err(death) = &end {
        tracing::error!(error = %death, "the service failed");
    }
    shutdown.cancel();
    let tasks_good = tasks.finish().await;
    let good = end.is_ok() && tasks_good;
    tracing::info!(graceful = good, "the service has stopped");
    admin_end.cancel();
    let _ = admin.await;
    good
}

async fn start_admin<C>(
    context: &Context<C>,
    listen: &str,
    end: CancellationToken,
) -> anyhow::Result<tokio::task::JoinHandle<()>> {
    let listener = http::bind("admin port (admin.listen)", listen).await?;
    let address = listener.local_addr().context("admin port")?;
    tracing::info!(%address, "the admin port answers");
    let router = admin::router(Admin {
        health: context.health.clone(),
        metrics: context.metrics.clone(),
        mounted: context.admin.clone(),
        version: Version { service: context.service, version: context.version, revision: REVISION },
    });
    Ok(tokio::spawn(async move {
        if let Err(error) = http::serve(listener, router, end).await {
            tracing::error!(error = %format_args!("{error:#}"), "the admin port failed");
        }
    }))
}

/// Ticks for the runtime and empties histograms that nobody scrapes.
async fn keep_house(health: Health, metrics: Metrics) {
    let heartbeat = health.heartbeat("tokio", LATEST_TICK);
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for tick in 0_u64.. {
        ticks.tick().await;
        heartbeat.beat();
        if tick % 5 == 0 {
            metrics.upkeep();
        }
    }
}

/// Says where a panic happened. Its text is shown only when it is a literal of the program: a formatted one can quote
/// what the program was working on (slicing a string at a wrong place prints the string).
fn report_panic(info: &PanicHookInfo<'_>) {
    let text = info.payload().downcast_ref::<&'static str>().copied().unwrap_or("[not shown]");
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("unnamed");
    if let Some(location) = info.location() {
        tracing::error!(thread, %location, text, "panic");
    } else {
        tracing::error!(thread, text, "panic");
    }
}
