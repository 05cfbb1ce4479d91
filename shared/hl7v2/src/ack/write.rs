//! Writing an acknowledgement.

use memchr::memmem;

use super::{Ack, AckError};
use crate::charset::Charset;
use crate::delimiters::Delimiters;
use crate::escape::{Formatting, escape};
use crate::header::Header;
use crate::path::Path;
use crate::version::Version;

/// What of the received MSH is repeated, verbatim.
struct Origin<'a> {
    delimiters: Delimiters,
    encoding_characters: Vec<u8>,
    sending_application: &'a [u8],
    sending_facility: &'a [u8],
    receiving_application: &'a [u8],
    receiving_facility: &'a [u8],
    trigger_event: &'a [u8],
    control_id: &'a [u8],
    processing_id: &'a [u8],
    version_id: &'a [u8],
    character_set: &'a [u8],
    version: Option<Version>,
}

impl Ack<'_> {
    /// The acknowledgement of the message with this header: a complete message, ready to be framed.
    pub fn reply_to(&self, header: &Header<'_>) -> Vec<u8> {
        self.write(&Origin {
            delimiters: *header.delimiters(),
            encoding_characters: header.field(2).raw().to_vec(),
            sending_application: header.sending_application().raw(),
            sending_facility: header.sending_facility().raw(),
            receiving_application: header.receiving_application().raw(),
            receiving_facility: header.receiving_facility().raw(),
            trigger_event: header.trigger_event(),
            control_id: header.control_id(),
            processing_id: header.field(11).raw(),
            version_id: header.field(12).raw(),
            character_set: header.character_set().repetition(1).raw(),
            version: header.version(),
        })
    }

    /// The acknowledgement of bytes in which [`Header::parse`] finds no usable header, made from what can be found: a
    /// segment called MSH with a plausible field separator. `None` when there is not even that, or no MSH-10 that the
    /// answer could refer to; then only closing the connection is left.
    pub fn reply_to_unreadable(&self, input: &[u8]) -> Option<Vec<u8>> {
        if let Ok(header) = Header::parse(input) {
            return Some(self.reply_to(&header));
        }
        let rest = &input[memmem::find(input, b"MSH")?..];
        let segment = rest.split(|byte| matches!(byte, b'\r' | b'\n')).next()?;
        let field = *segment.get(3).filter(|byte| byte.is_ascii_punctuation())?;
        // The received MSH-2 is what cannot be read; answer with the standard characters around its separator.
        let delimiters = Delimiters::new(field, b"^~\\&").ok()?;
        let mut fields = segment.split(|byte| *byte == field).skip(2).map(<[u8]>::trim_ascii);
        let mut next = || fields.next().unwrap_or_default();
        let (sending_application, sending_facility) = (next(), next());
        let (receiving_application, receiving_facility) = (next(), next());
        let (_time, _security, _kind, control_id) = (next(), next(), next(), next());
        let (processing_id, version_id) = (next(), next());
        if control_id.is_empty() {
            return None;
        }
        Some(self.write(&Origin {
            delimiters,
            encoding_characters: b"^~\\&".to_vec(),
            sending_application,
            sending_facility,
            receiving_application,
            receiving_facility,
            trigger_event: b"",
            control_id,
            processing_id,
            version_id,
            character_set: b"",
            version: Version::parse(version_id),
        }))
    }

    fn write(&self, origin: &Origin<'_>) -> Vec<u8> {
        let delimiters = origin.delimiters;
        let text = |value: &str| encode(value, origin);
        let mut message = b"MSH".to_vec();
        let mut kind = b"ACK".to_vec();
        if !origin.trigger_event.is_empty() {
            kind.push(delimiters.component);
            kind.extend_from_slice(origin.trigger_event);
            if origin.version.is_none_or(|version| version >= Version::V2_3_1) {
                kind.push(delimiters.component);
                kind.extend_from_slice(b"ACK");
            }
        }
        let header: [&[u8]; 17] = [
            &origin.encoding_characters,
            origin.receiving_application,
            origin.receiving_facility,
            origin.sending_application,
            origin.sending_facility,
            &text(self.timestamp),
            b"",
            &kind,
            &text(self.control_id),
            origin.processing_id,
            origin.version_id,
            b"",
            b"",
            b"",
            b"",
            b"",
            origin.character_set,
        ];
        put_fields(&mut message, &header, delimiters.field);
        message.extend_from_slice(b"MSA");
        let sequence = self.expected_sequence.map(|number| number.to_string()).unwrap_or_default();
        // Before 2.5 an error has no text of its own.
        let is_old = origin.version.is_some_and(|version| version < Version::V2_5);
        let of_error = || self.errors.iter().find_map(|error| error.user_text).filter(|_| is_old);
        let user_text = self.text.or_else(of_error).map(text).unwrap_or_default();
        let fields: [&[u8]; 4] =
            [self.code.as_str().as_bytes(), origin.control_id, &user_text, sequence.as_bytes()];
        put_fields(&mut message, &fields, delimiters.field);
        for error in self.errors {
            message.extend_from_slice(b"ERR");
            if origin.version.is_none_or(|version| version >= Version::V2_5) {
                put_err(&mut message, error, origin);
            } else {
                put_eld(&mut message, error, origin);
            }
        }
        message
    }
}

/// Version 2.5 and later: ERR-2 location, ERR-3 code, ERR-4 severity, ERR-8 text.
fn put_err(message: &mut Vec<u8>, error: &AckError<'_>, origin: &Origin<'_>) {
    let delimiters = origin.delimiters;
    let location = error.location.map(|path| erl(path, delimiters)).unwrap_or_default();
    let code = coded(error, delimiters.component);
    let text = error.user_text.map(|text| encode(text, origin)).unwrap_or_default();
    let severity = error.severity.as_str().as_bytes();
    put_fields(message, &[b"", &location, &code, severity, b"", b"", b"", &text], delimiters.field);
}

/// Before 2.5: ERR-1, segment ^ sequence ^ field ^ code & text & system.
fn put_eld(message: &mut Vec<u8>, error: &AckError<'_>, origin: &Origin<'_>) {
    let delimiters = origin.delimiters;
    let mut eld = Vec::new();
    if let Some(path) = error.location {
        eld.extend_from_slice(&path.segment);
        eld.push(delimiters.component);
        eld.extend_from_slice(path.occurrence.max(1).to_string().as_bytes());
        eld.push(delimiters.component);
        if path.field > 0 {
            eld.extend_from_slice(path.field.to_string().as_bytes());
        }
    } else {
        eld.extend([delimiters.component; 2]);
    }
    eld.push(delimiters.component);
    eld.extend_from_slice(&coded(error, delimiters.subcomponent));
    put_fields(message, &[&eld], delimiters.field);
}

fn coded(error: &AckError<'_>, separator: u8) -> Vec<u8> {
    [error.code.as_str().as_bytes(), error.code.description().as_bytes(), b"HL70357"].join(&separator)
}

/// ERL: segment ^ occurrence ^ field ^ repetition ^ component ^ subcomponent.
fn erl(path: Path, delimiters: Delimiters) -> Vec<u8> {
    let mut location = path.segment.to_vec();
    let repetition = if path.field > 0 { path.repetition.max(1) } else { 0 };
    for number in [path.occurrence.max(1), path.field, repetition, path.component, path.subcomponent] {
        if number == 0 {
            break;
        }
        location.push(delimiters.component);
        location.extend_from_slice(number.to_string().as_bytes());
    }
    location
}

fn encode(text: &str, origin: &Origin<'_>) -> Vec<u8> {
    let charset = match origin.character_set {
        // Empty means ASCII; UTF-8 is what a sender that violates that is most likely to read.
        b"" => Charset::utf8(),
        name => Charset::resolve(None, name, b""),
    };
    escape(&charset.encode(text), &origin.delimiters, Formatting::Plain).into_owned()
}

/// Writes the fields that follow a segment's name, without empty ones at the end.
pub(crate) fn put_fields(message: &mut Vec<u8>, fields: &[&[u8]], separator: u8) {
    let used = fields.iter().rposition(|field| !field.is_empty()).map_or(0, |last| last + 1);
    for field in &fields[..used] {
        message.push(separator);
        message.extend_from_slice(field);
    }
    message.push(b'\r');
}
