//! Jaeger's query API.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, ensure};
use serde_json::Value;
use waybill_contracts::MessageId;

use crate::{eventually, http, pending};

/// Asks Jaeger.
#[derive(Clone, Debug)]
pub struct Jaeger {
    base: String,
}

/// A trace.
#[derive(Clone, Debug)]
pub struct Trace {
    /// Its spans.
    pub spans: Vec<Span>,
    /// As Jaeger answered it.
    pub raw: Value,
}

/// A span.
#[derive(Clone, Debug)]
pub struct Span {
    /// Span id, 16 hexadecimal digits.
    pub id: String,
    /// Operation name.
    pub name: String,
    /// Service that made it.
    pub service: String,
    /// Span id of its parent.
    pub parent: Option<String>,
    /// Attributes as text.
    pub tags: BTreeMap<String, String>,
    /// Start in microseconds since the epoch.
    pub start_micros: u64,
    /// Duration in microseconds.
    pub duration_micros: u64,
}

impl Jaeger {
    /// At this address.
    pub fn new(base: &str) -> Self {
        Self { base: base.trim_end_matches('/').to_owned() }
    }

    /// Page of a message's trace for a person.
    pub fn page(&self, id: MessageId) -> String {
        format!("{}/trace/{}", self.base, id.trace_id())
    }

    /// The trace of a message; `None` while there is none.
    pub async fn trace(&self, id: MessageId) -> anyhow::Result<Option<Trace>> {
        let url = format!("{}/api/traces/{}", self.base, id.trace_id());
        let Some(answer) = http::json(&url).await? else { return Ok(None) };
        let traces = answer["data"].as_array().map_or(&[][..], Vec::as_slice);
        ensure!(traces.len() <= 1, "{} traces with one id", traces.len());
        traces.first().map(|trace| parse(trace).context("Jaeger's answer cannot be read")).transpose()
    }

    /// Waits until the trace of a message has what `wanted` asks for.
    pub async fn until(
        &self,
        id: MessageId,
        within: Duration,
        wanted: impl Fn(&Trace) -> bool,
    ) -> anyhow::Result<Trace> {
        eventually(&format!("trace {}", id.trace_id()), within, async || match self.trace(id).await? {
            Some(trace) if wanted(&trace) => Ok(trace),
            Some(trace) => pending(format!("spans {:?} of {:?}", trace.names(), trace.services())),
            None => pending("no trace"),
        })
        .await
    }
}

impl Trace {
    /// Names of the spans in order of time.
    pub fn names(&self) -> Vec<&str> {
        let mut spans: Vec<_> = self.spans.iter().collect();
        spans.sort_by_key(|span| span.start_micros);
        spans.iter().map(|span| span.name.as_str()).collect()
    }

    /// Spans without a parent in this trace.
    pub fn roots(&self) -> Vec<&Span> {
        let known = |id: &String| self.spans.iter().any(|span| span.id == *id);
        self.spans.iter().filter(|span| !span.parent.as_ref().is_some_and(known)).collect()
    }

    /// Services that took part.
    pub fn services(&self) -> Vec<&str> {
        let mut services: Vec<_> = self.spans.iter().map(|span| span.service.as_str()).collect();
        services.sort_unstable();
        services.dedup();
        services
    }
}

fn parse(trace: &Value) -> Option<Trace> {
    let processes = trace["processes"].as_object()?;
    let span = |span: &Value| {
        let parent =
            span["references"].as_array()?.iter().find(|reference| reference["refType"] == "CHILD_OF");
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let tags = span["tags"]
            .as_array()?
            .iter()
            .filter_map(|tag| Some((tag["key"].as_str()?.to_owned(), text(&tag["value"]))));
        Some(Span {
            id: span["spanID"].as_str()?.to_owned(),
            name: span["operationName"].as_str()?.to_owned(),
            service: processes.get(span["processID"].as_str()?)?["serviceName"].as_str()?.to_owned(),
            parent: parent.and_then(|parent| Some(parent["spanID"].as_str()?.to_owned())),
            tags: tags.collect(),
            start_micros: span["startTime"].as_u64()?,
            duration_micros: span["duration"].as_u64()?,
        })
    };
    let spans = trace["spans"].as_array()?.iter().map(span).collect::<Option<_>>()?;
    Some(Trace { spans, raw: trace.clone() })
}
