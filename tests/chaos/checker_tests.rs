//! A referee that cannot say no is worth nothing: every property, broken once.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::checker::{Arrival, Counts, Evidence, Sent, Stored, Verdict, anonymous, count, digest, judge};

fn message(control_id: &str, body: &str) -> Vec<u8> {
    format!("MSH|^~\\&|LIS|LAB|HUB|HUB|20261102||ORU^R01|{control_id}|P|2.5.1\r{body}\r").into_bytes()
}

fn sent(control_id: &str, patient: &str, targets: &[&str]) -> Sent {
    let bytes = message(control_id, &format!("PID|{patient}|{control_id}"));
    Sent {
        control_id: control_id.to_owned(),
        digest: digest(&bytes),
        anonymous: anonymous(&bytes),
        patient: patient.to_owned(),
        targets: targets.iter().map(|target| (*target).to_owned()).collect(),
        accepted: true,
        refused: false,
    }
}

fn arrival(sent: &Sent) -> Arrival {
    let outbound = format!("OUT{}", sent.control_id);
    let digest = digest(outbound.as_bytes());
    Arrival { control_id: outbound, digest, anonymous: sent.anonymous, acknowledged: true }
}

fn verdict(state: &str, targets: &[&str]) -> Verdict {
    let lines = targets.iter().map(|target| ((*target).to_owned(), "CONFIRMED".to_owned())).collect();
    Verdict { state: state.to_owned(), lines }
}

/// R1 and R2 of one patient go to the portal, R2 also to the registry and twice; A1 goes nowhere; B1 was refused; U1
/// was never answered and not stored.
fn healthy() -> Evidence {
    let (r1, r2) = (sent("R1", "p", &["portal"]), sent("R2", "p", &["portal", "registry"]));
    let a1 = sent("A1", "q", &[]);
    let b1 = Sent { accepted: false, refused: true, ..sent("B1", "q", &[]) };
    let u1 = Sent { accepted: false, ..sent("U1", "p", &["portal"]) };
    let stored = [(&r1, "id-r1"), (&r2, "id-r2"), (&a1, "id-a1"), (&r2, "id-r2")];
    Evidence {
        stored: stored
            .iter()
            .map(|(s, id)| Stored { message_id: (*id).to_owned(), digest: s.digest })
            .collect(),
        refused: HashSet::from(["id-b1".to_owned()]),
        received: BTreeMap::from([
            ("portal".to_owned(), vec![arrival(&r1), arrival(&r2), arrival(&r2)]),
            ("registry".to_owned(), vec![arrival(&r2)]),
        ]),
        verdicts: HashMap::from([
            ("id-r1".to_owned(), verdict("DELIVERED", &["portal"])),
            ("id-r2".to_owned(), verdict("DELIVERED", &["portal", "registry"])),
            ("id-a1".to_owned(), verdict("NO_DESTINATION", &[])),
            ("id-b1".to_owned(), verdict("REFUSED", &[])),
        ]),
        asked: HashMap::from([("id-r1".to_owned(), "delivered".to_owned())]),
        sent: vec![r1, r2, a1, b1, u1],
    }
}

/// The findings after a change, as `property: subjects`.
fn broken(change: impl FnOnce(&mut Evidence)) -> Vec<String> {
    let mut evidence = healthy();
    change(&mut evidence);
    judge(&evidence).iter().map(ToString::to_string).collect()
}

fn says(change: impl FnOnce(&mut Evidence), expected: &str) {
    let findings = broken(change);
    assert!(
        findings.iter().any(|finding| finding.contains(expected)),
        "{expected:?} is not among {findings:#?}"
    );
}

#[test]
fn a_healthy_run_has_no_findings() {
    assert_eq!(broken(|_| {}), Vec::<String>::new());
    let expected = Counts {
        sent: 5,
        accepted: 3,
        refused: 1,
        unanswered: 1,
        unanswered_but_stored: 0,
        stored_records: 4,
        stored_messages: 3,
        deliveries: 4,
        repeats: 1,
    };
    assert_eq!(count(&healthy()), expected);
}

#[test]
fn every_loss_and_forgery_is_found() {
    says(
        |e| e.stored.retain(|s| s.message_id != "id-a1"),
        "acknowledged, but not stored byte for byte: 1 message(s): A1",
    );
    says(|e| e.stored[0].digest[0] ^= 1, "acknowledged, but not stored byte for byte: 1 message(s): R1");
    says(|e| e.stored[0].digest[0] ^= 1, "stored, but never sent");
    says(
        |e| {
            e.sent[2].refused = true;
            e.sent[2].accepted = false;
        },
        "refused, but stored as accepted: 1 message(s): A1",
    );
    says(
        |e| e.stored[3].message_id = "id-x".to_owned(),
        "stored under several message ids: 1 message(s): R2",
    );
    says(|e| e.stored[0].message_id = "id-r2".to_owned(), "one message id for different bytes");
    says(|e| drop(e.verdicts.remove("id-a1")), "stored, but unknown to the tracker: 1 message(s): A1");
    says(
        |e| drop(e.verdicts.insert("id-a1".to_owned(), verdict("OVERDUE", &[]))),
        "stored, but not settled at the tracker: 1 message(s): A1(overdue)",
    );
    says(
        |e| drop(e.verdicts.insert("id-x".to_owned(), verdict("DELIVERED", &[]))),
        "a message that is not stored",
    );
    says(
        |e| drop(e.verdicts.remove("id-b1")),
        "refused, but unknown to the tracker (message ids): 1 message(s): id-b1",
    );
    says(|e| drop(e.asked.insert("id-r1".to_owned(), "open".to_owned())), "API and its topic disagree");
}

#[test]
fn every_false_delivery_is_found() {
    let portal =
        |e: &mut Evidence, change: fn(&mut Vec<Arrival>)| change(e.received.get_mut("portal").unwrap());
    says(|e| portal(e, |a| drop(a.remove(0))), "stored, but never delivered: 1 message(s): R1(portal)");
    says(
        |e| portal(e, |a| drop(a.remove(0))),
        "confirmed, but the receiver does not have it: 1 message(s): R1(portal)",
    );
    says(|e| portal(e, |a| a[0].acknowledged = false), "confirmed, but the receiver does not have it");
    says(
        |e| e.verdicts.get_mut("id-r1").unwrap().lines.clear(),
        "the receiver has it, but it is not confirmed",
    );
    says(
        |e| portal(e, |a| a.swap(0, 1)),
        "after a later message of the same patient: 1 message(s): R1(portal)",
    );
    says(|e| portal(e, |a| a[2].control_id.push('x')), "a repeat differs from the first delivery");
    says(|e| portal(e, |a| a[2].digest[0] ^= 1), "a repeat differs from the first delivery");
    says(
        |e| portal(e, |a| a[1].control_id = a[0].control_id.clone()),
        "one outbound control id for different messages",
    );
    says(|e| portal(e, |a| a[0].anonymous[0] ^= 1), "received, but never sent");
    says(
        |e| {
            let stray = e.received["portal"][0].clone();
            e.received.get_mut("registry").unwrap().push(stray);
        },
        "by a target that its routing does not name: 1 message(s): R1(registry)",
    );
    // Stored without an answer to the sender is allowed, but then it is owed to its targets.
    says(
        |e| {
            let digest = e.sent[4].digest;
            e.stored.push(Stored { message_id: "id-u1".to_owned(), digest });
        },
        "stored, but never delivered: 1 message(s): U1(portal)",
    );
}
