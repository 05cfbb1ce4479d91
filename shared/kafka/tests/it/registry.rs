//! The registry's client: against the real one, and against answers that a real one gives on bad days only.

use std::{
    collections::VecDeque,
    net::{TcpStream, ToSocketAddrs},
    sync::Arc,
    time::Duration,
};

use axum::{Router, http::StatusCode, response::IntoResponse};
use parking_lot::Mutex;
use waybill_contracts::{Namespace, Record, delivery::Receipt, lab::LabResult};
use waybill_delivery::{Classify, ErrorClass};
use waybill_kafka::{Codec, CodecError, Registry, RegistryConfig, RegistryError, SchemaId};
use waybill_telemetry::HumanDuration;

use crate::support::{PATIENCE, real};

const ID: u32 = 7;

/// A registry that answers as told, and then with the schema.
struct Script {
    codec: Codec,
    asked: Arc<Mutex<u32>>,
}

async fn script(answers: &[(u16, &'static str)]) -> Script {
    let left: Arc<Mutex<VecDeque<_>>> = Arc::new(Mutex::new(answers.iter().copied().collect()));
    let asked = Arc::new(Mutex::new(0));
    let count = asked.clone();
    let schema = serde_json::json!({ "schema": Receipt::SCHEMA }).to_string();
    let app = Router::new().fallback(move || {
        *count.lock() += 1;
        let answer = left.lock().pop_front();
        let schema = schema.clone();
        async move {
            match answer {
                Some((status, body)) => (StatusCode::from_u16(status).unwrap(), body).into_response(),
                None => schema.into_response(),
            }
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let confirm_after = HumanDuration::millis(600);
    let config =
        RegistryConfig { url, confirm_after, timeout: HumanDuration::secs(2), ..RegistryConfig::default() };
    Script { codec: Codec::start(Arc::new(Registry::new(&config).unwrap())), asked }
}

async fn first(codec: &Codec) -> Result<(), RegistryError> {
    codec.reader(SchemaId(ID)).await.map(drop)
}

/// Repeats as a lane does, until it is not unavailable.
async fn repeated(codec: &Codec) -> Result<(), RegistryError> {
    let repeat = async {
        loop {
            match first(codec).await {
                Err(error) if error.class() == ErrorClass::Unavailable => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                other => return other,
            }
        }
    };
    tokio::time::timeout(PATIENCE, repeat).await.unwrap()
}

const ABSENT: (u16, &str) = (404, r#"{"error_code":40403,"message":"Schema not found"}"#);

#[tokio::test]
async fn a_bad_day_of_the_registry_is_never_remembered() {
    for status in [500, 502, 503, 504, 429] {
        let script = script(&[(status, "{}"), (status, "no json")]).await;
        let error = first(&script.codec).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Unavailable, "{status}: {error}");
        assert_eq!(repeated(&script.codec).await, Ok(()), "{status}");
        assert_eq!(*script.asked.lock(), 3);
        first(&script.codec).await.unwrap();
        assert_eq!(*script.asked.lock(), 3, "a schema that was had once is kept");
    }
}

#[tokio::test]
async fn an_unknown_id_is_data_only_when_it_is_confirmed() {
    let script = script(&[ABSENT; 100]).await;
    let error = first(&script.codec).await.unwrap_err();
    assert_eq!(error, RegistryError::Unconfirmed(SchemaId(ID)));
    assert_eq!(error.class(), ErrorClass::Unavailable);
    assert_eq!(repeated(&script.codec).await, Err(RegistryError::Unknown(SchemaId(ID))));
    assert!(*script.asked.lock() <= 5, "asked {} times", *script.asked.lock());
}

#[tokio::test]
async fn an_id_that_appears_late_is_found() {
    let script = script(&[ABSENT]).await;
    assert_eq!(repeated(&script.codec).await, Ok(()));
}

#[tokio::test]
async fn a_page_not_found_by_something_else_is_a_wrong_address() {
    for (status, body) in [(404, "<html>nginx</html>"), (401, "{}"), (403, "{}")] {
        let script = script(&[(status, body)]).await;
        assert_eq!(first(&script.codec).await.unwrap_err().class(), ErrorClass::Configuration, "{status}");
    }
}

#[tokio::test]
async fn a_hundred_lanes_ask_once() {
    let script = script(&[]).await;
    let lanes: Vec<_> = (0..100)
        .map(|_| {
            let codec = script.codec.clone();
            tokio::spawn(async move { first(&codec).await })
        })
        .collect();
    for lane in lanes {
        lane.await.unwrap().unwrap();
    }
    assert_eq!(*script.asked.lock(), 1);
}

#[tokio::test]
async fn a_value_that_is_not_ours_is_data() {
    let script = script(&[]).await;
    let framed = [0, 0, 0, 0, 7, 1, 2, 3];
    for value in [&b""[..], b"\x01\x00\x00\x00\x07", b"\x00\x00", b"{}", &framed] {
        let error = script.codec.decode::<Receipt>(value).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Data, "{value:?}: {error}");
    }
    let error = script.codec.decode::<LabResult>(&framed).await.unwrap_err();
    assert!(matches!(error, CodecError::OtherRecord { .. }), "{error}");
}

#[tokio::test]
async fn the_real_registry_registers_looks_up_and_refuses() {
    let url = std::env::var("WAYBILL_REGISTRY__URL").unwrap_or_else(|_| RegistryConfig::default().url);
    let authority = url.split('/').nth(2).unwrap().to_owned();
    let answers = authority.to_socket_addrs().ok().and_then(|mut all| all.next());
    let silent = answers.is_none_or(|at| TcpStream::connect_timeout(&at, Duration::from_secs(2)).is_err());
    if silent {
        assert!(std::env::var_os("CI").is_none(), "no registry at {url}");
        eprintln!("skipped: no registry at {url}");
        return;
    }
    // Only for a namespace that no other run has.
    let Some(kafka) = real() else { return };
    let topic = Namespace::new(&kafka.namespace).unwrap().topic(Receipt::TOPIC);
    let registry = Arc::new(Registry::new(&RegistryConfig { url, ..RegistryConfig::default() }).unwrap());
    let codec = Codec::start(registry.clone());
    let missing = codec.encoder::<Receipt>(&topic).await.unwrap_err();
    assert_eq!(missing, RegistryError::NotRegistered { subject: format!("{topic}-value") });
    assert_eq!(missing.class(), ErrorClass::Configuration);

    registry.check_compatible(&topic, Receipt::SCHEMA).await.unwrap();
    let id = registry.register(&topic, Receipt::SCHEMA).await.unwrap();
    registry.set_compatibility(Some(&topic), "FULL_TRANSITIVE").await.unwrap();
    assert_eq!(registry.register(&topic, Receipt::SCHEMA).await.unwrap(), id, "repeating it changes nothing");
    assert_eq!(codec.encoder::<Receipt>(&topic).await.unwrap().schema_id(), id);
    Codec::start(registry.clone()).reader(id).await.unwrap();

    let other = r#"{"type":"record","name":"Other","fields":[{"name":"x","type":"long"}]}"#;
    let refused = registry.check_compatible(&topic, other).await.unwrap_err();
    assert!(matches!(refused, RegistryError::Incompatible { .. }), "{refused}");
    let refused = registry.register(&topic, other).await.unwrap_err();
    assert!(matches!(refused, RegistryError::Incompatible { .. }), "{refused}");
    registry.delete_subjects(&kafka.namespace).await.unwrap();
}
