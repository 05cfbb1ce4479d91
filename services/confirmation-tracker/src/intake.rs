//! Records of the topics as additions to messages.

use waybill_contracts::{
    EventHeaders, EventId, MessageId, Namespace, Record as _, TopicName,
    delivery::{Manifest, Receipt, Subscription},
    inbound::{InboundMessage, InboundRejected},
    reason, topics,
};
use waybill_delivery::{
    ErrorClass,
    record::{self, Allowances, DeadLetter, Received, Refused},
};
use waybill_kafka::{Codec, HandlerError, InRecord, dead_letter::DeadLetterHeaders};

use crate::{GROUP, ledger::Intake, text};

/// Topics that are always read.
pub const TOPICS: [&str; 5] =
    [InboundMessage::TOPIC, InboundRejected::TOPIC, Subscription::TOPIC, Manifest::TOPIC, Receipt::TOPIC];

/// Reads records.
#[derive(Clone)]
pub struct Reader {
    /// Decodes values.
    pub codec: Codec,
    /// Of the installation's topics.
    pub namespace: Namespace,
    /// Times allowed.
    pub allow: Allowances,
}

impl Reader {
    /// Adds what a record says. Class `data`: the record is to be set aside.
    pub async fn read(&self, record: &InRecord, intake: &mut Intake) -> Result<(), HandlerError> {
        let Some(topic) = self.namespace.strip(&record.topic) else { return Ok(()) };
        if let Some((origin, _)) = split_dead_letter(topic) {
            return self.read_dead_letter(origin, record, intake);
        }
        // A tombstone says nothing about a message, and a compacted subscription is retired by a record.
        let Some(value) = record.value() else { return Ok(()) };
        match topic {
            InboundMessage::TOPIC => {
                let headers = headers(record)?;
                let received = Received { feed: headers.feed, received_at: headers.time };
                intake.add(
                    headers.correlation_id,
                    record::received(&received, &self.allow),
                    headers.traceparent,
                );
            }
            InboundRejected::TOPIC => self.read_refusal(record, value, intake).await?,
            Subscription::TOPIC => {
                let one: Subscription = self.codec.decode(value).await?;
                named([&one.topic, &one.consumer, &one.service, &one.version].map(String::as_str))?;
                intake.subscriptions.push(one);
            }
            Manifest::TOPIC => {
                let manifest: Manifest = self.codec.decode(value).await?;
                let texts = manifest.events.iter().map(|event| event.topic.as_str());
                let texts = texts.chain(manifest.targets.iter().map(|target| target.target.as_str()));
                let texts = texts.chain([manifest.feed.as_str()]);
                named(texts.chain(manifest.consumer.as_deref()).chain(manifest.reason_code.as_deref()))?;
                let waybill =
                    record::manifest(&manifest, &self.allow).map_err(|error| invalid(error.to_string()))?;
                intake.add(manifest.message_id, waybill, traceparent(record));
            }
            Receipt::TOPIC => {
                let receipt: Receipt = self.codec.decode(value).await?;
                let optional = [&receipt.reason_code, &receipt.acknowledgement, &receipt.outbound_control_id];
                let texts = optional.into_iter().flatten().chain([&receipt.topic, &receipt.destination]);
                named(texts.map(String::as_str))?;
                let feed = headers(record).ok().and_then(|headers| headers.feed);
                let waybill = record::receipt(&receipt, feed, &self.allow);
                intake.add(receipt.message_id, waybill, traceparent(record));
            }
            _ => {}
        }
        Ok(())
    }

    async fn read_refusal(
        &self,
        record: &InRecord,
        value: &[u8],
        intake: &mut Intake,
    ) -> Result<(), HandlerError> {
        // The bytes of the message go no further than this function.
        let refused = match self.codec.decode::<InboundRejected>(value).await {
            Ok(rejected) => Refused {
                feed: rejected.feed.into(),
                message_type: rejected.message_type.map(String::from),
                control_id: rejected.control_id.map(String::from),
                at: rejected.received_at,
                reason: rejected.reason_code,
            },
            Err(error) => {
                let error = HandlerError::of(&error);
                let headers = headers(record)?;
                // It has no dead-letter topic, and its headers say all but the reason.
                match (error.class, headers.feed) {
                    (ErrorClass::Data, Some(feed)) => Refused {
                        feed,
                        message_type: None,
                        control_id: None,
                        at: headers.time,
                        reason: reason::UNDECODABLE.into(),
                    },
                    _ => return Err(error),
                }
            }
        };
        named([refused.feed.as_str(), refused.reason.as_str()])?;
        let id = headers(record)?.correlation_id;
        intake.add(id, record::refused(&refused), traceparent(record));
        Ok(())
    }

    fn read_dead_letter(
        &self,
        origin: &str,
        record: &InRecord,
        intake: &mut Intake,
    ) -> Result<(), HandlerError> {
        let headers = headers(record)?;
        let failure = DeadLetterHeaders::read(record).map_err(|error| invalid(error.to_string()))?;
        let (event_id, destination) = match target_of(origin) {
            // Its id is the outbound control id; the event is what caused it.
            Some(target) => (headers.causation_id, target.to_owned()),
            None => (headers.id.parse::<EventId>().ok(), failure.group),
        };
        named([destination.as_str(), failure.code.as_str()])?;
        let letter = DeadLetter {
            feed: headers.feed,
            topic: origin.to_owned(),
            event_id,
            destination,
            at: failure.failed_at,
            reason: Some(failure.code),
            attempts: failure.attempts,
        };
        intake.add(headers.correlation_id, record::dead_letter(&letter, &self.allow), headers.traceparent);
        Ok(())
    }
}

/// Of the topics there are, the dead-letter topics that show failures of lines.
pub fn dead_letter_topics(
    namespace: &Namespace,
    listed: impl IntoIterator<Item = (TopicName, i32)>,
) -> Vec<(TopicName, i32)> {
    let mut topics: Vec<(TopicName, i32)> = listed
        .into_iter()
        .filter(|(name, _)| {
            let name = namespace.strip(name.as_str()).and_then(split_dead_letter);
            name.is_some_and(|(topic, group)| is_kept(topic, group))
        })
        .collect();
    topics.sort();
    topics
}

/// The catalogue says that `group` keeps dead letters of `topic`.
fn is_kept(topic: &str, group: &str) -> bool {
    let Some(entry) = topics::find(topic) else { return false };
    let target = target_of(topic).unwrap_or_default();
    group != GROUP
        && entry
            .consumers
            .iter()
            .any(|consumer| consumer.dead_letters && consumer.group.replace("{target}", target) == group)
}

/// `<topic>.dlq.<group>`, without namespace.
fn split_dead_letter(name: &str) -> Option<(&str, &str)> {
    name.split_once(".dlq.")
}

/// Target of `lab.delivery.<target>.v1`.
fn target_of(topic: &str) -> Option<&str> {
    let rest = topic.strip_prefix("lab.delivery.")?;
    rest.strip_suffix(".v1").filter(|target| !target.is_empty())
}

fn headers(record: &InRecord) -> Result<EventHeaders, HandlerError> {
    let headers = record.event_headers().map_err(|error| invalid(error.to_string()))?;
    named(headers.feed.as_deref())?;
    Ok(headers)
}

fn traceparent(record: &InRecord) -> Option<String> {
    let value = record.header(waybill_contracts::headers::name::TRACEPARENT)?;
    std::str::from_utf8(value).ok().map(str::to_owned)
}

fn named<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<(), HandlerError> {
    if text::are_names(texts) { Ok(()) } else { Err(invalid("a name is too long or holds a NUL".to_owned())) }
}

fn invalid(detail: String) -> HandlerError {
    HandlerError::new(ErrorClass::Data, reason::INVALID_RECORD, detail)
}

/// The message that a record is about, for the log when it is set aside.
pub(crate) fn message_of(record: &InRecord) -> Option<MessageId> {
    let value = record.header(waybill_contracts::headers::name::CORRELATION_ID)?;
    std::str::from_utf8(value).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_letter_topics_are_those_of_the_catalogue_but_our_own() {
        let namespace = Namespace::new("t").unwrap();
        let names = [
            "t.inbound.message.v1.dlq.ehr-ingest.normalize",
            "t.lab.result.v1.dlq.lab-distributor",
            "t.lab.delivery.ward-ehr.v1.dlq.lab-distributor.ward-ehr",
            "t.lab.delivery.ward-ehr.v1.dlq.lab-distributor.registry",
            "t.lab.result.v1.dlq.somebody",
            "t.delivery.receipt.v1.dlq.confirmation-tracker",
            "t.lab.result.v1",
            "other.lab.result.v1.dlq.lab-distributor",
        ];
        let other = Namespace::default();
        let listed = names.map(|name| (other.topic(name), 3));
        let found: Vec<String> =
            dead_letter_topics(&namespace, listed).iter().map(|(name, _)| name.to_string()).collect();
        assert_eq!(found, [names[0], names[2], names[1]]);
    }
}
