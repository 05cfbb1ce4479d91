//! An audit that cannot fail proves nothing: each lie must be found.

use std::{collections::BTreeMap, time::Duration};

use time::OffsetDateTime;
use waybill_contracts::{EventId, MessageId};
use waybill_demo::{
    audit::{Audit, Plan},
    evidence::{Events, Evidence, Sent, Stored},
    messages::Letter,
};
use waybill_simulator::{
    generate::Kind,
    receive::Received,
    send::{Attempt, Fate, MessageRecord, Outgoing},
    sha256_hex,
};
use waybill_testkit::tracker::{Line, Waybill};

const MESSAGE: &[u8] = b"MSH|^~\\&|LIS|G|||1||ORU^R01|A1|P|2.5\rPID|1\rOBR|1\r";

fn ids() -> (MessageId, EventId) {
    let message = MessageId::derive("lis", "LIS|G", None, MESSAGE);
    (message, EventId::derive(message, "lab.result.v1", 0))
}

fn line(target: &str, outcome: &str) -> Line {
    Line {
        event_id: Some(ids().1.to_string()),
        topic: Some("lab.result.v1".into()),
        destination: Some(target.into()),
        outcome: outcome.into(),
        attempts: 1,
        reason_code: None,
    }
}

fn received(target: &str, bytes: &[u8]) -> Received {
    Received {
        number: 1,
        sha256: sha256_hex(bytes),
        control_id: ids().1.outbound_control_id(target),
        message_type: "ORU^R01".into(),
        at: OffsetDateTime::UNIX_EPOCH,
        connection: 1,
        action: "accept",
        ack: Some("AA".into()),
        taken: true,
        duplicate: false,
        bytes: Some(bytes.to_vec()),
    }
}

/// One result, accepted, stored, delivered to both targets.
fn truth() -> Evidence {
    let id = ids().0;
    let sha256 = sha256_hex(MESSAGE);
    let letter = Letter {
        feed: "lis",
        outgoing: Outgoing::new(MESSAGE.to_vec()),
        kind: Some(Kind::Result),
        filler_order: Some("F1".into()),
        released: true,
        resources: BTreeMap::new(),
    };
    let attempt = Attempt { at: Duration::ZERO, took: Duration::ZERO, result: "AA".into() };
    let record = MessageRecord {
        index: 0,
        control_id: "A1".into(),
        sha256: sha256.clone(),
        source: None,
        connection: 0,
        fate: Fate::Accepted,
        ack: Some("AA".into()),
        connect_failures: 0,
        attempts: vec![attempt],
    };
    let waybill = Waybill {
        message_id: id.to_string(),
        state: "DELIVERED".into(),
        lines: vec![line("portal", "CONFIRMED"), line("health", "CONFIRMED")],
        ..Waybill::default()
    };
    let at = |target: &str| {
        (
            target.to_owned(),
            vec![received(target, &String::from_utf8_lossy(MESSAGE).replace("A1", "XYZ").into_bytes())],
        )
    };
    Evidence {
        sent: vec![Sent { letter, record }],
        stored: vec![Stored { id, feed: "lis".into(), sha256, bytes: MESSAGE.to_vec() }],
        refused: Vec::new(),
        events: [(id, events())].into(),
        manifests: [(id, events())].into(),
        waybills: [(id, waybill)].into(),
        received: BTreeMap::from([at("portal"), at("health")]),
    }
}

fn events() -> Events {
    Events::from([("lab.result.v1".to_owned(), [ids().1].into())])
}

fn plan() -> Plan {
    Plan { portal: "portal".into(), public_health: "health".into(), refused_order: None }
}

fn findings(spoil: impl FnOnce(&mut Evidence)) -> Vec<String> {
    let mut evidence = truth();
    spoil(&mut evidence);
    Audit::of(&evidence, &plan()).findings
}

#[test]
fn the_truth_has_no_findings() {
    let audit = Audit::of(&truth(), &plan());
    assert_eq!(audit.findings, Vec::<String>::new());
    assert_eq!((audit.accepted, audit.confirmed["portal"], audit.confirmed["health"]), (1, 1, 1));
    assert_eq!(audit.delivered_example, Some(ids().0));
}

#[test]
fn every_lie_is_found() {
    fn waybill(evidence: &mut Evidence) -> &mut Waybill {
        evidence.waybills.values_mut().next().unwrap()
    }
    type Spoil = fn(&mut Evidence);
    let lies: [(Spoil, &str); 19] = [
        (|e| e.stored.clear(), "not in inbound.message"),
        (|e| e.stored[0].sha256 = "0".into(), "nobody sent these bytes"),
        (|e| e.sent[0].record.fate = Fate::GivenUp, "never answered"),
        (|e| e.sent[0].record.fate = Fate::Refused, "not in inbound.rejected"),
        (|e| e.waybills.clear(), "no waybill"),
        (|e| e.manifests.clear(), "no manifest"),
        (|e| e.events.clear(), "other events than its manifest names"),
        (|e| e.manifests.values_mut().for_each(Events::clear), "other events than its manifest names"),
        (|e| e.events.clear(), "has become 0 of lab.result.v1 instead of 1"),
        (|e| e.sent[0].letter.kind = Some(Kind::NoDestination), "has become 1 of lab.result.v1 instead of 0"),
        (
            |e| {
                e.sent[0].letter.kind = Some(Kind::Bundle);
                e.sent[0].letter.resources =
                    [("DiagnosticReport", 1), ("Claim", 1), ("ChargeItem", 1)].into();
            },
            "has become 0 of billing.charge.v1 instead of 2",
        ),
        (|e| waybill(e).state = "OPEN".into(), "open"),
        (|e| waybill(e).state = "NO_DESTINATION".into(), "instead of delivered"),
        (|e| drop(waybill(e).lines.pop()), "no line for health"),
        (|e| waybill(e).lines[0].outcome = "UNKNOWN".into(), "unknown at portal"),
        (|e| waybill(e).lines[0].outcome = "REJECTED".into(), "rejected, but portal has it"),
        (|e| e.received.get_mut("portal").unwrap().clear(), "portal does not have it"),
        (
            |e| e.received.get_mut("portal").unwrap()[0].bytes = Some(b"MSH|^~\\&|L\rPID|2\r".to_vec()),
            "other content",
        ),
        (
            |e| {
                let mut foreign = received("portal", MESSAGE);
                foreign.control_id = "NOBODY".into();
                e.received.get_mut("portal").unwrap().push(foreign);
            },
            "no line says so",
        ),
    ];
    for (spoil, wanted) in lies {
        let found = findings(spoil);
        assert!(found.iter().any(|finding| finding.contains(wanted)), "{wanted:?} is not in {found:?}");
    }
}
