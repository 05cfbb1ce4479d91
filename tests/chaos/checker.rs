//! The referee: what the sender, Kafka, the receivers and the tracker each say, compared. It knows nothing of how any
//! service works and shares no code with the tracker; findings name control ids, never content.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt::Write as _,
};

use sha2::{Digest as _, Sha256};

/// SHA-256 of bytes.
pub(crate) type Digest = [u8; 32];

/// How many control ids a finding names.
const NAMED: usize = 20;

/// A message as its sender knows it; repeated sends of the same bytes are one message.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) control_id: String,
    pub(crate) digest: Digest,
    /// Of the message with MSH-10 left out: how a message is recognised after it got another control id.
    pub(crate) anonymous: Digest,
    pub(crate) patient: String,
    /// Targets that the routing table gives it; empty when it is no result.
    pub(crate) targets: Vec<String>,
    /// Acknowledged with AA at least once.
    pub(crate) accepted: bool,
    /// Answered AE or AR for its content.
    pub(crate) refused: bool,
}

/// A record of `inbound.message`.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) message_id: String,
    pub(crate) digest: Digest,
}

/// A message as a receiver got it, in order of arrival.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) control_id: String,
    pub(crate) digest: Digest,
    pub(crate) anonymous: Digest,
    /// The receiver has it and said so.
    pub(crate) acknowledged: bool,
}

/// What the tracker says of a message last.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    pub(crate) state: String,
    /// Destination and outcome of each line.
    pub(crate) lines: Vec<(String, String)>,
}

/// Everything that was seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Evidence {
    /// In the order of sending.
    pub(crate) sent: Vec<Sent>,
    pub(crate) stored: Vec<Stored>,
    /// Ids in `inbound.rejected`.
    pub(crate) refused: HashSet<String>,
    /// By target.
    pub(crate) received: BTreeMap<String, Vec<Arrival>>,
    /// By message id, from the topic of states.
    pub(crate) verdicts: HashMap<String, Verdict>,
    /// State by message id, from the HTTP API; a sample.
    pub(crate) asked: HashMap<String, String>,
}

/// Counts for the report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) sent: usize,
    pub(crate) accepted: usize,
    pub(crate) refused: usize,
    pub(crate) unanswered: usize,
    pub(crate) unanswered_but_stored: usize,
    pub(crate) stored_records: usize,
    pub(crate) stored_messages: usize,
    pub(crate) deliveries: usize,
    pub(crate) repeats: usize,
}

/// A property that does not hold, and for which messages.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) property: &'static str,
    pub(crate) control_ids: Vec<String>,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {} message(s): ", self.property, self.control_ids.len())?;
        f.write_str(&self.control_ids.iter().take(NAMED).cloned().collect::<Vec<_>>().join(" "))?;
        if self.control_ids.len() > NAMED { f.write_str(" …") } else { Ok(()) }
    }
}

/// SHA-256 of a message with MSH-10 left out.
pub(crate) fn anonymous(message: &[u8]) -> Digest {
    let separator = message.get(3).copied().unwrap_or(b'|');
    let header_end = message.iter().position(|byte| *byte == b'\r').unwrap_or(message.len());
    let mut separators = (0..header_end).filter(|at| message[*at] == separator);
    // The separator itself is MSH-1, so MSH-10 stands between the ninth and the tenth.
    let (from, to) = (separators.nth(8), separators.next().unwrap_or(header_end));
    let mut hash = Sha256::new();
    match from {
        Some(from) => {
            hash.update(&message[..=from]);
            hash.update(&message[to..]);
        }
        None => hash.update(message),
    }
    hash.finalize().into()
}

/// SHA-256 of a message.
pub(crate) fn digest(message: &[u8]) -> Digest {
    Sha256::digest(message).into()
}

/// Everything that must hold once the stream has ended and all has settled; empty when it does.
pub(crate) fn judge(evidence: &Evidence) -> Vec<Finding> {
    let index = Index::new(evidence);
    let mut findings = Findings::default();
    index.storing(&mut findings);
    index.accounting(&mut findings);
    index.delivering(&mut findings);
    findings.0.into_iter().map(|(property, control_ids)| Finding { property, control_ids }).collect()
}

/// What to print beside the verdict.
pub(crate) fn count(evidence: &Evidence) -> Counts {
    let index = Index::new(evidence);
    let mut counts =
        Counts { sent: evidence.sent.len(), stored_records: evidence.stored.len(), ..Counts::default() };
    for sent in &evidence.sent {
        if sent.accepted {
            counts.accepted += 1;
        } else if sent.refused {
            counts.refused += 1;
        } else {
            counts.unanswered += 1;
            counts.unanswered_but_stored += usize::from(index.stored.contains_key(&sent.digest));
        }
    }
    counts.stored_messages = index.stored.len();
    for arrivals in evidence.received.values() {
        let first: HashSet<_> = arrivals.iter().map(|arrival| arrival.anonymous).collect();
        counts.deliveries += arrivals.len();
        counts.repeats += arrivals.len() - first.len();
    }
    counts
}

#[derive(Default)]
struct Findings(BTreeMap<&'static str, Vec<String>>);

impl Findings {
    fn add(&mut self, property: &'static str, subject: impl Into<String>) {
        self.0.entry(property).or_default().push(subject.into());
    }
}

struct Index<'a> {
    evidence: &'a Evidence,
    sent: HashMap<Digest, &'a Sent>,
    /// Position in the order of sending.
    by_content: HashMap<Digest, usize>,
    /// Message ids by the digest of what was stored.
    stored: HashMap<Digest, Vec<&'a str>>,
    /// By target, what it has and said so.
    has: BTreeMap<&'a str, HashSet<Digest>>,
}

impl<'a> Index<'a> {
    fn new(evidence: &'a Evidence) -> Self {
        let mut stored: HashMap<Digest, Vec<&str>> = HashMap::new();
        for record in &evidence.stored {
            let ids = stored.entry(record.digest).or_default();
            if !ids.contains(&record.message_id.as_str()) {
                ids.push(&record.message_id);
            }
        }
        let acknowledged = |arrivals: &[Arrival]| {
            arrivals.iter().filter(|arrival| arrival.acknowledged).map(|arrival| arrival.anonymous).collect()
        };
        let has =
            |(target, arrivals): (&'a String, &'a Vec<Arrival>)| (target.as_str(), acknowledged(arrivals));
        Self {
            evidence,
            sent: evidence.sent.iter().map(|sent| (sent.digest, sent)).collect(),
            by_content: evidence.sent.iter().enumerate().map(|(at, sent)| (sent.anonymous, at)).collect(),
            stored,
            has: evidence.received.iter().map(has).collect(),
        }
    }

    fn storing(&self, findings: &mut Findings) {
        for sent in &self.evidence.sent {
            let stored = self.stored.contains_key(&sent.digest);
            if sent.accepted && !stored {
                findings.add("acknowledged, but not stored byte for byte", &sent.control_id);
            }
            if sent.refused && !sent.accepted && stored {
                findings.add("refused, but stored as accepted", &sent.control_id);
            }
        }
        let mut owners: HashMap<&str, Digest> = HashMap::new();
        for (digest, ids) in &self.stored {
            let Some(sent) = self.sent.get(digest) else {
                findings.add("stored, but never sent (message ids)", ids.join("+"));
                continue;
            };
            if ids.len() > 1 {
                findings.add("stored under several message ids", &sent.control_id);
            }
            for id in ids {
                if owners.insert(id, *digest).is_some_and(|other| other != *digest) {
                    findings.add("one message id for different bytes", &sent.control_id);
                }
            }
        }
    }

    fn accounting(&self, findings: &mut Findings) {
        let known: HashSet<&str> = self.stored.values().flatten().copied().collect();
        for id in self.evidence.verdicts.keys() {
            if !known.contains(id.as_str()) && !self.evidence.refused.contains(id) {
                findings.add("the tracker tells of a message that is not stored (message ids)", id);
            }
        }
        for (digest, ids) in &self.stored {
            let Some(sent) = self.sent.get(digest) else { continue };
            for id in ids {
                let Some(verdict) = self.evidence.verdicts.get(*id) else {
                    findings.add("stored, but unknown to the tracker", &sent.control_id);
                    continue;
                };
                if !settled(&verdict.state) {
                    findings.add("stored, but not settled at the tracker", named(sent, &verdict.state));
                }
                if let Some(asked) = self.evidence.asked.get(*id)
                    && !is(asked, &verdict.state)
                {
                    findings.add("the tracker's API and its topic disagree", named(sent, asked));
                }
                self.compare(sent, verdict, findings);
            }
        }
        for id in &self.evidence.refused {
            if !self.evidence.verdicts.contains_key(id) {
                findings.add("refused, but unknown to the tracker (message ids)", id);
            }
        }
        for id in self.evidence.asked.keys() {
            if !self.evidence.verdicts.contains_key(id) {
                findings.add("the tracker's API knows a message that its topic does not (message ids)", id);
            }
        }
    }

    /// The tracker's word on each target against the receiver's own history.
    fn compare(&self, sent: &Sent, verdict: &Verdict, findings: &mut Findings) {
        for (target, has) in &self.has {
            let confirmed =
                verdict.lines.iter().any(|(name, outcome)| name == target && is(outcome, "CONFIRMED"));
            match (has.contains(&sent.anonymous), confirmed) {
                (false, true) => {
                    findings.add("confirmed, but the receiver does not have it", named(sent, target));
                }
                (true, false) => {
                    findings.add("the receiver has it, but it is not confirmed", named(sent, target));
                }
                _ => {}
            }
        }
    }

    fn delivering(&self, findings: &mut Findings) {
        for (target, arrivals) in &self.evidence.received {
            let mut first: HashMap<usize, &Arrival> = HashMap::new();
            let mut latest: HashMap<&str, usize> = HashMap::new();
            let mut control_ids: HashMap<&str, usize> = HashMap::new();
            for arrival in arrivals {
                let Some(&at) = self.by_content.get(&arrival.anonymous) else {
                    findings.add("received, but never sent (outbound control ids)", &arrival.control_id);
                    continue;
                };
                let sent = &self.evidence.sent[at];
                if !sent.targets.contains(target) {
                    findings.add("received by a target that its routing does not name", named(sent, target));
                }
                if *control_ids.entry(&arrival.control_id).or_insert(at) != at {
                    findings.add("one outbound control id for different messages", named(sent, target));
                }
                if let Some(earlier) = first.get(&at) {
                    if earlier.control_id != arrival.control_id || earlier.digest != arrival.digest {
                        findings.add("a repeat differs from the first delivery", named(sent, target));
                    }
                    continue;
                }
                first.insert(at, arrival);
                let latest = latest.entry(&sent.patient).or_insert(at);
                if *latest > at {
                    findings.add("delivered after a later message of the same patient", named(sent, target));
                }
                *latest = (*latest).max(at);
            }
            for (at, sent) in self.evidence.sent.iter().enumerate() {
                let due = sent.accepted || self.stored.contains_key(&sent.digest);
                if due && sent.targets.contains(target) && !first.contains_key(&at) {
                    findings.add("stored, but never delivered", named(sent, target));
                }
            }
        }
    }
}

fn named(sent: &Sent, detail: &str) -> String {
    let mut name = sent.control_id.clone();
    let _ = write!(name, "({})", detail.to_ascii_lowercase());
    name
}

/// The API spells symbols `no-destination`, the topic `NO_DESTINATION`.
fn is(text: &str, wanted: &str) -> bool {
    text.replace('-', "_").eq_ignore_ascii_case(&wanted.replace('-', "_"))
}

/// In these runs every target accepts everything: a message that is an exception or overdue when all has settled is
/// one that went wrong.
pub(crate) fn settled(state: &str) -> bool {
    is(state, "DELIVERED") || is(state, "NO_DESTINATION")
}
