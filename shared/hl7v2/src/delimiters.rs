//! The delimiters of one message, as MSH-1 and MSH-2 declare them.

use crate::error::{ParseError, ParseErrorReason};

/// The delimiters of one message. Whatever MSH-2 leaves out has its standard value; the truncation character exists
/// only where a fifth one is sent (since version 2.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Delimiters {
    pub(crate) field: u8,
    pub(crate) component: u8,
    pub(crate) repetition: u8,
    pub(crate) escape: u8,
    pub(crate) subcomponent: u8,
    pub(crate) truncation: Option<u8>,
    declared: u8,
}

impl Default for Delimiters {
    /// `|^~\&`
    fn default() -> Self {
        Self {
            field: b'|',
            component: b'^',
            repetition: b'~',
            escape: b'\\',
            subcomponent: b'&',
            truncation: None,
            declared: 4,
        }
    }
}

impl Delimiters {
    /// The standard delimiters with the truncation character: `|^~\&#`, the usual set of laboratory reporting.
    pub fn with_truncation() -> Self {
        Self { truncation: Some(b'#'), declared: 5, ..Self::default() }
    }

    /// Delimiters from MSH-1 and the characters of MSH-2.
    ///
    /// # Errors
    /// See [`ParseErrorReason`]; the offset counts from MSH-1 at 0.
    pub fn new(field: u8, encoding_characters: &[u8]) -> Result<Self, ParseError> {
        let mut all = [field].into_iter().chain(encoding_characters.iter().copied());
        // A quotation mark could not be told from the null value `""`.
        if let Some(offset) = all.position(|byte| !byte.is_ascii_punctuation() || byte == b'"') {
            return Err(ParseError::new(ParseErrorReason::InvalidDelimiter, offset));
        }
        if !(2..=5).contains(&encoding_characters.len()) {
            return Err(ParseError::new(ParseErrorReason::EncodingCharacterCount, 1));
        }
        let mut found = Self { field, ..Self::default() };
        found.component = encoding_characters[0];
        found.repetition = encoding_characters[1];
        found.escape = *encoding_characters.get(2).unwrap_or(&found.escape);
        found.subcomponent = *encoding_characters.get(3).unwrap_or(&found.subcomponent);
        found.truncation = encoding_characters.get(4).copied();
        found.declared = encoding_characters.len() as u8;
        let mut seen = 0_u128;
        for (offset, byte) in found.all().into_iter().flatten().enumerate() {
            if seen & (1 << byte) != 0 {
                return Err(ParseError::new(ParseErrorReason::DuplicateDelimiter, offset));
            }
            seen |= 1 << byte;
        }
        Ok(found)
    }

    /// MSH-1.
    pub const fn field(&self) -> u8 {
        self.field
    }

    /// First character of MSH-2, `^`.
    pub const fn component(&self) -> u8 {
        self.component
    }

    /// Second character of MSH-2, `~`.
    pub const fn repetition(&self) -> u8 {
        self.repetition
    }

    /// Third character of MSH-2, `\`.
    pub const fn escape(&self) -> u8 {
        self.escape
    }

    /// Fourth character of MSH-2, `&`.
    pub const fn subcomponent(&self) -> u8 {
        self.subcomponent
    }

    /// Fifth character of MSH-2, `#`, where it is declared.
    pub const fn truncation(&self) -> Option<u8> {
        self.truncation
    }

    /// MSH-2 as it was declared, with as many characters as it had.
    pub fn encoding_characters(&self) -> impl Iterator<Item = u8> + use<> {
        self.all().into_iter().flatten().skip(1).take(usize::from(self.declared))
    }

    fn all(self) -> [Option<u8>; 6] {
        [
            Some(self.field),
            Some(self.component),
            Some(self.repetition),
            Some(self.escape),
            Some(self.subcomponent),
            self.truncation,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(field: u8, encoding: &[u8]) -> Option<ParseErrorReason> {
        Delimiters::new(field, encoding).err().map(|error| error.reason)
    }

    #[test]
    fn two_to_five_encoding_characters_are_taken_and_missing_ones_default() {
        for encoding in [&b"^~"[..], b"^~\\", b"^~\\&", b"^~\\&#", b"!@%*"] {
            let delimiters = Delimiters::new(b'|', encoding).unwrap();
            assert_eq!(delimiters.encoding_characters().collect::<Vec<_>>(), encoding);
        }
        assert_eq!(Delimiters::new(b'|', b"^~").unwrap().subcomponent(), b'&');
        assert_eq!(Delimiters::new(b'|', b"^~\\&").unwrap().truncation(), None);
        assert_eq!(Delimiters::new(b'|', b"^~\\&#").unwrap(), Delimiters::with_truncation());
    }

    #[test]
    fn unusable_delimiters_are_refused_with_their_reason() {
        assert_eq!(reason(b'|', b"^"), Some(ParseErrorReason::EncodingCharacterCount));
        assert_eq!(reason(b'|', b""), Some(ParseErrorReason::EncodingCharacterCount));
        assert_eq!(reason(b'|', b"^~\\&#@"), Some(ParseErrorReason::EncodingCharacterCount));
        assert_eq!(reason(b'A', b"^~\\&"), Some(ParseErrorReason::InvalidDelimiter));
        assert_eq!(reason(b'"', b"^~\\&"), Some(ParseErrorReason::InvalidDelimiter));
        assert_eq!(reason(b'|', b"^~\\\r"), Some(ParseErrorReason::InvalidDelimiter));
        assert_eq!(reason(b'|', b"^~\xa7&"), Some(ParseErrorReason::InvalidDelimiter));
        assert_eq!(reason(b'|', b"^^\\&"), Some(ParseErrorReason::DuplicateDelimiter));
        // The subcomponent separator defaults to `&`, which is already taken here.
        assert_eq!(reason(b'|', b"&~\\"), Some(ParseErrorReason::DuplicateDelimiter));
    }
}
