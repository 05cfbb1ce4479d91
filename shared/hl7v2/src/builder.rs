//! Writing a message from values.

use thiserror::Error;

use crate::charset::Charset;
use crate::delimiters::Delimiters;
use crate::escape::{Formatting, escape};
use crate::path::is_segment_name;

/// Writes a message segment by segment. Values are escaped; MSH-1 and MSH-2 are written from the delimiters.
///
/// ```
/// use waybill_hl7v2::{Delimiters, MessageBuilder};
/// let message = MessageBuilder::new(Delimiters::default())
///     .segment("MSH").text(3, "LAB").components(9, &["ORU", "R01", "ORU_R01"]).text(10, "1").text(12, "2.5.1")
///     .segment("PID").components(3, &["17", "", "", "HOSP", "MR"]).components(5, &["D'Arcy & Co"])
///     .build()?;
/// assert_eq!(message, b"MSH|^~\\&|LAB||||||ORU^R01^ORU_R01|1||2.5.1\rPID|||17^^^HOSP^MR||D'Arcy \\T\\ Co\r");
/// # Ok::<(), waybill_hl7v2::BuildError>(())
/// ```
#[derive(Clone)]
pub struct MessageBuilder {
    delimiters: Delimiters,
    charset: Charset,
    message: Vec<u8>,
    name: Vec<u8>,
    /// The current segment's fields from 1, encoded.
    fields: Vec<Vec<u8>>,
    error: Option<BuildError>,
}

/// Why a message could not be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A segment name is not `[A-Z][A-Z0-9]{2}`.
    #[error("a segment name must be a capital letter and two capital letters or digits")]
    SegmentName,
    /// The first segment is not MSH.
    #[error("the first segment must be MSH")]
    NoMsh,
    /// Field 0, or MSH-1 or MSH-2, which come from the delimiters.
    #[error("there is no such field to be set")]
    Field,
    /// An encoded value holds a field separator or the end of a segment.
    #[error("an encoded value would end the field it is put in")]
    Value,
}

impl MessageBuilder {
    /// A builder of a message in UTF-8.
    pub fn new(delimiters: Delimiters) -> Self {
        Self {
            delimiters,
            charset: Charset::utf8(),
            message: Vec::new(),
            name: Vec::new(),
            fields: Vec::new(),
            error: None,
        }
    }

    /// Encodes text in another character set from here on. Setting MSH-18 is up to the caller.
    #[must_use]
    pub fn charset(mut self, charset: Charset) -> Self {
        self.charset = charset;
        self
    }

    /// Starts a segment.
    #[must_use]
    pub fn segment(mut self, name: &str) -> Self {
        self.finish_segment();
        if !is_segment_name(name.as_bytes()) {
            self.fail(BuildError::SegmentName);
        } else if self.message.is_empty() && name != "MSH" {
            self.fail(BuildError::NoMsh);
        }
        self.name = name.as_bytes().to_vec();
        self
    }

    /// Sets a field to one value.
    #[must_use]
    pub fn text(self, field: usize, value: &str) -> Self {
        self.components(field, &[value])
    }

    /// Sets a field to components.
    #[must_use]
    pub fn components(mut self, field: usize, components: &[&str]) -> Self {
        let encoded = self.encode(components);
        if let Some(slot) = self.slot(field) {
            *slot = encoded;
        }
        self
    }

    /// Adds a repetition to a field, or its first one.
    #[must_use]
    pub fn repeat(mut self, field: usize, components: &[&str]) -> Self {
        let encoded = self.encode(components);
        let repetition = self.delimiters.repetition;
        if let Some(slot) = self.slot(field) {
            if !slot.is_empty() {
                slot.push(repetition);
            }
            slot.extend_from_slice(&encoded);
        }
        self
    }

    /// Sets a field to `""`: the receiver deletes what it has.
    #[must_use]
    pub fn null(self, field: usize) -> Self {
        self.raw(field, b"\"\"")
    }

    /// Sets a field to bytes that are already encoded.
    #[must_use]
    pub fn raw(mut self, field: usize, encoded: &[u8]) -> Self {
        let separator = self.delimiters.field;
        if encoded.iter().any(|byte| *byte == separator || matches!(byte, b'\r' | b'\n')) {
            self.fail(BuildError::Value);
        } else if let Some(slot) = self.slot(field) {
            *slot = encoded.to_vec();
        }
        self
    }

    /// The message.
    ///
    /// # Errors
    /// The first mistake made on the way.
    pub fn build(mut self) -> Result<Vec<u8>, BuildError> {
        self.finish_segment();
        if self.message.is_empty() {
            self.fail(BuildError::NoMsh);
        }
        self.error.map_or(Ok(self.message), Err)
    }

    fn encode(&self, components: &[&str]) -> Vec<u8> {
        let mut encoded = Vec::new();
        for (index, component) in components.iter().enumerate() {
            if index > 0 {
                encoded.push(self.delimiters.component);
            }
            let bytes = self.charset.encode(component);
            encoded.extend_from_slice(&escape(&bytes, &self.delimiters, Formatting::Plain));
        }
        encoded
    }

    fn slot(&mut self, field: usize) -> Option<&mut Vec<u8>> {
        if self.name.is_empty() {
            self.fail(BuildError::NoMsh);
            return None;
        }
        // MSH-1 is the separator itself, so MSH-2 follows it as the first field of the others.
        let index = if self.has_delimiters() { field.checked_sub(2) } else { field.checked_sub(1) };
        let Some(index) = index.filter(|index| *index > 0 || !self.has_delimiters()) else {
            self.fail(BuildError::Field);
            return None;
        };
        if self.fields.len() <= index {
            self.fields.resize(index + 1, Vec::new());
        }
        self.fields.get_mut(index)
    }

    fn has_delimiters(&self) -> bool {
        matches!(self.name.as_slice(), b"MSH" | b"FHS" | b"BHS")
    }

    fn finish_segment(&mut self) {
        let name = std::mem::take(&mut self.name);
        let mut fields = std::mem::take(&mut self.fields);
        if name.is_empty() {
            return;
        }
        if matches!(name.as_slice(), b"MSH" | b"FHS" | b"BHS") {
            fields.resize(fields.len().max(1), Vec::new());
            fields[0] = self.delimiters.encoding_characters().collect();
        }
        self.message.extend_from_slice(&name);
        for field in fields {
            self.message.push(self.delimiters.field);
            self.message.extend_from_slice(&field);
        }
        self.message.push(b'\r');
    }

    fn fail(&mut self, error: BuildError) {
        self.error.get_or_insert(error);
    }
}
