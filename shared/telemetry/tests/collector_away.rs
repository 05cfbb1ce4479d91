//! A collector that is not there delays nothing and is mentioned once.

use std::time::{Duration, Instant};

use waybill_contracts::MessageId;
use waybill_telemetry::metrics::Metrics;
use waybill_telemetry::trace::{self, SpanKind};
use waybill_telemetry::{HumanDuration, TelemetryConfig, init};

/// Value of a series in the Prometheus text; 0 while there is none.
fn value(metrics: &Metrics, series: &str) -> u64 {
    let text = metrics.render();
    let line = text.lines().find_map(|line| line.strip_prefix(series));
    line.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_are_dropped_and_nobody_waits() {
    // A listener that never answers: the connection is accepted by the kernel, the request gets no reply.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = format!("http://{}", silent.local_addr().expect("an address"));
    let config = TelemetryConfig {
        otlp_endpoint: Some(endpoint),
        flush_timeout: HumanDuration::millis(300),
        queue_spans: 64,
        batch_spans: 32,
        batch_delay: HumanDuration::millis(20),
        ..TelemetryConfig::default()
    };
    let telemetry = init(&config, "telemetry-test", "0.0.0").expect("nothing is connected yet");
    let metrics = telemetry.metrics();
    let begun = Instant::now();
    for number in 0..10_000_u32 {
        let message = MessageId::derive("feed", "sender", None, &number.to_be_bytes());
        trace::root_span(message, "receive", SpanKind::Server, None, &[]).end();
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?} for 10 000 spans", begun.elapsed());
    assert_eq!(value(&metrics, "waybill_trace_spans_total{outcome=\"ended\"}"), 10_000);
    assert_eq!(value(&metrics, "waybill_trace_spans_total{outcome=\"exported\"}"), 0);

    let flushing = Instant::now();
    tokio::task::spawn_blocking(move || telemetry.shutdown()).await.expect("it does not panic");
    assert!(flushing.elapsed() < Duration::from_secs(3), "the flush took {:?}", flushing.elapsed());
    let complaints = value(&metrics, "waybill_log_lines_total{kind=\"warning\"}");
    assert!((1..=2).contains(&complaints), "{complaints} lines: the flush, and at most one failed batch");
    assert_eq!(value(&metrics, "waybill_log_lines_total{kind=\"error\"}"), 0);
}
