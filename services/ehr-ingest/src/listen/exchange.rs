//! A frame on its way: what it holds is sent to Kafka, then answered.
//!
//! Nearly every frame is one message. Those that are several are split; each of their messages is an exchange of its own.

mod batch;
mod one;
mod show;

use std::time::Instant;

use bytes::Bytes;
use waybill_contracts::Timestamp;
use waybill_hl7v2::{Index, mllp::Frame};

use self::{
    batch::Several,
    one::{Begun, One},
};
use super::{feed::OpenFeed, store::Store};
use crate::accept::{Envelope, Layout, Reply};

/// What to do with the connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Write this.
    Write(Vec<u8>),
    /// Nothing is owed.
    Nothing,
    /// Close it: an answer could not refer to anything.
    Close,
}

/// A frame that came in and is not answered yet.
pub(crate) struct Exchange<'a>(Kind<'a>);

#[expect(clippy::large_enum_variant, reason = "one message is the rule, and must not cost an allocation")]
enum Kind<'a> {
    One(One<'a>),
    Several(Box<Several<'a>>),
}

impl<'a> Exchange<'a> {
    /// A complete frame. `started` is when its first byte was seen.
    pub(crate) fn message(
        feed: &'a OpenFeed,
        store: &'a Store,
        bytes: Bytes,
        started: Instant,
        index: &mut Index,
    ) -> Self {
        feed.meters.bytes.record(bytes.len() as f64);
        let content = bytes.clone();
        let envelope = Envelope::read(&feed.feed, &content, Timestamp::now());
        match One::begin(feed, store, bytes.clone(), &envelope, started, index, &[]) {
            Begun::One(one) => return Self(Kind::One(one)),
            Begun::Several => {}
        }
        match Layout::read(&feed.feed, &content, envelope.sha256()) {
            Ok(layout) => {
                let several =
                    Several::begin(feed, store, (bytes, *envelope.sha256()), &layout, started, index);
                Self(Kind::Several(several))
            }
            Err(_) => Self(Kind::One(One::too_large(feed, store, one::head_of(&bytes), started))),
        }
    }

    /// A frame over the limit, of which the beginning is there.
    pub(crate) fn too_large(feed: &'a OpenFeed, store: &'a Store, head: Bytes, started: Instant) -> Self {
        Self(Kind::One(One::too_large(feed, store, head, started)))
    }

    /// A frame that there is no room for, of which the beginning is there: its sender shall send it again.
    pub(crate) fn no_room(feed: &'a OpenFeed, head: Bytes, started: Instant) -> Self {
        Self(Kind::One(One::no_room(feed, head, started)))
    }

    /// A frame without its end: kept for whoever looks for it, never answered.
    pub(crate) fn quarantine(feed: &'a OpenFeed, store: &'a Store, content: Bytes, started: Instant) -> Self {
        Self(Kind::One(One::quarantine(feed, store, content, started)))
    }

    /// The answer, when there is nothing to wait for.
    pub(crate) fn settled(&mut self) -> Option<Answer> {
        match &mut self.0 {
            Kind::One(one) => one.settled().map(Answer::of),
            Kind::Several(_) => None,
        }
    }

    /// Waits for the broker's acknowledgement, at most for the feed's time, and gives the answer.
    pub(crate) async fn settle(&mut self) -> Answer {
        Answer::of(match &mut self.0 {
            Kind::One(one) => one.settle().await,
            Kind::Several(several) => several.settle().await,
        })
    }

    /// What MLLP release 2 tells before any answer: whether all of it is stored, once it is settled.
    pub(crate) fn commit_frame(&self) -> Option<Frame> {
        let is_stored = match &self.0 {
            Kind::One(one) if one.is_silent() => return None,
            Kind::One(one) => one.is_stored(),
            Kind::Several(several) => several.is_stored(),
        };
        Some(if is_stored { Frame::CommitAck } else { Frame::CommitNak })
    }
}

impl Answer {
    fn of(reply: Reply) -> Self {
        match reply {
            Reply::Ack { bytes, .. } => Self::Write(bytes),
            Reply::NotOwed => Self::Nothing,
            Reply::Close => Self::Close,
        }
    }
}
