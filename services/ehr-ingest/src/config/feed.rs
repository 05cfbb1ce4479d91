//! Section `[[feed]]`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use waybill_hl7v2::Charset;
use waybill_runtime::{ConfigProblem, HumanDuration};

use super::{AckConfig, HttpConfig, MAX_MESSAGE_BYTES, Protocol, TlsConfig};
use crate::{feed::parse_utc_offset, profile::Profile};

/// One feed: section `[[feed]]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FeedConfig {
    /// Name; part of every message's id, so never change it.
    pub name: String,
    /// How messages come in.
    pub protocol: Protocol,
    /// Address of the listener.
    pub listen: String,
    /// Networks that may connect; empty: all.
    pub allow: Vec<String>,
    /// File with what this sender does differently, see [`crate::profile`].
    pub profile: Option<PathBuf>,
    /// See [`Feed::default_authority`](crate::feed::Feed::default_authority).
    pub default_authority: Option<String>,
    /// See [`Feed::charset`](crate::feed::Feed::charset).
    pub charset: Option<String>,
    /// See [`Feed::utc_offset`](crate::feed::Feed::utc_offset); `+01:00`.
    pub utc_offset: String,
    /// Largest message in bytes.
    pub max_frame_bytes: usize,
    /// Bytes that are no MLLP frame after which a connection is closed.
    pub max_garbage_bytes: usize,
    /// A connection without a byte for this long is closed.
    pub idle_timeout: HumanDuration,
    /// A message that has begun must have come in after this long.
    pub frame_timeout: HumanDuration,
    /// A message that is not stored after this long is answered with AR and 207.
    pub ack_timeout: HumanDuration,
    /// Connections at the same time.
    pub max_connections: usize,
    /// Messages of one connection that are worked on at the same time.
    pub max_pipelined: usize,
    /// Message ids that are remembered to recognise repeats.
    pub remember: usize,
    /// Which headers are acceptable.
    pub accept: AcceptConfig,
    /// How messages are answered.
    pub ack: AckConfig,
    /// Section `[feed.tls]`; absent: no TLS.
    pub tls: Option<TlsConfig>,
    /// Section `[feed.http]`, for `protocol = "http"`.
    pub http: HttpConfig,
}

/// Which headers are acceptable: section `[feed.accept]`. An empty list accepts anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AcceptConfig {
    /// MSH-12.1; refused with 203.
    pub versions: Vec<String>,
    /// MSH-11.1; refused with 202.
    pub processing_ids: Vec<String>,
    /// MSH-9 as `ADT` or `ADT^A01`; refused with 200 or 201.
    pub message_types: Vec<String>,
}

impl Default for FeedConfig {
    fn default() -> Self {
        Self {
            name: "default".to_owned(),
            protocol: Protocol::Mllp,
            listen: "127.0.0.1:2575".to_owned(),
            allow: Vec::new(),
            profile: None,
            default_authority: None,
            charset: None,
            utc_offset: "+00:00".to_owned(),
            max_frame_bytes: MAX_MESSAGE_BYTES,
            max_garbage_bytes: 64 * 1024,
            idle_timeout: HumanDuration::secs(3600),
            frame_timeout: HumanDuration::secs(60),
            ack_timeout: HumanDuration::secs(5),
            max_connections: 1000,
            max_pipelined: 64,
            remember: 100_000,
            accept: AcceptConfig::default(),
            ack: AckConfig::default(),
            tls: None,
            http: HttpConfig::default(),
        }
    }
}

impl FeedConfig {
    /// What is wrong with the feed at position `at` of the list.
    pub fn problems(&self, at: usize) -> Vec<ConfigProblem> {
        let mut problems = Vec::new();
        let mut check = |wrong: bool, key: &str, message: &str| {
            if wrong {
                problems.push(ConfigProblem::new(format!("feed.{at}.{key}"), message));
            }
        };
        let name_is_legal = |name: &str| {
            (1..=40).contains(&name.len())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        check(!name_is_legal(&self.name), "name", "has 1 to 40 letters, digits, '-' and '_'");
        check(self.listen.is_empty(), "listen", "is empty");
        let charset_is_known = self.charset.as_deref().is_none_or(|name| Charset::named(name).is_some());
        check(!charset_is_known, "charset", "is not a character set of HL7 table 0211 or a WHATWG label");
        check(parse_utc_offset(&self.utc_offset).is_none(), "utc_offset", "is not of the form +01:00");
        let size_is_legal = (1..=MAX_MESSAGE_BYTES).contains(&self.max_frame_bytes);
        check(!size_is_legal, "max_frame_bytes", "must be 1 to 16777216, the limit of the topics");
        check(self.max_garbage_bytes == 0, "max_garbage_bytes", "must be at least 1");
        check(self.max_connections == 0, "max_connections", "must be at least 1");
        check(self.max_pipelined == 0, "max_pipelined", "must be at least 1");
        for (key, value) in [
            ("idle_timeout", self.idle_timeout),
            ("frame_timeout", self.frame_timeout),
            ("ack_timeout", self.ack_timeout),
        ] {
            check(value.get().is_zero(), key, "must be longer than nothing");
        }
        problems.extend(self.door_problems(at));
        problems.extend(self.profile_problems(at));
        problems
    }

    /// What is wrong with the profile, and what it and this section both say.
    fn profile_problems(&self, at: usize) -> Vec<ConfigProblem> {
        let Some(file) = &self.profile else { return Vec::new() };
        match Profile::load(file) {
            Ok(profile) => profile
                .conflicts(self)
                .into_iter()
                .map(|key| ConfigProblem::new(format!("feed.{at}.{key}"), "is set in the profile as well"))
                .collect(),
            Err(errors) => errors
                .0
                .iter()
                .map(|problem| ConfigProblem::new(format!("feed.{at}.profile"), problem.to_string()))
                .collect(),
        }
    }
}
