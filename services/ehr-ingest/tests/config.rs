//! The example configuration is complete, valid, and states the defaults.

use ehr_ingest::config::{Config, PatientKeyConfig};
use serde_json::Value;
use waybill_runtime::config::from_toml;

const EXAMPLE: &str = include_str!("../config.example.toml");

#[test]
fn the_example_states_the_defaults() {
    let example: Config = from_toml(EXAMPLE).unwrap();
    // The one exception, which the file explains: without a secret a service does not start.
    let patient_key = PatientKeyConfig { allow_development_secret: true, ..PatientKeyConfig::default() };
    let defaults = Config { patient_key, ..Config::default() };
    let json = |config: &Config| serde_json::to_value(config).unwrap();
    assert_eq!(json(&example), json(&defaults));
}

#[test]
fn the_example_names_every_key() {
    fn walk(value: &Value, missing: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                for (key, value) in fields {
                    let is_named = EXAMPLE.lines().any(|line| {
                        let line = line.trim_start_matches("# ");
                        line.starts_with(&format!("{key} ="))
                            || line.starts_with('[') && line.contains(key.as_str())
                    });
                    if !is_named {
                        missing.push(key.clone());
                    }
                    walk(value, missing);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, missing)),
            _ => {}
        }
    }
    let mut missing = Vec::new();
    walk(&serde_json::to_value(Config::default()).unwrap(), &mut missing);
    assert!(missing.is_empty(), "not in config.example.toml: {missing:?}");
}

#[test]
fn what_is_wrong_is_all_reported() {
    let text = r#"
        roles = []
        [[feed]]
        name = "a b"
        charset = "klingon"
        utc_offset = "1"
        max_frame_bytes = 999999999
        max_connections = 0
        ack_timeout = "0s"
        [[feed]]
        name = "x"
        [[feed]]
        name = "x"
    "#;
    let errors = from_toml::<Config>(text).unwrap_err();
    let keys: Vec<_> = errors.problems().iter().map(|problem| problem.key.as_str()).collect();
    for key in [
        "roles",
        "patient_key.secret",
        "feed.0.name",
        "feed.0.charset",
        "feed.0.utc_offset",
        "feed.0.max_frame_bytes",
        "feed.0.max_connections",
        "feed.0.ack_timeout",
        "feed.2.name",
    ] {
        assert!(keys.contains(&key), "{key} is missing from {keys:?}");
    }
}

#[test]
fn a_secret_is_demanded_and_an_unknown_key_is_named() {
    let refused = |text: &str| from_toml::<Config>(text).unwrap_err().problems()[0].to_string();
    assert!(refused("").contains("patient_key.secret"));
    assert!(refused("[patient_key]\nallow_development_secret = true\n[[feed]]\nport = 1").contains("port"));
}
