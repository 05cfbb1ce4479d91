//! The public sample messages.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use crate::stack::skip;

/// A folder of the corpora (`hl7v2`, `fhir-r4` …): in `WAYBILL_CORPORA`, else in `shared/corpora` beside the clone. `None`,
/// with a message, when it is not there.
///
/// # Panics
/// When it is not there and `CI` is set.
pub fn folder(name: &str) -> Option<PathBuf> {
    let root = env::var_os("WAYBILL_CORPORA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpora"), PathBuf::from);
    let folder = root.join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    skip("the corpora are missing: set WAYBILL_CORPORA")
}

/// One file of sample messages.
#[derive(Clone)]
pub struct Sample {
    /// Path below the corpora's folder.
    pub name: String,
    /// Its bytes as stored.
    pub bytes: Vec<u8>,
}

/// All files that hold HL7 v2 messages or batches (`*.hl7`, and `*.txt` that begin like one), in a fixed order.
pub fn hl7v2() -> io::Result<Vec<Sample>> {
    let Some(root) = folder("hl7v2") else { return Ok(Vec::new()) };
    let mut samples = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
            if extension != "hl7" && extension != "txt" {
                continue;
            }
            let bytes = fs::read(&path)?;
            let begins =
                [&b"MSH"[..], b"FHS", b"BHS", b"\xef\xbb\xbf"].iter().any(|start| bytes.starts_with(start));
            if extension == "hl7" || begins {
                let name = path.strip_prefix(&root).unwrap_or(&path).display().to_string();
                samples.push(Sample { name, bytes });
            }
        }
    }
    samples.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(samples)
}
