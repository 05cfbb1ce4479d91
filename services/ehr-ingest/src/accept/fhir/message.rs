//! The answer to a message: a Bundle with a MessageHeader of its own.

use serde_json::{Value, json};
use waybill_contracts::{MessageId, Timestamp};
use waybill_fhir::{
    resources::MessageHeader,
    respond::{MessageAnswer, message_response},
};

/// Address by which answers name their sender; what the network calls this server is not known here.
const ENDPOINT: &str = "urn:waybill:ehr-ingest";

/// `ok`, `transient-error` or `fatal-error`.
pub(super) fn answer(
    header: &MessageHeader<'_>,
    id: MessageId,
    code: &str,
    at: Option<Timestamp>,
    outcome: Option<Value>,
) -> Vec<u8> {
    let event = match &header.event_coding {
        Some(coding) => {
            let parts = [("system", &coding.system), ("code", &coding.code), ("display", &coding.display)];
            let named = parts
                .into_iter()
                .filter_map(|(name, text)| Some((name.to_owned(), json!(&**text.as_ref()?))));
            ("eventCoding", named.collect())
        }
        None => ("eventUri", header.event_uri.as_deref().into()),
    };
    let answer = MessageAnswer {
        id: &id.to_string(),
        // Who gives none cannot be referred to; R4 demands something all the same.
        identifier: header.id.as_deref().unwrap_or("unknown"),
        event,
        code,
        at: at.map(Timestamp::to_rfc3339),
        outcome,
    };
    serde_json::to_vec(&message_response(&answer, ENDPOINT)).unwrap_or_default()
}
