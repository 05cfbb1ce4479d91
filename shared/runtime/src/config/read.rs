//! From text and environment to a checked value.

use std::path::Path;

use serde_path_to_error::Segment;
use toml::{Table, Value};
use waybill_telemetry::SECRET_REFUSAL;

use super::lines::{Lines, join, line_at};
use super::overrides::{self, Form, Override};
use super::{AdminConfig, ConfigErrors, ConfigProblem, Origin, ServiceConfig};

/// Connections that an installation has once. A service without such a section leaves its variables to those that have
/// it, so that one environment can be everybody's.
const SHARED_SECTIONS: [&str; 3] = ["kafka", "postgres", "registry"];

/// More problems than this are not worth printing.
const MOST_PROBLEMS: usize = 50;

pub(super) fn read<C: ServiceConfig>(
    text: &str,
    folder: &Path,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<C, ConfigErrors> {
    let mut table: Table = toml::from_str(text).map_err(|error: toml::de::Error| {
        let origin = error.span().map(|span| Origin::Line(line_at(text, span.start)));
        ConfigErrors(vec![ConfigProblem { origin, ..ConfigProblem::new("", error.message()) }])
    })?;
    let mut reader = Reader { lines: Lines::of(text), overrides: Vec::new(), problems: Vec::new() };
    for mut found in overrides::find(environment) {
        match found.apply(&mut table) {
            Ok(()) => reader.overrides.push(found),
            Err(problem) => reader.problems.push(problem),
        }
    }
    complete_admin::<C>(&mut table);
    let mut config = reader.deserialize::<C>(table);
    if let Some(config) = &mut config {
        config.locate(folder);
        reader.validate(config);
    }
    match config {
        Some(config) if reader.problems.is_empty() => Ok(config),
        _ => Err(ConfigErrors(reader.problems)),
    }
}

/// Fills a partial `[admin]` up with the service's own defaults: serde would take the section's, whose port is nobody's.
fn complete_admin<C: ServiceConfig>(table: &mut Table) {
    let Some(Value::Table(admin)) = table.get_mut("admin") else {
        return;
    };
    // A service with mandatory keys has no defaults as a whole.
    let defaults = C::deserialize(Table::new()).ok().and_then(|config| Table::try_from(config.admin()).ok());
    for (key, value) in defaults.into_iter().flatten() {
        admin.entry(key).or_insert(value);
    }
}

struct Reader {
    lines: Lines,
    overrides: Vec<Override>,
    problems: Vec<ConfigProblem>,
}

impl Reader {
    /// Deserializes; serde stops at the first problem, so what it complains about is taken out and it is asked again.
    /// The value counts only when there was none.
    fn deserialize<C: ServiceConfig>(&mut self, mut table: Table) -> Option<C> {
        while self.problems.len() < MOST_PROBLEMS {
            let error = match serde_path_to_error::deserialize(Value::Table(table.clone())) {
                Ok(config) => return Some(config),
                Err(error) => error,
            };
            let mut path: Vec<String> = error.path().iter().filter_map(segment).collect();
            let message = describe(error.inner(), &mut path);
            if self.understand_differently(&mut table, &path, &message) {
                continue;
            }
            // "missing" follows from what was taken out; it says nothing new.
            let follows = message.starts_with("missing field") && self.took_out_below(&path);
            if !follows && !self.is_others(&path, &message) {
                self.add(&path, message);
            }
            // A list's element is not taken out alone, for the positions of the others would be wrong: the list goes.
            let parts = (1..=path.len()).rev();
            if !parts.into_iter().any(|length| remove(&mut table, &path[..length])) {
                return None;
            }
        }
        None
    }

    /// Tries the next form of an override whose value was refused.
    fn understand_differently(&mut self, table: &mut Table, path: &[String], message: &str) -> bool {
        let Some(found) = self.overrides.iter_mut().find(|found| found.covers(path)) else {
            return false;
        };
        let form = match found.form {
            Form::Secret => return false,
            _ if message.contains(SECRET_REFUSAL) => Form::Secret,
            // An unknown key stays unknown whatever it holds.
            Form::Literal if found.path == path && !message.starts_with("unknown") => Form::Text,
            _ => return false,
        };
        found.reapply(table, form);
        true
    }

    /// A shared section that this service does not have, set by variables alone.
    fn is_others(&self, path: &[String], message: &str) -> bool {
        let [section] = path else { return false };
        message.starts_with("unknown key")
            && SHARED_SECTIONS.contains(&section.as_str())
            && self.lines.find(section).is_none()
    }

    fn took_out_below(&self, path: &[String]) -> bool {
        let path = path.join(".");
        self.problems.iter().any(|problem| problem.key.starts_with(&path))
    }

    fn add(&mut self, path: &[String], message: String) {
        let key = path.join(".");
        let variable = |found: &Override| Origin::Variable(found.variable.clone());
        let origin =
            match self.overrides.iter().find(|found| found.covers(path)) {
                Some(found) => Some(variable(found)),
                // What is in no line was made by a variable for something in it.
                None => self.lines.find(&key).map(Origin::Line).or_else(|| {
                    self.overrides.iter().find(|found| found.path.starts_with(path)).map(variable)
                }),
            };
        self.problems.push(ConfigProblem { key, message, origin });
    }

    fn validate<C: ServiceConfig>(&mut self, config: &C) {
        let mut problems = check_admin(config.admin());
        if let Err((key, message)) = config.telemetry().check() {
            problems.push(ConfigProblem::new(join("telemetry", key), message));
        }
        problems.extend(config.validate().err().into_iter().flatten());
        for problem in problems {
            let path: Vec<String> = problem.key.split('.').map(str::to_owned).collect();
            self.add(&path, problem.message);
        }
    }
}

fn check_admin(admin: &AdminConfig) -> Vec<ConfigProblem> {
    let mut problems = Vec::new();
    let port = admin.listen.rsplit_once(':').filter(|(host, _)| !host.is_empty());
    if port.is_none_or(|(_, port)| port.parse::<u16>().is_err()) {
        problems.push(ConfigProblem::new("admin.listen", "is not an address such as 127.0.0.1:9100"));
    }
    if admin.drain_timeout.is_zero() {
        problems.push(ConfigProblem::new("admin.drain_timeout", "must be longer than 0s"));
    }
    problems
}

fn segment(segment: &Segment) -> Option<String> {
    match segment {
        Segment::Seq { index } => Some(index.to_string()),
        Segment::Map { key } => Some(key.clone()),
        // The variant is the value of the key before it, or unknown.
        Segment::Enum { .. } | Segment::Unknown => None,
    }
}

/// The message, for people; an unknown key joins the path, where serde leaves it out.
fn describe(error: &toml::de::Error, path: &mut Vec<String>) -> String {
    let message = error.message().trim_end();
    let Some((name, expected)) =
        message.strip_prefix("unknown field `").and_then(|rest| rest.split_once('`'))
    else {
        return message.to_owned();
    };
    if path.last().is_none_or(|last| last != name) {
        path.push(name.to_owned());
    }
    format!("unknown key{expected}")
}

/// Takes a key out of a table. False: there is none, or it is a list's element.
fn remove(table: &mut Table, path: &[String]) -> bool {
    let Some((key, around)) = path.split_last() else {
        return false;
    };
    let mut container = table;
    let mut steps = around.iter();
    while let Some(step) = steps.next() {
        let Some(mut value) = container.get_mut(step) else { return false };
        while let Value::Array(array) = value {
            let index = steps.next().and_then(|step| step.parse::<usize>().ok());
            value = match index.and_then(|index| array.get_mut(index)) {
                Some(value) => value,
                None => return false,
            };
        }
        container = match value {
            Value::Table(table) => table,
            _ => return false,
        };
    }
    container.remove(key).is_some()
}
