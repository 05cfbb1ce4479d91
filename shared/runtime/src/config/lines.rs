//! Where in the file a key stands.

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

/// Line, from 1, of every key of a TOML text.
pub(super) struct Lines(BTreeMap<String, usize>);

impl Lines {
    /// Of a text that is valid TOML; of any other there are none.
    pub(super) fn of(text: &str) -> Self {
        let mut lines = BTreeMap::new();
        if let Ok(table) = DeTable::parse(text) {
            collect_table(text, "", table.get_ref(), &mut lines);
        }
        Self(lines)
    }

    /// The line of the key, or of the nearest section or list around it.
    pub(super) fn find(&self, key: &str) -> Option<usize> {
        let mut key = key;
        loop {
            if let Some(line) = self.0.get(key) {
                return Some(*line);
            }
            key = key.rsplit_once('.')?.0;
        }
    }
}

/// The line, from 1, of a position.
pub(super) fn line_at(text: &str, position: usize) -> usize {
    text.bytes().take(position).filter(|byte| *byte == b'\n').count() + 1
}

fn collect_table(text: &str, path: &str, table: &DeTable<'_>, lines: &mut BTreeMap<String, usize>) {
    for (key, value) in table {
        let path = join(path, key.get_ref());
        lines.insert(path.clone(), line_at(text, key.span().start));
        collect_value(text, &path, value.get_ref(), lines);
    }
}

fn collect_value(text: &str, path: &str, value: &DeValue<'_>, lines: &mut BTreeMap<String, usize>) {
    match value {
        DeValue::Table(table) => collect_table(text, path, table, lines),
        DeValue::Array(array) => {
            for (index, element) in array.iter().enumerate() {
                let path = join(path, &index.to_string());
                lines.insert(path.clone(), line_at(text, element.span().start));
                collect_value(text, &path, element.get_ref(), lines);
            }
        }
        _ => {}
    }
}

pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
