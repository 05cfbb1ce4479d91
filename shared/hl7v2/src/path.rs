//! Terse paths such as `PID-3[2].4.1`.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Where something stands in a message: `SEG[occurrence]-field[repetition].component.subcomponent`, all counted from 1.
///
/// `PID` is the whole first PID segment, `PID-3` a field with all repetitions, `PID-3.1` the first component of the first
/// repetition. [`path!`](crate::path) checks a literal at compile time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Path {
    pub(crate) segment: [u8; 3],
    // 0 where not given.
    pub(crate) occurrence: u16,
    pub(crate) field: u16,
    pub(crate) repetition: u16,
    pub(crate) component: u16,
    pub(crate) subcomponent: u16,
}

/// The text is not a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a path of the form SEG[n]-field[n].component.subcomponent")]
pub struct PathError;

/// A [`Path`] from a literal, checked at compile time.
///
/// ```
/// let path = waybill_hl7v2::path!("PID-3[2].4.1");
/// assert_eq!(path.to_string(), "PID-3[2].4.1");
/// ```
#[macro_export]
macro_rules! path {
    ($text:expr) => {
        const {
            match $crate::Path::parse($text) {
                Ok(path) => path,
                Err(_) => panic!("not an HL7 path"),
            }
        }
    };
}

impl Path {
    /// The whole segment `name`, first occurrence; `None` when it is no segment name.
    pub const fn segment(name: [u8; 3]) -> Option<Self> {
        if !is_segment_name(&name) {
            return None;
        }
        Some(Self { segment: name, occurrence: 0, field: 0, repetition: 0, component: 0, subcomponent: 0 })
    }

    /// The same place in occurrence `number` of the segment.
    #[must_use]
    pub const fn in_occurrence(self, number: u16) -> Self {
        Self { occurrence: number, ..self }
    }

    /// The field `number` of the segment.
    #[must_use]
    pub const fn at_field(self, number: u16) -> Self {
        Self { field: number, repetition: 0, component: 0, subcomponent: 0, ..self }
    }

    /// Occurrence of the segment, from 1; 0 where not given.
    pub const fn occurrence(&self) -> u16 {
        self.occurrence
    }

    /// Number of the field, from 1; 0 where not given.
    pub const fn field(&self) -> u16 {
        self.field
    }

    /// Repetition of the field, from 1; 0 where not given.
    pub const fn repetition(&self) -> u16 {
        self.repetition
    }

    /// Component, from 1; 0 where not given.
    pub const fn component(&self) -> u16 {
        self.component
    }

    /// Subcomponent, from 1; 0 where not given.
    pub const fn subcomponent(&self) -> u16 {
        self.subcomponent
    }

    /// The same place with this repetition of the field.
    #[must_use]
    pub const fn at_repetition(self, number: u16) -> Self {
        Self { repetition: number, ..self }
    }

    /// The component `number` of the place, without any subcomponent.
    #[must_use]
    pub const fn at_component(self, number: u16) -> Self {
        Self { component: number, subcomponent: 0, ..self }
    }

    /// Reads a path.
    ///
    /// # Errors
    /// When the text is no path.
    pub const fn parse(text: &str) -> Result<Self, PathError> {
        let bytes = text.as_bytes();
        let [a, b, c, ..] = *bytes else { return Err(PathError) };
        let Some(path) = Self::segment([a, b, c]) else { return Err(PathError) };
        let Some((occurrence, at)) = bracketed(bytes, 3) else { return Err(PathError) };
        let path = path.in_occurrence(occurrence);
        if at == bytes.len() {
            return Ok(path);
        }
        let Some((field, at)) = prefixed(bytes, at, b'-') else { return Err(PathError) };
        let Some((repetition, at)) = bracketed(bytes, at) else { return Err(PathError) };
        let path = Self { field, repetition, ..path };
        if at == bytes.len() {
            return Ok(path);
        }
        let Some((component, at)) = prefixed(bytes, at, b'.') else { return Err(PathError) };
        let path = Self { component, ..path };
        if at == bytes.len() {
            return Ok(path);
        }
        let Some((subcomponent, at)) = prefixed(bytes, at, b'.') else { return Err(PathError) };
        if at == bytes.len() { Ok(Self { subcomponent, ..path }) } else { Err(PathError) }
    }

    /// The segment's name.
    pub fn segment_name(&self) -> &str {
        std::str::from_utf8(&self.segment).unwrap_or_default()
    }
}

/// `[A-Z][A-Z0-9]{2}`
pub(crate) const fn is_segment_name(name: &[u8]) -> bool {
    let [a, b, c] = *name else { return false };
    a.is_ascii_uppercase() && is_upper_or_digit(b) && is_upper_or_digit(c)
}

const fn is_upper_or_digit(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}

/// `[n]` at `at`, or 0 when there is no bracket; with the position behind it.
const fn bracketed(bytes: &[u8], at: usize) -> Option<(u16, usize)> {
    if at >= bytes.len() || bytes[at] != b'[' {
        return Some((0, at));
    }
    let Some((number, end)) = number(bytes, at + 1) else { return None };
    if end < bytes.len() && bytes[end] == b']' { Some((number, end + 1)) } else { None }
}

/// `prefix` and a number at `at`, with the position behind them.
const fn prefixed(bytes: &[u8], at: usize, prefix: u8) -> Option<(u16, usize)> {
    if bytes[at] == prefix { number(bytes, at + 1) } else { None }
}

/// A number from 1.
const fn number(bytes: &[u8], start: usize) -> Option<(u16, usize)> {
    let mut at = start;
    let mut number = 0_u16;
    while at < bytes.len() && bytes[at].is_ascii_digit() {
        let Some(shifted) = number.checked_mul(10) else { return None };
        let Some(sum) = shifted.checked_add((bytes[at] - b'0') as u16) else { return None };
        number = sum;
        at += 1;
    }
    if number == 0 { None } else { Some((number, at)) }
}

impl FromStr for Path {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        Self::parse(text)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.segment_name())?;
        if self.occurrence > 0 {
            write!(f, "[{}]", self.occurrence)?;
        }
        if self.field > 0 {
            write!(f, "-{}", self.field)?;
        }
        if self.repetition > 0 {
            write!(f, "[{}]", self.repetition)?;
        }
        for number in [self.component, self.subcomponent].into_iter().filter(|number| *number > 0) {
            write!(f, ".{number}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_and_written_alike() {
        for text in
            ["PID", "OBX[3]", "PID-3", "PID-3[2]", "PID-3[2].4", "PID-3[2].4.1", "OBX[12]-5.1", "ZB1-1"]
        {
            assert_eq!(Path::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(path!("OBX[2]-5"), Path::segment(*b"OBX").unwrap().in_occurrence(2).at_field(5));
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for text in [
            "",
            "PI",
            "pid-3",
            "PID-",
            "PID-0",
            "PID-3[",
            "PID-3[0]",
            "PID-3.",
            "PID-3.1.1.1",
            "PIDX",
            "PID[1",
            "PID-70000",
            "PID3",
        ] {
            assert_eq!(text.parse::<Path>(), Err(PathError), "{text}");
        }
    }
}
