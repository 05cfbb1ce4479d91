//! A small MLLP client: one message, one answer.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
    },
};
use tokio_util::codec::Framed;
use waybill_hl7v2::mllp::{Inbound, MllpCodec};

use super::{Tls, answer::Answer};
use crate::{failure::Failure, files::Subject};

/// Longest answer.
const MAX_ANSWER: usize = 1 << 20;

trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

type Connection = Framed<Box<dyn Wire>, MllpCodec>;

/// One connection, made when it is needed and made again after it was lost.
pub(super) struct MllpClient {
    address: String,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    timeout: Duration,
    connection: Option<Connection>,
}

impl MllpClient {
    pub(super) fn new(address: &str, tls: &Tls, timeout: Duration) -> Result<Self, Failure> {
        let wrong = || Failure::Usage(format!("{address} is not of the form host:port"));
        let (host, port) = address.rsplit_once(':').ok_or_else(wrong)?;
        port.parse::<u16>().map_err(|_| wrong())?;
        let tls = match connector(tls)? {
            None => None,
            Some(connector) => {
                let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
                Some((connector, ServerName::try_from(host).map_err(|_| wrong())?))
            }
        };
        Ok(Self { address: address.to_owned(), tls, timeout, connection: None })
    }

    pub(super) async fn exchange(&mut self, subject: &Subject) -> Result<Answer, Failure> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let exchange = async {
            if connection.send(Bytes::copy_from_slice(&subject.bytes)).await.is_err() {
                return Err("the connection was lost while sending");
            }
            loop {
                return match connection.next().await {
                    Some(Ok(Inbound::Message(answer))) => Ok(answer),
                    // Line ends between frames, as some write them.
                    Some(Ok(Inbound::Garbage { .. })) => continue,
                    Some(Ok(_)) => Err("the answer is no MLLP frame"),
                    Some(Err(_)) => Err("the connection was lost before the answer"),
                    None => Err("the connection was closed without an answer"),
                };
            }
        };
        match timeout(self.timeout, exchange).await {
            Ok(Ok(answer)) => {
                self.connection = Some(connection);
                Ok(Answer::hl7(&subject.bytes, &answer))
            }
            Ok(Err(why)) => Ok(Answer::none(why)),
            Err(_) => Ok(Answer::none("no answer in time")),
        }
    }

    async fn connect(&self) -> Result<Connection, Failure> {
        let unavailable =
            |why: String| Failure::Unavailable(format!("{} does not answer: {why}", self.address));
        let connect = async {
            let stream = TcpStream::connect(&self.address).await.map_err(|error| error.kind().to_string())?;
            // One small message at a time: waiting for more to fill a packet would be waiting for ourselves.
            stream.set_nodelay(true).map_err(|error| error.kind().to_string())?;
            let Some((connector, name)) = &self.tls else { return Ok(Box::new(stream) as Box<dyn Wire>) };
            // Of a handshake the text says which alert or check it was.
            let stream = connector.connect(name.clone(), stream).await.map_err(|error| error.to_string())?;
            Ok(Box::new(stream) as Box<dyn Wire>)
        };
        match timeout(self.timeout, connect).await {
            Ok(Ok(stream)) => Ok(Framed::new(stream, MllpCodec::new(MAX_ANSWER))),
            Ok(Err(why)) => Err(unavailable(why)),
            Err(_) => Err(unavailable("no connection in time".to_owned())),
        }
    }
}

fn connector(tls: &Tls) -> Result<Option<TlsConnector>, Failure> {
    let Some(authority) = &tls.authority else { return Ok(None) };
    let wrong = |what: &str| Failure::Usage(format!("{what} cannot be used"));
    let certificates = |pem: &[u8], what: &str| {
        let list =
            CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>().map_err(|_| wrong(what))?;
        if list.is_empty() { Err(wrong(what)) } else { Ok(list) }
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(authority, "--tls-ca")? {
        roots.add(certificate).map_err(|_| wrong("--tls-ca"))?;
    }
    let builder = ClientConfig::builder().with_root_certificates(roots);
    let config = match &tls.identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| wrong("--key"))?;
            builder
                .with_client_auth_cert(certificates(certificate, "--cert")?, key)
                .map_err(|_| wrong("--cert with --key"))?
        }
    };
    Ok(Some(TlsConnector::from(Arc::new(config))))
}
