//! The way out: batches over OTLP, through a fence that lets only known attributes pass.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use opentelemetry::KeyValue;
use opentelemetry::trace::Status;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, Span, SpanData, SpanEvents,
    SpanExporter, SpanProcessor,
};

use super::attr::{KEYS, is_name};
use super::span::MessageIds;
use crate::metrics::{Counter, Label, Metric, counter};

/// A collector that stays away is mentioned this often.
const REMIND: Duration = Duration::from_mins(5);

/// What the exporter needs to know.
pub(crate) struct ExportSettings {
    pub(crate) service: &'static str,
    pub(crate) version: &'static str,
    pub(crate) queue_spans: usize,
    pub(crate) batch_spans: usize,
    pub(crate) batch_delay: Duration,
}

/// A provider that exports every span in batches, from a thread of its own.
pub(crate) fn provider(
    exporter: impl SpanExporter + 'static,
    settings: &ExportSettings,
) -> SdkTracerProvider {
    let batch = BatchConfigBuilder::default()
        .with_max_queue_size(settings.queue_spans)
        .with_max_export_batch_size(settings.batch_spans)
        .with_scheduled_delay(settings.batch_delay)
        .build();
    let processor = BatchSpanProcessor::builder(Fence::new(exporter)).with_batch_config(batch).build();
    SdkTracerProvider::builder()
        .with_id_generator(MessageIds::default())
        // Whole traces are kept or dropped by the collector, which sees how they ended.
        .with_sampler(Sampler::AlwaysOn)
        .with_span_processor(Counted { ended: spans_counter("ended"), inner: processor })
        .with_resource(
            Resource::builder_empty()
                .with_service_name(settings.service)
                .with_attribute(KeyValue::new("service.version", settings.version))
                .build(),
        )
        .build()
}

fn spans_counter(outcome: &'static str) -> Counter {
    counter(Metric::TraceSpans, &[Label::Outcome(outcome)])
}

/// Counts what ends; less what is exported or failed, that is what the full queue dropped, which the SDK does not say.
#[derive(Debug)]
struct Counted<P> {
    ended: Counter,
    inner: P,
}

impl<P: SpanProcessor> SpanProcessor for Counted<P> {
    fn on_start(&self, span: &mut Span, context: &opentelemetry::Context) {
        self.inner.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        self.ended.increment(1);
        self.inner.on_end(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

/// Removes from a span whatever did not come from the typed API, then exports it; speaks up once when that fails.
#[derive(Debug)]
struct Fence<E> {
    inner: E,
    started: Instant,
    /// Milliseconds after `started` of the last complaint, plus one; zero while all is well.
    complained: AtomicU64,
    exported: Counter,
    failed: Counter,
}

impl<E: SpanExporter> Fence<E> {
    fn new(inner: E) -> Self {
        Self {
            inner,
            started: Instant::now(),
            complained: AtomicU64::new(0),
            exported: spans_counter("exported"),
            failed: spans_counter("failed"),
        }
    }

    fn report(&self, result: &OTelSdkResult, spans: u64) {
        let now = self.started.elapsed().as_millis() as u64 + 1;
        let last = self.complained.load(Ordering::Relaxed);
        match result {
            Ok(()) => {
                self.exported.increment(spans);
                if last != 0 {
                    self.complained.store(0, Ordering::Relaxed);
                    tracing::info!("trace export works again");
                }
            }
            Err(error) => {
                self.failed.increment(spans);
                if last == 0 || now - last >= REMIND.as_millis() as u64 {
                    self.complained.store(now, Ordering::Relaxed);
                    tracing::warn!(%error, "traces cannot be exported; spans are dropped until the collector answers");
                }
            }
        }
    }
}

impl<E: SpanExporter> SpanExporter for Fence<E> {
    async fn export(&self, mut batch: Vec<SpanData>) -> OTelSdkResult {
        batch.iter_mut().for_each(redact);
        let spans = batch.len() as u64;
        let result = self.inner.export(batch).await;
        self.report(&result, spans);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

/// The fence: `tracing` spans carry any field their author liked, and `otel.name` can rename one.
pub(super) fn redact(span: &mut SpanData) {
    if matches!(span.name, Cow::Owned(_)) {
        span.name = Cow::Borrowed("span");
    }
    span.attributes.retain(|attribute| KEYS.contains(&attribute.key.as_str()));
    span.events = SpanEvents::default();
    for link in &mut span.links.links {
        link.attributes.clear();
    }
    if let Status::Error { description } = &span.status
        && !is_name(description)
    {
        span.status = Status::error("");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use opentelemetry::trace::{Span as _, Tracer as _, TracerProvider as _};
    use opentelemetry_sdk::error::OTelSdkError;

    use super::*;
    use crate::metrics::Metrics;

    /// Keeps what comes out, and fails while told to.
    #[derive(Clone, Debug, Default)]
    struct Kept(Arc<Mutex<(Vec<SpanData>, bool)>>);

    impl SpanExporter for Kept {
        async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
            let mut kept = self.0.lock().unwrap();
            if kept.1 {
                return Err(OTelSdkError::InternalFailure("away".to_owned()));
            }
            kept.0.extend(batch);
            Ok(())
        }
    }

    #[test]
    fn nothing_but_typed_attributes_gets_out() {
        Metrics::install();
        let kept = Kept::default();
        let settings = ExportSettings {
            service: "test",
            version: "0",
            queue_spans: 64,
            batch_spans: 8,
            batch_delay: Duration::from_secs(60),
        };
        let provider = provider(kept.clone(), &settings);
        let tracer = provider.tracer("test");
        let mut span = tracer.start("Dorothea".to_owned());
        span.set_attribute(KeyValue::new("patient", "Dorothea"));
        span.set_attribute(KeyValue::new("waybill.outcome", "emit"));
        span.add_event("Dorothea", vec![KeyValue::new("exception.message", "Dorothea")]);
        span.set_status(Status::error("patient Dorothea is unknown"));
        span.end();
        provider.force_flush().unwrap();
        let spans = kept.0.lock().unwrap().0.clone();
        assert_eq!(spans.len(), 1);
        let text = format!("{spans:?}");
        assert!(!text.contains("Dorothea"), "{text}");
        assert_eq!(spans[0].attributes, [KeyValue::new("waybill.outcome", "emit")]);
        assert_eq!(spans[0].status, Status::error(""));

        kept.0.lock().unwrap().1 = true;
        for _ in 0..3 {
            tracer.start("lost").end();
            // The processor may or may not pass the exporter's error on.
            let _ = provider.force_flush();
        }
        assert_eq!(kept.0.lock().unwrap().0.len(), 1);
        kept.0.lock().unwrap().1 = false;
        tracer.start("kept again").end();
        provider.force_flush().unwrap();
        assert_eq!(kept.0.lock().unwrap().0.last().unwrap().name, "kept again");
    }
}
