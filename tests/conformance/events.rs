//! What the canonical events of a message say, in the form of the expectation.

use ehr_ingest::mapping::{Event, Payload};
use serde_json::Value as Json;

use crate::{
    canon::Value,
    json::{all, date, number, text, texts},
    node::Node,
    parts::{
        addresses, concepts, identifier, identifiers, names, notes, observation, patient, period, telecoms,
    },
};

/// All that events say; the same thing in two events of a message counts once.
pub(crate) fn root(events: &[Event]) -> Node {
    let mut root = Node::new("");
    let mut add = |node: Node| {
        let once = ["Patient", "Account", "Coverage", "Diagnosis", "Procedure", "Visit"].contains(&node.kind);
        let known = once && root.children.contains(&node);
        if !node.is_empty() && !known {
            root.children.push(node);
        }
    };
    for event in events {
        let json = json(event);
        add(patient(&json["patient"]));
        add(Node::new("Visit").with(identifiers("identifier", &json, "visit")));
        for account in ["account", "encounter.account"] {
            add(Node::new("Account").with(identifiers("identifier", &json, account)));
        }
        all(&json, "encounter").into_iter().map(encounter).for_each(&mut add);
        all(&json, "coverage").into_iter().map(coverage).for_each(&mut add);
        for path in ["encounter.diagnosis", "diagnosis", "order.diagnosis"] {
            all(&json, path).into_iter().map(diagnosis).for_each(&mut add);
        }
        for path in ["encounter.procedure", "procedure"] {
            all(&json, path).into_iter().map(procedure).for_each(&mut add);
        }
        all(&json, "report").into_iter().map(report).for_each(&mut add);
        all(&json, "order").into_iter().map(request).for_each(&mut add);
        for path in ["report.result", "order.supportingInfo", "observation"] {
            all(&json, path).into_iter().map(observation).for_each(&mut add);
        }
        for path in ["report.specimen", "order.specimen"] {
            all(&json, path).into_iter().map(specimen).for_each(&mut add);
        }
        all(&json, "appointment").into_iter().map(appointment).for_each(&mut add);
        all(&json, "charge").into_iter().map(charge).for_each(&mut add);
    }
    root
}

/// An event's payload under its names on the wire.
pub(crate) fn json(event: &Event) -> Json {
    let payload = match &event.payload {
        Payload::Patient(event) => serde_json::to_value(event),
        Payload::Encounter(event) => serde_json::to_value(event),
        Payload::Appointment(event) => serde_json::to_value(event),
        Payload::Order(event) => serde_json::to_value(event),
        Payload::Result(event) => serde_json::to_value(event),
        Payload::Charge(event) => serde_json::to_value(event),
    };
    payload.unwrap()
}

fn person(kind: &'static str, json: &Json) -> Node {
    Node::new(kind).with(identifier("person", &json["identifier"])).with(names(json, "name"))
}

fn encounter(json: &Json) -> Node {
    let location = |json: &Json| {
        // FHIR's codes of physical types have one for floors and none for wards: the expectation has both as one.
        Node::new("location")
            .field("status", text(json, "status"))
            .field("ward", text(json, "pointOfCare"))
            .field("ward", text(json, "floor"))
            .field("room", text(json, "room"))
            .field("bed", text(json, "bed"))
            .field("facility", text(json, "facility"))
            .field("building", text(json, "building"))
    };
    let participant = |json: &Json| person("participant", json).field("role", text(json, "role"));
    Node::new("Encounter")
        .field("status", text(json, "status"))
        .field("class", text(json, "class.code"))
        .field("reAdmission", text(json, "reAdmission"))
        .with(identifiers("identifier", json, "identifier"))
        .with(identifiers("preAdmissionIdentifier", json, "preAdmitNumber"))
        .with(period(json, "period"))
        .with(concepts("type", json, "type"))
        .with(concepts("serviceType", json, "serviceType"))
        .with(concepts("admitSource", json, "admitSource"))
        .with(concepts("dischargeDisposition", json, "dischargeDisposition"))
        .with(concepts("reasonCode", json, "reasonCode"))
        .with(concepts("priority", json, "priority"))
        .with(all(json, "location").into_iter().map(location))
        .with(all(json, "participant").into_iter().map(participant))
}

fn coverage(json: &Json) -> Node {
    let subscriber = Node::new("subscriber")
        .field("birthDate", date(json, "subscriberBirthDate"))
        .with(names(json, "subscriberName"));
    Node::new("Coverage")
        .field("plan", text(json, "planId.coding.code"))
        .field("group", text(json, "group"))
        .field("groupName", text(json, "groupName"))
        .field("type", text(json, "type.coding.code"))
        .field("relationship", text(json, "relationship"))
        .field("policyNumber", text(json, "subscriberId"))
        .field("memberNumber", text(json, "memberId"))
        // FHIR R4's subscriberId is the number that the payer knows the subscriber by: IN1-49 in v2-to-FHIR.
        .field("subscriberId", text(json, "memberId"))
        .field("payerName", text(json, "payerName"))
        .with(period(json, "period"))
        .with([Node::new("payerIdentifier").field("value", text(json, "payerId"))])
        .with(addresses(json, "payerAddress"))
        .with(telecoms(json, "payerTelecom"))
        .with([subscriber])
}

fn diagnosis(json: &Json) -> Node {
    Node::new("Diagnosis")
        .field("rank", text(json, "rank"))
        .field("recordedDate", date(json, "recordedDate"))
        .with(concepts("code", json, "code"))
}

fn procedure(json: &Json) -> Node {
    Node::new("Procedure")
        .field("performedDateTime", date(json, "performedDateTime"))
        .with(concepts("code", json, "code"))
}

fn order_numbers(json: &Json) -> Vec<Node> {
    let number = |kind, name: &str| identifier(kind, &json[name]);
    [number("filler", "fillerOrderNumber"), number("placer", "placerOrderNumber")]
        .into_iter()
        .flatten()
        .collect()
}

fn report(json: &Json) -> Node {
    Node::new("DiagnosticReport")
        .field("status", text(json, "status"))
        .field("effectiveDateTime", date(json, "effectiveDateTime"))
        .field("issued", date(json, "issued"))
        .fields("category", texts(json, "category"))
        .fields("specimen", texts(json, "specimen.type.coding.code"))
        .with(order_numbers(json))
        .with(concepts("code", json, "code"))
}

fn request(json: &Json) -> Node {
    Node::new("ServiceRequest")
        .field("status", text(json, "status"))
        .field("priority", text(json, "priority"))
        .field("authoredOn", date(json, "authoredOn"))
        .with(order_numbers(json))
        .with(concepts("code", json, "code"))
        .with(concepts("reasonCode", json, "reasonCode"))
        .with(all(json, "requester").into_iter().map(|who| person("requester", who)))
        .fields("note", notes(json))
}

fn specimen(json: &Json) -> Node {
    Node::new("Specimen")
        .field("collected", date(json, "collectedDateTime"))
        .field("received", date(json, "receivedTime"))
        .with(identifiers("identifier", json, "identifier"))
        .with(identifiers("identifier", json, "placerIdentifier"))
        .with(concepts("type", json, "type"))
}

fn appointment(json: &Json) -> Node {
    Node::new("Appointment")
        .field("status", text(json, "status"))
        .field("start", date(json, "start"))
        .field("end", date(json, "end"))
        .field("minutesDuration", text(json, "minutesDuration"))
        .field("comment", text(json, "comment"))
        .with(identifiers("identifier", json, "identifier"))
        .with(concepts("appointmentType", json, "appointmentType"))
        .with(all(json, "participant").into_iter().map(|who| person("participant", who)))
}

fn charge(json: &Json) -> Node {
    let price = ["amount.value", "unitPrice.value"].iter().find_map(|path| number(json, path));
    let currency: Option<Value> =
        ["amount.currency", "unitPrice.currency"].iter().find_map(|path| text(json, path));
    Node::new("ChargeItem")
        .field("occurrence", date(json, "occurrence.start"))
        .field("posted", date(json, "posted"))
        .field("quantity", number(json, "quantity.value"))
        .field("price", price)
        .field("currency", currency)
        .with(identifiers("identifier", json, "identifier"))
        .with(concepts("code", json, "code"))
        .with(concepts("reason", json, "diagnosis.code"))
        .with(all(json, "performer").into_iter().map(|who| person("performer", who)))
}
