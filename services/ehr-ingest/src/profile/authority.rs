//! Several names of one assigning authority.

use std::collections::HashMap;

use waybill_hl7v2::{Charset, Delimiters, Field, path};

use super::as_hd;

/// Names by which an authority is known, each with the one that counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Authorities {
    names: HashMap<String, String>,
}

impl Authorities {
    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Says that `alias` stands for `name`; false when it stands for something already.
    pub(super) fn add(&mut self, alias: &str, name: &str) -> bool {
        self.names.insert(alias.to_owned(), name.to_owned()).is_none()
    }

    /// The name that counts for one that is listed.
    pub(super) fn canonical(&self, name: &str) -> Option<&str> {
        self.names.get(name).map(String::as_str)
    }

    /// The name that counts for an HD: by its namespace, its universal id, or that id as a URI.
    fn canonical_of(&self, namespace: &str, id: &str, kind: &str) -> Option<&str> {
        if let Some(name) = self.canonical(namespace).or_else(|| self.canonical(id)) {
            return Some(name);
        }
        match kind {
            "ISO" => self.canonical(&format!("urn:oid:{id}")),
            "UUID" | "GUID" => self.canonical(&format!("urn:uuid:{}", id.to_ascii_lowercase())),
            _ => None,
        }
    }

    /// The field with the name that counts in every repetition; `None` when that is what stands there already. The HD is
    /// one component, or three from `component` on.
    pub(super) fn rewrite(
        &self,
        field: &[u8],
        delimiters: Delimiters,
        at: Hd,
        charset: &Charset,
    ) -> Option<Vec<u8>> {
        let mut changed: Option<Vec<u8>> = None;
        for (number, whole) in (1_u16..).zip(Field::from_raw(field, delimiters).repetitions()) {
            let part = |index: u16| match at {
                Hd::Component(component) => {
                    whole.component(usize::from(component)).subcomponent(usize::from(index)).text(charset)
                }
                Hd::From(component) => {
                    whole.component(usize::from(component + index - 1)).subcomponent(1).text(charset)
                }
            };
            let sent = [1, 2, 3].map(|index| part(index).unwrap_or_default());
            let [namespace, id, kind] = [&sent[0], &sent[1], &sent[2]].map(|text| text.trim());
            let Some(name) = self.canonical_of(namespace, id, kind) else { continue };
            let wanted = as_hd(name);
            if [namespace, id, kind] == [&*wanted[0], &*wanted[1], &*wanted[2]] {
                continue;
            }
            let current = changed.take().unwrap_or_else(|| field.to_vec());
            changed = Some(at.write(
                current,
                delimiters,
                number,
                &wanted.map(|text| encode(&text, delimiters, charset)),
            ));
        }
        changed
    }
}

/// Where an HD stands in a repetition.
#[derive(Clone, Copy, Debug)]
pub(super) enum Hd {
    /// As the subcomponents of one component (CX-4, XCN-9).
    Component(u16),
    /// As three components (EI-2 to EI-4).
    From(u16),
}

impl Hd {
    fn write(self, field: Vec<u8>, delimiters: Delimiters, repetition: u16, hd: &[Vec<u8>; 3]) -> Vec<u8> {
        let place = path!("ZZZ-1").at_repetition(repetition);
        let set = |field: &[u8], component, value: &[u8]| {
            waybill_hl7v2::edit::replace_within(field, &delimiters, place.at_component(component), value)
        };
        match self {
            Self::Component(component) => {
                let used = hd.iter().rposition(|part| !part.is_empty()).map_or(0, |last| last + 1);
                set(&field, component, &hd[..used].join(&delimiters.subcomponent()))
            }
            Self::From(component) => {
                (component..).zip(hd).fold(field, |field, (component, part)| set(&field, component, part))
            }
        }
    }
}

/// Text as it is sent: encoded in the message's character set, delimiters escaped.
pub(super) fn encode(text: &str, delimiters: Delimiters, charset: &Charset) -> Vec<u8> {
    let bytes = charset.encode(text);
    waybill_hl7v2::escape::escape(&bytes, &delimiters, waybill_hl7v2::escape::Formatting::Plain).into_owned()
}

/// Fields whose identifiers have an assigning authority, with where it stands: the patient's, visit's and account's
/// numbers (CX), order, specimen and appointment numbers (EI), people (XCN).
pub(super) const FIELDS: &[(&[u8; 3], &[u16], Hd)] = &[
    (b"PID", &[2, 3, 4, 18, 19, 20, 21], Hd::Component(4)),
    (b"MRG", &[1, 2, 3, 4, 5, 6], Hd::Component(4)),
    (b"PD1", &[4], Hd::Component(9)),
    (b"PV1", &[5, 19, 50], Hd::Component(4)),
    (b"PV1", &[7, 8, 9, 17, 52], Hd::Component(9)),
    (b"NK1", &[33], Hd::Component(4)),
    (b"GT1", &[2], Hd::Component(4)),
    (b"IN1", &[3, 49], Hd::Component(4)),
    (b"DG1", &[16], Hd::Component(9)),
    (b"PR1", &[8, 11, 12], Hd::Component(9)),
    (b"ORC", &[2, 3, 4], Hd::From(2)),
    (b"ORC", &[10, 11, 12], Hd::Component(9)),
    (b"OBR", &[2, 3], Hd::From(2)),
    (b"OBR", &[10, 16, 28], Hd::Component(9)),
    (b"OBX", &[16], Hd::Component(9)),
    (b"OBX", &[21], Hd::From(2)),
    (b"SCH", &[1, 2], Hd::From(2)),
    (b"FT1", &[20, 21, 24], Hd::Component(9)),
    (b"FT1", &[23], Hd::From(2)),
];
