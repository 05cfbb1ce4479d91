//! Where the stack around the services is.

use std::{env, net::SocketAddr, time::Duration};

use anyhow::{Context as _, bail};
use tokio::net::TcpStream;

use crate::http;

/// Addresses of the stack, as `deploy/local/stack env` prints them.
#[derive(Clone, Debug)]
pub struct Stack {
    /// `host:port` of the broker.
    pub kafka: String,
    /// Base address of the registry's Confluent API.
    pub registry: String,
    /// PostgreSQL, with a role that may create databases.
    pub postgres: String,
    /// OTLP/gRPC; `None` where there is no Jaeger.
    pub otlp: Option<String>,
    /// Jaeger's HTTP address.
    pub jaeger: Option<String>,
}

impl Stack {
    /// From the environment; the stack's defaults where it says nothing. `WAYBILL_STACK_JAEGER=off`: no traces.
    pub fn from_env() -> Self {
        let text = |name: &str, default: &str| env::var(name).unwrap_or_else(|_| default.to_owned());
        let traced = env::var("WAYBILL_STACK_JAEGER").as_deref() != Ok("off");
        Self {
            kafka: text("WAYBILL_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:9092"),
            registry: text("WAYBILL_REGISTRY__URL", "http://127.0.0.1:8081/apis/ccompat/v7"),
            postgres: text("WAYBILL_POSTGRES__URL", "postgres://waybill:waybill@127.0.0.1:15432/waybill"),
            otlp: traced.then(|| text("WAYBILL_TELEMETRY__OTLP_ENDPOINT", "http://127.0.0.1:4317")),
            jaeger: traced.then(|| text("WAYBILL_JAEGER_URL", "http://127.0.0.1:16686")),
        }
    }

    /// The stack, when all of it answers.
    pub async fn reach(&self) -> anyhow::Result<()> {
        let mut missing = Vec::new();
        for (name, address) in [
            ("Kafka", Some(self.kafka.clone())),
            ("PostgreSQL", host_and_port(&self.postgres)),
            ("the schema registry", host_and_port(&self.registry)),
            ("Jaeger", self.jaeger.as_deref().and_then(host_and_port)),
        ] {
            let Some(address) = address else { continue };
            let connect = tokio::time::timeout(Duration::from_secs(3), TcpStream::connect(&address));
            if !matches!(connect.await, Ok(Ok(_))) {
                missing.push(format!("{name} at {address}"));
            }
        }
        if missing.is_empty() {
            http::get(&format!("{}/subjects", self.registry))
                .await
                .context("the schema registry does not serve")?;
            return Ok(());
        }
        bail!("not reachable: {}; run `make stack-up`", missing.join(", "))
    }

    /// The stack, or `None` with a message on stderr when nothing is there: the test returns.
    ///
    /// # Panics
    /// When `CI` is set: there, nothing may be skipped.
    pub async fn require() -> Option<Self> {
        let stack = Self::from_env();
        match stack.reach().await {
            Ok(()) => Some(stack),
            Err(missing) => skip(&format!("{missing:#}")),
        }
    }

    /// The broker's address.
    pub fn kafka_address(&self) -> anyhow::Result<SocketAddr> {
        self.kafka.parse().with_context(|| format!("{} is not address:port", self.kafka))
    }

    /// PostgreSQL's address.
    pub fn postgres_address(&self) -> anyhow::Result<SocketAddr> {
        address(&self.postgres)
    }

    /// The registry's address.
    pub fn registry_address(&self) -> anyhow::Result<SocketAddr> {
        address(&self.registry)
    }
}

/// Says why a test is skipped, or fails it in CI.
#[expect(clippy::print_stderr, reason = "the one place where tests are skipped, or failed for it")]
pub(crate) fn skip<T>(why: &str) -> Option<T> {
    let required = env::var_os("CI").is_some_and(|value| !value.is_empty());
    assert!(!required, "{why} (nothing is skipped while CI is set)");
    eprintln!("skipped: {why}");
    None
}

fn address(url: &str) -> anyhow::Result<SocketAddr> {
    host_and_port(url)
        .and_then(|text| text.parse().ok())
        .with_context(|| "the URL does not name address:port")
}

/// `host:port` of a URL with a port.
fn host_and_port(url: &str) -> Option<String> {
    let rest = url.split_once("://")?.1;
    let authority = rest.split(['/', '?']).next()?;
    let address = authority.rsplit_once('@').map_or(authority, |(_, address)| address);
    address.contains(':').then(|| address.to_owned())
}

#[cfg(test)]
mod tests {
    use super::host_and_port;

    #[test]
    fn addresses_are_found_in_urls() {
        for (url, wanted) in [
            ("http://127.0.0.1:8081/apis/ccompat/v7", Some("127.0.0.1:8081")),
            ("postgres://u:p@127.0.0.1:15432/waybill?sslmode=disable", Some("127.0.0.1:15432")),
            ("http://host/x", None),
            ("127.0.0.1:1", None),
        ] {
            assert_eq!(host_and_port(url).as_deref(), wanted, "{url}");
        }
    }
}
