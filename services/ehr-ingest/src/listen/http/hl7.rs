//! `POST /hl7`: one message or a batch; the same way as over MLLP from here on.
//!
//! Statuses are those of HL7 over HTTP (§2.6): an acknowledgement is the answer of the application, so it comes with 200
//! whether it says AA, AE or AR. Others only where the message did not get that far:
//!
//! | answer | status |
//! |---|---|
//! | AR with 207, not stored; a batch not all of which is stored | 503, `Retry-After` |
//! | larger than the feed takes | 413 with AR where MSH can be read |
//! | nothing that an answer could refer to | 400 |
//! | no acknowledgement is wanted | 204 |

use std::time::Instant;

use hyper::{
    StatusCode,
    header::{CONTENT_TYPE, HeaderValue},
    http::request::Parts,
};
use waybill_hl7v2::{
    Index, ack, batch,
    mllp::{Frame, HEAD_BYTES},
};

use super::{Inner, answer::Answer, body::Received};
use crate::listen::{
    exchange::{self, Exchange},
    feed::OpenFeed,
};

pub(super) async fn take(
    site: &Inner,
    feed: &OpenFeed,
    head: &Parts,
    received: Received,
    started: Instant,
) -> Answer {
    let (store, bytes) = (site.shared.store.as_ref(), received.bytes.clone());
    let is_too_large = bytes.len() > feed.settings.max_frame_bytes && !batch::is_batch(&bytes);
    let mut exchange = if is_too_large {
        Exchange::too_large(feed, store, bytes.slice(..HEAD_BYTES.min(bytes.len())), started)
    } else {
        Exchange::message(feed, store, bytes, started, &mut Index::new())
    };
    let answer = match exchange.settled() {
        Some(answer) => answer,
        None => exchange.settle().await,
    };
    let is_stored = exchange.commit_frame() != Some(Frame::CommitNak);
    match answer {
        exchange::Answer::Write(ack) => {
            let is_late = !is_stored && asks_for_repeat(&ack);
            let status = match (is_late, is_too_large) {
                (true, _) => StatusCode::SERVICE_UNAVAILABLE,
                (false, true) => StatusCode::PAYLOAD_TOO_LARGE,
                (false, false) => StatusCode::OK,
            };
            let answer = Answer::hl7(status, content_type(head), ack);
            if is_late { answer.later() } else { answer }
        }
        _ if !is_stored => Answer::empty(StatusCode::SERVICE_UNAVAILABLE).later(),
        exchange::Answer::Nothing => Answer::empty(StatusCode::NO_CONTENT),
        exchange::Answer::Close if is_too_large => Answer::empty(StatusCode::PAYLOAD_TOO_LARGE),
        exchange::Answer::Close => Answer::empty(StatusCode::BAD_REQUEST),
    }
}

/// Whether the acknowledgement of what is not stored says that it is to be sent again: error 207, and any
/// acknowledgement of a batch.
fn asks_for_repeat(ack: &[u8]) -> bool {
    let internal = Some(ack::ErrorCode::ApplicationInternalError);
    ack::read(ack).map_or(true, |view| view.errors.iter().any(|error| error.code == internal))
}

/// That of the request: the answer is in its language, and in its character set (MSH-18).
fn content_type(head: &Parts) -> HeaderValue {
    // A request without one was refused.
    head.headers
        .get(CONTENT_TYPE)
        .cloned()
        .unwrap_or(HeaderValue::from_static(waybill_contracts::body::HL7_V2))
}
