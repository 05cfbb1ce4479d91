//! Where the values of a JSON text stand (RFC 8259). Lenient: whoever reads the resource judges the text.

use std::borrow::Cow;

/// As deep as serde_json goes.
const MAX_DEPTH: usize = 128;
/// Values of one resource: each takes 64 bytes here.
const MAX_VALUES: usize = waybill_fhir::walk::MAX_VALUES;

/// A value, by its place in the text.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) start: usize,
    /// Behind the last byte.
    pub(super) end: usize,
    /// Of a member: where its name stands, without quotation marks; empty otherwise.
    name: (usize, usize),
    /// Items of an array, values of an object's members.
    pub(super) children: Vec<Self>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Object,
    Array,
    String,
    /// Number, true, false, null.
    Other,
}

impl Node {
    /// The members of an object.
    pub(super) fn members<'n>(&'n self, text: &'n str) -> impl Iterator<Item = (&'n str, &'n Self)> {
        self.children.iter().map(|child| (&text[child.name.0..child.name.1], child))
    }

    /// The member of this name; names of FHIR elements have no escapes.
    pub(super) fn member<'n>(&'n self, text: &'n str, wanted: &str) -> Option<&'n Self> {
        self.members(text).find(|(name, _)| *name == wanted).map(|(_, value)| value)
    }

    /// The value of a string.
    pub(super) fn string<'t>(&self, text: &'t str) -> Option<Cow<'t, str>> {
        if self.kind != Kind::String {
            return None;
        }
        let raw = &text[self.start..self.end];
        let inner = &raw[1..raw.len() - 1];
        if inner.contains('\\') { serde_json::from_str(raw).ok().map(Cow::Owned) } else { Some(inner.into()) }
    }
}

/// The places in `text`; `None` when it is no JSON, too deep, or one resource has too many values. The entries of a Bundle
/// are handed to `entry` one after the other and are not part of what comes back: all at once they would take up many times
/// the bytes of a large Bundle.
pub(super) fn parse(text: &str, entry: &mut dyn FnMut(&Node)) -> Option<Node> {
    let mark = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let mut reader = Reader { bytes: text.as_bytes(), at: mark, values: 0 };
    let entry: Option<&mut dyn FnMut(&Node)> = if is_bundle(&text[mark..]) { Some(entry) } else { None };
    let root = reader.value(0, entry)?;
    reader.blank();
    (reader.at == text.len()).then_some(root)
}

fn is_bundle(text: &str) -> bool {
    waybill_fhir::json::read::<waybill_fhir::bundle::Head<'_>>(text, "")
        .is_ok_and(|head| head.resource_type.as_str() == "Bundle")
}

struct Reader<'t> {
    bytes: &'t [u8],
    at: usize,
    /// Of the resource that is being read.
    values: usize,
}

impl Reader<'_> {
    fn blank(&mut self) {
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    /// Whether `byte` comes next; then it is passed.
    fn pass(&mut self, byte: u8) -> bool {
        self.blank();
        let found = self.bytes.get(self.at) == Some(&byte);
        self.at += usize::from(found);
        found
    }

    /// `entry`: of the root of a Bundle and of its list of entries.
    fn value(&mut self, depth: usize, mut entry: Option<&mut dyn FnMut(&Node)>) -> Option<Node> {
        self.blank();
        let start = self.at;
        self.values += 1;
        if self.values > MAX_VALUES {
            return None;
        }
        let mut children = Vec::new();
        let kind = match self.bytes.get(start)? {
            _ if depth > MAX_DEPTH => return None,
            b'{' => {
                self.at += 1;
                if !self.pass(b'}') {
                    loop {
                        self.blank();
                        let (from, to) = self.string()?;
                        if !self.pass(b':') {
                            return None;
                        }
                        let name = (from + 1, to - 1);
                        let is_list = depth == 0 && &self.bytes[name.0..name.1] == b"entry";
                        let entry: Option<&mut dyn FnMut(&Node)> = match &mut entry {
                            Some(entry) if is_list => Some(*entry),
                            _ => None,
                        };
                        children.push(Node { name, ..self.value(depth + 1, entry)? });
                        if !self.pass(b',') {
                            break;
                        }
                    }
                    if !self.pass(b'}') {
                        return None;
                    }
                }
                Kind::Object
            }
            b'[' => {
                self.at += 1;
                if !self.pass(b']') {
                    loop {
                        let child = self.value(depth + 1, None)?;
                        match entry.as_deref_mut() {
                            Some(entry) => {
                                entry(&child);
                                self.values = 0;
                            }
                            None => children.push(child),
                        }
                        if !self.pass(b',') {
                            break;
                        }
                    }
                    if !self.pass(b']') {
                        return None;
                    }
                }
                Kind::Array
            }
            b'"' => {
                self.string()?;
                Kind::String
            }
            _ => {
                let rest = self.bytes[start..].iter();
                self.at +=
                    rest.take_while(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte)).count();
                if self.at == start {
                    return None;
                }
                Kind::Other
            }
        };
        Some(Node { kind, start, end: self.at, name: (start, start), children })
    }

    /// The span of the string that comes next, with its quotation marks.
    fn string(&mut self) -> Option<(usize, usize)> {
        let start = self.at;
        if self.bytes.get(start) != Some(&b'"') {
            return None;
        }
        self.at += 1;
        loop {
            self.at += memchr::memchr2(b'"', b'\\', self.bytes.get(self.at..)?)?;
            if self.bytes[self.at] == b'"' {
                self.at += 1;
                return Some((start, self.at));
            }
            self.at += 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_where_they_stand() {
        let text = r#" {"a": [1.50, {"b\"": "x\u0041"}, true], "c" : {} } "#;
        let root = parse(text, &mut |_| {}).unwrap();
        let list = root.member(text, "a").unwrap();
        assert_eq!(&text[list.children[0].start..list.children[0].end], "1.50");
        let (name, value) = list.children[1].members(text).next().unwrap();
        assert_eq!((name, &*value.string(text).unwrap()), ("b\\\"", "xA"));
        assert_eq!(root.member(text, "c").unwrap().kind, Kind::Object);
        assert_eq!(parse("\u{feff}{}", &mut |_| {}).unwrap().start, 3);
    }

    #[test]
    fn what_is_no_json_is_nothing() {
        for text in ["", "{", "{\"a\"}", "[1,", "\"a", "\"a\\", "{\"a\":}", "1 2", "[}", "{\"a\":1,}"] {
            assert!(parse(text, &mut |_| {}).is_none(), "{text}");
        }
        assert!(parse(&"[".repeat(100_000), &mut |_| {}).is_none());
    }
    #[test]
    fn entries_of_a_bundle_are_seen_one_by_one_and_values_are_counted() {
        let text = r#"{"entry":[{"a":1},{"b":[{}]}],"type":"batch","resourceType":"Bundle"}"#;
        let mut seen = Vec::new();
        let root = parse(text, &mut |entry| seen.push(text[entry.start..entry.end].to_owned())).unwrap();
        assert_eq!(seen, [r#"{"a":1}"#, r#"{"b":[{}]}"#]);
        assert!(root.member(text, "entry").unwrap().children.is_empty());
        let list = text.replace("Bundle", "List");
        let root = parse(&list, &mut |_| panic!("a List is no Bundle")).unwrap();
        assert_eq!(root.member(&list, "entry").unwrap().children.len(), 2);
        let many = format!("[{}0]", "0,".repeat(MAX_VALUES));
        assert!(parse(&many, &mut |_| {}).is_none());
        let entries = format!(r#"{{"resourceType":"Bundle","entry":[{}0]}}"#, "{},".repeat(MAX_VALUES));
        assert!(parse(&entries, &mut |_| {}).is_some(), "each entry is counted for itself");
    }
}
