//! The public sample messages.

use std::path::{Path, PathBuf};

/// The HL7 v2 part of the corpora: in `WAYBILL_CORPORA`, else in `shared/corpora` beside the clone. `None` when it is not
/// there and this is not CI, where it must be.
pub(crate) fn hl7v2() -> Option<PathBuf> {
    let root = std::env::var_os("WAYBILL_CORPORA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpora"), PathBuf::from);
    let folder = root.join("hl7v2");
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(std::env::var_os("CI").is_none(), "the corpora are missing: set WAYBILL_CORPORA");
    eprintln!("skipped: the corpora are missing, set WAYBILL_CORPORA");
    None
}

/// All files that hold HL7 v2 messages or batches, in a fixed order.
pub(crate) fn hl7v2_files() -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    let mut folders: Vec<_> = hl7v2().into_iter().collect();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
            if !matches!(extension, "hl7" | "txt") {
                continue;
            }
            let bytes = std::fs::read(&path).unwrap();
            let starts =
                [&b"MSH"[..], b"FHS", b"BHS", b"\xef\xbb\xbf"].iter().any(|start| bytes.starts_with(start));
            if extension == "hl7" || starts {
                files.push((path, bytes));
            }
        }
    }
    files.sort();
    files
}

/// The messages of a file: the file itself, or for a batch what starts with MSH.
pub(crate) fn messages(bytes: &[u8]) -> Vec<Vec<u8>> {
    if !waybill_hl7v2::batch::is_batch(bytes) {
        return vec![bytes.to_vec()];
    }
    let lines = bytes.split_inclusive(|byte| matches!(byte, b'\r' | b'\n'));
    let mut messages: Vec<Vec<u8>> = Vec::new();
    for line in lines.filter(|line| !matches!(line.get(..3), Some(b"FHS" | b"BHS" | b"BTS" | b"FTS"))) {
        match messages.last_mut() {
            Some(message) if !line.starts_with(b"MSH") => message.extend_from_slice(line),
            _ if line.starts_with(b"MSH") => messages.push(line.to_vec()),
            _ => {}
        }
    }
    messages
}
