//! A reader of the API's description that is strict enough to hold the API to it.

use serde_json::Value;

pub(crate) fn document() -> Value {
    serde_json::from_str(confirmation_tracker::api::OPENAPI).unwrap()
}

/// The value is what the schema says: types, required and documented fields, enumerations.
pub(crate) fn assert_matches(document: &Value, schema: &Value, value: &Value, path: &str) {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document.pointer(reference.strip_prefix('#').unwrap()).unwrap();
        return assert_matches(document, target, value, path);
    }
    let actual = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let allowed: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().map(|one| one.as_str().unwrap()).collect(),
        other => panic!("{path}: the schema has no type: {other}"),
    };
    assert!(allowed.contains(&actual), "{path} is {actual}, documented as {allowed:?}");
    if let Some(values) = schema["enum"].as_array() {
        assert!(values.contains(value), "{path}: {value} is not documented");
    }
    if let Some(text) = value.as_str() {
        match schema["format"].as_str() {
            Some("date-time") => {
                assert!(waybill_contracts::Timestamp::parse_rfc3339(text).is_some(), "{path}: {text}");
            }
            Some("uuid") => assert!(text.parse::<waybill_contracts::MessageId>().is_ok(), "{path}: {text}"),
            _ => {}
        }
    }
    for item in value.as_array().into_iter().flatten() {
        assert_matches(document, &schema["items"], item, &format!("{path}[]"));
    }
    if let Some(object) = value.as_object() {
        let properties = schema["properties"].as_object();
        if properties.is_none() && schema["additionalProperties"].is_null() {
            return;
        }
        for (name, field) in object {
            let documented =
                properties.and_then(|known| known.get(name)).or(match &schema["additionalProperties"] {
                    Value::Object(_) => Some(&schema["additionalProperties"]),
                    _ => None,
                });
            let documented = documented.unwrap_or_else(|| panic!("{path}.{name} is not documented"));
            assert_matches(document, documented, field, &format!("{path}.{name}"));
        }
        for required in schema["required"].as_array().into_iter().flatten() {
            assert!(object.contains_key(required.as_str().unwrap()), "{path}.{required} is missing");
        }
    }
}

#[test]
fn everything_is_described() {
    fn walk(path: &str, value: &Value) {
        for (name, schema) in value["properties"].as_object().into_iter().flatten() {
            let described = schema["description"].as_str().is_some_and(|text| !text.is_empty());
            assert!(described || schema["$ref"].is_string(), "{path}.{name} has no description");
            walk(&format!("{path}.{name}"), schema);
        }
    }
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        assert!(schema["description"].is_string(), "{name} has no description");
        walk(name, schema);
    }
}
