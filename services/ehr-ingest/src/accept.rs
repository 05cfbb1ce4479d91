//! What is answered to a message, and what is stored: plain values in, a [`Verdict`] out. No socket, no clock, no Kafka.
//!
//! | found | answer | enhanced | stored |
//! |---|---|---|---|
//! | a message of any type | AA, once it is stored | CA | `inbound.message` |
//! | no usable MSH | AR 100 or 101 where MSH-10 can be found, else the connection is closed | the same | `inbound.rejected` |
//! | UTF-16, UTF-32 | the connection is closed | the same | `inbound.rejected` |
//! | no MSH-10, no MSH-9 | AE 101 | CE | `inbound.rejected` |
//! | MSH-9, 11 or 12 that the feed does not take | AR 200 to 203 | CR | `inbound.rejected` |
//! | what [`v2::plan`] refuses | AE | CA: it is not asked | `inbound.rejected`, enhanced `inbound.message` |
//! | larger than the feed or the topic takes | AR 102 | CE | its beginning in `inbound.rejected` |
//! | cannot be stored now | AR 207 | CE | nothing |
//!
//! Which mode it is, and whether an answer is owed at all: [`Owed`]. Where none is owed everything is stored all the same,
//! with an empty `ackCode`; what cannot be stored then closes the connection, because silence would say that it was.
//! Several messages in a frame: [`Layout`].

mod ack;
mod batch;
mod envelope;
pub mod fhir;

pub use ack::{Found, Owed, Reply};
pub use batch::{Entry, Layout, MAX_MESSAGES, Place, TooMany};
pub use envelope::{Envelope, answer_id, control};

use waybill_contracts::{
    ReasonCode,
    inbound::{InboundMessage, InboundRejected},
    reason,
};
use waybill_hl7v2::{
    AckCondition, Header, Index, Message, ParseErrorReason, Path, WarningKind,
    ack::{AckError, ErrorCode},
    batch::{is_batch, is_several},
    charset::CharsetWarning,
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
        reply: Reply,
    },
    /// Store the refusal; then answer.
    Refuse {
        /// The record for `inbound.rejected`, keyed by message id.
        rejected: InboundRejected,
        /// The answer.
        reply: Reply,
    },
    /// It is several messages: judge each part of its [`Layout`].
    Several,
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
    if is_batch(envelope.bytes()) {
        return Verdict::Several;
    }
    let header = match envelope.header() {
        Ok(header) => header,
        Err(_) if is_several(envelope.bytes()) => return Verdict::Several,
        Err(error) => return refuse_unreadable(envelope, error.reason),
    };
    if let Some((found, refusal)) = header_refusal(feed, header) {
        // Whatever is wrong with the first of several must not lose the others.
        let several = is_several(envelope.bytes());
        return if several { Verdict::Several } else { refuse(envelope, found, refusal) };
    }
    match Message::parse_in(index, envelope.bytes()) {
        Err(error) => refuse_unreadable(envelope, error.reason),
        Ok(message) if looks_like_several(&message) && is_several(envelope.bytes()) => Verdict::Several,
        Ok(message) if is_response(&message) && header.accept_ack() == AckCondition::Unvalued => {
            judge_content(feed, &envelope.as_response(), &message)
        }
        Ok(message) => judge_content(feed, envelope, &message),
    }
}

/// Without looking at the bytes again: the index knows.
fn looks_like_several(message: &Message<'_>) -> bool {
    let last = message.segment_count().checked_sub(1).and_then(|last| message.segment_at(last));
    last.is_some_and(|last| matches!(last.name(), b"BTS" | b"FTS"))
        || message.warnings().iter().any(|warning| warning.kind == WarningKind::AdditionalHeader)
}

/// MSA stands after MSH, where only SFT, UAC and ARV may come between.
fn is_response(message: &Message<'_>) -> bool {
    let mut others = message.segments().skip(1).take(8);
    let second = others.find(|segment| !matches!(segment.name(), b"SFT" | b"UAC" | b"ARV"));
    second.is_some_and(|segment| segment.name() == b"MSA")
}

/// What the header is refused for.
fn header_refusal(feed: &Feed, header: &Header<'_>) -> Option<(Found, Refusal)> {
    if header.field(10).value().is_none() {
        return Some((Found::Content, NO_CONTROL_ID));
    }
    if header.message_code().is_empty() {
        return Some((Found::Content, NO_MESSAGE_TYPE));
    }
    not_acceptable(feed, header).map(|refusal| (Found::HeaderNotAccepted, refusal))
}

/// Content is judged as it will be mapped; in enhanced mode that it is stored is enough.
fn judge_content(feed: &Feed, envelope: &Envelope<'_>, message: &Message<'_>) -> Verdict {
    let rewritten = feed.rewrite_v2(message);
    let rewritten = rewritten.as_deref().and_then(|bytes| Message::parse(bytes).ok());
    let mapped = rewritten.as_ref().unwrap_or(message);
    if envelope.owed().is_original()
        && !envelope.owed().is_response()
        && let Err(refusal) = v2::plan(mapped)
    {
        return refuse(envelope, Found::Content, refusal);
    }
    let authority = v2::default_authority(feed, mapped.header());
    let key = mapped
        .segment("PID")
        .and_then(|pid| patient_id::patient_key(&pid.field(3), &authority, &feed.keyer))
        .map_or(*envelope.id().as_bytes(), |key| *key.as_bytes());
    let reply = envelope.reply(Found::Accepted, &[]);
    Verdict::Store { message: envelope.inbound(feed, &reply, warnings(feed, message)), key, reply }
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
fn not_acceptable(feed: &Feed, header: &Header<'_>) -> Option<Refusal> {
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

/// What was tolerated, as codes.
fn warnings(feed: &Feed, message: &Message<'_>) -> Vec<String> {
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
    let charset = message.charset(feed.charset).warning().map(|warning| match warning {
        CharsetWarning::Undeclared => "CHARSET_UNDECLARED",
        CharsetWarning::UnknownDeclared => "CHARSET_UNKNOWN",
        CharsetWarning::NotAscii => "CHARSET_NOT_ASCII",
        CharsetWarning::NotUtf8 => "CHARSET_NOT_UTF8",
        _ => "CHARSET_OTHER",
    });
    codes.extend(charset);
    let header = message.header();
    // Required since 2.1, and left out by whole families of senders.
    codes.extend(header.processing_id().is_empty().then_some("PROCESSING_ID_MISSING"));
    codes.extend(match (header.version_id(), header.version()) {
        (b"", _) => Some("VERSION_MISSING"),
        (_, Some(version)) if version.major == 2 => None,
        _ => Some("VERSION_UNKNOWN"),
    });
    codes.extend((header.message_code() == b"ACK" || is_response(message)).then_some("RESPONSE"));
    codes.into_iter().map(str::to_owned).collect()
}

fn refuse(envelope: &Envelope<'_>, found: Found, refusal: Refusal) -> Verdict {
    let error = AckError::new(refusal.code).at(refusal.location).with_text(refusal.text);
    let reply = envelope.reply(found, &[error]);
    let rejected = envelope.rejected(&reply, refusal.reason, Some(refusal.code), Some(refusal.location));
    Verdict::Refuse { rejected, reply }
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
    let place = Path::segment(*b"MSH");
    refuse_with(envelope, Found::Unreadable, reason, code, place, "the MSH segment cannot be read")
}

/// Refuses a frame over the limit; `envelope` is of its beginning.
pub fn refuse_too_large(envelope: &Envelope<'_>) -> Verdict {
    let text = "the message is larger than this feed takes";
    refuse_with(envelope, Found::TooLarge, reason::TOO_LARGE, ErrorCode::DataTypeError, None, text)
}

fn refuse_with(
    envelope: &Envelope<'_>,
    found: Found,
    reason: ReasonCode,
    code: ErrorCode,
    location: Option<Path>,
    text: &str,
) -> Verdict {
    let error = AckError { location, ..AckError::new(code).with_text(text) };
    let reply = envelope.reply(found, &[error]);
    Verdict::Refuse { rejected: envelope.rejected(&reply, reason, Some(code), location), reply }
}
