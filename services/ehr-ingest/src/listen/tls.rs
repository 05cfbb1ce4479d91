//! TLS of a listener: TLS 1.2 and 1.3, client certificates where the feed demands them.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use tokio::net::TcpStream;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        CertificateError, Error, RootCertStore, ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
        server::WebPkiClientVerifier,
        version::{TLS12, TLS13},
    },
    server::TlsStream,
};

use super::watched::Watched;
use crate::config::{Protocol, TlsConfig};

/// Name of HTTP/1.1 in TLS (RFC 7301 §6).
const HTTP_1_1: &[u8] = b"http/1.1";

/// A listener's side of TLS.
pub(crate) struct Tls {
    acceptor: Watched<TlsAcceptor>,
    handshake_timeout: Duration,
}

/// Why there is no TLS connection; the text is a metric's label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The handshake took too long.
    Timeout,
    /// The client's certificate is no longer, or not yet, valid.
    Expired,
    /// The client's certificate is not of an authority of the feed, or is revoked.
    Untrusted,
    /// The client has no certificate.
    Missing,
    /// The client's certificate cannot be used for another reason.
    Invalid,
    /// The client refuses the listener's certificate.
    Alert,
    /// The client's versions or cipher suites are too old.
    Incompatible,
    /// No TLS.
    NoTls,
    /// The client is gone.
    Gone,
}

impl Refusal {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "tls_timeout",
            Self::Expired => "certificate_expired",
            Self::Untrusted => "certificate_untrusted",
            Self::Missing => "certificate_missing",
            Self::Invalid => "certificate_invalid",
            Self::Alert => "refused_by_client",
            Self::Incompatible => "tls_incompatible",
            Self::NoTls => "no_tls",
            Self::Gone => "gone",
        }
    }

    fn of(error: &io::Error) -> Self {
        let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
            return Self::Gone;
        };
        match error {
            Error::NoCertificatesPresented => Self::Missing,
            Error::InvalidCertificate(error) => match error {
                CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. } => Self::Expired,
                CertificateError::UnknownIssuer | CertificateError::Revoked => Self::Untrusted,
                _ => Self::Invalid,
            },
            Error::AlertReceived(_) => Self::Alert,
            Error::PeerIncompatible(_) => Self::Incompatible,
            _ => Self::NoTls,
        }
    }
}

impl Tls {
    /// Reads certificates and keys, now and again when the files change.
    pub(crate) fn open(feed: &str, settings: &TlsConfig, protocol: Protocol) -> anyhow::Result<Self> {
        let files = [&settings.cert_file, &settings.key_file].into_iter().chain(&settings.client_ca_file);
        let (files, what) = (files.cloned().collect::<Vec<PathBuf>>(), format!("TLS of feed {feed}"));
        let load = {
            let (settings, what) = (settings.clone(), what.clone());
            move || load(&settings, protocol).with_context(|| what.clone())
        };
        let acceptor = Watched::open(what, files, load)?;
        Ok(Self { acceptor, handshake_timeout: settings.handshake_timeout.get() })
    }

    /// Shakes hands.
    pub(crate) async fn accept(&self, stream: TcpStream) -> Result<TlsStream<TcpStream>, Refusal> {
        let handshake = self.acceptor.get(Instant::now()).accept(stream);
        match tokio::time::timeout(self.handshake_timeout, handshake).await {
            Err(_) => Err(Refusal::Timeout),
            Ok(shaken) => shaken.map_err(|error| Refusal::of(&error)),
        }
    }
}

fn load(settings: &TlsConfig, protocol: Protocol) -> anyhow::Result<TlsAcceptor> {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&TLS13, &TLS12])
        .context("TLS 1.2 and 1.3")?;
    let builder = match &settings.client_ca_file {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(file)? {
                roots.add(certificate).with_context(|| format!("{}", file.display()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.with_context(|| format!("{}", file.display()))?)
        }
    };
    let key_file = &settings.key_file;
    let key = PrivateKeyDer::from_pem_file(key_file)
        .with_context(|| format!("cannot read a private key from {}", key_file.display()))?;
    let mut config = builder
        .with_single_cert(certificates(&settings.cert_file)?, key)
        .with_context(|| format!("{} and {}", settings.cert_file.display(), key_file.display()))?;
    if protocol == Protocol::Http {
        config.alpn_protocols = vec![HTTP_1_1.to_vec()];
    }
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn certificates(file: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let unreadable = || format!("cannot read certificates from {}", file.display());
    let certificates = CertificateDer::pem_file_iter(file)
        .with_context(unreadable)?
        .collect::<Result<Vec<_>, _>>()
        .with_context(unreadable)?;
    ensure!(!certificates.is_empty(), "{} holds no certificate", file.display());
    Ok(certificates)
}
