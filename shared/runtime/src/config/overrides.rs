//! Environment variables that override the file: `WAYBILL_KAFKA__BOOTSTRAP_SERVERS` is `bootstrap_servers` in `[kafka]`.

use toml::{Table, Value};

use super::{ConfigProblem, Origin};

const PREFIX: &str = "WAYBILL_";
const SEPARATOR: &str = "__";

/// One variable and the key it sets.
#[derive(Clone, Debug)]
pub(super) struct Override {
    pub(super) variable: String,
    pub(super) raw: String,
    /// The key's path as it stands in the table: existing keys keep their spelling.
    pub(super) path: Vec<String>,
    pub(super) form: Form,
}

/// How a variable's text is understood; tried in this order until the configuration accepts one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As a TOML boolean, number, array or inline table.
    Literal,
    /// As text.
    Text,
    /// As a secret: the value becomes a reference to the variable.
    Secret,
}

/// The overrides in an environment, in the order of their names. A single underscore after the prefix is reserved for
/// tools (`WAYBILL_CONFIG`) and not ours.
pub(super) fn find(environment: impl Iterator<Item = (String, String)>) -> Vec<Override> {
    let mut found: Vec<Override> = environment
        .filter_map(|(variable, raw)| {
            let name = variable.strip_prefix(PREFIX).filter(|name| name.contains(SEPARATOR))?;
            let path = name.split(SEPARATOR).map(str::to_ascii_lowercase).collect();
            Some(Override { variable, raw, path, form: Form::Text })
        })
        .collect();
    found.sort_by(|a, b| a.variable.cmp(&b.variable));
    found
}

impl Override {
    /// Sets the key in the table for the first time.
    pub(super) fn apply(&mut self, table: &mut Table) -> Result<(), ConfigProblem> {
        let value = match literal(&self.raw) {
            Some(value) => {
                self.form = Form::Literal;
                value
            }
            None => Value::String(self.raw.clone()),
        };
        let mut path = std::mem::take(&mut self.path);
        let result = set(table, &mut path, value);
        self.path = path;
        result.map_err(|message| self.problem(message))
    }

    /// Sets the key again, its text understood another way.
    pub(super) fn reapply(&mut self, table: &mut Table, form: Form) {
        self.form = form;
        let value = match form {
            Form::Secret => {
                Value::Table(Table::from_iter([("env".to_owned(), Value::String(self.variable.clone()))]))
            }
            Form::Text | Form::Literal => Value::String(self.raw.clone()),
        };
        // It could be set before, so it can be now.
        let _ = set(table, &mut self.path.clone(), value);
    }

    /// Whether the key lies at or around the path.
    pub(super) fn covers(&self, path: &[String]) -> bool {
        path.starts_with(&self.path)
    }

    pub(super) fn problem(&self, message: impl Into<String>) -> ConfigProblem {
        ConfigProblem {
            origin: Some(Origin::Variable(self.variable.clone())),
            ..ConfigProblem::new(self.path.join("."), message)
        }
    }
}

/// A text that is a TOML boolean, number, array or inline table; anything else is just text.
pub(super) fn literal(raw: &str) -> Option<Value> {
    if raw.contains(['\n', '\r']) {
        return None;
    }
    let mut table: Table = toml::from_str(&format!("value = {raw}")).ok()?;
    table.remove("value").filter(|value| !matches!(value, Value::String(_) | Value::Datetime(_)))
}

fn set(table: &mut Table, path: &mut [String], value: Value) -> Result<(), &'static str> {
    let Some((key, rest)) = path.split_first_mut() else {
        return Err("names no key");
    };
    if key.is_empty() {
        return Err("has an empty part between its double underscores");
    }
    // Variable names have no lower case and no hyphens: a key that is there already is met whatever its spelling.
    if let Some(existing) = table.keys().find(|existing| same(existing, key)) {
        key.clone_from(existing);
    }
    if rest.is_empty() {
        table.insert(key.clone(), value);
        return Ok(());
    }
    set_in(table.entry(key.clone()).or_insert_with(|| Value::Table(Table::new())), rest, value)
}

fn set_in(container: &mut Value, path: &mut [String], value: Value) -> Result<(), &'static str> {
    match container {
        Value::Table(table) => set(table, path, value),
        Value::Array(array) => {
            let Some((index, rest)) = path.split_first_mut() else {
                return Err("names no key");
            };
            let element = index.parse().ok().and_then(|index: usize| array.get_mut(index));
            match element {
                None => Err("names an element that the list does not have; elements count from 0"),
                Some(element) if rest.is_empty() => {
                    *element = value;
                    Ok(())
                }
                Some(element) => set_in(element, rest, value),
            }
        }
        _ => Err("goes on below a key that holds a plain value"),
    }
}

fn same(existing: &str, key: &str) -> bool {
    let fold = |byte: u8| if byte == b'-' { b'_' } else { byte.to_ascii_lowercase() };
    existing.len() == key.len() && existing.bytes().zip(key.bytes()).all(|(a, b)| fold(a) == fold(b))
}
