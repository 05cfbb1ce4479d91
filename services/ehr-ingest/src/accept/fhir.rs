//! What is answered to a FHIR R4 request, and what is stored: plain values in, a [`Verdict`] out. No socket, no clock.
//!
//! | found | answer | stored |
//! |---|---|---|
//! | a transaction, message or collection without a fault, a single resource of any type | 200, of a create 201 | `inbound.message` |
//! | a batch with at least one good entry | 200, each entry with its own status | `inbound.message`, and each bad entry in `inbound.rejected` |
//! | a batch without one | 200, each entry with its own status | `inbound.rejected` |
//! | no JSON, no resource, not of R4's form, or not what the URL says | 400; 404 for a type that R4 has not | `inbound.rejected` |
//! | a rule of R4 broken, a dangling reference, an entry twice, nobody to key an event by, a bundle type that is not taken | 422 | `inbound.rejected` |
//!
//! A transaction is one record, so it is all or nothing. A batch is one record too: the bytes as received. Its good entries
//! become events under the message's id; each bad entry is a record of its own, with `batchId` and `batchIndex`, and has no
//! part in the manifest. A bad entry of anything else refuses the whole.
//!
//! The message's id is made from the bytes, and from where they were sent to (the same resource may be created and then
//! updated). A resource that is put back to what it was before has the bytes of an earlier request, and is no repeat of it:
//! `meta.lastUpdated`, `meta.versionId`, `Bundle.timestamp` and `If-Match` tell them apart, and so does `X-Request-Id` where
//! there are only updates. Where something is created or charged, `X-Request-Id` is no part of the id: gateways give the
//! same request a new one at every try, and an update taken twice changes nothing, a charge taken twice does. Updates that
//! have none of the five and the same bytes count as one.
//!
//! Who creates gets a `Location` with an id made from the message's, the same at every repeat. Nothing can be read there.

mod judge;
mod message;

use waybill_contracts::{
    Timestamp,
    inbound::{InboundMessage, InboundRejected},
};

use crate::feed::Feed;

/// Date of the last change of what [`capability_statement`] says.
const CAPABILITY_DATE: &str = "2026-11-24";

/// What the sender wants done with the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interaction<'a> {
    /// `POST [base]`: a Bundle.
    Base,
    /// `POST [base]/[type]`.
    Create {
        /// Resource type.
        resource_type: &'a str,
    },
    /// `PUT [base]/[type]/[id]`.
    Update {
        /// Resource type.
        resource_type: &'a str,
        /// Logical id.
        id: &'a str,
    },
    /// `PUT [base]/[type]?…`.
    ConditionalUpdate {
        /// Resource type.
        resource_type: &'a str,
        /// What stands behind the question mark, as sent.
        query: &'a str,
    },
}

impl Interaction<'_> {
    /// Method and path below the base: the same bytes mean something else at another place.
    fn target(&self) -> String {
        match self {
            Self::Base => "POST".to_owned(),
            Self::Create { resource_type } => format!("POST {resource_type}"),
            Self::Update { resource_type, id } => format!("PUT {resource_type}/{id}"),
            Self::ConditionalUpdate { resource_type, query } => format!("PUT {resource_type}?{query}"),
        }
    }
}

/// A request as the door read it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Method and path.
    pub interaction: Interaction<'a>,
    /// Header `X-Request-Id`.
    pub request_id: Option<&'a str>,
    /// Header `If-Match`: the version that an update is made from.
    pub if_match: Option<&'a str>,
    /// The body as received, after any content coding was undone.
    pub body: &'a [u8],
}

/// The answer. The body is always `application/fhir+json; fhirVersion=4.0`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// Header `Location`, relative to the base.
    pub location: Option<String>,
    /// Header `ETag`.
    pub etag: Option<String>,
    /// OperationOutcome, or a Bundle of type transaction-response, batch-response or message.
    pub body: Vec<u8>,
}

/// What to do with a request.
#[derive(Debug)]
pub enum Verdict {
    /// Store all of it; then answer.
    Store {
        /// The record for `inbound.message`.
        message: Box<InboundMessage>,
        /// Its key.
        key: [u8; 16],
        /// Entries of a batch that were refused, for `inbound.rejected`, each keyed by its own message id.
        refused: Vec<InboundRejected>,
        /// The answer once everything is stored.
        response: Response,
    },
    /// Store the refusal; then answer.
    Refuse {
        /// The record for `inbound.rejected`, keyed by message id.
        rejected: Box<InboundRejected>,
        /// The answer.
        response: Response,
    },
}

/// Judges a request that came in on `feed`.
pub fn accept(feed: &Feed, request: &Request<'_>, received_at: Timestamp) -> Verdict {
    judge::judge(feed, request, received_at)
}

/// Refuses a body over the limit with 413; `request.body` is its beginning.
pub fn refuse_too_large(feed: &Feed, request: &Request<'_>, received_at: Timestamp) -> Verdict {
    judge::refuse_too_large(feed, request, received_at)
}

/// The answer while messages cannot be stored, 503: the sender shall repeat it.
pub fn unavailable(request: &Request<'_>) -> Response {
    judge::unavailable(request)
}

/// The CapabilityStatement for `GET [base]/metadata`.
pub fn capability_statement() -> Vec<u8> {
    let statement = waybill_fhir::respond::capability_statement(env!("CARGO_PKG_VERSION"), CAPABILITY_DATE);
    serde_json::to_vec(&statement).unwrap_or_default()
}

/// An OperationOutcome for what the door itself refuses: path, method, content type, token.
pub fn outcome(status: u16, issue: &waybill_fhir::Issue) -> Response {
    let body = serde_json::to_vec(&waybill_fhir::operation_outcome(std::slice::from_ref(issue)));
    Response { status, location: None, etag: None, body: body.unwrap_or_default() }
}
