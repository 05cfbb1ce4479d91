//! Coverages, with payer and subscriber spelled out, and who pays the rest.

use smol_str::SmolStr;
use waybill_contracts::{Phi, clinical, fhir};
use waybill_fhir::{
    resources::{
        Account, Claim, ClaimInsurance, Coverage, ExplanationOfBenefit, Organization, Patient, RelatedPerson,
        Resource,
    },
    types::Reference,
};

use super::{
    content::{Content, Found},
    datatypes::{
        address, addresses, code, identifiers, name, names, of_kind, opt_concept, period, phi, telecoms, text,
    },
    identity::Identity,
    people,
};

/// Coverages of an encounter: those of its account in their order, else the patient's, else those of its claims.
pub(super) fn of_encounter(
    content: &Content<'_, '_>,
    at: usize,
    who: &Identity,
    account: Option<&(Account<'_>, usize)>,
) -> Vec<clinical::Coverage> {
    let of_account = account.map(|(account, from)| {
        let listed = account.coverage.iter().filter_map(|listed| {
            let coverage = referred(content, *from, listed.coverage.as_ref()?)?;
            Some(clinical::Coverage { order: listed.priority.or(coverage.order), ..coverage })
        });
        listed.collect::<Vec<_>>()
    });
    let mut coverages = of_account.unwrap_or_default();
    if coverages.is_empty() {
        coverages = of_patient(content, who);
    }
    if coverages.is_empty() {
        for claim in content.claims.get(&at).into_iter().flatten() {
            let read = content.at(*claim).and_then(|found| found.read::<Claim<'_>>());
            for coverage in read.map(|read| of_claim(content, *claim, &read.insurance)).unwrap_or_default() {
                if !coverages.contains(&coverage) {
                    coverages.push(coverage);
                }
            }
        }
    }
    coverages
}

/// The Coverage resources of a patient.
pub(super) fn of_patient(content: &Content<'_, '_>, who: &Identity) -> Vec<clinical::Coverage> {
    let coverages = content.coverages.get(who).into_iter().flatten();
    coverages.filter_map(|at| coverage(content, content.at(*at)?)).collect()
}

/// Coverages of a claim; where it only names them, those that its explanation of benefit contains (as Synthea has it).
pub(super) fn of_claim(
    content: &Content<'_, '_>,
    at: usize,
    insurance: &[ClaimInsurance<'_>],
) -> Vec<clinical::Coverage> {
    let one = |(place, insurance): (usize, &ClaimInsurance<'_>)| {
        let reference = insurance.coverage.as_ref()?;
        let direct = content.find(at, reference).and_then(|found| coverage(content, found));
        let explained = || explained(content, at, place);
        let mut coverage = direct.or_else(explained).or_else(|| referred(content, at, reference))?;
        coverage.order = coverage.order.or(insurance.sequence);
        coverage.authorization =
            insurance.pre_auth_ref.iter().flatten().next().map(|number| Phi::from(&**number));
        Some(coverage)
    };
    insurance.iter().enumerate().filter_map(one).collect()
}

fn explained(content: &Content<'_, '_>, claim: usize, place: usize) -> Option<clinical::Coverage> {
    content.explanations.get(&claim)?.iter().find_map(|at| {
        let explanation: ExplanationOfBenefit<'_> = content.at(*at)?.read()?;
        let reference = explanation.insurance.get(place)?.coverage.as_ref()?;
        coverage(content, content.find(*at, reference)?)
    })
}

/// The coverage that a reference leads to; by its text alone where it leads nowhere.
pub(super) fn referred(
    content: &Content<'_, '_>,
    from: usize,
    reference: &Reference<'_>,
) -> Option<clinical::Coverage> {
    if let Some(found) = content.find(from, reference) {
        return coverage(content, found);
    }
    let identifier: Vec<_> = people::identifier_in(reference).into_iter().collect();
    let payer_name = text(&reference.display);
    (payer_name.is_some() || !identifier.is_empty()).then(|| clinical::Coverage {
        identifier,
        payer_name,
        ..clinical::Coverage::default()
    })
}

/// A Coverage resource.
fn coverage(content: &Content<'_, '_>, found: Found<'_>) -> Option<clinical::Coverage> {
    let read: Coverage<'_> = found.read()?;
    let payer = read.payor.first();
    let (payer_id, payer_name) =
        payer.map(|payer| people::organization(content, found.from, payer)).unwrap_or_default();
    let organization: Option<Organization<'_>> = content.read(found.from, payer);
    let class =
        |kind: &str| read.class.iter().find(|class| code(class.r#type.as_ref()).as_deref() == Some(kind));
    let (group, plan) = (class("group"), class("plan"));
    let own = identifiers(&read.identifier);
    let plan_id = plan.map(|plan| fhir::CodeableConcept {
        coding: vec![fhir::Coding { system: None, code: text(&plan.value), display: text(&plan.name) }],
        text: text(&plan.name),
    });
    let who = read.subscriber.as_ref().or(read.policy_holder.as_ref());
    let subscriber = who.and_then(|who| subscriber(content, found.from, who)).unwrap_or_default();
    Some(clinical::Coverage {
        order: read.order,
        plan_id,
        payer_id: payer_id.map(|id| id.value.into_exposed()),
        payer_name,
        group: group.and_then(|group| phi(&group.value)),
        group_name: group.and_then(|group| phi(&group.name)),
        subscriber_id: phi(&read.subscriber_id),
        member_id: of_kind(&own, "MB").map(|id| id.value),
        relationship: code(read.relationship.as_ref()),
        subscriber_name: subscriber.name,
        subscriber_birth_date: subscriber.birth_date,
        subscriber_gender: subscriber.gender,
        subscriber_address: subscriber.address,
        period: period(read.period.as_ref()),
        identifier: own,
        status: text(&read.status),
        r#type: opt_concept(read.r#type.as_ref()),
        payer_address: organization.as_ref().and_then(|payer| payer.address.first().map(address)),
        payer_telecom: organization.map(|payer| telecoms(&payer.telecom)).unwrap_or_default(),
        ..clinical::Coverage::default()
    })
}

#[derive(Default)]
struct Subscriber {
    name: Option<fhir::HumanName>,
    birth_date: Option<Phi<SmolStr>>,
    gender: Option<SmolStr>,
    address: Option<fhir::Address>,
}

fn subscriber(content: &Content<'_, '_>, from: usize, reference: &Reference<'_>) -> Option<Subscriber> {
    let Some(found) = content.find(from, reference) else {
        let name = phi(&reference.display)?;
        let name = fhir::HumanName { family: Some(name), ..fhir::HumanName::default() };
        return Some(Subscriber { name: Some(name), ..Subscriber::default() });
    };
    let date = |date: Option<&waybill_fhir::date::Date<'_>>| date.map(|date| Phi::from(date.as_str()));
    if found.resource_type == Patient::TYPE {
        let patient: Patient<'_> = found.read()?;
        return Some(Subscriber {
            name: patient.name.first().map(name),
            birth_date: date(patient.birth_date.as_ref()),
            gender: text(&patient.gender),
            address: patient.address.first().map(address),
        });
    }
    let person: RelatedPerson<'_> = found.read()?;
    Some(Subscriber {
        name: person.name.first().map(name),
        birth_date: date(person.birth_date.as_ref()),
        gender: text(&person.gender),
        address: person.address.first().map(address),
    })
}

/// Account.guarantor: a person or an organization.
pub(super) fn guarantors(
    content: &Content<'_, '_>,
    from: usize,
    account: &Account<'_>,
) -> Vec<clinical::Guarantor> {
    let parties = account.guarantor.iter().filter_map(|guarantor| guarantor.party.as_ref());
    parties.filter_map(|party| guarantor(content, from, party)).collect()
}

fn guarantor(content: &Content<'_, '_>, from: usize, party: &Reference<'_>) -> Option<clinical::Guarantor> {
    let whole = |family: Option<Phi<SmolStr>>| {
        let name =
            family.map(|family| fhir::HumanName { family: Some(family), ..fhir::HumanName::default() });
        name.into_iter().collect::<Vec<_>>()
    };
    let Some(found) = content.find(from, party) else {
        let guarantor = clinical::Guarantor {
            identifier: people::identifier_in(party).into_iter().collect(),
            name: whole(phi(&party.display)),
            ..clinical::Guarantor::default()
        };
        return (guarantor != clinical::Guarantor::default()).then_some(guarantor);
    };
    match found.resource_type {
        Patient::TYPE => found.read::<Patient<'_>>().map(|read| clinical::Guarantor {
            identifier: identifiers(&read.identifier),
            name: names(&read.name),
            address: addresses(&read.address),
            telecom: telecoms(&read.telecom),
            relationship: Some(SmolStr::new_static("self")),
        }),
        Organization::TYPE => found.read::<Organization<'_>>().map(|read| clinical::Guarantor {
            identifier: identifiers(&read.identifier),
            name: whole(phi(&read.name)),
            address: addresses(&read.address),
            telecom: telecoms(&read.telecom),
            relationship: None,
        }),
        _ => found.read::<RelatedPerson<'_>>().map(|read| clinical::Guarantor {
            identifier: identifiers(&read.identifier),
            name: names(&read.name),
            address: addresses(&read.address),
            telecom: telecoms(&read.telecom),
            relationship: code(read.relationship.first()),
        }),
    }
}
