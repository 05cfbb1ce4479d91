//! The offsets of a message's segments and fields.

use memchr::memchr3_iter;

use crate::header::has_byte_order_mark;
use crate::path::is_segment_name;

/// A message has as many warnings as it likes; nobody reads more than this.
const MAX_WARNINGS: usize = 256;

/// Something tolerated in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Warning {
    /// What.
    pub kind: WarningKind,
    /// Index of the segment it was found in or before, from 0.
    pub segment: usize,
}

/// The kinds of [`Warning`]. Those about terminators are reported once per message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WarningKind {
    /// The message starts with a UTF-8 byte order mark.
    ByteOrderMark,
    /// An empty line.
    BlankLine,
    /// A segment ends with a line feed only.
    LineFeed,
    /// A segment ends with carriage return and line feed.
    CarriageReturnLineFeed,
    /// A line feed inside a field, kept as data.
    LineFeedInData,
    /// A segment whose name is not `[A-Z][A-Z0-9]{2}`.
    MalformedSegment,
    /// Another MSH segment: two messages in one.
    AdditionalHeader,
}

/// The offsets of one message. Keep one and pass it to [`Message::parse_in`](crate::Message::parse_in) to reuse its
/// buffers.
#[derive(Debug, Clone, Default)]
pub struct Index {
    separators: Vec<u32>,
    pub(crate) segments: Vec<Entry>,
    pub(crate) warnings: Vec<Warning>,
    once: [bool; 4],
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) start: u32,
    pub(crate) end: u32,
    /// Index of the segment's first separator.
    first: u32,
}

impl Index {
    /// Empty buffers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Indexes `bytes`, at most 4 GiB, whose MSH segment of `header_len` bytes starts at `start`.
    pub(crate) fn fill(&mut self, bytes: &[u8], start: usize, header_len: usize, separator: u8) {
        self.separators.clear();
        self.segments.clear();
        self.warnings.clear();
        self.once = [false; 4];
        // A field has about eight bytes and a segment about 80 in laboratory traffic.
        self.separators.reserve(bytes.len() / 8);
        self.segments.reserve(bytes.len() / 64 + 1);
        self.note_preamble(bytes, start);
        let terminator = &bytes[start + header_len..];
        let every_line_feed = terminator.first() == Some(&b'\n');

        let mut line = start;
        let mut first = 0;
        for at in memchr3_iter(separator, b'\r', b'\n', &bytes[start..]) {
            let at = start + at;
            let byte = bytes[at];
            if byte == separator {
                self.separators.push(at as u32);
                continue;
            }
            if at < line {
                // The line feed of CR LF.
                continue;
            }
            let mut next = at + 1;
            if byte == b'\r' {
                if bytes.get(next) == Some(&b'\n') {
                    next += 1;
                    self.note_once(WarningKind::CarriageReturnLineFeed);
                }
            } else if every_line_feed || at == line || starts_segment(&bytes[next..], separator) {
                self.note_once(WarningKind::LineFeed);
            } else {
                self.note_once(WarningKind::LineFeedInData);
                continue;
            }
            self.close(bytes, line, at, first, separator);
            line = next;
            first = self.separators.len();
        }
        if line < bytes.len() {
            self.close(bytes, line, bytes.len(), first, separator);
        }
    }

    /// The segment with this index and the offsets of its separators.
    pub(crate) fn entry(&self, index: usize) -> (Entry, &[u32]) {
        let entry = self.segments[index];
        let end = self.segments.get(index + 1).map_or(self.separators.len(), |next| next.first as usize);
        (entry, &self.separators[entry.first as usize..end])
    }

    fn close(&mut self, bytes: &[u8], start: usize, end: usize, first: usize, separator: u8) {
        if start == end {
            self.note_once(WarningKind::BlankLine);
            return;
        }
        let line = &bytes[start..end];
        let name = line.get(..3).unwrap_or_default();
        if !is_segment_name(name) || line.get(3).is_some_and(|byte| *byte != separator) {
            self.note(WarningKind::MalformedSegment);
        } else if name == b"MSH" && !self.segments.is_empty() {
            self.note(WarningKind::AdditionalHeader);
        }
        self.segments.push(Entry { start: start as u32, end: end as u32, first: first as u32 });
    }

    fn note_preamble(&mut self, bytes: &[u8], start: usize) {
        if has_byte_order_mark(bytes) {
            self.note(WarningKind::ByteOrderMark);
        }
        if matches!(bytes[..start].last(), Some(b'\r' | b'\n')) {
            self.note_once(WarningKind::BlankLine);
        }
    }

    fn note(&mut self, kind: WarningKind) {
        if self.warnings.len() < MAX_WARNINGS {
            self.warnings.push(Warning { kind, segment: self.segments.len() });
        }
    }

    fn note_once(&mut self, kind: WarningKind) {
        let slot = match kind {
            WarningKind::BlankLine => 0,
            WarningKind::LineFeed => 1,
            WarningKind::CarriageReturnLineFeed => 2,
            _ => 3,
        };
        if !std::mem::replace(&mut self.once[slot], true) {
            self.note(kind);
        }
    }
}

/// Whether `rest`, the bytes after a line feed, start a segment or end the input.
fn starts_segment(rest: &[u8], separator: u8) -> bool {
    match rest {
        [] | [b'\r' | b'\n', ..] => true,
        [a, b, c, end @ ..] if is_segment_name(&[*a, *b, *c]) => {
            end.first().is_none_or(|byte| *byte == separator || matches!(byte, b'\r' | b'\n'))
        }
        _ => false,
    }
}
