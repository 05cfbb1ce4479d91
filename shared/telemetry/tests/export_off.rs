//! Without an exporter there are no spans, and trace ids travel all the same.

use waybill_contracts::MessageId;
use waybill_telemetry::trace::{self, Attr, SpanKind, TraceContext};
use waybill_telemetry::{TelemetryConfig, TelemetryError, init};

#[test]
fn contexts_pass_through_and_the_log_works() {
    let telemetry = init(&TelemetryConfig::default(), "test", "0.0.0").expect("no runtime is needed");
    assert!(matches!(init(&TelemetryConfig::default(), "test", "0.0.0"), Err(TelemetryError::Twice)));
    assert!(!trace::export_enabled());
    let message = MessageId::derive("feed", "sender", None, b"MSH|");
    let root = trace::root_span(message, "receive", SpanKind::Server, None, &[Attr::MessageId(message)]);
    assert_eq!(root.context(), TraceContext::for_message(message));

    // What an exporting service sent goes on unchanged, so that the next one hangs its span where it belongs.
    let header = format!("00-{}-00f067aa0ba902b7-01", message.trace_id());
    let mut child = trace::child_of_traceparent(Some(&header), message, "process", SpanKind::Consumer, &[]);
    child.set_attr(Attr::Offset(1));
    child.set_error("LAB-0003");
    assert_eq!(*child.context().traceparent(), header);

    // Somebody else's trace is not ours.
    let foreign = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let child = trace::child_of_traceparent(Some(foreign), message, "process", SpanKind::Consumer, &[]);
    assert_eq!(child.context(), root.context());

    let batch = trace::batch_span("write", SpanKind::Internal, [root.context()], &[]);
    batch.log_span().in_scope(|| tracing::warn!("inside a batch"));
    // The next line must be written whatever was asked before it.
    assert!(!tracing_log::log::log_enabled!(target: "librdkafka", tracing_log::log::Level::Debug));
    root.log_span().in_scope(|| tracing::error!("inside a message"));
    let metrics = telemetry.metrics().render();
    assert!(metrics.contains("waybill_log_lines_total{kind=\"error\"} 1"), "{metrics}");
    assert!(metrics.contains("waybill_build_info{service=\"test\",version=\"0.0.0\"} 1"), "{metrics}");
    telemetry.shutdown();
}
