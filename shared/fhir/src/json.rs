//! JSON as R4 elements: texts borrowed from the received bytes, decimals as they were written, one error with its place.

use std::{borrow::Cow, fmt, marker::PhantomData, ops::Deref};

use serde::{
    Deserialize, Deserializer,
    de::{self, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::issue::{Issue, IssueCode, Severity};

/// Elements of one list; far above what any resource means, far below what exhausts memory.
pub const MAX_LIST: usize = 10_000;

/// Texts of our own errors, by which they are told from serde's, which may quote what was sent.
pub(crate) const NOT_A_DATE: &str = "not a date of R4";
pub(crate) const NOT_A_DATE_TIME: &str =
    "not a dateTime of R4: YYYY, YYYY-MM, YYYY-MM-DD, or with a time and an offset";
pub(crate) const NOT_A_DECIMAL: &str = "not a number";
const EMPTY_TEXT: &str = "a text is empty";
const EMPTY_LIST: &str = "a list is empty";
pub(crate) const TOO_MANY_VALUES: &str = "the resource has more values than are taken";
const LIST_TOO_LONG: &str = "a list has more elements than are taken";

/// Reads `json` as `T`; `at` is the expression of the whole.
///
/// # Errors
/// The first thing that is not of R4's form, with its place, and without any content.
pub fn read<'a, T: Deserialize<'a>>(json: &'a str, at: &str) -> Result<T, Issue> {
    // The place costs an allocation per key: only asked for when there is something to tell.
    serde_json::from_str(json).map_err(|error| locate::<T>(json, at, &error))
}

fn locate<'a, T: Deserialize<'a>>(json: &'a str, at: &str, first: &serde_json::Error) -> Issue {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    match serde_path_to_error::deserialize::<_, T>(&mut deserializer) {
        Ok(_) => issue_of(first, at.to_owned()),
        Err(error) => {
            let path = error.path().to_string();
            let expression = if path == "." { at.to_owned() } else { format!("{at}.{path}") };
            issue_of(error.inner(), expression)
        }
    }
}

/// What an error of serde_json says, in our own words: its texts may quote content.
pub(crate) fn issue_of(error: &serde_json::Error, expression: String) -> Issue {
    let text = error.to_string();
    if text.starts_with("recursion limit") {
        return Issue {
            severity: Severity::Fatal,
            ..Issue::error(IssueCode::TooCostly, "nested too deeply", expression)
        };
    }
    if error.is_syntax() || error.is_eof() {
        let place = format!("not JSON: line {}, column {}", error.line(), error.column());
        return Issue { severity: Severity::Fatal, ..Issue::error(IssueCode::Structure, place, expression) };
    }
    let own = [
        (NOT_A_DATE_TIME, IssueCode::Value),
        (NOT_A_DATE, IssueCode::Value),
        (NOT_A_DECIMAL, IssueCode::Structure),
        (EMPTY_TEXT, IssueCode::Structure),
        (EMPTY_LIST, IssueCode::Structure),
        (LIST_TOO_LONG, IssueCode::TooCostly),
        (TOO_MANY_VALUES, IssueCode::TooCostly),
    ];
    for (message, code) in own {
        if text.starts_with(message) {
            return Issue::error(code, message, expression);
        }
    }
    if text.starts_with("duplicate field") {
        return Issue::error(IssueCode::Structure, "an element is there twice", expression);
    }
    Issue::error(IssueCode::Structure, "the JSON type is not that of the element", expression)
}

/// A text of at least one character.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Text<'a>(pub Cow<'a, str>);

impl Text<'_> {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for Text<'_> {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

/// Patient data, mostly.
impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[text]")
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Cow<'de, str>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }
            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
                if text.is_empty() { Err(E::custom(EMPTY_TEXT)) } else { Ok(Cow::Borrowed(text)) }
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                if text.is_empty() { Err(E::custom(EMPTY_TEXT)) } else { Ok(Cow::Owned(text.to_owned())) }
            }
        }
        deserializer.deserialize_str(TextVisitor).map(Text)
    }
}

/// A decimal as it was written: `1.50` stays `1.50` (R4 §2.24.0.1).
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Decimal<'a>(pub &'a str);

impl fmt::Debug for Decimal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[decimal]")
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Decimal<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&'a RawValue>::deserialize(deserializer)?.get();
        if raw.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
            Ok(Self(raw))
        } else {
            Err(de::Error::custom(NOT_A_DECIMAL))
        }
    }
}

/// Lets a type with `#[serde(remote = "Self")]` be read from an object, and from nothing else: what serde derives would
/// take a list as well, its elements in the order of the fields.
macro_rules! only_objects {
    ($name:ident) => {
        impl<'de: 'a, 'a> serde::Deserialize<'de> for $name<'a> {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Object<'a>(std::marker::PhantomData<&'a ()>);
                impl<'de: 'a, 'a> serde::de::Visitor<'de> for Object<'a> {
                    type Value = $name<'a>;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an object")
                    }
                    fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<$name<'a>, A::Error> {
                        $name::deserialize(serde::de::value::MapAccessDeserializer::new(map))
                    }
                }
                deserializer.deserialize_map(Object(std::marker::PhantomData))
            }
        }
    };
}
pub(crate) use only_objects;

/// A list with at least one element where it is there at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List<T>(pub Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Deref for List<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<'l, T> IntoIterator for &'l List<T> {
    type Item = &'l T;
    type IntoIter = std::slice::Iter<'l, T>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        elements(deserializer, MAX_LIST).map(Self)
    }
}

/// The elements of a list, at most `limit`.
pub(crate) fn elements<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
    limit: usize,
) -> Result<Vec<T>, D::Error> {
    struct ListVisitor<T> {
        limit: usize,
        element: PhantomData<T>,
    }
    impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
        type Value = Vec<T>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
            let mut elements = Vec::new();
            while let Some(element) = seq.next_element()? {
                if elements.len() == self.limit {
                    return Err(de::Error::custom(LIST_TOO_LONG));
                }
                elements.push(element);
            }
            if elements.is_empty() { Err(de::Error::custom(EMPTY_LIST)) } else { Ok(elements) }
        }
    }
    deserializer.deserialize_seq(ListVisitor { limit, element: PhantomData })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, Deserialize)]
    #[serde(remote = "Self", default, bound(deserialize = "'de: 'a"))]
    struct Sample<'a> {
        text: Option<Text<'a>>,
        value: Option<Decimal<'a>>,
        list: List<Sample<'a>>,
        flag: Option<bool>,
    }

    only_objects!(Sample);

    fn error(json: &str) -> (IssueCode, String) {
        let issue = read::<Sample<'_>>(json, "Sample").unwrap_err();
        (issue.code, issue.expression.unwrap())
    }

    #[test]
    fn decimals_keep_their_text_and_texts_are_borrowed() {
        let read: Sample<'_> = read(r#"{"value":1.50,"text":"a","other":[{}]}"#, "Sample").unwrap();
        assert_eq!(read.value.unwrap().0, "1.50");
        assert!(matches!(read.text.unwrap().0, Cow::Borrowed("a")));
    }

    #[test]
    fn errors_have_a_place_and_no_content() {
        let wrong = r#"{"list":[{"text":"ok"},{"list":[{"text":4711}]}]}"#;
        assert_eq!(error(wrong), (IssueCode::Structure, "Sample.list[1].list[0].text".into()));
        let issue = read::<Sample<'_>>(wrong, "Sample").unwrap_err();
        assert!(!issue.diagnostics.contains("4711"));
        assert_eq!(error(r#"{"flag":"true"}"#).1, "Sample.flag");
        assert_eq!(error(r#"{"value":"1"}"#), (IssueCode::Structure, "Sample.value".into()));
        assert_eq!(error(r#"{"text":""}"#), (IssueCode::Structure, "Sample.text".into()));
        assert_eq!(error(r#"{"list":[]}"#), (IssueCode::Structure, "Sample.list".into()));
        assert_eq!(error(r#"{"flag":true,"flag":true}"#).0, IssueCode::Structure);
        assert_eq!(error(r#"["text"]"#), (IssueCode::Structure, "Sample".into()));
        assert_eq!(error(r#"{"list":[["text"]]}"#), (IssueCode::Structure, "Sample.list[0]".into()));
        let issue = read::<Sample<'_>>("{\"text\":\n}", "Sample").unwrap_err();
        assert_eq!(issue.diagnostics, "not JSON: line 2, column 1");
        let many = format!(r#"{{"list":[{}]}}"#, vec!["{}"; MAX_LIST + 1].join(","));
        assert_eq!(error(&many), (IssueCode::TooCostly, "Sample.list".into()));
    }
}
