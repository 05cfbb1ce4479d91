//! A whole message: one pass finds segments and fields, everything below is split when asked for.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::slice;

use crate::charset::Charset;
use crate::delimiters::Delimiters;
use crate::error::{ParseError, ParseErrorReason};
use crate::header::Header;
use crate::index::{Index, Mark, Warning};
use crate::leaves::Leaves;
use crate::path::{Path, is_segment_name};
use crate::view::{Field, State};

/// A message, borrowed from the bytes it was received in.
///
/// A carriage return ends a segment. Files come with line feeds: where the MSH segment ends with a bare line feed, every
/// line feed ends a segment; elsewhere a line feed does so only after a carriage return or before something that
/// starts like a segment, and is data otherwise. All but the carriage return is noted in [`Message::warnings`].
#[derive(Clone)]
pub struct Message<'a> {
    bytes: &'a [u8],
    header: Header<'a>,
    index: Cow<'a, Index>,
}

impl<'a> Message<'a> {
    /// Reads a message.
    ///
    /// # Errors
    /// When there is no MSH segment or its delimiters cannot be used; anything after it is tolerated.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let header = checked_header(bytes)?;
        let mut index = Index::default();
        index.fill(bytes, header.offset(), header.raw().len(), *header.delimiters());
        Ok(Self { bytes, header, index: Cow::Owned(index) })
    }

    /// Reads a message with the buffers of an earlier one.
    ///
    /// # Errors
    /// As [`Message::parse`].
    pub fn parse_in(index: &'a mut Index, bytes: &'a [u8]) -> Result<Self, ParseError> {
        let header = checked_header(bytes)?;
        index.fill(bytes, header.offset(), header.raw().len(), *header.delimiters());
        Ok(Self { bytes, header, index: Cow::Borrowed(index) })
    }

    /// The bytes the message was read from.
    pub fn raw(&self) -> &'a [u8] {
        self.bytes
    }

    /// The MSH segment.
    pub fn header(&self) -> &Header<'a> {
        &self.header
    }

    /// The delimiters of MSH-1 and MSH-2.
    pub fn delimiters(&self) -> &Delimiters {
        self.header.delimiters()
    }

    /// What was tolerated, up to 256 of them.
    pub fn warnings(&self) -> &[Warning] {
        &self.index.warnings
    }

    /// How to read the message's text; looks at all bytes, so keep the result. `configured` is the feed's override.
    pub fn charset(&self, configured: Option<Charset>) -> Charset {
        self.header.charset_of(configured, self.bytes)
    }

    /// Number of segments, malformed ones included.
    pub fn segment_count(&self) -> usize {
        self.index.segments.len()
    }

    /// The segments in order, malformed ones included.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = Segment<'_>> + ExactSizeIterator {
        (0..self.segment_count()).map(|index| self.entry(index))
    }

    /// The first segment of this name.
    pub fn segment(&self, name: &str) -> Option<Segment<'_>> {
        self.segments_named(name).next()
    }

    /// All segments of this name in order.
    pub fn segments_named<'m, 'n>(
        &'m self,
        name: &'n str,
    ) -> impl Iterator<Item = Segment<'m>> + use<'m, 'n, 'a> {
        self.segments().filter(move |segment| segment.is_named(name.as_bytes()))
    }

    /// The segment with this index, from 0.
    pub fn segment_at(&self, index: usize) -> Option<Segment<'_>> {
        (index < self.segment_count()).then(|| self.entry(index))
    }

    /// What stands at `path`, raw and still escaped. A path that ends above a leaf gives everything below it, separators
    /// included: `PID-3` all repetitions, `PID-3.4` all subcomponents.
    pub fn get(&self, path: Path) -> State<'_> {
        let Some(segment) = self.at(path) else { return State::Absent };
        if path.field == 0 {
            return State::of(segment.raw());
        }
        let field = segment.field(usize::from(path.field));
        if path.repetition == 0 && path.component == 0 {
            return field.state();
        }
        let repetition = field.repetition(usize::from(path.repetition.max(1)));
        if path.component == 0 {
            return repetition.state();
        }
        let component = repetition.component(usize::from(path.component));
        if path.subcomponent == 0 {
            return component.state();
        }
        component.subcomponent(usize::from(path.subcomponent)).state()
    }

    /// The value at `path` as text, unescaped and decoded; `None` when absent or null. Meant for leaves.
    pub fn text(&self, path: Path, charset: &Charset) -> Option<Cow<'_, str>> {
        let raw = self.get(path).value()?;
        // The header's own delimiters are no text with escapes.
        let literal = path.segment == *b"MSH" && matches!(path.field, 1 | 2);
        crate::view::Subcomponent::new(raw, *self.delimiters(), literal).text(charset)
    }

    /// The segment that `path` is in.
    pub(crate) fn at(&self, path: Path) -> Option<Segment<'_>> {
        let nth = usize::from(path.occurrence.max(1)) - 1;
        self.segments().filter(|segment| segment.is_named(&path.segment)).nth(nth)
    }

    /// Writes the message from its parts; for a message that was read, its own bytes again.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.bytes.len());
        let mut written = 0;
        for segment in self.segments() {
            // A byte order mark, and the terminators between segments.
            bytes.extend_from_slice(&self.bytes[written..segment.start]);
            segment.encode(&mut bytes);
            written = segment.start + segment.line.len();
        }
        bytes.extend_from_slice(&self.bytes[written..]);
        bytes
    }

    fn entry(&self, index: usize) -> Segment<'_> {
        let (entry, separators) = self.index.entry(index);
        let start = entry.start as usize;
        let line = &self.bytes[start..entry.end.offset()];
        let name = &line[..separators.first().map_or(line.len(), |mark| mark.offset() - start)];
        let has_delimiters = matches!(name, b"MSH" | b"FHS" | b"BHS");
        Segment {
            line,
            name,
            has_delimiters,
            start,
            end: entry.end,
            separators,
            index,
            delimiters: *self.delimiters(),
        }
    }
}

impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message({} bytes, {} segments)", self.bytes.len(), self.segment_count())
    }
}

fn checked_header(bytes: &[u8]) -> Result<Header<'_>, ParseError> {
    if bytes.len() > Mark::LIMIT {
        return Err(ParseError::new(ParseErrorReason::TooLong, 0));
    }
    Header::parse(bytes)
}

/// One segment of a message.
#[derive(Clone, Copy)]
pub struct Segment<'m> {
    line: &'m [u8],
    name: &'m [u8],
    /// MSH, FHS and BHS: the segments whose first field is the separator itself.
    has_delimiters: bool,
    /// Offset in the message.
    start: usize,
    /// End in the message.
    end: Mark,
    /// The field separators in the message.
    separators: &'m [Mark],
    index: usize,
    pub(crate) delimiters: Delimiters,
}

impl<'m> Segment<'m> {
    /// Everything before the first field separator: three bytes, unless malformed.
    pub fn name(&self) -> &'m [u8] {
        self.name
    }

    /// Position among the message's segments, from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The whole segment without its terminator.
    pub fn raw(&self) -> &'m [u8] {
        self.line
    }

    /// Whether the name is not `[A-Z][A-Z0-9]{2}`. Such a line is kept as it is.
    pub fn is_malformed(&self) -> bool {
        !is_segment_name(self.name())
    }

    /// Whether this is a local segment.
    pub fn is_local(&self) -> bool {
        self.name().first() == Some(&b'Z')
    }

    /// Number of the last field sent.
    pub fn field_count(&self) -> usize {
        self.separators.len() + usize::from(self.has_delimiters() && !self.separators.is_empty())
    }

    /// Field `number`, from 1; absent when there is none. In MSH, FHS and BHS field 1 is the separator itself and field
    /// 2 the encoding characters.
    pub fn field(&self, number: usize) -> Field<'m> {
        let (range, divided) = self.place(number);
        Field::new(&self.line[range], self.delimiters, !divided)
    }

    /// All fields from 1 to [`Segment::field_count`].
    pub fn fields(&self) -> impl Iterator<Item = Field<'m>> + use<'m> {
        let segment = *self;
        (1..=segment.field_count()).map(move |number| segment.field(number))
    }

    /// Everything that was sent in this segment down to the last level, in order; what is absent is left out. One pass,
    /// several times as fast as going down level by level.
    pub fn leaves(&self) -> Leaves<'m> {
        Leaves::of(*self)
    }

    /// Range of the segment in the message, without terminator.
    pub(crate) fn range(&self) -> Range<usize> {
        self.start..self.start + self.line.len()
    }

    /// MSH, FHS and BHS: the segments whose first field is the separator itself.
    pub(crate) fn has_delimiters(&self) -> bool {
        self.has_delimiters
    }

    fn is_named(&self, name: &[u8]) -> bool {
        self.name == name
    }

    /// Range of field `number` in the segment, and whether it has delimiters or escape characters in it.
    #[inline]
    pub(crate) fn place(&self, number: usize) -> (Range<usize>, bool) {
        let shift = usize::from(self.has_delimiters());
        if number == 0 {
            return (0..0, false);
        }
        if shift == 1 && number == 1 {
            return (3..self.line.len().min(4), false);
        }
        let at = number - 1 - shift;
        let Some(separator) = self.separators.get(at) else { return (0..0, false) };
        let end = self.separators.get(at + 1).unwrap_or(&self.end);
        let literal = shift == 1 && number == 2;
        (separator.offset() - self.start + 1..end.offset() - self.start, end.is_divided() && !literal)
    }

    /// Where the name and then the fields end.
    pub(crate) fn ends(&self) -> Ends<'m> {
        Ends { marks: self.separators.iter(), last: Some(self.end), start: self.start }
    }

    fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(self.name());
        for field in self.fields().skip(usize::from(self.has_delimiters())) {
            bytes.push(self.delimiters.field);
            bytes.extend_from_slice(field.raw());
        }
    }
}

/// See [`Segment::ends`].
#[derive(Debug, Clone)]
pub(crate) struct Ends<'m> {
    marks: slice::Iter<'m, Mark>,
    last: Option<Mark>,
    start: usize,
}

impl Iterator for Ends<'_> {
    /// Offset in the segment, and whether there are delimiters or escape characters before it.
    type Item = (usize, bool);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let mark = self.marks.next().copied().or_else(|| self.last.take())?;
        Some((mark.offset() - self.start, mark.is_divided()))
    }
}

impl fmt::Debug for Segment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name =
            if self.is_malformed() { "malformed" } else { std::str::from_utf8(self.name()).unwrap_or("") };
        write!(f, "Segment({name}, {} bytes)", self.line.len())
    }
}
