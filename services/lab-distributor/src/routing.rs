//! The routing table: which result goes to which target. Data, not code.

use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use waybill_contracts::lab::LabResult;
use waybill_telemetry::HumanDuration;

/// A routing table, read from TOML; its version is the hash of its text.
#[derive(Clone, Debug, Default)]
pub struct RoutingTable {
    /// Where results can go.
    pub targets: Vec<Target>,
    /// Who gets what; every rule that matches counts, a target is chosen once.
    pub rules: Vec<Rule>,
    /// First 12 hexadecimal digits of the SHA-256 of the table's text.
    pub version: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    target: Vec<Target>,
    #[serde(default)]
    rule: Vec<Rule>,
}

/// A receiving system that speaks HL7 v2 over MLLP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Name: lower-case letters, digits and `-`; part of a topic's name.
    pub name: String,
    /// `host:port`.
    pub address: String,
    /// Connections in parallel; patients are spread over them, one patient's results stay in order.
    #[serde(default = "one")]
    pub connections: usize,
    /// How long a connection may take to open.
    #[serde(default = "five_seconds")]
    pub connect_timeout: HumanDuration,
    /// How long the target may take to acknowledge before the outcome is unknown and the same bytes are sent again.
    #[serde(default = "ten_seconds")]
    pub ack_timeout: HumanDuration,
    /// How long after routing a line is overdue.
    #[serde(default = "five_minutes")]
    pub deadline: HumanDuration,
}

/// Chooses targets for the results that fit every condition it names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Name, shown in the delivery record.
    pub name: String,
    /// Targets by name.
    pub targets: Vec<String>,
    /// Conditions; empty ones hold for every result.
    #[serde(default)]
    pub when: When,
}

/// Conditions on a result; within a list one must fit, across lists all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct When {
    /// Feed.
    pub feed: Vec<String>,
    /// MSH-4 namespace id.
    pub sending_facility: Vec<String>,
    /// Status of a report: final, corrected, …
    pub status: Vec<String>,
    /// A code of OBR-4 in a report.
    pub code: Vec<String>,
    /// Flagged critical (HH, LL, AA), or not.
    pub critical: Option<bool>,
}

/// A table that cannot be used. Class `configuration`.
#[derive(Debug, thiserror::Error)]
pub enum RoutingError {
    /// The file cannot be read.
    #[error("cannot read the routing table {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// Not TOML of this form.
    #[error("routing table: {0}")]
    Parse(String),
    /// A name is used twice or is not of its form.
    #[error("routing table: target name {0:?} is repeated or not made of lower-case letters, digits and '-'")]
    TargetName(String),
    /// A target without connections could never deliver.
    #[error("routing table: target {0:?} has no connections")]
    NoConnections(String),
    /// A rule names a target that is not there.
    #[error("routing table: rule {rule:?} names the unknown target {target:?}")]
    UnknownTarget {
        /// The rule.
        rule: String,
        /// The target.
        target: String,
    },
}

/// A target that a rule chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route<'a> {
    /// The target.
    pub target: &'a Target,
    /// The rule.
    pub rule: &'a str,
}

impl RoutingTable {
    /// Reads a table from a file.
    pub fn load(path: &Path) -> Result<Self, RoutingError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| RoutingError::Read { path: path.display().to_string(), source })?;
        Self::parse(&text)
    }

    /// Reads a table from text.
    pub fn parse(text: &str) -> Result<Self, RoutingError> {
        let File { target: targets, rule: rules } =
            toml::from_str(text).map_err(|error| RoutingError::Parse(error.to_string()))?;
        for (at, target) in targets.iter().enumerate() {
            let legal = !target.name.is_empty()
                && target.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
            if !legal || targets[..at].iter().any(|earlier| earlier.name == target.name) {
                return Err(RoutingError::TargetName(target.name.clone()));
            }
            if target.connections == 0 {
                return Err(RoutingError::NoConnections(target.name.clone()));
            }
        }
        for rule in &rules {
            if let Some(unknown) = rule.targets.iter().find(|name| !targets.iter().any(|t| t.name == **name))
            {
                return Err(RoutingError::UnknownTarget { rule: rule.name.clone(), target: unknown.clone() });
            }
        }
        let digest = Sha256::digest(text.as_bytes());
        let first = digest.iter().take(6).fold(0_u64, |hash, byte| hash << 8 | u64::from(*byte));
        let version = format!("{first:012x}");
        Ok(Self { targets, rules, version })
    }

    /// The targets of a result, in the table's order.
    pub fn routes(&self, result: &LabResult) -> Vec<Route<'_>> {
        let matching = |target: &Target| {
            self.rules.iter().find(|rule| rule.targets.contains(&target.name) && rule.when.fits(result))
        };
        self.targets
            .iter()
            .filter_map(|target| matching(target).map(|rule| Route { target, rule: &rule.name }))
            .collect()
    }
}

impl When {
    fn fits(&self, result: &LabResult) -> bool {
        let one_of = |list: &[String], value: Option<&str>| {
            list.is_empty() || value.is_some_and(|value| list.iter().any(|wanted| wanted == value))
        };
        let some_report =
            |list: &[String], has: &dyn Fn(&str) -> bool| list.is_empty() || list.iter().any(|w| has(w));
        one_of(&self.feed, Some(&result.source.feed))
            && one_of(&self.sending_facility, result.source.sending_facility.as_deref())
            && some_report(&self.status, &|wanted| result.report.iter().any(|report| report.status == wanted))
            && some_report(&self.code, &|wanted| {
                result
                    .report
                    .iter()
                    .flat_map(|r| &r.code.coding)
                    .any(|coding| coding.code.as_deref() == Some(wanted))
            })
            && self.critical.is_none_or(|critical| critical == result.critical)
    }
}

fn one() -> usize {
    1
}

fn five_seconds() -> HumanDuration {
    HumanDuration::secs(5)
}

fn ten_seconds() -> HumanDuration {
    HumanDuration::secs(10)
}

fn five_minutes() -> HumanDuration {
    HumanDuration::secs(300)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = r#"
        [[target]]
        name = "ehr"
        address = "127.0.0.1:2601"

        [[target]]
        name = "registry"
        address = "127.0.0.1:2602"

        [[rule]]
        name = "everything"
        targets = ["ehr"]

        [[rule]]
        name = "critical ones"
        targets = ["ehr", "registry"]
        when = { critical = true, feed = ["lis"], status = ["final", "corrected"], code = ["2823-3"] }
    "#;

    pub(crate) fn result() -> LabResult {
        let text = include_str!("../../../schemas/examples/lab.result.v1/critical.json");
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn every_condition_of_a_rule_must_fit() {
        let table = RoutingTable::parse(TABLE).unwrap();
        let mut result = result();
        result.source.feed = "lis".into();
        result.critical = true;
        result.report.truncate(1);
        result.report[0].status = "final".into();
        result.report[0].code.coding[0].code = Some("2823-3".into());
        let names = |result: &LabResult| -> Vec<_> {
            table
                .routes(result)
                .iter()
                .map(|route| (route.target.name.clone(), route.rule.to_owned()))
                .collect()
        };
        let all = vec![("ehr".into(), "everything".into()), ("registry".into(), "critical ones".into())];
        assert_eq!(names(&result), all);
        for spoil in [
            (|r: &mut LabResult| r.critical = false) as fn(&mut LabResult),
            |r| r.source.feed = "other".into(),
            |r| r.report[0].status = "preliminary".into(),
            |r| r.report[0].code.coding.clear(),
        ] {
            let mut other = result.clone();
            spoil(&mut other);
            assert_eq!(names(&other), all[..1], "{other:?}");
        }
    }

    #[test]
    fn a_bad_table_is_refused_with_its_place() {
        for (text, wanted) in [
            ("[[target]]\nname='A b'\naddress='x:1'", "\"A b\""),
            ("[[target]]\nname='a'\naddress='x:1'\n[[target]]\nname='a'\naddress='x:1'", "\"a\""),
            ("[[target]]\nname='a'\naddress='x:1'\nconnections=0", "no connections"),
            ("[[rule]]\nname='r'\ntargets=['b']", "unknown target \"b\""),
            ("[[rule]]\nname='r'\ntargets=[]\nwhenn={}", "whenn"),
        ] {
            let error = RoutingTable::parse(text).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn the_version_follows_the_text() {
        let table = RoutingTable::parse(TABLE).unwrap();
        assert_eq!(table.version.len(), 12);
        assert_ne!(table.version, RoutingTable::parse(&format!("{TABLE} ")).unwrap().version);
    }
}
