//! Every version of a schema that was ever released can still be read.
//!
//! `schemas/history/<schema>/<n>.avsc` is a version, `<n>.datum` a record written with it (base64), `<n>.json` what that
//! record said. `WAYBILL_FREEZE=1 cargo test -p waybill-contracts --test schemas` adds the current version when it differs
//! from the last one; what is there is never changed.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;
use waybill_contracts::{Record, avro};

use crate::{
    every_record, schema_name,
    walk::{files, folder},
};

fn history<T: Record>() -> std::path::PathBuf {
    folder().join("history").join(schema_name::<T>())
}

/// The version after the last one, if the current schema is not that.
fn unfrozen<T: Record>() -> Option<usize> {
    let frozen = files(&history::<T>(), "avsc");
    (frozen.get(&frozen.len().to_string()).map(String::as_str) != Some(T::SCHEMA)).then_some(frozen.len() + 1)
}

fn freeze<T: Record>() {
    let Some(version) = unfrozen::<T>() else { return };
    // The example that fills the most fields.
    let examples = files(&folder().join("examples").join(schema_name::<T>()), "json");
    let value: T = serde_json::from_str(examples.values().max_by_key(|text| text.len()).unwrap()).unwrap();
    let mut datum = Vec::new();
    avro::encode(&value, &mut datum).unwrap();
    let folder = history::<T>();
    std::fs::create_dir_all(&folder).unwrap();
    let write = |extension: &str, text: String| {
        std::fs::write(folder.join(format!("{version}.{extension}")), text).unwrap();
    };
    write("avsc", T::SCHEMA.to_owned());
    write("datum", STANDARD.encode(&datum) + "\n");
    write("json", serde_json::to_string_pretty(&value).unwrap() + "\n");
}

#[test]
fn records_of_every_frozen_version_can_be_read() {
    fn check<T: Record>() {
        let (schemas, data, said) =
            (files(&history::<T>(), "avsc"), files(&history::<T>(), "datum"), files(&history::<T>(), "json"));
        assert!(!schemas.is_empty(), "{} has no frozen version", T::TOPIC);
        for (version, schema) in schemas {
            let schema = apache_avro::Schema::parse_str(&schema).unwrap();
            let datum = STANDARD.decode(data[&version].trim()).unwrap();
            let read: T =
                avro::decode(&schema, &datum).unwrap_or_else(|error| panic!("version {version}: {error}"));
            let (then, now) =
                (serde_json::from_str(&said[&version]).unwrap(), serde_json::to_value(&read).unwrap());
            assert!(contains(&now, &then), "{} version {version} reads differently now", T::TOPIC);
        }
    }
    if std::env::var_os("WAYBILL_FREEZE").is_some() {
        every_record!(freeze);
    }
    every_record!(check);
}

/// Whether `now` says everything that `then` said; it may say more.
fn contains(now: &Value, then: &Value) -> bool {
    match (now, then) {
        (Value::Object(now), Value::Object(then)) => {
            then.iter().all(|(key, then)| now.get(key).is_some_and(|now| contains(now, then)))
        }
        (Value::Array(now), Value::Array(then)) => {
            now.len() == then.len() && now.iter().zip(then).all(|(now, then)| contains(now, then))
        }
        _ => now == then,
    }
}
