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

/// Keys of what is wrong with these feeds.
fn wrong(feeds: &str) -> Vec<String> {
    let text = format!("[patient_key]\nallow_development_secret = true\n{feeds}");
    match from_toml::<Config>(&text) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.problems().iter().map(|problem| problem.key.clone()).collect(),
    }
}

#[test]
fn an_http_feed_names_who_may_come_in() {
    let http = |rest: &str| wrong(&format!("[[feed]]\nprotocol = \"http\"\n{rest}"));
    let hash = "0".repeat(64);
    assert_eq!(http(""), ["feed.0.http"]);
    assert_eq!(http("[feed.http]\nanonymous = true"), [""; 0]);
    assert_eq!(http("[feed.http]\ntokens_file = \"tokens\""), [""; 0]);
    assert_eq!(http(&format!("[feed.http]\ntokens = [{{ name = \"a\", sha256 = \"{hash}\" }}]")), [""; 0]);
    let tls = "[feed.tls]\ncert_file = \"a\"\nkey_file = \"b\"\n";
    assert_eq!(http(tls), ["feed.0.http"], "a certificate of the listener says nothing of its clients");
    assert_eq!(http(&format!("{tls}client_ca_file = \"c\"")), [""; 0]);
    assert_eq!(http("[feed.http]\nanonymous = true\ntokens_file = \"tokens\""), ["feed.0.http.anonymous"]);
    assert_eq!(http("[feed.http]\ntokens = [{ name = \"a\", sha256 = \"secret\" }]"), ["feed.0.http.tokens"]);
    assert_eq!(http("[feed.http]\nanonymous = true\npath = \"north\""), ["feed.0.http.path"]);
    assert_eq!(http("[feed.http]\nanonymous = true\nmax_body_bytes = 0"), ["feed.0.http.max_body_bytes"]);
    assert_eq!(wrong("[[feed]]\n[feed.http]\nanonymous = true"), ["feed.0.http"], "not of an MLLP feed");
}

#[test]
fn addresses_files_and_limits_are_checked() {
    assert_eq!(wrong("[[feed]]\nallow = [\"10.0.0.0/8\", \"somewhere\"]"), ["feed.0.allow"]);
    assert_eq!(
        wrong("[[feed]]\n[feed.tls]\nhandshake_timeout = \"0s\""),
        ["feed.0.tls.cert_file", "feed.0.tls.key_file", "feed.0.tls.handshake_timeout"]
    );
    assert_eq!(wrong("[[feed]]\nmax_garbage_bytes = 0"), ["feed.0.max_garbage_bytes"]);
    assert_eq!(wrong("[limits]\nmax_buffered_bytes = 33554431"), ["limits.max_buffered_bytes"]);
    assert_eq!(wrong("[limits]\nmax_buffered_bytes = 33554432"), [""; 0]);
}

#[test]
fn only_http_feeds_share_an_address_and_only_where_nothing_contradicts() {
    let two = |first: &str, second: &str| {
        wrong(&format!("[[feed]]\nname = \"a\"\n{first}\n[[feed]]\nname = \"b\"\n{second}"))
    };
    let http = |path: &str| format!("protocol = \"http\"\nhttp = {{ anonymous = true, path = \"{path}\" }}");
    assert_eq!(two("", ""), ["feed.1.listen"]);
    assert_eq!(two("", &http("/b")), ["feed.1.listen"]);
    assert_eq!(two(&http(""), &http("/b")), [""; 0]);
    assert_eq!(two(&http("/b"), &http("/b")), ["feed.1.http.path"]);
    assert_eq!(two(&http("/a"), &format!("allow = [\"10.0.0.0/8\"]\n{}", http("/b"))), ["feed.1.listen"]);
    assert_eq!(two("", "listen = \"127.0.0.1:2576\""), [""; 0]);
}
