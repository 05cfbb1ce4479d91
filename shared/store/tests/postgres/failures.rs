use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use waybill_delivery::{Classify as _, ErrorClass};
use waybill_store::{PostgresConfig, Store, StoreError};
use waybill_telemetry::{HumanDuration, Secret};

use crate::schema;

fn at(address: &str) -> PostgresConfig {
    PostgresConfig {
        url: format!("postgresql://waybill@{address}/waybill"),
        connect_timeout: HumanDuration::millis(300),
        statement_timeout: HumanDuration::millis(300),
        ..PostgresConfig::default()
    }
}

async fn ask(store: &Store, statement: &str) -> Result<(), StoreError> {
    store
        .bounded(async {
            let mut connection = store.connection().await?;
            connection.client()?.batch_execute(statement).await?;
            connection.release();
            Ok(())
        })
        .await
}

async fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().to_string()
}

#[tokio::test]
async fn a_refused_connection_is_unavailable_at_once() {
    let store = Store::new(&at(&free_address().await)).unwrap();
    let error = ask(&store, "SELECT 1").await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unavailable, "{error}");
}

#[tokio::test]
async fn a_server_that_accepts_and_says_nothing_does_not_hang_anybody() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let store = Store::new(&at(&listener.local_addr().unwrap().to_string())).unwrap();
    let silent = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((socket, _)) = listener.accept().await {
            held.push(socket);
        }
    });
    let started = Instant::now();
    let error = ask(&store, "SELECT 1").await.unwrap_err();
    assert!(matches!(error, StoreError::Timeout), "{error}");
    assert!(started.elapsed() < Duration::from_secs(5));
    silent.abort();
}

#[tokio::test]
async fn a_wrong_password_is_a_matter_of_configuration_and_is_not_shown() {
    let schema = schema!();
    let config = PostgresConfig { password: Some(Secret::literal("hush".into())), ..schema.config.clone() };
    let Err(error) = ask(&Store::new(&config).unwrap(), "SELECT 1").await else {
        // A server that trusts local connections cannot show this.
        return schema.drop().await.unwrap();
    };
    assert_eq!(error.class(), ErrorClass::Configuration, "{error}");
    assert!(!format!("{error} {error:?}").contains("hush"));
    schema.drop().await.unwrap();
}

#[tokio::test]
async fn a_statement_that_runs_too_long_is_stopped_by_the_server_and_values_are_not_quoted() {
    let schema = schema!();
    let config = PostgresConfig { statement_timeout: HumanDuration::millis(200), ..schema.config.clone() };
    let store = Store::new(&config).unwrap();
    let error = ask(&store, "SELECT pg_sleep(30)").await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unavailable, "{error}");
    let error = ask(&schema.store(), "SELECT 'Thistlewane'::int").await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Defect);
    assert!(!format!("{error} {error:?}").contains("Thistlewane"), "{error:?}");
    schema.drop().await.unwrap();
}

#[tokio::test]
async fn a_killed_connection_is_unavailable_and_the_next_call_works() {
    let schema = schema!();
    let config = PostgresConfig { max_connections: 1, ..schema.config.clone() };
    let store = Store::new(&config).unwrap();
    ask(&store, "SELECT 1").await.unwrap();
    let error = ask(&store, "SELECT pg_terminate_backend(pg_backend_pid())").await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unavailable, "{error}");
    ask(&store, "SELECT 1").await.unwrap();
    schema.drop().await.unwrap();
}

/// The network swallows everything in the middle of a call: the caller is told in time, and the pool opens a fresh
/// connection instead of waiting on the dead one.
#[tokio::test]
async fn a_black_hole_in_flight_is_a_timeout_and_recovers() {
    let schema = schema!();
    let real = real_address(&schema.config);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let through = listener.local_addr().unwrap().to_string();
    let (stall, stalled) = tokio::sync::watch::channel(false);
    let target = real.clone();
    let proxy = tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let (real, mut stalled) = (target.clone(), stalled.clone());
            tokio::spawn(async move {
                let mut far = TcpStream::connect(real).await.unwrap();
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                    () = async { stalled.wait_for(|stalled| *stalled).await.map(drop).unwrap() } => {}
                }
                // Open, and silent for ever.
                std::future::pending::<()>().await;
            });
        }
    });
    let config = PostgresConfig {
        url: schema.config.url.replace(&real, &through),
        max_connections: 1,
        statement_timeout: HumanDuration::millis(300),
        ..schema.config.clone()
    };
    let store = Store::new(&config).unwrap();
    ask(&store, "SELECT 1").await.unwrap();
    stall.send(true).unwrap();
    let started = Instant::now();
    let error = ask(&store, "SELECT 1").await.unwrap_err();
    assert!(matches!(error, StoreError::Timeout), "{error}");
    assert!(started.elapsed() < Duration::from_secs(5));
    stall.send(false).unwrap();
    ask(&store, "SELECT 1").await.unwrap();
    proxy.abort();
    schema.drop().await.unwrap();
}

fn real_address(config: &PostgresConfig) -> String {
    let rest = config.url.split_once("://").unwrap().1;
    let authority = rest.split(['/', '?']).next().unwrap();
    authority.rsplit('@').next().unwrap().to_owned()
}
