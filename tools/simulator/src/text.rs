//! Character sets as real feeds use them: what MSH-18 says, and what the bytes are.

use crate::rng::Rng;

/// How one message is written in bytes and what it declares about that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Charset {
    /// Nothing declared, nothing beyond ASCII in it.
    Ascii,
    /// `UNICODE UTF-8` declared and true.
    Utf8,
    /// `8859/1` declared and true.
    Latin1,
    /// Latin-1 bytes with nothing declared: common, and the reason a receiver needs a fallback.
    Latin1Undeclared,
}

impl Charset {
    /// Chooses one that can carry the text.
    pub(crate) fn for_text(text: &str, rng: &mut Rng) -> Self {
        if text.is_ascii() {
            return if rng.chance(0.3) { Self::Utf8 } else { Self::Ascii };
        }
        if text.chars().any(|c| u32::from(c) > 0xFF) {
            return Self::Utf8;
        }
        [Self::Utf8, Self::Latin1, Self::Latin1Undeclared][rng.weighted(&[40, 35, 25])]
    }

    /// The value of MSH-18.
    pub(crate) fn declared(self) -> &'static str {
        match self {
            Self::Ascii | Self::Latin1Undeclared => "",
            Self::Utf8 => "UNICODE UTF-8",
            Self::Latin1 => "8859/1",
        }
    }

    /// The text in this character set; what it cannot carry becomes `?`.
    pub(crate) fn encode(self, text: &str) -> Vec<u8> {
        match self {
            Self::Ascii | Self::Utf8 => text.as_bytes().to_vec(),
            Self::Latin1 | Self::Latin1Undeclared => latin1(text),
        }
    }
}

/// ISO 8859-1 bytes of a text: the first 256 code points are the bytes.
pub(crate) fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect()
}
