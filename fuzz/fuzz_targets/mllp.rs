//! A byte stream in chunks: every byte is in exactly one item, and the chunks' borders do not matter to the messages.
#![no_main]

use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use tokio_util::codec::{Decoder, Encoder};
use waybill_hl7v2::mllp::{Inbound, MllpCodec};

fn read<'a>(max: usize, chunks: impl Iterator<Item = &'a [u8]>) -> (Vec<Bytes>, usize) {
    let mut codec = MllpCodec::new(max);
    let (mut buffer, mut messages, mut length) = (BytesMut::new(), Vec::new(), 0);
    let mut take = |item: Inbound| {
        length += item.wire_len();
        if let Inbound::Message(content) = item {
            messages.push(content);
        }
    };
    for chunk in chunks {
        buffer.extend_from_slice(chunk);
        while let Some(item) = codec.decode(&mut buffer).unwrap() {
            take(item);
        }
    }
    while let Some(item) = codec.decode_eof(&mut buffer).unwrap() {
        take(item);
    }
    assert!(buffer.is_empty());
    (messages, length)
}

fuzz_target!(|input: (u8, u8, &[u8])| {
    let (max, chunk, stream) = input;
    let max = usize::from(max) + 1;
    let whole = read(max, std::iter::once(stream));
    assert_eq!(whole.1, stream.len());
    assert_eq!(read(max, stream.chunks(usize::from(chunk) + 1)), whole);
    let mut again = BytesMut::new();
    for message in &whole.0 {
        MllpCodec::new(max).encode(message.clone(), &mut again).unwrap();
    }
    assert_eq!(read(max, std::iter::once(&again[..])).0, whole.0);
});
