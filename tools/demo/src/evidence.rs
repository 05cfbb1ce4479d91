//! What each party says afterwards: senders, Kafka, tracker, receivers.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::Context as _;
use waybill_contracts::{
    EventId, MessageId, Record,
    billing::ChargeEvent,
    clinical::{AppointmentEvent, EncounterEvent, PatientEvent},
    delivery::{Manifest, ManifestStage},
    inbound::{InboundMessage, InboundRejected},
    lab::{LabOrder, LabResult},
};
use waybill_simulator::{
    receive::Received,
    send::{Fate, MessageRecord},
    sha256_hex,
};
use waybill_testkit::{Installation, Topics, tracker::Waybill};

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

/// Ids of events, by topic without namespace.
pub type Events = BTreeMap<String, BTreeSet<EventId>>;

/// Everything that was said.
#[derive(Debug)]
pub struct Evidence {
    /// By the senders.
    pub sent: Vec<Sent>,
    /// `inbound.message`.
    pub stored: Vec<Stored>,
    /// `inbound.rejected`.
    pub refused: Vec<Stored>,
    /// The canonical events in their topics, each decoded, by the message they came of.
    pub events: HashMap<MessageId, Events>,
    /// The events that the normalizer's manifests name.
    pub manifests: HashMap<MessageId, Events>,
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
                feed: message.feed.into(),
                sha256: sha256_hex(&bytes),
                bytes,
            });
        }
        let mut refused = Vec::new();
        for (_, message) in topics.decoded::<InboundRejected>("inbound.rejected.v1").await? {
            let bytes = message.body.bytes().context("a refused body cannot be read")?.into_owned();
            refused.push(Stored {
                id: message.message_id,
                feed: message.feed.into(),
                sha256: sha256_hex(&bytes),
                bytes,
            });
        }
        let mut events = HashMap::new();
        collect::<PatientEvent>(topics, &mut events, |event| event.source.message_id).await?;
        collect::<EncounterEvent>(topics, &mut events, |event| event.source.message_id).await?;
        collect::<AppointmentEvent>(topics, &mut events, |event| event.source.message_id).await?;
        collect::<LabOrder>(topics, &mut events, |event| event.source.message_id).await?;
        collect::<LabResult>(topics, &mut events, |event| event.source.message_id).await?;
        collect::<ChargeEvent>(topics, &mut events, |event| event.source.message_id).await?;
        let mut manifests = HashMap::<_, Events>::new();
        for (_, manifest) in topics.decoded::<Manifest>(Manifest::TOPIC).await? {
            if manifest.stage == ManifestStage::Normalized {
                let named = manifests.entry(manifest.message_id).or_default();
                for event in manifest.events {
                    named.entry(event.topic).or_default().insert(event.event_id);
                }
            }
        }
        let mut waybills = HashMap::new();
        for waybill in installation.tracker().whole(&[]).await? {
            waybills.insert(waybill.id()?, waybill);
        }
        Ok(Self { sent, stored, refused, events, manifests, waybills, received })
    }
}

/// Adds the events of a topic. The same event may stand there twice, after a repeat; an event is its id.
async fn collect<T: Record>(
    topics: &Topics,
    into: &mut HashMap<MessageId, Events>,
    message: impl Fn(&T) -> MessageId,
) -> anyhow::Result<()> {
    for (record, event) in topics.decoded::<T>(T::TOPIC).await? {
        let headers = record.event_headers().with_context(|| format!("headers of {record:?}"))?;
        anyhow::ensure!(headers.correlation_id == message(&event), "{record:?} is of another message");
        let id = headers.id.parse().with_context(|| format!("id of {record:?}"))?;
        into.entry(message(&event)).or_default().entry(T::TOPIC.to_owned()).or_default().insert(id);
    }
    Ok(())
}
