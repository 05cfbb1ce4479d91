//! Pairs of a message and the Bundle that its corpus expects.

use std::{
    fs,
    path::{Path, PathBuf},
};

use waybill_testkit::corpora;

/// A message and what a public converter made of it.
pub(crate) struct Pair {
    /// Path of the expectation below `hl7v2`.
    pub(crate) name: String,
    pub(crate) message: Vec<u8>,
    pub(crate) expected: serde_json::Value,
}

fn files(below: &Path) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![below.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

/// The pairs below `folder`; `message_of` names the message of an expectation. None where the corpora are missing.
fn pairs(folder: &str, message_of: impl Fn(&Path) -> Option<PathBuf>) -> Option<Vec<Pair>> {
    let root = corpora::folder("hl7v2")?;
    let mut found = Vec::new();
    for file in files(&root.join(folder)) {
        let Some(message) = message_of(&file).filter(|message| message.is_file()) else { continue };
        let bytes = fs::read(&file).unwrap();
        let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        found.push(Pair {
            name: file.strip_prefix(&root).unwrap().display().to_string(),
            message: fs::read(message).unwrap(),
            expected: serde_json::from_slice(text).unwrap(),
        });
    }
    assert!(!found.is_empty(), "{folder}: no pairs");
    Some(found)
}

/// `expected/NAME.STRUCT.json` of `in/NAME.hl7`.
pub(crate) fn fhir_converter() -> Option<Vec<Pair>> {
    pairs("ms-fhir-converter/expected", |file| {
        let name = file.file_name()?.to_str()?.strip_suffix(".json")?;
        let (name, _structure) = name.rsplit_once('.')?;
        Some(file.parent()?.parent()?.join("in").join(format!("{name}.hl7")))
    })
}

/// `NAME.fhir` of `NAME.hl7`.
pub(crate) fn report_stream(folder: &str) -> Option<Vec<Pair>> {
    pairs(&format!("reportstream/{folder}"), |file| {
        // What a receiver's own enrichment adds is in no message.
        let own = !file.to_str()?.contains("enrichment");
        (own && file.extension()? == "fhir").then(|| file.with_extension("hl7"))
    })
}

/// `…_1_hl7_translation.fhir` of `…_0_initial_message.hl7`.
pub(crate) fn trusted_intermediary() -> Option<Vec<Pair>> {
    pairs("trusted-intermediary", |file| {
        let name = file.file_name()?.to_str()?.strip_suffix("_1_hl7_translation.fhir")?;
        Some(file.with_file_name(format!("{name}_0_initial_message.hl7")))
    })
}

/// A message, and what came back as HL7 from its FHIR form.
pub(crate) struct RoundTrip {
    pub(crate) name: String,
    pub(crate) sent: Vec<u8>,
    pub(crate) returned: Vec<u8>,
}

/// `NAME-expected.hl7` of `NAME.hl7`.
pub(crate) fn round_trips() -> Option<Vec<RoundTrip>> {
    let root = corpora::folder("hl7v2")?;
    let mut found = Vec::new();
    for file in files(&root.join("reportstream/HL7_to_FHIR_to_HL7")) {
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some(stem) = name.strip_suffix("-expected.hl7") else { continue };
        let sent = file.with_file_name(format!("{stem}.hl7"));
        if sent.is_file() {
            let (sent, returned) = (fs::read(sent).unwrap(), fs::read(&file).unwrap());
            found.push(RoundTrip { name: name.to_owned(), sent, returned });
        }
    }
    assert!(!found.is_empty(), "no round trips");
    Some(found)
}
