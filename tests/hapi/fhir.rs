//! The HAPI FHIR client reads our CapabilityStatement, posts Bundles and understands the refusals.

use std::process::{Command, Stdio};

use serde_json::{Value, json};
use waybill_contracts::{clinical::EncounterEvent, lab::LabResult};
use waybill_demo::scene::Receivers;
use waybill_testkit::{Installation, Stack, TOKEN, corpora, eventually, pending};

use crate::{SOON, java, listed};

/// A patient with one encounter; `subject` is what the encounter refers to.
fn bundle(subject: &str) -> Value {
    json!({
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "fullUrl": "urn:uuid:6b1f7e0a-6c1f-4f0e-9d0c-3f4d2b7a9c11",
                "resource": {
                    "resourceType": "Patient",
                    "identifier": [{ "system": "urn:oid:2.999.1", "value": "H-1001" }],
                    "name": [{ "family": "Pennywhistle", "given": ["Isolde"] }],
                    "birthDate": "1971-03"
                },
                "request": { "method": "POST", "url": "Patient" }
            },
            {
                "fullUrl": "urn:uuid:0d8a4f0b-17f4-4c0e-8a4a-0e5d3c6b2f22",
                "resource": {
                    "resourceType": "Encounter",
                    "identifier": [{ "system": "urn:oid:2.999.2", "value": "V-2002" }],
                    "status": "in-progress",
                    "class": { "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP" },
                    "subject": { "reference": subject }
                },
                "request": { "method": "POST", "url": "Encounter" }
            }
        ]
    })
}

/// The smallest Synthea patients of the corpora, unpacked; hospitals and practitioners come first.
fn synthea() -> Vec<Vec<u8>> {
    let Some(folder) = corpora::folder("synthea") else { return Vec::new() };
    let mut files: Vec<_> = std::fs::read_dir(folder.join("seed42"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.metadata().unwrap().len(), entry.path()))
        .collect();
    files.sort();
    let small = files.into_iter().take(4).map(|(_, path)| path);
    let unpacked = |path| {
        let output = Command::new("gzip").arg("-dc").arg(path).stderr(Stdio::inherit()).output().unwrap();
        assert!(output.status.success());
        output.stdout
    };
    small.map(unpacked).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hapi_client_posts_bundles_and_reads_what_is_wrong_with_them() {
    let Some(stack) = Stack::require().await else { return };
    let receivers = Receivers::start(None).await.unwrap();
    let mut waybill = receivers.targets(Installation::on(&stack)).start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let good = bundle("urn:uuid:6b1f7e0a-6c1f-4f0e-9d0c-3f4d2b7a9c11");
    let dangling = bundle("urn:uuid:00000000-0000-4000-8000-000000000000");
    let mut files = vec![good.to_string().into_bytes(), dangling.to_string().into_bytes()];
    files.extend(synthea());
    let wanted: Vec<Value> = files.iter().map(|bytes| serde_json::from_slice(bytes).unwrap()).collect();
    let list = listed(folder.path(), files);

    let base = format!("{}/fhir", waybill.http().unwrap());
    let lines = java("fhir", "FhirClient.java", &[&base, TOKEN, list.to_str().unwrap()]).await;

    let statement: Vec<_> = lines[0].split('\t').collect();
    assert_eq!(statement[..2], ["capabilities", "4.0.1"]);
    for resource in ["Patient", "Encounter", "DiagnosticReport", "Claim", "Appointment"] {
        assert!(statement[2].split(' ').any(|named| named == resource), "{resource}: {}", statement[2]);
    }
    assert_eq!(lines[1], "0\t200\ttransaction-response\t2");
    let refused: Vec<_> = lines[2].split('\t').collect();
    assert_eq!(refused[..2], ["1", "422"], "{}", lines[2]);
    assert!(
        refused[2].starts_with("error ") && refused[2].contains("Bundle.entry[1].resource"),
        "{}",
        lines[2]
    );
    for (line, sent) in lines[3..].iter().zip(&wanted[2..]) {
        let entries = sent["entry"].as_array().unwrap().len();
        let kind = sent["type"].as_str().unwrap();
        assert!(line.ends_with(&format!("\t200\t{kind}-response\t{entries}")), "{line}");
    }
    assert_eq!(lines.len(), wanted.len() + 1);

    // What was posted has become events: as many as there are resources that stand for one.
    let count = |kind: &str| {
        let entries = wanted.iter().enumerate().filter(|(at, _)| *at != 1);
        let entries = entries.flat_map(|(_, bundle)| bundle["entry"].as_array().unwrap());
        entries.filter(|entry| entry["resource"]["resourceType"] == kind).count()
    };
    let (encounters, reports) = (count("Encounter"), count("DiagnosticReport"));
    println!("HAPI posted {} bundles: {encounters} encounters, {reports} reports", wanted.len());
    eventually("every event is there", SOON, async || {
        let topics = waybill.topics();
        let found = (
            topics.decoded::<EncounterEvent>("clinical.encounter.v1").await?.len(),
            topics.decoded::<LabResult>("lab.result.v1").await?.len(),
        );
        if found == (encounters, reports) { Ok(()) } else { pending(format!("{found:?}")) }
    })
    .await
    .unwrap();
    waybill.stop().await.unwrap();
}
