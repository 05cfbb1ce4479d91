//! The offsets of a message's segments and fields.

use crate::block::{BLOCK, below, block, positions};
use crate::delimiters::Delimiters;
use crate::header::has_byte_order_mark;
use crate::path::is_segment_name;

/// A message has as many warnings as it likes; nobody reads more than this.
const MAX_WARNINGS: usize = 256;

/// Separators that there is room for from the start: a message can be megabytes of one field.
const ROOM: usize = 1024;

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
    /// The field separators' [`Mark`]s: the first `count`, behind them room for a block's worth more.
    separators: Vec<Mark>,
    count: usize,
    pub(crate) segments: Vec<Entry>,
    pub(crate) warnings: Vec<Warning>,
    once: [bool; 4],
}

/// Where something ends, and whether it has delimiters of lower levels or escape characters. What has none is one leaf
/// and its own text, so nobody needs to look at its bytes again.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Mark(u32);

impl Mark {
    /// Longest message that an offset reaches: 2 GiB.
    pub(crate) const LIMIT: usize = i32::MAX as usize;
    const DIVIDED: u32 = 1 << 31;

    #[inline]
    fn new(offset: usize, divided: bool) -> Self {
        Self(offset as u32 | u32::from(divided) << 31)
    }

    /// Offset in the message.
    #[inline]
    pub(crate) fn offset(self) -> usize {
        (self.0 & !Self::DIVIDED) as usize
    }

    /// Whether what ends here has delimiters or escape characters in it.
    #[inline]
    pub(crate) fn is_divided(self) -> bool {
        self.0 & Self::DIVIDED != 0
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) start: u32,
    /// End of the segment and of its last field.
    pub(crate) end: Mark,
    /// Index of the segment's first separator.
    first: u32,
}

/// Where the line that is being read started.
#[derive(Clone, Copy)]
struct Line {
    start: usize,
    /// Index of its first separator.
    first: usize,
}

impl Index {
    /// Empty buffers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Indexes `bytes`, at most [`Mark::LIMIT`], whose MSH segment of `header_len` bytes starts at `start`.
    pub(crate) fn fill(&mut self, bytes: &[u8], start: usize, header_len: usize, delimiters: Delimiters) {
        self.count = 0;
        self.segments.clear();
        self.warnings.clear();
        self.once = [false; 4];
        // A segment has about 80 bytes in laboratory traffic, a field about 7.
        self.segments.reserve(bytes.len() / 64 + 1);
        self.make_room((bytes.len() / 8).min(ROOM));
        self.note_preamble(bytes, start);
        let every_line_feed = bytes.get(start + header_len) == Some(&b'\n');

        let separator = delimiters.field;
        let mut line = Line { start, first: 0 };
        // Whether the field that is being read was divided in an earlier block.
        let mut divided = false;
        let mut at = start;
        while at < bytes.len() {
            let mut found = classify(&block(&bytes[at..]), delimiters);
            while found.ends != 0 {
                let end = found.ends.trailing_zeros();
                found.ends &= found.ends - 1;
                divided = self.push(found.split_off(end), at, divided);
                let end = at + end as usize;
                if end < line.start {
                    // The line feed of CR LF.
                    continue;
                }
                let next = line_end(bytes, line.start, end, every_line_feed, separator);
                if let Some(warning) = next.warning {
                    self.note_once(warning);
                }
                if let Some(next) = next.start {
                    self.close(bytes, line, Mark::new(end, divided), separator);
                    line = Line { start: next, first: self.count };
                    divided = false;
                }
            }
            divided = self.push(found, at, divided);
            at += BLOCK;
        }
        if line.start < bytes.len() {
            self.close(bytes, line, Mark::new(bytes.len(), divided), separator);
        }
    }

    /// The segment with this index and its separators.
    pub(crate) fn entry(&self, index: usize) -> (Entry, &[Mark]) {
        let entry = self.segments[index];
        let end = self.segments.get(index + 1).map_or(self.count, |next| next.first as usize);
        (entry, &self.separators[entry.first as usize..end])
    }

    /// Remembers the field separators found in the block at `base`. Takes and gives back whether the field that is being
    /// read is divided so far.
    #[inline]
    fn push(&mut self, mut found: Found, base: usize, mut divided: bool) -> bool {
        if self.separators.len() < self.count + BLOCK {
            self.make_room(self.count * 2);
        }
        let number = found.fields.count_ones() as usize;
        for slot in &mut self.separators[self.count..self.count + number] {
            let at = found.fields.trailing_zeros();
            let before = below(at);
            *slot = Mark::new(base + at as usize, divided || found.dividing & before != 0);
            divided = false;
            found.dividing &= !before;
            found.fields &= found.fields - 1;
        }
        self.count += number;
        divided || found.dividing != 0
    }

    /// Room for so many separators, and a block's worth more.
    fn make_room(&mut self, separators: usize) {
        if self.separators.len() < separators + BLOCK {
            self.separators.resize(separators + BLOCK, Mark::default());
        }
    }

    fn close(&mut self, bytes: &[u8], Line { start, first }: Line, end: Mark, separator: u8) {
        if start == end.offset() {
            self.note_once(WarningKind::BlankLine);
            return;
        }
        let line = &bytes[start..end.offset()];
        let name = line.get(..3).unwrap_or_default();
        if !is_segment_name(name) || line.get(3).is_some_and(|byte| *byte != separator) {
            self.note(WarningKind::MalformedSegment);
        } else if name == b"MSH" && !self.segments.is_empty() {
            self.note(WarningKind::AdditionalHeader);
        }
        self.segments.push(Entry { start: start as u32, end, first: first as u32 });
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

/// What a block has where: its first byte is the lowest bit.
#[derive(Clone, Copy)]
struct Found {
    /// Field separators.
    fields: u64,
    /// Carriage returns and line feeds.
    ends: u64,
    /// Delimiters of lower levels and escape characters.
    dividing: u64,
}

impl Found {
    /// Takes out what is before bit `at`.
    #[inline]
    fn split_off(&mut self, at: u32) -> Self {
        let before = below(at);
        let taken = Self { fields: self.fields & before, ends: 0, dividing: self.dividing & before };
        self.fields &= !before;
        self.dividing &= !before;
        taken
    }
}

#[inline]
fn classify(block: &[u8; BLOCK], delimiters: Delimiters) -> Found {
    let Delimiters { field, component, repetition, escape, subcomponent, .. } = delimiters;
    Found {
        fields: positions(block, [field]),
        ends: positions(block, [b'\r', b'\n']),
        dividing: positions(block, [component, repetition, escape, subcomponent]),
    }
}

/// What [`line_end`] found.
pub(crate) struct Next {
    /// Where the next line starts; `None` where a line feed is data.
    pub(crate) start: Option<usize>,
    warning: Option<WarningKind>,
}

/// Whether the carriage return or line feed at `end` ends the line that began at `start`.
#[inline]
pub(crate) fn line_end(bytes: &[u8], start: usize, end: usize, every_line_feed: bool, separator: u8) -> Next {
    let next = end + 1;
    if bytes[end] == b'\r' {
        if bytes.get(next) != Some(&b'\n') {
            return Next { start: Some(next), warning: None };
        }
        return Next { start: Some(next + 1), warning: Some(WarningKind::CarriageReturnLineFeed) };
    }
    if every_line_feed || end == start || starts_segment(&bytes[next..], separator) {
        return Next { start: Some(next), warning: Some(WarningKind::LineFeed) };
    }
    Next { start: None, warning: Some(WarningKind::LineFeedInData) }
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
