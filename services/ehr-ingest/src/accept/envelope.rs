//! What is known of a message before its content is looked at: id, hash, header, and what it is owed.

use std::borrow::Cow;

use sha2::{Digest, Sha256};
use smol_str::{SmolStr, format_smolstr};
use waybill_contracts::{
    Body, MessageId, ReasonCode, Timestamp,
    body::HL7_V2,
    inbound::{InboundMessage, InboundRejected, Protocol},
};
use waybill_hl7v2::{
    Charset, Dtm, Header, ParseError, ParseErrorReason, Path,
    ack::{Ack, AckCode, AckError, ErrorCode},
    batch,
};

use super::{Found, Owed, Place, Reply};
use crate::feed::Feed;

/// A received message: its bytes, what its header says, and its id. Hashes the bytes, once.
#[derive(Clone, Debug)]
pub struct Envelope<'a> {
    bytes: &'a [u8],
    /// Of the message; of a batch, the header of its first message.
    header: Result<Header<'a>, ParseError>,
    feed: &'a str,
    protocol: Protocol,
    sha256: [u8; 32],
    id: MessageId,
    sent_at: Option<Timestamp>,
    received_at: Timestamp,
    owed: Owed,
    batch: Option<Place<'a>>,
}

/// A record of the door: what both kinds have, and the fields given.
macro_rules! record {
    ($envelope:expr, $reply:expr, $record:ident { $($field:ident: $value:expr),* $(,)? }) => {{
        let (envelope, texts): (&Envelope<'_>, Texts) = ($envelope, Texts::of($envelope));
        $record {
            message_id: envelope.id,
            feed: envelope.feed.into(),
            protocol: envelope.protocol,
            sending_application: texts.sending_application,
            sending_facility: texts.sending_facility,
            receiving_application: texts.receiving_application,
            receiving_facility: texts.receiving_facility,
            message_type: texts.message_type,
            control_id: texts.control_id,
            version: texts.version,
            character_set: texts.character_set,
            sent_at: envelope.sent_at,
            received_at: envelope.received_at,
            ack_code: $reply.code_text(),
            sha256: envelope.sha256.to_vec(),
            batch_id: envelope.batch.map(|place| place.id),
            batch_control_id: envelope.batch.and_then(|place| text(place.control_id)),
            batch_index: envelope.batch.and_then(|place| i32::try_from(place.index).ok()),
            body: Body::new(HL7_V2, envelope.bytes),
            $($field: $value,)*
        }
    }};
}
impl<'a> Envelope<'a> {
    /// Reads the header and derives the id. Of a batch that is not split, the header is that of its first message.
    pub fn read(feed: &'a Feed, bytes: &'a [u8], received_at: Timestamp) -> Self {
        let header = if batch::is_batch(bytes) { first_header(bytes) } else { Header::parse(bytes) };
        let sha256: [u8; 32] = Sha256::digest(bytes).into();
        let (mut sent_at, mut id_time, mut sent_by) = (None, None, String::new());
        if let Ok(header) = &header {
            if let Some(dtm) = Dtm::parse(header.timestamp()) {
                sent_at = dtm.unix_millis(Some(feed.utc_offset)).map(Timestamp::from_millis);
                // Whatever the feed's offset is set to: an id never changes.
                id_time = dtm.unix_millis(Some(0)).map(Timestamp::from_millis);
            }
            sent_by = sender(header.sending_application().raw(), header.sending_facility().raw());
        }
        let id = MessageId::derive_hashed(&feed.name, &sent_by, id_time, &sha256);
        let owed = Owed::of(feed.ack.mode, header.as_ref().ok());
        let (feed, protocol) = (feed.name.as_str(), feed.protocol);
        Self { bytes, header, feed, protocol, sha256, id, sent_at, received_at, owed, batch: None }
    }

    /// The same as a message of a batch.
    #[must_use]
    pub fn in_batch(self, place: Place<'a>) -> Self {
        Self { batch: Some(place), ..self }
    }

    /// The same as it was when it came in first.
    #[must_use]
    pub fn first_received(self, at: Timestamp) -> Self {
        Self { received_at: at, ..self }
    }

    /// The same as a response, to which nothing is owed.
    pub(super) fn as_response(&self) -> Self {
        Self { owed: self.owed.of_response(), ..self.clone() }
    }

    /// The message as received.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The message's id.
    pub const fn id(&self) -> MessageId {
        self.id
    }

    /// Hash of the bytes.
    pub const fn sha256(&self) -> &[u8; 32] {
        &self.sha256
    }

    /// When its last byte came in.
    pub const fn received_at(&self) -> Timestamp {
        self.received_at
    }

    /// MSH, when it can be read.
    pub const fn header(&self) -> &Result<Header<'a>, ParseError> {
        &self.header
    }

    /// What it is owed.
    pub const fn owed(&self) -> Owed {
        self.owed
    }

    /// MSH-10 as sent; empty when absent or null.
    pub fn control_id(&self) -> &'a [u8] {
        self.header.as_ref().ok().and_then(|header| header.field(10).value()).unwrap_or_default()
    }

    /// Sender and control id: what must not come twice with different bytes.
    pub fn control(&self) -> [&'a [u8]; 3] {
        self.header.as_ref().map_or([b""; 3], control)
    }

    /// MSH-9 code and trigger event as text, for traces.
    pub fn message_type(&self) -> (Cow<'a, str>, Cow<'a, str>) {
        let Ok(header) = &self.header else { return Default::default() };
        (String::from_utf8_lossy(header.message_code()), String::from_utf8_lossy(header.trigger_event()))
    }

    /// The answer to it, when this was found.
    pub fn reply(&self, found: Found, errors: &[AckError<'_>]) -> Reply {
        match self.owed.code(found) {
            Some(code) => self.acknowledge(code, errors),
            // Silence would say that it is stored.
            None if found == Found::NotStored && !self.owed.is_response() => Reply::Close,
            None => Reply::NotOwed,
        }
    }

    /// An acknowledgement with this code, where there is anything that it can refer to.
    pub fn acknowledge(&self, code: AckCode, errors: &[AckError<'_>]) -> Reply {
        let (control_id, timestamp) = (answer_id(self.id), hl7_time(self.received_at));
        let ack = Ack::new(code, &control_id, &timestamp).with_errors(errors);
        let bytes = match &self.header {
            Ok(header) => Some(ack.reply_to(header)),
            Err(error) if error.reason == ParseErrorReason::UnsupportedEncoding => None,
            Err(_) => ack.reply_to_unreadable(self.bytes),
        };
        bytes.map_or(Reply::Close, |bytes| Reply::Ack { code, bytes })
    }

    /// The answer while messages cannot be stored: the sender shall repeat it.
    pub fn busy(&self) -> Reply {
        let error = AckError::new(ErrorCode::ApplicationInternalError)
            .with_text("the message cannot be stored now; send it again");
        self.reply(Found::NotStored, &[error])
    }

    pub(super) fn inbound(&self, feed: &Feed, reply: &Reply, warnings: Vec<String>) -> InboundMessage {
        record!(self, reply, InboundMessage { warnings: warnings, profile: Some(feed.profile.clone()) })
    }

    /// The record of a refusal.
    pub fn rejected(
        &self,
        reply: &Reply,
        reason: ReasonCode,
        error: Option<ErrorCode>,
        location: Option<Path>,
    ) -> InboundRejected {
        record!(
            self,
            reply,
            InboundRejected {
                reason_code: reason.into(),
                error_location: location.map(erl),
                error_code: error.and_then(|error| error.as_str().parse().ok()),
            }
        )
    }
}

/// Sender and control id of a message: what must not come twice with different bytes.
pub fn control<'a>(header: &Header<'a>) -> [&'a [u8]; 3] {
    [header.sending_application().raw(), header.sending_facility().raw(), header.control_id()]
}

/// What stands for the sender in an id.
pub(super) fn sender(application: &[u8], facility: &[u8]) -> String {
    String::from_utf8_lossy(&[application, b"|", facility].concat()).into_owned()
}

/// MSH-10 of the answer to a message: 20 characters (the limit before HL7 v2.7) from the hash in its id, so that a
/// repeat gets the same.
pub fn answer_id(id: MessageId) -> String {
    id.trace_id().split_off(12)
}

/// What the header says, as text.
#[derive(Default)]
struct Texts {
    sending_application: Option<SmolStr>,
    sending_facility: Option<SmolStr>,
    receiving_application: Option<SmolStr>,
    receiving_facility: Option<SmolStr>,
    message_type: Option<SmolStr>,
    control_id: Option<SmolStr>,
    version: Option<SmolStr>,
    character_set: Option<SmolStr>,
}

impl Texts {
    fn of(envelope: &Envelope<'_>) -> Self {
        let Ok(header) = &envelope.header else { return Self::default() };
        let charset = Charset::utf8();
        let first = |number: usize| {
            header.field(number).component(1).subcomponent(1).text(&charset).map(SmolStr::from)
        };
        Self {
            sending_application: first(3),
            sending_facility: first(4),
            receiving_application: first(5),
            receiving_facility: first(6),
            message_type: message_type(header, charset),
            control_id: text(envelope.control_id()),
            version: first(12),
            character_set: first(18),
        }
    }
}

fn text(raw: &[u8]) -> Option<SmolStr> {
    (!raw.is_empty()).then(|| Charset::utf8().decode(raw).into())
}

/// code^trigger^structure, whatever the message's own separator is.
fn message_type(header: &Header<'_>, charset: Charset) -> Option<SmolStr> {
    let parts = [header.message_code(), header.trigger_event(), header.message_structure()];
    let used = parts.iter().rposition(|part| !part.is_empty())?;
    Some(parts[..=used].iter().map(|part| charset.decode(part)).collect::<Vec<_>>().join("^").into())
}

/// The header of the first message of a batch.
fn first_header(bytes: &[u8]) -> Result<Header<'_>, ParseError> {
    let message = batch::parts(bytes).find_map(|part| match part {
        batch::Part::Message(range) => Some(range),
        _ => None,
    });
    Header::parse(message.map_or(bytes, |range| &bytes[range]))
}

pub(super) fn hl7_time(at: Timestamp) -> String {
    Dtm::from_unix_millis(at.as_millis(), 0).map(|dtm| dtm.to_string()).unwrap_or_default()
}

/// ERL: segment ^ occurrence ^ field ^ repetition, as far as refusals go.
fn erl(path: Path) -> SmolStr {
    let text = path.to_string();
    let (segment, field) =
        text.split_once('-').map_or((text.as_str(), None), |(left, right)| (left, Some(right)));
    let (name, occurrence) =
        segment.split_once('[').map_or((segment, "1"), |(name, number)| (name, number.trim_end_matches(']')));
    match field {
        Some(field) => format_smolstr!("{name}^{occurrence}^{field}^1"),
        None => format_smolstr!("{name}^{occurrence}"),
    }
}

#[cfg(test)]
mod tests {
    use waybill_hl7v2::path;

    use super::*;

    #[test]
    fn places_are_written_as_erl() {
        assert_eq!(erl(path!("MSH-10")), "MSH^1^10^1");
        assert_eq!(erl(path!("PID[2]-3")), "PID^2^3^1");
        assert_eq!(erl(path!("PV1")), "PV1^1");
    }
}
