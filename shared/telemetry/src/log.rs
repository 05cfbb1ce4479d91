//! Log lines: one JSON object each where a machine reads them.

use std::fmt;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Subscriber};
use tracing_log::NormalizeEvent as _;
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::metrics::{Counter, Label, Metric, counter};

/// Formats an event as one JSON object: timestamp, level, target, message, service, version, then the ids of the span
/// it happened in, then its own fields.
pub(crate) struct JsonLines {
    pub(crate) service: &'static str,
    pub(crate) version: &'static str,
}

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        // Records of the `log` crate (librdkafka's go that way) keep their real target and level in fields.
        let normalized = event.normalized_metadata();
        let metadata = normalized.as_ref().unwrap_or_else(|| event.metadata());
        let mut timestamp = String::new();
        SystemTime.format_time(&mut Writer::new(&mut timestamp))?;

        let mut fields = Fields::default();
        event.record(&mut fields);

        let mut line = Map::new();
        line.insert("timestamp".to_owned(), timestamp.into());
        line.insert("level".to_owned(), metadata.level().as_str().into());
        line.insert("target".to_owned(), metadata.target().into());
        line.insert("message".to_owned(), fields.message.into());
        line.insert("service".to_owned(), self.service.into());
        line.insert("version".to_owned(), self.version.into());
        for span in context.event_scope().into_iter().flatten() {
            if let Some(ids) = span.extensions().get::<SpanIds>() {
                for (name, value) in &ids.0 {
                    line.entry(*name).or_insert_with(|| value.clone().into());
                }
            }
        }
        for (name, value) in fields.others {
            if !name.starts_with("log.") {
                line.entry(name).or_insert(value);
            }
        }
        // `to_string` cannot fail on a map of plain values.
        writeln!(writer, "{}", serde_json::to_string(&line).map_err(|_| fmt::Error)?)
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl Fields {
    fn set(&mut self, field: &Field, value: Value) {
        if field.name() == "message" {
            self.message = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        } else {
            self.others.insert(field.name().to_owned(), value);
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, value.into());
    }
}

/// Names of the span fields that are repeated on each line inside the span.
const ID_FIELDS: [&str; 3] = ["message_id", "event_id", "trace_id"];

#[derive(Default)]
struct SpanIds(Vec<(&'static str, String)>);

impl Visit for SpanIds {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if ID_FIELDS.contains(&field.name()) {
            self.0.push((field.name(), format!("{value:?}")));
        }
    }
}

/// Remembers the ids that a span carries, for the lines inside it.
pub(crate) struct RememberIds;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for RememberIds {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut ids = SpanIds::default();
        attributes.record(&mut ids);
        if let Some(span) = context.span(id)
            && !ids.0.is_empty()
        {
            span.extensions_mut().insert(ids);
        }
    }
}

/// Counts warnings and errors, so that an alert can watch them.
pub(crate) struct CountLines {
    warnings: Counter,
    errors: Counter,
}

impl CountLines {
    pub(crate) fn new() -> Self {
        let lines = |level| counter(Metric::LogLines, &[Label::Kind(level)]);
        Self { warnings: lines("warning"), errors: lines("error") }
    }
}

impl<S: Subscriber> Layer<S> for CountLines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        match *event.metadata().level() {
            Level::ERROR => self.errors.increment(1),
            Level::WARN => self.warnings.increment(1),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt::MakeWriter;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Lines {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    #[test]
    fn a_line_is_json_and_names_the_message_it_is_about() {
        let lines = Lines::default();
        let layer = tracing_subscriber::fmt::layer()
            .event_format(JsonLines { service: "svc", version: "1.2.3" })
            .with_writer(lines.clone());
        let subscriber = tracing_subscriber::registry().with(RememberIds).with(layer);
        tracing::subscriber::with_default(subscriber, || {
            let outer = tracing::info_span!("message", message_id = %"0123", secret = "not repeated");
            let _outer = outer.enter();
            let _inner = tracing::info_span!("attempt", n = 1).entered();
            tracing::warn!(target: "t", attempt = 2, ok = false, "said \"{}\"\nand more", "x");
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        let mut line: Map<String, Value> = serde_json::from_str(&text).unwrap();
        let timestamp = line.remove("timestamp").unwrap();
        assert!(timestamp.as_str().unwrap().ends_with('Z'), "{timestamp}");
        assert_eq!(
            Value::Object(line),
            serde_json::json!({
                "level": "WARN", "target": "t", "message": "said \"x\"\nand more", "service": "svc",
                "version": "1.2.3", "message_id": "0123", "attempt": 2, "ok": false,
            })
        );
    }
}
