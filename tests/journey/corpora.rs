//! The public sample messages, over MLLP: every one answered, every accepted one in Kafka byte for byte, every refused
//! one on record, every waybill closed.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use waybill_contracts::inbound::{InboundMessage, InboundRejected};
use waybill_demo::{
    evidence::{Evidence, Sent},
    messages::Letter,
    scene::{self, Receivers},
    screen::Screen,
};
use waybill_simulator::send::{CancellationToken, Fate, Outgoing, SendConfig, SendReport, Sender};
use waybill_testkit::{Installation, Stack, Unit, corpora, eventually, pending, tracker::Waybill};

use crate::{SOON, installation, mllp};

#[tokio::test(flavor = "multi_thread")]
async fn every_sample_is_answered_stored_and_closed() {
    let Some(stack) = Stack::require().await else { return };
    let samples = corpora::hl7v2().unwrap();
    if samples.is_empty() {
        return;
    }
    let receivers = Receivers::start(None).await.unwrap();
    // A few samples ask for no answer (MSH-15 and MSH-16); here each is answered, so that each can be checked.
    let answering = ["feed.0.ack.mode", "feed.1.ack.mode"]
        .into_iter()
        .fold(installation(&stack, &receivers), |builder, key| builder.set(Unit::EhrIngest, key, "original"));
    let waybill = answering.start().await.unwrap();

    // As they lie on disk: LF line ends, byte order marks, several messages and batches in one frame.
    let files: Vec<_> = samples
        .iter()
        .map(|sample| Outgoing::new(sample.bytes.clone()).from_file(sample.name.clone()))
        .collect();
    // As a sender would write them: CR, one message per frame.
    let folder = corpora::folder("hl7v2").unwrap();
    let messages: Vec<_> = waybill_simulator::folder::read(&folder, true)
        .unwrap()
        .into_iter()
        .filter(|m| has_header(&m.bytes) && !m.is_fhir())
        .collect();
    assert!(files.len() > 200 && messages.len() > 400, "{} files, {} messages", files.len(), messages.len());
    let (files, headless): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| has_header(&file.bytes));

    // To a response no answer is due.
    let (responses, files): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| is_response(&file.bytes));
    let messages: Vec<_> = messages.into_iter().filter(|message| !is_response(&message.bytes)).collect();

    let mut sent = answered(&waybill, "ehr", files).await;
    sent.extend(answered(&waybill, "lis", messages).await);
    unanswered(&waybill, &responses).await;
    let evidence = scene::settle(&waybill, &receivers, sent, &mut Screen::default()).await.unwrap();

    judge(&evidence);
    without_a_header(&waybill, &headless).await;
    answers_are_on_record(&waybill, &evidence).await;
    let balance = waybill.tracker().balance().await.unwrap();
    assert!(balance.balanced && balance.open() == 0, "{balance:?}\n{}", waybill.tails());
}

/// Whether there is a header that an answer could be made from: MSH, a separator, encoding characters.
fn has_header(file: &[u8]) -> bool {
    file.windows(5)
        .any(|window| window.starts_with(b"MSH") && window[3..].iter().all(u8::is_ascii_punctuation))
}

/// Whether it answers something: an acknowledgement, or a reply with MSA.
fn is_response(message: &[u8]) -> bool {
    message.windows(5).any(|window| matches!(window[0], b'\r' | b'\n') && window[1..].starts_with(b"MSA|"))
        || message.windows(5).any(|window| window == b"|ACK|" || window == b"|ACK^")
}

/// Responses get no answer, and what comes behind them on the same connection does.
async fn unanswered(waybill: &Installation, responses: &[Outgoing]) {
    assert!(!responses.is_empty());
    for response in responses {
        let behind = mllp::result(&format!("BEHIND{}", waybill.namespace()));
        let both = [&response.bytes[..], b"\x1c\r\x0b", &behind].concat();
        let answer = mllp::ask(waybill.mllp("ehr").unwrap(), &both, SOON).await.unwrap();
        assert!(answer.contains("|BEHIND"), "{:?} was answered: {answer}", response.source);
    }
}

/// Nothing that an acknowledgement could be made of: the connection is closed, and that the bytes came is on record.
async fn without_a_header(waybill: &Installation, files: &[Outgoing]) {
    assert_eq!(files.len(), 2, "files without a header");
    for file in files {
        let answer = mllp::ask(waybill.mllp("ehr").unwrap(), &file.bytes, SOON).await;
        assert!(
            answer.is_err_and(|error| error.to_string().contains("closed")),
            "{:?} was answered",
            file.source
        );
        let tracker = waybill.tracker();
        eventually("the refusal is on record", SOON, async || {
            let refused = waybill.topics().decoded::<InboundRejected>("inbound.rejected.v1").await?;
            let found =
                refused.iter().find(|(_, one)| one.body.bytes().is_ok_and(|bytes| bytes == file.bytes));
            let Some((_, found)) = found else { return pending("not in inbound.rejected") };
            match tracker.message(found.message_id).await? {
                Some(waybill) if waybill.state() == "refused" => Ok(()),
                other => pending(format!("{other:?}")),
            }
        })
        .await
        .unwrap();
    }
}

/// Sends all; each must be answered at the first attempt, with its own control id.
async fn answered(waybill: &Installation, feed: &'static str, outgoing: Vec<Outgoing>) -> Vec<Sent> {
    let config = SendConfig {
        connections: 4,
        give_up_after: Duration::from_secs(20),
        ..SendConfig::to(waybill.mllp(feed).unwrap().to_string())
    };
    let letters: Vec<_> = outgoing.iter().map(|outgoing| Letter::unknown(feed, outgoing.clone())).collect();
    let report: SendReport = Sender::new(config).run(outgoing, CancellationToken::new()).await;
    let mut wrong = Vec::new();
    for record in &report.records {
        let right = matches!(record.fate, Fate::Accepted | Fate::Refused) && record.attempts.len() == 1;
        if !right {
            let results: Vec<_> = record.attempts.iter().map(|attempt| attempt.result.as_str()).collect();
            wrong.push(format!("{:?}: {:?} after {results:?}", record.source, record.fate));
        }
    }
    assert!(wrong.is_empty(), "{} of {}: {wrong:#?}\n{}", wrong.len(), report.records.len(), waybill.tails());
    report.records.into_iter().map(|record| Sent { letter: letters[record.index].clone(), record }).collect()
}

/// Whether all messages of a file that holds several are in Kafka, each with a closed waybill.
fn is_all_of(sent: &Sent, evidence: &Evidence) -> bool {
    let mut rest = sent.letter.outgoing.bytes.clone();
    let known = evidence.stored.iter().chain(&evidence.refused);
    for part in known.filter(|part| part.feed == sent.letter.feed && !part.bytes.is_empty()) {
        let found = rest.windows(part.bytes.len()).position(|window| window == part.bytes);
        let is_settled = evidence.waybills.get(&part.id).is_some_and(Waybill::is_settled);
        if let (Some(at), true) = (found, is_settled) {
            rest.drain(at..at + part.bytes.len());
        }
    }
    // What is left belongs to no message: the segments of the batch, and blank lines.
    let mut left = rest.split(|byte| matches!(byte, b'\r' | b'\n')).filter(|line| !line.is_empty());
    left.all(|line| [&b"FHS"[..], b"BHS", b"BTS", b"FTS"].iter().any(|name| line.starts_with(name)))
}

/// Byte for byte in Kafka, and a closed waybill.
fn judge(evidence: &Evidence) {
    let index = |stored: &'_ [waybill_demo::evidence::Stored]| -> HashMap<(String, String), _> {
        stored.iter().map(|stored| ((stored.feed.clone(), stored.sha256.clone()), stored.clone())).collect()
    };
    let (stored, refused) = (index(&evidence.stored), index(&evidence.refused));
    let (mut wrong, mut states) = (Vec::new(), BTreeMap::<String, usize>::new());
    for sent in &evidence.sent {
        let key = (sent.letter.feed.to_owned(), sent.record.sha256.clone());
        let found = if sent.is_accepted() { stored.get(&key) } else { refused.get(&key) };
        let Some(found) = found else {
            // A batch, or several messages in one frame: each is a message of its own.
            if sent.is_accepted() && is_all_of(sent, evidence) {
                *states.entry("in parts".to_owned()).or_default() += 1;
                continue;
            }
            wrong.push(format!("{} answered {:?}, not in Kafka", sent.name(), sent.record.ack));
            continue;
        };
        if found.bytes != sent.letter.outgoing.bytes {
            wrong.push(format!("{}: other bytes in Kafka", sent.name()));
        }
        match evidence.waybills.get(&found.id) {
            Some(waybill) if waybill.is_settled() => *states.entry(waybill.state()).or_default() += 1,
            Some(waybill) => wrong.push(format!("{}: waybill is {}", sent.name(), waybill.state())),
            None => wrong.push(format!("{}: no waybill", sent.name())),
        }
    }
    assert!(wrong.is_empty(), "{} wrong: {wrong:#?}", wrong.len());
    println!("{} messages, by state: {states:?}", evidence.sent.len());
    assert!(states.contains_key("delivered") && states.contains_key("no-destination"), "{states:?}");
}

/// The code that the sender got is the one in the record.
async fn answers_are_on_record(waybill: &Installation, evidence: &Evidence) {
    let (mut codes, mut reasons) = (HashMap::new(), BTreeMap::<String, usize>::new());
    let topics = waybill.topics();
    for (_, message) in topics.decoded::<InboundMessage>("inbound.message.v1").await.unwrap() {
        codes.insert(message.message_id, message.ack_code);
    }
    for (_, message) in topics.decoded::<InboundRejected>("inbound.rejected.v1").await.unwrap() {
        assert!(!message.reason_code.is_empty());
        *reasons.entry(message.reason_code).or_default() += 1;
        codes.insert(message.message_id, message.ack_code);
    }
    println!("refused, by reason: {reasons:?}");
    for sent in &evidence.sent {
        let known = evidence.stored.iter().chain(&evidence.refused);
        let id = known
            .filter(|stored| stored.feed == sent.letter.feed && stored.sha256 == sent.record.sha256)
            .map(|stored| stored.id)
            .next();
        // Of a file in parts each part has an answer of its own.
        let Some(id) = id else { continue };
        assert_eq!(Some(&codes[&id]), sent.record.ack.as_ref(), "{}", sent.name());
    }
}
