//! The data types that expectation and event share: FHIR's names on both sides.

use serde_json::Value as Json;

use crate::{
    canon::{self, Value},
    json::{all, date, first, leaf, number, system, text, texts},
    node::Node,
};

/// Value of the extension whose URL ends with `name`.
fn extension(of: &Json, name: &str) -> Option<String> {
    let found = all(of, "extension").into_iter().find(|extension| {
        extension.get("url").and_then(Json::as_str).is_some_and(|url| url.rsplit('/').next() == Some(name))
    })?;
    let values = found.as_object()?.iter();
    values.filter(|(key, _)| key.starts_with("value")).find_map(|(_, value)| leaf(value))
}

/// An authority: ReportStream keeps the universal id of an HD in extensions, beside or below the namespace.
fn authority(identifier: &Json) -> Option<Value> {
    let nested = all(identifier, "extension").into_iter();
    let places = identifier.get("_system").into_iter().chain([identifier]).chain(nested);
    for place in places {
        match (extension(place, "universal-id"), extension(place, "universal-id-type").as_deref()) {
            (Some(id), Some("ISO")) => return canon::system(&format!("urn:oid:{id}")),
            (Some(id), Some("UUID" | "GUID")) => {
                return canon::system(&format!("urn:uuid:{}", id.to_ascii_lowercase()));
            }
            (Some(id), _) => return canon::system(&id),
            (None, _) => {}
        }
        if let Some(namespace) = extension(place, "namespace-id") {
            return canon::system(&namespace);
        }
    }
    system(identifier, "system")
}

/// An identifier; one without a value identifies nothing.
pub(crate) fn identifier(kind: &'static str, json: &Json) -> Option<Node> {
    let value = text(json, "value")?;
    // The sender's own code, where a converter has put a standard one beside it.
    let r#type = match json.get("type") {
        Some(Json::String(code)) => canon::text(code),
        _ => text(json, "type.coding.code"),
    };
    let node = Node::new(kind).field("value", Some(value)).field("type", r#type);
    // Of an event the name of the authority too: an expectation has the one or the other.
    Some(node.field("system", authority(json)).field("system", system(json, "assigner")))
}

pub(crate) fn identifiers(kind: &'static str, json: &Json, path: &str) -> Vec<Node> {
    all(json, path).into_iter().filter_map(|json| identifier(kind, json)).collect()
}

pub(crate) fn names(json: &Json, path: &str) -> Vec<Node> {
    let name = |json: &Json| {
        Node::new("name")
            .field("use", text(json, "use"))
            .field("family", text(json, "family"))
            .fields("given", texts(json, "given"))
            .fields("prefix", texts(json, "prefix"))
            .fields("suffix", texts(json, "suffix"))
    };
    all(json, path).into_iter().map(name).collect()
}

pub(crate) fn addresses(json: &Json, path: &str) -> Vec<Node> {
    let address = |json: &Json| {
        Node::new("address")
            .field("use", text(json, "use"))
            .fields("line", texts(json, "line"))
            .field("city", text(json, "city"))
            .field("district", text(json, "district"))
            .field("state", text(json, "state"))
            .field("postalCode", text(json, "postalCode"))
            .field("country", text(json, "country"))
    };
    all(json, path).into_iter().map(address).collect()
}

/// Those with a number or address: FHIR asks for a value.
pub(crate) fn telecoms(json: &Json, path: &str) -> Vec<Node> {
    let telecom = |json: &Json| {
        let value = text(json, "value")?;
        let node = Node::new("telecom").field("value", Some(value)).field("system", text(json, "system"));
        Some(node.field("use", text(json, "use")))
    };
    all(json, path).into_iter().filter_map(telecom).collect()
}

/// The codings of a concept, and its text.
pub(crate) fn concept(kind: &'static str, json: &Json) -> Node {
    let codings = all(json, "coding");
    // A display without a code says what text says.
    let mut uncoded = codings.iter().filter(|coding| coding.get("code").is_none());
    let uncoded = uncoded.find_map(|coding| text(coding, "display"));
    let coding = |coding: &Json| {
        // ReportStream writes the name of the system as sent into an extension.
        let name = extension(coding, "cwe-coding-system").and_then(|name| canon::system(&name));
        let system = name.or_else(|| system(coding, "system"));
        let code = text(coding, "code");
        let display = text(coding, "display").filter(|_| code.is_some());
        Node::new("coding").field("code", code).field("display", display).field("system", system)
    };
    let said = text(json, "text").or(uncoded);
    Node::new(kind).field("text", said).with(codings.into_iter().map(coding))
}

pub(crate) fn concepts(kind: &'static str, json: &Json, path: &str) -> Vec<Node> {
    all(json, path).into_iter().map(|json| concept(kind, json)).collect()
}

pub(crate) fn quantity(kind: &'static str, json: &Json) -> Node {
    Node::new(kind)
        .field("value", number(json, "value"))
        .field("comparator", text(json, "comparator"))
        .field("unit", text(json, "unit"))
        .field("code", text(json, "code"))
        .field("system", system(json, "system"))
}

pub(crate) fn quantities(kind: &'static str, json: &Json, path: &str) -> Vec<Node> {
    all(json, path).into_iter().map(|json| quantity(kind, json)).collect()
}

pub(crate) fn period(json: &Json, path: &str) -> Option<Node> {
    let json = all(json, path).into_iter().next()?;
    Some(Node::new("period").field("start", date(json, "start")).field("end", date(json, "end")))
}

/// What both sides say of a patient.
pub(crate) fn patient(json: &Json) -> Node {
    let contact = |json: &Json| {
        // A converter lists a number once for each place that it has for it.
        let mut telecoms = telecoms(json, "telecom");
        let mut seen: Vec<Node> = Vec::new();
        telecoms.retain(|telecom| {
            let new = !seen.contains(telecom);
            seen.push(telecom.clone());
            new
        });
        Node::new("contact")
            .field("gender", text(json, "gender"))
            .with(names(json, "name"))
            .with(addresses(json, "address"))
            .with(telecoms)
            .with(concepts("relationship", json, "relationship"))
    };
    Node::new("Patient")
        .field("gender", text(json, "gender"))
        .field("birthDate", date(json, "birthDate"))
        .field("deceasedDateTime", date(json, "deceasedDateTime"))
        .field("deceasedBoolean", text(json, "deceasedBoolean"))
        .field("multipleBirthBoolean", text(json, "multipleBirthBoolean"))
        .field("multipleBirthInteger", text(json, "multipleBirthInteger"))
        .with(identifiers("identifier", json, "identifier"))
        .with(names(json, "name"))
        .with(addresses(json, "address"))
        .with(telecoms(json, "telecom"))
        .with(concepts("maritalStatus", json, "maritalStatus"))
        .with(all(json, "contact").into_iter().map(contact))
}

/// What both sides say of an observation, but for values that FHIR R4 has no type for.
pub(crate) fn observation(json: &Json) -> Node {
    let range = |json: &Json| {
        Node::new("valueRange").with(quantities("low", json, "low")).with(quantities("high", json, "high"))
    };
    let ratio = |json: &Json| {
        Node::new("valueRatio").with(quantities("numerator", json, "numerator")).with(quantities(
            "denominator",
            json,
            "denominator",
        ))
    };
    let absent = match json.get("dataAbsentReason") {
        Some(Json::String(code)) => canon::text(code),
        _ => text(json, "dataAbsentReason.coding.code"),
    };
    let interpretation = texts(json, "interpretation.coding.code");
    let interpretation =
        if interpretation.is_empty() { texts(json, "interpretation") } else { interpretation };
    let range_text = match json.get("referenceRange") {
        Some(Json::String(range)) => canon::text(range),
        _ => text(json, "referenceRange.text"),
    };
    let value_period = period(json, "valuePeriod").into_iter();
    Node::new("Observation")
        .field("status", text(json, "status"))
        .field("valueString", text(json, "valueString"))
        .field("valueDateTime", date(json, "valueDateTime"))
        .field("valueTime", text(json, "valueTime"))
        .field("dataAbsentReason", absent)
        .fields("interpretation", interpretation)
        .field("referenceRange", range_text)
        .field("effectiveDateTime", date(json, "effectiveDateTime"))
        .with(concepts("code", json, "code"))
        .with(quantities("valueQuantity", json, "valueQuantity"))
        .with(concepts("valueCodeableConcept", json, "valueCodeableConcept"))
        .with(all(json, "valueRange").into_iter().map(range))
        .with(all(json, "valueRatio").into_iter().map(ratio))
        .with(value_period.map(|period| Node { kind: "valuePeriod", ..period }))
        .with(concepts("method", json, "method"))
        .with(concepts("bodySite", json, "bodySite"))
        .with(identifiers("identifier", json, "identifier"))
        .fields("note", notes(json))
}

/// Annotations: text, or objects with one.
pub(crate) fn notes(json: &Json) -> Vec<Value> {
    let note = |json: &Json| leaf(json).or_else(|| first(json, "text"));
    all(json, "note").into_iter().filter_map(note).filter_map(|raw| canon::text(&raw)).collect()
}
