//! What a clinic's newer system sends: one FHIR R4 transaction Bundle per visit, with everything that belongs to it.
//!
//! References are by `urn:uuid` within the Bundle and by identifier (`Practitioner?identifier=`) to what is elsewhere, as
//! common exporters write them. All ids come from the seed.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use time::{Date, Duration, PrimitiveDateTime};

use super::billing::SERVICES;
use super::catalogue::PANELS;
use super::hospital::{Numbers, Patient};
use super::{lab, names};
use crate::rng::Rng;

/// The record numbers' authority: the one that HL7 v2 messages write as `GENHOSP&2.16.840.1.113883.19.4.6&ISO`.
const RECORDS: &str = "urn:oid:2.16.840.1.113883.19.4.6";
const VISITS: &str = "urn:oid:2.16.840.1.113883.19.4.7";
const NPI: &str = "http://hl7.org/fhir/sid/us-npi";
const CPT: &str = "http://www.ama-assn.org/go/cpt";
const ICD10: &str = "http://hl7.org/fhir/sid/icd-10-cm";
const V2: &str = "http://terminology.hl7.org/CodeSystem/v2-0203";

/// A Bundle and what is known about it.
pub(super) struct Bundle {
    pub(super) bytes: Vec<u8>,
    pub(super) phi: Vec<String>,
    pub(super) resources: BTreeMap<&'static str, usize>,
}

/// The Bundle of one visit of `patient`.
pub(super) fn visit(
    patient: &Patient,
    identifier: &str,
    at: PrimitiveDateTime,
    numbers: &mut Numbers,
    rng: &mut Rng,
) -> Bundle {
    let mut writer = Writer { rng, entries: Vec::new(), phi: Vec::new(), resources: BTreeMap::new() };
    writer.write(patient, at, numbers);
    let Writer { entries, mut phi, resources, .. } = writer;
    let bundle = json!({
        "resourceType": "Bundle",
        "identifier": { "system": "urn:oid:2.16.840.1.113883.19.4.8", "value": identifier },
        "type": "transaction",
        "timestamp": instant(at),
        "entry": entries,
    });
    phi.sort_unstable();
    phi.dedup();
    Bundle { bytes: bundle.to_string().into_bytes(), phi, resources }
}

struct Writer<'a> {
    rng: &'a mut Rng,
    entries: Vec<Value>,
    phi: Vec<String>,
    resources: BTreeMap<&'static str, usize>,
}

impl Writer<'_> {
    fn write(&mut self, patient: &Patient, at: PrimitiveDateTime, numbers: &mut Numbers) {
        let doctor = self.rng.below(names::DOCTOR.len() as u64) as usize;
        let seen = at - Duration::minutes(self.rng.between(40, 400) as i64);
        let subject = self.patient(patient);
        let condition = self.uuid();
        let encounter = self.encounter(&subject, &condition, doctor, (seen, at), numbers);
        self.condition(condition, &subject, &encounter, seen);
        let coverage = self.coverage(patient, &subject);
        if self.rng.chance(0.3) {
            self.service_request(&subject, &encounter, doctor, seen, numbers);
        }
        for _ in 0..self.rng.between(1, 2) {
            self.report(&subject, &encounter, seen, at, numbers);
        }
        if let Some(coverage) = &coverage {
            self.claim(&subject, &encounter, coverage, doctor, at, numbers);
        }
        if coverage.is_none() || self.rng.chance(0.4) {
            self.charge_item(&subject, &encounter, doctor, seen, numbers);
        }
        if self.rng.chance(0.5) {
            self.appointment(&subject, doctor, at, numbers);
        }
    }

    fn patient(&mut self, patient: &Patient) -> Value {
        let name = json!([{
            "use": "official",
            "family": self.known(&patient.family),
            "given": [self.known(&patient.given)],
        }]);
        let phone = format!("{}-{}", patient.phone.area, patient.phone.local);
        let resource = json!({
            "resourceType": "Patient",
            "identifier": [{
                "use": "usual",
                "type": { "coding": [{ "system": V2, "code": "MR" }] },
                "system": RECORDS,
                "value": self.known(&patient.mrn),
            }],
            "active": true,
            "name": name,
            "telecom": [{ "system": "phone", "value": self.known(&phone), "use": "home" }],
            "gender": if patient.sex == "F" { "female" } else { "male" },
            "birthDate": self.known(&day(patient.birth)),
            "address": [{
                "use": "home",
                "line": [self.known(&patient.address.street)],
                "city": patient.address.city,
                "state": patient.address.state,
                "postalCode": patient.address.zip,
                "country": "US",
            }],
        });
        let full_url = self.uuid();
        let condition = format!("identifier={RECORDS}|{}", patient.mrn);
        self.add("Patient", &full_url, resource, Some(&condition));
        json!({ "reference": full_url })
    }

    fn encounter(
        &mut self,
        subject: &Value,
        condition: &str,
        doctor: usize,
        (start, end): (PrimitiveDateTime, PrimitiveDateTime),
        numbers: &mut Numbers,
    ) -> Value {
        let visit = numbers.issue("VN", 8, self.rng);
        let (class, display) =
            if self.rng.chance(0.8) { ("AMB", "ambulatory") } else { ("EMER", "emergency") };
        let resource = json!({
            "resourceType": "Encounter",
            "identifier": [{ "system": VISITS, "value": self.known(&visit) }],
            "status": "finished",
            "class": { "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": class, "display": display },
            "type": [{ "coding": [{ "system": CPT, "code": "99213" }], "text": "Office visit" }],
            "subject": subject,
            "participant": [{ "individual": practitioner(doctor) }],
            "period": { "start": instant(start), "end": instant(end) },
            "diagnosis": [{ "condition": { "reference": condition }, "rank": 1 }],
            "location": [{ "location": { "display": "General Hospital Clinic" } }],
        });
        let full_url = self.uuid();
        self.add("Encounter", &full_url, resource, None);
        json!({ "reference": full_url })
    }

    fn condition(&mut self, full_url: String, subject: &Value, encounter: &Value, at: PrimitiveDateTime) {
        const CODES: [(&str, &str); 3] =
            [("I10", "Essential hypertension"), ("E11.9", "Type 2 diabetes"), ("J18.9", "Pneumonia")];
        let (code, display) = CODES[self.rng.below(3) as usize];
        let resource = json!({
            "resourceType": "Condition",
            "clinicalStatus": {
                "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active" }],
            },
            "code": { "coding": [{ "system": ICD10, "code": code, "display": display }], "text": display },
            "subject": subject,
            "encounter": encounter,
            "recordedDate": instant(at),
        });
        self.add("Condition", &full_url, resource, None);
    }

    fn coverage(&mut self, patient: &Patient, subject: &Value) -> Option<Value> {
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
        self.add("Coverage", &full_url, resource, None);
        Some(json!({ "reference": full_url }))
    }

    fn service_request(
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
        self.add("ServiceRequest", &full_url, resource, None);
    }

    fn report(
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
                "category": laboratory(),
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
            self.add("Observation", &full_url, resource, None);
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
        self.add("DiagnosticReport", &full_url, resource, None);
    }

    fn claim(
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
        self.add("Claim", &full_url, resource, None);
    }

    fn charge_item(
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
        self.add("ChargeItem", &full_url, resource, None);
    }

    fn appointment(&mut self, subject: &Value, doctor: usize, at: PrimitiveDateTime, numbers: &mut Numbers) {
        let number = numbers.issue("APT", 8, self.rng);
        let start = at + Duration::hours(self.rng.between(48, 900) as i64);
        let participants = [subject.clone(), practitioner(doctor)]
            .map(|actor| json!({ "actor": actor, "status": "accepted" }));
        let resource = json!({
            "resourceType": "Appointment",
            "identifier": [{ "system": "urn:oid:2.16.840.1.113883.19.4.13", "value": self.known(&number) }],
            "status": "booked",
            "serviceType": [{ "text": "Follow-up" }],
            "start": instant(start),
            "end": instant(start + Duration::minutes(30)),
            "minutesDuration": 30,
            "participant": participants,
        });
        let full_url = self.uuid();
        self.add("Appointment", &full_url, resource, None);
    }

    /// Notes an identifying value.
    fn known(&mut self, value: &str) -> String {
        if value.chars().count() > 2 || !value.is_ascii() {
            self.phi.push(value.to_owned());
        }
        value.to_owned()
    }

    fn add(&mut self, kind: &'static str, full_url: &str, resource: Value, if_none_exist: Option<&str>) {
        *self.resources.entry(kind).or_default() += 1;
        let mut request = json!({ "method": "POST", "url": kind });
        if let Some(condition) = if_none_exist {
            request["ifNoneExist"] = condition.into();
        }
        self.entries.push(json!({ "fullUrl": full_url, "resource": resource, "request": request }));
    }

    /// A UUID of version 4 in form; its bits come from the seed.
    fn uuid(&mut self) -> String {
        let (high, low) = (self.rng.next_u64(), self.rng.next_u64());
        format!(
            "urn:uuid:{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xFFFF,
            high & 0xFFF,
            0x8000 | ((low >> 48) & 0x3FFF),
            low & 0xFFFF_FFFF_FFFF,
        )
    }
}

fn practitioner(doctor: usize) -> Value {
    let (npi, family, given) = names::DOCTOR[doctor];
    json!({ "reference": format!("Practitioner?identifier={NPI}|{npi}"), "display": format!("Dr. {given} {family}") })
}

fn laboratory() -> Value {
    json!([{ "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "laboratory" }] }])
}

fn loinc(code: &str, name: &str) -> Value {
    json!({ "coding": [{ "system": "http://loinc.org", "code": code, "display": name }], "text": name })
}

fn usd(cents: u64) -> Value {
    json!({ "value": decimal(cents as f64 / 100.0, 2), "currency": "USD" })
}

/// The number with this many decimals. A JSON number of serde_json has no trailing zeros, which is what most systems
/// send as well.
fn decimal(value: f64, decimals: usize) -> Value {
    format!("{value:.decimals$}").parse::<serde_json::Number>().map_or(Value::Null, Value::Number)
}

/// `YYYY-MM-DD`.
fn day(date: Date) -> String {
    format!("{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day())
}

/// FHIR `instant`, the hospital's local time.
fn instant(at: PrimitiveDateTime) -> String {
    format!("{}T{:02}:{:02}:{:02}-05:00", day(at.date()), at.hour(), at.minute(), at.second())
}
