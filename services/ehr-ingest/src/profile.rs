//! Feed profiles: what one sender does differently, as data (architecture §9).
//!
//! A profile is a TOML file and the CSV tables that it names. It is read and checked once, at start; a message is then
//! rewritten by it before it is mapped, so that the mapping sees what a sender that keeps to the standard would have sent.
//! What is stored stays byte for byte what came in. Rules are applied in this order, each kind in the order of the file:
//!
//! 1. `[[copy]]` and `[[move]]`: a value stands somewhere else, in a Z segment for example.
//! 2. `[[default]]`: a value that is never sent.
//! 3. `[[authority]]`: several names of one assigning authority become one, so that a patient has one key.
//! 4. `[[translate]]`: site codes become standard ones, beside the site's own or in place of them.
//! 5. `[[drop]]`: a field that must not get into the events, with the reason.
//!
//! `default_authority`, `charset`, `utc_offset`, `[accept]` and `[ack]` are keys of `[[feed]]` under the same names: an analyst
//! who connects a sender writes them here, next to the rules that they belong to, and the section `[[feed]]` keeps what the
//! operator decides (addresses, limits, certificates). A feed without a profile has them there. Each key stands in one of
//! the two; both is an error at start.

mod authority;
mod compile;
mod element;
mod file;
mod rewrite;
mod table;

use std::{
    borrow::Cow,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use sha2::{Digest, Sha256};
use waybill_hl7v2::{Message, Path as Place};

use self::{authority::Authorities, table::Table};
use crate::config::{AcceptConfig, AckConfig, FeedConfig};

/// A profile that was found to be without faults.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Name, in [`crate::feed::Feed::profile`].
    pub name: String,
    /// Of the profile and of every table that it names: changes with their content only.
    pub sha256: [u8; 32],
    /// See [`crate::feed::Feed::default_authority`].
    pub default_authority: Option<String>,
    /// See [`crate::feed::Feed::charset`].
    pub charset: Option<String>,
    /// See [`crate::feed::Feed::utc_offset`].
    pub utc_offset: Option<String>,
    /// See [`crate::feed::Feed::accept`].
    pub accept: Option<AcceptConfig>,
    /// See [`crate::feed::Feed::ack`].
    pub ack: Option<AckConfig>,
    authorities: Authorities,
    rules: Vec<Rule>,
    elements: Vec<ElementRule>,
    dropped: Vec<Dropped>,
}

/// A field that is deliberately not mapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// The field, or the component of a field.
    pub place: Place,
    /// Why.
    pub reason: String,
}

/// A code of a message that a table of the profile does not have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Untranslated {
    /// Field or element by the profile.
    pub place: String,
    /// The code. It is the sender's content: for the analyst's own screen, not for a log.
    pub code: String,
}

/// What one rule does to HL7 v2 messages.
#[derive(Clone, Debug)]
struct Rule {
    target: Place,
    when: Vec<MessageType>,
    action: Action,
}

#[derive(Clone, Debug)]
enum Action {
    /// Takes the value of another place; removes it there when `moves`.
    Take { from: Place, moves: bool, overwrite: bool },
    /// A fixed value.
    Set { value: String, overwrite: bool },
    /// A code by a table.
    Translate { table: Arc<Table>, mode: Mode },
    /// Empties the field.
    Drop,
}

/// What one translation does to FHIR resources.
#[derive(Clone, Debug)]
struct ElementRule {
    resource: String,
    path: Vec<String>,
    table: Arc<Table>,
    mode: Mode,
}

/// What a translation leaves of the sender's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    /// A further coding beside it.
    Add,
    /// Nothing.
    Replace,
}

/// MSH-9 as `ADT` or `ADT^A01`.
#[derive(Clone, Debug)]
struct MessageType {
    code: String,
    trigger: Option<String>,
}

/// One thing wrong with a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileProblem {
    /// The profile, or a table of it.
    pub file: PathBuf,
    /// From 1; `None` when it is about the whole file.
    pub line: Option<usize>,
    /// What.
    pub message: String,
}

/// Everything that is wrong with a profile. Class `configuration`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct ProfileErrors(pub Vec<ProfileProblem>);

impl fmt::Display for ProfileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        write!(f, " {}", self.message)
    }
}

impl Profile {
    /// Reads the profile in `file` and its tables, whose paths are relative to it.
    ///
    /// # Errors
    /// All that is wrong, by file and line.
    pub fn load(file: &Path) -> Result<Self, ProfileErrors> {
        compile::load(file)
    }

    /// The settings of a feed with this profile's keys in their place.
    pub fn settings(&self, config: &FeedConfig) -> FeedConfig {
        let mut config = config.clone();
        if let Some(accept) = &self.accept {
            config.accept = accept.clone();
        }
        if let Some(ack) = self.ack {
            config.ack = ack;
        }
        if let Some(offset) = &self.utc_offset {
            config.utc_offset.clone_from(offset);
        }
        config.charset = self.charset.clone().or(config.charset);
        config.default_authority = self.default_authority.clone().or(config.default_authority);
        config
    }

    /// Keys that stand in the feed's section although the profile has them.
    pub fn conflicts(&self, config: &FeedConfig) -> Vec<&'static str> {
        let plain = FeedConfig::default();
        let conflicts = [
            ("default_authority", self.default_authority.is_some() && config.default_authority.is_some()),
            ("charset", self.charset.is_some() && config.charset.is_some()),
            ("utc_offset", self.utc_offset.is_some() && config.utc_offset != plain.utc_offset),
            ("accept", self.accept.is_some() && config.accept != plain.accept),
            ("ack", self.ack.is_some() && config.ack != plain.ack),
        ];
        conflicts.into_iter().filter(|(_, both)| *both).map(|(key, _)| key).collect()
    }

    /// What `message` would have been from a sender that keeps to the standard; `None` when no rule changes it. Segments
    /// keep their number and order.
    pub fn rewrite_v2(
        &self,
        message: &Message<'_>,
        charset: Option<waybill_hl7v2::Charset>,
    ) -> Option<Vec<u8>> {
        rewrite::rewrite(self, message, charset, &mut Vec::new())
    }

    /// The same for a FHIR resource in JSON: identifier systems and codes. `None` when nothing changes, or when the bytes
    /// are no JSON, which is for the reader of resources to refuse.
    pub fn rewrite_fhir(&self, json: &[u8]) -> Option<Vec<u8>> {
        element::rewrite(self, json, &mut Vec::new())
    }

    /// Codes of an HL7 v2 message that no table has although its field is translated.
    pub fn untranslated_v2(
        &self,
        message: &Message<'_>,
        charset: Option<waybill_hl7v2::Charset>,
    ) -> Vec<Untranslated> {
        let mut missing = Vec::new();
        rewrite::rewrite(self, message, charset, &mut missing);
        missing
    }

    /// The same for a FHIR resource.
    pub fn untranslated_fhir(&self, json: &[u8]) -> Vec<Untranslated> {
        let mut missing = Vec::new();
        element::rewrite(self, json, &mut missing);
        missing
    }

    /// The one name of an assigning authority that has several.
    pub fn authority<'a>(&'a self, name: &'a str) -> &'a str {
        self.authorities.canonical(name).unwrap_or(name)
    }

    /// What is deliberately not mapped.
    pub fn dropped(&self) -> &[Dropped] {
        &self.dropped
    }
}

impl MessageType {
    fn covers(&self, message: &Message<'_>) -> bool {
        let header = message.header();
        self.code.as_bytes() == header.message_code()
            && self.trigger.as_ref().is_none_or(|trigger| trigger.as_bytes() == header.trigger_event())
    }
}

/// Hash over whole files: each with its length, so that bytes cannot wander from one to the other unnoticed.
#[derive(Default)]
struct ContentHash(Sha256);

impl ContentHash {
    fn add(&mut self, content: &[u8]) {
        self.0.update((content.len() as u64).to_be_bytes());
        self.0.update(content);
    }

    fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

/// The text that an authority, written as in events, has where an HD is sent: namespace, universal id, its type.
fn as_hd(authority: &str) -> [Cow<'_, str>; 3] {
    let universal = |id: &str, kind: &'static str| ["".into(), id.to_owned().into(), kind.into()];
    if let Some(oid) = authority.strip_prefix("urn:oid:") {
        universal(oid, "ISO")
    } else if let Some(uuid) = authority.strip_prefix("urn:uuid:") {
        universal(uuid, "UUID")
    } else if authority.contains("://") {
        universal(authority, "URI")
    } else {
        [authority.into(), "".into(), "".into()]
    }
}
