//! What a clinic's newer system sends: one FHIR R4 transaction Bundle per visit, with everything that belongs to it.
//!
//! References are by `urn:uuid` within the Bundle and by identifier (`Practitioner?identifier=`) to what is elsewhere, as
//! common exporters write them. All ids come from the seed.

mod laboratory;
mod money;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use time::{Date, Duration, PrimitiveDateTime};

use super::hospital::{Numbers, Patient};
use super::names;
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
        self.condition(&condition, &subject, &encounter, seen);
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
        self.add("Patient", &full_url, &resource, Some(&condition));
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
        self.add("Encounter", &full_url, &resource, None);
        json!({ "reference": full_url })
    }

    fn condition(&mut self, full_url: &str, subject: &Value, encounter: &Value, at: PrimitiveDateTime) {
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
        self.add("Condition", full_url, &resource, None);
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
        self.add("Appointment", &full_url, &resource, None);
    }

    /// Notes an identifying value.
    fn known(&mut self, value: &str) -> String {
        if value.chars().count() > 2 || !value.is_ascii() {
            self.phi.push(value.to_owned());
        }
        value.to_owned()
    }

    fn add(&mut self, kind: &'static str, full_url: &str, resource: &Value, if_none_exist: Option<&str>) {
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
