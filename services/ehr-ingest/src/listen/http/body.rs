//! Reads a body, within bounds of size, memory and time.

use std::{io::Read, time::Duration};

use bytes::{Bytes, BytesMut};
use flate2::read::MultiGzDecoder;
use http_body_util::BodyExt;
use hyper::{
    HeaderMap,
    body::{Body, Incoming},
    header::{CONTENT_ENCODING, EXPECT},
};
use tokio_util::sync::CancellationToken;

use super::{GRACE, Refusal};
use crate::{
    config::FeedConfig,
    listen::budget::{Budget, Held},
};

/// How much is read, beyond what is taken, so that a sender who is still sending gets to read its refusal.
const DRAINED: usize = 256 * 1024 * 1024;
/// Step of decompression.
const STEP: usize = 64 * 1024;

/// A body that is all there, and its part of the budget until it is answered.
pub(super) struct Received {
    pub(super) bytes: Bytes,
    held: Held,
}

impl Received {
    /// Bytes it takes up.
    pub(super) const fn size(&self) -> usize {
        self.held.bytes()
    }
}

/// Reads it all and undoes its content coding.
pub(super) async fn read(
    settings: &FeedConfig,
    budget: &Budget,
    headers: &HeaderMap,
    body: Incoming,
    shutdown: &CancellationToken,
) -> Result<Received, Refusal> {
    let is_gzip = is_gzip(headers)?;
    let limit = settings.http.max_body_bytes;
    if body.size_hint().lower() > limit as u64 {
        if headers.contains_key(EXPECT) {
            return Err(Refusal::too_large().closing());
        }
        drain(body, settings.frame_timeout.get());
        return Err(Refusal::too_large());
    }
    let received = {
        let ending = async {
            shutdown.cancelled().await;
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            received = tokio::time::timeout(settings.frame_timeout.get(), collect(limit, budget, body, settings)) => {
                received.map_err(|_| Refusal::too_slow())??
            }
            () = ending => return Err(Refusal::ending()),
        }
    };
    if received.bytes.is_empty() {
        return Err(Refusal::empty());
    }
    if is_gzip { inflate(received, limit).await } else { Ok(received) }
}

async fn collect(
    limit: usize,
    budget: &Budget,
    mut body: Incoming,
    settings: &FeedConfig,
) -> Result<Received, Refusal> {
    let (mut bytes, mut held) = (BytesMut::new(), budget.nothing());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Refusal::broken())?;
        let Ok(data) = frame.into_data() else { continue };
        let size = bytes.len() + data.len();
        if size > limit {
            drain(body, settings.frame_timeout.get());
            return Err(Refusal::too_large());
        }
        if !held.resize(size) {
            drain(body, settings.frame_timeout.get());
            return Err(Refusal::no_room());
        }
        if bytes.capacity() < size {
            // Doubles, but not beyond what was announced.
            let announced = usize::try_from(body.size_hint().lower()).unwrap_or(limit).min(limit);
            bytes.reserve(data.len() + announced.min(bytes.len().max(STEP)));
        }
        bytes.extend_from_slice(&data);
    }
    Ok(Received { bytes: bytes.freeze(), held })
}

/// Reads and forgets what is still coming, within bounds. A connection that is closed while its sender is writing is reset,
/// and the answer lost.
pub(super) fn drain(mut body: Incoming, within: Duration) {
    if body.is_end_stream() {
        return;
    }
    tokio::spawn(tokio::time::timeout(within, async move {
        let mut left = DRAINED;
        while let Some(Ok(frame)) = body.frame().await {
            let read = frame.data_ref().map_or(0, Bytes::len);
            match left.checked_sub(read) {
                Some(less) => left = less,
                None => break,
            }
        }
    }));
}

/// Whether the body is compressed; anything but gzip cannot be read (RFC 9110 §8.4).
fn is_gzip(headers: &HeaderMap) -> Result<bool, Refusal> {
    let mut codings = headers.get_all(CONTENT_ENCODING).iter();
    match (codings.next().map(hyper::header::HeaderValue::as_bytes), codings.next()) {
        (None, _) => Ok(false),
        (Some(one), None) if one.eq_ignore_ascii_case(b"gzip") || one.eq_ignore_ascii_case(b"x-gzip") => {
            Ok(true)
        }
        (Some(one), None) if one.eq_ignore_ascii_case(b"identity") => Ok(false),
        _ => Err(Refusal::content_coding()),
    }
}

/// Decompresses in a thread that may be kept busy; each step is held before it is made.
async fn inflate(compressed: Received, limit: usize) -> Result<Received, Refusal> {
    let inflated = tokio::task::spawn_blocking(move || inflate_within(compressed, limit)).await;
    inflated.unwrap_or_else(|_| Err(Refusal::defect()))
}

fn inflate_within(mut compressed: Received, limit: usize) -> Result<Received, Refusal> {
    let mut decoder = MultiGzDecoder::new(compressed.bytes.as_ref());
    let (mut bytes, mut step) = (Vec::new(), vec![0; STEP]);
    loop {
        let read = decoder.read(&mut step).map_err(|_| Refusal::bad_gzip())?;
        if read == 0 {
            break;
        }
        if bytes.len() + read > limit {
            return Err(Refusal::too_large());
        }
        // Both are there for the moment.
        if !compressed.held.resize(compressed.bytes.len() + bytes.len() + read) {
            return Err(Refusal::no_room());
        }
        bytes.extend_from_slice(&step[..read]);
    }
    if bytes.is_empty() {
        return Err(Refusal::empty());
    }
    let Received { mut held, .. } = compressed;
    // Less than it held: always granted.
    held.resize(bytes.len());
    Ok(Received { bytes: bytes.into(), held })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn gzip(bytes: &[u8]) -> Bytes {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap().into()
    }

    fn inflated(bytes: Bytes, limit: usize, budget: &Budget) -> Result<Received, &'static str> {
        let mut held = budget.nothing();
        assert!(held.resize(bytes.len()));
        inflate_within(Received { bytes, held }, limit).map_err(|refusal| refusal.reason)
    }

    #[test]
    fn what_was_compressed_comes_back_and_a_bomb_does_not_go_off() {
        let budget = Budget::new(1 << 20);
        let text = b"MSH|^~\\&|".repeat(10_000);
        let back = inflated(gzip(&text), 1 << 20, &budget).unwrap();
        assert_eq!((back.bytes.as_ref(), back.size()), (text.as_slice(), text.len()));
        drop(back);
        let bomb = gzip(&vec![0; 50_000_000]);
        assert!(bomb.len() < 100_000);
        assert_eq!(inflated(bomb.clone(), 500_000, &budget).err(), Some("too_large"));
        assert_eq!(inflated(bomb.clone(), usize::MAX, &budget).err(), Some("no_room"));
        assert_eq!(
            inflated(bomb.slice(..1000), 10_000_000, &Budget::new(10_000_000)).err(),
            Some("bad_gzip")
        );
        assert_eq!(inflated(Bytes::from_static(b"MSH|^~\\&|"), 100, &budget).err(), Some("bad_gzip"));
        assert_eq!(inflated(gzip(b""), 100, &budget).err(), Some("empty"));
        assert!(budget.nothing().resize(1 << 20), "everything was given back");
    }
}
