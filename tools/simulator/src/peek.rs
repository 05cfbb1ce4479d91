//! Just enough reading of HL7 v2 for a peer: delimiters from MSH, a field by segment name and number, raw bytes.

/// A message with its own delimiters. Positions follow the standard: MSH-1 is the field separator itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peek<'a> {
    /// From MSH on; a batch header before it is left out.
    bytes: &'a [u8],
    separator: u8,
    component: u8,
    repetition: u8,
}

impl<'a> Peek<'a> {
    /// `None` when there is no MSH segment with a separator.
    pub(crate) fn new(bytes: &'a [u8]) -> Option<Self> {
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        let start = segment_starts(bytes).find(|&at| bytes[at..].starts_with(b"MSH"))?;
        let bytes = &bytes[start..];
        let separator = *bytes.get(3)?;
        if separator.is_ascii_alphanumeric() || matches!(separator, b'\r' | b'\n') {
            return None;
        }
        let encoding =
            bytes[4..].split(|byte| *byte == separator || *byte == b'\r').next().unwrap_or_default();
        let at = |index: usize, default: u8| encoding.get(index).copied().unwrap_or(default);
        Some(Self { bytes, separator, component: at(0, b'^'), repetition: at(1, b'~') })
    }

    pub(crate) fn separator(&self) -> u8 {
        self.separator
    }

    pub(crate) fn component_separator(&self) -> u8 {
        self.component
    }

    /// Every segment, without its terminator.
    pub(crate) fn segments(&self) -> impl Iterator<Item = &'a [u8]> {
        self.bytes.split(|byte| matches!(byte, b'\r' | b'\n')).filter(|segment| !segment.is_empty())
    }

    /// Field `number` of a segment, raw; empty when absent.
    pub(crate) fn field_of(&self, segment: &'a [u8], number: usize) -> &'a [u8] {
        let header = segment.starts_with(b"MSH");
        // MSH-1 is the separator, so every later field of a header stands one place earlier.
        let place = if header { number.saturating_sub(1) } else { number };
        segment.split(|byte| *byte == self.separator).nth(place).unwrap_or_default()
    }

    /// Field `number` of the first segment with this name, raw; empty when absent.
    pub(crate) fn field(&self, name: &str, number: usize) -> &'a [u8] {
        let mut segments = self.segments();
        segments
            .find(|segment| segment.starts_with(name.as_bytes()))
            .map_or(&[][..], |segment| self.field_of(segment, number))
    }

    /// Component `number` (from 1) of the field's first repetition.
    pub(crate) fn component<'f>(&self, field: &'f [u8], number: usize) -> &'f [u8] {
        let first = field.split(|byte| *byte == self.repetition).next().unwrap_or_default();
        first.split(|byte| *byte == self.component).nth(number - 1).unwrap_or_default()
    }

    /// MSH-10.
    pub(crate) fn control_id(&self) -> String {
        lossy(self.field("MSH", 10))
    }

    /// MSH-9.1 and MSH-9.2 as `ADT^A01`, whatever the message's own separators are.
    pub(crate) fn message_type(&self) -> String {
        let field = self.field("MSH", 9);
        let (kind, trigger) = (self.component(field, 1), self.component(field, 2));
        if trigger.is_empty() { lossy(kind) } else { format!("{}^{}", lossy(kind), lossy(trigger)) }
    }
}

/// Bytes as text for identifiers, which are ASCII in all but broken messages.
pub(crate) fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Where segments begin: at the start and after each CR or LF.
pub(crate) fn segment_starts(bytes: &[u8]) -> impl Iterator<Item = usize> {
    let after =
        bytes.iter().enumerate().filter(|(_, byte)| matches!(byte, b'\r' | b'\n')).map(|(at, _)| at + 1);
    std::iter::once(0).chain(after)
}

#[cfg(test)]
mod tests {
    use super::Peek;

    #[test]
    fn delimiters_come_from_the_message() {
        let peek =
            Peek::new(b"MSH#*~\\$#A#B#C#D#1##ORU*R01#X7#P#2.5\rPID###77*9~88\rOBX##NM#####HH\r").unwrap();
        assert_eq!(peek.control_id(), "X7");
        assert_eq!(peek.message_type(), "ORU^R01");
        assert_eq!(peek.component(peek.field("PID", 3), 1), b"77");
        assert_eq!(peek.field("OBX", 7), b"HH");
        assert_eq!(peek.field("ZZZ", 1), b"");
    }

    #[test]
    fn five_encoding_characters_shift_nothing() {
        let peek = Peek::new(b"MSH|^~\\&#|A|B|C|D|1||ADT^A01|X8|P|2.5.1\r").unwrap();
        assert_eq!((peek.control_id().as_str(), peek.field("MSH", 12)), ("X8", &b"2.5.1"[..]));
    }

    #[test]
    fn batch_headers_and_byte_order_marks_are_passed_over() {
        assert_eq!(
            Peek::new(b"\xEF\xBB\xBFFHS|^~\\&|\rBHS|^~\\&\rMSH|^~\\&|||||||A|9\r").unwrap().control_id(),
            "9"
        );
        assert!(Peek::new(b"PID|MSH|").is_none());
        assert!(Peek::new(b"").is_none());
        assert!(Peek::new(b"MSH").is_none());
    }
}
