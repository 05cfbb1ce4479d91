//! W3C trace context: what travels with a message.

use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use waybill_contracts::MessageId;

/// Position in a trace (W3C Trace Context, version 00): the trace, the span in it, and whether it is recorded.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceContext {
    trace_id: u128,
    span_id: u64,
    sampled: bool,
}

/// Length of a `traceparent` of version 00: `00-<32 hex>-<16 hex>-<2 hex>`.
const LENGTH: usize = 55;

impl TraceContext {
    /// Where a message's trace begins. It depends on nothing but the id, so any service can join the trace of a
    /// message it knows only by id; [`root_span`](super::root_span) records the span that stands there.
    pub fn for_message(message_id: MessageId) -> Self {
        let trace_id = u128::from_be_bytes(*message_id.as_bytes());
        Self { trace_id, span_id: root_span_id(trace_id), sampled: true }
    }

    /// Reads a `traceparent` header; `None` when it is not one. Later versions are read as version 00, as the
    /// recommendation asks.
    pub fn parse(header: &str) -> Option<Self> {
        let bytes = header.trim().as_bytes();
        let (version, rest) = (hex(bytes.get(..2)?)?, bytes.get(2..)?);
        let known_length = match version {
            0 => bytes.len() == LENGTH,
            0xff => false,
            _ => bytes.len() == LENGTH || bytes.get(LENGTH) == Some(&b'-'),
        };
        if !known_length || rest[0] != b'-' || rest[33] != b'-' || rest[50] != b'-' {
            return None;
        }
        let trace_id = hex(&rest[1..33])?;
        let span_id = u64::try_from(hex(&rest[34..50])?).ok()?;
        let flags = hex(&rest[51..53])?;
        (trace_id != 0 && span_id != 0).then_some(Self { trace_id, span_id, sampled: flags & 1 == 1 })
    }

    /// The text for the `traceparent` header, on the stack.
    pub fn traceparent(&self) -> Traceparent {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        write_hex(&mut text[3..35], self.trace_id);
        write_hex(&mut text[36..52], u128::from(self.span_id));
        text[54] = b'0' + u8::from(self.sampled);
        Traceparent(text)
    }

    /// The trace's id, which is the message id of a message's trace.
    pub const fn trace_id(&self) -> u128 {
        self.trace_id
    }

    /// The id of the span that is the parent of what comes next.
    pub const fn span_id(&self) -> u64 {
        self.span_id
    }

    /// Whether the trace is recorded.
    pub const fn sampled(&self) -> bool {
        self.sampled
    }

    pub(super) fn to_otel(self) -> SpanContext {
        let flags = if self.sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
        SpanContext::new(
            TraceId::from(self.trace_id),
            SpanId::from(self.span_id),
            flags,
            true,
            TraceState::default(),
        )
    }

    pub(super) fn from_otel(context: &SpanContext) -> Self {
        Self {
            trace_id: u128::from_be_bytes(context.trace_id().to_bytes()),
            span_id: u64::from_be_bytes(context.span_id().to_bytes()),
            sampled: context.is_sampled(),
        }
    }
}

/// A `traceparent` as text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Traceparent([u8; LENGTH]);

impl Traceparent {
    /// The header's bytes.
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Deref for Traceparent {
    type Target = str;

    fn deref(&self) -> &str {
        // Only hexadecimal digits and hyphens are ever written into it.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.traceparent())
    }
}

impl fmt::Debug for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not a W3C `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a W3C traceparent header")]
pub struct ParseTraceContextError;

impl FromStr for TraceContext {
    type Err = ParseTraceContextError;

    fn from_str(header: &str) -> Result<Self, Self::Err> {
        Self::parse(header).ok_or(ParseTraceContextError)
    }
}

/// Span id of a message's root span: the finalizer of `SplitMix64` over both halves, never zero (zero means "no span").
fn root_span_id(trace_id: u128) -> u64 {
    let mix = |mut z: u64| {
        z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let id = mix(mix((trace_id >> 64) as u64) ^ trace_id as u64);
    if id == 0 { 1 } else { id }
}

/// Lower-case hexadecimal digits as a number; the recommendation forbids capitals.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number: u128, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(value))
    })
}

fn write_hex(out: &mut [u8], mut number: u128) {
    for digit in out.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(number & 15) as usize];
        number >>= 4;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_the_example_of_the_recommendation() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let context = TraceContext::parse(text).unwrap();
        assert_eq!(context.trace_id(), 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_eq!(context.span_id(), 0x00f0_67aa_0ba9_02b7);
        assert!(context.sampled());
        assert_eq!(context.to_string(), text);
        // A later version may have more fields, and other flags than "sampled".
        assert_eq!(TraceContext::parse(&format!("cc{}-what-the-future-brings", &text[2..])), Some(context));
        assert_eq!(TraceContext::parse(&format!("{}3", &text[..54])), Some(context));
    }

    #[test]
    fn refuses_what_is_not_a_traceparent() {
        for text in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceContext::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_message_always_begins_at_the_same_place() {
        let id = MessageId::derive("feed", "sender", None, b"MSH|");
        let context = TraceContext::for_message(id);
        assert_eq!(context, TraceContext::for_message(id));
        assert_eq!(context.trace_id().to_be_bytes(), *id.as_bytes());
        assert_ne!(context.span_id(), 0);
        assert!(context.traceparent().contains(&id.trace_id()));
    }

    proptest! {
        #[test]
        fn reads_back_what_it_writes(trace_id in 1_u128.., span_id in 1_u64.., sampled: bool) {
            let context = TraceContext { trace_id, span_id, sampled };
            prop_assert_eq!(TraceContext::parse(&context.traceparent()), Some(context));
        }

        #[test]
        fn never_panics_on_a_header(header in "\\PC{0,80}") {
            let _ = TraceContext::parse(&header);
        }
    }
}
