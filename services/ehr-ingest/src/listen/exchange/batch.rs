//! A frame of several messages.
//!
//! They are sent to Kafka a window at a time, so that no frame, however large, takes the room of all other senders. The
//! answer is made when the last one is settled.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use bytes::Bytes;
use waybill_contracts::{MessageId, Timestamp};
use waybill_hl7v2::Index;

use super::{
    super::{feed::OpenFeed, store::Store},
    one::{Begun, One},
};
use crate::accept::{Envelope, Layout, Reply};

/// Messages of a frame that are on their way at the same time: with as many a record costs nearly the least it can.
const WINDOW: usize = 256;

/// How often a batch looks whether there is room again.
const PAUSE: Duration = Duration::from_millis(5);

/// The messages of a frame, some of them on their way.
pub(crate) struct Several<'a> {
    feed: &'a OpenFeed,
    store: &'a Store,
    frame: Bytes,
    sha256: [u8; 32],
    started: Instant,
    received_at: Timestamp,
    /// The message with this id, by its index: the same bytes again are a repeat of it.
    first: HashMap<MessageId, usize>,
    /// Begun and not settled, the oldest first.
    window: Vec<Step<'a>>,
    /// What is known, in the order of the messages.
    replies: Vec<Reply>,
    is_stored: bool,
    /// The store had no room for longer than a sender waits: the rest is refused without waiting again.
    has_given_up: bool,
}

#[expect(clippy::large_enum_variant, reason = "a repeat within a batch is rare")]
enum Step<'a> {
    One(One<'a>),
    /// The same as the message with this index.
    Same(usize),
}

impl<'a> Several<'a> {
    /// Sends the first messages on their way.
    pub(super) fn begin(
        feed: &'a OpenFeed,
        store: &'a Store,
        (frame, sha256): (Bytes, [u8; 32]),
        layout: &Layout<'_>,
        started: Instant,
        index: &mut Index,
    ) -> Box<Self> {
        let corrects =
            layout.corrects().map(|id| String::from_utf8_lossy(&id[..id.len().min(40)]).into_owned());
        tracing::info!(
            feed = feed.feed.name, batch_id = %layout.id, messages = layout.messages.len(), corrects, "a batch"
        );
        let mut several = Self {
            feed,
            store,
            frame,
            sha256,
            started,
            received_at: Timestamp::now(),
            first: HashMap::new(),
            window: Vec::new(),
            replies: Vec::with_capacity(layout.messages.len()),
            is_stored: true,
            has_given_up: false,
        };
        several.fill(layout, index);
        Box::new(several)
    }

    /// Begins as many as the window and the store have room for.
    fn fill(&mut self, layout: &Layout<'_>, index: &mut Index) {
        while self.window.len() < WINDOW && (self.has_given_up || self.store.admits()) {
            let at = self.replies.len() + self.window.len();
            if at == layout.messages.len() {
                return;
            }
            let step = self.step(layout, at, index);
            self.window.push(step);
        }
    }

    fn step(&mut self, layout: &Layout<'_>, at: usize, index: &mut Index) -> Step<'a> {
        let bytes = self.frame.slice(layout.messages[at].range.clone());
        let content = bytes.clone();
        let envelope = Envelope::read(&self.feed.feed, &content, self.received_at).in_batch(layout.place(at));
        let first = *self.first.entry(envelope.id()).or_insert(at);
        if first != at {
            self.feed.meters.repeats.increment(1);
            return Step::Same(first);
        }
        let warnings = layout.warnings(at);
        match One::begin(self.feed, self.store, bytes, &envelope, self.started, index, &warnings) {
            Begun::One(one) => Step::One(one),
            // A part holds one MSH and nothing of a batch. Were it otherwise it would be kept like any frame that is none.
            Begun::Several => Step::One(One::quarantine(self.feed, self.store, content, self.started)),
        }
    }

    /// Waits for all of them.
    pub(super) async fn settle(&mut self) -> Reply {
        let frame = self.frame.clone();
        let Ok(layout) = Layout::read(&self.feed.feed, &frame, &self.sha256) else { return Reply::Close };
        let mut index = Index::new();
        loop {
            for step in std::mem::take(&mut self.window) {
                let reply = match step {
                    Step::One(mut one) => {
                        let reply = one.settle().await;
                        self.is_stored &= one.is_stored();
                        self.received_at = self.received_at.min(one.first_received_at());
                        reply
                    }
                    Step::Same(first) => self.replies[first].clone(),
                };
                self.replies.push(reply);
            }
            if self.replies.len() == layout.messages.len() {
                return layout.answer(&self.replies, self.feed.feed.ack.batch, self.received_at);
            }
            self.room().await;
            self.fill(&layout, &mut index);
        }
    }

    /// Waits until the store takes more: what is in its way are other batches, and soon gone, or there is no broker.
    async fn room(&mut self) {
        let deadline = Instant::now() + self.feed.settings.ack_timeout.get();
        while !self.has_given_up && !self.store.admits() {
            self.has_given_up = Instant::now() >= deadline;
            tokio::time::sleep(PAUSE).await;
        }
    }

    pub(super) fn is_stored(&self) -> bool {
        self.is_stored
    }
}
