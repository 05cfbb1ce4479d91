//! `balance`: the balance sheet as a table.

use std::io::Write;

use serde_json::Value;

use crate::{
    ask::Tracker,
    cli::TrackerArgs,
    failure::{Exit, Failure},
    table,
};

/// Asks and prints.
pub(crate) async fn run(arguments: &TrackerArgs, out: &mut impl Write) -> Result<Exit, Failure> {
    let tracker = Tracker::new(&arguments.tracker_url)?;
    let sheet = tracker.get(&["balance"], &[]).await?;
    let sheet = sheet
        .ok_or_else(|| Failure::Failed("the tracker has no balance sheet at /api/v1/balance".to_owned()))?;
    let balanced = sheet.get("balanced").and_then(Value::as_bool);
    let balanced = balanced
        .ok_or_else(|| Failure::Failed("the tracker's answer does not say whether it balances".to_owned()))?;
    if arguments.json {
        writeln!(out, "{sheet:#}")?;
    } else {
        print(&sheet, out)?;
        writeln!(out, "{}", if balanced { "balanced" } else { "NOT BALANCED" })?;
    }
    Ok(if balanced { Exit::Ok } else { Exit::Differs })
}

/// The tracker's own columns, in its order: a column it adds shows without a change here.
fn print(sheet: &Value, out: &mut impl Write) -> Result<(), Failure> {
    let rows = sheet.get("rows").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let mut columns: Vec<&str> = Vec::new();
    for key in rows.iter().filter_map(Value::as_object).flat_map(|row| row.keys()) {
        if !columns.contains(&key.as_str()) {
            columns.push(key);
        }
    }
    if columns.is_empty() {
        writeln!(out, "nothing to account for yet")?;
    } else {
        let mut cells = vec![columns.iter().map(|column| words(column)).collect()];
        cells.extend(rows.iter().map(|row| columns.iter().map(|column| cell(row.get(*column))).collect()));
        table::write(out, 0, &cells)?;
    }
    if let Some(states) = sheet.pointer("/messages/byState").and_then(Value::as_object) {
        let states: Vec<_> =
            states.iter().map(|(state, count)| format!("{} {}", cell(Some(count)), words(state))).collect();
        writeln!(out, "\nmessages: {}", states.join(", "))?;
    }
    Ok(())
}

/// `deadLettered` and `NO_DESTINATION` as people write them.
fn words(key: &str) -> String {
    if key.bytes().all(|b| !b.is_ascii_lowercase()) {
        return key.to_ascii_lowercase().replace('_', "-");
    }
    let mut text = String::new();
    for letter in key.chars() {
        if letter.is_ascii_uppercase() {
            text.push(' ');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}

fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}
