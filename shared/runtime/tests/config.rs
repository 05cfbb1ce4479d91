//! Where a setting comes from, and what is said when it is wrong.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use waybill_runtime::config::{from_toml, load};
use waybill_runtime::{
    AdminConfig, ConfigErrors, ConfigProblem, HumanDuration, Secret, ServiceConfig, TelemetryConfig,
};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    admin: AdminConfig,
    telemetry: TelemetryConfig,
    kafka: Kafka,
    feeds: Vec<Feed>,
    targets: BTreeMap<String, Target>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Kafka {
    bootstrap_servers: String,
    in_flight: u32,
    linger: HumanDuration,
    password: Option<Secret>,
    topics: Vec<String>,
    fast: bool,
    ratio: f64,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Target {
    attempts: u32,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Feed {
    name: String,
    port: u16,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            admin: AdminConfig::on_port(9199),
            telemetry: TelemetryConfig::default(),
            kafka: Kafka::default(),
            feeds: Vec::new(),
            targets: BTreeMap::new(),
        }
    }
}

impl Default for Kafka {
    fn default() -> Self {
        Self {
            bootstrap_servers: "127.0.0.1:9092".to_owned(),
            in_flight: 1000,
            linger: HumanDuration::millis(0),
            password: None,
            topics: Vec::new(),
            fast: false,
            ratio: 0.5,
        }
    }
}

impl ServiceConfig for Config {
    fn admin(&self) -> &AdminConfig {
        &self.admin
    }

    fn telemetry(&self) -> &TelemetryConfig {
        &self.telemetry
    }

    fn validate(&self) -> Result<(), Vec<ConfigProblem>> {
        let low = self.feeds.iter().enumerate().filter(|(_, feed)| feed.port < 1024);
        let problems: Vec<_> =
            low.map(|(i, _)| ConfigProblem::new(format!("feeds.{i}.port"), "is a privileged port")).collect();
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}

fn with(file: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("config.toml");
    std::fs::write(&path, file).expect("written");
    load(Some(&path), variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

fn problems(result: Result<Config, ConfigErrors>) -> Vec<String> {
    result.expect_err("it is wrong").problems().iter().map(ToString::to_string).collect()
}

#[test]
fn without_a_file_the_defaults_hold() {
    assert_eq!(from_toml::<Config>("").expect("valid"), Config::default());
    assert_eq!(load::<Config>(None, std::iter::empty()).expect("valid"), Config::default());
}

#[test]
fn the_environment_overrides_the_file_and_the_file_the_defaults() {
    let file = "[kafka]\nbootstrap_servers = \"file:1\"\nin_flight = 5\n";
    let config = with(file, &[("WAYBILL_KAFKA__BOOTSTRAP_SERVERS", "env:2"), ("WAYBILL_TOOL", "ignored")]);
    let kafka = config.expect("valid").kafka;
    assert_eq!((kafka.bootstrap_servers.as_str(), kafka.in_flight, kafka.fast), ("env:2", 5, false));
}

#[test]
fn a_part_of_the_admin_section_keeps_the_port_of_the_service() {
    let expected = AdminConfig { drain_timeout: HumanDuration::secs(5), ..AdminConfig::on_port(9199) };
    assert_eq!(with("[admin]\ndrain_timeout = \"5s\"\n", &[]).expect("valid").admin, expected);
    assert_eq!(with("", &[("WAYBILL_ADMIN__DRAIN_TIMEOUT", "5s")]).expect("valid").admin, expected);
}

#[test]
fn variables_are_read_as_what_the_key_holds() {
    let config = with(
        "",
        &[
            ("WAYBILL_KAFKA__BOOTSTRAP_SERVERS", "42"),
            ("WAYBILL_KAFKA__IN_FLIGHT", "42"),
            ("WAYBILL_KAFKA__LINGER", "5ms"),
            ("WAYBILL_KAFKA__TOPICS", "[\"a\", \"b\"]"),
            ("WAYBILL_KAFKA__FAST", "true"),
            ("WAYBILL_KAFKA__RATIO", "0.25"),
            ("WAYBILL_TARGETS__HIS", "{ attempts = 3 }"),
        ],
    );
    let config = config.expect("valid");
    let kafka = config.kafka;
    assert_eq!((kafka.bootstrap_servers.as_str(), kafka.in_flight, kafka.fast), ("42", 42, true));
    assert_eq!(kafka.linger, HumanDuration::millis(5));
    assert_eq!(kafka.topics, ["a", "b"]);
    assert!((kafka.ratio - 0.25).abs() < f64::EPSILON);
    assert_eq!(config.targets["his"], Target { attempts: 3 });
}

#[test]
fn a_variable_reaches_into_lists_and_into_names_with_other_spelling() {
    let file =
        "[[feeds]]\nname = \"a\"\nport = 2575\n[[feeds]]\nname = \"b\"\nport = 2576\n[targets.His-East]\n";
    let config =
        with(file, &[("WAYBILL_FEEDS__1__PORT", "3000"), ("WAYBILL_TARGETS__HIS_EAST__ATTEMPTS", "7")])
            .expect("valid");
    assert_eq!(config.feeds[1], Feed { name: "b".to_owned(), port: 3000 });
    assert_eq!(config.targets["His-East"], Target { attempts: 7 });
}

#[test]
fn every_problem_is_reported_with_its_place() {
    let file =
        "[kafka]\nin_flght = 5\nfast = 1\nlinger = \"soon\"\n\n[[feeds]]\nname = \"a\"\nport = \"x\"\n";
    let found = problems(with(file, &[("WAYBILL_KAFKA__COLOUR", "red"), ("WAYBILL_KAFKA__RATIO", "much")]));
    for expected in [
        "line 2: kafka.in_flght: unknown key, expected one of",
        "line 3: kafka.fast: invalid type: integer `1`, expected a boolean",
        "line 4: kafka.linger: expected a whole number with a unit",
        "line 8: feeds.0.port: invalid type: string \"x\", expected u16",
        "environment variable WAYBILL_KAFKA__COLOUR: kafka.colour: unknown key",
        "environment variable WAYBILL_KAFKA__RATIO: kafka.ratio: invalid type: string \"much\", expected f64",
    ] {
        assert!(
            found.iter().any(|problem| problem.starts_with(expected)),
            "{expected} is missing in {found:#?}"
        );
    }
    assert_eq!(found.len(), 6, "{found:#?}");
}

#[test]
fn what_only_the_service_can_check_has_a_place_too() {
    let file =
        "[[feeds]]\nname = \"a\"\nport = 25\n\n[admin]\nlisten = \"9101\"\n[telemetry]\nlog = \"a=b=c\"\n";
    let found = problems(with(file, &[]));
    assert_eq!(found.len(), 3, "{found:#?}");
    assert_eq!(found[0], "line 6: admin.listen: is not an address such as 127.0.0.1:9100");
    assert!(found[1].starts_with("line 8: telemetry.log: "), "{found:#?}");
    assert_eq!(found[2], "line 3: feeds.0.port: is a privileged port");
}

#[test]
fn text_that_is_not_toml_has_a_line() {
    assert!(problems(with("[kafka]\nfast = = 1\n", &[]))[0].starts_with("line 2: "));
}

#[test]
fn a_variable_that_cannot_be_placed_is_named() {
    for (variable, complaint) in [
        ("WAYBILL_FEEDS__0__PORT", "names an element that the list does not have"),
        ("WAYBILL_KAFKA__FAST__X", "goes on below a key that holds a plain value"),
        ("WAYBILL_KAFKA____X", "has an empty part"),
    ] {
        let found = problems(with("feeds = []\n[kafka]\nfast = true\n", &[(variable, "1")]));
        assert!(found[0].contains(variable) && found[0].contains(complaint), "{found:#?}");
    }
}

#[test]
fn a_variable_of_no_section_is_named_and_one_of_a_connection_that_others_have_is_left_to_them() {
    let found = problems(with("", &[("WAYBILL_KAFAK__FAST", "true")]));
    assert!(
        found[0].starts_with("environment variable WAYBILL_KAFAK__FAST: kafak: unknown key"),
        "{found:#?}"
    );
    let shared = [("WAYBILL_POSTGRES__URL", "postgres://everybody"), ("WAYBILL_KAFKA__FAST", "true")];
    assert!(with("", &shared).expect("valid").kafka.fast);
    // In the file it is a mistake all the same.
    let found = problems(with("[postgres]\nurl = \"x\"\n", &shared));
    assert!(found[0].contains("postgres: unknown key"), "{found:#?}");
}

#[test]
fn a_secret_in_the_file_is_refused_and_never_shown() {
    let found = problems(with("[kafka]\npassword = \"hunter2\"\n", &[]));
    assert!(found[0].starts_with("line 2: kafka.password: a secret is not written"), "{found:#?}");
    assert!(!found[0].contains("hunter2"), "{found:#?}");
    // The loader reads the environment it is given, a secret the process's own; they differ only in this test.
    let found = problems(with("", &[("WAYBILL_KAFKA__PASSWORD", "hunter2")]));
    assert!(
        found[0].contains("WAYBILL_KAFKA__PASSWORD is not set") && !found[0].contains("hunter2"),
        "{found:#?}"
    );
}

#[test]
fn a_secret_comes_from_a_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("secret");
    std::fs::write(&path, "hunter2\n").expect("written");
    let config = from_toml::<Config>(&format!("kafka.password = {{ file = {path:?} }}")).expect("valid");
    assert_eq!(config.kafka.password.as_ref().map(Secret::expose).map(String::as_str), Some("hunter2"));
    assert!(!format!("{config:?}").contains("hunter2"));
}

proptest! {
    /// Whatever a variable holds, a text key takes it as it is, and setting it changes nothing else.
    #[test]
    fn a_text_key_takes_any_text(value in "\\PC{0,40}", in_flight in any::<u32>()) {
        let file = format!("[kafka]\nin_flight = {in_flight}\nbootstrap_servers = \"file\"\n");
        let config = with(&file, &[("WAYBILL_KAFKA__BOOTSTRAP_SERVERS", &value)]).expect("valid");
        let expected = Kafka { bootstrap_servers: value, in_flight, ..Kafka::default() };
        prop_assert_eq!(config, Config { kafka: expected, ..Config::default() });
    }

    /// A key set by a variable is the same as one set in the file.
    #[test]
    fn a_variable_is_as_good_as_the_file(in_flight in any::<u32>(), fast: bool, topics in proptest::collection::vec("\\PC{0,8}", 0..4)) {
        let topics = toml::Value::from(topics).to_string();
        let file = format!("[kafka]\nin_flight = {in_flight}\nfast = {fast}\ntopics = {topics}\n");
        let (number, flag) = (in_flight.to_string(), fast.to_string());
        let variables = [("WAYBILL_KAFKA__IN_FLIGHT", &*number), ("WAYBILL_KAFKA__FAST", &*flag), ("WAYBILL_KAFKA__TOPICS", &*topics)];
        prop_assert_eq!(with("", &variables).expect("valid"), with(&file, &[]).expect("valid"));
    }

    /// No environment makes the loader panic.
    #[test]
    fn never_panics(name in "WAYBILL_(KAFKA|FEEDS|targets|[A-Z_0-9]{0,6})__[A-Z_0-9]{0,12}", value in "\\PC{0,20}") {
        let _ = with("[[feeds]]\nname = \"a\"\nport = 2575\n", &[(&name, &value)]);
    }
}
