//! Borrowed views: field, repetition, component, subcomponent. Splitting happens when asked for, on raw bytes;
//! unescaping after it.

use std::borrow::Cow;
use std::fmt;

use crate::block::find;
use crate::charset::Charset;
use crate::delimiters::Delimiters;
use crate::escape::{self, Formatting};

/// The three states HL7 keeps apart: nothing said, deletion asked for, a value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum State<'a> {
    /// Not sent, or sent empty: leave what the receiver has.
    Absent,
    /// `""`: the receiver deletes what it has.
    Null,
    /// A value, still escaped.
    Value(&'a [u8]),
}

impl<'a> State<'a> {
    pub(crate) fn of(raw: &'a [u8]) -> Self {
        match raw {
            b"" => Self::Absent,
            b"\"\"" => Self::Null,
            value => Self::Value(value),
        }
    }

    /// The value's raw bytes, when there is one.
    pub fn value(self) -> Option<&'a [u8]> {
        match self {
            Self::Value(raw) => Some(raw),
            Self::Absent | Self::Null => None,
        }
    }
}

impl fmt::Debug for State<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("Absent"),
            Self::Null => f.write_str("Null"),
            Self::Value(raw) => write!(f, "Value({} bytes)", raw.len()),
        }
    }
}

macro_rules! view {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq)]
        pub struct $name<'a> {
            raw: &'a [u8],
            delimiters: Delimiters,
            /// Neither split nor unescaped: MSH-1, MSH-2, and what has nothing to be split at.
            literal: bool,
        }

        impl<'a> $name<'a> {
            pub(crate) fn new(raw: &'a [u8], delimiters: Delimiters, literal: bool) -> Self {
                Self { raw, delimiters, literal }
            }

            /// The bytes as sent; empty when absent.
            pub fn raw(&self) -> &'a [u8] {
                self.raw
            }

            /// Absent, null or value.
            pub fn state(&self) -> State<'a> {
                State::of(self.raw)
            }

            /// Not sent, or sent empty.
            pub fn is_absent(&self) -> bool {
                self.raw.is_empty()
            }

            /// Sent as `""`.
            pub fn is_null(&self) -> bool {
                self.state() == State::Null
            }

            /// The raw bytes of a value; `None` when absent or null.
            pub fn value(&self) -> Option<&'a [u8]> {
                self.state().value()
            }

            /// The value with its escape sequences resolved and formatting ones kept; `None` when absent or null.
            /// Ask a level that is not split further, or separators of lower levels stay in the result.
            pub fn unescaped(&self) -> Option<Cow<'a, [u8]>> {
                let raw = self.value()?;
                if self.literal {
                    return Some(Cow::Borrowed(raw));
                }
                Some(escape::unescape(raw, &self.delimiters, Formatting::Keep))
            }

            /// The value as text: escape sequences resolved, formatting turned into plain text (`\.br\` into a line
            /// feed), decoded; `None` when absent or null.
            pub fn text(&self, charset: &Charset) -> Option<Cow<'a, str>> {
                let raw = self.value()?;
                if self.literal {
                    return Some(charset.decode(raw));
                }
                let switches = charset.has_alternates();
                Some(match escape::unescape_with(raw, self.delimiters, Formatting::Plain, switches) {
                    Cow::Borrowed(bytes) => charset.decode(bytes),
                    Cow::Owned(bytes) => Cow::Owned(charset.decode(&bytes).into_owned()),
                })
            }
        }

        impl fmt::Debug for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({} bytes)", stringify!($name), self.raw.len())
            }
        }
    };
}

view! {
    /// One field with all its repetitions.
    Field
}
view! {
    /// One repetition of a field.
    Repetition
}
view! {
    /// One component of a repetition.
    Component
}
view! {
    /// One subcomponent: the leaf.
    Subcomponent
}

impl<'a> Field<'a> {
    /// A view of a field's bytes outside of a message, as an edited one is.
    pub fn from_raw(raw: &'a [u8], delimiters: Delimiters) -> Self {
        Self::new(raw, delimiters, false)
    }

    /// The repetitions in order; none when the field is absent.
    pub fn repetitions(&self) -> impl Iterator<Item = Repetition<'a>> + Clone + use<'a> {
        let (delimiters, literal) = (self.delimiters, self.literal);
        parts(self.raw, literal, delimiters.repetition)
            .map(move |raw| Repetition::new(raw, delimiters, literal))
    }

    /// Repetition `number`, from 1; absent when there is none.
    pub fn repetition(&self, number: usize) -> Repetition<'a> {
        let raw = part(self.raw, self.literal, self.delimiters.repetition, number);
        Repetition::new(raw, self.delimiters, self.literal)
    }

    /// Component `number`, from 1, of the first repetition.
    pub fn component(&self, number: usize) -> Component<'a> {
        self.repetition(1).component(number)
    }
}

impl<'a> Repetition<'a> {
    /// The components in order; none when the repetition is absent.
    pub fn components(&self) -> impl Iterator<Item = Component<'a>> + Clone + use<'a> {
        let (delimiters, literal) = (self.delimiters, self.literal);
        parts(self.raw, literal, delimiters.component)
            .map(move |raw| Component::new(raw, delimiters, literal))
    }

    /// Component `number`, from 1; absent when there is none.
    pub fn component(&self, number: usize) -> Component<'a> {
        let raw = part(self.raw, self.literal, self.delimiters.component, number);
        Component::new(raw, self.delimiters, self.literal)
    }
}

impl<'a> Component<'a> {
    /// The subcomponents in order; none when the component is absent.
    pub fn subcomponents(&self) -> impl Iterator<Item = Subcomponent<'a>> + Clone + use<'a> {
        let (delimiters, literal) = (self.delimiters, self.literal);
        parts(self.raw, literal, delimiters.subcomponent)
            .map(move |raw| Subcomponent::new(raw, delimiters, literal))
    }

    /// Subcomponent `number`, from 1; absent when there is none.
    pub fn subcomponent(&self, number: usize) -> Subcomponent<'a> {
        let raw = part(self.raw, self.literal, self.delimiters.subcomponent, number);
        Subcomponent::new(raw, self.delimiters, self.literal)
    }
}

fn parts(raw: &[u8], literal: bool, separator: u8) -> Parts<'_> {
    Parts { rest: (!raw.is_empty()).then_some(raw), separator: (!literal).then_some(separator) }
}

/// Part `number`, from 1.
fn part(raw: &[u8], literal: bool, separator: u8, number: usize) -> &[u8] {
    number.checked_sub(1).and_then(|index| parts(raw, literal, separator).nth(index)).unwrap_or_default()
}

#[derive(Clone)]
struct Parts<'a> {
    rest: Option<&'a [u8]>,
    /// `None`: one part, the whole.
    separator: Option<u8>,
}

impl<'a> Iterator for Parts<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest.take()?;
        let Some(end) = self.separator.and_then(|separator| find(separator, rest)) else {
            return Some(rest);
        };
        self.rest = Some(&rest[end + 1..]);
        Some(&rest[..end])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(raw: &[u8]) -> Field<'_> {
        Field::new(raw, Delimiters::default(), false)
    }

    #[test]
    fn the_three_states_are_kept_apart_at_every_level() {
        let name = field(b"Smith^\"\"^^x&\"\"&");
        assert_eq!(name.component(1).state(), State::Value(b"Smith"));
        assert_eq!(name.component(2).state(), State::Null);
        assert_eq!(name.component(3).state(), State::Absent);
        assert_eq!(name.component(9).state(), State::Absent);
        assert_eq!(name.component(0).state(), State::Absent);
        assert_eq!(name.component(4).subcomponent(2).state(), State::Null);
        assert_eq!(name.component(4).subcomponents().count(), 3);
    }

    #[test]
    fn an_absent_field_has_no_repetitions_and_an_empty_repetition_counts() {
        assert_eq!(field(b"").repetitions().count(), 0);
        assert_eq!(field(b"a~~b").repetitions().count(), 3);
        assert_eq!(field(b"a~~b").repetition(3).raw(), b"b");
    }

    #[test]
    fn a_part_is_what_splitting_gives_however_long_it_is() {
        for length in [0, 1, 5, 62, 63, 64, 65, 200] {
            let raw = [b"x".repeat(length), b"y".repeat(length / 2), vec![], b"z".to_vec()].join(&b'^');
            let whole = field(&raw).repetition(1);
            let split: Vec<_> = raw.split(|byte| *byte == b'^').collect();
            for number in 1..=6 {
                let expected = split.get(number - 1).copied().unwrap_or_default();
                assert_eq!(whole.component(number).raw(), expected, "{length} {number}");
            }
        }
    }

    #[test]
    fn values_are_unescaped_only_after_splitting() {
        let escaped = field(b"a\\S\\b^c");
        assert_eq!(escaped.component(1).unescaped().unwrap().as_ref(), b"a^b");
        assert_eq!(escaped.component(2).raw(), b"c");
        assert_eq!(escaped.component(1).text(&Charset::utf8()).unwrap(), "a^b");
    }

    #[test]
    fn debug_output_holds_no_content() {
        let debug = format!("{:?} {:?}", field(b"Smith"), field(b"Smith").state());
        assert!(!debug.contains("Smith"), "{debug}");
    }
}
