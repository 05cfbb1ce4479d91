//! What is known of a message before its content is looked at: id, hash, header.

use std::borrow::Cow;

use sha2::{Digest, Sha256};
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

use crate::feed::Feed;

/// A received message: its bytes, what its header says, and its id. Hashes the bytes, once.
#[derive(Clone, Debug)]
pub struct Envelope<'a> {
    bytes: &'a [u8],
    /// Of the message; of a batch, the header of its first message.
    header: Result<Header<'a>, ParseError>,
    is_batch: bool,
    feed: &'a str,
    protocol: Protocol,
    sha256: [u8; 32],
    id: MessageId,
    sent_at: Option<Timestamp>,
    received_at: Timestamp,
}

impl<'a> Envelope<'a> {
    /// Reads the header and derives the id.
    pub fn read(feed: &'a Feed, bytes: &'a [u8], received_at: Timestamp) -> Self {
        let is_batch = batch::is_batch(bytes);
        let header = if is_batch { first_header(bytes) } else { Header::parse(bytes) };
        let sha256: [u8; 32] = Sha256::digest(bytes).into();
        let (mut sent_at, mut id_time, mut sender) = (None, None, Cow::Borrowed(""));
        if let Ok(header) = &header {
            if let Some(dtm) = Dtm::parse(header.timestamp()) {
                sent_at = dtm.unix_millis(Some(feed.utc_offset)).map(Timestamp::from_millis);
                // Whatever the feed's offset is set to: an id never changes.
                id_time = dtm.unix_millis(Some(0)).map(Timestamp::from_millis);
            }
            let (application, facility) =
                (header.sending_application().raw(), header.sending_facility().raw());
            sender = String::from_utf8_lossy(&[application, b"|", facility].concat()).into_owned().into();
        }
        let id = MessageId::derive_hashed(&feed.name, &sender, id_time, &sha256);
        Self { bytes, header, is_batch, feed: &feed.name, protocol: feed.protocol, sha256, id, sent_at, received_at }
    }

    /// The message as received.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The message's id.
    pub const fn id(&self) -> MessageId {
        self.id
    }

    /// When its last byte came in.
    pub const fn received_at(&self) -> Timestamp {
        self.received_at
    }

    /// FHS or BHS stands in front.
    pub const fn is_batch(&self) -> bool {
        self.is_batch
    }

    /// MSH, when it can be read.
    pub const fn header(&self) -> &Result<Header<'a>, ParseError> {
        &self.header
    }

    /// MSH-10 as sent; empty when absent or null.
    pub fn control_id(&self) -> &'a [u8] {
        self.header.as_ref().ok().and_then(|header| header.field(10).value()).unwrap_or_default()
    }

    /// Sender and control id: what must not come twice with different bytes.
    pub fn control(&self) -> [&'a [u8]; 3] {
        let Ok(header) = &self.header else { return [b""; 3] };
        [header.sending_application().raw(), header.sending_facility().raw(), header.control_id()]
    }

    /// MSH-9 code and trigger event as text, for traces.
    pub fn message_type(&self) -> (Cow<'a, str>, Cow<'a, str>) {
        let Ok(header) = &self.header else { return Default::default() };
        (String::from_utf8_lossy(header.message_code()), String::from_utf8_lossy(header.trigger_event()))
    }

    /// An answer to a message whose header can be read; nothing to others.
    pub fn ack(&self, code: AckCode, errors: &[AckError<'_>]) -> Vec<u8> {
        self.ack_if_possible(code, errors).unwrap_or_default()
    }

    /// An answer, where there is anything that it can refer to.
    pub fn ack_if_possible(&self, code: AckCode, errors: &[AckError<'_>]) -> Option<Vec<u8>> {
        let (control_id, timestamp) = (answer_id(self.id), hl7_time(self.received_at));
        let ack = Ack::new(code, &control_id, &timestamp).with_errors(errors);
        match &self.header {
            Ok(header) => Some(ack.reply_to(header)),
            Err(error) if error.reason == ParseErrorReason::UnsupportedEncoding => None,
            Err(_) => ack.reply_to_unreadable(self.bytes),
        }
    }

    /// The answer while messages cannot be stored: the sender shall repeat it.
    pub fn busy(&self) -> Option<Vec<u8>> {
        let error = AckError::new(ErrorCode::ApplicationInternalError)
            .with_text("the message cannot be stored now; send it again");
        self.ack_if_possible(AckCode::AR, &[error])
    }

    pub(super) fn inbound(&self, feed: &Feed, warnings: Vec<String>) -> InboundMessage {
        let texts = Texts::of(self);
        InboundMessage {
            message_id: self.id,
            feed: self.feed.to_owned(),
            protocol: self.protocol,
            sending_application: texts.sending_application,
            sending_facility: texts.sending_facility,
            receiving_application: texts.receiving_application,
            receiving_facility: texts.receiving_facility,
            message_type: texts.message_type,
            control_id: texts.control_id,
            version: texts.version,
            character_set: texts.character_set,
            sent_at: self.sent_at,
            received_at: self.received_at,
            ack_code: AckCode::AA.as_str().to_owned(),
            sha256: self.sha256.to_vec(),
            batch_id: None,
            batch_control_id: None,
            batch_index: None,
            warnings,
            profile: Some(feed.profile.clone()),
            body: Body::new(HL7_V2, self.bytes),
        }
    }

    /// The record of a refusal; without `code` nothing was answered.
    pub fn rejected(
        &self,
        code: Option<AckCode>,
        reason: ReasonCode,
        error: Option<ErrorCode>,
        location: Option<Path>,
    ) -> InboundRejected {
        let texts = Texts::of(self);
        InboundRejected {
            message_id: self.id,
            feed: self.feed.to_owned(),
            protocol: self.protocol,
            sending_application: texts.sending_application,
            sending_facility: texts.sending_facility,
            receiving_application: texts.receiving_application,
            receiving_facility: texts.receiving_facility,
            message_type: texts.message_type,
            control_id: texts.control_id,
            version: texts.version,
            character_set: texts.character_set,
            sent_at: self.sent_at,
            received_at: self.received_at,
            ack_code: code.map(|code| code.as_str().to_owned()).unwrap_or_default(),
            sha256: self.sha256.to_vec(),
            batch_id: None,
            batch_control_id: None,
            batch_index: None,
            reason_code: reason.into(),
            error_location: location.map(erl),
            error_code: error.and_then(|error| error.as_str().parse().ok()),
            body: Body::new(HL7_V2, self.bytes),
        }
    }
}

/// MSH-10 of the answer to a message: 20 characters (the limit before HL7 v2.7) from the hash in its id, so that a
/// repeat gets the same.
pub fn answer_id(id: MessageId) -> String {
    id.trace_id().split_off(12)
}

/// What the header says, as text.
#[derive(Default)]
struct Texts {
    sending_application: Option<String>,
    sending_facility: Option<String>,
    receiving_application: Option<String>,
    receiving_facility: Option<String>,
    message_type: Option<String>,
    control_id: Option<String>,
    version: Option<String>,
    character_set: Option<String>,
}

impl Texts {
    fn of(envelope: &Envelope<'_>) -> Self {
        let Ok(header) = &envelope.header else { return Self::default() };
        let charset = Charset::utf8();
        let first = |number: usize| {
            header.field(number).component(1).subcomponent(1).text(&charset).map(Cow::into_owned)
        };
        let control_id = charset.decode(envelope.control_id());
        Self {
            sending_application: first(3),
            sending_facility: first(4),
            receiving_application: first(5),
            receiving_facility: first(6),
            // A batch has no type of its own.
            message_type: if envelope.is_batch { None } else { message_type(header, charset) },
            control_id: (!control_id.is_empty()).then(|| control_id.into_owned()),
            version: first(12),
            character_set: first(18),
        }
    }
}

/// code^trigger^structure, whatever the message's own separator is.
fn message_type(header: &Header<'_>, charset: Charset) -> Option<String> {
    let parts = [header.message_code(), header.trigger_event(), header.message_structure()];
    let used = parts.iter().rposition(|part| !part.is_empty())?;
    Some(parts[..=used].iter().map(|part| charset.decode(part)).collect::<Vec<_>>().join("^"))
}

/// The header of the first message of a batch.
fn first_header(bytes: &[u8]) -> Result<Header<'_>, ParseError> {
    let mut lines = bytes.split_inclusive(|byte| matches!(byte, b'\r' | b'\n'));
    let mut offset = 0;
    let start = lines.find_map(|line| {
        let here = offset;
        offset += line.len();
        line.starts_with(b"MSH").then_some(here)
    });
    match start {
        Some(start) => Header::parse(&bytes[start..]),
        None => Header::parse(bytes),
    }
}

fn hl7_time(at: Timestamp) -> String {
    Dtm::from_unix_millis(at.as_millis(), 0).map(|dtm| dtm.to_string()).unwrap_or_default()
}

/// ERL: segment ^ occurrence ^ field ^ repetition, as far as refusals go.
fn erl(path: Path) -> String {
    let text = path.to_string();
    let (segment, field) =
        text.split_once('-').map_or((text.as_str(), None), |(left, right)| (left, Some(right)));
    let (name, occurrence) =
        segment.split_once('[').map_or((segment, "1"), |(name, number)| (name, number.trim_end_matches(']')));
    match field {
        Some(field) => format!("{name}^{occurrence}^{field}^1"),
        None => format!("{name}^{occurrence}"),
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
