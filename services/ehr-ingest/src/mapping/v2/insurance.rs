//! IN1, IN2, IN3 and GT1: who pays.

use smol_str::SmolStr;
use waybill_contracts::{
    clinical::{Coverage, Guarantor},
    fhir::{ContactPoint, Identifier},
};
use waybill_hl7v2::{Field, Segment};

use super::{
    codes,
    datatypes::{Reading, code, concept, date, date_time, identifier, identifiers, leaf, period, phi},
    encounter::number,
    group::named,
    people::{addresses, name, names, telecoms},
};

/// One coverage per IN1, with the IN2 and IN3 that follow it.
pub(super) fn coverages(segments: &[Segment<'_>], reading: &Reading) -> Vec<Coverage> {
    let mut found: Vec<Coverage> = Vec::new();
    for segment in segments {
        match (segment.name(), found.last_mut()) {
            (b"IN1", _) => found.push(coverage(segment, reading)),
            (b"IN2", Some(last)) => add_in2(last, segment, reading),
            (b"IN3", Some(last)) if last.authorization.is_none() => {
                // Certification number; IN1-14 goes before it.
                last.authorization = id(&segment.field(2), reading);
            }
            _ => {}
        }
    }
    // `IN1|""` says that there is none (HL7 v2 §2.9.4.1); so does an empty one.
    found.retain(|coverage| *coverage != Coverage::default());
    found
}

/// The first leaf of a field: CX, XON and the like.
fn id(field: &Field<'_>, reading: &Reading) -> Option<waybill_contracts::Phi<SmolStr>> {
    phi(&leaf(&field.repetition(1), 1), reading)
}

/// IN1-17, GT1-11.
fn relationship(field: &Field<'_>, reading: &Reading) -> Option<SmolStr> {
    Some(codes::relationship(&code(field, reading)?).into())
}

fn coverage(in1: &Segment<'_>, reading: &Reading) -> Coverage {
    let field = |number| in1.field(number);
    let coverage = Coverage {
        order: None,
        plan_id: concept(&field(2).repetition(1), reading),
        payer_id: code(&field(3), reading),
        payer_name: code(&field(4), reading),
        payer_address: addresses(&field(5), reading).into_iter().next(),
        payer_telecom: payer_telecoms(&field(7), reading),
        group: id(&field(8), reading),
        group_name: id(&field(9), reading),
        period: period(date_time(&field(12), reading), date_time(&field(13), reading)),
        authorization: id(&field(14), reading),
        r#type: concept(&field(15).repetition(1), reading),
        subscriber_name: name(&field(16).repetition(1), reading),
        relationship: relationship(&field(17), reading),
        subscriber_birth_date: date(&field(18)),
        subscriber_address: addresses(&field(19), reading).into_iter().next(),
        assignment_of_benefits: code(&field(20), reading),
        release_of_information: code(&field(27), reading),
        subscriber_id: id(&field(36), reading),
        subscriber_gender: code(&field(43), reading).map(|code| SmolStr::new_static(codes::gender(&code))),
        member_id: id(&field(49), reading),
        identifier: Vec::new(),
        status: None,
    };
    if coverage == Coverage::default() {
        return coverage;
    }
    let order = number(&field(22), reading).or_else(|| number(&field(1), reading));
    Coverage { order, ..coverage }
}

/// IN2: the patient's member number (61), the Medicare (6) and Medicaid (8) cards, the relationship (72).
fn add_in2(coverage: &mut Coverage, in2: &Segment<'_>, reading: &Reading) {
    let number = |field: usize, kind| identifier(&in2.field(field).repetition(1), Some(kind), None, reading);
    let cards: Vec<Identifier> = [number(6, "MC"), number(8, "MA")].into_iter().flatten().collect();
    if coverage.member_id.is_none() {
        let member = id(&in2.field(61), reading);
        // A card is of Medicare or Medicaid, and sent with each coverage: where the policy has a number (IN1-36), it is
        // of another one.
        let card = cards.first().filter(|_| coverage.subscriber_id.is_none());
        coverage.member_id = member.or_else(|| card.map(|card| card.value.clone()));
    }
    coverage.identifier.extend(cards);
    if coverage.relationship.is_none() {
        let sent = code(&in2.field(72), reading);
        coverage.relationship = sent.and_then(|code| codes::insured_relationship(&code).map(SmolStr::from));
    }
}

/// GT1, one guarantor each.
pub(super) fn guarantors(segments: &[Segment<'_>], reading: &Reading) -> Vec<Guarantor> {
    let guarantor = |gt1: &Segment<'_>| Guarantor {
        identifier: identifiers(&gt1.field(2), None, None, reading),
        name: names(&gt1.field(3), reading),
        address: addresses(&gt1.field(5), reading),
        telecom: telecoms(&gt1.field(6), Some(&gt1.field(7)), reading),
        relationship: relationship(&gt1.field(11), reading),
    };
    let mut found: Vec<Guarantor> = named(segments, b"GT1").map(guarantor).collect();
    found.retain(|guarantor| *guarantor != Guarantor::default());
    found
}

/// XTN of an organization: never a home number.
fn payer_telecoms(field: &Field<'_>, reading: &Reading) -> Vec<ContactPoint> {
    let mut found = telecoms(field, None, reading);
    for telecom in found.iter_mut().filter(|telecom| telecom.r#use.as_deref() == Some("home")) {
        telecom.r#use = Some(SmolStr::new_static("work"));
    }
    found
}
