//! Which elements of a FHIR resource are mapped: each kind is taken out of it, and it is mapped again.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Map, Value};

use super::{
    coverage::{Coverage, Fate, Place},
    judge::{Judge, Outcome},
    rules,
};
use crate::files::{Subject, unmarked};

/// Bytes that are mapped again at most, some ten seconds' work; beyond it whole resource types are tried.
const MOST_BYTES: usize = 96 << 20;

/// Why a type is not said to be mapped or not.
const REFERRED: &str = "others cannot be without it; the bundle is too large to try its elements";

/// What became of the elements of a resource.
pub(super) fn coverage(judge: &Judge<'_>, subject: &Subject) -> Coverage {
    let content = unmarked(&subject.bytes);
    let Ok(resource) = serde_json::from_slice::<Value>(content) else { return Coverage::default() };
    // Through the same writer as every trial: a number may lose digits in it.
    let judged = &|resource: &Value| judge.fhir(resource.to_string().as_bytes());
    let baseline = judged(&resource);
    let mut kinds = BTreeMap::new();
    visit(&resource, "", &mut |path| *kinds.entry(path.to_owned()).or_insert(0) += 1);
    let mut coverage = Coverage::default();
    if kinds.len().saturating_mul(content.len()) > MOST_BYTES {
        by_type(&mut coverage, &resource, &baseline, judged);
        return coverage;
    }
    for (path, times) in kinds {
        let mut without = resource.clone();
        remove(&mut without, "", &|at, _| at == path);
        let fate =
            if !judged(&without).means_the_same(&baseline) || is_read(&resource, &path, &baseline, judged) {
                Fate::Mapped
            } else {
                rules::fhir(&path).map_or(Fate::Unmapped, |reason| Fate::Dropped(reason.to_owned()))
            };
        coverage.count(Place::Fhir(path), fate, times);
        coverage.values += times;
        coverage.tried += times;
    }
    coverage
}

/// Whether other values in their place make other events: where two elements say the same, taking one out changes nothing
/// although both are read. A refusal says only that the value is no good.
fn is_read(resource: &Value, path: &str, baseline: &Outcome, judged: impl Fn(&Value) -> Outcome) -> bool {
    let mut other = resource.clone();
    alter(&mut other, "", path);
    let outcome = judged(&other);
    matches!(outcome, Outcome::Events(_)) && !outcome.means_the_same(baseline)
}

/// Puts another value in place of each text at `target`.
fn alter(value: &mut Value, path: &str, target: &str) {
    match value {
        Value::Object(members) => {
            let path = root(members, path);
            for (name, value) in members.iter_mut().filter(|(name, _)| !is_name(&path, name)) {
                let items = match value {
                    Value::Array(items) => items.as_mut_slice(),
                    value => std::slice::from_mut(value),
                };
                for item in items {
                    let path = below(&path, name, item);
                    alter(item, &path, target);
                }
            }
        }
        Value::String(text) if path == target => text.push('1'),
        _ => {}
    }
}

/// The coarse answer for large bundles: without all resources of a type.
fn by_type(coverage: &mut Coverage, bundle: &Value, baseline: &Outcome, judged: impl Fn(&Value) -> Outcome) {
    let kind = |entry: &Value| entry["resource"]["resourceType"].as_str().map(str::to_owned);
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for name in bundle["entry"].as_array().into_iter().flatten().filter_map(kind) {
        *kinds.entry(name).or_default() += 1;
    }
    visit(bundle, "", &mut |_| coverage.values += 1);
    for (name, times) in kinds {
        let mut without = bundle.clone();
        let mut gone = HashSet::new();
        if let Some(entries) = without["entry"].as_array_mut() {
            entries.retain(|entry| {
                let stays = kind(entry).as_deref() != Some(name.as_str());
                gone.extend(entry["fullUrl"].as_str().filter(|_| !stays).map(str::to_owned));
                stays
            });
        }
        // With what refers to them: a reference to nothing would be refused.
        remove(&mut without, "", &|path, value| {
            path.ends_with(".reference") && value.as_str().is_some_and(|url| gone.contains(url))
        });
        match judged(&without) {
            // Others cannot be without it: that the bundle is refused says nothing about its own content.
            Outcome::Refused(_) => coverage.leave_out(Place::Fhir(name), REFERRED),
            same if same.means_the_same(baseline) => coverage.count(Place::Fhir(name), Fate::Unmapped, times),
            _ => coverage.count(Place::Fhir(name), Fate::Mapped, times),
        }
        coverage.tried += times;
    }
}

/// Where the path goes on below a member.
fn below(path: &str, name: &str, value: &Value) -> String {
    if let Some(kind) = value.get("resourceType").and_then(Value::as_str) {
        return kind.to_owned();
    }
    match value.get("url").and_then(Value::as_str) {
        // An extension is a kind of element of its own.
        Some(url) if matches!(name, "extension" | "modifierExtension") => {
            format!("{path}.{name}({})", url.rsplit('/').next().unwrap_or(url))
        }
        _ => format!("{path}.{name}"),
    }
}

/// Not an element: what a resource or an extension is.
fn is_name(path: &str, name: &str) -> bool {
    name == "resourceType" || name == "url" && path.ends_with(')')
}

/// Visits the path of each value: from the innermost resource on, without positions in lists.
fn visit(value: &Value, path: &str, found: &mut impl FnMut(&str)) {
    match value {
        Value::Object(members) => {
            let path = root(members, path);
            for (name, value) in members.iter().filter(|(name, _)| !is_name(&path, name)) {
                let items = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
                for item in items {
                    visit(item, &below(&path, name, item), found);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| visit(item, path, found)),
        Value::Null => {}
        _ => found(path),
    }
}

fn root(members: &Map<String, Value>, path: &str) -> String {
    let kind = members.get("resourceType").and_then(Value::as_str);
    kind.map_or_else(|| path.to_owned(), str::to_owned)
}

/// Takes the values that go out, and what is empty without them: FHIR has no empty elements.
fn remove(value: &mut Value, path: &str, goes: &dyn Fn(&str, &Value) -> bool) {
    let Value::Object(members) = value else { return };
    let path = root(members, path);
    let mut emptied = Vec::new();
    for (name, value) in members.iter_mut().filter(|(name, _)| !is_name(&path, name)) {
        match value {
            Value::Array(items) => {
                items.retain_mut(|item| keep(item, &below(&path, name, item), goes));
                if items.is_empty() {
                    emptied.push(name.clone());
                }
            }
            value => {
                if !keep(value, &below(&path, name, value), goes) {
                    emptied.push(name.clone());
                }
            }
        }
    }
    for name in emptied {
        members.remove(&name);
    }
}

/// Whether anything is left of an item.
fn keep(item: &mut Value, path: &str, goes: &dyn Fn(&str, &Value) -> bool) -> bool {
    match item {
        Value::Object(_) => {
            let was_empty = item.as_object().is_some_and(Map::is_empty);
            remove(item, path, goes);
            let names_only = |members: &Map<String, Value>| {
                members.keys().all(|name| name == "url" && path.ends_with(')'))
            };
            was_empty || !item.as_object().is_some_and(names_only)
        }
        Value::Array(_) | Value::Null => true,
        _ => !goes(path, item),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_begin_at_the_resource_and_values_are_taken_out_whole() {
        let bundle: Value = serde_json::from_str(
            r#"{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Patient",
                "name":[{"given":["A","B"]},{"family":"C"}],
                "extension":[{"url":"http://x/race","valueString":"r"}]}}]}"#,
        )
        .unwrap();
        let mut paths = Vec::new();
        visit(&bundle, "", &mut |path| paths.push(path.to_owned()));
        assert_eq!(
            paths,
            [
                "Patient.name.given",
                "Patient.name.given",
                "Patient.name.family",
                "Patient.extension(race).valueString"
            ]
        );
        let mut without = bundle.clone();
        remove(&mut without, "", &|path, _| path == "Patient.name.given");
        assert_eq!(without["entry"][0]["resource"]["name"], serde_json::json!([{"family": "C"}]));
        remove(&mut without, "", &|path, _| path == "Patient.extension(race).valueString");
        let mut other = bundle.clone();
        alter(&mut other, "", "Patient.name.given");
        assert_eq!(other["entry"][0]["resource"]["name"][0]["given"], serde_json::json!(["A1", "B1"]));
        assert_eq!(without["entry"][0]["resource"].get("extension"), None);
    }
}
