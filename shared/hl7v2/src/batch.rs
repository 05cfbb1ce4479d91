//! Batches (HL7 v2 §2.10.3): `[FHS] { [BHS] { MSH … } [BTS] } [FTS]`, split without copying, and their acknowledgement.
//!
//! Header and trailer segments are all optional, and a frame with two MSH segments is a batch without any of them. Each
//! segment is read with its own separator: messages need not share that of the headers around them.

mod answer;

pub use answer::{BatchAnswer, Heading};

use std::{fmt, ops::Range};

use memchr::memchr2;

use crate::{
    delimiters::Delimiters,
    header::{read_delimiters, skip_preamble},
    view::Field,
};

/// Whether the input starts with a file or batch header (FHS, BHS), after a byte order mark or blank lines.
pub fn is_batch(input: &[u8]) -> bool {
    let rest = &input[skip_preamble(input)..];
    rest.starts_with(b"FHS") || rest.starts_with(b"BHS")
}

/// Whether the input is more than one message: several MSH segments, or file or batch segments around one.
pub fn is_several(input: &[u8]) -> bool {
    let mut messages = 0;
    parts(input).any(|part| match part {
        Part::Message(_) => {
            messages += 1;
            messages > 1
        }
        Part::Stray(_) => false,
        _ => true,
    })
}

/// What a batch consists of, in its order. Ranges are of the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// FHS.
    FileHeader(BatchSegment<'a>),
    /// BHS.
    BatchHeader(BatchSegment<'a>),
    /// From MSH up to what is no part of the message any more, terminators included.
    Message(Range<usize>),
    /// Segments outside of any message.
    Stray(Range<usize>),
    /// BTS.
    BatchTrailer(BatchSegment<'a>),
    /// FTS.
    FileTrailer(BatchSegment<'a>),
}

/// Splits a batch. All bytes but blank lines between segments are in exactly one part.
pub fn parts(input: &[u8]) -> Parts<'_> {
    Parts { input, at: skip_preamble(input) }
}

/// The parts of a batch.
#[derive(Clone)]
pub struct Parts<'a> {
    input: &'a [u8],
    at: usize,
}

impl fmt::Debug for Parts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Parts(at {} of {} bytes)", self.at, self.input.len())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Name {
    Fhs,
    Bhs,
    Msh,
    Bts,
    Fts,
    Other,
}

/// The name counts where a separator follows it, or, for trailers, nothing.
fn name(line: &[u8]) -> Name {
    let is_trailer_alone = line.len() == 3;
    if !line.get(3).map_or(is_trailer_alone, u8::is_ascii_punctuation) {
        return Name::Other;
    }
    match &line[..3] {
        b"MSH" if !is_trailer_alone => Name::Msh,
        b"FHS" => Name::Fhs,
        b"BHS" => Name::Bhs,
        b"BTS" => Name::Bts,
        b"FTS" => Name::Fts,
        _ => Name::Other,
    }
}

impl<'a> Parts<'a> {
    /// The line at `start` without its terminator, and where the next one begins.
    fn line(&self, start: usize) -> (&'a [u8], usize) {
        let rest = &self.input[start..];
        match memchr2(b'\r', b'\n', rest) {
            Some(end) => (&rest[..end], start + end + 1),
            None => (rest, self.input.len()),
        }
    }

    /// Up to the next line that begins something.
    fn run(&mut self, start: usize, first_line_end: usize) -> Range<usize> {
        let mut at = first_line_end;
        while at < self.input.len() {
            let (line, next) = self.line(at);
            if name(line) != Name::Other {
                break;
            }
            at = next;
        }
        self.at = at;
        start..at
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = Part<'a>;

    fn next(&mut self) -> Option<Part<'a>> {
        while matches!(self.input.get(self.at), Some(b'\r' | b'\n')) {
            self.at += 1;
        }
        let start = self.at;
        if start >= self.input.len() {
            return None;
        }
        let (line, next) = self.line(start);
        let part: fn(BatchSegment<'a>) -> Part<'a> = match name(line) {
            Name::Msh => return Some(Part::Message(self.run(start, next))),
            Name::Other => return Some(Part::Stray(self.run(start, next))),
            Name::Fhs => Part::FileHeader,
            Name::Bhs => Part::BatchHeader,
            Name::Bts => Part::BatchTrailer,
            Name::Fts => Part::FileTrailer,
        };
        self.at = next;
        Some(part(BatchSegment { raw: line }))
    }
}

/// A segment FHS, BHS, BTS or FTS.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BatchSegment<'a> {
    raw: &'a [u8],
}

impl<'a> BatchSegment<'a> {
    /// The segment without its terminator.
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// The delimiters of a header; `None` where they cannot be used.
    pub fn delimiters(&self) -> Option<Delimiters> {
        read_delimiters(self.raw).ok()
    }

    /// A field of a header: 1 is the separator itself. Nothing where the delimiters cannot be used.
    pub fn header_field(&self, number: usize) -> Field<'a> {
        let delimiters = self.delimiters();
        let raw = match (delimiters, number) {
            (None, _) | (_, 0) => &[],
            (Some(_), 1) => &self.raw[3..4],
            (Some(delimiters), _) => self.nth(delimiters.field(), number - 1),
        };
        Field::new(raw, delimiters.unwrap_or_default(), matches!(number, 1 | 2))
    }

    /// BTS-1 or FTS-1: `None` where it is empty, `Some(Err)` where it is no number.
    pub fn count(&self) -> Option<Result<usize, ()>> {
        let separator = *self.raw.get(3)?;
        let text = self.nth(separator, 1).trim_ascii();
        if text.is_empty() || text == b"\"\"" {
            return None;
        }
        Some(std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or(()))
    }

    fn nth(&self, separator: u8, index: usize) -> &'a [u8] {
        self.raw.split(|byte| *byte == separator).nth(index).unwrap_or_default()
    }
}

impl fmt::Debug for BatchSegment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BatchSegment({} bytes)", self.raw.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The parts as letters, messages and stray segments with their bytes.
    fn shape(input: &[u8]) -> String {
        let text = |range: Range<usize>| String::from_utf8_lossy(&input[range]).escape_debug().to_string();
        let shown = parts(input).map(|part| match part {
            Part::FileHeader(_) => "F".to_owned(),
            Part::BatchHeader(_) => "B".to_owned(),
            Part::Message(range) => format!("<{}>", text(range)),
            Part::Stray(range) => format!("?{}?", text(range)),
            Part::BatchTrailer(_) => "b".to_owned(),
            Part::FileTrailer(_) => "f".to_owned(),
        });
        shown.collect()
    }

    #[test]
    fn batches_are_recognised_by_their_first_segment() {
        assert!(is_batch(b"FHS|^~\\&|"));
        assert!(is_batch(b"\xef\xbb\xbf\r\nBHS|^~\\&|"));
        assert!(!is_batch(b"MSH|^~\\&|"));
        assert!(!is_batch(b""));
    }

    #[test]
    fn every_combination_of_headers_and_trailers_is_split() {
        let whole = b"FHS|^~\\&\rBHS|^~\\&\rMSH|1\rPID|1\rMSH|2\rBTS|2\rBHS|^~\\&\rMSH|3\rBTS|1\rFTS|2\r";
        assert_eq!(shape(whole), "FB<MSH|1\\rPID|1\\r><MSH|2\\r>bB<MSH|3\\r>bf");
        assert_eq!(shape(b"MSH|1\rPID|1\rMSH|2\r"), "<MSH|1\\rPID|1\\r><MSH|2\\r>");
        assert_eq!(shape(b"BHS|^~\\&\rMSH|1"), "B<MSH|1>");
        assert_eq!(shape(b"MSH|1\rBTS|1\rFTS"), "<MSH|1\\r>bf");
        assert_eq!(shape(b"FHS|^~\\&\r\nMSH|1\r\nPV1|1\r\nFTS|1\r\n"), "F<MSH|1\\r\\nPV1|1\\r\\n>f");
        assert_eq!(shape(b"BHS|^~\\&\rBTS|0\r"), "Bb");
        assert_eq!(shape(b"\xef\xbb\xbf\nFHS|^~\\&\nMSH|1\n"), "F<MSH|1\\n>");
        assert_eq!(shape(b""), "");
        assert_eq!(shape(b"\r\r"), "");
    }

    #[test]
    fn segments_outside_of_messages_are_not_lost() {
        assert_eq!(
            shape(b"BHS|^~\\&\rPID|1\rPV1|1\rMSH|1\rBTS|1\rNTE|x"),
            "B?PID|1\\rPV1|1\\r?<MSH|1\\r>b?NTE|x?"
        );
    }

    #[test]
    fn names_count_only_where_a_separator_follows() {
        assert_eq!(shape(b"MSH|1\rMSHX|2\rMSH\rBTSA\rMSH#2\r"), "<MSH|1\\rMSHX|2\\rMSH\\rBTSA\\r><MSH#2\\r>");
        assert!(is_several(b"MSH|1\rMSH#2"));
        assert!(is_several(b"MSH|1\rBTS|1"));
        for single in [&b"MSH|1\rPID|1\r"[..], b"PID|1\rMSH|1\r", b"MSH|1\rMSH\r", b"", b"junk"] {
            assert!(!is_several(single), "{}", single.escape_ascii());
        }
    }

    #[test]
    fn headers_and_trailers_are_read_with_their_own_separators() {
        let input = b"BHS!@%$*!APP@x!FAC!!!2026!!!!B-1!B-0\rBTS#3#x\r";
        let found: Vec<_> = parts(input).collect();
        let [Part::BatchHeader(header), Part::BatchTrailer(trailer)] = found[..] else { panic!("{found:?}") };
        assert_eq!(header.header_field(1).raw(), b"!");
        assert_eq!(header.header_field(2).raw(), b"@%$*");
        assert_eq!(header.header_field(3).component(1).raw(), b"APP");
        assert_eq!(
            (header.header_field(11).raw(), header.header_field(12).raw()),
            (&b"B-1"[..], &b"B-0"[..])
        );
        assert_eq!(trailer.count(), Some(Ok(3)));
        let count = |raw| BatchSegment { raw }.count();
        assert_eq!((count(b"BTS"), count(b"BTS|"), count(b"FTS||x")), (None, None, None));
        assert_eq!(
            (count(b"BTS| 2 "), count(b"BTS|two"), count(b"BTS|-1")),
            (Some(Ok(2)), Some(Err(())), Some(Err(())))
        );
        let broken = BatchSegment { raw: b"BHS|^^|A" };
        assert!(broken.delimiters().is_none() && broken.header_field(3).is_absent());
    }
}
