//! The smallest HTTP client: one POST with the installation's token, one answer.

use waybill_testkit::{Installation, TOKEN, http};

/// Status and body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// Posts `body` to `path` of the feed over HTTP.
pub(crate) async fn post(waybill: &Installation, path: &str, content_type: &str, body: &[u8]) -> Answer {
    ask(waybill, path, content_type, Some(TOKEN), body).await
}

/// The same with another token, or none.
pub(crate) async fn ask(
    waybill: &Installation,
    path: &str,
    content_type: &str,
    token: Option<&str>,
    body: &[u8],
) -> Answer {
    let url = format!("{}{path}", waybill.http().unwrap());
    let mut request = http::client().post(url).header("content-type", content_type).body(body.to_vec());
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let answer = request.send().await.unwrap();
    Answer { status: answer.status().as_u16(), body: answer.text().await.unwrap() }
}

/// FHIR's media type.
pub(crate) const FHIR: &str = "application/fhir+json";
/// HL7 v2's over HTTP.
pub(crate) const HL7: &str = "x-application/hl7-v2+er7";
