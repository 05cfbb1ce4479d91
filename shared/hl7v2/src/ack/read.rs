//! Reading a receiver's acknowledgement.

use std::fmt;

use thiserror::Error;

use super::{AckCode, ErrorCode, Severity};
use crate::delimiters::Delimiters;
use crate::error::ParseError;
use crate::escape::{Formatting, unescape};
use crate::header::Header;
use crate::view::Field;

/// What an acknowledgement says.
#[derive(Clone, PartialEq, Eq)]
pub struct AckView<'a> {
    /// MSA-1; `None` when it is missing or not in table 0008.
    pub code: Option<AckCode>,
    /// MSA-2, verbatim.
    pub control_id: &'a [u8],
    /// The errors of ERR segments, or of MSA-6 where there are none.
    pub errors: Vec<ErrorView>,
    /// Whether there is any text for people (MSA-3, ERR-7, ERR-8). It may hold patient data, so it is not handed out.
    pub has_text: bool,
    delimiters: Delimiters,
}

impl fmt::Debug for AckView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AckView")
            .field("code", &self.code)
            .field("errors", &self.errors)
            .finish_non_exhaustive()
    }
}

impl AckView<'_> {
    /// Whether this acknowledges the message with this MSH-10, given as it was sent. Equal bytes, or equal once the
    /// escape sequences of both (`sent` with the delimiters of its message) are resolved.
    pub fn acknowledges(&self, sent: &[u8], sent_delimiters: &Delimiters) -> bool {
        let resolve = |bytes, delimiters| unescape(bytes, delimiters, Formatting::Keep);
        !sent.is_empty()
            && (self.control_id == sent
                || resolve(self.control_id, &self.delimiters) == resolve(sent, sent_delimiters))
    }
}

/// One error of an acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorView {
    /// `None` when the receiver uses a code of its own.
    pub code: Option<ErrorCode>,
    /// `None` where not given, as before version 2.5.
    pub severity: Option<Severity>,
}

/// Why an answer is no acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AckReadError {
    /// Not an HL7 message.
    #[error("the answer is not an HL7 message")]
    Message(#[from] ParseError),
    /// A message without MSA.
    #[error("the answer has no MSA segment")]
    NoMsa,
}

/// Reads an acknowledgement.
///
/// # Errors
/// When the bytes are no message or hold no MSA segment. A missing or unknown MSA-1 is not an error but `code: None`.
pub fn read(input: &[u8]) -> Result<AckView<'_>, AckReadError> {
    let header = Header::parse(input)?;
    let delimiters = *header.delimiters();
    let mut view = None;
    let lines = input[header.offset()..].split(|byte| matches!(byte, b'\r' | b'\n'));
    for line in lines.skip(1) {
        let segment = Line { line, delimiters };
        match (segment.name(), &mut view) {
            (b"MSA", None) => view = Some(msa(&segment)),
            (b"ERR", Some((view, _))) => err(&segment, view),
            _ => {}
        }
    }
    let (mut view, condition) = view.ok_or(AckReadError::NoMsa)?;
    if view.errors.is_empty() {
        view.errors.extend(condition);
    }
    Ok(view)
}

/// The view without ERR segments, and the error of MSA-6.
fn msa<'a>(segment: &Line<'a>) -> (AckView<'a>, Option<ErrorView>) {
    let condition = segment.field(6).component(1);
    let error = condition.value().map(|code| ErrorView { code: ErrorCode::parse(code), severity: None });
    let view = AckView {
        code: AckCode::parse(segment.field(1).raw().trim_ascii()),
        control_id: segment.field(2).raw(),
        errors: Vec::new(),
        has_text: segment.field(3).value().is_some(),
        delimiters: segment.delimiters,
    };
    (view, error)
}

fn err(segment: &Line<'_>, view: &mut AckView<'_>) {
    view.has_text |= segment.field(7).value().is_some() || segment.field(8).value().is_some();
    let modern = segment.field(3).component(1);
    if let Some(code) = modern.value() {
        let severity = Severity::parse(segment.field(4).raw());
        view.errors.push(ErrorView { code: ErrorCode::parse(code), severity });
        return;
    }
    for location in segment.field(1).repetitions() {
        if let Some(code) = location.component(4).subcomponent(1).value() {
            view.errors.push(ErrorView { code: ErrorCode::parse(code), severity: None });
        }
    }
}

/// One segment, split when asked: acknowledgements are too short for an index to pay.
struct Line<'a> {
    line: &'a [u8],
    delimiters: Delimiters,
}

impl<'a> Line<'a> {
    fn name(&self) -> &'a [u8] {
        self.parts(0)
    }

    fn field(&self, number: usize) -> Field<'a> {
        Field::new(self.parts(number), self.delimiters, false)
    }

    fn parts(&self, index: usize) -> &'a [u8] {
        self.line.split(|byte| *byte == self.delimiters.field).nth(index).unwrap_or_default()
    }
}
