//! `where`: a message's waybill for a person.

use std::{io::Write, str::FromStr as _};

use serde::Deserialize;
use serde_json::Value;
use waybill_contracts::{MessageId, Timestamp};

use crate::{
    ask::Tracker,
    cli::WhereArgs,
    failure::{Exit, Failure},
    table,
};

/// A message as the tracker's API shows it; what a newer tracker adds is ignored, what an older one lacks is empty.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(clippy::struct_field_names, reason = "the names of the API")]
struct Message {
    message_id: String,
    trace_id: Option<String>,
    feed: Option<String>,
    message_type: Option<String>,
    control_id: Option<String>,
    state: String,
    reason_code: Option<String>,
    received_at: Option<Value>,
    lines: Vec<Line>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Line {
    event_id: Option<String>,
    topic: Option<String>,
    destination: Option<String>,
    outcome: String,
    attempts: Option<i64>,
    reason_code: Option<String>,
    at: Option<Value>,
    deadline_at: Option<Value>,
}

/// Asks and prints.
pub(crate) async fn run(arguments: &WhereArgs, out: &mut impl Write) -> Result<Exit, Failure> {
    let tracker = Tracker::new(&arguments.tracker.tracker_url)?;
    let found = find(&tracker, &arguments.id).await?;
    if arguments.tracker.json {
        let answer = match found.as_slice() {
            [one] => one.clone(),
            many => Value::Array(many.to_vec()),
        };
        writeln!(out, "{answer:#}")?;
    }
    if found.is_empty() {
        return if arguments.tracker.json {
            Ok(Exit::NotFound)
        } else {
            writeln!(out, "No message with this id: not received, or older than the tracker's memory.")?;
            Ok(Exit::NotFound)
        };
    }
    let mut worst = Exit::Ok;
    for (index, value) in found.into_iter().enumerate() {
        let message: Message = serde_json::from_value(value)
            .map_err(|error| Failure::Failed(format!("the tracker's answer cannot be read: {error}")))?;
        if !arguments.tracker.json {
            if index > 0 {
                writeln!(out)?;
            }
            print(&message, out)?;
        }
        let exit = exit_of(&message.state);
        worst = if (exit as u8) > (worst as u8) { exit } else { worst };
    }
    Ok(worst)
}

/// By message or trace id where it has that form, else, and where there is none, by control id.
async fn find(tracker: &Tracker, id: &str) -> Result<Vec<Value>, Failure> {
    if let Ok(message) = MessageId::from_str(id)
        && let Some(found) = tracker.get(&["messages", &message.to_string()], &[]).await?
    {
        return Ok(vec![found]);
    }
    let Some(answer) = tracker.get(&["messages"], &[("control_id", id)]).await? else {
        return Ok(Vec::new());
    };
    let listed = match &answer {
        Value::Array(listed) => listed.as_slice(),
        answer => answer.get("messages").and_then(Value::as_array).map_or(&[][..], Vec::as_slice),
    };
    let mut found = Vec::new();
    for entry in listed {
        // A list may leave the lines out.
        let whole = match entry.get("messageId").and_then(Value::as_str) {
            Some(id) if entry.get("lines").is_none() => tracker.get(&["messages", id], &[]).await?,
            _ => None,
        };
        found.push(whole.unwrap_or_else(|| entry.clone()));
    }
    Ok(found)
}

fn exit_of(state: &str) -> Exit {
    match normal(state).as_str() {
        "delivered" | "no-destination" | "resolved" => Exit::Ok,
        "exception" | "overdue" | "refused" => Exit::Exception,
        // Open, and whatever a newer tracker says.
        _ => Exit::Open,
    }
}

/// `NO_DESTINATION` and `no-destination` are the same word.
fn normal(word: &str) -> String {
    word.to_ascii_lowercase().replace('_', "-")
}

fn print(message: &Message, out: &mut impl Write) -> Result<(), Failure> {
    writeln!(out, "Message {}  {}", message.message_id, normal(&message.state).to_uppercase())?;
    if let Some(code) = &message.reason_code {
        writeln!(out, "  reason    {}", reason(code))?;
    }
    if let Some(feed) = &message.feed {
        writeln!(out, "  feed      {feed}")?;
    }
    if let Some(kind) = &message.message_type {
        writeln!(out, "  type      {kind}")?;
    }
    if let Some(control) = &message.control_id {
        writeln!(out, "  control   {control}")?;
    }
    if let Some(at) = &message.received_at {
        writeln!(out, "  received  {}", time(at))?;
    }
    if let Some(trace) = &message.trace_id {
        writeln!(out, "  trace     {trace}")?;
    }
    if message.lines.is_empty() {
        writeln!(out, "  no lines")?;
        return Ok(());
    }
    let head = ["event", "topic", "destination", "outcome", "attempts", "at", "reason"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for line in &message.lines {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        // What is still owed shows by when.
        let at = match (&line.at, &line.deadline_at) {
            (_, Some(deadline)) if pending(&line.outcome) => format!("by {}", time(deadline)),
            (Some(at), _) => time(at),
            _ => String::new(),
        };
        rows.push(vec![
            text(&line.event_id),
            text(&line.topic),
            text(&line.destination),
            normal(&line.outcome),
            line.attempts.map(|attempts| attempts.to_string()).unwrap_or_default(),
            at,
            line.reason_code.as_deref().map(reason).unwrap_or_default(),
        ]);
    }
    writeln!(out)?;
    table::write(out, 2, &rows)?;
    Ok(())
}

fn pending(outcome: &str) -> bool {
    matches!(normal(outcome).as_str(), "expected" | "attempted" | "unknown" | "accepted")
}

/// RFC 3339 text as it is, milliseconds as RFC 3339.
fn time(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other
            .as_i64()
            .map_or_else(|| other.to_string(), |millis| Timestamp::from_millis(millis).to_rfc3339()),
    }
}

/// A code with the title of its page.
fn reason(code: &str) -> String {
    const INDEX: &str = include_str!("../../../docs/reasons/README.md");
    let row = format!("| [{code}](");
    let title = INDEX.lines().find(|line| line.starts_with(&row)).and_then(|line| line.split(" | ").nth(1));
    title.map_or_else(|| code.to_owned(), |title| format!("{code} {}", title.trim_end_matches(" |")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_become_exit_codes() {
        for (state, exit) in [
            ("DELIVERED", Exit::Ok),
            ("no-destination", Exit::Ok),
            ("NO_DESTINATION", Exit::Ok),
            ("OPEN", Exit::Open),
            ("OVERDUE", Exit::Exception),
            ("exception", Exit::Exception),
            ("REFUSED", Exit::Exception),
        ] {
            assert_eq!(exit_of(state), exit, "{state}");
        }
    }

    #[test]
    fn a_code_comes_with_its_title() {
        assert_eq!(reason("LAB-0002"), "LAB-0002 the target refused the content");
        assert_eq!(reason("XYZ-1"), "XYZ-1");
    }
}
