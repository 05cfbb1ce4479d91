//! A schema of its own for each test, on the real PostgreSQL.

use std::sync::atomic::{AtomicU32, Ordering};

use waybill_contracts::Timestamp;

use crate::{PostgresConfig, Store, StoreError};

/// Test schemas older than this were left by runs that were killed.
const STALE_MS: i64 = 3_600_000;

/// A schema that exists for one test.
pub struct TestSchema {
    /// Points into the schema.
    pub config: PostgresConfig,
}

impl TestSchema {
    /// A fresh schema in the database at `WAYBILL_POSTGRES__URL` or the local stack's.
    ///
    /// `None` when there is no database, with a word on standard error, except that under `CI` this panics: a test that
    /// did not run must not look like one that passed.
    ///
    /// # Panics
    ///
    /// Without a database, under `CI`.
    #[expect(clippy::print_stderr, clippy::panic, reason = "for tests only")]
    pub async fn create() -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let (process, number) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let schema = format!("test_{}_{process}_{number}", Timestamp::now().as_millis());
        let mut config = PostgresConfig::default().or_schema(&schema);
        if let Ok(url) = std::env::var("WAYBILL_POSTGRES__URL") {
            config.url = url;
        }
        match prepare(&config).await {
            Ok(()) => Some(Self { config }),
            Err(error) if std::env::var_os("CI").is_none() => {
                eprintln!("SKIPPED: needs PostgreSQL (make stack-up, or WAYBILL_POSTGRES__URL): {error}");
                None
            }
            Err(error) => panic!("needs PostgreSQL (make stack-up, or WAYBILL_POSTGRES__URL): {error}"),
        }
    }

    /// A store in the schema.
    ///
    /// # Panics
    ///
    /// Never: the configuration has connected already.
    #[expect(clippy::expect_used, reason = "for tests only")]
    pub fn store(&self) -> Store {
        Store::new(&self.config).expect("connected already")
    }

    /// Drops the schema.
    pub async fn drop(self) -> Result<(), StoreError> {
        let store = Store::new(&self.config)?;
        let mut connection = store.connection().await?;
        connection
            .client()?
            .batch_execute(&format!("DROP SCHEMA IF EXISTS {} CASCADE", store.schema()))
            .await?;
        connection.release();
        Ok(())
    }
}

async fn prepare(config: &PostgresConfig) -> Result<(), StoreError> {
    let store = Store::new(config)?;
    let mut connection = store.connection().await?;
    let client = connection.client()?;
    client.batch_execute(&format!("CREATE SCHEMA {}", store.schema())).await?;
    let before = Timestamp::now().as_millis() - STALE_MS;
    let stale = client
        .query(
            "SELECT nspname FROM pg_namespace
             WHERE nspname ~ '^test_[0-9]{13}_' AND split_part(nspname, '_', 2)::bigint < $1",
            &[&before],
        )
        .await?;
    for row in stale {
        let name: String = row.try_get(0)?;
        // Another run may be at it as well.
        let _ = client.batch_execute(&format!("DROP SCHEMA IF EXISTS {name} CASCADE")).await;
    }
    connection.release();
    Ok(())
}
