//! What an expected Bundle says, as far as an event could say it.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::{
    canon::relationship,
    json::{all, date, first, number, text, texts},
    node::Node,
    parts::{
        addresses, concept, concepts, identifier, identifiers, names, notes, observation, patient, period,
        telecoms,
    },
};

/// The resources of a Bundle.
pub(crate) struct Bundle<'j> {
    resources: Vec<&'j Json>,
    by_reference: BTreeMap<String, &'j Json>,
}

impl<'j> Bundle<'j> {
    pub(crate) fn new(bundle: &'j Json) -> Self {
        let mut resources = Vec::new();
        let mut by_reference = BTreeMap::new();
        for entry in all(bundle, "entry") {
            let Some(resource) = entry.get("resource") else { continue };
            resources.push(resource);
            if let (Some(kind), Some(id)) = (first(resource, "resourceType"), first(resource, "id")) {
                by_reference.insert(format!("{kind}/{id}"), resource);
            }
            if let Some(url) = first(entry, "fullUrl") {
                by_reference.insert(url, resource);
            }
        }
        Self { resources, by_reference }
    }

    fn of<'s>(&'s self, kind: &'s str) -> impl Iterator<Item = &'j Json> + 's {
        self.resources.iter().copied().filter(move |resource| resource["resourceType"] == kind)
    }

    fn referenced(&self, from: &Json, path: &str) -> Vec<&'j Json> {
        let references = all(from, path).into_iter().filter_map(|place| first(place, "reference"));
        references.filter_map(|reference| self.by_reference.get(&reference).copied()).collect()
    }

    /// All that is compared, of the kinds that this message's events carry.
    pub(crate) fn root(&self, kinds: &[&str]) -> Node {
        let mut root = Node::new("");
        for kind in kinds {
            let nodes: Vec<Node> = match *kind {
                "Patient" => self.of("Patient").map(patient).collect(),
                "Encounter" => self.of("Encounter").map(|json| self.encounter(json)).collect(),
                // Where an event has the visit's number alone.
                "Visit" => self.of("Encounter").map(visit).collect(),
                "Account" => {
                    self.of("Account").filter(|json| json["identifier"].is_array()).map(account).collect()
                }
                "Coverage" => self.of("Coverage").map(|json| self.coverage(json)).collect(),
                "Diagnosis" => self.diagnoses(),
                "Procedure" => {
                    self.of("Procedure").filter(|json| is_performed(json)).map(procedure).collect()
                }
                "DiagnosticReport" => self.of("DiagnosticReport").map(|json| self.report(json)).collect(),
                "Observation" => {
                    self.of("Observation").filter(|json| json["code"].is_object()).map(observation).collect()
                }
                "ServiceRequest" => self.of("ServiceRequest").map(|json| self.request(json)).collect(),
                "Specimen" => self.of("Specimen").map(specimen).collect(),
                "Appointment" => self.of("Appointment").map(|json| self.appointment(json)).collect(),
                "ChargeItem" => self.of("ChargeItem").map(|json| self.charge(json)).collect(),
                _ => Vec::new(),
            };
            // The same in two resources is one.
            let once = ["Account", "Visit", "Patient"].contains(kind);
            for node in nodes {
                if !(once && root.children.contains(&node)) {
                    root = root.with([node]);
                }
            }
        }
        forget_standard_texts(&mut root);
        root
    }

    fn encounter(&self, json: &Json) -> Node {
        Node::new("Encounter")
            .field("status", text(json, "status"))
            .field("class", text(json, "class.code"))
            .field("reAdmission", text(json, "hospitalization.reAdmission.coding.code"))
            .with(identifiers("identifier", json, "identifier"))
            .with(identifiers("preAdmissionIdentifier", json, "hospitalization.preAdmissionIdentifier"))
            .with(period(json, "period"))
            .with(concepts("type", json, "type"))
            .with(concepts("serviceType", json, "serviceType"))
            .with(concepts("admitSource", json, "hospitalization.admitSource"))
            .with(concepts("dischargeDisposition", json, "hospitalization.dischargeDisposition"))
            .with(concepts("reasonCode", json, "reasonCode"))
            .with(concepts("priority", json, "priority"))
            .with(all(json, "location").into_iter().map(|place| self.location(place)))
            .with(all(json, "participant").into_iter().map(|who| self.participant(who)))
    }

    /// The place with all that it is part of, by physical type.
    fn location(&self, place: &Json) -> Node {
        let mut node = Node::new("location").field("status", text(place, "status"));
        let mut at = self.referenced(place, "location").first().copied();
        let mut parts: Vec<&Json> = Vec::new();
        while let Some(location) = at {
            if parts.iter().any(|known| known["id"] == location["id"]) {
                break;
            }
            parts.push(location);
            at = self.referenced(location, "partOf").first().copied();
        }
        // The FHIR converter refers to the outermost only; all of one PL have its whole text as description.
        if let Some(whole) =
            parts.first().and_then(|part| first(part, "description")).filter(|text| text.contains("--"))
        {
            parts.extend(self.of("Location").filter(|location| location["description"] == whole.as_str()));
        }
        for part in parts {
            let name = text(part, "name").or_else(|| text(&part["identifier"][0], "value"));
            let kind = match first(part, "physicalType.coding.code").as_deref() {
                Some("bd") => "bed",
                Some("ro") => "room",
                Some("bu") => "building",
                Some("si") => "facility",
                // Floor and ward alike: v2-to-FHIR has no code for a ward.
                _ => "ward",
            };
            let known =
                node.fields.iter().any(|(field, value)| *field == kind && Some(value) == name.as_ref());
            if !known {
                node = node.field(kind, name);
            }
        }
        node
    }

    fn participant(&self, who: &Json) -> Node {
        let role = text(who, "type.coding.code").and_then(|code| {
            let role = match code.raw.as_str() {
                "ATND" => "attender",
                "REF" => "referrer",
                "CON" => "consultant",
                "ADM" => "admitter",
                _ => "other",
            };
            crate::canon::text(role)
        });
        let mut node = Node::new("participant").field("role", role);
        for person in self.referenced(who, "individual") {
            node = node.with(identifier("person", &person["identifier"][0])).with(names(person, "name"));
        }
        node
    }

    fn coverage(&self, json: &Json) -> Node {
        let class = |code: &str| {
            let classes = all(json, "class").into_iter();
            classes
                .filter(|class| first(class, "type.coding.code").as_deref() == Some(code))
                .collect::<Vec<_>>()
        };
        let subscriber =
            self.referenced(json, "subscriber").into_iter().filter(|who| who["resourceType"] != "Patient");
        let payors = self.referenced(json, "payor");
        let of_class = |code, path| class(code).into_iter().find_map(|class| text(class, path));
        let mut node = Node::new("Coverage")
            .field("plan", of_class("plan", "value"))
            .field("group", of_class("group", "value"))
            .field("groupName", of_class("group", "name"))
            .field("type", text(json, "type.coding.code"))
            .field(
                "relationship",
                first(json, "relationship.coding.code").and_then(|code| relationship(&code)),
            )
            .field("subscriberId", text(json, "subscriberId"))
            .fields("payerName", payors.iter().filter_map(|payor| text(payor, "name")))
            .with(period(json, "period"))
            .with(payors.iter().flat_map(|payor| identifiers("payerIdentifier", payor, "identifier")))
            .with(payors.iter().flat_map(|payor| addresses(payor, "address")))
            .with(payors.iter().flat_map(|payor| telecoms(payor, "telecom")));
        for id in all(json, "identifier") {
            let kind = match first(id, "type.coding.code").as_deref() {
                Some("PLN") => "policyNumber",
                Some("MB") => "memberNumber",
                _ => continue,
            };
            node = node.field(kind, text(id, "value"));
        }
        node.with(subscriber.map(|who| {
            Node::new("subscriber").field("birthDate", date(who, "birthDate")).with(names(who, "name"))
        }))
    }

    /// The conditions that encounters name as diagnoses.
    fn diagnoses(&self) -> Vec<Node> {
        let mut found = Vec::new();
        for encounter in self.of("Encounter") {
            for entry in all(encounter, "diagnosis") {
                for condition in self.referenced(entry, "condition") {
                    let node = Node::new("Diagnosis")
                        .field("rank", text(entry, "rank"))
                        .field("recordedDate", date(condition, "onsetDateTime"))
                        .with(concepts("code", condition, "code"));
                    found.push(node);
                }
            }
        }
        found
    }

    fn report(&self, json: &Json) -> Node {
        let effective = date(json, "effectiveDateTime").or_else(|| date(json, "effectivePeriod.start"));
        let specimens = self.referenced(json, "specimen").into_iter();
        Node::new("DiagnosticReport")
            .field("status", text(json, "status"))
            .field("effectiveDateTime", effective)
            .field("issued", date(json, "issued"))
            .fields("category", texts(json, "category.coding.code"))
            .fields("specimen", specimens.filter_map(|specimen| text(specimen, "type.coding.code")))
            .with(order_numbers(json))
            .with(concepts("code", json, "code"))
    }

    fn request(&self, json: &Json) -> Node {
        let requesters = self.referenced(json, "requester").into_iter().flat_map(|who| {
            let of_role = self.referenced(who, "practitioner");
            if of_role.is_empty() { vec![who] } else { of_role }
        });
        let requesters = requesters.filter(|who| who["resourceType"] == "Practitioner").map(|person| {
            Node::new("requester")
                .with(identifier("person", &person["identifier"][0]))
                .with(names(person, "name"))
        });
        Node::new("ServiceRequest")
            .field("status", text(json, "status"))
            .field("priority", text(json, "priority"))
            .field("authoredOn", date(json, "authoredOn"))
            .with(order_numbers(json))
            .with(concepts("code", json, "code"))
            .with(concepts("reasonCode", json, "reasonCode"))
            .with(requesters.collect::<Vec<_>>())
            .fields("note", notes(json))
    }

    fn appointment(&self, json: &Json) -> Node {
        let people = all(json, "participant").into_iter().flat_map(|who| self.referenced(who, "actor"));
        let people = people.filter(|who| who["resourceType"] == "Practitioner").map(|person| {
            Node::new("participant")
                .with(identifier("person", &person["identifier"][0]))
                .with(names(person, "name"))
        });
        Node::new("Appointment")
            .field("status", text(json, "status"))
            .field("start", date(json, "start"))
            .field("end", date(json, "end"))
            .field("minutesDuration", text(json, "minutesDuration"))
            .field("comment", text(json, "comment"))
            .with(identifiers("identifier", json, "identifier"))
            .with(concepts("appointmentType", json, "appointmentType"))
            .with(people.collect::<Vec<_>>())
    }

    fn charge(&self, json: &Json) -> Node {
        let performers = all(json, "performer").into_iter().flat_map(|who| self.referenced(who, "actor"));
        let performers = performers.filter(|who| who["resourceType"] == "Practitioner").map(|person| {
            Node::new("performer")
                .with(identifier("person", &person["identifier"][0]))
                .with(names(person, "name"))
        });
        Node::new("ChargeItem")
            .field("occurrence", date(json, "occurrenceDateTime"))
            .field("posted", date(json, "enteredDate"))
            .field("quantity", number(json, "quantity.value"))
            .field("price", number(json, "priceOverride.value"))
            .field("currency", text(json, "priceOverride.currency"))
            .with(identifiers("identifier", json, "identifier"))
            .with(concepts("code", json, "code"))
            .with(concepts("reason", json, "reason"))
            .with(performers.collect::<Vec<_>>())
    }
}

/// Converters replace the sender's text of a code of HL7's own tables by the table's: nothing to compare with.
fn forget_standard_texts(node: &mut Node) {
    let own = node.value("system").is_some_and(|system| system.contains("terminology.hl7.org"));
    if node.kind == "coding" && own {
        node.fields.retain(|(name, _)| *name != "display");
    }
    node.children.iter_mut().for_each(forget_standard_texts);
}

fn visit(json: &Json) -> Node {
    let is_visit = |json: &&Json| first(json, "type.coding.code").as_deref() == Some("VN");
    let numbers = all(json, "identifier").into_iter().filter(is_visit);
    Node::new("Visit").with(numbers.filter_map(|json| identifier("identifier", json)).take(1))
}

fn account(json: &Json) -> Node {
    Node::new("Account").with(identifiers("identifier", json, "identifier"))
}

/// PR1, and not the procedure that a charge or an order names.
fn is_performed(json: &Json) -> bool {
    json["performedDateTime"].is_string() || json["performedPeriod"].is_object()
}

fn procedure(json: &Json) -> Node {
    let performed = date(json, "performedDateTime").or_else(|| date(json, "performedPeriod.start"));
    Node::new("Procedure").field("performedDateTime", performed).with([concept("code", &json["code"])])
}

/// Placer's and filler's number.
fn order_numbers(json: &Json) -> Vec<Node> {
    let number = |json: &Json| match first(json, "type.coding.code").as_deref() {
        Some("PLAC") => identifier("placer", json),
        Some("FILL") => identifier("filler", json),
        _ => None,
    };
    let mut numbers: Vec<Node> = all(json, "identifier").into_iter().filter_map(number).collect();
    // Further ones of a kind are alternates (ORC-33).
    numbers.sort_by_key(|node| node.kind);
    numbers.dedup_by_key(|node| node.kind);
    for node in &mut numbers {
        node.fields.retain(|(field, _)| *field != "type");
    }
    numbers
}

fn specimen(json: &Json) -> Node {
    let collected =
        date(json, "collection.collectedDateTime").or_else(|| date(json, "collection.collectedPeriod.start"));
    let mut numbers = identifiers("identifier", json, "identifier");
    for node in &mut numbers {
        node.fields.retain(|(field, _)| *field != "type");
    }
    Node::new("Specimen")
        .field("collected", collected)
        .field("received", date(json, "receivedTime"))
        .with(numbers)
        .with(concepts("type", json, "type"))
}
