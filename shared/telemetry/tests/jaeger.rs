//! One message, one trace, as a real Jaeger sees it.

use std::time::{Duration, Instant};

use waybill_contracts::{MessageId, Timestamp};
use waybill_telemetry::trace::{self, Attr, SpanKind, TraceContext};
use waybill_telemetry::{TelemetryConfig, init};
use waybill_testkit::{Jaeger, Stack};

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_one_trace_whose_id_is_the_message_id() {
    let Some(stack) = Stack::require().await else { return };
    let (Some(otlp), Some(jaeger)) = (stack.otlp, stack.jaeger) else { return };
    let config = TelemetryConfig { otlp_endpoint: Some(otlp), ..TelemetryConfig::default() };
    let telemetry = init(&config, "telemetry-test", "0.0.0").expect("nothing else switched it on");
    assert!(trace::export_enabled());

    let begun = Instant::now();
    let unique = format!("{}/{}", Timestamp::now().as_millis(), std::process::id());
    let message = MessageId::derive("feed", "sender", None, unique.as_bytes());
    let root = trace::root_span(
        message,
        "receive",
        SpanKind::Server,
        Some(begun),
        &[Attr::MessageId(message), Attr::Feed("lis"), Attr::MessageType("DOE^JOHN")],
    );
    assert_eq!(root.context(), TraceContext::for_message(message));

    // Another service knows only the header, or not even that.
    let header = root.context().traceparent();
    let mut child = trace::child_of_traceparent(
        Some(&header),
        message,
        "deliver",
        SpanKind::Client,
        &[Attr::Target("his"), Attr::Attempt(1)],
    );
    child.set_attr(Attr::QueueMs(7));
    child.set_error("LAB-0003");
    let orphan =
        trace::child_of_traceparent(Some("not a header"), message, "settle", SpanKind::Consumer, &[]);

    // A `tracing` span joins below, and leaves its fields and log lines behind.
    let span = tracing::info_span!(target: trace::TARGET, "transform", patient = "Dorothea", waybill.outcome = "emit");
    assert!(child.attach(&span));
    span.in_scope(|| tracing::warn!(name = "Dorothea", "a line about Dorothea"));
    drop(span);

    let child_span = format!("{:016x}", child.context().span_id());
    let batch = trace::batch_span("write", SpanKind::Internal, [child.context()], &[Attr::Count(1)]);
    let batch_trace = MessageId::from_bytes(batch.context().trace_id().to_be_bytes());
    assert_ne!(batch_trace, message);
    for handle in [batch, orphan, child, root] {
        handle.end();
    }
    tokio::task::spawn_blocking(move || telemetry.shutdown()).await.expect("it does not panic");

    let jaeger = Jaeger::new(&jaeger);
    let seen = jaeger
        .until(message, Duration::from_secs(20), |trace| trace.spans.len() == 4)
        .await
        .expect("a trace");
    assert_eq!(seen.services(), ["telemetry-test"]);
    let roots = seen.roots();
    assert_eq!(roots.len(), 1, "{:?}", seen.spans);
    let root = roots[0];
    assert_eq!(
        (root.name.as_str(), &root.parent),
        ("receive", &None),
        "the root has no parent that is missing"
    );
    assert_eq!(root.tags["waybill.message_id"], message.to_string());
    assert_eq!(root.tags["waybill.message_type"], "other");
    let named = |name: &str| seen.spans.iter().find(|span| span.name == name).expect(name);
    for (name, parent) in [("deliver", &root.id), ("settle", &root.id), ("transform", &child_span)] {
        assert_eq!(named(name).parent.as_ref(), Some(parent), "{name}");
    }
    let deliver = named("deliver");
    assert_eq!(deliver.id, child_span);
    for (key, value) in [
        ("waybill.target", "his"),
        ("waybill.attempt", "1"),
        ("waybill.queue_ms", "7"),
        ("waybill.reason_code", "LAB-0003"),
    ] {
        assert_eq!(deliver.tags[key], value);
    }
    assert_eq!(deliver.tags["error"], "true");
    assert_eq!(named("transform").tags["waybill.outcome"], "emit");
    assert!(!seen.raw.to_string().contains("Dorothea"), "{}", seen.raw);

    let batch = jaeger
        .until(batch_trace, Duration::from_secs(20), |trace| trace.spans.len() == 1)
        .await
        .expect("a trace");
    assert!(batch.raw["spans"][0]["references"].to_string().contains(&message.trace_id()), "linked");
}
