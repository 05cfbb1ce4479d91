//! Single fields of a message that is not indexed: what routing needs beyond the MSH segment.

use memchr::{memchr, memchr2};

use crate::header::Header;
use crate::index::line_end;
use crate::view::Field;

impl<'a> Header<'a> {
    /// Field `number`, from 1, of the first segment `name` behind the header, found without looking at the rest of `message`,
    /// of which this is the header. Absent when there is no such segment or field. Worth it for one or two fields near
    /// the start, such as PID-3; for more, index the message.
    pub fn field_of(&self, message: &'a [u8], name: [u8; 3], number: usize) -> Field<'a> {
        let raw = self.line_of(message, name).and_then(|line| nth(line, self.delimiters().field, number));
        Field::new(raw.unwrap_or_default(), *self.delimiters(), false)
    }

    /// The first line behind the header with this name, which is not one of a header segment.
    fn line_of(&self, message: &'a [u8], name: [u8; 3]) -> Option<&'a [u8]> {
        let separator = self.delimiters().field;
        let header_end = self.offset() + self.raw().len();
        let every_line_feed = message.get(header_end) == Some(&b'\n');
        // The header's own end is met first, so the first line compared is the one after it.
        let (mut start, mut at) = (self.offset(), header_end);
        loop {
            let found = memchr2(b'\r', b'\n', message.get(at..)?);
            let end = found.map_or(message.len(), |found| at + found);
            let next = match found {
                Some(_) => line_end(message, start, end, every_line_feed, separator).start,
                None => Some(end),
            };
            if let Some(next) = next {
                let line = &message[start..end];
                if line.starts_with(&name)
                    && line.get(3).is_none_or(|byte| *byte == separator)
                    && start != self.offset()
                {
                    return Some(line);
                }
                found?;
                start = next;
            }
            at = next.unwrap_or(end + 1);
        }
    }
}

/// Part `number`, from 0, of a line; the name is part 0.
fn nth(line: &[u8], separator: u8, number: usize) -> Option<&[u8]> {
    let mut rest = line;
    for _ in 0..number {
        rest = &rest[memchr(separator, rest)? + 1..];
    }
    Some(&rest[..memchr(separator, rest).unwrap_or(rest.len())])
}
