//! What is printed.

use std::{collections::BTreeMap, io::Write};

use ehr_ingest::feed::Feed;
use serde_json::{Value, json};

use super::{
    Mapped,
    coverage::{Coverage, Place, Row},
    judge::{Outcome, Refusal, Shown, shown},
};
use crate::{failure::Failure, table};

/// What has been mapped so far.
pub(super) struct Report {
    profile: String,
    as_json: bool,
    /// The summary alone.
    in_short: bool,
    messages: Vec<Value>,
    counts: [usize; 3],
    coverage: Coverage,
    untranslated: BTreeMap<(String, String), usize>,
    refused: Vec<String>,
}

impl Report {
    pub(super) fn new(feed: &Feed, as_json: bool, in_short: bool) -> Self {
        Self {
            profile: feed.profile.to_string(),
            as_json,
            in_short,
            messages: Vec::new(),
            counts: [0; 3],
            coverage: Coverage::default(),
            untranslated: BTreeMap::new(),
            refused: Vec::new(),
        }
    }

    pub(super) fn any_refused(&self) -> bool {
        !self.refused.is_empty()
    }

    pub(super) fn add(&mut self, mapped: &Mapped, out: &mut impl Write) -> Result<(), Failure> {
        let count = match &mapped.outcome {
            Outcome::Events(_) => 0,
            Outcome::NoDestination(_) => 1,
            Outcome::Refused(refusal) => {
                self.refused.push(format!("{}: {}", mapped.name, refused(refusal)));
                2
            }
        };
        self.counts[count] += 1;
        self.coverage.add(&mapped.coverage);
        for missing in &mapped.untranslated {
            *self.untranslated.entry(missing.clone()).or_default() += 1;
        }
        match (self.as_json, self.in_short) {
            (true, false) => self.messages.push(as_json(mapped)),
            (false, false) => write_message(mapped, out)?,
            (_, true) => {}
        }
        Ok(())
    }

    pub(super) fn finish(&self, out: &mut impl Write) -> Result<(), Failure> {
        let [with_events, without, refused] = self.counts;
        if self.as_json {
            let mut document = json!({
                "profile": self.profile,
                "counts": { "mapped": with_events, "noDestination": without, "refused": refused },
            });
            if self.in_short {
                document["refused"] = json!(self.refused);
                document["coverage"] = coverage_json(&self.coverage);
                document["untranslated"] = untranslated_json(&self.untranslated);
            } else {
                document["messages"] = json!(self.messages);
            }
            serde_json::to_writer_pretty(&mut *out, &document)
                .map_err(|error| Failure::Failed(error.to_string()))?;
            writeln!(out)?;
            return Ok(());
        }
        let all = with_events + without + refused;
        if self.in_short || all > 1 {
            writeln!(
                out,
                "{all} messages by {}: {with_events} mapped, {without} stored without a destination, {refused} refused",
                self.profile
            )?;
        }
        if self.in_short {
            for line in &self.refused {
                writeln!(out, "  refused {line}")?;
            }
            write_coverage(&self.coverage, true, out)?;
            write_untranslated(&self.untranslated, out)?;
        }
        Ok(())
    }
}

fn refused(refusal: &Refusal) -> String {
    let code = refusal.code.map(|code| format!(" {code}")).unwrap_or_default();
    let place = refusal.location.as_ref().map(|place| format!(" at {place}")).unwrap_or_default();
    format!("{}{code} {}{place}", refusal.answer, refusal.reason)
}

fn counted(missing: &[(String, String)]) -> BTreeMap<(String, String), usize> {
    let mut counts = BTreeMap::new();
    for one in missing {
        *counts.entry(one.clone()).or_default() += 1;
    }
    counts
}

fn write_message(mapped: &Mapped, out: &mut impl Write) -> Result<(), Failure> {
    write!(out, "{}  {}  ", mapped.name, table::on_one_line(&mapped.control_id))?;
    match &mapped.outcome {
        Outcome::NoDestination(reason) => writeln!(out, "stored, without a destination: {reason}")?,
        Outcome::Refused(refusal) => writeln!(out, "refused: {}", refused(refusal))?,
        Outcome::Events(events) => {
            let plural = if events.len() == 1 { "" } else { "s" };
            writeln!(out, "accepted, {} event{plural}", events.len())?;
            for Shown { topic, key, mut payload } in events.iter().map(shown) {
                prune(&mut payload);
                let text = serde_json::to_string_pretty(&payload).unwrap_or_default();
                writeln!(out, "\n{topic}  key {key}\n{text}")?;
            }
            writeln!(out)?;
            write_coverage(&mapped.coverage, false, out)?;
        }
    }
    write_untranslated(&counted(&mapped.untranslated), out)?;
    writeln!(out)?;
    Ok(())
}

/// What says nothing is left out, so that a reader sees what was found.
fn prune(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(prune);
            fields
                .retain(|_, value| !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty()));
        }
        Value::Array(list) => list.iter_mut().for_each(prune),
        _ => {}
    }
}

fn write_coverage(coverage: &Coverage, with_messages: bool, out: &mut impl Write) -> Result<(), Failure> {
    if coverage.rows.is_empty() {
        return Ok(());
    }
    let totals = coverage.totals();
    let all = totals.mapped + totals.dropped + totals.unmapped;
    writeln!(
        out,
        "coverage: {all} values: {} mapped, {} dropped by rule, {} unmapped",
        totals.mapped, totals.dropped, totals.unmapped
    )?;
    if coverage.is_sampled() {
        writeln!(out, "  (large: {} of {} values were tried)", coverage.tried, coverage.values)?;
    }
    let mut rows = vec![head(with_messages)];
    for (place, row) in coverage.folded() {
        let mut cells = vec![place.to_string()];
        cells.extend([row.mapped, row.dropped, row.unmapped].map(number));
        if with_messages {
            cells.push(number(row.messages));
        }
        cells.push(said(&row));
        rows.push(cells);
    }
    table::write(out, 2, &rows)?;
    Ok(())
}

fn head(with_messages: bool) -> Vec<String> {
    let messages = with_messages.then_some("messages");
    let columns = ["field", "mapped", "dropped", "unmapped"].into_iter().chain(messages).chain([""]);
    columns.map(str::to_owned).collect()
}

/// Zeros hide what matters.
fn number(count: usize) -> String {
    if count == 0 { String::new() } else { count.to_string() }
}

fn said(row: &Row) -> String {
    match &row.reason {
        Some(reason) if row.dropped > 0 || row.mapped + row.unmapped == 0 => reason.clone(),
        _ if row.unmapped > 0 && row.mapped == 0 => "unmapped".to_owned(),
        _ if row.unmapped > 0 => "partly unmapped".to_owned(),
        _ => String::new(),
    }
}

fn write_untranslated(
    missing: &BTreeMap<(String, String), usize>,
    out: &mut impl Write,
) -> Result<(), Failure> {
    if missing.is_empty() {
        return Ok(());
    }
    writeln!(out, "codes that no table has:")?;
    let mut rows = vec![["field", "code", "times"].map(str::to_owned).to_vec()];
    rows.extend(
        missing.iter().map(|((place, code), times)| vec![place.clone(), code.clone(), times.to_string()]),
    );
    table::write(out, 2, &rows)?;
    Ok(())
}

fn as_json(mapped: &Mapped) -> Value {
    let mut message = json!({ "name": mapped.name, "controlId": mapped.control_id });
    match &mapped.outcome {
        Outcome::NoDestination(reason) => message["noDestination"] = json!(reason),
        Outcome::Refused(refusal) => {
            message["refused"] = json!({
                "answer": refusal.answer,
                "reason": refusal.reason,
                "code": refusal.code,
                "location": refusal.location,
            });
        }
        Outcome::Events(events) => {
            let events = events.iter().map(shown);
            message["events"] = events
                .map(|event| json!({ "topic": event.topic, "key": event.key, "payload": event.payload }))
                .collect();
            message["coverage"] = coverage_json(&mapped.coverage);
        }
    }
    message["untranslated"] = untranslated_json(&counted(&mapped.untranslated));
    message
}

fn coverage_json(coverage: &Coverage) -> Value {
    let row = |(place, row): (Place, Row)| {
        json!({
            "field": place.to_string(),
            "mapped": row.mapped,
            "dropped": row.dropped,
            "unmapped": row.unmapped,
            "messages": row.messages,
            "reason": row.reason,
        })
    };
    json!({
        "values": coverage.values,
        "tried": coverage.tried,
        "fields": coverage.folded().into_iter().map(row).collect::<Vec<_>>(),
    })
}

fn untranslated_json(missing: &BTreeMap<(String, String), usize>) -> Value {
    missing
        .iter()
        .map(|((place, code), times)| json!({ "field": place, "code": code, "times": times }))
        .collect()
}
