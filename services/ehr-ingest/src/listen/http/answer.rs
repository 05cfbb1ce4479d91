//! Answers, and what the door refuses by itself: an OperationOutcome where FHIR is spoken, a line of text elsewhere.

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Response, StatusCode,
    header::{CONNECTION, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, LOCATION, RETRY_AFTER},
};
use waybill_contracts::{ReasonCode, reason};
use waybill_fhir::{Issue, IssueCode};

use crate::accept;

pub(super) type HttpResponse = Response<Full<Bytes>>;

/// Content type of every FHIR answer.
const FHIR_JSON: &str = "application/fhir+json; fhirVersion=4.0; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
/// Seconds after which a sender may try again: about what a broker's fail-over takes.
const RETRY_SECONDS: &str = "5";

/// An answer.
pub(super) struct Answer {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Vec<u8>,
}

impl Answer {
    /// HL7 v2 of this media type.
    pub(super) fn hl7(status: StatusCode, content_type: HeaderValue, body: Vec<u8>) -> Self {
        Self { status, headers: vec![(CONTENT_TYPE, content_type)], body }
    }

    /// Nothing to say.
    pub(super) const fn empty(status: StatusCode) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    /// A FHIR answer without a body, when its sender wants none.
    pub(super) fn fhir(response: accept::fhir::Response, wants_body: bool) -> Self {
        let status = StatusCode::from_u16(response.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut headers = Vec::new();
        let texts = [(LOCATION, response.location), (ETAG, response.etag)];
        for (name, text) in texts {
            // Made of a type and an id: always legal.
            headers.extend(text.and_then(|text| HeaderValue::try_from(text).ok()).map(|value| (name, value)));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.push((RETRY_AFTER, HeaderValue::from_static(RETRY_SECONDS)));
        }
        if !wants_body {
            return Self { status, headers, body: Vec::new() };
        }
        headers.push((CONTENT_TYPE, HeaderValue::from_static(FHIR_JSON)));
        Self { status, headers, body: response.body }
    }

    /// FHIR JSON with 200.
    pub(super) fn json(body: Vec<u8>) -> Self {
        let headers = vec![(CONTENT_TYPE, HeaderValue::from_static(FHIR_JSON))];
        Self { status: StatusCode::OK, headers, body }
    }

    /// To be sent again later.
    pub(super) fn later(mut self) -> Self {
        self.headers.push((RETRY_AFTER, HeaderValue::from_static(RETRY_SECONDS)));
        self
    }

    /// For the wire; a request's id comes back with its answer (R4 §3.1.0.7).
    pub(super) fn response(self, request_id: Option<HeaderValue>) -> HttpResponse {
        let mut response = Response::new(Full::new(Bytes::from(self.body)));
        *response.status_mut() = self.status;
        response.headers_mut().extend(self.headers);
        if let Some(id) = request_id {
            response.headers_mut().insert(HeaderName::from_static("x-request-id"), id);
        }
        response
    }
}

/// A request that is answered without a look at its content.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    /// Label of the metric.
    pub(super) reason: &'static str,
    code: ReasonCode,
    issue: IssueCode,
    text: &'static str,
    /// Name in lower case, and value.
    header: Option<(&'static str, &'static str)>,
    /// The rest of the body is not read, so nothing can follow it.
    closes: bool,
}

impl Refusal {
    const fn new(
        status: StatusCode,
        reason: &'static str,
        code: ReasonCode,
        issue: IssueCode,
        text: &'static str,
    ) -> Self {
        Self { status, reason, code, issue, text, header: None, closes: false }
    }

    const fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.header = Some((name, value));
        self
    }

    pub(super) const fn closing(mut self) -> Self {
        self.closes = true;
        self
    }

    pub(super) const fn not_found() -> Self {
        let text = "there is nothing at this path; messages go to /hl7 and /fhir";
        Self::new(StatusCode::NOT_FOUND, "not_found", reason::REQUEST_NOT_SERVED, IssueCode::NotFound, text)
    }

    pub(super) const fn method(allowed: &'static str) -> Self {
        let text = "this path has other methods, see Allow; nothing can be read here";
        let (status, issue) = (StatusCode::METHOD_NOT_ALLOWED, IssueCode::NotSupported);
        Self::new(status, "method", reason::REQUEST_NOT_SERVED, issue, text).with("allow", allowed)
    }

    pub(super) const fn not_acceptable() -> Self {
        let (status, issue) = (StatusCode::NOT_ACCEPTABLE, IssueCode::NotSupported);
        Self::new(
            status,
            "not_acceptable",
            reason::REQUEST_NOT_SERVED,
            issue,
            "answers are application/fhir+json",
        )
    }

    pub(super) const fn content_type(text: &'static str) -> Self {
        let (status, issue) = (StatusCode::UNSUPPORTED_MEDIA_TYPE, IssueCode::NotSupported);
        Self::new(status, "content_type", reason::REQUEST_NOT_SERVED, issue, text)
    }

    pub(super) const fn content_coding() -> Self {
        let (status, issue) = (StatusCode::UNSUPPORTED_MEDIA_TYPE, IssueCode::NotSupported);
        let text = "the only content coding is gzip";
        Self::new(status, "content_coding", reason::REQUEST_NOT_SERVED, issue, text)
            .with("accept-encoding", "gzip")
    }

    pub(super) const fn bad_gzip() -> Self {
        let text = "the body is not gzip, or is cut off";
        Self::new(StatusCode::BAD_REQUEST, "bad_gzip", reason::REQUEST_NOT_SERVED, IssueCode::Structure, text)
    }

    pub(super) const fn empty() -> Self {
        let text = "the request has no body";
        Self::new(StatusCode::BAD_REQUEST, "empty", reason::REQUEST_NOT_SERVED, IssueCode::Required, text)
    }

    pub(super) const fn no_token() -> Self {
        let text = "the request has no bearer token";
        Self::new(StatusCode::UNAUTHORIZED, "no_token", reason::NOT_AUTHENTICATED, IssueCode::Login, text)
            .with("www-authenticate", "Bearer realm=\"waybill\"")
    }

    pub(super) const fn unknown_token() -> Self {
        let text = "the token is not known";
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unknown_token",
            reason::NOT_AUTHENTICATED,
            IssueCode::Login,
            text,
        )
        .with("www-authenticate", "Bearer realm=\"waybill\", error=\"invalid_token\"")
    }

    pub(super) const fn forbidden() -> Self {
        let text = "the token is another feed's";
        Self::new(StatusCode::FORBIDDEN, "forbidden", reason::NOT_AUTHENTICATED, IssueCode::Forbidden, text)
    }

    pub(super) const fn too_large() -> Self {
        let text = "the body is larger than this feed takes";
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", reason::TOO_LARGE, IssueCode::TooLong, text)
    }

    pub(super) const fn too_slow() -> Self {
        let text = "the body was not complete in time";
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "frame_timeout",
            reason::REQUEST_NOT_RECEIVED,
            IssueCode::Transient,
            text,
        )
        .closing()
    }

    pub(super) const fn broken() -> Self {
        let text = "the body ended early";
        Self::new(StatusCode::BAD_REQUEST, "broken", reason::REQUEST_NOT_RECEIVED, IssueCode::Structure, text)
            .closing()
    }

    pub(super) const fn no_room() -> Self {
        let text = "no memory is left for the body; send it again";
        let (status, issue) = (StatusCode::SERVICE_UNAVAILABLE, IssueCode::Transient);
        let refusal = Self::new(status, "no_room", reason::REQUEST_NOT_RECEIVED, issue, text);
        refusal.with("retry-after", RETRY_SECONDS)
    }

    pub(super) fn ending() -> Self {
        Self { reason: "shutdown", text: "the service stops; send it again", ..Self::no_room() }.closing()
    }

    pub(super) const fn defect() -> Self {
        let text = "something went wrong here; send it again";
        let (status, issue) = (StatusCode::INTERNAL_SERVER_ERROR, IssueCode::Exception);
        Self::new(status, "defect", reason::STORAGE_UNAVAILABLE, issue, text)
    }

    /// The answer.
    pub(super) fn answer(self, speaks_fhir: bool) -> Answer {
        let text = format!("{}: {}", self.code, self.text);
        let header = |(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
        let mut headers: Vec<_> = self.header.into_iter().map(header).collect();
        if self.closes {
            headers.push((CONNECTION, HeaderValue::from_static("close")));
        }
        let (kind, body) = if speaks_fhir {
            let issue = Issue::general(self.issue, text);
            (FHIR_JSON, accept::fhir::outcome(self.status.as_u16(), &issue).body)
        } else {
            (TEXT, (text + "\n").into_bytes())
        };
        headers.push((CONTENT_TYPE, HeaderValue::from_static(kind)));
        Answer { status: self.status, headers, body }
    }
}
