//! MLLP framing of our own: `0x0B`, message, `0x1C 0x0D`. Thirty lines, so that the peer is independent of the codec
//! it is there to check.

use tokio::io::{AsyncRead, AsyncReadExt};

const START: u8 = 0x0B;
const END: [u8; 2] = [0x1C, 0x0D];

/// No frame is longer than this, in bytes: 64 MiB, above any hub's own limit.
const LIMIT: usize = 64 << 20;

/// Why no frame came.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("connection closed")]
    Closed,
    #[error("connection closed inside a frame")]
    ClosedInside,
    #[error("frame longer than {LIMIT} bytes")]
    TooLong,
    #[error("read failed: {0}")]
    Io(#[from] std::io::Error),
}

/// The message in a frame, ready to write.
pub(crate) fn framed(message: &[u8]) -> Vec<u8> {
    [&[START], message, &END].concat()
}

/// Cuts a byte stream into frames; bytes between frames are skipped and counted.
#[derive(Debug, Default)]
pub(crate) struct FrameReader {
    buffer: Vec<u8>,
    /// Bytes outside frames so far.
    pub(crate) skipped: u64,
}

impl FrameReader {
    /// The next message. Cancelling the future loses nothing: what was read stays in the buffer.
    pub(crate) async fn next(&mut self, from: &mut (impl AsyncRead + Unpin)) -> Result<Vec<u8>, FrameError> {
        let mut scanned = 0;
        loop {
            let start = self.buffer.iter().position(|byte| *byte == START);
            let junk = start.unwrap_or(self.buffer.len());
            self.skipped += junk as u64;
            self.buffer.drain(..junk);
            scanned = if junk > 0 { 0 } else { scanned };
            if let Some(end) = self.buffer[scanned..].windows(2).position(|pair| pair == END) {
                let frame = self.buffer[1..scanned + end].to_vec();
                self.buffer.drain(..scanned + end + END.len());
                return Ok(frame);
            }
            // The last byte may be the first half of the end mark.
            scanned = self.buffer.len().saturating_sub(1);
            if self.buffer.len() > LIMIT {
                return Err(FrameError::TooLong);
            }
            if from.read_buf(&mut self.buffer).await? == 0 {
                return Err(if self.buffer.is_empty() {
                    FrameError::Closed
                } else {
                    FrameError::ClosedInside
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{FrameError, FrameReader, framed};

    #[tokio::test]
    async fn several_frames_in_one_read_and_one_frame_in_many() {
        let stream =
            [b"junk".to_vec(), framed(b"one"), framed(b""), framed(b"th\x1cree"), b"\x0Bcut".to_vec()]
                .concat();
        for chunk in 1..=stream.len() {
            let mut input = tokio_test_chunks(&stream, chunk);
            let mut reader = FrameReader::default();
            assert_eq!(reader.next(&mut input).await.unwrap(), b"one");
            assert_eq!(reader.next(&mut input).await.unwrap(), b"");
            assert_eq!(reader.next(&mut input).await.unwrap(), b"th\x1cree");
            assert!(matches!(reader.next(&mut input).await, Err(FrameError::ClosedInside)));
            assert_eq!(reader.skipped, 4);
        }
    }

    /// A reader that gives at most `chunk` bytes at a time.
    fn tokio_test_chunks(bytes: &[u8], chunk: usize) -> impl tokio::io::AsyncRead + Unpin {
        let (mut write, read) = tokio::io::duplex(chunk);
        let bytes = bytes.to_vec();
        tokio::spawn(async move {
            // The reading side may stop early; that is no failure of the writer.
            let _ = tokio::io::AsyncWriteExt::write_all(&mut write, &bytes).await;
        });
        read
    }
}
