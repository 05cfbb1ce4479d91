//! Acknowledgements (HL7 v2 §2.8, §2.9): making them for a received message, reading those of a receiver.
//!
//! [`Ack`] describes an acknowledgement; [`Ack::reply_to`] writes it in the sender's separators, version and character set,
//! [`Ack::reply_to_unreadable`] does what can be done when the MSH segment is broken. [`read`] reads a receiver's answer.

mod read;
mod write;

pub use read::{AckReadError, AckView, ErrorView, read};
pub(crate) use write::put_fields;

use std::fmt;

use crate::path::Path;

/// MSA-1, table 0008.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AckCode {
    /// Application accept.
    AA,
    /// Application error: the content is at fault.
    AE,
    /// Application reject: type, version or processing id at fault, or the receiver is unable for now.
    AR,
    /// Commit accept: stored safely.
    CA,
    /// Commit error.
    CE,
    /// Commit reject.
    CR,
}

impl AckCode {
    /// As written in MSA-1.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AA => "AA",
            Self::AE => "AE",
            Self::AR => "AR",
            Self::CA => "CA",
            Self::CE => "CE",
            Self::CR => "CR",
        }
    }

    /// Reads MSA-1.
    pub fn parse(code: &[u8]) -> Option<Self> {
        let all = [Self::AA, Self::AE, Self::AR, Self::CA, Self::CE, Self::CR];
        all.into_iter().find(|candidate| candidate.as_str().as_bytes() == code)
    }

    /// AA or CA.
    pub const fn is_positive(self) -> bool {
        matches!(self, Self::AA | Self::CA)
    }

    /// CA, CE or CR: about storing, not about content.
    pub const fn is_commit(self) -> bool {
        matches!(self, Self::CA | Self::CE | Self::CR)
    }
}

impl fmt::Display for AckCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// ERR-3, table 0357.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// 0
    MessageAccepted,
    /// 100
    SegmentSequenceError,
    /// 101
    RequiredFieldMissing,
    /// 102
    DataTypeError,
    /// 103
    TableValueNotFound,
    /// 200
    UnsupportedMessageType,
    /// 201
    UnsupportedEventCode,
    /// 202
    UnsupportedProcessingId,
    /// 203
    UnsupportedVersionId,
    /// 204
    UnknownKeyIdentifier,
    /// 205
    DuplicateKeyIdentifier,
    /// 206
    ApplicationRecordLocked,
    /// 207
    ApplicationInternalError,
}

impl ErrorCode {
    const ALL: [Self; 13] = [
        Self::MessageAccepted,
        Self::SegmentSequenceError,
        Self::RequiredFieldMissing,
        Self::DataTypeError,
        Self::TableValueNotFound,
        Self::UnsupportedMessageType,
        Self::UnsupportedEventCode,
        Self::UnsupportedProcessingId,
        Self::UnsupportedVersionId,
        Self::UnknownKeyIdentifier,
        Self::DuplicateKeyIdentifier,
        Self::ApplicationRecordLocked,
        Self::ApplicationInternalError,
    ];

    /// The code as written in ERR-3.1.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MessageAccepted => "0",
            Self::SegmentSequenceError => "100",
            Self::RequiredFieldMissing => "101",
            Self::DataTypeError => "102",
            Self::TableValueNotFound => "103",
            Self::UnsupportedMessageType => "200",
            Self::UnsupportedEventCode => "201",
            Self::UnsupportedProcessingId => "202",
            Self::UnsupportedVersionId => "203",
            Self::UnknownKeyIdentifier => "204",
            Self::DuplicateKeyIdentifier => "205",
            Self::ApplicationRecordLocked => "206",
            Self::ApplicationInternalError => "207",
        }
    }

    /// Reads a code of table 0357; `None` for one a receiver made up.
    pub fn parse(code: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|candidate| candidate.as_str().as_bytes() == code)
    }

    /// The table's description, for ERR-3.2.
    pub const fn description(self) -> &'static str {
        match self {
            Self::MessageAccepted => "Message accepted",
            Self::SegmentSequenceError => "Segment sequence error",
            Self::RequiredFieldMissing => "Required field missing",
            Self::DataTypeError => "Data type error",
            Self::TableValueNotFound => "Table value not found",
            Self::UnsupportedMessageType => "Unsupported message type",
            Self::UnsupportedEventCode => "Unsupported event code",
            Self::UnsupportedProcessingId => "Unsupported processing id",
            Self::UnsupportedVersionId => "Unsupported version id",
            Self::UnknownKeyIdentifier => "Unknown key identifier",
            Self::DuplicateKeyIdentifier => "Duplicate key identifier",
            Self::ApplicationRecordLocked => "Application record locked",
            Self::ApplicationInternalError => "Application internal error",
        }
    }
}

/// ERR-4, table 0516.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Severity {
    /// E
    Error,
    /// F, since version 2.9
    Fatal,
    /// I
    Information,
    /// W
    Warning,
}

impl Severity {
    /// As written in ERR-4.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "E",
            Self::Fatal => "F",
            Self::Information => "I",
            Self::Warning => "W",
        }
    }

    /// Reads ERR-4.
    pub fn parse(code: &[u8]) -> Option<Self> {
        let all = [Self::Error, Self::Fatal, Self::Information, Self::Warning];
        all.into_iter().find(|candidate| candidate.as_str().as_bytes() == code)
    }
}

/// One ERR segment to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AckError<'a> {
    /// Table 0357.
    pub code: ErrorCode,
    /// Table 0516; not written before version 2.5.
    pub severity: Severity,
    /// Where in the message.
    pub location: Option<Path>,
    /// ERR-8, for the sender's staff. No patient data.
    pub user_text: Option<&'a str>,
}

impl<'a> AckError<'a> {
    /// An error of severity E without a place.
    pub const fn new(code: ErrorCode) -> Self {
        Self { code, severity: Severity::Error, location: None, user_text: None }
    }

    /// The same error at a place.
    #[must_use]
    pub const fn at(self, location: Path) -> Self {
        Self { location: Some(location), ..self }
    }

    /// The same error with a text. No patient data.
    #[must_use]
    pub const fn with_text(self, text: &'a str) -> Self {
        Self { user_text: Some(text), ..self }
    }
}

/// An acknowledgement to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack<'a> {
    /// MSA-1.
    pub code: AckCode,
    /// MSH-10 of the acknowledgement itself.
    pub control_id: &'a str,
    /// MSH-7 of the acknowledgement, as HL7 text; see [`Dtm`](crate::Dtm).
    pub timestamp: &'a str,
    /// ERR segments.
    pub errors: &'a [AckError<'a>],
    /// MSA-3. No patient data.
    pub text: Option<&'a str>,
    /// MSA-4, for the sequence number protocol.
    pub expected_sequence: Option<i64>,
}

impl<'a> Ack<'a> {
    /// An acknowledgement without errors.
    pub const fn new(code: AckCode, control_id: &'a str, timestamp: &'a str) -> Self {
        Self { code, control_id, timestamp, errors: &[], text: None, expected_sequence: None }
    }

    /// The same with ERR segments.
    #[must_use]
    pub const fn with_errors(self, errors: &'a [AckError<'a>]) -> Self {
        Self { errors, ..self }
    }

    /// The same with MSA-3. No patient data.
    #[must_use]
    pub const fn with_text(self, text: &'a str) -> Self {
        Self { text: Some(text), ..self }
    }
}
