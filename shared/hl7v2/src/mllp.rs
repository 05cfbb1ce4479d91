//! MLLP framing: `0x0B` message `0x1C 0x0D`, on any byte stream.
//!
//! Rules of reading (a byte `0x0B` or `0x1C` never occurs in HL7 text, so each has one meaning):
//! - Bytes before a start block are skipped and reported as [`Inbound::Garbage`].
//! - A start block inside a frame abandons that frame ([`Inbound::Truncated`]) and starts a new one.
//! - `0x1C` not followed by `0x0D` ends the frame as [`Inbound::Malformed`]; reading resumes at the next start block.
//! - A frame over the size limit is reported at once as [`Inbound::TooLarge`], so that the receiver can answer or close;
//!   what is left of it is skipped and reported as garbage.
//! - The end of the stream inside a frame is [`Inbound::Truncated`].
//!
//! None of these is an error of the codec: the stream stays usable, and what to do is the listener's policy. Every byte
//! read is in exactly one item: [`Inbound::wire_len`] sums up to the bytes received.

use std::fmt;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use memchr::{memchr, memchr2};
use thiserror::Error;
use tokio_util::codec::{Decoder, Encoder};

/// Start of a frame, VT.
pub const START_BLOCK: u8 = 0x0b;
/// End of a frame, FS; followed by [`CARRIAGE_RETURN`].
pub const END_BLOCK: u8 = 0x1c;
/// Last byte of a frame.
pub const CARRIAGE_RETURN: u8 = 0x0d;

/// Start block, end block and carriage return around each message.
pub const FRAME_OVERHEAD: usize = 3;

/// How much of a frame that is too large is handed on: enough for any MSH segment, so that it can be answered.
pub const HEAD_BYTES: usize = 4096;

const COMMIT_ACK: u8 = 0x06;
const COMMIT_NAK: u8 = 0x15;

/// What the codec found on the stream.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Inbound {
    /// A complete frame's content; shares the read buffer, nothing is copied.
    Message(Bytes),
    /// Bytes skipped before a start block (or since the last report, on an endless stretch).
    Garbage {
        /// Number of bytes.
        bytes: usize,
    },
    /// A frame without its end: a new one started inside it, or the stream ended.
    Truncated {
        /// Number of bytes, start block included.
        bytes: usize,
    },
    /// A frame whose `0x1C` is not followed by `0x0D`.
    Malformed {
        /// The content up to the `0x1C`, for quarantine.
        content: Bytes,
    },
    /// A frame over the limit; its remainder follows as garbage.
    TooLarge {
        /// The first [`HEAD_BYTES`] of the content, to answer the sender.
        head: Bytes,
        /// Number of bytes read of it so far, start block included.
        bytes: usize,
    },
}

impl Inbound {
    /// Bytes on the wire that this item accounts for.
    pub fn wire_len(&self) -> usize {
        match self {
            Self::Message(message) => message.len() + FRAME_OVERHEAD,
            Self::Malformed { content } => content.len() + 2,
            Self::Garbage { bytes } | Self::Truncated { bytes } | Self::TooLarge { bytes, .. } => *bytes,
        }
    }

    /// A lower-case name for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Message(_) => "message",
            Self::Garbage { .. } => "garbage",
            Self::Truncated { .. } => "truncated",
            Self::Malformed { .. } => "malformed",
            Self::TooLarge { .. } => "too_large",
        }
    }
}

impl fmt::Debug for Inbound {
    /// Lengths only: content is patient data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({} bytes on the wire)", self.kind(), self.wire_len())
    }
}

/// What can be sent.
#[derive(Clone, PartialEq, Eq)]
pub enum Frame {
    /// An HL7 message or acknowledgement.
    Message(Bytes),
    /// MLLP release 2: received and committed to safe storage.
    CommitAck,
    /// MLLP release 2: not committed.
    CommitNak,
}

impl Frame {
    /// Tells release 2 commit frames from messages by the content of a received frame.
    pub fn from_content(content: Bytes) -> Self {
        match content.as_ref() {
            [COMMIT_ACK] => Self::CommitAck,
            [COMMIT_NAK] => Self::CommitNak,
            _ => Self::Message(content),
        }
    }
}

impl fmt::Debug for Frame {
    /// Lengths only: content is patient data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(message) => write!(f, "Message({} bytes)", message.len()),
            Self::CommitAck => f.write_str("CommitAck"),
            Self::CommitNak => f.write_str("CommitNak"),
        }
    }
}

/// Why a frame could not be written, or the stream failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MllpError {
    /// The message holds `0x0B` or `0x1C`, which would break the framing at the receiver.
    #[error("the message holds an MLLP block character at byte {offset}")]
    BlockCharacter {
        /// Offset in the message.
        offset: usize,
    },
    /// The stream failed.
    #[error("the MLLP stream failed")]
    Io(#[from] std::io::Error),
}

/// Reads [`Inbound`] items and writes [`Frame`]s.
#[derive(Debug, Clone)]
pub struct MllpCodec {
    /// Largest content of a frame, in bytes.
    max_message: usize,
    in_frame: bool,
    /// Bytes of the buffer that hold no block character; scanning goes on behind them.
    scanned: usize,
    garbage: usize,
}

impl Default for MllpCodec {
    fn default() -> Self {
        Self::new(Self::DEFAULT_MAX_MESSAGE)
    }
}

impl MllpCodec {
    /// 16 MiB, the limit of the inbound topic.
    pub const DEFAULT_MAX_MESSAGE: usize = 16 * 1024 * 1024;

    /// A codec that takes messages of up to `max_message` bytes.
    pub fn new(max_message: usize) -> Self {
        Self { max_message, in_frame: false, scanned: 0, garbage: 0 }
    }

    /// Whether a frame has started and not ended: what a frame timeout watches.
    pub fn is_in_frame(&self) -> bool {
        self.in_frame
    }

    /// Bytes that were skipped in search of a start block and are not reported yet: what a bound on garbage watches.
    pub fn skipped(&self) -> usize {
        self.garbage
    }

    /// Skips to the start block; reports what was skipped once it is known or exceeds the size limit.
    fn find_start(&mut self, buffer: &mut BytesMut) -> Option<Inbound> {
        let start = memchr(START_BLOCK, buffer);
        let skipped = start.unwrap_or(buffer.len());
        buffer.advance(skipped);
        self.garbage += skipped;
        if start.is_some() {
            self.in_frame = true;
            self.scanned = 1;
        }
        if start.is_some() || self.garbage > self.max_message { self.take_garbage() } else { None }
    }

    fn take_garbage(&mut self) -> Option<Inbound> {
        let bytes = std::mem::take(&mut self.garbage);
        (bytes > 0).then_some(Inbound::Garbage { bytes })
    }

    /// Looks for the end of the frame at the front of the buffer.
    fn find_end(&mut self, buffer: &mut BytesMut) -> Option<Inbound> {
        let found = memchr2(START_BLOCK, END_BLOCK, &buffer[self.scanned..]).map(|at| self.scanned + at);
        let end = found.unwrap_or(buffer.len());
        if end - 1 > self.max_message {
            return Some(self.refuse_too_large(buffer));
        }
        self.scanned = end;
        let block = *buffer.get(end)?;
        if block == START_BLOCK {
            buffer.advance(end);
            self.scanned = 1;
            return Some(Inbound::Truncated { bytes: end });
        }
        let last = *buffer.get(end + 1)?;
        self.in_frame = false;
        if last == CARRIAGE_RETURN {
            return Some(Inbound::Message(content(buffer.split_to(end + 2), end)));
        }
        Some(Inbound::Malformed { content: content(buffer.split_to(end + 1), end) })
    }

    fn refuse_too_large(&mut self, buffer: &mut BytesMut) -> Inbound {
        let bytes = 1 + self.max_message;
        let head = Bytes::copy_from_slice(&buffer[1..bytes.min(1 + HEAD_BYTES)]);
        buffer.advance(bytes);
        self.in_frame = false;
        Inbound::TooLarge { head, bytes }
    }
}

/// The bytes between the start block and `end`.
fn content(frame: BytesMut, end: usize) -> Bytes {
    frame.freeze().slice(1..end)
}

impl Decoder for MllpCodec {
    type Item = Inbound;
    type Error = MllpError;

    fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Inbound>, MllpError> {
        if !self.in_frame
            && let Some(garbage) = self.find_start(buffer)
        {
            return Ok(Some(garbage));
        }
        Ok(if self.in_frame { self.find_end(buffer) } else { None })
    }

    fn decode_eof(&mut self, buffer: &mut BytesMut) -> Result<Option<Inbound>, MllpError> {
        if let Some(item) = self.decode(buffer)? {
            return Ok(Some(item));
        }
        if !std::mem::take(&mut self.in_frame) {
            return Ok(self.take_garbage());
        }
        let frame = buffer.split();
        let end = frame.len() - 1;
        if end > 0 && frame[end] == END_BLOCK {
            return Ok(Some(Inbound::Malformed { content: content(frame, end) }));
        }
        Ok(Some(Inbound::Truncated { bytes: frame.len() }))
    }
}

impl Encoder<Bytes> for MllpCodec {
    type Error = MllpError;

    fn encode(&mut self, message: Bytes, buffer: &mut BytesMut) -> Result<(), MllpError> {
        if let Some(offset) = memchr2(START_BLOCK, END_BLOCK, &message) {
            return Err(MllpError::BlockCharacter { offset });
        }
        put_frame(&message, buffer);
        Ok(())
    }
}

impl Encoder<Frame> for MllpCodec {
    type Error = MllpError;

    fn encode(&mut self, frame: Frame, buffer: &mut BytesMut) -> Result<(), MllpError> {
        match frame {
            Frame::Message(message) => return self.encode(message, buffer),
            Frame::CommitAck => put_frame(&[COMMIT_ACK], buffer),
            Frame::CommitNak => put_frame(&[COMMIT_NAK], buffer),
        }
        Ok(())
    }
}

fn put_frame(content: &[u8], buffer: &mut BytesMut) {
    buffer.reserve(content.len() + FRAME_OVERHEAD);
    buffer.put_u8(START_BLOCK);
    buffer.put_slice(content);
    buffer.put_slice(&[END_BLOCK, CARRIAGE_RETURN]);
}
