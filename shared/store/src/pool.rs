//! Connections: few, bounded in time, and thrown away whenever one may be in an unknown state.

use std::{future::Future, time::Duration};

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime, Transaction};
use tokio_postgres::NoTls;
use waybill_delivery::Classify as _;
use waybill_telemetry::metrics::{self, Label, Metric};

use crate::{PostgresConfig, StoreError, config::DEFAULT_SCHEMA};

/// The database of one service. Cheap to clone; connects when it is used.
#[derive(Clone)]
pub struct Store {
    pool: Pool,
    schema: String,
    call_timeout: Duration,
}

impl Store {
    /// Reads the configuration; does not connect.
    pub fn new(config: &PostgresConfig) -> Result<Self, StoreError> {
        let manager = Manager::from_config(
            config.client()?,
            NoTls,
            ManagerConfig { recycling_method: RecyclingMethod::Fast },
        );
        let wait = Some(config.connect_timeout.get());
        let pool = Pool::builder(manager)
            .max_size(config.max_connections)
            .runtime(Runtime::Tokio1)
            .wait_timeout(wait)
            .create_timeout(wait)
            .recycle_timeout(wait)
            .build()
            .map_err(|error| StoreError::Unusable { what: error.to_string() })?;
        let schema = config.schema().unwrap_or(DEFAULT_SCHEMA).to_owned();
        let call_timeout = config.statement_timeout.get().saturating_mul(2);
        Ok(Self { pool, schema, call_timeout })
    }

    /// Schema of the service's tables.
    pub fn schema(&self) -> &str {
        &self.schema
    }

    /// A connection from the pool.
    pub async fn connection(&self) -> Result<Connection, StoreError> {
        Ok(Connection(Some(self.pool.get().await?)))
    }

    /// Bounds a whole call in time, whatever the network does, and counts its failure.
    ///
    /// A call that is cut off drops its [`Connection`], which closes it: a statement that may still run is never
    /// mistaken for the next one's.
    pub async fn bounded<T>(
        &self,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.within(self.call_timeout, call).await
    }

    /// The same with another bound, for what is known to take longer.
    pub async fn within<T>(
        &self,
        limit: Duration,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let result = tokio::time::timeout(limit, call).await.unwrap_or(Err(StoreError::Timeout));
        if let Err(error) = &result {
            metrics::count(Metric::StoreErrors, 1, &[Label::Class(error.class().as_str())]);
        }
        result
    }
}

/// A connection that goes back to the pool only by [`release`](Self::release); dropped, it is closed.
pub struct Connection(Option<Object>);

impl Connection {
    /// Begins a transaction; dropped without commit it is rolled back, and the connection closed with it.
    pub async fn begin(&mut self) -> Result<Transaction<'_>, StoreError> {
        Ok(self.object()?.transaction().await?)
    }

    /// For single statements.
    pub fn client(&mut self) -> Result<&mut deadpool_postgres::Client, StoreError> {
        self.object()
    }

    /// Everything sent on it has been answered, and no transaction is open: others may use it.
    pub fn release(mut self) {
        drop(self.0.take());
    }

    fn object(&mut self) -> Result<&mut Object, StoreError> {
        self.0.as_mut().ok_or_else(|| StoreError::Unavailable { what: "the connection is closed".to_owned() })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(object) = self.0.take() {
            drop(Object::take(object));
        }
    }
}
