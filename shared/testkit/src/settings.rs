//! What is written into the services' configuration files.

use std::{fmt, net::SocketAddr};

use anyhow::Context as _;
use toml::{Table, Value};

use crate::{Stack, ports};

/// A service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unit {
    /// Takes messages in and makes events.
    EhrIngest,
    /// Brings results to targets.
    LabDistributor,
    /// Keeps the accounts.
    ConfirmationTracker,
}

impl Unit {
    /// All, in the order of the flow.
    pub const ALL: [Self; 3] = [Self::EhrIngest, Self::LabDistributor, Self::ConfirmationTracker];

    /// Name of the service, its folder and its binary.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EhrIngest => "ehr-ingest",
            Self::LabDistributor => "lab-distributor",
            Self::ConfirmationTracker => "confirmation-tracker",
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where the services of an installation listen.
#[derive(Clone, Debug)]
pub(crate) struct Addresses {
    /// By feed.
    pub(crate) feeds: Vec<(String, SocketAddr)>,
    /// The tracker's API.
    pub(crate) api: SocketAddr,
    /// Admin ports in the order of [`Unit::ALL`].
    pub(crate) admin: [SocketAddr; 3],
}

/// The feeds of every installation: an EHR's and a laboratory's over MLLP, and one over HTTP.
pub(crate) const FEEDS: [&str; 3] = ["ehr", "lis", HTTP_FEED];
/// The feed over HTTP: HL7 v2 at `/hl7`, FHIR at `/fhir`.
pub(crate) const HTTP_FEED: &str = "fhir";
/// Bearer token of the HTTP feed.
pub const TOKEN: &str = "waybill-local";
/// Its SHA-256.
const TOKEN_SHA256: &str = "f5a0c26d6d9f7c59a8b29bbfdf2c0c352b922402b29bb16adffb368660ff69e7";

impl Addresses {
    pub(crate) fn free() -> anyhow::Result<Self> {
        Ok(Self {
            feeds: FEEDS
                .iter()
                .map(|name| Ok(((*name).to_owned(), ports::free()?)))
                .collect::<anyhow::Result<_>>()?,
            api: ports::free()?,
            admin: [ports::free()?, ports::free()?, ports::free()?],
        })
    }

    /// The documented ones.
    pub(crate) fn default_ports() -> Self {
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Self {
            feeds: FEEDS.iter().map(|name| (*name).to_owned()).zip([2575, 2576, 8080].map(at)).collect(),
            api: at(8090),
            admin: [at(9101), at(9102), at(9106)],
        }
    }

    pub(crate) fn admin(&self, unit: Unit) -> SocketAddr {
        self.admin[unit as usize]
    }
}

/// The configuration of a unit before the test's own settings.
pub(crate) fn base(unit: Unit, stack: &Stack, namespace: &str, addresses: &Addresses, routes: &str) -> Table {
    let mut table = Table::new();
    let mut set = |key: &str, value: Value| put(&mut table, key, value);
    set("kafka.bootstrap_servers", stack.kafka.clone().into());
    set("kafka.namespace", namespace.into());
    set("registry.url", stack.registry.clone().into());
    set("admin.listen", addresses.admin(unit).to_string().into());
    if let Some(otlp) = &stack.otlp {
        set("telemetry.otlp_endpoint", otlp.clone().into());
        // A test asks for a trace right after its message has arrived.
        set("telemetry.batch_delay", "200ms".into());
    }
    match unit {
        Unit::EhrIngest => {
            let feed = |(name, listen): &(String, SocketAddr)| {
                let mut feed = Table::from_iter([
                    ("name".to_owned(), Value::from(name.clone())),
                    ("listen".to_owned(), listen.to_string().into()),
                ]);
                if name == HTTP_FEED {
                    put(&mut feed, "protocol", "http".into());
                    let token = [("name", "test"), ("sha256", TOKEN_SHA256)];
                    let token: Table =
                        token.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect();
                    put(&mut feed, "http.tokens", Value::Array(vec![Value::Table(token)]));
                }
                Value::Table(feed)
            };
            set("feed", Value::Array(addresses.feeds.iter().map(feed).collect()));
            set("patient_key.allow_development_secret", true.into());
        }
        Unit::LabDistributor => set("routes", routes.into()),
        Unit::ConfirmationTracker => {
            set("api.listen", addresses.api.to_string().into());
            set("postgres.url", stack.postgres.clone().into());
        }
    }
    table
}

/// Sets `a.b.c`; a number as a part is a position in an array that is there.
pub(crate) fn put(table: &mut Table, key: &str, value: Value) {
    match key.split_once('.') {
        None => {
            table.insert(key.to_owned(), value);
        }
        Some((first, rest)) => {
            let entry = table.entry(first.to_owned()).or_insert_with(|| Value::Table(Table::new()));
            match entry {
                Value::Table(inner) => put(inner, rest, value),
                Value::Array(list) => {
                    if let Some((at, rest)) = rest.split_once('.')
                        && let Some(Value::Table(inner)) =
                            at.parse().ok().and_then(|at: usize| list.get_mut(at))
                    {
                        put(inner, rest, value);
                    }
                }
                other => *other = value,
            }
        }
    }
}

/// A target and what goes there, for the routing table.
#[derive(Clone, Debug)]
pub struct Target {
    name: String,
    address: String,
    when: Option<String>,
    extra: String,
}

impl Target {
    /// Everything goes to `name` at `address`.
    pub fn new(name: &str, address: impl fmt::Display) -> Self {
        Self { name: name.to_owned(), address: address.to_string(), when: None, extra: String::new() }
    }

    /// Only what fits: an inline table of the routing table's conditions, `{ status = ["final"] }`.
    #[must_use]
    pub fn when(mut self, conditions: &str) -> Self {
        self.when = Some(conditions.to_owned());
        self
    }

    /// A further setting of the target, `ack_timeout = "1s"`.
    #[must_use]
    pub fn with(mut self, setting: &str) -> Self {
        self.extra.push_str(setting);
        self.extra.push('\n');
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// The routing table of these targets, in the form of lab-distributor's `routes.example.toml`.
pub(crate) fn routes(targets: &[Target]) -> anyhow::Result<String> {
    use fmt::Write as _;
    let mut text = String::new();
    for Target { name, address, extra, .. } in targets {
        write!(text, "[[target]]\nname = \"{name}\"\naddress = \"{address}\"\n{extra}\n")?;
    }
    for Target { name, when, .. } in targets {
        write!(text, "[[rule]]\nname = \"to {name}\"\ntargets = [\"{name}\"]\n")?;
        if let Some(when) = when {
            writeln!(text, "when = {when}")?;
        }
    }
    text.parse::<Table>().context("the routing table of the test is not TOML")?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_reach_tables_and_list_entries() {
        let mut table: Table = "[a]\nb = 1\n[[feed]]\nname = 'x'".parse().unwrap();
        put(&mut table, "a.b", 2.into());
        put(&mut table, "feed.0.name", "y".into());
        put(&mut table, "c.d.e", true.into());
        let wanted: Table = "[a]\nb = 2\n[[feed]]\nname = 'y'\n[c.d]\ne = true".parse().unwrap();
        assert_eq!(table, wanted);
    }

    #[test]
    fn a_routing_table_is_made_of_targets() {
        let targets = [
            Target::new("a", "h:1").with("connections = 1"),
            Target::new("b", "h:2").when("{ critical = true }"),
        ];
        let table: Table = routes(&targets).unwrap().parse().unwrap();
        assert_eq!(table["target"][0]["connections"].as_integer(), Some(1));
        assert_eq!(table["rule"][1]["when"]["critical"].as_bool(), Some(true));
    }
}
