//! A request's body as entries that are slices of the received bytes.
//!
//! Only the entries' frames are held: a resource is read when it is needed and dropped again. A bundle of 30 MB takes
//! about 300 bytes per entry more than its own bytes.

use std::{borrow::Cow, collections::HashMap};

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::{
    date::DateTime,
    issue::{Issue, IssueCode, Severity},
    json::{self, Text, only_objects},
    reference::{Target, without_version},
    types::{Identifier, Texts},
};

/// Entries of one Bundle.
pub const MAX_ENTRIES: usize = 100_000;

/// `Bundle.type`, or a single resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// All or nothing.
    Transaction,
    /// Each entry for itself.
    Batch,
    /// A MessageHeader and what it brings.
    Message,
    /// Resources together.
    Collection,
    /// No Bundle.
    Single,
}

/// A body that can be read: a Bundle, or a single resource as its only entry.
#[derive(Debug)]
pub struct Bundle<'a> {
    /// What it is.
    pub kind: Kind,
    /// `Bundle.type` or the resource type, as sent.
    pub type_name: Text<'a>,
    /// `Bundle.identifier`.
    pub identifier: Option<Identifier<'a>>,
    /// `Bundle.timestamp`, else `meta.lastUpdated`.
    pub timestamp: Option<DateTime<'a>>,
    /// Entries in order.
    pub entries: Vec<Entry<'a>>,
    by_url: HashMap<Cow<'a, str>, usize>,
    by_type_and_id: HashMap<(Cow<'a, str>, Cow<'a, str>), usize>,
}

/// One entry. `raw` is empty when there is no resource, or one that cannot be read.
#[derive(Debug)]
pub struct Entry<'a> {
    /// `entry.fullUrl`.
    pub full_url: Option<Text<'a>>,
    /// The resource, byte for byte.
    pub raw: &'a str,
    /// What every resource has.
    pub head: Head<'a>,
    /// `entry.request`.
    pub request: Option<EntryRequest<'a>>,
    /// What is wrong with its frame.
    pub issue: Option<Issue>,
}

/// What every resource has.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", default, bound(deserialize = "'de: 'a"))]
pub struct Head<'a> {
    /// `resourceType`; empty when missing.
    pub resource_type: Text<'a>,
    /// Logical id.
    pub id: Option<Text<'a>>,
    /// `meta`.
    pub meta: Option<Meta<'a>>,
}

/// `Resource.meta`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", default, bound(deserialize = "'de: 'a"))]
pub struct Meta<'a> {
    /// Version.
    pub version_id: Option<Text<'a>>,
    /// When the resource was changed last.
    pub last_updated: Option<DateTime<'a>>,
    /// Profiles that it claims to keep.
    pub profile: Texts<'a>,
}

/// `Bundle.entry.request`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", default, bound(deserialize = "'de: 'a"))]
pub struct EntryRequest<'a> {
    /// HTTP verb.
    pub method: Option<Text<'a>>,
    /// URL relative to the base.
    pub url: Option<Text<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", default, bound(deserialize = "'de: 'a"))]
struct Frame<'a> {
    r#type: Option<Text<'a>>,
    identifier: Option<Identifier<'a>>,
    timestamp: Option<DateTime<'a>>,
    meta: Option<Meta<'a>>,
    entry: Entries<'a>,
}

#[derive(Default)]
struct Entries<'a>(Vec<&'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for Entries<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        json::elements(deserializer, MAX_ENTRIES).map(Self)
    }
}

#[derive(Default, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", default, bound(deserialize = "'de: 'a"))]
struct EntryFrame<'a> {
    full_url: Option<Text<'a>>,
    resource: Option<&'a RawValue>,
    request: Option<EntryRequest<'a>>,
}

only_objects!(Head);
only_objects!(Meta);
only_objects!(EntryRequest);
only_objects!(Frame);
only_objects!(EntryFrame);

/// The text of a body: UTF-8, without a byte order mark. The flag says that there was one.
///
/// # Errors
/// When it is empty or no UTF-8; JSON of FHIR knows no other encoding (R4 §2.6.2).
pub fn text_of(body: &[u8]) -> Result<(&str, bool), Issue> {
    let (body, had_mark) = match body.strip_prefix(b"\xef\xbb\xbf") {
        Some(rest) => (rest, true),
        None => (body, false),
    };
    let text = std::str::from_utf8(body).map_err(|error| {
        let place = format!("not UTF-8 at byte {}", error.valid_up_to());
        Issue { severity: Severity::Fatal, ..Issue::general(IssueCode::Structure, place) }
    })?;
    if text.trim_ascii().is_empty() {
        let empty = Issue::general(IssueCode::Structure, "the body is empty");
        return Err(Issue { severity: Severity::Fatal, ..empty });
    }
    Ok((text, had_mark))
}

impl<'a> Bundle<'a> {
    /// Reads a Bundle, or a single resource. What is wrong with one entry is in that entry.
    ///
    /// # Errors
    /// When the whole is no JSON, no resource, or a Bundle of a type that is not taken.
    pub fn read(text: &'a str) -> Result<Self, Issue> {
        let head: Head<'a> = json::read(text, "Resource").map_err(whole)?;
        if head.resource_type.is_empty() {
            return Err(Issue::error(
                IssueCode::Structure,
                "resourceType is missing",
                "Resource.resourceType",
            ));
        }
        if &*head.resource_type == "Bundle" { Self::several(text) } else { Ok(Self::single(text, head)) }
    }

    fn single(text: &'a str, head: Head<'a>) -> Self {
        let entry = Entry { full_url: None, raw: text, head, request: None, issue: None };
        let timestamp = entry.head.meta.as_ref().and_then(|meta| meta.last_updated.clone());
        Self {
            kind: Kind::Single,
            type_name: entry.head.resource_type.clone(),
            identifier: None,
            timestamp,
            entries: vec![entry],
            by_url: HashMap::new(),
            by_type_and_id: HashMap::new(),
        }
    }

    fn several(text: &'a str) -> Result<Self, Issue> {
        let frame: Frame<'a> = json::read(text, "Bundle").map_err(whole)?;
        let type_name = frame
            .r#type
            .ok_or_else(|| Issue::error(IssueCode::Required, "Bundle.type is missing", "Bundle.type"))?;
        let kind = match &*type_name {
            "transaction" => Kind::Transaction,
            "batch" => Kind::Batch,
            "message" => Kind::Message,
            "collection" => Kind::Collection,
            "document" | "transaction-response" | "batch-response" | "history" | "searchset" => {
                let text =
                    "Bundles of this type are not taken: transaction, batch, message and collection are";
                return Err(Issue::error(IssueCode::NotSupported, text, "Bundle.type"));
            }
            _ => return Err(Issue::error(IssueCode::CodeInvalid, "no bundle type of R4", "Bundle.type")),
        };
        let timestamp = frame.timestamp.or_else(|| frame.meta.and_then(|meta| meta.last_updated));
        let entries: Vec<Entry<'a>> =
            frame.entry.0.into_iter().enumerate().map(|(at, raw)| entry(at, raw.get())).collect();
        let mut bundle = Self {
            kind,
            type_name,
            identifier: frame.identifier,
            timestamp,
            entries,
            by_url: HashMap::new(),
            by_type_and_id: HashMap::new(),
        };
        bundle.index();
        Ok(bundle)
    }

    fn index(&mut self) {
        for (at, entry) in self.entries.iter().enumerate() {
            if let Some(url) = &entry.full_url {
                self.by_url.entry(url.0.clone()).or_insert(at);
            }
            if let Some(id) = &entry.head.id {
                let key = (entry.head.resource_type.0.clone(), id.0.clone());
                self.by_type_and_id.entry(key).or_insert(at);
            }
        }
    }

    /// FHIRPath of the resource of entry `at`.
    pub fn expression(&self, at: usize) -> String {
        match self.kind {
            Kind::Single => self.type_name.to_string(),
            _ => format!("Bundle.entry[{at}].resource"),
        }
    }

    /// The entry with this fullUrl.
    pub fn by_full_url(&self, url: &str) -> Option<usize> {
        self.by_url.get(url).copied()
    }

    /// The entry that `reference`, made in entry `from`, points to (R4 §3.1.1.4 "Resolving references in Bundles").
    pub fn resolve(&self, from: usize, reference: &str) -> Option<usize> {
        match Target::of(reference) {
            Target::Bundled(url) => self.by_full_url(url),
            Target::Absolute { url, resource_type, id, .. } => self
                .by_full_url(without_version(url))
                .or_else(|| self.by_full_url(url))
                .or_else(|| self.without_full_url(resource_type, id)),
            Target::Relative { resource_type, id } => {
                let own = self.base_of(from);
                let key = (Cow::Borrowed(resource_type), Cow::Borrowed(id));
                // The same type and id on another server is another resource.
                let of_server =
                    |at: &usize| self.base_of(*at).is_none_or(|base| own.is_none_or(|own| own == base));
                own.and_then(|base| self.by_full_url(&format!("{base}{resource_type}/{id}")))
                    .or_else(|| self.by_type_and_id.get(&key).copied().filter(of_server))
                    // Against R4, and seen: a fullUrl that is no URL.
                    .or_else(|| self.by_full_url(without_version(reference)))
            }
            Target::Contained(_) | Target::Conditional { .. } | Target::Other => None,
        }
    }

    /// Type and bytes of the resource that entry `from` contains under `id`.
    pub fn contained(&self, from: usize, id: &str) -> Option<(&'a str, &'a str)> {
        contained(self.entries.get(from)?.raw, id)
    }

    fn without_full_url(&self, resource_type: &str, id: &str) -> Option<usize> {
        let key = (Cow::Borrowed(resource_type), Cow::Borrowed(id));
        self.by_type_and_id.get(&key).copied().filter(|at| self.entries[*at].full_url.is_none())
    }

    /// Base of the server that entry `from` is of, with the slash at its end.
    pub fn base_of(&self, from: usize) -> Option<&str> {
        let url = self.entries.get(from)?.full_url.as_ref()?;
        match Target::of(url) {
            Target::Absolute { base, .. } => Some(base),
            _ => None,
        }
    }
}

/// What is no JSON, or not even an object, has no element to name.
fn whole(issue: Issue) -> Issue {
    if issue.severity == Severity::Fatal || issue.expression.as_deref() == Some("Resource") {
        return Issue { expression: None, ..issue };
    }
    issue
}

/// Type and bytes of the resource that the resource `json` contains under `id`.
pub fn contained<'a>(json: &'a str, id: &str) -> Option<(&'a str, &'a str)> {
    all_contained(json).into_iter().find_map(|raw| {
        let name = contained_name(raw)?;
        (name.id == id).then_some((name.resource_type, raw.get()))
    })
}

/// Ids of the resources of `resource_type` that the resource `json` contains.
pub fn contained_ids<'a>(json: &'a str, resource_type: &str) -> Vec<&'a str> {
    let named = all_contained(json).into_iter().filter_map(contained_name);
    named.filter(|name| name.resource_type == resource_type).map(|name| name.id).collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ContainedName<'a> {
    // Borrowed: a type or id with an escape in it is none.
    resource_type: &'a str,
    id: &'a str,
}

fn contained_name(raw: &RawValue) -> Option<ContainedName<'_>> {
    serde_json::from_str(raw.get()).ok()
}

fn all_contained(json: &str) -> Vec<&RawValue> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Container<'a> {
        #[serde(borrow)]
        contained: Vec<&'a RawValue>,
    }
    serde_json::from_str::<Container<'_>>(json).unwrap_or_default().contained
}

fn entry(at: usize, json: &str) -> Entry<'_> {
    let place = format!("Bundle.entry[{at}]");
    let none =
        |issue| Entry { full_url: None, raw: "", head: Head::default(), request: None, issue: Some(issue) };
    let frame: EntryFrame<'_> = match json::read(json, &place) {
        Ok(frame) => frame,
        Err(issue) => return none(issue),
    };
    let mut entry = Entry {
        full_url: frame.full_url,
        request: frame.request,
        ..none(Issue::general(IssueCode::Required, ""))
    };
    let at_resource = format!("{place}.resource");
    entry.issue = match frame.resource {
        None => Some(Issue::error(IssueCode::Required, "the entry has no resource", at_resource)),
        Some(raw) => match json::read::<Head<'_>>(raw.get(), &at_resource) {
            Err(issue) => Some(issue),
            Ok(head) if head.resource_type.is_empty() => {
                let place = format!("{at_resource}.resourceType");
                Some(Issue::error(IssueCode::Structure, "resourceType is missing", place))
            }
            Ok(head) => {
                entry.raw = raw.get();
                entry.head = head;
                None
            }
        },
    };
    entry
}
