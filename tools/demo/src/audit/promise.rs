//! What each sort of message promises: its end, and the events it becomes.

use std::collections::{BTreeMap, BTreeSet};

use waybill_simulator::generate::Kind;
use waybill_testkit::tracker::Waybill;

use super::Plan;
use crate::evidence::{Events, Sent};

/// Topics without namespace.
const PATIENT: &str = "clinical.patient.v1";
const ENCOUNTER: &str = "clinical.encounter.v1";
const APPOINTMENT: &str = "clinical.appointment.v1";
const ORDER: &str = "lab.order.v1";
const RESULT: &str = "lab.result.v1";
const CHARGE: &str = "billing.charge.v1";

/// What of a settled message is not as its sort promised.
pub(super) fn broken(sent: &Sent, waybill: &Waybill, events: Option<&Events>, plan: &Plan) -> Vec<String> {
    let Some(kind) = sent.letter.kind else { return Vec::new() };
    let mut broken = Vec::new();
    let state = waybill.state();
    let refused = plan.refused_order.is_some()
        && plan.refused_order == sent.letter.filler_order
        && sent.letter.released;
    let wanted: &[&str] = match kind {
        Kind::Result if refused => &["exception"],
        Kind::Result => &["delivered"],
        // Whether anybody subscribes to these is not the sender's business.
        Kind::Adt | Kind::Appointment | Kind::Order | Kind::Charge | Kind::Bundle => {
            &["no-destination", "delivered"]
        }
        Kind::NoDestination => &["no-destination"],
        Kind::MissingControlId | Kind::MissingPatient | Kind::BrokenBundle => &["refused"],
    };
    if !wanted.contains(&state.as_str()) {
        broken.push(format!("is {state} instead of {}", wanted.join(" or ")));
    } else if kind == Kind::Result {
        let mut targets = vec![&plan.portal];
        targets.extend(sent.letter.released.then_some(&plan.public_health));
        let missing = targets.into_iter().find(|target| waybill.line(target).is_none());
        broken.extend(missing.map(|target| format!("has no line for {target}")));
    }
    let count = |topic: &str| events.and_then(|events| events.get(topic)).map_or(0, BTreeSet::len);
    let promised = promised(sent, kind);
    for topic in [PATIENT, ENCOUNTER, APPOINTMENT, ORDER, RESULT, CHARGE] {
        let wanted = promised.get(topic).copied().unwrap_or(0);
        let found = count(topic);
        // A visit, and the other record of a merge, come on top.
        let may_be_more = kind == Kind::Adt && matches!(topic, PATIENT | ENCOUNTER);
        if found < wanted || (found > wanted && !may_be_more) {
            broken.push(format!("has become {found} of {topic} instead of {wanted}"));
        }
    }
    broken
}

fn promised(sent: &Sent, kind: Kind) -> BTreeMap<&'static str, usize> {
    let one = |topic| BTreeMap::from([(topic, 1)]);
    match kind {
        Kind::Adt => one(PATIENT),
        Kind::Appointment => one(APPOINTMENT),
        Kind::Order => one(ORDER),
        Kind::Charge => one(CHARGE),
        Kind::Result => one(RESULT),
        Kind::Bundle => {
            let mut promised = BTreeMap::new();
            for (resource, count) in &sent.letter.resources {
                let topic = match *resource {
                    "Patient" => PATIENT,
                    "Encounter" => ENCOUNTER,
                    "Appointment" => APPOINTMENT,
                    "ServiceRequest" => ORDER,
                    "DiagnosticReport" => RESULT,
                    "Claim" | "ChargeItem" => CHARGE,
                    // Part of the event of what it belongs to.
                    _ => continue,
                };
                *promised.entry(topic).or_default() += count;
            }
            promised
        }
        Kind::NoDestination | Kind::MissingControlId | Kind::MissingPatient | Kind::BrokenBundle => {
            BTreeMap::new()
        }
    }
}
