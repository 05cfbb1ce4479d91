//! The judgement of a request.

use sha2::{Digest, Sha256};
use smol_str::{SmolStr, ToSmolStr, format_smolstr};
use waybill_contracts::{
    Body, EventId, MessageId, Timestamp,
    body::FHIR_JSON,
    inbound::{InboundMessage, InboundRejected, Protocol},
};
use waybill_fhir::{
    Issue, IssueCode, Kind,
    bundle::Entry,
    is_resource_type, operation_outcome,
    resources::{self, ChargeItem, Claim, MessageHeader, Resource as _},
    respond::{EntryResponse, response_bundle},
};

use super::{Interaction, Request, Response, Verdict, message};
use crate::{
    feed::Feed,
    mapping::fhir::plan::{Plan, plan, reason_of},
};

/// FHIR version, as MSH-12 has that of HL7 v2.
const VERSION: &str = "4.0.1";
/// Issues in one answer; the sender will not read more.
const MAX_ISSUES: usize = 100;
/// Up to here a body that cannot be stored now is looked at for the form of its answer.
const SHORT: usize = 256 * 1024;
const ACCEPTED: &str = "AA";
const REFUSED: &str = "AE";

pub(super) fn judge(feed: &Feed, request: &Request<'_>, received_at: Timestamp) -> Verdict {
    // The feed's profile says what the sender calls what; what is stored stays as it came.
    let rewritten = feed.rewrite_fhir(request.body);
    let plan = match plan(rewritten.as_deref().unwrap_or(request.body), feed) {
        Ok(plan) => plan,
        Err(issue) => {
            let receipt = Receipt::new(feed, request, None, received_at);
            return receipt.refuse(&[issue]);
        }
    };
    let receipt = Receipt::new(feed, request, Some(&plan), received_at);
    if let Some((status, issue)) = not_that_interaction(request.interaction, &plan) {
        return receipt.refuse_with(status, &[issue]);
    }
    let refused: Vec<usize> = (0..plan.issues.len()).filter(|at| !plan.is_good(*at)).collect();
    let is_batch = plan.bundle.kind == Kind::Batch;
    if refused.is_empty() || (is_batch && refused.len() < plan.issues.len()) {
        return receipt.store(&plan, &refused);
    }
    let issues: Vec<Issue> = plan.issues.iter().flatten().take(MAX_ISSUES).cloned().collect();
    let response = match (is_batch, message_header(&plan)) {
        // Nothing of the batch is good: each entry is answered all the same.
        (true, _) => receipt.batch_response(&plan),
        (false, Some(header)) => {
            let status = issues.first().map_or(400, Issue::http_status);
            let outcome = Some(operation_outcome(&issues));
            let body = message::answer(&header, receipt.id, "fatal-error", Some(received_at), outcome);
            Response { status, location: None, etag: None, body }
        }
        (false, None) => return receipt.refuse(&issues),
    };
    Verdict::Refuse { rejected: Box::new(receipt.rejected(issues.first())), response }
}

pub(super) fn refuse_too_large(feed: &Feed, request: &Request<'_>, received_at: Timestamp) -> Verdict {
    let issue = Issue::general(IssueCode::TooLong, "the body is larger than this feed takes");
    Receipt::new(feed, request, None, received_at).refuse(&[issue])
}

pub(super) fn unavailable(request: &Request<'_>) -> Response {
    let issue = Issue::general(IssueCode::Transient, "the request cannot be stored now; send it again");
    let outcome = operation_outcome(std::slice::from_ref(&issue));
    // In an outage everybody sends again and again: no work for what is thrown away.
    let body = Some(request.body).filter(|body| body.len() <= SHORT).unwrap_or_default();
    let bundle = waybill_fhir::bundle::text_of(body)
        .and_then(|(text, _)| waybill_fhir::Bundle::read(text))
        .ok()
        .filter(|bundle| bundle.kind == Kind::Message);
    let header = bundle
        .as_ref()
        .and_then(|bundle| resources::checked::<MessageHeader<'_>>(bundle.entries.first()?.raw, "").ok());
    match header {
        Some(header) => {
            let sha256: [u8; 32] = Sha256::digest(request.body).into();
            let id = MessageId::derive_hashed("unavailable", "", None, &sha256);
            let body = message::answer(&header, id, "transient-error", None, Some(outcome));
            Response { status: 503, location: None, etag: None, body }
        }
        None => super::outcome(503, &issue),
    }
}

/// The URL and the body must say the same.
fn not_that_interaction(interaction: Interaction<'_>, plan: &Plan<'_>) -> Option<(u16, Issue)> {
    let bundle = &plan.bundle;
    let is_bundle = bundle.kind != Kind::Single;
    let sent = bundle.type_name.as_str();
    let named = match interaction {
        Interaction::Base if is_bundle => return None,
        Interaction::Base => {
            let text = "the base takes Bundles; a resource is sent to [base]/[type]";
            return Some((400, Issue::error(IssueCode::Invalid, text, format!("{sent}.resourceType"))));
        }
        Interaction::Create { resource_type }
        | Interaction::Update { resource_type, .. }
        | Interaction::ConditionalUpdate { resource_type, .. } => resource_type,
    };
    if is_bundle {
        let text = "Bundles are sent to the base";
        return Some((400, Issue::error(IssueCode::Invalid, text, "Bundle.resourceType")));
    }
    if !is_resource_type(named) {
        return Some((404, Issue::general(IssueCode::NotSupported, "no resource type of R4")));
    }
    if named != sent {
        let text = "the URL names another resource type than the resource";
        return Some((400, Issue::error(IssueCode::Invalid, text, format!("{sent}.resourceType"))));
    }
    match interaction {
        // R4 §3.1.0.7: 400 when the resource has no id, or another one.
        Interaction::Update { id, .. } if bundle.entries.first()?.head.id.as_deref() != Some(id) => {
            let text = "the id of the resource is not the one of the URL";
            Some((400, Issue::error(IssueCode::Invalid, text, format!("{sent}.id"))))
        }
        _ => None,
    }
}

/// Updates of what is no money: to take one twice changes nothing.
fn only_updates(request: &Request<'_>, plan: &Plan<'_>) -> bool {
    let is_money = |kind: &str| matches!(kind, Claim::TYPE | ChargeItem::TYPE);
    let is_update = |entry: &Entry<'_>| match request.interaction {
        Interaction::Base => {
            entry.request.as_ref().is_some_and(|request| request.method.as_deref() == Some("PUT"))
        }
        Interaction::Create { .. } => false,
        Interaction::Update { .. } | Interaction::ConditionalUpdate { .. } => true,
    };
    plan.bundle.entries.iter().all(|entry| is_update(entry) && !is_money(&entry.head.resource_type))
}

fn message_header<'p>(plan: &'p Plan<'_>) -> Option<MessageHeader<'p>> {
    let first = plan.bundle.entries.first().filter(|_| plan.bundle.kind == Kind::Message)?;
    resources::checked(first.raw, "").ok()
}

/// What is known of a request before it is decided.
struct Receipt<'r> {
    feed: &'r Feed,
    request: &'r Request<'r>,
    received_at: Timestamp,
    id: MessageId,
    sha256: [u8; 32],
    sent_at: Option<Timestamp>,
    message_type: Option<SmolStr>,
    control_id: Option<SmolStr>,
    sender: Option<SmolStr>,
}

/// A record of the door: what both kinds have, and the fields given.
macro_rules! record {
    ($receipt:expr, $record:ident { $($field:ident $(: $value:expr)?),* $(,)? }) => {{
        let receipt: &Receipt<'_> = $receipt;
        $record {
            message_id: receipt.id,
            feed: receipt.feed.name.as_str().into(),
            protocol: Protocol::FhirHttp,
            sending_application: receipt.sender.clone(),
            sending_facility: None,
            receiving_application: None,
            receiving_facility: None,
            message_type: receipt.message_type.clone(),
            control_id: receipt.control_id.clone(),
            version: Some(VERSION.into()),
            character_set: None,
            sent_at: receipt.sent_at,
            received_at: receipt.received_at,
            sha256: receipt.sha256.to_vec(),
            batch_id: None,
            batch_control_id: None,
            batch_index: None,
            $($field $(: $value)?,)*
        }
    }};
}

impl<'r> Receipt<'r> {
    fn new(
        feed: &'r Feed,
        request: &'r Request<'r>,
        plan: Option<&Plan<'_>>,
        received_at: Timestamp,
    ) -> Self {
        let sha256: [u8; 32] = Sha256::digest(request.body).into();
        let header = plan.and_then(message_header);
        let sent_at =
            plan.and_then(|plan| plan.bundle.timestamp.as_ref()?.unix_millis()).map(Timestamp::from_millis);
        let endpoint = header.as_ref().and_then(|header| header.source.as_ref()?.endpoint.as_deref());
        // The same bytes mean something else at another place: it stands for the sender beside him.
        let mut place = format!("{}|{}", endpoint.unwrap_or_default(), request.interaction.target());
        if let Some(version) = request.if_match {
            place = format!("{place}|{version}");
        }
        if let Some(id) = request.request_id.filter(|_| plan.is_some_and(|plan| only_updates(request, plan)))
        {
            place = format!("{place}|{id}");
        }
        let message_type = plan.map(|plan| match plan.bundle.kind {
            Kind::Single => plan.bundle.type_name.to_smolstr(),
            _ => format_smolstr!("Bundle/{}", &*plan.bundle.type_name),
        });
        let control_id = plan
            .and_then(|plan| plan.bundle.identifier.as_ref()?.value.as_deref().map(SmolStr::from))
            .or_else(|| header.as_ref()?.id.as_deref().map(SmolStr::from))
            .or_else(|| request.request_id.map(SmolStr::from));
        let sender = header.and_then(|header| header.source?.name.map(|name| name.to_smolstr()));
        Self {
            feed,
            request,
            received_at,
            id: MessageId::derive_hashed(&feed.name, &place, sent_at, &sha256),
            sha256,
            sent_at,
            message_type,
            control_id,
            sender,
        }
    }

    fn store(&self, plan: &Plan<'_>, refused: &[usize]) -> Verdict {
        let mut patients = plan.subjects.iter();
        let key = match (patients.next(), patients.next()) {
            (Some(patient), None) => *self.feed.keyer.key(&patient.authority, &patient.value).as_bytes(),
            _ => *self.id.as_bytes(),
        };
        let mut warnings = Vec::new();
        if plan.had_mark {
            warnings.push("BYTE_ORDER_MARK".to_owned());
        }
        if !refused.is_empty() {
            warnings.push("ENTRIES_REFUSED".to_owned());
        }
        Verdict::Store {
            message: Box::new(self.inbound(warnings)),
            key,
            refused: refused.iter().map(|at| self.rejected_entry(plan, *at)).collect(),
            response: self.response(plan),
        }
    }

    fn response(&self, plan: &Plan<'_>) -> Response {
        let stored = || Issue::information(format!("stored as message {}", self.id));
        match plan.bundle.kind {
            Kind::Batch => self.batch_response(plan),
            Kind::Transaction => self.bundle_response("transaction-response", plan),
            Kind::Message => match message_header(plan) {
                Some(header) => {
                    let body = message::answer(&header, self.id, "ok", Some(self.received_at), None);
                    Response { status: 200, location: None, etag: None, body }
                }
                None => super::outcome(200, &stored()),
            },
            Kind::Collection => super::outcome(200, &stored()),
            Kind::Single => {
                let done = self.done(plan, 0);
                let status = if done.status.starts_with("201") { 201 } else { 200 };
                let location = (status == 201).then_some(done.location).flatten();
                Response { location, etag: done.etag, ..super::outcome(status, &stored()) }
            }
        }
    }

    fn batch_response(&self, plan: &Plan<'_>) -> Response {
        self.bundle_response("batch-response", plan)
    }

    fn bundle_response(&self, kind: &str, plan: &Plan<'_>) -> Response {
        let entry = |at: usize| match plan.issues[at].as_slice() {
            [] => self.done(plan, at),
            issues => EntryResponse {
                status: status_line(issues[0].http_status()),
                location: None,
                etag: None,
                outcome: Some(operation_outcome(issues)),
            },
        };
        let entries = (0..plan.issues.len()).map(entry);
        let body = response_bundle(kind, &self.received_at.to_rfc3339(), entries);
        Response { status: 200, location: None, etag: None, body }
    }

    /// What was done with an entry. Who creates gets an id that is the same at every repeat.
    fn done(&self, plan: &Plan<'_>, at: usize) -> EntryResponse {
        let entry = &plan.bundle.entries[at];
        let resource_type = entry.head.resource_type.as_str();
        let is_update = match plan.bundle.kind {
            Kind::Single => !matches!(self.request.interaction, Interaction::Create { .. }),
            _ => entry.request.as_ref().is_some_and(|request| request.method.as_deref() == Some("PUT")),
        };
        let id = match entry.head.id.as_deref() {
            Some(id) if is_update => id.to_owned(),
            _ => EventId::derive(self.id, resource_type, at).to_string(),
        };
        EntryResponse {
            status: if is_update { "200 OK" } else { "201 Created" },
            location: Some(format!("{resource_type}/{id}/_history/{}", self.id)),
            etag: Some(format!("W/\"{}\"", self.id)),
            outcome: None,
        }
    }

    fn refuse(&self, issues: &[Issue]) -> Verdict {
        self.refuse_with(issues.first().map_or(400, Issue::http_status), issues)
    }

    fn refuse_with(&self, status: u16, issues: &[Issue]) -> Verdict {
        let body = serde_json::to_vec(&operation_outcome(issues)).unwrap_or_default();
        Verdict::Refuse {
            rejected: Box::new(self.rejected(issues.first())),
            response: Response { status, location: None, etag: None, body },
        }
    }

    fn inbound(&self, warnings: Vec<String>) -> InboundMessage {
        record!(
            self,
            InboundMessage {
                ack_code: ACCEPTED.to_owned(),
                warnings,
                profile: Some(self.feed.profile.clone()),
                body: Body::new(FHIR_JSON, self.request.body),
            }
        )
    }

    fn rejected(&self, issue: Option<&Issue>) -> InboundRejected {
        self.rejected_with(issue, Body::new(FHIR_JSON, self.request.body))
    }

    fn rejected_with(&self, issue: Option<&Issue>, body: Body) -> InboundRejected {
        record!(
            self,
            InboundRejected {
                ack_code: REFUSED.to_owned(),
                reason_code: issue.map(|issue| reason_of(issue).into()).unwrap_or_default(),
                error_location: issue.and_then(|issue| issue.expression.as_deref().map(SmolStr::from)),
                error_code: None,
                body,
            }
        )
    }

    /// One entry of a batch: its resource alone, with its place in the batch.
    fn rejected_entry(&self, plan: &Plan<'_>, at: usize) -> InboundRejected {
        let raw = plan.bundle.entries[at].raw.as_bytes();
        let sha256: [u8; 32] = Sha256::digest(raw).into();
        // The place is part of the id: the same entry may be there twice.
        let id =
            MessageId::derive_hashed(&self.feed.name, &format!("{}#{at}", self.id), self.sent_at, &sha256);
        InboundRejected {
            message_id: id,
            message_type: Some(plan.bundle.entries[at].head.resource_type.to_smolstr())
                .filter(|name| !name.is_empty()),
            sha256: sha256.to_vec(),
            batch_id: Some(self.id),
            batch_control_id: self.control_id.clone(),
            batch_index: i32::try_from(at).ok(),
            ..self.rejected_with(plan.issues[at].first(), Body::new(FHIR_JSON, raw))
        }
    }
}

/// Status of an entry, with its reason phrase.
fn status_line(status: u16) -> &'static str {
    match status {
        413 => "413 Payload Too Large",
        422 => "422 Unprocessable Entity",
        _ => "400 Bad Request",
    }
}
