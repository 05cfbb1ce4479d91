//! Switching it all on, once a process, and off again.

use std::io::{self, IsTerminal as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_log::AsLog as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, filter};

use crate::log::{CountLines, JsonLines, RememberIds};
use crate::metrics::{Label, Metric, Metrics, gauge};
use crate::trace::{self, ExportSettings};
use crate::{LogFormat, TelemetryConfig};

/// Targets that speak only when asked by name. The exporter reports its own trouble, once (`trace/export.rs`); the
/// SDK's lines would come with every batch while the collector is away.
const QUIET: &str = "opentelemetry=off,opentelemetry_sdk=off,opentelemetry_otlp=off,opentelemetry-otlp=off,\
                     h2=warn,hyper=warn,hyper_util=warn,tonic=warn,tower=warn,reqwest=warn";

/// One export request may take this long, the connection included.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// What prevents telemetry from being switched on; all of it is wrong configuration or a defect.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `telemetry.log` is not a filter.
    #[error("telemetry.log is not a log filter: {0}")]
    Filter(#[from] filter::ParseError),
    /// `telemetry.otlp_endpoint` cannot be used.
    #[error("telemetry.otlp_endpoint cannot be used: {0}")]
    Endpoint(#[from] opentelemetry_otlp::ExporterBuildError),
    /// Telemetry was switched on before in this process.
    #[error("telemetry is already switched on")]
    Twice,
}

/// Switches logs, metrics and, with an endpoint, traces on. Call it inside a tokio runtime: the exporter's connection
/// lives there, and is made when the first batch is sent, so an absent collector delays nothing.
pub fn init(
    config: &TelemetryConfig,
    service: &'static str,
    version: &'static str,
) -> Result<TelemetryGuard, TelemetryError> {
    static DONE: AtomicBool = AtomicBool::new(false);
    let filter = check_filter(&config.log)?;
    if DONE.swap(true, Ordering::SeqCst) {
        return Err(TelemetryError::Twice);
    }
    let metrics = Metrics::install();
    gauge(Metric::BuildInfo, 1.0, &[Label::Service(service), Label::Version(version)]);

    let provider = config.otlp_endpoint.as_deref().map(|endpoint| {
        let exporter = SpanExporter::builder()
            .with_tonic()
            .with_endpoint(endpoint)
            .with_timeout(EXPORT_TIMEOUT)
            .build()?;
        let settings = ExportSettings {
            service,
            version,
            queue_spans: config.queue_spans,
            batch_spans: config.batch_spans,
            batch_delay: config.batch_delay.get(),
        };
        Ok::<_, TelemetryError>(trace::provider(exporter, &settings))
    });
    let provider = provider.transpose()?;
    if let Some(provider) = &provider {
        trace::set_tracer(provider.tracer("waybill"));
    }

    let terminal = io::stderr().is_terminal();
    let json = match config.format {
        LogFormat::Json => true,
        LogFormat::Human => false,
        LogFormat::Auto => !terminal,
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let lines = if json {
        lines.event_format(JsonLines { service, version }).boxed()
    } else {
        lines.with_ansi(terminal).with_target(false).compact().boxed()
    };
    // Only spans that ask for it by their target are exported; log events never are.
    let exported = filter::filter_fn(|metadata| metadata.is_span() && metadata.target() == trace::TARGET);
    let export = trace::tracer().map(|tracer| {
        tracing_opentelemetry::layer()
            .with_tracer(tracer.clone())
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(exported)
    });
    let loudest = filter.max_level_hint().unwrap_or(filter::LevelFilter::TRACE);
    tracing_subscriber::registry()
        .with(export)
        .with(RememberIds)
        .with(CountLines::new().with_filter(filter::LevelFilter::WARN))
        .with(lines.with_filter(filter))
        .try_init()
        .map_err(|_| TelemetryError::Twice)?;
    // A question of the `log` crate that is answered "no" by a layer's filter makes that filter swallow the thread's next
    // event, whatever it is; librdkafka's binding asks often. Here it is answered before it reaches the layers.
    tracing_log::log::set_max_level(loudest.as_log());
    Ok(TelemetryGuard { metrics, provider, flush_timeout: config.flush_timeout.get() })
}

impl TelemetryConfig {
    /// Checks what can be checked without switching anything on.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        check_filter(&self.log).map_err(|error| ("log", error.to_string()))?;
        if self.batch_spans == 0 || self.batch_spans > self.queue_spans {
            return Err(("batch_spans", "must be at least 1 and at most queue_spans".to_owned()));
        }
        match self.otlp_endpoint.as_deref() {
            Some(endpoint) if !endpoint.starts_with("http://") && !endpoint.starts_with("https://") => {
                Err(("otlp_endpoint", "is not an http:// or https:// address".to_owned()))
            }
            _ => Ok(()),
        }
    }
}

fn check_filter(log: &str) -> Result<EnvFilter, filter::ParseError> {
    EnvFilter::builder().parse(format!("{QUIET},{log}"))
}

/// Keeps telemetry on; flushes the last spans when it goes, within `telemetry.flush_timeout`.
#[derive(Debug)]
pub struct TelemetryGuard {
    metrics: Metrics,
    provider: Option<SdkTracerProvider>,
    flush_timeout: Duration,
}

impl TelemetryGuard {
    /// The process's metrics.
    pub fn metrics(&self) -> Metrics {
        self.metrics.clone()
    }

    /// Flushes and stops the export. Blocks for at most `telemetry.flush_timeout`; call it from a thread that the
    /// runtime does not need, while the runtime still runs.
    pub fn shutdown(self) {
        drop(self);
    }
}

impl Drop for TelemetryGuard {
    fn drop(&mut self) {
        if let Some(provider) = self.provider.take()
            && provider.shutdown_with_timeout(self.flush_timeout).is_err()
        {
            tracing::warn!("the last spans could not be exported before the process ended");
        }
    }
}
