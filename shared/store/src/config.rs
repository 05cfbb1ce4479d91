//! The `[postgres]` section.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio_postgres::config::SslMode;
use waybill_telemetry::{HumanDuration, Secret};

use crate::StoreError;

/// PostgreSQL's own.
pub(crate) const DEFAULT_SCHEMA: &str = "public";

/// Where the database is, and how long to wait for it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PostgresConfig {
    /// `postgresql://user@host:port/database`; several hosts may be named, separated by commas. It is shown where the
    /// configuration is shown: a real password belongs into `password`.
    pub url: String,
    /// Password of the user; wins over one in the URL.
    pub password: Option<Secret>,
    /// Schema that holds this service's tables; made when it is not there. Absent: the service's own name for it.
    pub schema: Option<String>,
    /// Connections at most.
    pub max_connections: usize,
    /// How long a connection may take to open, and a caller may wait for a free one.
    pub connect_timeout: HumanDuration,
    /// How long a statement may run; the whole of a call may take twice that.
    pub statement_timeout: HumanDuration,
}

impl Default for PostgresConfig {
    fn default() -> Self {
        Self {
            url: "postgresql://waybill:waybill@127.0.0.1:15432/waybill".to_owned(),
            password: None,
            schema: None,
            max_connections: 8,
            connect_timeout: HumanDuration::secs(5),
            statement_timeout: HumanDuration::secs(15),
        }
    }
}

impl PostgresConfig {
    /// With the service's own schema, unless another one is configured.
    #[must_use]
    pub fn or_schema(&self, schema: &str) -> Self {
        Self { schema: Some(self.schema().unwrap_or(schema).to_owned()), ..self.clone() }
    }

    pub(crate) fn schema(&self) -> Option<&str> {
        self.schema.as_deref()
    }

    /// What is wrong with it: key within the section, and what.
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        if self.url.parse::<tokio_postgres::Config>().is_err() {
            problems.push(("url", "is not a PostgreSQL connection URL".to_owned()));
        }
        if self.schema().is_some_and(|name| !is_schema_name(name)) {
            problems
                .push(("schema", "holds something else than lower-case letters, digits and _".to_owned()));
        }
        if self.max_connections == 0 {
            problems.push(("max_connections", "is zero".to_owned()));
        }
        problems
    }

    pub(crate) fn client(&self) -> Result<tokio_postgres::Config, StoreError> {
        let unusable = |what: &str| StoreError::Unusable { what: what.to_owned() };
        // The parser's error could quote a password.
        let mut client: tokio_postgres::Config =
            self.url.parse().map_err(|_| unusable("postgres.url is not a connection URL"))?;
        let schema = self.schema().unwrap_or(DEFAULT_SCHEMA);
        if !is_schema_name(schema) {
            return Err(unusable("postgres.schema is not a plain name"));
        }
        if client.get_ssl_mode() == SslMode::Require {
            return Err(unusable("postgres.url asks for TLS, which this build does not speak"));
        }
        if let Some(password) = &self.password {
            client.password(password.expose());
        }
        let statement = self.statement_timeout.as_millis();
        client
            .ssl_mode(SslMode::Disable)
            .application_name(concat!("waybill/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(self.connect_timeout.get())
            // A peer that vanished without a word is noticed by the kernel as well.
            .keepalives(true)
            .keepalives_idle(Duration::from_secs(15))
            .keepalives_interval(Duration::from_secs(5))
            .keepalives_retries(3)
            .tcp_user_timeout(Duration::from_secs(30))
            .options(format!(
                "-c search_path={schema} -c statement_timeout={statement} -c lock_timeout={statement} \
                 -c idle_in_transaction_session_timeout=60000 -c timezone=UTC"
            ));
        Ok(client)
    }
}

/// It is put into statements and options, so it must need no quotes.
fn is_schema_name(name: &str) -> bool {
    name.len() <= 63
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_usable_and_what_is_wrong_is_named() {
        assert!(PostgresConfig::default().problems().is_empty());
        assert!(PostgresConfig::default().client().is_ok());
        let wrong = PostgresConfig {
            url: "mysql://x".into(),
            schema: Some("a;drop".into()),
            max_connections: 0,
            ..PostgresConfig::default()
        };
        let keys: Vec<&str> = wrong.problems().iter().map(|(key, _)| *key).collect();
        assert_eq!(keys, ["url", "schema", "max_connections"]);
    }

    #[test]
    fn the_password_shows_nowhere() {
        let config =
            PostgresConfig { password: Some(Secret::literal("hush".into())), ..PostgresConfig::default() };
        assert!(!format!("{config:?}").contains("hush"));
    }
}
