//! The MSH segment alone: what routing needs, without looking at the rest of the message.

use std::fmt;

use memchr::{memchr_iter, memchr2};

use crate::charset::Charset;
use crate::delimiters::Delimiters;
use crate::error::{ParseError, ParseErrorReason};
use crate::version::Version;
use crate::view::{Field, State};

/// Separators of MSH that are remembered. Version 2.9 ends at MSH-25; what a site adds beyond is found through
/// [`Message`](crate::Message).
const MAX_SEPARATORS: usize = 26;

/// The MSH segment of a message.
#[derive(Clone, Copy)]
pub struct Header<'a> {
    segment: &'a [u8],
    delimiters: Delimiters,
    /// Offset of the segment in the input.
    offset: usize,
    /// Offsets of field separators in `segment`; the first is MSH-1.
    separators: [u32; MAX_SEPARATORS],
    count: usize,
    /// The separator after the last field remembered, or the segment's end.
    end: usize,
}

impl<'a> Header<'a> {
    /// Reads the MSH segment at the start of `input`, after a byte order mark or blank lines.
    ///
    /// # Errors
    /// When there is no MSH segment or its delimiters cannot be used.
    pub fn parse(input: &'a [u8]) -> Result<Self, ParseError> {
        refuse_wide_encodings(input)?;
        let offset = skip_preamble(input);
        let rest = &input[offset..];
        if !rest.starts_with(b"MSH") {
            let reason = match rest {
                b"" => ParseErrorReason::Empty,
                [b'F' | b'B', b'H', b'S', ..] => ParseErrorReason::Batch,
                // Cut off inside the name: the sender meant a message.
                b"M" | b"MS" => ParseErrorReason::TruncatedMsh,
                _ => ParseErrorReason::NoMsh,
            };
            return Err(ParseError::new(reason, offset));
        }
        let segment = &rest[..memchr2(b'\r', b'\n', rest).unwrap_or(rest.len())];
        if u32::try_from(segment.len()).is_err() {
            return Err(ParseError::new(ParseErrorReason::TooLong, offset));
        }
        let delimiters =
            read_delimiters(segment).map_err(|error| ParseError::new(error.reason, offset + error.offset))?;
        let mut separators = [0_u32; MAX_SEPARATORS];
        let mut count = 0;
        let mut end = segment.len();
        for position in memchr_iter(delimiters.field, segment) {
            let Some(slot) = separators.get_mut(count) else {
                end = position;
                break;
            };
            *slot = position as u32;
            count += 1;
        }
        Ok(Self { segment, delimiters, offset, separators, count, end })
    }

    /// The delimiters of the message.
    pub fn delimiters(&self) -> &Delimiters {
        &self.delimiters
    }

    /// The whole segment without its terminator.
    pub fn raw(&self) -> &'a [u8] {
        self.segment
    }

    /// Where the segment starts in the input: not 0 after a byte order mark or blank lines.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// MSH-`number`, from 1: MSH-1 is the separator itself, MSH-2 the encoding characters. Fields past MSH-27 are
    /// only found through [`Message`](crate::Message).
    pub fn field(&self, number: usize) -> Field<'a> {
        let literal = matches!(number, 1 | 2);
        let separators = &self.separators[..self.count];
        let raw = match number {
            0 => &[],
            1 => &self.segment[3..4],
            _ => separators.get(number - 2).map_or(&self.segment[..0], |start| {
                let end = separators.get(number - 1).map_or(self.end, |end| *end as usize);
                &self.segment[*start as usize + 1..end]
            }),
        };
        Field::new(raw, self.delimiters, literal)
    }

    /// MSH-3.
    pub fn sending_application(&self) -> Field<'a> {
        self.field(3)
    }

    /// MSH-4.
    pub fn sending_facility(&self) -> Field<'a> {
        self.field(4)
    }

    /// MSH-5.
    pub fn receiving_application(&self) -> Field<'a> {
        self.field(5)
    }

    /// MSH-6.
    pub fn receiving_facility(&self) -> Field<'a> {
        self.field(6)
    }

    /// MSH-7.1, the time of the message, raw; read it with [`Dtm::parse`](crate::Dtm::parse).
    pub fn timestamp(&self) -> &'a [u8] {
        self.field(7).component(1).raw()
    }

    /// MSH-9.1, such as `ADT`; codes are read without blanks around them.
    pub fn message_code(&self) -> &'a [u8] {
        self.field(9).component(1).raw().trim_ascii()
    }

    /// MSH-9.2, such as `A01`.
    pub fn trigger_event(&self) -> &'a [u8] {
        self.field(9).component(2).raw().trim_ascii()
    }

    /// MSH-9.3, such as `ADT_A01`; often missing up to version 2.3.1.
    pub fn message_structure(&self) -> &'a [u8] {
        self.field(9).component(3).raw().trim_ascii()
    }

    /// MSH-10, verbatim: what MSA-2 of the acknowledgement must repeat.
    pub fn control_id(&self) -> &'a [u8] {
        self.field(10).raw()
    }

    /// MSH-11.1: `P`, `T` or `D`.
    pub fn processing_id(&self) -> &'a [u8] {
        self.field(11).component(1).raw().trim_ascii()
    }

    /// MSH-12.1, raw.
    pub fn version_id(&self) -> &'a [u8] {
        self.field(12).component(1).raw().trim_ascii()
    }

    /// MSH-12.1 as a version; `None` when missing or not one.
    pub fn version(&self) -> Option<Version> {
        Version::parse(self.version_id())
    }

    /// MSH-13, for the sequence number protocol.
    pub fn sequence_number(&self) -> Field<'a> {
        self.field(13)
    }

    /// MSH-15: when the sender wants a commit acknowledgement.
    pub fn accept_ack(&self) -> AckCondition {
        AckCondition::of(self.field(15).state())
    }

    /// MSH-16: when the sender wants an application acknowledgement.
    pub fn application_ack(&self) -> AckCondition {
        AckCondition::of(self.field(16).state())
    }

    /// Enhanced acknowledgement mode: MSH-15 or MSH-16 is valued.
    pub fn is_enhanced_mode(&self) -> bool {
        self.accept_ack() != AckCondition::Unvalued || self.application_ack() != AckCondition::Unvalued
    }

    /// MSH-18: the first repetition names the message's character set, others the sets that text may switch to.
    pub fn character_set(&self) -> Field<'a> {
        self.field(18)
    }

    /// How to read the text of `message`, of which this is the header.
    pub fn charset(&self, message: &[u8]) -> Charset {
        self.charset_of(None, message)
    }

    pub(crate) fn charset_of(&self, configured: Option<Charset>, message: &[u8]) -> Charset {
        let mut declared = self.character_set().repetitions();
        let first = declared.next().map(|first| first.raw()).unwrap_or_default();
        Charset::resolve(configured, first, message).with_alternates(declared.next().is_some())
    }
}

impl fmt::Debug for Header<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Header({} bytes, {} separators)", self.segment.len(), self.count)
    }
}

/// Table 0155, as found in MSH-15 and MSH-16.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AckCondition {
    /// Absent or null.
    Unvalued,
    /// AL
    Always,
    /// NE
    Never,
    /// ER
    OnError,
    /// SU
    OnSuccess,
    /// Not in the table.
    Unknown,
}

impl AckCondition {
    fn of(state: State<'_>) -> Self {
        match state {
            State::Absent | State::Null => Self::Unvalued,
            // Blanks around a code say nothing.
            State::Value(code) => match code.trim_ascii() {
                b"" => Self::Unvalued,
                b"AL" => Self::Always,
                b"NE" => Self::Never,
                b"ER" => Self::OnError,
                b"SU" => Self::OnSuccess,
                _ => Self::Unknown,
            },
        }
    }
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// How many bytes of a byte order mark and blank lines stand before the first segment.
pub(crate) fn skip_preamble(input: &[u8]) -> usize {
    let start = if has_byte_order_mark(input) { BYTE_ORDER_MARK.len() } else { 0 };
    let blank = input[start..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    start + blank
}

pub(crate) fn has_byte_order_mark(input: &[u8]) -> bool {
    input.starts_with(BYTE_ORDER_MARK)
}

fn refuse_wide_encodings(input: &[u8]) -> Result<(), ParseError> {
    match input {
        // UTF-16 marks (little endian UTF-32 starts like UTF-16), or NUL bytes where "MSH" should be.
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, ..] | [_, 0, ..] => {
            Err(ParseError::new(ParseErrorReason::UnsupportedEncoding, 0))
        }
        _ => Ok(()),
    }
}

/// Delimiters of a segment that starts with MSH, FHS or BHS.
pub(crate) fn read_delimiters(segment: &[u8]) -> Result<Delimiters, ParseError> {
    let truncated = ParseError::new(ParseErrorReason::TruncatedMsh, segment.len());
    let field = *segment.get(3).ok_or(truncated)?;
    let rest = &segment[4..];
    if rest.is_empty() {
        return Err(truncated);
    }
    let encoding = &rest[..memchr::memchr(field, rest).unwrap_or(rest.len())];
    Delimiters::new(field, encoding).map_err(|error| ParseError::new(error.reason, 3 + error.offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIVE: &[u8] = b"MSH|^~\\&#|LAB^1.2^ISO|LABF|HUB|HUBF|20240131101500-0500||ORU^R01^ORU_R01|C-1|P|2.5.1|||AL|NE||UNICODE UTF-8\rPID|1\r";

    #[test]
    fn five_encoding_characters_shift_nothing() {
        let header = Header::parse(FIVE).unwrap();
        assert_eq!(header.field(1).raw(), b"|");
        assert_eq!(header.field(2).raw(), b"^~\\&#");
        assert_eq!(header.field(2).component(1).raw(), b"^~\\&#");
        assert_eq!(header.sending_application().component(2).raw(), b"1.2");
        assert_eq!(header.timestamp(), b"20240131101500-0500");
        assert_eq!(header.message_code(), b"ORU");
        assert_eq!(header.trigger_event(), b"R01");
        assert_eq!(header.message_structure(), b"ORU_R01");
        assert_eq!(header.control_id(), b"C-1");
        assert_eq!(header.processing_id(), b"P");
        assert_eq!(header.version(), Version::parse(b"2.5.1"));
        assert_eq!(header.accept_ack(), AckCondition::Always);
        assert_eq!(header.application_ack(), AckCondition::Never);
        assert!(header.is_enhanced_mode());
        assert_eq!(header.character_set().raw(), b"UNICODE UTF-8");
        assert!(header.field(19).is_absent() && header.field(0).is_absent() && header.field(999).is_absent());
    }

    #[test]
    fn a_header_may_end_after_its_delimiters_and_may_have_too_many_fields() {
        assert_eq!(Header::parse(b"MSH|^~\\&").unwrap().field(2).raw(), b"^~\\&");
        let long = [b"MSH|^~\\&".to_vec(), b"|x".repeat(100)].concat();
        let header = Header::parse(&long).unwrap();
        assert_eq!(header.field(27).raw(), b"x");
        assert!(header.field(28).is_absent());
    }

    #[test]
    fn a_header_stands_after_a_mark_or_blank_lines() {
        let header = Header::parse(b"\xef\xbb\xbf\r\nMSH|^~\\&|A\n").unwrap();
        assert_eq!((header.offset(), header.field(3).raw()), (5, &b"A"[..]));
    }

    #[test]
    fn each_unreadable_header_has_its_reason() {
        let reason = |input: &[u8]| Header::parse(input).unwrap_err().reason;
        assert_eq!(reason(b""), ParseErrorReason::Empty);
        assert_eq!(reason(b"\r\n\r\n"), ParseErrorReason::Empty);
        assert_eq!(reason(b"PID|1"), ParseErrorReason::NoMsh);
        assert_eq!(reason(b"FHS|^~\\&"), ParseErrorReason::Batch);
        assert_eq!(reason(b"MS"), ParseErrorReason::TruncatedMsh);
        assert_eq!(reason(b"MSH"), ParseErrorReason::TruncatedMsh);
        assert_eq!(reason(b"MSH|\rPID"), ParseErrorReason::TruncatedMsh);
        assert_eq!(reason(b"MSH||A|B"), ParseErrorReason::EncodingCharacterCount);
        assert_eq!(reason(b"MSHX^~\\&X"), ParseErrorReason::InvalidDelimiter);
        assert_eq!(reason(b"MSH|^^\\&|"), ParseErrorReason::DuplicateDelimiter);
        assert_eq!(reason(b"M\0S\0H\0|\0"), ParseErrorReason::UnsupportedEncoding);
        assert_eq!(reason(b"\0M\0S\0H"), ParseErrorReason::UnsupportedEncoding);
        assert_eq!(reason(b"\xff\xfeM\0"), ParseErrorReason::UnsupportedEncoding);
        assert_eq!(reason(b"\0\0\xfe\xff"), ParseErrorReason::UnsupportedEncoding);
    }
}
