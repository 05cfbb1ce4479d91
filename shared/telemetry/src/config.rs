//! The `[telemetry]` section every service shares.

use serde::{Deserialize, Serialize};

use crate::HumanDuration;

/// How much a service says, in which form, and where its traces go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    /// Filter for log lines: a level, or `target=level` pairs separated by commas (`info,waybill_kafka=debug`).
    pub log: String,
    /// Form of log lines.
    pub format: LogFormat,
    /// OTLP/gRPC endpoint of a collector or of Jaeger (`http://127.0.0.1:4317`). Absent: no spans are exported, and
    /// making one costs nothing; trace ids travel with the messages all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otlp_endpoint: Option<String>,
    /// Longest time the shutdown waits for spans that are not exported yet.
    pub flush_timeout: HumanDuration,
    /// Ended spans that wait for export; what does not fit is dropped and counted. The SDK's own default of 2048 is
    /// full after 0.15 s at 5000 messages a second.
    pub queue_spans: usize,
    /// Spans per export request.
    pub batch_spans: usize,
    /// Longest time a span waits for its batch to fill.
    pub batch_delay: HumanDuration,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self {
            log: "info".to_owned(),
            format: LogFormat::Auto,
            otlp_endpoint: None,
            flush_timeout: HumanDuration::secs(3),
            queue_spans: 65_536,
            batch_spans: 4_096,
            batch_delay: HumanDuration::secs(1),
        }
    }
}

/// Form of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people when standard error is a terminal, JSON otherwise.
    #[default]
    Auto,
    /// One JSON object a line.
    Json,
    /// For people.
    Human,
}
