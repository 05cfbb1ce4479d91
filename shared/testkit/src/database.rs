//! A database of one installation.

use anyhow::Context as _;
use tokio_postgres::NoTls;

/// Creates the database.
pub(crate) async fn create(server: &str, name: &str) -> anyhow::Result<()> {
    run(server, &format!("CREATE DATABASE \"{name}\""))
        .await
        .with_context(|| format!("create database {name}"))
}

/// Drops it, whoever still uses it.
pub(crate) async fn drop_it(server: &str, name: &str) -> anyhow::Result<()> {
    run(server, &format!("DROP DATABASE IF EXISTS \"{name}\" WITH (FORCE)")).await
}

/// Names of the databases that begin so.
pub(crate) async fn named(server: &str, prefix: &str) -> anyhow::Result<Vec<String>> {
    let (client, connection) = tokio_postgres::connect(server, NoTls).await?;
    let connection = tokio::spawn(connection);
    let rows =
        client.query("SELECT datname FROM pg_database WHERE starts_with(datname, $1)", &[&prefix]).await?;
    drop(client);
    connection.await??;
    Ok(rows.iter().map(|row| row.get::<_, String>(0)).collect())
}

async fn run(server: &str, statement: &str) -> anyhow::Result<()> {
    let (client, connection) = tokio_postgres::connect(server, NoTls).await?;
    let connection = tokio::spawn(connection);
    client.batch_execute(statement).await?;
    drop(client);
    connection.await??;
    Ok(())
}

/// The server's URL with another database.
pub(crate) fn url(server: &str, database: &str) -> anyhow::Result<String> {
    let (base, options) =
        server.split_once('?').map_or((server, None), |(base, options)| (base, Some(options)));
    let after_scheme = base.find("://").context("the PostgreSQL URL has no scheme")? + 3;
    let base = base[after_scheme..].find('/').map_or(base, |slash| &base[..after_scheme + slash]);
    Ok(options.map_or_else(|| format!("{base}/{database}"), |options| format!("{base}/{database}?{options}")))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_database_is_replaced_and_the_rest_stays() {
        for (server, wanted) in [
            ("postgres://u:p@h:1/a", "postgres://u:p@h:1/b"),
            ("postgres://u:p@h:1", "postgres://u:p@h:1/b"),
            ("postgres://u:p@h:1/a?sslmode=disable", "postgres://u:p@h:1/b?sslmode=disable"),
        ] {
            assert_eq!(super::url(server, "b").unwrap(), wanted);
        }
    }
}
