//! What each party says afterwards: senders, Kafka, tracker, receivers.

use std::collections::{BTreeMap, HashMap};

use anyhow::Context as _;
use waybill_contracts::{
    MessageId,
    inbound::{InboundMessage, InboundRejected},
};
use waybill_simulator::{
    receive::Received,
    send::{Fate, MessageRecord},
    sha256_hex,
};
use waybill_testkit::{Installation, tracker::Waybill};

use crate::messages::Letter;

/// A message and what its sender knows of it.
#[derive(Clone, Debug)]
pub struct Sent {
    /// What was sent.
    pub letter: Letter,
    /// How it went.
    pub record: MessageRecord,
}

impl Sent {
    /// The sender was told that it is taken.
    pub fn is_accepted(&self) -> bool {
        self.record.fate == Fate::Accepted
    }

    /// For people, without content: file and control id.
    pub fn name(&self) -> String {
        match &self.record.source {
            Some(file) => format!("{} ({file})", self.record.control_id),
            None => format!("{} on {}", self.record.control_id, self.letter.feed),
        }
    }
}

/// A message as Kafka has it.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its id.
    pub id: MessageId,
    /// Feed.
    pub feed: String,
    /// Of the bytes, computed here.
    pub sha256: String,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// Everything that was said.
#[derive(Debug)]
pub struct Evidence {
    /// By the senders.
    pub sent: Vec<Sent>,
    /// `inbound.message`.
    pub stored: Vec<Stored>,
    /// `inbound.rejected`.
    pub refused: Vec<Stored>,
    /// By the tracker.
    pub waybills: HashMap<MessageId, Waybill>,
    /// By the receivers, in order of arrival.
    pub received: BTreeMap<String, Vec<Received>>,
}

impl Evidence {
    /// Asks Kafka and the tracker; the rest was seen.
    pub async fn gather(
        installation: &Installation,
        sent: Vec<Sent>,
        received: BTreeMap<String, Vec<Received>>,
    ) -> anyhow::Result<Self> {
        let topics = installation.topics();
        let mut stored = Vec::new();
        for (_, message) in topics.decoded::<InboundMessage>("inbound.message.v1").await? {
            let bytes = message.body.bytes().context("a stored body cannot be read")?.into_owned();
            stored.push(Stored {
                id: message.message_id,
                feed: message.feed,
                sha256: sha256_hex(&bytes),
                bytes,
            });
        }
        let mut refused = Vec::new();
        for (_, message) in topics.decoded::<InboundRejected>("inbound.rejected.v1").await? {
            let bytes = message.body.bytes().context("a refused body cannot be read")?.into_owned();
            refused.push(Stored {
                id: message.message_id,
                feed: message.feed,
                sha256: sha256_hex(&bytes),
                bytes,
            });
        }
        let mut waybills = HashMap::new();
        for waybill in installation.tracker().whole(&[]).await? {
            waybills.insert(waybill.id()?, waybill);
        }
        Ok(Self { sent, stored, refused, waybills, received })
    }
}
