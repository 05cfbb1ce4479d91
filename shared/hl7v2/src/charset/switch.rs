//! Text that changes its character set on the way: ISO 2022 escape sequences, as MSH-18 repetitions 2 to n announce and
//! `\C..\` and `\M..\` spell out (§2.7.2, tables of single-byte and multi-byte sets).

use encoding_rs::{EUC_JP, Encoding, ISO_2022_JP, SHIFT_JIS};
use memchr::memchr;

/// Starts an ISO 2022 escape sequence.
pub(crate) const ESC: u8 = 0x1b;

/// What the bytes after an escape sequence are in.
#[derive(Clone, Copy)]
enum Set {
    /// The message's own.
    Default,
    /// A right-hand half: ISO 8859.
    Latin(&'static Encoding),
    /// JIS X 0201, letters.
    Roman,
    /// JIS X 0201, half-width katakana.
    Katakana,
    /// JIS X 0208, two bytes each.
    Kanji,
    /// JIS X 0212, two bytes each.
    Supplement,
}

/// Decodes `bytes`; `default` decodes what stands in the message's own set.
pub(super) fn decode(bytes: &[u8], default: impl Fn(&[u8]) -> String) -> String {
    let mut text = String::with_capacity(bytes.len());
    let (mut set, mut rest) = (Set::Default, bytes);
    loop {
        let end = memchr(ESC, rest).unwrap_or(rest.len());
        text.push_str(&run(set, &rest[..end], &default));
        rest = &rest[end..];
        if rest.is_empty() {
            return text;
        }
        let length = if let Some((next, length)) = designation(&rest[1..]) {
            set = next;
            1 + length
        } else {
            // No sequence that this crate knows: the character stays.
            text.push(char::from(ESC));
            1
        };
        rest = &rest[length..];
    }
}

/// The set that a sequence, without its ESC, switches to; and its length.
fn designation(rest: &[u8]) -> Option<(Set, usize)> {
    Some(match rest {
        // ISO-IR 6: ASCII.
        [b'(', b'B', ..] => (Set::Default, 2),
        [b'(', b'J', ..] => (Set::Roman, 2),
        [b')', b'I', ..] => (Set::Katakana, 2),
        [b'$', b'(', b'D', ..] => (Set::Supplement, 3),
        [b'$', b'B', ..] => (Set::Kanji, 2),
        [b'-', part, ..] => {
            let label = match part {
                b'A' => "iso-8859-1",
                b'B' => "iso-8859-2",
                b'C' => "iso-8859-3",
                b'D' => "iso-8859-4",
                b'L' => "iso-8859-5",
                b'G' => "iso-8859-6",
                b'F' => "iso-8859-7",
                b'H' => "iso-8859-8",
                b'M' => "iso-8859-9",
                _ => return None,
            };
            (Set::Latin(Encoding::for_label(label.as_bytes())?), 2)
        }
        _ => return None,
    })
}

fn run(set: Set, bytes: &[u8], default: &impl Fn(&[u8]) -> String) -> String {
    let decoded = |encoding: &'static Encoding, bytes: &[u8]| {
        encoding.decode_without_bom_handling(bytes).0.into_owned()
    };
    match set {
        _ if bytes.is_empty() => String::new(),
        Set::Default => default(bytes),
        Set::Latin(encoding) => decoded(encoding, bytes),
        Set::Roman => decoded(ISO_2022_JP, &[b"\x1b(J", bytes].concat()),
        Set::Katakana => decoded(SHIFT_JIS, bytes),
        Set::Kanji => decoded(ISO_2022_JP, &[b"\x1b$B", bytes].concat()),
        Set::Supplement => {
            // Code set 3 of EUC-JP is this one, each pair behind 0x8F and with the high bits set.
            let pairs = bytes
                .chunks(2)
                .flat_map(|pair| [0x8f].into_iter().chain(pair.iter().map(|byte| byte | 0x80)));
            decoded(EUC_JP, &pairs.collect::<Vec<u8>>())
        }
    }
}
