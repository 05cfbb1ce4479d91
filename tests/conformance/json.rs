//! Reading JSON by paths.

use serde_json::Value as Json;

use crate::canon::{self, Value};

/// All values at a path of names; lists on the way are walked through.
pub(crate) fn all<'j>(from: &'j Json, path: &str) -> Vec<&'j Json> {
    let mut at = vec![from];
    for name in path.split('.').filter(|name| !name.is_empty()) {
        at = at.into_iter().flat_map(items).filter_map(|item| item.get(name)).collect();
    }
    at.into_iter().flat_map(items).filter(|item| !item.is_null()).collect()
}

fn items(json: &Json) -> Vec<&Json> {
    match json {
        Json::Array(list) => list.iter().collect(),
        other => vec![other],
    }
}

/// What a leaf says.
pub(crate) fn leaf(json: &Json) -> Option<String> {
    match json {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        Json::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

/// The first leaf at a path.
pub(crate) fn first(from: &Json, path: &str) -> Option<String> {
    all(from, path).into_iter().find_map(leaf)
}

pub(crate) fn text(from: &Json, path: &str) -> Option<Value> {
    canon::text(&first(from, path)?)
}

pub(crate) fn texts(from: &Json, path: &str) -> Vec<Value> {
    all(from, path).into_iter().filter_map(leaf).filter_map(|raw| canon::text(&raw)).collect()
}

pub(crate) fn date(from: &Json, path: &str) -> Option<Value> {
    canon::date(&first(from, path)?)
}

pub(crate) fn number(from: &Json, path: &str) -> Option<Value> {
    canon::number(&first(from, path)?)
}

pub(crate) fn system(from: &Json, path: &str) -> Option<Value> {
    canon::system(&first(from, path)?)
}
