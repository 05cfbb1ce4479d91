//! Coverage, claim and charges of a visit.

use serde_json::{Value, json};
use time::PrimitiveDateTime;

use super::{CPT, ICD10, Writer, day, decimal, instant, practitioner};
use crate::generate::billing::SERVICES;
use crate::generate::hospital::{Numbers, Patient};
use crate::generate::names;

impl Writer<'_> {
    pub(super) fn coverage(&mut self, patient: &Patient, subject: &Value) -> Option<Value> {
        let cover = patient.insurance.as_ref()?;
        let (id, plan, _) = names::PAYER[cover.payer];
        let resource = json!({
            "resourceType": "Coverage",
            "status": "active",
            "subscriber": subject,
            "subscriberId": self.known(&cover.policy),
            "beneficiary": subject,
            "relationship": {
                "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/subscriber-relationship", "code": "self" }],
            },
            "payor": [{ "identifier": { "system": "urn:oid:2.16.840.1.113883.6.300", "value": id }, "display": plan }],
            "class": [{
                "type": {
                    "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/coverage-class", "code": "group" }],
                },
                "value": self.known(&cover.group),
            }],
            "order": 1,
        });
        let full_url = self.uuid();
        self.add("Coverage", &full_url, &resource, None);
        Some(json!({ "reference": full_url }))
    }

    pub(super) fn claim(
        &mut self,
        subject: &Value,
        encounter: &Value,
        coverage: &Value,
        doctor: usize,
        at: PrimitiveDateTime,
        numbers: &mut Numbers,
    ) {
        let number = numbers.issue("CLM", 8, self.rng);
        let first = self.rng.below(SERVICES.len() as u64) as usize;
        let services = [SERVICES[first], SERVICES[(first + 1) % SERVICES.len()]];
        let services = &services[..self.rng.between(1, 2) as usize];
        let total: u64 = services.iter().map(|(_, _, cents, _)| cents).sum();
        let items: Vec<_> = (1..)
            .zip(services)
            .map(|(sequence, (code, name, cents, _))| {
                json!({
                    "sequence": sequence,
                    "diagnosisSequence": [1],
                    "productOrService": { "coding": [{ "system": CPT, "code": code, "display": name }] },
                    "servicedDate": day(at.date()),
                    "quantity": { "value": 1 },
                    "unitPrice": usd(*cents),
                    "net": usd(*cents),
                    "encounter": [encounter],
                })
            })
            .collect();
        let resource = json!({
            "resourceType": "Claim",
            "identifier": [{ "system": "urn:oid:2.16.840.1.113883.19.4.11", "value": self.known(&number) }],
            "status": "active",
            "type": {
                "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/claim-type", "code": "professional" }],
            },
            "use": "claim",
            "patient": subject,
            "created": instant(at),
            "provider": practitioner(doctor),
            "priority": {
                "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/processpriority", "code": "normal" }],
            },
            "diagnosis": [{
                "sequence": 1,
                "diagnosisCodeableConcept": { "coding": [{ "system": ICD10, "code": "I10" }] },
            }],
            "insurance": [{ "sequence": 1, "focal": true, "coverage": coverage }],
            "item": items,
            "total": usd(total),
        });
        let full_url = self.uuid();
        self.add("Claim", &full_url, &resource, None);
    }

    pub(super) fn charge_item(
        &mut self,
        subject: &Value,
        encounter: &Value,
        doctor: usize,
        at: PrimitiveDateTime,
        numbers: &mut Numbers,
    ) {
        let (code, name, cents, _) = SERVICES[self.rng.below(SERVICES.len() as u64) as usize];
        let number = numbers.issue("TX", 8, self.rng);
        let resource = json!({
            "resourceType": "ChargeItem",
            "identifier": [{ "system": "urn:oid:2.16.840.1.113883.19.4.12", "value": self.known(&number) }],
            "status": "billable",
            "code": { "coding": [{ "system": CPT, "code": code, "display": name }] },
            "subject": subject,
            "context": encounter,
            "occurrenceDateTime": instant(at),
            "performer": [{ "actor": practitioner(doctor) }],
            "quantity": { "value": 1 },
            "priceOverride": usd(cents),
        });
        let full_url = self.uuid();
        self.add("ChargeItem", &full_url, &resource, None);
    }
}

fn usd(cents: u64) -> Value {
    json!({ "value": decimal(cents as f64 / 100.0, 2), "currency": "USD" })
}
