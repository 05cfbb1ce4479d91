//! Who may come in by a feed's listener, and how much: sections `[feed.tls]`, `[feed.http]` and `[limits]`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use waybill_runtime::{ConfigProblem, HumanDuration};

use super::FeedConfig;
use crate::listen::{Network, Tokens};

/// How messages of a feed come in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// HL7 v2 over MLLP.
    #[default]
    Mllp,
    /// HL7 v2 and FHIR R4 over HTTP/1.1.
    Http,
}

/// Section `[feed.tls]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// Certificate chain of the listener, PEM, its own certificate first.
    pub cert_file: PathBuf,
    /// Private key, PEM (PKCS #8, PKCS #1 or SEC 1).
    pub key_file: PathBuf,
    /// Authorities of client certificates, PEM. When set, a client without a certificate of theirs is refused.
    pub client_ca_file: Option<PathBuf>,
    /// A handshake that has begun must be complete after this long.
    pub handshake_timeout: HumanDuration,
}

/// Section `[feed.http]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// What stands before `/hl7` and `/fhir`; tells feeds apart that share an address. Empty or `/name`.
    pub path: String,
    /// Largest body in bytes, before and after decompression.
    pub max_body_bytes: usize,
    /// Take requests without a token, and without a client certificate where none is demanded.
    pub anonymous: bool,
    /// Answer `GET /fhir/metadata` without a token.
    pub public_metadata: bool,
    /// Bearer tokens.
    pub tokens: Vec<TokenConfig>,
    /// File with more of them: a line has the name, white space, and the hash.
    pub tokens_file: Option<PathBuf>,
}

/// A bearer token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenConfig {
    /// Whose it is; stands in the log.
    pub name: String,
    /// SHA-256 of the token, hexadecimal.
    pub sha256: String,
}

/// Section `[limits]`: of the whole process.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Bytes of messages that have come in and are not answered, over all connections.
    pub max_buffered_bytes: usize,
}

impl Default for TlsConfig {
    fn default() -> Self {
        Self {
            cert_file: PathBuf::new(),
            key_file: PathBuf::new(),
            client_ca_file: None,
            handshake_timeout: HumanDuration::secs(10),
        }
    }
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            path: String::new(),
            max_body_bytes: 64 * 1024 * 1024,
            anonymous: false,
            public_metadata: false,
            tokens: Vec::new(),
            tokens_file: None,
        }
    }
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self { max_buffered_bytes: 512 * 1024 * 1024 }
    }
}

impl LimitsConfig {
    /// What is wrong with them, for these feeds. A message takes up to twice its bytes while it comes in: its buffer grows
    /// by doubling, and what is inflated is there beside what it was inflated from.
    pub(super) fn problems(&self, feeds: &[FeedConfig]) -> Option<ConfigProblem> {
        let needed = feeds.iter().map(FeedConfig::largest).max().unwrap_or(0).saturating_mul(2);
        let too_little = self.max_buffered_bytes < needed;
        too_little.then(|| {
            let message = format!("is less than twice the largest message that a feed takes ({needed})");
            ConfigProblem::new("limits.max_buffered_bytes", message)
        })
    }
}

impl FeedConfig {
    /// Most bytes that one message takes up while it comes in.
    fn largest(&self) -> usize {
        match self.protocol {
            Protocol::Mllp => self.max_frame_bytes,
            Protocol::Http => self.http.max_body_bytes,
        }
    }

    /// What is wrong with who may come in.
    pub(super) fn door_problems(&self, at: usize) -> Vec<ConfigProblem> {
        let mut problems = Vec::new();
        let mut check = |wrong: bool, key: &str, message: &str| {
            if wrong {
                problems.push(ConfigProblem::new(format!("feed.{at}.{key}"), message));
            }
        };
        for network in &self.allow {
            let is_wrong = network.parse::<Network>().is_err();
            check(
                is_wrong,
                "allow",
                "has an entry that is neither an address nor a network such as 10.0.0.0/8",
            );
        }
        if let Some(tls) = &self.tls {
            check(tls.cert_file.as_os_str().is_empty(), "tls.cert_file", "is not set");
            check(tls.key_file.as_os_str().is_empty(), "tls.key_file", "is not set");
            check(
                tls.handshake_timeout.get().is_zero(),
                "tls.handshake_timeout",
                "must be longer than nothing",
            );
        }
        let http = &self.http;
        check(http.max_body_bytes == 0, "http.max_body_bytes", "must be at least 1");
        let path_is_legal = http.path.is_empty()
            || http
                .path
                .strip_prefix('/')
                .is_some_and(|path| !path.is_empty() && path.split('/').all(is_path_part));
        check(!path_is_legal, "http.path", "is neither empty nor of the form /name");
        let is_http = self.protocol == Protocol::Http;
        check(!is_http && self.http != HttpConfig::default(), "http", "is for protocol = \"http\"");
        let who = Tokens::check(&http.tokens);
        check(
            who.is_err(),
            "http.tokens",
            "has an entry without a name or whose sha256 is not 64 hexadecimal digits",
        );
        let has_tokens = !http.tokens.is_empty() || http.tokens_file.is_some();
        check(
            is_http && !has_tokens && !self.demands_certificate() && !http.anonymous,
            "http",
            "says of nobody that he may come in: set tokens, tokens_file, tls.client_ca_file or anonymous = true",
        );
        check(has_tokens && http.anonymous, "http.anonymous", "makes the tokens useless");
        problems
    }

    /// Whether a client must show a certificate.
    pub(crate) fn demands_certificate(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.client_ca_file.is_some())
    }
}

fn is_path_part(part: &str) -> bool {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !part.is_empty() && part.bytes().all(is_legal) && part != "." && part != ".."
}

/// Two feeds at one address must both be HTTP, differ by path, and agree in what belongs to the connection.
pub(super) fn shared_address(earlier: &[FeedConfig], feed: &FeedConfig, at: usize) -> Vec<ConfigProblem> {
    let same_address = |other: &&FeedConfig| !feed.listen.is_empty() && other.listen == feed.listen;
    let problem = |key: &str, message: &str| ConfigProblem::new(format!("feed.{at}.{key}"), message);
    let mut problems = Vec::new();
    for other in earlier.iter().filter(same_address) {
        if feed.protocol == Protocol::Mllp || other.protocol == Protocol::Mllp {
            problems.push(problem("listen", "is another feed's address; only HTTP feeds can share one"));
        } else if feed.http.path == other.http.path {
            problems.push(problem("http.path", "is another feed's at the same address"));
        } else if feed.tls != other.tls || feed.allow != other.allow {
            problems.push(problem("listen", "is shared, so tls and allow must be the same in both feeds"));
        }
    }
    problems
}
