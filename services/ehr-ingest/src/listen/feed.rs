//! A feed with its listener's state.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use waybill_hl7v2::{ack::AckCode, mllp::Inbound};
use waybill_telemetry::metrics::{self, Counter, Gauge, Histogram, Label, Metric};

use super::{quiet::Quiet, recent::Memory};
use crate::{config::FeedConfig, feed::Feed};

/// A feed that is listened to.
pub(crate) struct OpenFeed {
    pub(crate) feed: Feed,
    pub(crate) settings: FeedConfig,
    pub(crate) memory: Arc<Memory>,
    pub(crate) meters: Meters,
    pub(crate) quiet: Lines,
}

/// Lines that come as often as senders like.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    pub(crate) malformed: Quiet,
    pub(crate) refused_connection: Quiet,
    pub(crate) refused_request: Quiet,
    pub(crate) not_stored: Quiet,
}

/// Handles of the feed's series: looked up once.
pub(crate) struct Meters {
    pub(crate) bytes: Histogram,
    pub(crate) ack_seconds: Histogram,
    pub(crate) repeats: Counter,
    pub(crate) reused: Counter,
    pub(crate) connections: Gauge,
    received: [(AckCode, Counter); 6],
    unanswered: Counter,
}

impl OpenFeed {
    pub(crate) fn new(feed: Feed, settings: FeedConfig) -> Self {
        let name = Label::Feed(&feed.name);
        let received = |code: AckCode| {
            (code, metrics::counter(Metric::MessagesReceived, &[name, Label::Ack(code.as_str())]))
        };
        let meters = Meters {
            bytes: metrics::histogram(Metric::MessageBytes, &[name]),
            ack_seconds: metrics::histogram(Metric::AckSeconds, &[name]),
            repeats: metrics::counter(Metric::Duplicates, &[name]),
            reused: metrics::counter(Metric::ControlIdsReused, &[name]),
            connections: metrics::gauge_handle(Metric::Connections, &[name]),
            received: [AckCode::AA, AckCode::AE, AckCode::AR, AckCode::CA, AckCode::CE, AckCode::CR]
                .map(received),
            unanswered: metrics::counter(Metric::MessagesReceived, &[name, Label::Ack("none")]),
        };
        let memory = Arc::new(Memory::new(settings.remember));
        Self { feed, settings, memory, meters, quiet: Lines::default() }
    }

    /// Counts a frame that is none, and says so without its content.
    pub(crate) fn malformed(&self, item: &Inbound) {
        let (kind, bytes) = (item.kind(), item.wire_len());
        metrics::count(Metric::FramesMalformed, 1, &[Label::Feed(&self.feed.name), Label::Reason(kind)]);
        if let Some(unsaid) = self.quiet.malformed.say(Instant::now()) {
            tracing::warn!(feed = self.feed.name, kind, bytes, unsaid, "bytes that are no MLLP frame");
        }
    }
}

impl OpenFeed {
    /// Counts a connection that is not taken, or is closed for what its sender does.
    pub(crate) fn refuse_connection(&self, reason: &'static str, peer: SocketAddr) {
        metrics::count(Metric::ConnectionsRefused, 1, &[Label::Feed(&self.feed.name), Label::Reason(reason)]);
        if let Some(unsaid) = self.quiet.refused_connection.say(Instant::now()) {
            tracing::warn!(feed = self.feed.name, %peer, reason, unsaid, "a connection was refused or cut off");
        }
    }

    /// Counts an HTTP request that is answered before its content was looked at.
    pub(crate) fn refuse_request(&self, reason: &'static str, status: u16) {
        metrics::count(Metric::RequestsRefused, 1, &[Label::Feed(&self.feed.name), Label::Reason(reason)]);
        if let Some(unsaid) = self.quiet.refused_request.say(Instant::now()) {
            tracing::warn!(feed = self.feed.name, reason, status, unsaid, "a request was refused");
        }
    }
}

impl Meters {
    /// A message was given this answer, or none.
    pub(crate) fn answered(&self, code: Option<AckCode>) {
        let known = |code| self.received.iter().find(|(known, _)| *known == code).map(|(_, counter)| counter);
        code.and_then(known).unwrap_or(&self.unanswered).increment(1);
    }
}
