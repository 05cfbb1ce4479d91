//! Messages on disk: what `generate` writes and what `send` reads.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::generate::{Expect, Feed, Generated};
use crate::peek::segment_starts;
use crate::send::Outgoing;
use crate::sha256_hex;

/// One line of `manifest.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestEntry {
    /// File name in the same folder.
    pub file: String,
    /// Who sends it.
    pub feed: Feed,
    /// MSH-10.
    pub control_id: String,
    /// `ORU^R01`.
    pub message_type: String,
    /// Of the file.
    pub sha256: String,
    /// What should become of it.
    pub expect: Expect,
    /// The same bytes occur in an earlier file.
    pub repeat: bool,
    /// Filler order number of a result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filler_order: Option<String>,
    /// Every identifying value in it.
    pub phi: Vec<String>,
}

/// Name of the manifest in a folder.
const MANIFEST: &str = "manifest.json";

/// Writes one `.hl7` or `.json` file per message, named in sending order, and `manifest.json`.
///
/// # Errors
/// When the folder or a file cannot be written.
pub fn write(
    folder: &Path,
    messages: impl IntoIterator<Item = Generated>,
) -> anyhow::Result<Vec<ManifestEntry>> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut manifest = Vec::new();
    for (index, message) in messages.into_iter().enumerate() {
        let feed = message.feed.sender().0.to_lowercase();
        let extension = if message.feed == Feed::Fhir { "json" } else { "hl7" };
        let kind = message.message_type.replace('^', "-");
        let file = format!("{:06}-{feed}-{kind}.{extension}", index + 1);
        let path = folder.join(&file);
        std::fs::write(&path, &message.bytes).with_context(|| format!("cannot write {}", path.display()))?;
        manifest.push(ManifestEntry {
            file,
            feed: message.feed,
            control_id: message.control_id,
            message_type: message.message_type,
            sha256: sha256_hex(&message.bytes),
            expect: message.expect,
            repeat: message.repeat,
            filler_order: message.filler_order,
            phi: message.phi,
        });
    }
    let path = folder.join(MANIFEST);
    let json = serde_json::to_vec_pretty(&manifest)?;
    std::fs::write(&path, json).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(manifest)
}

/// Writes the HL7 v2 messages as batch files of `size` messages each; gives their number.
///
/// # Errors
/// When the folder or a file cannot be written.
pub fn write_batches(
    folder: &Path,
    messages: impl IntoIterator<Item = Generated>,
    size: usize,
) -> anyhow::Result<usize> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let messages: Vec<_> = messages.into_iter().filter(|message| message.feed != Feed::Fhir).collect();
    let mut written = 0;
    for batch in messages.chunks(size.max(1)) {
        written += 1;
        let path = folder.join(format!("batch-{written:04}.hl7"));
        std::fs::write(&path, crate::generate::batch(batch, &format!("BATCH{written:04}")))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(written)
}

/// Reads every `*.hl7` and `*.txt` file (in any case) and every FHIR `*.json` file below a folder, or one file, in the
/// order of their paths.
///
/// Line ends become CR, as on the wire, and framing a file was saved with is taken off. A file with several messages
/// or a batch stays one message unless `split`, which cuts it at every MSH and drops the batch segments.
///
/// # Errors
/// When a file cannot be read, or there is none.
pub fn read(folder: &Path, split: bool) -> anyhow::Result<Vec<Outgoing>> {
    let mut paths = Vec::new();
    collect(folder, &mut paths)?;
    paths.sort();
    anyhow::ensure!(!paths.is_empty(), "no *.hl7, *.txt or *.json file in {}", folder.display());
    let mut messages = Vec::new();
    for path in paths {
        let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let name = path.strip_prefix(folder).unwrap_or(&path).display().to_string();
        if has_extension(&path, "json") {
            // Folders of messages hold other JSON too.
            if is_resource(&bytes) {
                messages.push(Outgoing::new(bytes).from_file(name));
            }
            continue;
        }
        let bytes = on_the_wire(&bytes);
        let parts = if split { split_messages(&bytes) } else { vec![bytes] };
        messages.extend(parts.into_iter().map(|part| Outgoing::new(part).from_file(name.clone())));
    }
    Ok(messages)
}

fn collect(path: &Path, into: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    if path.is_file() {
        into.push(path.to_owned());
        return Ok(());
    }
    for entry in std::fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))? {
        let entry = entry?.path();
        let is_json = has_extension(&entry, "json") && entry.file_name().is_none_or(|name| name != MANIFEST);
        let wanted = is_json || has_extension(&entry, "hl7") || has_extension(&entry, "txt");
        if entry.is_dir() || wanted {
            collect(&entry, into)?;
        }
    }
    Ok(())
}

/// Whether it begins as a FHIR resource does, which need not be whole.
fn is_resource(bytes: &[u8]) -> bool {
    const TYPE: &[u8] = b"\"resourceType\"";
    let start = &bytes[..bytes.len().min(4096)];
    bytes.first() == Some(&b'{') && start.windows(TYPE.len()).any(|window| window == TYPE)
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found.eq_ignore_ascii_case(extension))
}

/// CR LF and LF become CR; a saved frame loses its framing, because frames do not nest.
fn on_the_wire(bytes: &[u8]) -> Vec<u8> {
    let bytes = bytes.strip_prefix(b"\x0B").unwrap_or(bytes);
    let bytes = bytes.strip_suffix(b"\x1C\r\n").or(bytes.strip_suffix(b"\x1C\r")).unwrap_or(bytes);
    let bytes = bytes.strip_suffix(b"\x1C").unwrap_or(bytes);
    let mut out = Vec::with_capacity(bytes.len());
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'\n' if at > 0 && bytes[at - 1] == b'\r' => {}
            b'\n' => out.push(b'\r'),
            other => out.push(*other),
        }
    }
    out
}

/// One part per MSH; nothing before the first one and no batch trailers. A file without MSH stays as it is.
fn split_messages(bytes: &[u8]) -> Vec<Vec<u8>> {
    let starts: Vec<usize> = segment_starts(bytes).filter(|&at| bytes[at..].starts_with(b"MSH")).collect();
    if starts.is_empty() {
        return vec![bytes.to_vec()];
    }
    let ends = starts.iter().skip(1).copied().chain([bytes.len()]);
    let is_batch =
        |segment: &[u8]| [&b"FHS"[..], b"BHS", b"BTS", b"FTS"].iter().any(|name| segment.starts_with(name));
    starts
        .iter()
        .zip(ends)
        .map(|(&start, end)| {
            let segments = bytes[start..end].split_inclusive(|byte| *byte == b'\r');
            segments.filter(|segment| !is_batch(segment)).flatten().copied().collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{ManifestEntry, on_the_wire, read, split_messages, write};
    use crate::generate::{GenerateConfig, Generator};

    #[test]
    fn what_was_generated_is_read_back_byte_for_byte() {
        let folder = tempfile::tempdir().unwrap();
        let config = GenerateConfig { fhir_share: 0.2, ..GenerateConfig::new(5, 60) };
        let messages: Vec<_> = Generator::new(config).collect();
        let manifest = write(folder.path(), messages.clone()).unwrap();
        let read = read(folder.path(), false).unwrap();
        assert_eq!(read.len(), 60);
        for ((message, entry), read) in messages.iter().zip(&manifest).zip(&read) {
            assert_eq!(message.bytes, read.bytes);
            assert_eq!(read.source.as_ref(), Some(&entry.file));
        }
        let json = std::fs::read(folder.path().join("manifest.json")).unwrap();
        assert_eq!(serde_json::from_slice::<Vec<ManifestEntry>>(&json).unwrap(), manifest);
    }

    #[test]
    fn line_ends_and_saved_frames_are_normalised() {
        assert_eq!(on_the_wire(b"MSH|1\nPID|2\r\nPV1|3\r"), b"MSH|1\rPID|2\rPV1|3\r");
        assert_eq!(on_the_wire(b"\x0BMSH|1\rPID|2\r\x1C\r\n"), b"MSH|1\rPID|2\r");
    }

    #[test]
    fn a_batch_is_split_at_every_header() {
        let batch = b"FHS|^~\\&\rBHS|^~\\&\rMSH|1\rPID|1\rMSH|2\rPID|2\rBTS|2\rFTS|1\r";
        assert_eq!(split_messages(batch), [b"MSH|1\rPID|1\r", b"MSH|2\rPID|2\r"]);
        assert_eq!(split_messages(b"PID|1\r"), [b"PID|1\r"]);
    }

    #[test]
    fn an_empty_folder_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read(folder.path(), true).is_err());
    }
}
