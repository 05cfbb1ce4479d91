//! Metrics: every name in one enum, every label key in another, read as Prometheus text.
//!
//! [`count`], [`gauge`] and [`observe`] look the series up at each call; a hot path keeps the handle that [`counter`],
//! [`gauge_handle`] or [`histogram`] returns. Label values are names from configuration and codes from the program,
//! never anything a message brought.

mod names;

use std::sync::OnceLock;

use ::metrics::{Key, KeyName, Level, Metadata, Recorder, SharedString, with_recorder};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

pub use ::metrics::{Counter, Gauge, Histogram};

pub use self::names::{Kind, Metric};

/// Upper bounds of duration histograms in seconds: from a Kafka round trip on one machine to a slow target.
const SECONDS: [f64; 17] = [
    0.0002, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];

/// Upper bounds of size histograms in bytes: from an acknowledgement to the largest message taken (16 MiB).
const BYTES: [f64; 9] =
    [256.0, 1024.0, 4096.0, 16_384.0, 65_536.0, 262_144.0, 1_048_576.0, 4_194_304.0, 16_777_216.0];

const METADATA: Metadata<'static> = Metadata::new("waybill", Level::INFO, None);

/// A label of a series. What names something (feed, target, topic, …) comes from configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the variants are the label keys")]
pub enum Label<'a> {
    Feed(&'a str),
    Target(&'a str),
    Topic(&'a str),
    Group(&'a str),
    Partition(i32),
    Component(&'a str),
    Reason(&'a str),
    Ack(&'static str),
    Outcome(&'static str),
    Class(&'static str),
    Kind(&'static str),
    State(&'static str),
    Service(&'static str),
    Version(&'static str),
}

impl Label<'_> {
    /// The label's key.
    pub const fn key(&self) -> &'static str {
        match self {
            Self::Feed(_) => "feed",
            Self::Target(_) => "target",
            Self::Topic(_) => "topic",
            Self::Group(_) => "group",
            Self::Partition(_) => "partition",
            Self::Component(_) => "component",
            Self::Reason(_) => "reason",
            Self::Ack(_) => "ack",
            Self::Outcome(_) => "outcome",
            Self::Class(_) => "class",
            Self::Kind(_) => "kind",
            Self::State(_) => "state",
            Self::Service(_) => "service",
            Self::Version(_) => "version",
        }
    }

    fn to_label(self) -> ::metrics::Label {
        let value = match self {
            Self::Feed(name)
            | Self::Target(name)
            | Self::Topic(name)
            | Self::Group(name)
            | Self::Component(name)
            | Self::Reason(name) => SharedString::from(name.to_owned()),
            Self::Partition(number) => SharedString::from(number.to_string()),
            Self::Ack(code)
            | Self::Outcome(code)
            | Self::Class(code)
            | Self::Kind(code)
            | Self::State(code)
            | Self::Service(code)
            | Self::Version(code) => SharedString::const_str(code),
        };
        ::metrics::Label::new(self.key(), value)
    }
}

/// Adds `n` to a counter.
pub fn count(metric: Metric, n: u64, labels: &[Label<'_>]) {
    counter(metric, labels).increment(n);
}

/// Sets a gauge.
pub fn gauge(metric: Metric, value: f64, labels: &[Label<'_>]) {
    gauge_handle(metric, labels).set(value);
}

/// Adds an observation, in the metric's unit, to a histogram.
pub fn observe(metric: Metric, value: f64, labels: &[Label<'_>]) {
    histogram(metric, labels).record(value);
}

/// A counter to keep.
pub fn counter(metric: Metric, labels: &[Label<'_>]) -> Counter {
    debug_assert_eq!(metric.kind(), Kind::Counter, "{metric:?}");
    let key = key(metric, labels);
    with_recorder(|recorder| recorder.register_counter(&key, &METADATA))
}

/// A gauge to keep.
pub fn gauge_handle(metric: Metric, labels: &[Label<'_>]) -> Gauge {
    debug_assert_eq!(metric.kind(), Kind::Gauge, "{metric:?}");
    let key = key(metric, labels);
    with_recorder(|recorder| recorder.register_gauge(&key, &METADATA))
}

/// A histogram to keep.
pub fn histogram(metric: Metric, labels: &[Label<'_>]) -> Histogram {
    debug_assert_eq!(metric.kind(), Kind::Histogram, "{metric:?}");
    let key = key(metric, labels);
    with_recorder(|recorder| recorder.register_histogram(&key, &METADATA))
}

fn key(metric: Metric, labels: &[Label<'_>]) -> Key {
    debug_assert!(
        labels.iter().map(Label::key).eq(metric.labels().iter().copied()),
        "{metric:?} has the labels {:?}, in this order",
        metric.labels()
    );
    Key::from_parts(metric.name(), labels.iter().map(|label| label.to_label()).collect::<Vec<_>>())
}

/// The process's metrics.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// Installs the recorder at the first call; later calls give the same one. What was counted before is lost.
    pub fn install() -> Self {
        static INSTALLED: OnceLock<PrometheusHandle> = OnceLock::new();
        let handle = INSTALLED.get_or_init(|| {
            let recorder = recorder();
            let handle = recorder.handle();
            // Fails only where another crate's recorder is in place; there is no other in this workspace.
            if ::metrics::set_global_recorder(recorder).is_err() {
                tracing::error!("a foreign metrics recorder is installed; /metrics stays empty");
            }
            with_recorder(|recorder| Metric::ALL.iter().for_each(|metric| describe(recorder, *metric)));
            handle
        });
        Self(handle.clone())
    }

    /// Everything, in the Prometheus text format.
    pub fn render(&self) -> String {
        self.0.render()
    }

    /// Moves what histograms collected into their buckets; without it they grow until the next [`render`](Self::render).
    pub fn upkeep(&self) {
        self.0.run_upkeep();
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

fn recorder() -> metrics_exporter_prometheus::PrometheusRecorder {
    let buckets = [("_seconds", &SECONDS[..]), ("_bytes", &BYTES[..])];
    let builder = buckets.into_iter().fold(PrometheusBuilder::new(), |builder, (suffix, bounds)| {
        // Refused only when there are no bounds.
        builder.set_buckets_for_metric(Matcher::Suffix(suffix.to_owned()), bounds).unwrap_or_default()
    });
    builder.build_recorder()
}

fn describe(recorder: &dyn Recorder, metric: Metric) {
    let (name, help) = (KeyName::from_const_str(metric.name()), SharedString::const_str(metric.help()));
    match metric.kind() {
        Kind::Counter => recorder.describe_counter(name, None, help),
        Kind::Gauge => recorder.describe_gauge(name, None, help),
        Kind::Histogram => recorder.describe_histogram(name, None, help),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renders_what_was_counted_with_help_and_buckets() {
        let metrics = Metrics::install();
        count(Metric::MessagesReceived, 2, &[Label::Feed("render-test"), Label::Ack("AA")]);
        observe(Metric::AckSeconds, 0.003, &[Label::Feed("render-test")]);
        gauge(Metric::Connections, 3.0, &[Label::Feed("render-test")]);
        let text = metrics.render();
        for line in [
            "# TYPE waybill_messages_received_total counter",
            "waybill_messages_received_total{feed=\"render-test\",ack=\"AA\"} 2",
            "waybill_ack_seconds_bucket{feed=\"render-test\",le=\"0.0025\"} 0",
            "waybill_ack_seconds_bucket{feed=\"render-test\",le=\"0.005\"} 1",
            "waybill_ack_seconds_count{feed=\"render-test\"} 1",
            "waybill_connections{feed=\"render-test\"} 3",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
        assert!(text.contains("# HELP waybill_messages_received_total "), "{text}");
    }

    #[test]
    #[should_panic(expected = "has the labels")]
    fn a_label_that_a_metric_does_not_have_is_caught() {
        count(Metric::MessagesReceived, 1, &[Label::Feed("f"), Label::Target("t")]);
    }
}
