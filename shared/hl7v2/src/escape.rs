//! Escape sequences: resolving them in a value that is already split, and writing them.
//!
//! `\F\ \S\ \T\ \R\ \E\ \P\` stand for delimiters and `\Xdd..\` for bytes; formatting sequences (`\.br\`, `\H\` …) are kept
//! or turned into plain text. Character set switches (`\C..\ \M..\`) and local ones (`\Z..\`) are kept. What is no sequence,
//! such as `C:\temp` or `\\server`, survives byte for byte.

use std::borrow::Cow;

use memchr::memchr;

use crate::block::find;
use crate::charset::ESC;
use crate::delimiters::Delimiters;

/// What happens to formatting sequences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Formatting {
    /// Reading leaves them as they are, writing lets those in the value stand.
    Keep,
    /// Reading turns them into line feeds and blanks or drops them, writing escapes their escape characters.
    Plain,
}

/// Resolves the escape sequences of one value. Borrows when there is nothing to do.
pub fn unescape<'a>(value: &'a [u8], delimiters: &Delimiters, formatting: Formatting) -> Cow<'a, [u8]> {
    unescape_with(value, *delimiters, formatting, false)
}

/// As [`unescape`]. Where `switches` says so, `\C..\` and `\M..\` become the ISO 2022 escape sequences they stand for.
pub(crate) fn unescape_with(
    value: &[u8],
    delimiters: Delimiters,
    formatting: Formatting,
    switches: bool,
) -> Cow<'_, [u8]> {
    let escape = delimiters.escape;
    let Some(first) = find(escape, value) else { return Cow::Borrowed(value) };
    let mut result = Vec::with_capacity(value.len());
    result.extend_from_slice(&value[..first]);
    let mut rest = &value[first..];
    let mut changed = false;
    // `rest` starts with the escape character on each round.
    loop {
        let Some(end) = memchr(escape, &rest[1..]).map(|at| at + 1) else {
            result.extend_from_slice(rest);
            break;
        };
        let body = &rest[1..end];
        let resolved = match body {
            [b'C' | b'M', digits @ ..] if switches && is_kept(body) => {
                result.push(ESC);
                resolve_hex(digits, &mut result)
            }
            _ => resolve(body, delimiters, formatting, &mut result),
        };
        match resolved {
            Resolved::Done => changed = true,
            Resolved::Kept => result.extend_from_slice(&rest[..=end]),
            // Not a sequence: only the opening character is text, the next one may open a real sequence.
            Resolved::Unknown => result.extend_from_slice(&rest[..end]),
        }
        let next = if resolved == Resolved::Unknown { end } else { end + 1 };
        rest = &rest[next..];
        let Some(start) = memchr(escape, rest) else {
            result.extend_from_slice(rest);
            break;
        };
        result.extend_from_slice(&rest[..start]);
        rest = &rest[start..];
    }
    if changed { Cow::Owned(result) } else { Cow::Borrowed(value) }
}

/// Writes a value so that [`unescape`] gives it back. Borrows when there is nothing to escape.
///
/// Carriage return, line feed and the MLLP block characters become `\X0D\` and so on, because no receiver could read
/// them in place.
pub fn escape<'a>(value: &'a [u8], delimiters: &Delimiters, formatting: Formatting) -> Cow<'a, [u8]> {
    let Some(first) = value.iter().position(|byte| code(*byte, *delimiters).is_some()) else {
        return Cow::Borrowed(value);
    };
    let mut result = Vec::with_capacity(value.len() + 16);
    result.extend_from_slice(&value[..first]);
    let mut at = first;
    while let Some(byte) = value.get(at) {
        if *byte == delimiters.escape
            && formatting == Formatting::Keep
            && let Some(length) = kept_sequence(&value[at..], *delimiters)
        {
            result.extend_from_slice(&value[at..at + length]);
            at += length;
            continue;
        }
        match code(*byte, *delimiters) {
            None => result.push(*byte),
            Some(code) => {
                result.push(delimiters.escape);
                result.extend_from_slice(code);
                result.push(delimiters.escape);
            }
        }
        at += 1;
    }
    Cow::Owned(result)
}

fn code(byte: u8, delimiters: Delimiters) -> Option<&'static [u8]> {
    Some(match byte {
        b'\r' => b"X0D",
        b'\n' => b"X0A",
        0x0b => b"X0B",
        0x1c => b"X1C",
        _ if byte == delimiters.field => b"F",
        _ if byte == delimiters.component => b"S",
        _ if byte == delimiters.subcomponent => b"T",
        _ if byte == delimiters.repetition => b"R",
        _ if byte == delimiters.escape => b"E",
        _ if Some(byte) == delimiters.truncation => b"P",
        _ => return None,
    })
}

/// Length of the sequence at the start of `value` that reading with [`Formatting::Keep`] would keep.
fn kept_sequence(value: &[u8], delimiters: Delimiters) -> Option<usize> {
    let end = memchr(delimiters.escape, &value[1..])? + 1;
    let body = &value[1..end];
    // A delimiter in it (`.` and `+` may be one) would be split by a receiver.
    (is_kept(body) && body.iter().all(|byte| code(*byte, delimiters).is_none())).then_some(end + 1)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Resolved {
    Done,
    Kept,
    Unknown,
}

fn resolve(body: &[u8], delimiters: Delimiters, formatting: Formatting, result: &mut Vec<u8>) -> Resolved {
    let delimiter = match body {
        b"F" => delimiters.field,
        b"S" => delimiters.component,
        b"T" => delimiters.subcomponent,
        b"R" => delimiters.repetition,
        b"E" => delimiters.escape,
        b"P" => match delimiters.truncation {
            Some(truncation) => truncation,
            None => return Resolved::Unknown,
        },
        [b'X', digits @ ..] => return resolve_hex(digits, result),
        _ if !is_kept(body) => return Resolved::Unknown,
        _ if formatting == Formatting::Keep => return Resolved::Kept,
        _ => return resolve_formatting(body, result),
    };
    result.push(delimiter);
    Resolved::Done
}

fn resolve_hex(digits: &[u8], result: &mut Vec<u8>) -> Resolved {
    let valid =
        !digits.is_empty() && digits.len().is_multiple_of(2) && digits.iter().all(u8::is_ascii_hexdigit);
    if !valid {
        return Resolved::Unknown;
    }
    result.extend(digits.chunks_exact(2).map(|pair| hex(pair[0]) << 4 | hex(pair[1])));
    Resolved::Done
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit.to_ascii_uppercase() - b'A').wrapping_add(10),
    }
}

/// Formatting (§2.7.6), character set and local sequences.
fn is_kept(body: &[u8]) -> bool {
    match body {
        b"H" | b"N" => true,
        [b'.', command @ ..] => formatting_command(command).is_some(),
        [b'C', digits @ ..] => digits.len() == 4 && digits.iter().all(u8::is_ascii_hexdigit),
        [b'M', digits @ ..] => matches!(digits.len(), 4 | 6) && digits.iter().all(u8::is_ascii_hexdigit),
        [b'Z', rest @ ..] => !rest.is_empty() && rest.iter().all(u8::is_ascii_alphanumeric),
        _ => false,
    }
}

/// Splits `sp+3` into `sp` and 3; the number is 1 when missing.
fn formatting_command(command: &[u8]) -> Option<(&[u8], usize)> {
    let (name, number) = command.split_at_checked(2)?;
    let digits = number.strip_prefix(b"+").or_else(|| number.strip_prefix(b"-")).unwrap_or(number);
    let known = matches!(name, b"br" | b"sp" | b"in" | b"ti" | b"sk" | b"ce" | b"fi" | b"nf");
    let numbered = matches!(name, b"sp" | b"in" | b"ti" | b"sk");
    let valid = known
        && digits.len() <= 2
        && digits.iter().all(u8::is_ascii_digit)
        && (numbered || number.is_empty());
    if !valid {
        return None;
    }
    let count = digits.iter().fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'));
    Some((name, if digits.is_empty() { 1 } else { count }))
}

fn resolve_formatting(body: &[u8], result: &mut Vec<u8>) -> Resolved {
    match body {
        b"H" | b"N" => Resolved::Done,
        [b'.', command @ ..] => {
            match formatting_command(command) {
                Some((b"br" | b"ce", _)) => result.push(b'\n'),
                Some((b"sp", count)) => result.resize(result.len() + count, b'\n'),
                Some((b"in" | b"ti" | b"sk", count)) => result.resize(result.len() + count, b' '),
                _ => {}
            }
            Resolved::Done
        }
        _ => Resolved::Kept,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str, formatting: Formatting) -> String {
        let resolved = unescape(value.as_bytes(), &Delimiters::with_truncation(), formatting).into_owned();
        String::from_utf8(resolved).unwrap()
    }

    fn write(value: &str, formatting: Formatting) -> String {
        String::from_utf8(escape(value.as_bytes(), &Delimiters::default(), formatting).into_owned()).unwrap()
    }

    #[test]
    fn delimiter_and_hexadecimal_sequences_are_resolved() {
        assert_eq!(read(r"\F\\S\\T\\R\\E\\P\", Formatting::Keep), r"|^&~\#");
        assert_eq!(read(r"a\X0D0a\b", Formatting::Keep), "a\r\nb");
        assert_eq!(read(r"A \T\ E Lab", Formatting::Keep), "A & E Lab");
    }

    #[test]
    fn what_is_no_sequence_survives_and_is_borrowed() {
        for text in [
            r"C:\temp",
            r"\\server\share",
            r"\",
            r"\\",
            r"\X1\",
            r"\X\",
            r"\XZZ\",
            r"\Q\",
            r"\.xx\",
            r"\C12\",
        ] {
            let read = unescape(text.as_bytes(), &Delimiters::default(), Formatting::Plain);
            assert!(matches!(read, Cow::Borrowed(same) if same == text.as_bytes()), "{text}");
        }
        assert_eq!(read(r"C:\temp\F\x", Formatting::Keep), r"C:\temp|x");
        let read = unescape(br"\P\", &Delimiters::default(), Formatting::Keep);
        assert_eq!(read.as_ref(), br"\P\", "no truncation character declared");
    }

    #[test]
    fn formatting_is_kept_or_turned_into_plain_text() {
        let text = r"\H\Note\N\:\.br\one\.sp2\two\.in+3\three\.fi\\Z01\";
        assert_eq!(read(text, Formatting::Keep), text);
        assert_eq!(read(text, Formatting::Plain), "Note:\none\n\ntwo   three\\Z01\\");
    }

    #[test]
    fn delimiters_and_line_ends_are_escaped() {
        assert_eq!(write("a|b^c&d~e\\f#", Formatting::Plain), r"a\F\b\S\c\T\d\R\e\E\f#");
        assert_eq!(write("a\r\nb\x0b\x1c", Formatting::Plain), r"a\X0D\\X0A\b\X0B\\X1C\");
        assert_eq!(write(r"a\.br\b\F\", Formatting::Keep), r"a\.br\b\E\F\E\");
        assert_eq!(write(r"a\.br\b", Formatting::Plain), r"a\E\.br\E\b");
        assert!(matches!(escape(b"plain", &Delimiters::default(), Formatting::Keep), Cow::Borrowed(_)));
    }
}
