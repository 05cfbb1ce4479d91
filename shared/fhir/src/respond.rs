//! Bundles that answer, and what the server can do.

use serde_json::{Value, json};

use crate::types_of_r4::RESOURCE_TYPES;

/// Outcome of one entry of a transaction or batch.
#[derive(Clone, Debug)]
pub struct EntryResponse {
    /// Such as `201 Created`.
    pub status: &'static str,
    /// `Type/id/_history/version`.
    pub location: Option<String>,
    /// Weak entity tag.
    pub etag: Option<String>,
    /// OperationOutcome, where something is to be said.
    pub outcome: Option<Value>,
}

/// A Bundle of type `transaction-response` or `batch-response`, as JSON text; `at` is the instant of all entries.
///
/// Written entry by entry: as a tree the answer to a large Bundle would take up ten times its text.
pub fn response_bundle(kind: &str, at: &str, entries: impl Iterator<Item = EntryResponse>) -> Vec<u8> {
    let entry = |entry: EntryResponse| {
        let mut response = json!({ "status": entry.status });
        if let Some(object) = response.as_object_mut() {
            let mut put = |name: &str, value: Option<Value>| {
                if let Some(value) = value {
                    object.insert(name.to_owned(), value);
                }
            };
            put("location", entry.location.as_deref().map(Value::from));
            put("etag", entry.etag.as_deref().map(Value::from));
            put("lastModified", entry.outcome.is_none().then(|| at.into()));
            put("outcome", entry.outcome);
        }
        json!({ "response": response })
    };
    let mut text = json!({ "resourceType": "Bundle", "type": kind, "timestamp": at }).to_string();
    // No list is empty in FHIR.
    let mut before = ",\"entry\":[";
    let end = text.pop();
    for one in entries {
        text.push_str(before);
        text.push_str(&entry(one).to_string());
        before = ",";
    }
    if before == "," {
        text.push(']');
    }
    text.extend(end);
    text.into_bytes()
}

/// What a message's answer repeats of it.
#[derive(Clone, Debug)]
pub struct MessageAnswer<'a> {
    /// Id of the answer, a UUID.
    pub id: &'a str,
    /// `MessageHeader.id` of the request.
    pub identifier: &'a str,
    /// The request's event: `eventCoding` or `eventUri`.
    pub event: (&'a str, Value),
    /// ok | transient-error | fatal-error.
    pub code: &'a str,
    /// When; left out where there is no clock.
    pub at: Option<String>,
    /// OperationOutcome of an error.
    pub outcome: Option<Value>,
}

/// A Bundle of type `message` whose MessageHeader has a `response` (R4 §2.4.4).
pub fn message_response(answer: &MessageAnswer<'_>, endpoint: &str) -> Value {
    let outcome_url = "urn:uuid:00000000-0000-4000-8000-000000000001";
    let mut response = json!({ "identifier": answer.identifier, "code": answer.code });
    if let (Some(_), Some(object)) = (&answer.outcome, response.as_object_mut()) {
        object.insert("details".to_owned(), json!({ "reference": outcome_url }));
    }
    let (event, value) = &answer.event;
    let mut header = json!({
        "resourceType": "MessageHeader",
        "id": answer.id,
        "source": { "name": "Waybill", "endpoint": endpoint },
        "response": response,
    });
    if let Some(object) = header.as_object_mut() {
        object.insert((*event).to_owned(), value.clone());
    }
    let mut entries = vec![json!({ "fullUrl": format!("urn:uuid:{}", answer.id), "resource": header })];
    if let Some(outcome) = &answer.outcome {
        entries.push(json!({ "fullUrl": outcome_url, "resource": outcome }));
    }
    let mut bundle = json!({ "resourceType": "Bundle", "type": "message" });
    if let Some(object) = bundle.as_object_mut() {
        if let Some(at) = &answer.at {
            object.insert("timestamp".to_owned(), at.as_str().into());
        }
        object.insert("entry".to_owned(), entries.into());
    }
    bundle
}

/// The CapabilityStatement of a server that takes and does not give: create and update, transaction and batch.
pub fn capability_statement(version: &str, date: &str) -> Value {
    let taken = RESOURCE_TYPES.iter().filter(|name| **name != "Bundle" && **name != "Parameters");
    let resource = |name: &&str| {
        json!({
            "type": name,
            "interaction": [{ "code": "create" }, { "code": "update" }],
            "versioning": "no-version",
            "readHistory": false,
            "updateCreate": true,
            "conditionalCreate": false,
            "conditionalUpdate": true,
            "referencePolicy": ["literal", "logical", "resolves", "local"],
        })
    };
    json!({
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": date,
        "kind": "instance",
        "software": { "name": "Waybill ehr-ingest", "version": version },
        "implementation": { "description": "Waybill: takes resources in and makes events of them" },
        "fhirVersion": "4.0.1",
        "format": ["json", "application/fhir+json"],
        "rest": [{
            "mode": "server",
            "documentation": "Takes resources and makes events of them; nothing can be read or searched here. \
                POST [base] takes Bundles of type transaction, batch, message and collection.",
            "resource": taken.map(resource).collect::<Vec<_>>(),
            "interaction": [{ "code": "transaction" }, { "code": "batch" }],
        }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_of_each_entry_what_became_of_it() {
        let done = EntryResponse {
            status: "201 Created",
            location: Some("Patient/1/_history/2".to_owned()),
            etag: Some("W/\"2\"".to_owned()),
            outcome: None,
        };
        let refused = EntryResponse {
            status: "422 Unprocessable Entity",
            location: None,
            etag: None,
            outcome: Some(json!({ "resourceType": "OperationOutcome" })),
        };
        let read = |text: Vec<u8>| serde_json::from_slice::<Value>(&text).unwrap();
        let bundle =
            read(response_bundle("batch-response", "2026-05-01T12:00:00Z", [done, refused].into_iter()));
        assert_eq!((&bundle["resourceType"], &bundle["type"]), (&json!("Bundle"), &json!("batch-response")));
        assert_eq!(
            bundle["entry"],
            json!([
                { "response": { "status": "201 Created", "location": "Patient/1/_history/2", "etag": "W/\"2\"", "lastModified": "2026-05-01T12:00:00Z" } },
                { "response": { "status": "422 Unprocessable Entity", "outcome": { "resourceType": "OperationOutcome" } } },
            ])
        );
        let empty = read(response_bundle("transaction-response", "2026-05-01T12:00:00Z", std::iter::empty()));
        assert!(empty["timestamp"].is_string() && empty.get("entry").is_none());
    }

    #[test]
    fn the_statement_promises_what_there_is_and_no_more() {
        let statement = capability_statement("1.0.0", "2026-05-01");
        for required in ["status", "date", "kind", "fhirVersion", "format"] {
            assert!(!statement[required].is_null(), "{required} has cardinality 1 (R4 §5.2.3)");
        }
        assert_eq!(
            statement["rest"][0]["interaction"],
            json!([{ "code": "transaction" }, { "code": "batch" }])
        );
        let resources = statement["rest"][0]["resource"].as_array().unwrap();
        assert!(resources.iter().any(|resource| resource["type"] == "Encounter"));
        for resource in resources {
            assert_eq!(resource["interaction"], json!([{ "code": "create" }, { "code": "update" }]));
        }
    }
}
