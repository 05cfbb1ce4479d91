//! Order, observations and report of a visit.

use serde_json::{Value, json};
use time::PrimitiveDateTime;

use super::{V2, Writer, decimal, instant, practitioner};
use crate::generate::catalogue::PANELS;
use crate::generate::hospital::Numbers;
use crate::generate::lab;

impl Writer<'_> {
    pub(super) fn service_request(
        &mut self,
        subject: &Value,
        encounter: &Value,
        doctor: usize,
        at: PrimitiveDateTime,
        numbers: &mut Numbers,
    ) {
        let panel = &PANELS[self.rng.below(PANELS.len() as u64) as usize];
        let number = numbers.issue("OP", 8, self.rng);
        let resource = json!({
            "resourceType": "ServiceRequest",
            "identifier": [{
                "type": { "coding": [{ "system": V2, "code": "PLAC" }] },
                "system": "urn:oid:2.16.840.1.113883.19.4.10",
                "value": self.known(&number),
            }],
            "status": "active",
            "intent": "order",
            "priority": "routine",
            "code": loinc(panel.loinc, panel.name),
            "subject": subject,
            "encounter": encounter,
            "authoredOn": instant(at),
            "requester": practitioner(doctor),
        });
        let full_url = self.uuid();
        self.add("ServiceRequest", &full_url, &resource, None);
    }

    pub(super) fn report(
        &mut self,
        subject: &Value,
        encounter: &Value,
        collected: PrimitiveDateTime,
        issued: PrimitiveDateTime,
        numbers: &mut Numbers,
    ) {
        let panel = &PANELS[self.rng.below(PANELS.len() as u64) as usize];
        let mut results = Vec::new();
        for analyte in panel.analytes {
            let value = lab::value(analyte, self.rng);
            let resource = json!({
                "resourceType": "Observation",
                "status": "final",
                "category": category(),
                "code": loinc(analyte.loinc, analyte.name),
                "subject": subject,
                "encounter": encounter,
                "effectiveDateTime": instant(collected),
                "issued": instant(issued),
                "valueQuantity": {
                    "value": decimal(value, analyte.decimals),
                    "unit": analyte.unit,
                    "system": "http://unitsofmeasure.org",
                    "code": analyte.unit,
                },
                "interpretation": [{
                    "coding": [{
                        "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation",
                        "code": lab::flag(analyte, value),
                    }],
                }],
                "referenceRange": [{
                    "low": { "value": decimal(analyte.low, analyte.decimals), "unit": analyte.unit },
                    "high": { "value": decimal(analyte.high, analyte.decimals), "unit": analyte.unit },
                }],
            });
            let full_url = self.uuid();
            self.add("Observation", &full_url, &resource, None);
            results.push(json!({ "reference": full_url }));
        }
        let filler = numbers.issue("LR", 8, self.rng);
        let resource = json!({
            "resourceType": "DiagnosticReport",
            "identifier": [{
                "type": { "coding": [{ "system": V2, "code": "FILL" }] },
                "system": "urn:oid:2.16.840.1.113883.19.4.9",
                "value": self.known(&filler),
            }],
            "status": "final",
            "category": [{ "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/v2-0074", "code": "CH" }] }],
            "code": loinc(panel.loinc, panel.name),
            "subject": subject,
            "encounter": encounter,
            "effectiveDateTime": instant(collected),
            "issued": instant(issued),
            "result": results,
        });
        let full_url = self.uuid();
        self.add("DiagnosticReport", &full_url, &resource, None);
    }
}

fn category() -> Value {
    let system = "http://terminology.hl7.org/CodeSystem/observation-category";
    json!([{ "coding": [{ "system": system, "code": "laboratory" }] }])
}

fn loinc(code: &str, name: &str) -> Value {
    json!({ "coding": [{ "system": "http://loinc.org", "code": code, "display": name }], "text": name })
}
