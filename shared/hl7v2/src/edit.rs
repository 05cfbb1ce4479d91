//! Changing one place of a message, or copying some of its segments, while every other byte stays as it is.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::delimiters::Delimiters;
use crate::error::ParseError;
use crate::escape::{Formatting, escape};
use crate::message::Message;
use crate::path::Path;

/// Why a message could not be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EditError {
    /// The message cannot be read.
    #[error("the message cannot be read")]
    Message(#[from] ParseError),
    /// No such segment.
    #[error("the message has no such segment")]
    NoSegment,
    /// The path names no field.
    #[error("the path names no field")]
    NoField,
    /// The separator and the encoding characters decide how all the rest is read.
    #[error("the delimiters of a message cannot be changed in place")]
    Delimiters,
    /// The encoded value holds a field separator or the end of a segment.
    #[error("the encoded value would end the field it is put in")]
    Value,
}

/// The message with `value`, plain bytes, at `path`. Its delimiters and line ends are escaped. What is missing before that
/// place is filled with empty fields, repetitions and components.
///
/// # Errors
/// See [`EditError`].
pub fn replace_field(message: &[u8], path: Path, value: &[u8]) -> Result<Vec<u8>, EditError> {
    let message = Message::parse(message)?;
    let value = escape(value, message.delimiters(), Formatting::Plain);
    replace(&message, path, &value)
}

/// The message with `value`, already encoded, at `path`. As [`replace_field`] otherwise.
///
/// # Errors
/// See [`EditError`].
pub fn replace_field_raw(message: &[u8], path: Path, value: &[u8]) -> Result<Vec<u8>, EditError> {
    let message = Message::parse(message)?;
    let field = message.delimiters().field;
    if value.iter().any(|byte| *byte == field || matches!(byte, b'\r' | b'\n')) {
        return Err(EditError::Value);
    }
    replace(&message, path, value)
}

fn replace(message: &Message<'_>, path: Path, value: &[u8]) -> Result<Vec<u8>, EditError> {
    let delimiters = message.delimiters();
    let segment = message.at(path).ok_or(EditError::NoSegment)?;
    // In split segments the name is part 1; MSH-2 is part 2 because MSH-1 is the separator itself.
    let field = match (path.field, segment.has_delimiters()) {
        (0, _) => return Err(EditError::NoField),
        (1 | 2, true) => return Err(EditError::Delimiters),
        (number, true) => number,
        (number, false) => number + 1,
    };
    let levels = [
        (delimiters.field, field),
        (delimiters.repetition, path.repetition),
        (delimiters.component, path.component),
        (delimiters.subcomponent, path.subcomponent),
    ];
    let used = levels.iter().rposition(|(_, number)| *number > 0).map_or(0, |last| last + 1);
    let range = segment.range();
    let bytes = message.raw();
    let changed = replace_part(segment.raw(), &levels[..used], value);
    Ok([&bytes[..range.start], &changed, &bytes[range.end..]].concat())
}

/// The message with whole fields replaced, in one pass: `values`, already encoded, by index of the segment (from 0) and
/// number of the field. Every other byte stays as it is; segments and fields that do not exist are made of empty fields
/// or left out as in [`replace_field`] and [`copy_segments`].
///
/// # Errors
/// [`EditError::NoField`] for field 0, [`EditError::Delimiters`] for MSH-1 and MSH-2, [`EditError::Value`].
pub fn replace_fields(
    message: &Message<'_>,
    values: &BTreeMap<(usize, u16), Vec<u8>>,
) -> Result<Vec<u8>, EditError> {
    let separator = message.delimiters().field;
    let bytes = message.raw();
    let mut changed = Vec::with_capacity(bytes.len() + 256);
    let mut copied = 0;
    let mut values = values.iter().peekable();
    while let Some(((index, _), _)) = values.peek() {
        let index = *index;
        let Some(segment) = message.segment_at(index) else { break };
        let mut parts: Vec<&[u8]> = segment.raw().split(|byte| *byte == separator).collect();
        while let Some(((_, field), value)) = values.next_if(|((at, _), _)| *at == index) {
            if value.iter().any(|byte| *byte == separator || matches!(byte, b'\r' | b'\n')) {
                return Err(EditError::Value);
            }
            let part = match (*field, segment.has_delimiters()) {
                (0, _) => return Err(EditError::NoField),
                (1 | 2, true) => return Err(EditError::Delimiters),
                (number, true) => usize::from(number) - 1,
                (number, false) => usize::from(number),
            };
            parts.resize(parts.len().max(part + 1), b"");
            parts[part] = value;
        }
        let range = segment.range();
        changed.extend_from_slice(&bytes[copied..range.start]);
        for (number, part) in parts.iter().enumerate() {
            if number > 0 {
                changed.push(separator);
            }
            changed.extend_from_slice(part);
        }
        copied = range.end;
    }
    changed.extend_from_slice(&bytes[copied..]);
    Ok(changed)
}

/// A field's bytes with `value`, already encoded, at the repetition, component and subcomponent of `path`; its segment and
/// field are not looked at. As [`replace_field`] otherwise.
pub fn replace_within(field: &[u8], delimiters: &Delimiters, path: Path, value: &[u8]) -> Vec<u8> {
    let levels = [
        (delimiters.repetition, path.repetition),
        (delimiters.component, path.component),
        (delimiters.subcomponent, path.subcomponent),
    ];
    let used = levels.iter().rposition(|(_, number)| *number > 0).map_or(0, |last| last + 1);
    replace_part(field, &levels[..used], value)
}

/// Replaces the part that `levels` lead to; levels skipped in a path mean the first.
fn replace_part(raw: &[u8], levels: &[(u8, u16)], value: &[u8]) -> Vec<u8> {
    let Some(((separator, number), rest)) = levels.split_first() else { return value.to_vec() };
    let index = usize::from((*number).max(1)) - 1;
    let mut parts: Vec<&[u8]> = raw.split(|byte| byte == separator).collect();
    parts.resize(parts.len().max(index + 1), b"");
    let changed = replace_part(parts[index], rest, value);
    parts[index] = &changed;
    parts.join(separator)
}

/// A message of the segments with these indices in the order given, each byte for byte and ended by a carriage return.
/// Indices that do not exist are left out. To cut a result with several patients into one message per patient, name
/// MSH and then that patient's segments, and give each part a control id of its own with [`replace_field`].
pub fn copy_segments(message: &Message<'_>, indices: impl IntoIterator<Item = usize>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for segment in indices.into_iter().filter_map(|index| message.segment_at(index)) {
        bytes.extend_from_slice(segment.raw());
        bytes.push(b'\r');
    }
    bytes
}
