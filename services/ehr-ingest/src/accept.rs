//! What is answered to a message, and what is stored: plain values in, a [`Verdict`] out. No socket, no clock, no Kafka.
//!
//! | found | answer | stored |
//! |---|---|---|
//! | a message of any type, a batch | AA, once it is stored | `inbound.message` |
//! | no usable MSH | AR 100 or 101 where MSH-10 can be found, else the connection is closed | `inbound.rejected` |
//! | UTF-16, UTF-32 | the connection is closed | `inbound.rejected` |
//! | no MSH-10, no MSH-9 | AE 101 | `inbound.rejected` |
//! | MSH-9, 11 or 12 that the feed does not take | AR 200 to 203 | `inbound.rejected` |
//! | what [`v2::plan`] refuses | AE 100 or 101 | `inbound.rejected` |
//!
//! Always one answer in original mode, whatever MSH-15 and MSH-16 say.

mod envelope;
pub mod fhir;

pub use envelope::{Envelope, answer_id};

use waybill_contracts::{
    ReasonCode,
    inbound::{InboundMessage, InboundRejected},
    reason,
};
use waybill_hl7v2::{
    Index, Message, ParseErrorReason, Path,
    ack::{AckCode, AckError, ErrorCode},
    path,
};

use crate::{
    feed::Feed,
    mapping::v2::{self, Refusal},
    patient_id,
};

/// What to do with a message.
#[derive(Debug)]
pub enum Verdict {
    /// Store it; then answer.
    Store {
        /// The record for `inbound.message`.
        message: InboundMessage,
        /// Its key.
        key: [u8; 16],
        /// The answer once it is stored.
        ack: Vec<u8>,
    },
    /// Store the refusal; then answer.
    Refuse {
        /// The record for `inbound.rejected`, keyed by message id.
        rejected: InboundRejected,
        /// The answer; `None`: close the connection, there is nothing to refer to.
        ack: Option<Vec<u8>>,
    },
}

/// Judges a message that came in on `feed`.
///
/// ```
/// # use ehr_ingest::{accept::{accept, Verdict}, config::FeedConfig, feed::Feed};
/// # use waybill_contracts::{PatientKeyer, Timestamp};
/// # use waybill_hl7v2::Index;
/// let feed = Feed::new(&FeedConfig::default(), PatientKeyer::new(b"secret"));
/// let bytes = b"MSH|^~\\&|EHR|GH|||20260304||ADT^A28|7|P|2.5\rPID|1||42^^^GH^MR\r";
/// let verdict = accept(&feed, bytes, Timestamp::from_millis(0), &mut Index::new());
/// assert!(matches!(verdict, Verdict::Store { .. }));
/// ```
pub fn accept(
    feed: &Feed,
    bytes: &[u8],
    received_at: waybill_contracts::Timestamp,
    index: &mut Index,
) -> Verdict {
    judge(feed, &Envelope::read(feed, bytes, received_at), index)
}

/// Judges a message whose envelope was read.
pub fn judge(feed: &Feed, envelope: &Envelope<'_>, index: &mut Index) -> Verdict {
    let header = match envelope.header() {
        Ok(header) => header,
        Err(error) => return refuse_unreadable(envelope, error.reason),
    };
    if envelope.control_id().is_empty() {
        return refuse(envelope, AckCode::AE, NO_CONTROL_ID);
    }
    if envelope.is_batch() {
        return store(feed, envelope, None);
    }
    if header.message_code().is_empty() {
        return refuse(envelope, AckCode::AE, NO_MESSAGE_TYPE);
    }
    if let Some(refusal) = not_acceptable(feed, header) {
        return refuse(envelope, AckCode::AR, refusal);
    }
    match Message::parse_in(index, envelope.bytes()) {
        Err(error) => refuse_unreadable(envelope, error.reason),
        Ok(received) => {
            // The feed's profile says where the sender puts what; what is stored stays as it came.
            let rewritten = feed.rewrite_v2(&received);
            let rewritten = rewritten.as_deref().and_then(|bytes| Message::parse(bytes).ok());
            let message = rewritten.as_ref().unwrap_or(&received);
            match v2::plan(message) {
                Err(refusal) => refuse(envelope, AckCode::AE, refusal),
                Ok(_) => store(feed, envelope, Some((message, &received))),
            }
        }
    }
}

const NO_CONTROL_ID: Refusal = Refusal {
    reason: reason::NO_CONTROL_ID,
    code: ErrorCode::RequiredFieldMissing,
    location: path!("MSH-10"),
    text: "MSH-10 is empty",
};

const NO_MESSAGE_TYPE: Refusal = Refusal {
    reason: reason::NO_MESSAGE_TYPE,
    code: ErrorCode::RequiredFieldMissing,
    location: path!("MSH-9"),
    text: "MSH-9 is empty",
};

/// The feed's policy: version, processing id, type and event, in the order of the standard's table 0357.
fn not_acceptable(feed: &Feed, header: &waybill_hl7v2::Header<'_>) -> Option<Refusal> {
    let policy = &feed.accept;
    let lists =
        |list: &[String], value: &[u8]| list.is_empty() || list.iter().any(|item| item.as_bytes() == value);
    let refusal =
        |code, location, text| Some(Refusal { reason: reason::HEADER_NOT_ACCEPTED, code, location, text });
    if !lists(&policy.versions, header.version_id()) {
        return refusal(
            ErrorCode::UnsupportedVersionId,
            path!("MSH-12"),
            "this feed does not take the version",
        );
    }
    if !lists(&policy.processing_ids, header.processing_id()) {
        return refusal(
            ErrorCode::UnsupportedProcessingId,
            path!("MSH-11"),
            "this feed does not take the processing id",
        );
    }
    if policy.message_types.is_empty() {
        return None;
    }
    let (code, trigger) = (header.message_code(), header.trigger_event());
    let mut code_is_known = false;
    for allowed in &policy.message_types {
        let (allowed_code, allowed_trigger) =
            allowed.split_once('^').map_or((allowed.as_str(), None), |(code, event)| (code, Some(event)));
        if allowed_code.as_bytes() == code {
            code_is_known = true;
            if allowed_trigger.is_none_or(|event| event.as_bytes() == trigger) {
                return None;
            }
        }
    }
    if code_is_known {
        refusal(ErrorCode::UnsupportedEventCode, path!("MSH-9"), "this feed does not take the event")
    } else {
        refusal(ErrorCode::UnsupportedMessageType, path!("MSH-9"), "this feed does not take the message type")
    }
}

/// Stores a message that is read as `message` and came in as `received`.
fn store(
    feed: &Feed,
    envelope: &Envelope<'_>,
    message: Option<(&Message<'_>, &Message<'_>)>,
) -> Verdict {
    let key = message
        .and_then(|(message, _)| {
            let authority = v2::default_authority(feed, message.header());
            patient_id::patient_key(&message.segment("PID")?.field(3), &authority, &feed.keyer)
        })
        .map_or(*envelope.id().as_bytes(), |key| *key.as_bytes());
    let warnings = message.map(|(_, received)| warnings(feed, received)).unwrap_or_default();
    Verdict::Store { message: envelope.inbound(feed, warnings), key, ack: envelope.ack(AckCode::AA, &[]) }
}

/// What was tolerated, as codes.
fn warnings(feed: &Feed, message: &Message<'_>) -> Vec<String> {
    use waybill_hl7v2::{WarningKind, charset::CharsetWarning};
    let mut codes: Vec<&str> = Vec::new();
    for warning in message.warnings() {
        let code = match warning.kind {
            WarningKind::ByteOrderMark => "BYTE_ORDER_MARK",
            WarningKind::BlankLine => "BLANK_LINE",
            WarningKind::LineFeed => "LINE_FEED",
            WarningKind::CarriageReturnLineFeed => "CARRIAGE_RETURN_LINE_FEED",
            WarningKind::LineFeedInData => "LINE_FEED_IN_DATA",
            WarningKind::MalformedSegment => "MALFORMED_SEGMENT",
            WarningKind::AdditionalHeader => "ADDITIONAL_HEADER",
            _ => "OTHER",
        };
        if !codes.contains(&code) {
            codes.push(code);
        }
    }
    codes.extend(message.charset(feed.charset).warning().map(|warning| match warning {
        CharsetWarning::Undeclared => "CHARSET_UNDECLARED",
        CharsetWarning::UnknownDeclared => "CHARSET_UNKNOWN",
        CharsetWarning::NotAscii => "CHARSET_NOT_ASCII",
        CharsetWarning::NotUtf8 => "CHARSET_NOT_UTF8",
        _ => "CHARSET_OTHER",
    }));
    codes.into_iter().map(str::to_owned).collect()
}

fn refuse(envelope: &Envelope<'_>, code: AckCode, refusal: Refusal) -> Verdict {
    let error = AckError::new(refusal.code).at(refusal.location).with_text(refusal.text);
    Verdict::Refuse {
        rejected: envelope.rejected(Some(code), refusal.reason, Some(refusal.code), Some(refusal.location)),
        ack: Some(envelope.ack(code, &[error])),
    }
}

fn refuse_unreadable(envelope: &Envelope<'_>, found: ParseErrorReason) -> Verdict {
    let reason = match found {
        ParseErrorReason::UnsupportedEncoding => reason::UNSUPPORTED_CHARSET,
        _ => reason::UNREADABLE_HEADER,
    };
    let code = match found {
        // Something else stands where MSH belongs.
        ParseErrorReason::NoMsh | ParseErrorReason::Empty => ErrorCode::SegmentSequenceError,
        _ => ErrorCode::RequiredFieldMissing,
    };
    refuse_with(envelope, reason, code, Path::segment(*b"MSH"), "the MSH segment cannot be read")
}

/// Refuses a frame over the limit; `envelope` is of its beginning.
pub fn refuse_too_large(envelope: &Envelope<'_>) -> Verdict {
    refuse_with(
        envelope,
        reason::TOO_LARGE,
        ErrorCode::DataTypeError,
        None,
        "the message is larger than this feed takes",
    )
}

fn refuse_with(
    envelope: &Envelope<'_>,
    reason: ReasonCode,
    code: ErrorCode,
    location: Option<Path>,
    text: &str,
) -> Verdict {
    let error = AckError { location, ..AckError::new(code).with_text(text) };
    let ack = envelope.ack_if_possible(AckCode::AR, &[error]);
    let answered = ack.as_ref().map(|_| AckCode::AR);
    Verdict::Refuse { rejected: envelope.rejected(answered, reason, Some(code), location), ack }
}
