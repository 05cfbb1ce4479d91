//! Reads an Avro schema and a JSON value side by side.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use serde_json::Value;

/// The folder `schemas/`.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas")
}

/// Files of a folder with an extension, by name without it.
pub(crate) fn files(folder: &Path, extension: &str) -> BTreeMap<String, String> {
    let suffix = format!(".{extension}");
    let Ok(entries) = std::fs::read_dir(folder) else { return BTreeMap::new() };
    entries
        .map(|entry| entry.unwrap().path())
        .filter_map(|path| {
            Some((path.file_name()?.to_str()?.strip_suffix(&suffix)?.to_owned(), path.clone()))
        })
        .map(|(name, path)| (name, std::fs::read_to_string(path).unwrap()))
        .collect()
}

/// A schema file with its named types.
pub(crate) struct Schema {
    /// The root record.
    pub(crate) root: Value,
    /// Definitions by full name.
    pub(crate) names: BTreeMap<String, Value>,
}

/// A value at a place of the schema; nulls and empty lists have none.
pub(crate) struct Position<'a> {
    /// JSON pointer into the value.
    pub(crate) pointer: String,
    /// Its type, references resolved, null of a union taken away.
    pub(crate) ty: &'a Value,
    /// `namespace.Record.field` through which it is reached; empty at the root.
    pub(crate) field: String,
    /// The field carries `phi`; of a list each element counts.
    pub(crate) marked: bool,
    /// It lies inside a marked value.
    pub(crate) inside_marked: bool,
}

impl Schema {
    /// Parses the text of an `.avsc`.
    pub(crate) fn new(text: &str) -> Self {
        let root: Value = serde_json::from_str(text).unwrap();
        let mut names = BTreeMap::new();
        collect(&root, &mut names);
        Self { root, names }
    }

    /// Every `namespace.Record.field`.
    pub(crate) fn fields(&self) -> BTreeSet<String> {
        let records = self.names.iter().filter(|(_, ty)| ty["type"] == "record");
        records
            .flat_map(|(name, ty)| fields(ty).map(move |field| format!("{name}.{}", text(&field["name"]))))
            .collect()
    }

    /// A type with all references replaced by their definitions.
    pub(crate) fn resolved(&self, ty: &Value) -> Value {
        match ty {
            Value::String(name) => self.names.get(name).map_or_else(|| ty.clone(), |ty| self.resolved(ty)),
            Value::Array(members) => members.iter().map(|member| self.resolved(member)).collect(),
            Value::Object(object) => object
                .iter()
                .map(|(key, value)| {
                    let value = match key.as_str() {
                        "fields" => {
                            value.as_array().unwrap().iter().map(|field| self.resolved(field)).collect()
                        }
                        "type" | "items" | "values" => self.resolved(value),
                        _ => value.clone(),
                    };
                    (key.clone(), value)
                })
                .collect(),
            other => other.clone(),
        }
    }

    /// All places of `value`, outer before inner.
    pub(crate) fn positions(&self, value: &Value) -> Vec<Position<'_>> {
        let mut found = Vec::new();
        let root = Position {
            pointer: String::new(),
            ty: &self.root,
            field: String::new(),
            marked: false,
            inside_marked: false,
        };
        self.visit(root, value, &mut found);
        found
    }

    fn visit<'a>(&'a self, mut at: Position<'a>, value: &Value, found: &mut Vec<Position<'a>>) {
        at.ty = self.plain(at.ty);
        if value.is_null() {
            return;
        }
        if at.ty["type"] == "array" {
            for (index, item) in value.as_array().unwrap().iter().enumerate() {
                let item_at = Position {
                    pointer: format!("{}/{index}", at.pointer),
                    ty: &at.ty["items"],
                    field: at.field.clone(),
                    ..at
                };
                self.visit(item_at, item, found);
            }
            return;
        }
        let (ty, pointer, hidden) = (at.ty, at.pointer.clone(), at.marked || at.inside_marked);
        found.push(at);
        if ty["type"] == "record" {
            for field in fields(ty) {
                let name = text(&field["name"]);
                let inner = Position {
                    pointer: format!("{pointer}/{name}"),
                    ty: &field["type"],
                    field: format!("{}.{}.{name}", text(&ty["namespace"]), text(&ty["name"])),
                    marked: field.get("phi").is_some(),
                    inside_marked: hidden,
                };
                self.visit(inner, &value[name], found);
            }
        }
    }

    /// Without the null of a union and behind a reference.
    fn plain<'a>(&'a self, ty: &'a Value) -> &'a Value {
        match ty {
            Value::Array(members) => {
                let mut others = members.iter().filter(|member| *member != "null");
                let only = others.next().unwrap();
                assert!(others.next().is_none(), "a union of more than null and one type: {ty}");
                self.plain(only)
            }
            Value::String(name) => self.names.get(name).unwrap_or(ty),
            _ => ty,
        }
    }
}

fn collect(ty: &Value, names: &mut BTreeMap<String, Value>) {
    match ty {
        Value::Array(members) => members.iter().for_each(|member| collect(member, names)),
        Value::Object(object) => {
            if let Some(name) = object.get("name") {
                let namespace = object.get("namespace").expect("a named type states its namespace");
                let clash = names.insert(format!("{}.{}", text(namespace), text(name)), ty.clone());
                assert!(clash.is_none(), "{name} is defined twice in one file");
            }
            for key in ["items", "values"] {
                object.get(key).into_iter().for_each(|inner| collect(inner, names));
            }
            if object.get("type").is_some_and(|inner| !inner.is_string()) {
                collect(&object["type"], names);
            }
            fields(ty).for_each(|field| collect(&field["type"], names));
        }
        _ => {}
    }
}

/// The fields of a record; none of anything else.
pub(crate) fn fields(ty: &Value) -> impl Iterator<Item = &Value> {
    ty.get("fields").and_then(Value::as_array).into_iter().flatten()
}

/// A JSON string's text.
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}
