//! What `map` says of messages in files.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use tempfile::TempDir;

fn profile(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../services/ehr-ingest/profiles");
    folder.join(name).to_str().unwrap().to_owned()
}

fn map(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_waybillctl")).arg("map").args(arguments).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

fn json(arguments: &[&str]) -> (Option<i32>, Value) {
    let (code, text) = map(&[arguments, &["--json"]].concat());
    (code, serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}")))
}

/// A folder with a file of these messages.
fn file(name: &str, content: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    (folder, path)
}

const ADT: &str = "MSH|^~\\&|EHR|GH|||20260304080000+0000||ADT^A08^ADT_A01|7|P|2.5\n\
    EVN|A08|20260304080000\n\
    PID|1|99|42^^^GH^MR||Doe^Jane^^^^^L||19800101|F\n\
    PV1|1|I|4E^401^1||||1234^Welby^Marcus|||MED|||||||||V7^^^GH^VN\n\
    ZPV|secret|4\n";

/// Fates of fields by their names, of the one message in the document.
fn fate(document: &Value, field: &str) -> (u64, u64, u64) {
    let fields = document["messages"][0]["coverage"]["fields"].as_array().unwrap();
    let row = fields.iter().find(|row| row["field"] == field).unwrap_or_else(|| panic!("no {field}"));
    let count = |name: &str| row[name].as_u64().unwrap();
    (count("mapped"), count("dropped"), count("unmapped"))
}

#[test]
fn what_is_mapped_is_found_by_taking_it_out() {
    let (_folder, path) = file("a.hl7", ADT);
    let (code, document) = json(&[path.to_str().unwrap()]);
    assert_eq!(code, Some(0));
    let message = &document["messages"][0];
    let topics: Vec<_> = message["events"].as_array().unwrap().iter().map(|event| &event["topic"]).collect();
    assert_eq!(topics, ["clinical.patient.v1", "clinical.encounter.v1"]);
    assert_eq!(message["events"][0]["payload"]["patient"]["name"][0]["family"], "Doe");
    for mapped in
        ["MSH-3", "MSH-7", "MSH-9.2", "MSH-10", "PID-3.1", "PID-3.4", "PID-5.1", "PID-7", "PV1-2", "PV1-19.1"]
    {
        assert_eq!(fate(&document, mapped), (1, 0, 0), "{mapped}");
    }
    // Another number of the same patient: nothing is missing without it only if it were the same one.
    assert_eq!(fate(&document, "PID-2"), (1, 0, 0));
    for dropped in ["MSH-11", "MSH-12", "PID-1", "PV1-1", "EVN-1"] {
        assert_eq!(fate(&document, dropped), (0, 1, 0), "{dropped}");
    }
    for unmapped in ["ZPV-1", "ZPV-2"] {
        assert_eq!(fate(&document, unmapped), (0, 0, 1), "{unmapped}");
    }
    // The same every time, so that an analyst can keep it beside the message.
    assert_eq!(json(&[path.to_str().unwrap()]).1, document);
}

#[test]
fn a_profile_changes_what_is_mapped() {
    let (folder, path) = file("a.hl7", ADT);
    let text = "name = \"test\"\n[[copy]]\nfrom = \"ZPV-2\"\nto = \"PV1-36\"\n[[drop]]\nfield = \"ZPV-1\"\nreason = \"not ours\"\n\
                [[translate]]\nfield = \"PV1-10\"\ntable = \"t.csv\"\nmode = \"replace\"\n";
    fs::write(folder.path().join("p.toml"), text).unwrap();
    fs::write(folder.path().join("t.csv"), "code,target_code,target_system,target_display\nSUR,S,,\n")
        .unwrap();
    let profile = folder.path().join("p.toml");
    let arguments = [path.to_str().unwrap(), "--profile", profile.to_str().unwrap()];
    let (code, document) = json(&arguments);
    assert_eq!(code, Some(0));
    assert!(document["profile"].as_str().unwrap().starts_with("test@"));
    assert_eq!(fate(&document, "ZPV-2"), (1, 0, 0));
    assert_eq!(fate(&document, "ZPV-1"), (0, 1, 0));
    assert_eq!(
        document["messages"][0]["untranslated"],
        serde_json::json!([{"field": "PV1-10", "code": "MED", "times": 1}])
    );
    let (_, text) = map(&arguments);
    assert!(text.contains("not ours") && text.contains("codes that no table has:"), "{text}");

    fs::write(&profile, "name = \"test\"\n[[copy]]\nfrom = \"ZPV\"\nto = \"PV1-36\"\n").unwrap();
    let (code, text) = map(&arguments);
    assert_eq!(code, Some(64), "{text}");
    assert!(text.contains("p.toml:3: from names a segment"), "{text}");
}

#[test]
fn a_message_that_would_be_refused_is_named_with_code_and_place() {
    let (folder, path) = file("bad.hl7", "MSH|^~\\&|EHR|GH|||20260304||ADT^A01|7|P|2.5\nPID|1||\nPV1|1|I\n");
    let (code, text) = map(&[path.to_str().unwrap()]);
    assert_eq!(code, Some(4), "{text}");
    assert!(text.contains("7  refused: AE 101 ING-0010 at PID^1^3^1"), "{text}");

    fs::write(folder.path().join("good.hl7"), ADT).unwrap();
    fs::write(folder.path().join("notes.md"), "not a message").unwrap();
    let (code, text) = map(&[folder.path().to_str().unwrap(), "--coverage"]);
    assert_eq!(code, Some(4), "{text}");
    for says in [
        "2 messages by map@",
        "1 mapped, 0 stored without a destination, 1 refused",
        "bad.hl7: AE 101",
        "ZPV-1",
    ] {
        assert!(text.contains(says), "{says}: {text}");
    }
    assert!(!text.contains("\"patient\""), "the summary holds no content: {text}");
}

#[test]
fn the_messages_of_a_batch_are_looked_at_one_by_one() {
    let batch = format!("FHS|^~\\&|EHR\nBHS|^~\\&|EHR\n{ADT}{}BTS|2\nFTS|1\n", ADT.replace("|7|", "|8|"));
    let (_folder, path) = file("batch.hl7", &batch);
    let (code, document) = json(&[path.to_str().unwrap()]);
    assert_eq!(code, Some(0));
    let ids: Vec<_> = document["messages"].as_array().unwrap().iter().map(|one| &one["controlId"]).collect();
    assert_eq!(ids, ["7", "8"]);
}

#[test]
fn a_message_without_a_mapping_is_said_to_end_there() {
    let (_folder, path) = file("a.hl7", &ADT.replace("ADT^A08^ADT_A01", "MFN^M02"));
    let (code, text) = map(&[path.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("stored, without a destination: NRM-0001"), "{text}");
}

#[test]
fn elements_of_fhir_are_tried_by_their_paths() {
    let patient = r#"{"resourceType":"Patient","id":"x","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">x</div>"},
        "identifier":[{"system":"urn:oid:1.2.3","value":"42"}],"name":[{"family":"Doe","given":["Jane","Ann"]}],"photo":[{"url":"http://x"}]}"#;
    let (folder, path) = file("patient.json", patient);
    let (code, document) = json(&[path.to_str().unwrap()]);
    assert_eq!(code, Some(0));
    assert_eq!(fate(&document, "Patient.name.given"), (2, 0, 0));
    assert_eq!(fate(&document, "Patient.identifier.value"), (1, 0, 0));
    assert_eq!(fate(&document, "Patient.text.div"), (0, 1, 0));
    assert_eq!(fate(&document, "Patient.photo.url"), (0, 0, 1));

    fs::write(
        folder.path().join("bad.json"),
        patient.replace("\"identifier\"", "\"birthDate\":\"19\",\"identifier\""),
    )
    .unwrap();
    let (code, text) = map(&[folder.path().join("bad.json").to_str().unwrap()]);
    assert_eq!(code, Some(4), "{text}");
    assert!(text.contains("at Patient.birthDate"), "{text}");
}

#[test]
fn of_a_large_message_some_values_of_each_kind_are_tried_and_that_is_said() {
    let mut report =
        "MSH|^~\\&|LIS|LAB|||20260101||ORU^R01|1|P|2.5\nPID|1||42^^^GH^MR\nOBR|1||F1|R^Report^L\n".to_owned();
    for line in 1..=300 {
        writeln!(report, "OBX|{line}|NM|C{line}^Test^L||{line}|mg|1-2||||F").unwrap();
    }
    let (_folder, path) = file("large.hl7", &report);
    let (code, document) = json(&[path.to_str().unwrap()]);
    assert_eq!(code, Some(0));
    let coverage = &document["messages"][0]["coverage"];
    let (values, tried) = (coverage["values"].as_u64().unwrap(), coverage["tried"].as_u64().unwrap());
    assert!(values > 2500 && tried < 1500 && tried > 100, "{tried} of {values}");
    let (mapped, dropped, unmapped) = fate(&document, "OBX-5");
    assert!(mapped > 1 && dropped == 0 && unmapped == 0);
}

#[test]
fn hostile_files_are_refused_and_nothing_more() {
    for content in [
        "",
        "hello",
        "MSH",
        "MSH|^~\\&",
        "{",
        "{\"resourceType\":\"Nothing\"}",
        "\u{feff}MSH|^~\\&|A\n\n\nPID",
    ] {
        let (_folder, path) = file("odd.hl7", content);
        let (code, text) = map(&[path.to_str().unwrap()]);
        assert_eq!(code, Some(4), "{content:?}: {text}");
    }
    let (code, text) = map(&["no-such-file.hl7"]);
    assert_eq!(code, Some(64));
    assert!(text.contains("no-such-file.hl7 cannot be read"), "{text}");
    assert_eq!(map(&["x", "--profile", &profile("no-such.toml")]).0, Some(64));
}
