//! Versioned changes to a schema.

use std::{fmt::Write as _, time::Duration};

use sha2::{Digest, Sha256};

use crate::{Store, StoreError};

/// Waiting for another replica that migrates, and the migration itself.
const LIMIT: Duration = Duration::from_mins(10);

/// One change of the schema. Once released it is never edited; a later one corrects it.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// From 1, without gaps.
    pub version: i32,
    /// What it does, for people.
    pub name: &'static str,
    /// Statements.
    pub sql: &'static str,
    /// Oldest schema version whose code still works after it: `1` for additions, its own version for what breaks the
    /// code before. That code then refuses to run instead of doing harm, and every other roll-back just works.
    pub compatible_from: i32,
}

impl Migration {
    fn checksum(&self) -> String {
        Sha256::digest(self.sql.as_bytes()).iter().fold(String::new(), |mut text, byte| {
            // Writing into a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

/// Brings the service's schema to the newest of `migrations`, and says which were applied.
///
/// All in one transaction under a lock of the schema, so that replicas may start together and none sees half.
pub async fn migrate(store: &Store, migrations: &[Migration]) -> Result<Vec<i32>, StoreError> {
    store.within(LIMIT, run(store, migrations)).await
}

async fn run(store: &Store, migrations: &[Migration]) -> Result<Vec<i32>, StoreError> {
    let schema = store.schema();
    let mut connection = store.connection().await?;
    let tx = connection.begin().await?;
    let limit = LIMIT.as_millis();
    tx.batch_execute(&format!("SET LOCAL statement_timeout = {limit}; SET LOCAL lock_timeout = {limit}"))
        .await?;
    tx.execute("SELECT pg_advisory_xact_lock(hashtextextended('waybill.migrate.' || $1, 0))", &[&schema])
        .await?;
    // CREATE SCHEMA IF NOT EXISTS wants the right to create one even where it exists.
    let exists = tx.query_opt("SELECT 1 FROM pg_namespace WHERE nspname = $1", &[&schema]).await?.is_some();
    if !exists {
        tx.batch_execute(&format!("CREATE SCHEMA {schema}")).await?;
    }
    tx.batch_execute(&format!(
        "CREATE TABLE IF NOT EXISTS {schema}.schema_migration (
             version integer PRIMARY KEY,
             name text NOT NULL,
             checksum text NOT NULL,
             compatible_from integer NOT NULL,
             applied_at timestamptz NOT NULL DEFAULT now()
         )"
    ))
    .await?;
    let newest = migrations.iter().map(|migration| migration.version).max().unwrap_or(0);
    let mut applied = Vec::new();
    for row in tx.query("SELECT version, checksum, compatible_from FROM schema_migration", &[]).await? {
        let (version, checksum, compatible_from): (i32, String, i32) = (row.get(0), row.get(1), row.get(2));
        if newest < compatible_from {
            return Err(StoreError::SchemaTooNew { found: version });
        }
        if migrations.iter().any(|known| known.version == version && known.checksum() != checksum) {
            return Err(StoreError::MigrationChanged { version });
        }
        applied.push(version);
    }
    let mut done = Vec::new();
    for migration in migrations.iter().filter(|migration| !applied.contains(&migration.version)) {
        tx.batch_execute(migration.sql).await?;
        tx.execute(
            "INSERT INTO schema_migration (version, name, checksum, compatible_from) VALUES ($1, $2, $3, $4)",
            &[&migration.version, &migration.name, &migration.checksum(), &migration.compatible_from],
        )
        .await?;
        tracing::info!(schema, version = migration.version, name = migration.name, "migrated");
        done.push(migration.version);
    }
    tx.commit().await?;
    connection.release();
    Ok(done)
}
