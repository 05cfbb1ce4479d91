//! TLS, client certificates and address lists on real sockets: who gets in, and what becomes of who does not.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail by panicking")]

#[path = "support/certificates.rs"]
mod certificates;
#[path = "support/harness.rs"]
#[expect(dead_code, reason = "other tests look closer at what is answered")]
mod harness;

use std::sync::Arc;

use certificates::{Authority, Pair};
use harness::{Door, SOON, bodies, framed, message};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
        version::{TLS12, TLS13},
    },
};
use toml::Table;
use waybill_testkit::{eventually, pending};

const REFUSED: &str = "waybill_connections_refused_total";

/// `[feed.tls]` with a listener's certificate of `authority`.
fn tls(authority: &Authority) -> Table {
    let (cert, key) = authority.files(&authority.server());
    let text = |path: std::path::PathBuf| toml::Value::from(path.to_str().unwrap());
    Table::from_iter([("cert_file".to_owned(), text(cert)), ("key_file".to_owned(), text(key))])
}

fn with_client_ca(mut tls: Table, clients: &Authority) -> Table {
    tls.insert("client_ca_file".to_owned(), clients.file().to_str().unwrap().into());
    tls
}

/// A sender's side of TLS.
fn connector(trusted: &Authority, client: Option<&Pair>, is_12: bool) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trusted.pem().as_bytes()).unwrap()).unwrap();
    let version = if is_12 { &TLS12 } else { &TLS13 };
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots);
    let config = match client {
        None => builder.with_no_client_auth(),
        Some(pair) => {
            let chain = vec![CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap()];
            let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    };
    TlsConnector::from(Arc::new(config))
}

/// Sends a message over TLS; the answer, or nothing when there is no connection.
async fn exchange(door: &Door, connector: &TlsConnector, bytes: &[u8]) -> Option<Vec<u8>> {
    let attempt = async {
        let stream = TcpStream::connect(door.mllp).await.unwrap();
        let mut stream: TlsStream<_> =
            connector.connect(ServerName::try_from("localhost").unwrap(), stream).await.ok()?;
        stream.write_all(&framed(bytes)).await.ok()?;
        let (mut answer, mut chunk) = (Vec::new(), [0; 4096]);
        while !answer.ends_with(b"\x1c\r") {
            match stream.read(&mut chunk).await {
                Ok(0) | Err(_) => return None,
                Ok(read) => answer.extend_from_slice(&chunk[..read]),
            }
        }
        stream.shutdown().await.unwrap();
        Some(answer)
    };
    tokio::time::timeout(SOON, attempt).await.expect("neither an answer nor an end")
}

async fn is_refused(door: &Door, reason: &str) {
    let label = format!("reason=\"{reason}\"");
    let counted = eventually("the refusal is counted", SOON, async || {
        let count = door.metric(REFUSED, &label).await;
        if count > 0.0 { Ok(()) } else { pending(format!("no {reason}")) }
    });
    assert!(counted.await.is_ok(), "{reason}\n{}", door.log());
}

#[tokio::test]
async fn messages_come_in_over_tls_and_not_beside_it() {
    let Some(door) = Door::prepare("tls").await else { return };
    let authority = Authority::new("listeners");
    let mut settings = tls(&authority);
    settings.insert("handshake_timeout".to_owned(), "500ms".into());
    let door = door.set("feed.tls", settings).start();
    door.ready().await;
    for (number, is_12) in [(1, true), (2, false)] {
        let (id, connector) = (format!("T{number}"), connector(&authority, None, is_12));
        let bytes = message("ADT^A01", &id);
        let answer = exchange(&door, &connector, &bytes).await.expect("an answer");
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.contains(&format!("MSA|AA|{id}\r")), "{answer}");
        assert_eq!(bodies(&door.records().await)[&id], [bytes]);
    }
    // The message of a sender that knows no TLS is neither answered nor stored.
    let mut plain = door.connect().await;
    plain.write(&framed(&message("ADT^A01", "PLAIN"))).await;
    assert!(plain.frame().await.is_none());
    is_refused(&door, "no_tls").await;
    // A sender that says nothing does not keep its place.
    let mut silent = door.connect().await;
    assert!(silent.frame().await.is_none());
    is_refused(&door, "tls_timeout").await;
    // Nor does one that does not trust the listener.
    let stranger = connector(&Authority::new("others"), None, false);
    assert!(exchange(&door, &stranger, &message("ADT^A01", "STRANGER")).await.is_none());
    is_refused(&door, "refused_by_client").await;
    assert_eq!(bodies(&door.records().await).len(), 2);
    door.close().await;
}

#[tokio::test]
async fn a_client_needs_a_valid_certificate_of_the_right_authority() {
    let Some(door) = Door::prepare("mtls").await else { return };
    let (listeners, clients, others) =
        (Authority::new("listeners"), Authority::new("clients"), Authority::new("others"));
    let door = door.set("feed.tls", with_client_ca(tls(&listeners), &clients)).start();
    door.ready().await;
    let good = clients.client();
    let expired = clients.expired_client();
    let foreign = others.client();
    // A certificate of a listener is none of a client (RFC 5280 §4.2.1.12).
    let misused = clients.server();
    for is_12 in [false, true] {
        let id = format!("C{}", u8::from(is_12));
        let bytes = message("ADT^A01", &id);
        assert!(
            exchange(&door, &connector(&listeners, Some(&good), is_12), &bytes).await.is_some(),
            "{}",
            door.log()
        );
        for (client, reason) in [
            (None, "certificate_missing"),
            (Some(&expired), "certificate_expired"),
            (Some(&foreign), "certificate_untrusted"),
            (Some(&misused), "certificate_invalid"),
        ] {
            let connector = connector(&listeners, client, is_12);
            assert!(exchange(&door, &connector, &message("ADT^A01", reason)).await.is_none(), "{reason}");
            is_refused(&door, reason).await;
        }
    }
    assert_eq!(bodies(&door.records().await).len(), 2, "nothing of the refused is stored");
    let log = door.log();
    let line = log.lines().find(|line| line.contains("a connection was refused")).unwrap_or_default();
    assert!(line.contains("certificate_"), "the log says why: {log}");
    door.close().await;
}

#[tokio::test]
async fn requests_over_https_need_certificate_and_token_where_both_are_set() {
    let Some(door) = Door::prepare("https").await else { return };
    let (listeners, clients) = (Authority::new("listeners"), Authority::new("clients"));
    // SHA-256 of `secret`.
    let http = "tokens = [{ name = 'ehr', sha256 = '2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b' }]";
    let door = door
        .set("feed.protocol", "http")
        .set("feed.http", http.parse::<Table>().unwrap())
        .set("feed.tls", with_client_ca(tls(&listeners), &clients))
        .start();
    door.ready().await;
    // OpenSSL on this side: another implementation than the listener's.
    let client = |pair: Option<Pair>| {
        let root = reqwest::Certificate::from_pem(listeners.pem().as_bytes()).unwrap();
        let builder = reqwest::Client::builder().no_proxy().timeout(SOON).tls_certs_only([root]);
        let identity = |pair: Pair| {
            reqwest::Identity::from_pkcs8_pem(pair.certificate.as_bytes(), pair.key.as_bytes()).unwrap()
        };
        pair.into_iter().fold(builder, |builder, pair| builder.identity(identity(pair))).build().unwrap()
    };
    let url = format!("https://localhost:{}/hl7", door.mllp.port());
    let post = |client: reqwest::Client, token: Option<&str>, id: &str| {
        let request = client.post(&url).header("content-type", "x-application/hl7-v2+er7");
        let request = token.into_iter().fold(request, reqwest::RequestBuilder::bearer_auth);
        request.body(message("ADT^A01", id)).send()
    };
    let good = post(client(Some(clients.client())), Some("secret"), "H1").await.unwrap();
    assert_eq!(good.status(), 200);
    assert!(good.text().await.unwrap().contains("MSA|AA|H1"));
    assert_eq!(post(client(Some(clients.client())), None, "H2").await.unwrap().status(), 401);
    assert!(post(client(None), Some("secret"), "H3").await.is_err());
    assert!(post(client(Some(clients.expired_client())), Some("secret"), "H4").await.is_err());
    is_refused(&door, "certificate_missing").await;
    is_refused(&door, "certificate_expired").await;
    assert_eq!(bodies(&door.records().await).into_keys().collect::<Vec<_>>(), ["H1"]);
    door.close().await;
}

#[tokio::test]
async fn only_listed_networks_may_connect() {
    let Some(door) = Door::prepare("allow").await else { return };
    let door = door.set("feed.allow", vec!["10.0.0.0/8", "2001:db8::/32"]).start();
    door.ready().await;
    let mut outside = door.connect().await;
    assert!(outside.frame().await.is_none());
    is_refused(&door, "address").await;
    door.close().await;

    let Some(door) = Door::prepare("allowed").await else { return };
    let door = door.set("feed.allow", vec!["10.0.0.0/8", "127.0.0.1"]).start();
    door.ready().await;
    door.connect().await.exchange(&message("ADT^A01", "A1")).await.is("AA", "A1", None);
    door.close().await;
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_shows_at_the_start() {
    let Some(door) = Door::prepare("tls-start").await else { return };
    let (authority, other) = (Authority::new("listeners"), Authority::new("others"));
    let mut settings = tls(&authority);
    // The key of another certificate.
    let (_, key) = other.files(&other.server());
    settings.insert("key_file".to_owned(), key.to_str().unwrap().into());
    let mut door = door.set("feed.tls", settings).start();
    assert_eq!(door.ended().await, Some(1), "{}", door.log());
    assert!(door.log().contains("TLS of feed door"), "{}", door.log());
    door.close().await;
}
