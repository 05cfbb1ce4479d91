//! Whether all parties tell the same story. Nothing here believes the tracker: each of its words is held against what a
//! sender or a receiver saw.

mod promise;

use std::collections::{BTreeMap, HashMap, HashSet};

use waybill_contracts::{EventId, MessageId};
use waybill_simulator::{generate::Kind, receive::Received, send::Fate};
use waybill_testkit::tracker::Line;

use crate::{
    evidence::{Evidence, Sent},
    messages::field,
};

/// What was promised before the run, to hold the outcome against.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Gets every result.
    pub portal: String,
    /// Gets what is final or corrected.
    pub public_health: String,
    /// Filler order number whose results public health refuses.
    pub refused_order: Option<String>,
}

/// The outcome of an audit.
#[derive(Debug, Default)]
pub struct Audit {
    /// What does not add up, each with the message it is about; no content.
    pub findings: Vec<String>,
    /// Messages whose sender was told that they are taken, each once.
    pub accepted: usize,
    /// Refused at the door.
    pub refused: usize,
    /// Canonical events by topic, each named by its message's manifest.
    pub events: BTreeMap<String, usize>,
    /// Confirmed lines by target, each found at the receiver with the same content.
    pub confirmed: BTreeMap<String, usize>,
    /// Lines that a target refused.
    pub rejected: usize,
    /// Messages that cover the three stories, where there are any.
    pub delivered_example: Option<MessageId>,
    /// A message that a target refused.
    pub rejected_example: Option<MessageId>,
    /// A message that was delivered at a later attempt.
    pub recovered_example: Option<MessageId>,
    /// A FHIR Bundle.
    pub bundle_example: Option<MessageId>,
    /// What that one became: events by topic.
    pub bundle_events: BTreeMap<String, usize>,
}

impl Audit {
    /// Holds all evidence together.
    pub fn of(evidence: &Evidence, plan: &Plan) -> Self {
        let books = Books::new(evidence);
        let mut audit = Self::default();
        audit.senders(evidence, &books, plan);
        audit.kafka(evidence);
        audit.tracker(evidence, &books);
        audit.receivers(evidence, &books);
        if let Some(events) = audit.bundle_example.and_then(|id| evidence.events.get(&id)) {
            audit.bundle_events = events.iter().map(|(topic, ids)| (topic.clone(), ids.len())).collect();
        }
        audit.findings.sort();
        audit.findings.dedup();
        audit
    }

    fn finding(&mut self, text: impl Into<String>) {
        self.findings.push(text.into());
    }

    /// Every message that was sent.
    fn senders(&mut self, evidence: &Evidence, books: &Books<'_>, plan: &Plan) {
        let mut seen = HashSet::new();
        for sent in &evidence.sent {
            let key = (sent.letter.feed, sent.record.sha256.as_str());
            let first = seen.insert(key);
            let (found, wanted) = match sent.record.fate {
                Fate::Accepted => (books.stored.get(&key), "acknowledged, but not in inbound.message"),
                Fate::Refused => (books.refused.get(&key), "refused, but not in inbound.rejected"),
                Fate::GivenUp | Fate::Cancelled => {
                    self.finding(format!("{}: never answered", sent.name()));
                    continue;
                }
            };
            let Some(id) = found else {
                self.finding(format!("{}: {wanted}", sent.name()));
                continue;
            };
            if first {
                if sent.is_accepted() { self.accepted += 1 } else { self.refused += 1 }
            }
            match evidence.waybills.get(id) {
                None => self.finding(format!("{}: no waybill {id}", sent.name())),
                Some(waybill) if !waybill.is_settled() => {
                    self.finding(format!("{}: {} {id}", sent.name(), waybill.state()));
                }
                Some(waybill) => {
                    for wrong in promise::broken(sent, waybill, evidence.events.get(id), plan) {
                        self.finding(format!("{}: {wrong} {id}", sent.name()));
                    }
                    self.example(sent, *id);
                }
            }
        }
    }

    /// Of the Bundles one, the same one at every look at the same evidence.
    fn example(&mut self, sent: &Sent, id: MessageId) {
        if sent.letter.kind == Some(Kind::Bundle) {
            self.bundle_example = Some(self.bundle_example.map_or(id, |other| other.min(id)));
        }
    }

    /// Nothing in Kafka that nobody sent; and what each message became is what its manifest says.
    fn kafka(&mut self, evidence: &Evidence) {
        let sent: HashSet<_> =
            evidence.sent.iter().map(|s| (s.letter.feed, s.record.sha256.as_str())).collect();
        for stored in evidence.stored.iter().chain(&evidence.refused) {
            if !sent.contains(&(stored.feed.as_str(), stored.sha256.as_str())) {
                self.finding(format!("{}: in Kafka, but nobody sent these bytes", stored.id));
            }
        }
        for stored in &evidence.stored {
            let (named, found) = (evidence.manifests.get(&stored.id), evidence.events.get(&stored.id));
            match (named, found) {
                (None, _) => self.finding(format!("{}: no manifest", stored.id)),
                (Some(named), Some(found)) if named == found => {}
                (Some(named), None) if named.is_empty() => {}
                (Some(_), _) => self.finding(format!("{}: other events than its manifest names", stored.id)),
            }
        }
        let known: HashSet<_> = evidence.stored.iter().map(|stored| stored.id).collect();
        for (id, events) in &evidence.events {
            if !known.contains(id) {
                self.finding(format!("{id}: events of a message that is not in Kafka"));
            }
            for (topic, events) in events {
                *self.events.entry(topic.clone()).or_default() += events.len();
            }
        }
    }

    /// Every line that names a receiver.
    fn tracker(&mut self, evidence: &Evidence, books: &Books<'_>) {
        for (id, waybill) in &evidence.waybills {
            if !books.bytes.contains_key(id) {
                self.finding(format!("{id}: a waybill of a message that is not in Kafka"));
                continue;
            }
            let lines = waybill.lines.iter().filter_map(|line| {
                let target = line.destination.as_deref()?;
                evidence.received.contains_key(target).then_some((target, line))
            });
            let mut recovered = false;
            for (target, line) in lines {
                match (line.outcome().as_str(), books.at(target, line)) {
                    ("confirmed", Some(at)) => match compare(books.bytes[id], &at) {
                        Content::Different => self.finding(format!("{id}: {target} has other content")),
                        Content::Same | Content::Part => {
                            *self.confirmed.entry(target.to_owned()).or_default() += 1;
                            recovered |= line.attempts > 1;
                        }
                    },
                    ("confirmed", None) => {
                        self.finding(format!("{id}: confirmed, but {target} does not have it"));
                    }
                    ("rejected" | "dead-lettered", None) => {
                        self.rejected += 1;
                        self.rejected_example.get_or_insert(*id);
                    }
                    ("rejected" | "dead-lettered", Some(_)) => {
                        self.finding(format!("{id}: rejected, but {target} has it"));
                    }
                    ("filtered" | "superseded", None) => {}
                    (outcome, _) => self.finding(format!("{id}: {outcome} at {target}")),
                }
            }
            if waybill.state() == "delivered" && !waybill.lines.is_empty() {
                let example =
                    if recovered { &mut self.recovered_example } else { &mut self.delivered_example };
                // The same one at every look at the same evidence.
                *example = Some(example.map_or(*id, |other| other.min(*id)));
            }
        }
    }

    /// Nothing at a receiver that the tracker does not know of.
    fn receivers(&mut self, evidence: &Evidence, books: &Books<'_>) {
        for (target, received) in &evidence.received {
            for message in received.iter().filter(|message| message.taken && !message.duplicate) {
                if !books.confirmed.contains(&(target.as_str(), message.control_id.clone())) {
                    self.finding(format!("{target} has {}, and no line says so", message.control_id));
                }
            }
        }
    }
}

/// What is looked up again and again.
struct Books<'a> {
    stored: HashMap<(&'a str, &'a str), MessageId>,
    refused: HashMap<(&'a str, &'a str), MessageId>,
    bytes: HashMap<MessageId, &'a [u8]>,
    /// Taken by a target under this control id.
    taken: HashMap<(&'a str, &'a str), &'a Received>,
    /// Targets and outbound control ids of confirmed lines.
    confirmed: HashSet<(&'a str, String)>,
}

impl<'a> Books<'a> {
    fn new(evidence: &'a Evidence) -> Self {
        let mut taken = HashMap::new();
        for (target, received) in &evidence.received {
            for message in received.iter().filter(|message| message.taken && !message.duplicate) {
                taken.insert((target.as_str(), message.control_id.as_str()), message);
            }
        }
        let mut confirmed = HashSet::new();
        for line in evidence.waybills.values().flat_map(|waybill| &waybill.lines) {
            let Some(target) = line.destination.as_deref().filter(|_| line.outcome() == "confirmed") else {
                continue;
            };
            confirmed.extend(outbound(target, line).map(|control_id| (target, control_id)));
        }
        let by_content =
            |stored: &'a crate::evidence::Stored| ((stored.feed.as_str(), stored.sha256.as_str()), stored.id);
        Self {
            stored: evidence.stored.iter().map(by_content).collect(),
            refused: evidence.refused.iter().map(by_content).collect(),
            bytes: evidence
                .stored
                .iter()
                .chain(&evidence.refused)
                .map(|s| (s.id, s.bytes.as_slice()))
                .collect(),
            taken,
            confirmed,
        }
    }

    /// What the target has under the line's control id.
    fn at(&self, target: &str, line: &Line) -> Option<Vec<u8>> {
        let control_id = outbound(target, line)?;
        self.taken.get(&(target, control_id.as_str()))?.bytes.clone()
    }
}

fn outbound(target: &str, line: &Line) -> Option<String> {
    Some(line.event_id.as_deref()?.parse::<EventId>().ok()?.outbound_control_id(target))
}

/// How a delivered message relates to the one that came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// The same bytes but for MSH-10.
    Same,
    /// Whole segments of it, in order: one patient's part.
    Part,
    /// Something else.
    Different,
}

/// Compares a delivered message with the one that came in.
pub fn compare(original: &[u8], delivered: &[u8]) -> Content {
    let (original, delivered) = (without_control_id(original), without_control_id(delivered));
    if original == delivered {
        return Content::Same;
    }
    let mut rest = segments(&original);
    if segments(&delivered).all(|segment| rest.any(|other| other == segment)) {
        Content::Part
    } else {
        Content::Different
    }
}

fn segments(message: &[u8]) -> impl Iterator<Item = &[u8]> {
    message.split(|byte| matches!(byte, b'\r' | b'\n')).filter(|segment| !segment.is_empty())
}

fn without_control_id(message: &[u8]) -> Vec<u8> {
    let Some(control_id) = field(message, 9) else { return message.to_vec() };
    let at = control_id.as_ptr() as usize - message.as_ptr() as usize;
    [&message[..at], &message[at + control_id.len()..]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_control_id_may_differ() {
        let sent = b"MSH|^~\\&|L|G|||1||ORU^R01|A1|P|2.5\rPID|1\rOBX|1\rPID|2\rOBX|2\r";
        let as_is = b"MSH|^~\\&|L|G|||1||ORU^R01|XYZXYZ|P|2.5\rPID|1\rOBX|1\rPID|2\rOBX|2\r";
        let part = b"MSH|^~\\&|L|G|||1||ORU^R01|XYZXYZ|P|2.5\rPID|2\rOBX|2\r";
        let other = b"MSH|^~\\&|L|G|||1||ORU^R01|XYZXYZ|P|2.5\rPID|1\rOBX|9\rPID|2\rOBX|2\r";
        assert_eq!(compare(sent, as_is), Content::Same);
        assert_eq!(compare(sent, part), Content::Part);
        assert_eq!(compare(sent, other), Content::Different);
    }
}
