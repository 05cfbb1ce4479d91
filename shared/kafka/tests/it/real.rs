//! The real broker; the tests inside the crate include this file too.

use std::{
    net::{TcpStream, ToSocketAddrs},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime},
};

use waybill_telemetry::HumanDuration;

use super::KafkaConfig;

/// A configuration for the real broker with a namespace of its own; `None`, said aloud, when there is no broker.
#[expect(clippy::disallowed_methods, reason = "a name that no other run has")]
pub(crate) fn real() -> Option<KafkaConfig> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let servers =
        std::env::var("WAYBILL_KAFKA__BOOTSTRAP_SERVERS").unwrap_or_else(|_| "127.0.0.1:9092".into());
    let address = servers.split(',').next().unwrap().to_socket_addrs().ok().and_then(|mut all| all.next());
    let answers = address.is_some_and(|at| TcpStream::connect_timeout(&at, Duration::from_secs(2)).is_ok());
    if !answers {
        assert!(std::env::var_os("CI").is_none(), "no broker at {servers}");
        eprintln!("skipped: no broker at {servers}");
        return None;
    }
    let nanos = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos();
    let namespace = format!("t{:x}-{}", nanos & 0xfff_ffff_ffff, COUNT.fetch_add(1, Ordering::Relaxed));
    let session_timeout = HumanDuration::secs(10);
    Some(KafkaConfig { bootstrap_servers: servers, namespace, session_timeout, ..KafkaConfig::default() })
}
