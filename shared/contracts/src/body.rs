//! Bodies of messages inside records.

use std::{borrow::Cow, io::Read};

use serde::{Deserialize, Serialize};

use crate::{bytes_text, phi::Phi};

/// Bodies over this many bytes are stored compressed (architecture §3).
pub const COMPRESS_ABOVE: usize = 64 * 1024;
/// zstd level: 3 is its default, about 300 MB/s with most of the gain.
const ZSTD_LEVEL: i32 = 3;
/// Refuses to decompress beyond this, whatever `size` claims: no record may hold more than 16 MiB compressed.
const MAX_SIZE: u64 = 1 << 30;

/// Content type of HL7 v2 in the ER7 encoding.
pub const HL7_V2: &str = "x-application/hl7-v2+er7";
/// Content type of FHIR in JSON (R4 §3.1.0.1.8).
pub const FHIR_JSON: &str = "application/fhir+json";

/// How a body is stored. An encoding that is not known cannot be read: there is no safe default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BodyEncoding {
    /// As it is.
    Identity,
    /// zstd (RFC 8878).
    Zstd,
}

/// Bytes of a message, compressed when large.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Body {
    /// MIME type.
    pub content_type: String,
    /// How `data` is stored.
    pub encoding: BodyEncoding,
    /// Bytes before compression.
    pub size: i64,
    /// The stored bytes.
    pub data: Phi<RawBytes>,
}

/// Bytes that serialize as Avro `bytes`.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RawBytes(#[serde(with = "bytes_text")] pub Vec<u8>);

/// Why a body cannot be stored or read. All are of class `data`.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BodyError {
    /// Not zstd, or damaged.
    #[error("body is not valid zstd")]
    NotZstd,
    /// Decompressed size differs from the one recorded.
    #[error("body has {actual} bytes where {expected} were recorded")]
    SizeMismatch {
        /// Bytes recorded.
        expected: i64,
        /// Bytes found.
        actual: u64,
    },
}

impl Body {
    /// How many bytes are stored.
    pub fn stored(&self) -> usize {
        self.data.expose().0.len()
    }

    /// Stores `bytes`, compressed when they are more than [`COMPRESS_ABOVE`] and that makes them smaller.
    pub fn new(content_type: &str, bytes: &[u8]) -> Self {
        let compressed = (bytes.len() > COMPRESS_ABOVE)
            .then(|| zstd::bulk::compress(bytes, ZSTD_LEVEL).ok())
            .flatten()
            .filter(|compressed| compressed.len() < bytes.len());
        let (encoding, data) = match compressed {
            Some(compressed) => (BodyEncoding::Zstd, compressed),
            None => (BodyEncoding::Identity, bytes.to_vec()),
        };
        Self {
            content_type: content_type.to_owned(),
            encoding,
            size: bytes.len() as i64,
            data: Phi::new(RawBytes(data)),
        }
    }

    /// The bytes as they came in.
    pub fn bytes(&self) -> Result<Cow<'_, [u8]>, BodyError> {
        let stored = &self.data.expose().0;
        let bytes = match self.encoding {
            BodyEncoding::Identity => Cow::Borrowed(stored.as_slice()),
            BodyEncoding::Zstd => {
                let limit = u64::try_from(self.size).unwrap_or(0).min(MAX_SIZE);
                let mut bytes = Vec::with_capacity(usize::try_from(limit.min(1 << 20)).unwrap_or(0));
                zstd::stream::read::Decoder::new(stored.as_slice())
                    .and_then(|decoder| decoder.take(limit + 1).read_to_end(&mut bytes))
                    .map_err(|_| BodyError::NotZstd)?;
                Cow::Owned(bytes)
            }
        };
        if i64::try_from(bytes.len()) == Ok(self.size) {
            Ok(bytes)
        } else {
            Err(BodyError::SizeMismatch { expected: self.size, actual: bytes.len() as u64 })
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bytes_come_back(seed in proptest::collection::vec(any::<u8>(), 0..300), repeat in 1_usize..600) {
            let bytes = seed.repeat(repeat);
            let body = Body::new(HL7_V2, &bytes);
            let back = body.bytes().unwrap();
            prop_assert_eq!(back.as_ref(), bytes.as_slice());
            prop_assert_eq!(body.encoding == BodyEncoding::Zstd, bytes.len() > COMPRESS_ABOVE);
        }
    }

    #[test]
    fn a_lying_size_is_an_error_and_never_a_bomb() {
        let mut body = Body::new(HL7_V2, &vec![b'A'; 1 << 20]);
        body.size = 10;
        assert_eq!(body.bytes(), Err(BodyError::SizeMismatch { expected: 10, actual: 11 }));
        body.data = Phi::new(RawBytes(vec![1, 2, 3]));
        assert_eq!(body.bytes(), Err(BodyError::NotZstd));
    }
}
