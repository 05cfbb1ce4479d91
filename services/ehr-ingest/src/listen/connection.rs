//! One connection: reads frames, stores messages, writes answers in the order of the messages.
//!
//! A *turn* is what one read brought: all its messages are sent to Kafka before the first answer is awaited, so that a
//! sender who does not wait for answers shares round trips. While a turn is answered nothing is read: that is the
//! back-pressure. An idle connection holds no more than a small buffer.

use std::{
    pin::pin,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_util::{
    codec::{Decoder, Encoder},
    sync::CancellationToken,
};
use waybill_hl7v2::{
    Index,
    mllp::{Frame, HEAD_BYTES, Inbound, MllpCodec},
};

use super::{
    budget::{Budget, Held},
    exchange::{Answer, Exchange},
    feed::OpenFeed,
    store::Store,
};

/// First size of a read buffer: most messages are smaller.
const READ_BYTES: usize = 4096;
/// A buffer grows by at most this much at once.
const MAX_GROWTH: usize = 1 << 20;
/// A buffer up to this size is not counted: the number of connections bounds them.
const UNCOUNTED: usize = 64 * 1024;
/// How much of a frame that is too large is skipped, in frames of the largest size, before its sender is cut off.
const SKIPPED_FRAMES: usize = 16;
/// What a closing stream may take to say so (TLS close_notify).
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The sender closed it.
    Sender,
    /// The process ends.
    Shutdown,
    /// Nothing came for the feed's idle timeout.
    Idle,
    /// A message was not complete within the feed's frame timeout.
    SlowFrame,
    /// Nothing can be answered to what came in.
    Unanswerable,
    /// Too many bytes without the beginning of a frame.
    Garbage,
    /// The process holds as much as it may.
    NoRoom,
    /// The stream failed.
    Broken,
}

impl End {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Sender => "sender",
            Self::Shutdown => "shutdown",
            Self::Idle => "idle_timeout",
            Self::SlowFrame => "frame_timeout",
            Self::Unanswerable => "unanswerable",
            Self::Garbage => "garbage",
            Self::NoRoom => "no_room",
            Self::Broken => "broken",
        }
    }

    /// Whether the sender was cut off for what it did or the process lacks.
    pub(crate) const fn is_refusal(self) -> bool {
        matches!(self, Self::SlowFrame | Self::Garbage | Self::NoRoom)
    }
}

pub(crate) struct Connection<'a, S> {
    stream: S,
    feed: &'a OpenFeed,
    store: &'a Store,
    codec: MllpCodec,
    input: BytesMut,
    output: BytesMut,
    index: Index,
    /// When the frame that is coming in was first seen.
    frame_since: Option<Instant>,
    /// What the input takes up.
    held: Held,
    /// Bytes without a frame since the last one.
    stray: usize,
    /// How many of them are tolerated.
    tolerated: usize,
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin> Connection<'a, S> {
    pub(crate) fn new(stream: S, feed: &'a OpenFeed, store: &'a Store, budget: &Budget) -> Self {
        Self {
            stream,
            feed,
            store,
            codec: MllpCodec::new(feed.settings.max_frame_bytes),
            input: BytesMut::new(),
            output: BytesMut::new(),
            index: Index::new(),
            frame_since: None,
            held: budget.nothing(),
            stray: 0,
            tolerated: feed.settings.max_garbage_bytes,
        }
    }

    /// Serves until either side ends it.
    pub(crate) async fn serve(mut self, shutdown: &CancellationToken) -> End {
        let end = self.run(shutdown).await;
        // Whoever still reads learns that nothing follows; whoever is gone does not keep the place.
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, self.stream.shutdown()).await;
        end
    }

    async fn run(&mut self, shutdown: &CancellationToken) -> End {
        let mut cancelled = pin!(shutdown.cancelled());
        let mut came = Instant::now();
        loop {
            let turn = self.turn(came);
            if !turn.is_empty() {
                if let Err(end) = self.answer(turn).await {
                    return end;
                }
                continue;
            }
            if shutdown.is_cancelled() {
                return End::Shutdown;
            }
            if self.stray + self.codec.skipped() > self.tolerated {
                return End::Garbage;
            }
            if !self.reserve() {
                return self.no_room(came).await;
            }
            let (limit, late) = self.patience(came);
            tokio::select! {
                biased;
                read = tokio::time::timeout(limit, self.stream.read_buf(&mut self.input)) => match read {
                    // A frame that never ended is counted, and kept where only its last byte is missing.
                    Err(_) => return self.end_of_stream(came, late).await,
                    Ok(Err(_)) => return self.end_of_stream(came, End::Broken).await,
                    Ok(Ok(0)) => return self.end_of_stream(came, End::Sender).await,
                    Ok(Ok(_)) => came = Instant::now(),
                },
                () = &mut cancelled => return End::Shutdown,
            }
        }
    }

    /// Takes what is complete in the buffer, up to the feed's bound.
    fn turn(&mut self, came: Instant) -> Vec<Exchange<'a>> {
        let mut turn = Vec::new();
        while turn.len() < self.feed.settings.max_pipelined {
            // The codec fails on writing only.
            let Ok(Some(item)) = self.codec.decode(&mut self.input) else { break };
            self.watch(&item);
            turn.extend(self.take(item, came));
        }
        if self.codec.is_in_frame() {
            self.stray = 0;
        }
        self.frame_since = self.codec.is_in_frame().then(|| self.frame_since.unwrap_or(came));
        turn
    }

    /// Counts what is no frame. What is left of a frame that was too large is tolerated for longer: its sender goes on
    /// until it has sent it all, and then sends others.
    fn watch(&mut self, item: &Inbound) {
        let settings = &self.feed.settings;
        match item {
            Inbound::Garbage { bytes } => self.stray += bytes,
            Inbound::TooLarge { .. } => {
                self.stray = 0;
                self.tolerated = settings.max_frame_bytes.saturating_mul(SKIPPED_FRAMES);
            }
            _ => (self.stray, self.tolerated) = (0, settings.max_garbage_bytes),
        }
    }

    fn take(&mut self, item: Inbound, came: Instant) -> Option<Exchange<'a>> {
        if !matches!(item, Inbound::Message(_)) {
            self.feed.malformed(&item);
        }
        let (feed, store) = (self.feed, self.store);
        // The next frame's time starts anew.
        let started = self.frame_since.take().unwrap_or(came);
        match item {
            // The sender's own: our answer has arrived, or not.
            Inbound::Message(bytes) if feed.feed.ack.commit_frames && is_commit_frame(&bytes) => None,
            Inbound::Message(bytes) => Some(Exchange::message(feed, store, bytes, started, &mut self.index)),
            Inbound::TooLarge { head, .. } => Some(Exchange::too_large(feed, store, head, started)),
            Inbound::Malformed { content } => Some(Exchange::quarantine(feed, store, content, started)),
            _ => None,
        }
    }

    /// Awaits the fate of each message in turn and answers it. Answers that are known are written together.
    async fn answer(&mut self, turn: Vec<Exchange<'a>>) -> Result<(), End> {
        let mut end = Ok(());
        for mut exchange in turn {
            let answer = if let Some(answer) = exchange.settled() {
                answer
            } else {
                // What is known already does not wait for this one.
                let flushed = self.flush().await;
                end = end.and(flushed);
                exchange.settle().await
            };
            if self.feed.feed.ack.commit_frames
                && end.is_ok()
                && let Some(frame) = exchange.commit_frame()
            {
                end = self.queue(frame);
            }
            match answer {
                Answer::Write(ack) if end.is_ok() => end = self.queue(Frame::Message(ack.into())),
                // A sender that is gone gets no answer; what it sent is stored all the same.
                Answer::Write(_) | Answer::Nothing => {}
                Answer::Close => end = end.and(Err(End::Unanswerable)),
            }
        }
        // Answers before the one that closes are owed.
        let flushed = self.flush().await;
        end.and(flushed)
    }

    fn queue(&mut self, frame: Frame) -> Result<(), End> {
        self.codec.encode(frame, &mut self.output).map_err(|_| End::Broken)
    }

    async fn flush(&mut self) -> Result<(), End> {
        if self.output.is_empty() {
            return Ok(());
        }
        // A sender that does not read its answers must not hold the connection for ever.
        let write = async {
            self.stream.write_all_buf(&mut self.output).await?;
            // TLS keeps what it has encrypted.
            self.stream.flush().await
        };
        let written = tokio::time::timeout(self.feed.settings.frame_timeout.get(), write).await;
        let ok = matches!(written, Ok(Ok(())));
        self.output.clear();
        if ok { Ok(()) } else { Err(End::Broken) }
    }

    /// How long to wait for the next bytes, and what it means when none came.
    fn patience(&self, came: Instant) -> (Duration, End) {
        let idle = self.feed.settings.idle_timeout.get().saturating_sub(came.elapsed());
        match self.frame_since {
            Some(since) => {
                let frame = self.feed.settings.frame_timeout.get().saturating_sub(since.elapsed());
                if frame < idle { (frame, End::SlowFrame) } else { (idle, End::Idle) }
            }
            None => (idle, End::Idle),
        }
    }

    /// Makes room for the next read; `false`: the process holds as much as it may.
    fn reserve(&mut self) -> bool {
        // A large message arrives in few reads, a small one in a small buffer.
        let wanted = self.input.len().clamp(READ_BYTES, MAX_GROWTH);
        let whole = self.input.len() + wanted;
        if !self.held.resize(if whole > UNCOUNTED { whole } else { 0 }) {
            return false;
        }
        self.input.reserve(wanted);
        true
    }

    /// The frame that is coming in is answered like one that cannot be stored now; what is left of it would look like
    /// garbage, so its sender has to connect anew.
    async fn no_room(&mut self, came: Instant) -> End {
        if self.codec.is_in_frame() {
            let head = bytes::Bytes::copy_from_slice(&self.input[1..self.input.len().min(1 + HEAD_BYTES)]);
            let exchange = Exchange::no_room(self.feed, head, self.frame_since.unwrap_or(came));
            let _ = self.answer(vec![exchange]).await;
        }
        End::NoRoom
    }

    /// What is complete is handled as ever; what is not is counted.
    async fn end_of_stream(&mut self, came: Instant, end: End) -> End {
        let mut turn = Vec::new();
        while let Ok(Some(item)) = self.codec.decode_eof(&mut self.input) {
            turn.extend(self.take(item, came));
        }
        // The other half may still be open for answers.
        let _ = self.answer(turn).await;
        end
    }
}

fn is_commit_frame(content: &bytes::Bytes) -> bool {
    !matches!(Frame::from_content(content.clone()), Frame::Message(_))
}
