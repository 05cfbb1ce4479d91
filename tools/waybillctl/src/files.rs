//! Messages in files: HL7 v2, alone or several in one file, and FHIR resources in JSON.

use std::{
    borrow::Cow,
    fs,
    path::{Path, PathBuf},
};

use waybill_hl7v2::{
    Header,
    batch::{self, Part},
};

use crate::failure::Failure;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// HL7 v2.
    Hl7,
    /// A FHIR resource in JSON.
    Fhir,
}

/// The content of a file, or one message of it.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub(crate) kind: Kind,
    pub(crate) bytes: Vec<u8>,
}

/// Files and, for folders, the files in them and below in the order of their names. Names that begin with a dot, and files
/// of which the name says that they are something else, are left out of folders.
pub(crate) fn list(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            walk(path, &mut files)?;
        } else {
            files.push(path.clone());
        }
    }
    if files.is_empty() {
        return Err(Failure::Usage("there is no file to read".to_owned()));
    }
    Ok(files)
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let wrong = |error: std::io::Error| cannot_read(folder, &error);
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).map_err(wrong)? {
        entries.push(entry.map_err(wrong)?.path());
    }
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            walk(&path, files)?;
        } else if is_message(&name) {
            files.push(path);
        }
    }
    Ok(())
}

/// Profiles, tables, notes and programs lie beside messages.
fn is_message(name: &str) -> bool {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    extension.is_none_or(|extension| {
        ["hl7", "er7", "txt", "dat", "msg", "oru", "adt", "json", "fhir"].contains(&extension.as_str())
    })
}

fn cannot_read(path: &Path, error: &std::io::Error) -> Failure {
    Failure::Usage(format!("{} cannot be read: {}", path.display(), error.kind()))
}

/// The bytes of a file.
pub(crate) fn bytes(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| cannot_read(path, &error))
}

/// What follows a byte order mark: some editors write one, and no parser of JSON takes it.
pub(crate) fn unmarked(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// `resourceType` of a resource in JSON.
pub(crate) fn resource_type(json: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Head {
        #[serde(rename = "resourceType")]
        kind: String,
    }
    serde_json::from_slice::<Head>(unmarked(json)).ok().map(|head| head.kind)
}

/// The message or resource in a file.
pub(crate) fn read(path: &Path) -> Result<Subject, Failure> {
    let bytes = bytes(path)?;
    let first = unmarked(&bytes).iter().find(|byte| !byte.is_ascii_whitespace());
    let kind = if first == Some(&b'{') { Kind::Fhir } else { Kind::Hl7 };
    Ok(Subject { kind, bytes })
}

impl Subject {
    /// Each message by itself, without the segments of a batch; itself when it is one.
    pub(crate) fn split(self) -> Vec<Self> {
        if self.kind == Kind::Fhir {
            return vec![self];
        }
        let messages: Vec<Vec<u8>> = batch::parts(&self.bytes)
            .filter_map(|part| match part {
                Part::Message(range) => self.bytes.get(range).map(<[u8]>::to_vec),
                _ => None,
            })
            .collect();
        if messages.is_empty() {
            return vec![self];
        }
        messages.into_iter().map(|bytes| Self { kind: Kind::Hl7, bytes }).collect()
    }

    /// Carriage returns where an editor wrote line feeds. A message that has any carriage return is left as it is: there a
    /// line feed may be data.
    pub(crate) fn end_segments_properly(&mut self) {
        if self.kind == Kind::Hl7 && !self.bytes.contains(&b'\r') {
            self.bytes.iter_mut().filter(|byte| **byte == b'\n').for_each(|byte| *byte = b'\r');
        }
    }

    /// MSH-10, or the identifier of a Bundle; `-` where there is none.
    pub(crate) fn control_id(&self) -> String {
        let id: Option<Cow<'_, str>> = match self.kind {
            Kind::Hl7 => {
                let start = self.bytes.windows(3).position(|window| window == b"MSH").unwrap_or(0);
                let header = Header::parse(&self.bytes[start..]).ok();
                header.map(|header| String::from_utf8_lossy(header.control_id()).into_owned().into())
            }
            Kind::Fhir => {
                let resource: Option<serde_json::Value> = serde_json::from_slice(unmarked(&self.bytes)).ok();
                let text = |place: &str| resource.as_ref()?.pointer(place)?.as_str().map(str::to_owned);
                text("/identifier/value").or_else(|| text("/id")).map(Cow::Owned)
            }
        };
        id.filter(|id| !id.is_empty()).map_or_else(|| "-".to_owned(), Cow::into_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_split_into_its_messages() {
        let batch = b"\xef\xbb\xbfFHS|^~\\&|A\rBHS|^~\\&|A\rMSH|^~\\&|A||||||ADT^A01|1\rPID|1\rMSH|^~\\&|A||||||ADT^A01|2\rBTS|2\rFTS|1\r";
        let subject = Subject { kind: Kind::Hl7, bytes: batch.to_vec() };
        let messages = subject.split();
        assert_eq!(messages.iter().map(Subject::control_id).collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(messages[0].bytes, b"MSH|^~\\&|A||||||ADT^A01|1\rPID|1\r");
    }

    #[test]
    fn a_byte_order_mark_hides_neither_type_nor_id() {
        let json = b"\xef\xbb\xbf{\"resourceType\":\"Patient\",\"id\":\"7\"}";
        assert_eq!(resource_type(json).as_deref(), Some("Patient"));
        let subject = Subject { kind: Kind::Fhir, bytes: json.to_vec() };
        assert_eq!(subject.control_id(), "7");
    }

    #[test]
    fn line_feeds_become_carriage_returns_where_there_are_none() {
        for (from, to) in [(&b"MSH\nPID\n"[..], &b"MSH\rPID\r"[..]), (b"MSH\rNTE|a\nb\r", b"MSH\rNTE|a\nb\r")]
        {
            let mut subject = Subject { kind: Kind::Hl7, bytes: from.to_vec() };
            subject.end_segments_properly();
            assert_eq!(subject.bytes, to);
        }
    }
}
