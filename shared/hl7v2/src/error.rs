//! Why a message could not be understood at all.

use thiserror::Error;

/// A message that cannot be read: the reason and where, never what was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{reason} (at byte {offset})")]
pub struct ParseError {
    /// What is wrong.
    pub reason: ParseErrorReason,
    /// Byte offset in the input, counted from 0.
    pub offset: usize,
}

impl ParseError {
    pub(crate) const fn new(reason: ParseErrorReason, offset: usize) -> Self {
        Self { reason, offset }
    }
}

/// The reasons of [`ParseError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum ParseErrorReason {
    /// Nothing but blank lines or a byte order mark.
    #[error("the message is empty")]
    Empty,
    /// UTF-16 or UTF-32: MLLP's block characters and HL7's delimiters do not survive there.
    #[error("UTF-16 and UTF-32 are not supported")]
    UnsupportedEncoding,
    /// Starts with FHS or BHS: a batch, not a message.
    #[error("a batch header where a message was expected")]
    Batch,
    /// The first segment is not MSH.
    #[error("the first segment is not MSH")]
    NoMsh,
    /// The input ends inside MSH-1 or MSH-2.
    #[error("the MSH segment ends before its delimiters")]
    TruncatedMsh,
    /// MSH-1 or a character of MSH-2 is alphanumeric, blank, a quotation mark, a control character or not
    /// ASCII.
    #[error("a delimiter is not an ASCII punctuation character")]
    InvalidDelimiter,
    /// The same character stands for two delimiters (defaults of missing ones included).
    #[error("the same character is used for two delimiters")]
    DuplicateDelimiter,
    /// MSH-2 has fewer than two or more than five characters.
    #[error("MSH-2 must have two to five characters")]
    EncodingCharacterCount,
    /// Longer than 2 GiB, the reach of the index.
    #[error("the message is longer than 2 GiB")]
    TooLong,
}
