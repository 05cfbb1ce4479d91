//! Character sets: from MSH-18 to text.
//!
//! The rule: what the feed's settings say, else MSH-18, else UTF-8 where the bytes are valid UTF-8, else windows-1252 as a
//! guess. Bytes that contradict a declared UTF-8 or ASCII never fail: they are read by the same rule and flagged.
//! Delimiters are ASCII in every set handled here but for the second bytes of GB 18030, Big5, Shift-JIS and
//! ISO-2022-JP, which may equal them; splitting does not know about that.

mod switch;

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};
use memchr::memchr;

pub(crate) use self::switch::ESC;

/// How to read the text of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charset {
    encoding: &'static Encoding,
    warning: Option<CharsetWarning>,
    guess: bool,
    /// MSH-18 repeats: text may switch to another set and back.
    switches: bool,
}

/// What was odd about a message's character set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CharsetWarning {
    /// Neither settings nor MSH-18 name a set, and the message is not ASCII.
    Undeclared,
    /// MSH-18 names a set this crate does not know, or UTF-16/32, which the bytes refute.
    UnknownDeclared,
    /// Declared as ASCII, yet there are bytes beyond it.
    NotAscii,
    /// Declared as UTF-8, yet not valid UTF-8.
    NotUtf8,
}

impl Charset {
    /// UTF-8 (and with it ASCII).
    pub const fn utf8() -> Self {
        Self { encoding: UTF_8, warning: None, guess: false, switches: false }
    }

    /// The set named as in MSH-18 (table 0211) or by a WHATWG label such as `windows-1250`; `None` when unknown.
    pub fn named(name: &str) -> Option<Self> {
        match declared(name.as_bytes()) {
            Declared::Known(encoding) => {
                Some(Self { encoding, warning: None, guess: false, switches: false })
            }
            Declared::Ascii => Some(Self::utf8()),
            Declared::None | Declared::Unknown => Encoding::for_label(name.as_bytes()).map(|encoding| Self {
                encoding,
                warning: None,
                guess: false,
                switches: false,
            }),
        }
    }

    /// Decides for one message: `configured` of the feed, else `msh_18` (its first repetition), else by its bytes.
    pub fn resolve(configured: Option<Self>, msh_18: &[u8], message: &[u8]) -> Self {
        if let Some(configured) = configured {
            return configured.checked(message);
        }
        match declared(msh_18) {
            Declared::Known(encoding) => {
                Self { encoding, warning: None, guess: false, switches: false }.checked(message)
            }
            Declared::Ascii => Self::by_bytes(message, CharsetWarning::NotAscii),
            Declared::None => Self::by_bytes(message, CharsetWarning::Undeclared),
            Declared::Unknown => {
                let found = Self::by_bytes(message, CharsetWarning::UnknownDeclared);
                Self { warning: Some(CharsetWarning::UnknownDeclared), ..found }
            }
        }
    }

    fn checked(self, message: &[u8]) -> Self {
        if self.encoding != UTF_8 || std::str::from_utf8(message).is_ok() {
            return self;
        }
        Self { warning: Some(CharsetWarning::NotUtf8), guess: true, ..self }
    }

    fn by_bytes(message: &[u8], warning: CharsetWarning) -> Self {
        if message.is_ascii() {
            return Self::utf8();
        }
        let guess = std::str::from_utf8(message).is_err();
        let encoding = if guess { WINDOWS_1252 } else { UTF_8 };
        Self { encoding, warning: Some(warning), guess, switches: false }
    }

    /// The same for a message whose MSH-18 has more repetitions than one: the others are sets that text may switch to, by
    /// ISO 2022 escape sequences or `\C..\` and `\M..\` (§2.7.2). Without them such sequences stay in the text as they
    /// are.
    #[must_use]
    pub fn with_alternates(self, declared: bool) -> Self {
        Self { switches: declared, ..self }
    }

    /// Whether text may switch to other sets.
    pub fn has_alternates(&self) -> bool {
        self.switches
    }

    /// Whether text had to be guessed: the message is not valid in the set that was declared, or none was and it is not
    /// UTF-8.
    pub fn is_guess(&self) -> bool {
        self.guess
    }

    /// What was odd, for the message's quality flags.
    pub fn warning(&self) -> Option<CharsetWarning> {
        self.warning
    }

    /// WHATWG name of the encoding.
    pub fn name(&self) -> &'static str {
        self.encoding.name()
    }

    /// Decodes one value, unescaped. A value that is not valid UTF-8 where UTF-8 was declared is read as windows-1252.
    pub fn decode<'a>(&self, bytes: &'a [u8]) -> Cow<'a, str> {
        if self.switches && memchr(ESC, bytes).is_some() {
            return Cow::Owned(switch::decode(bytes, |run| self.decode_own(run).into_owned()));
        }
        self.decode_own(bytes)
    }

    fn decode_own<'a>(&self, bytes: &'a [u8]) -> Cow<'a, str> {
        if self.encoding == UTF_8 {
            return std::str::from_utf8(bytes)
                .map_or_else(|_| WINDOWS_1252.decode_without_bom_handling(bytes).0, Cow::Borrowed);
        }
        self.encoding.decode_without_bom_handling(bytes).0
    }

    /// Encodes text; a character the set does not have becomes `?`.
    pub fn encode<'a>(&self, text: &'a str) -> Cow<'a, [u8]> {
        let (bytes, _, unmappable) = self.encoding.encode(text);
        if !unmappable {
            return bytes;
        }
        // encoding_rs would write HTML character references, whose `&` and `#` are delimiters here.
        let mut result = Vec::with_capacity(text.len());
        for character in text.chars() {
            let mut buffer = [0; 4];
            let (bytes, _, unmappable) = self.encoding.encode(character.encode_utf8(&mut buffer));
            result.extend_from_slice(if unmappable { b"?" } else { &bytes });
        }
        Cow::Owned(result)
    }
}

enum Declared {
    None,
    Ascii,
    Known(&'static Encoding),
    Unknown,
}

/// Table 0211, compared without blanks, case and punctuation because senders vary those.
fn declared(name: &[u8]) -> Declared {
    let key: String = name
        .iter()
        .filter(|byte| byte.is_ascii_alphanumeric())
        .map(|byte| byte.to_ascii_uppercase() as char)
        .collect();
    let label = match key.as_str() {
        "" => return Declared::None,
        "ASCII" | "USASCII" | "ISOIR6" | "7BIT" => return Declared::Ascii,
        "UNICODE" | "UNICODEUTF8" | "UTF8" => return Declared::Known(UTF_8),
        "ISOIR14" | "ISOIR87" | "ISOIR159" => "iso-2022-jp",
        "GB18030" | "GB180302000" => "gb18030",
        "KSX1001" => "euc-kr",
        "BIG5" => "big5",
        latin => match latin.strip_prefix("ISO").unwrap_or(latin).strip_prefix("8859") {
            Some(part) => {
                return Encoding::for_label(format!("iso-8859-{part}").as_bytes())
                    .map_or(Declared::Unknown, Declared::Known);
            }
            None => return Declared::Unknown,
        },
    };
    Encoding::for_label(label.as_bytes()).map_or(Declared::Unknown, Declared::Known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(msh_18: &str, message: &[u8]) -> (&'static str, bool, Option<CharsetWarning>) {
        let charset = Charset::resolve(None, msh_18.as_bytes(), message);
        (charset.name(), charset.is_guess(), charset.warning())
    }

    #[test]
    fn declared_sets_decode() {
        for (name, bytes) in [
            ("8859/1", &b"M\xfcller"[..]),
            ("8859/15", b"M\xfcller"),
            ("UNICODE UTF-8", "Müller".as_bytes()),
            ("UNICODE", "Müller".as_bytes()),
            ("8859/2", b"M\xfcller"),
        ] {
            let charset = Charset::resolve(None, name.as_bytes(), bytes);
            assert_eq!((charset.decode(bytes).as_ref(), charset.is_guess()), ("Müller", false), "{name}");
        }
        let cyrillic = Charset::resolve(None, b"8859/5", b"");
        assert_eq!(cyrillic.decode(b"\xb8\xd2\xd0\xdd"), "Иван");
    }

    #[test]
    fn undeclared_sets_are_found_by_the_bytes() {
        assert_eq!(resolve("", b"Muller"), ("UTF-8", false, None));
        assert_eq!(resolve("", "Müller".as_bytes()), ("UTF-8", false, Some(CharsetWarning::Undeclared)));
        assert_eq!(resolve("", b"M\xfcller"), ("windows-1252", true, Some(CharsetWarning::Undeclared)));
        assert_eq!(resolve("ASCII", b"M\xfcller"), ("windows-1252", true, Some(CharsetWarning::NotAscii)));
        assert_eq!(resolve("KLINGON", b"Muller"), ("UTF-8", false, Some(CharsetWarning::UnknownDeclared)));
        assert_eq!(
            resolve("UNICODE UTF-16", b"Muller"),
            ("UTF-8", false, Some(CharsetWarning::UnknownDeclared))
        );
    }

    #[test]
    fn invalid_utf8_is_guessed_value_by_value() {
        let charset = Charset::resolve(None, b"UNICODE UTF-8", b"M\xfcller|M\xc3\xbcller");
        assert_eq!((charset.is_guess(), charset.warning()), (true, Some(CharsetWarning::NotUtf8)));
        assert_eq!(charset.decode(b"M\xfcller"), "Müller");
        assert_eq!(charset.decode(b"M\xc3\xbcller"), "Müller");
    }

    #[test]
    fn text_switches_to_alternate_sets_and_back_where_they_are_declared() {
        let one = Charset::resolve(None, b"", b"");
        let several = one.with_alternates(true);
        for (bytes, text) in [
            (&b"Yamada^\x1b$B;3ED\x1b(B^x"[..], "Yamada^山田^x"),
            (b"\x1b)I\xd4\xcf\xc0\xde\x1b(B", "ﾔﾏﾀﾞ"),
            (b"\x1b-A\xfc\x1b-L\xb8\x1b(Bz", "üИz"),
            (b"\x1b$(D\x30\x21\x1b(B", "丂"),
            (b"\x1b(J\\\x1b(B", "¥"),
            (b"\x1b[1m\x1b", "\x1b[1m\x1b"),
        ] {
            assert_eq!(several.decode(bytes), text);
            assert!(one.decode(bytes).starts_with(['\x1b', 'Y']));
        }
        assert!(several.has_alternates() && !one.has_alternates());
    }

    #[test]
    fn the_feed_overrides_the_message() {
        let latin = Charset::named("8859/1").unwrap();
        let charset = Charset::resolve(Some(latin), b"UNICODE UTF-8", b"M\xfcller");
        assert_eq!((charset.decode(b"M\xfcller").as_ref(), charset.is_guess()), ("Müller", false));
        assert_eq!(Charset::named("windows-1250").map(|set| set.name()), Some("windows-1250"));
        assert_eq!(Charset::named("klingon"), None);
    }

    #[test]
    fn unmappable_characters_become_question_marks() {
        assert_eq!(Charset::named("8859/1").unwrap().encode("ü→").as_ref(), b"\xfc?");
        assert_eq!(Charset::utf8().encode("ü").as_ref(), "ü".as_bytes());
    }
}
