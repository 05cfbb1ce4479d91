//! The rules of R4's JSON form (§2.6.2) over a whole resource, whatever its type: nothing empty, no element twice, `null`
//! only inside lists, ids of their form, not too deep; and the references that must resolve.

use std::{borrow::Cow, collections::HashSet, fmt, fmt::Write as _};

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};

use crate::{
    issue::{Issue, IssueCode},
    json,
};

/// Issues of one resource; who has more has a systematic error, and each costs memory.
pub const MAX_ISSUES: usize = 20;
/// Values of one resource; far above what any means, far below what exhausts memory.
pub const MAX_VALUES: usize = 1_000_000;
/// From this many elements on, an object's names are hashed.
const HASH_ABOVE: usize = 32;

/// Walks through the resource `json`; `at` is its expression. `resolves` answers for `urn:uuid:` and `urn:oid:` references.
pub fn walk(json: &str, at: &str, resolves: &dyn Fn(&str) -> bool) -> Vec<Issue> {
    let mut walk = Walk {
        at,
        path: Vec::new(),
        issues: Vec::new(),
        contained: HashSet::new(),
        local: Vec::new(),
        values: 0,
        resolves,
    };
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let walked = Node { walk: &mut walk }.deserialize(&mut deserializer).and_then(|()| deserializer.end());
    if let Err(error) = walked
        && walk.issues.len() < MAX_ISSUES
    {
        let place = walk.place();
        walk.issues.push(json::issue_of(&error, place));
    }
    walk.check_local();
    walk.issues
}

struct Walk<'w, 'a> {
    at: &'w str,
    path: Vec<Step<'a>>,
    issues: Vec<Issue>,
    contained: HashSet<Cow<'a, str>>,
    /// References `#id` with their places: contained resources may come after them.
    local: Vec<(Cow<'a, str>, String)>,
    values: usize,
    resolves: &'w dyn Fn(&str) -> bool,
}

enum Step<'a> {
    Name(Cow<'a, str>),
    Index(usize),
}

impl<'a> Walk<'_, 'a> {
    fn place(&self) -> String {
        let mut place = self.at.to_owned();
        for step in &self.path {
            match step {
                // A name that no element has may be anything, patient data too.
                Step::Name(name) if !is_element_name(name) => place.push_str(".?"),
                Step::Name(name) => {
                    place.push('.');
                    place.push_str(name);
                }
                Step::Index(index) => {
                    let _ = write!(place, "[{index}]");
                }
            }
        }
        place
    }

    fn report(&mut self, code: IssueCode, text: &'static str) {
        if self.issues.len() < MAX_ISSUES {
            let place = self.place();
            self.issues.push(Issue::error(code, text, place));
        }
    }

    fn text(&mut self, text: Cow<'a, str>) {
        if text.is_empty() {
            return self.report(IssueCode::Structure, "a text is empty");
        }
        match self.path.as_slice() {
            [Step::Name(name)] if name == "id" => self.id(&text),
            [Step::Name(list), Step::Index(_), Step::Name(name)] if list == "contained" && name == "id" => {
                self.id(&text);
                self.contained.insert(text);
            }
            [.., Step::Name(name)] if name == "reference" => self.reference(text),
            _ => {}
        }
    }

    fn id(&mut self, id: &str) {
        if !is_id(id) {
            self.report(IssueCode::Value, "an id has 1 to 64 characters: letters, digits, `-` and `.`");
        }
    }

    fn reference(&mut self, reference: Cow<'a, str>) {
        // A resource inside this one (in Parameters, or a Bundle in a Bundle) has a world of its own.
        if self.path.iter().any(|step| matches!(step, Step::Name(name) if name == "resource")) {
            return;
        }
        if reference.starts_with("urn:uuid:") || reference.starts_with("urn:oid:") {
            if !(self.resolves)(&reference) {
                self.report(
                    IssueCode::NotFound,
                    "no entry of the Bundle has the fullUrl that is referred to",
                );
            }
        } else if reference.starts_with('#') && self.local.len() < json::MAX_LIST {
            let place = self.place();
            self.local.push((reference, place));
        }
    }

    fn check_local(&mut self) {
        for (reference, place) in std::mem::take(&mut self.local) {
            // "#" alone: from a contained resource to what contains it (R4 §2.3.0.3).
            if reference != "#" && !self.contained.contains(&reference[1..]) && self.issues.len() < MAX_ISSUES
            {
                let text = "no contained resource has the id that is referred to";
                self.issues.push(Issue::error(IssueCode::NotFound, text, place));
            }
        }
    }
}

/// An id of R4: `[A-Za-z0-9\-\.]{1,64}`.
pub fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'))
}

fn is_element_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

struct Node<'n, 'w, 'a> {
    walk: &'n mut Walk<'w, 'a>,
}

impl<'a> DeserializeSeed<'a> for Node<'_, '_, 'a> {
    type Value = ();
    fn deserialize<D: serde::Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        self.walk.values += 1;
        if self.walk.values > MAX_VALUES {
            return Err(D::Error::custom(json::TOO_MANY_VALUES));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Node<'_, '_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_borrowed_str<E>(self, text: &'a str) -> Result<(), E> {
        self.walk.text(Cow::Borrowed(text));
        Ok(())
    }
    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.walk.text(Cow::Owned(text.to_owned()));
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        // In a list of primitives it stands for one that has only extensions.
        if !matches!(self.walk.path.last(), Some(Step::Index(_))) {
            self.walk.report(IssueCode::Structure, "null is no value");
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut seq: A) -> Result<(), A::Error> {
        let walk = self.walk;
        if matches!(walk.path.last(), Some(Step::Index(_)) | None) {
            walk.report(IssueCode::Structure, "a list where there is no element for it");
        }
        let depth = walk.path.len();
        let mut index = 0;
        loop {
            walk.path.push(Step::Index(index));
            if seq.next_element_seed(Node { walk })?.is_none() {
                walk.path.truncate(depth);
                break;
            }
            walk.path.truncate(depth);
            index += 1;
        }
        if index == 0 {
            walk.report(IssueCode::Structure, "a list is empty");
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        let walk = self.walk;
        let depth = walk.path.len();
        let mut names: Vec<Cow<'a, str>> = Vec::new();
        let mut hashed: HashSet<Cow<'a, str>> = HashSet::new();
        while let Some(json::Text(name)) = map.next_key()? {
            let known = if names.len() < HASH_ABOVE {
                let known = names.contains(&name);
                names.push(name.clone());
                known
            } else {
                if hashed.is_empty() {
                    hashed.extend(names.iter().cloned());
                }
                !hashed.insert(name.clone())
            };
            walk.path.push(Step::Name(name));
            if known {
                walk.report(IssueCode::Structure, "an element is there twice");
            }
            map.next_value_seed(Node { walk })?;
            walk.path.truncate(depth);
            if walk.issues.len() >= MAX_ISSUES {
                return Err(A::Error::custom("enough"));
            }
        }
        if names.is_empty() {
            walk.report(IssueCode::Structure, "an object is empty");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(json: &str) -> Vec<(IssueCode, String)> {
        let issues = walk(json, "X", &|reference| reference == "urn:uuid:1");
        issues.into_iter().map(|issue| (issue.code, issue.expression.unwrap())).collect()
    }

    #[test]
    fn what_r4_allows_is_found_right() {
        let good = r##"{"id":"a.b-1","given":[null,"x"],"_given":[{"id":"1 2"},null],"n":-1.5e3,"b":true,
            "contained":[{"id":"c"}],"s":{"reference":"#c"},"t":{"reference":"urn:uuid:1"},"u":{"reference":"Patient/1"}}"##;
        assert_eq!(found(good), []);
        assert_eq!(found(r##"{"contained":[{"id":"c","patient":{"reference":"#"}}]}"##), []);
        assert_eq!(
            found(r##"{"parameter":[{"resource":{"x":{"reference":"#c"},"contained":[{"id":"c"}]}}]}"##),
            []
        );
    }

    #[test]
    fn what_r4_forbids_is_found_with_its_place() {
        use IssueCode::{NotFound, Structure, TooCostly, Value};
        for (json, expected) in [
            (r#"{"a":""}"#, (Structure, "X.a")),
            (r#"{"a":[{"b":[]}]}"#, (Structure, "X.a[0].b")),
            (r#"{"a":[{},1]}"#, (Structure, "X.a[0]")),
            (r#"{"a":null}"#, (Structure, "X.a")),
            (r#"{"a":[[1]]}"#, (Structure, "X.a[0]")),
            (r#"{"a":1,"b":2,"a":3}"#, (Structure, "X.a")),
            (r#"{"id":"a/b"}"#, (Value, "X.id")),
            (r#"{"contained":[{"id":"a_b"}]}"#, (Value, "X.contained[0].id")),
            (r##"{"s":{"reference":"#c"}}"##, (NotFound, "X.s.reference")),
            (r#"{"s":[{"reference":"urn:uuid:2"}]}"#, (NotFound, "X.s[0].reference")),
            (r#"{"Müller, Anna":{"a":""}}"#, (Structure, "X.?.a")),
            (r#"{"a":tru}"#, (Structure, "X.a")),
            (r"[]", (Structure, "X")),
        ] {
            assert_eq!(found(json).first(), Some(&(expected.0, expected.1.to_owned())), "{json}");
        }
        let deep = format!("{}1{}", r#"{"a":"#.repeat(300), "}".repeat(300));
        assert_eq!(found(&deep)[0].0, TooCostly);
    }

    #[test]
    fn many_names_and_many_issues_stay_bounded() {
        let names: Vec<String> = (0..5_000).map(|n| format!(r#""n{n}":1"#)).collect();
        assert_eq!(found(&format!("{{{}}}", names.join(","))), []);
        let twice = format!(r#"{{{},"n4000":2}}"#, names.join(","));
        assert_eq!(found(&twice), [(IssueCode::Structure, "X.n4000".to_owned())]);
        let many = format!(r#"{{"a":[{}]}}"#, vec!["{}"; 100].join(","));
        assert_eq!(found(&many).len(), MAX_ISSUES);
        let values = format!(r#"{{"a":[{}0]}}"#, "0,".repeat(MAX_VALUES));
        assert_eq!(found(&values)[0].0, IssueCode::TooCostly);
    }
}
