//! The named types of a schema file, as JSON: Avro's parser drops where a property stood.

use std::collections::BTreeMap;

use serde_json::Value;

/// Named types by full name.
#[derive(Debug)]
pub(crate) struct Types {
    /// Full name of the root.
    pub(crate) root: String,
    /// Records.
    pub(crate) records: BTreeMap<String, Vec<Field>>,
    /// Enums.
    pub(crate) enums: BTreeMap<String, Symbols>,
}

/// A field of a record.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: String,
    /// Its type, named types by their full name.
    pub(crate) ty: String,
    pub(crate) default: Option<Value>,
    pub(crate) doc: Option<String>,
    pub(crate) phi: Option<String>,
}

/// Symbols of an enum.
#[derive(Debug)]
pub(crate) struct Symbols {
    pub(crate) all: Vec<String>,
    pub(crate) default: Option<String>,
}

impl Types {
    /// Reads the text of an `.avsc`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(text).map_err(|error| format!("is no JSON: {error}"))?;
        let mut types = Self { root: String::new(), records: BTreeMap::new(), enums: BTreeMap::new() };
        types.root = types.read(&value, "");
        Ok(types)
    }

    /// Collects what is defined inside a type and gives its name.
    fn read(&mut self, ty: &Value, namespace: &str) -> String {
        match ty {
            Value::String(name) if primitive(name) || name.contains('.') || namespace.is_empty() => {
                name.clone()
            }
            Value::String(name) => format!("{namespace}.{name}"),
            Value::Array(members) => {
                let members: Vec<_> = members.iter().map(|member| self.read(member, namespace)).collect();
                members.join(" | ")
            }
            Value::Object(object) => {
                let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default();
                let namespace = if object.contains_key("namespace") { text("namespace") } else { namespace };
                let full = if namespace.is_empty() {
                    text("name").to_owned()
                } else {
                    format!("{namespace}.{}", text("name"))
                };
                match text("type") {
                    "record" => {
                        let fields = object.get("fields").and_then(Value::as_array).into_iter().flatten();
                        let fields = fields.map(|field| self.field(field, namespace)).collect();
                        self.records.insert(full.clone(), fields);
                        full
                    }
                    "enum" => {
                        let symbols = object.get("symbols").and_then(Value::as_array).into_iter().flatten();
                        let all = symbols.filter_map(Value::as_str).map(str::to_owned).collect();
                        let default = object.get("default").and_then(Value::as_str).map(str::to_owned);
                        self.enums.insert(full.clone(), Symbols { all, default });
                        full
                    }
                    "fixed" => format!("{full}({})", object.get("size").unwrap_or(&Value::Null)),
                    "array" => format!(
                        "array<{}>",
                        self.read(object.get("items").unwrap_or(&Value::Null), namespace)
                    ),
                    "map" => {
                        format!("map<{}>", self.read(object.get("values").unwrap_or(&Value::Null), namespace))
                    }
                    // {"type": "long", "logicalType": "timestamp-millis"}, or a type in parentheses.
                    _ => {
                        let inner = self.read(object.get("type").unwrap_or(&Value::Null), namespace);
                        match text("logicalType") {
                            "" => inner,
                            logical => format!("{inner}({logical})"),
                        }
                    }
                }
            }
            _ => "nothing".to_owned(),
        }
    }

    fn field(&mut self, field: &Value, namespace: &str) -> Field {
        let text = |key: &str| field.get(key).and_then(Value::as_str).map(str::to_owned);
        Field {
            name: text("name").unwrap_or_default(),
            ty: self.read(field.get("type").unwrap_or(&Value::Null), namespace),
            default: field.get("default").cloned(),
            doc: text("doc"),
            phi: field.get("phi").map(|phi| phi.as_str().map_or_else(|| phi.to_string(), str::to_owned)),
        }
    }
}

fn primitive(name: &str) -> bool {
    matches!(name, "null" | "boolean" | "int" | "long" | "float" | "double" | "bytes" | "string")
}

/// The last part of a full name, for messages.
pub(crate) fn short(full: &str) -> &str {
    full.rsplit_once('.').map_or(full, |(_, name)| name)
}
