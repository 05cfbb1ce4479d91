//! The MLLP codec on every split of a stream, and on streams that no sender should send.

#![expect(clippy::unwrap_used, reason = "tests")]

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use tokio_util::codec::{Decoder, Encoder};
use waybill_hl7v2::mllp::{Frame, HEAD_BYTES, Inbound, MllpCodec, MllpError};

/// Feeds `chunks` one after the other, then the end of the stream.
fn read<'a>(max: usize, chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<Inbound> {
    let mut codec = MllpCodec::new(max);
    let mut buffer = BytesMut::new();
    let mut items = Vec::new();
    for chunk in chunks {
        buffer.extend_from_slice(chunk);
        while let Some(item) = codec.decode(&mut buffer).unwrap() {
            items.push(item);
        }
    }
    while let Some(item) = codec.decode_eof(&mut buffer).unwrap() {
        items.push(item);
    }
    assert!(buffer.is_empty());
    items
}

fn message(text: &'static [u8]) -> Inbound {
    Inbound::Message(Bytes::from_static(text))
}

#[test]
fn several_frames_in_one_read_come_out_in_order() {
    assert_eq!(
        read(9, [&b"\x0bone\x1c\r\x0btwo\x1c\r\x0b\x1c\r"[..]]),
        [message(b"one"), message(b"two"), message(b"")]
    );
}

#[test]
fn a_stream_split_at_every_byte_gives_the_same_items() {
    let stream =
        b"xx\x0bone\x1c\r\r\n\x0btwo\x1c!\x0bthr\x0bfour\x1c\r\x0bmuch too long\x1c\r\x0bfive\x1c\r\x0bsi";
    let whole = read(8, [&stream[..]]);
    assert_eq!(
        whole.iter().map(Inbound::kind).collect::<Vec<_>>(),
        [
            "garbage",
            "message",
            "garbage",
            "malformed",
            "garbage",
            "truncated",
            "message",
            "too_large",
            "garbage",
            "message",
            "truncated"
        ]
    );
    for split in 0..=stream.len() {
        assert_eq!(read(8, [&stream[..split], &stream[split..]]), whole, "split at {split}");
    }
    assert_eq!(read(8, stream.chunks(1)), whole);
}

#[test]
fn a_start_block_inside_a_frame_abandons_it() {
    assert_eq!(read(9, [&b"\x0bone\x0btwo\x1c\r"[..]]), [Inbound::Truncated { bytes: 4 }, message(b"two")]);
}

#[test]
fn an_end_block_without_carriage_return_is_malformed_and_the_next_frame_is_read() {
    let malformed = Inbound::Malformed { content: Bytes::from_static(b"one") };
    assert_eq!(read(9, [&b"\x0bone\x1c\x0btwo\x1c\r"[..]]), [malformed.clone(), message(b"two")]);
    assert_eq!(read(9, [&b"\x0bone\x1c"[..]]), [malformed]);
}

#[test]
fn a_frame_over_the_limit_is_reported_at_once_with_its_head() {
    let mut codec = MllpCodec::new(10_000);
    let mut buffer = BytesMut::from(&[b"\x0b".as_slice(), &[b'x'; 10_000]].concat()[..]);
    assert_eq!(codec.decode(&mut buffer).unwrap(), None);
    buffer.extend_from_slice(b"y");
    let Some(Inbound::TooLarge { head, bytes }) = codec.decode(&mut buffer).unwrap() else {
        panic!("too large")
    };
    assert_eq!((head.len(), bytes), (HEAD_BYTES, 10_001));
    assert!(!codec.is_in_frame());
    buffer.extend_from_slice(b"tail\x1c\r\x0bnext\x1c\r");
    assert_eq!(codec.decode(&mut buffer).unwrap(), Some(Inbound::Garbage { bytes: 7 }));
    assert_eq!(codec.decode(&mut buffer).unwrap(), Some(message(b"next")));
}

#[test]
fn an_endless_stretch_of_garbage_is_reported_and_not_buffered() {
    let mut codec = MllpCodec::new(100);
    let mut buffer = BytesMut::from(&[b'x'; 101][..]);
    assert_eq!(codec.decode(&mut buffer).unwrap(), Some(Inbound::Garbage { bytes: 101 }));
    assert!(buffer.is_empty());
}

#[test]
fn frames_are_written_and_block_characters_refused() {
    let mut codec = MllpCodec::default();
    let mut buffer = BytesMut::new();
    codec.encode(Frame::Message(Bytes::from_static(b"MSH")), &mut buffer).unwrap();
    codec.encode(Frame::CommitAck, &mut buffer).unwrap();
    assert_eq!(&buffer[..], b"\x0bMSH\x1c\r\x0b\x06\x1c\r");
    let refused = codec.encode(Bytes::from_static(b"a\x1cb"), &mut buffer);
    assert!(matches!(refused, Err(MllpError::BlockCharacter { offset: 1 })));
    assert_eq!(Frame::from_content(Bytes::from_static(b"\x15")), Frame::CommitNak);
}

#[test]
fn debug_output_holds_no_content() {
    let debug = format!("{:?} {:?}", message(b"SMITH"), Frame::Message(Bytes::from_static(b"SMITH")));
    assert!(!debug.contains("SMITH"), "{debug}");
}

/// Bytes in which block characters are frequent.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let byte =
        prop_oneof![4 => b'a'..=b'z', 1 => Just(0x0b), 1 => Just(0x1c), 1 => Just(0x0d), 1 => any::<u8>()];
    proptest::collection::vec(byte, 0..400)
}

proptest! {
    #[test]
    fn no_byte_is_lost_and_chunking_changes_nothing(
        stream in stream(),
        sizes in proptest::collection::vec(1_usize..40, 1..50),
        max in 1_usize..60,
    ) {
        let mut chunks = Vec::new();
        let mut rest = &stream[..];
        for size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (chunk, tail) = rest.split_at(rest.len().min(*size));
            chunks.push(chunk);
            rest = tail;
        }
        let whole = read(max, [&stream[..]]);
        let chunked = read(max, chunks);
        prop_assert_eq!(whole.iter().map(Inbound::wire_len).sum::<usize>(), stream.len());
        // How an endless stretch of garbage is cut into reports depends on the reads; nothing else does.
        prop_assert_eq!(joined(whole), joined(chunked));
    }

    #[test]
    fn every_frame_written_is_read_again(
        messages in proptest::collection::vec("[^\\x0b\\x1c]{0,80}", 0..20),
        size in 1_usize..64,
    ) {
        let mut codec = MllpCodec::default();
        let mut wire = BytesMut::new();
        for message in &messages {
            codec.encode(Bytes::copy_from_slice(message.as_bytes()), &mut wire).unwrap();
        }
        let expected: Vec<_> = messages.into_iter().map(|text| Inbound::Message(Bytes::from(text))).collect();
        prop_assert_eq!(read(10_000, wire.chunks(size)), expected);
    }
}

fn joined(items: Vec<Inbound>) -> Vec<Inbound> {
    let mut result: Vec<Inbound> = Vec::new();
    for item in items {
        match (result.last_mut(), item) {
            (Some(Inbound::Garbage { bytes }), Inbound::Garbage { bytes: more }) => *bytes += more,
            (_, item) => result.push(item),
        }
    }
    result
}
