//! ChargeItem and Claim.

use smol_str::{SmolStr, ToSmolStr};
use waybill_contracts::{
    Phi,
    billing::{self, ChargeEvent},
    clinical::{self, EncounterDiagnosis, EncounterProcedure},
    fhir::{Identifier, Practitioner},
};
use waybill_fhir::{
    resources::{CareTeam, ChargeItem, Claim, ClaimDiagnosis, ClaimItem, ClaimProcedure, Encounter},
    types::Reference,
};

use super::{
    content::Content,
    coverage,
    datatypes::{
        code, codes, date_time, identifiers, moment, money, occurrence, opt_concept, period, phi_concepts,
        quantity, text,
    },
    encounter, people,
};
use crate::mapping::{Event, Payload};

/// `billing.charge` of a ChargeItem.
pub(super) fn of_charge_item(content: &Content<'_, '_>, at: usize) -> Option<Event> {
    let read: ChargeItem<'_> = content.at(at)?.read()?;
    let (who, patient) = content.patient_of(at, read.subject.as_ref())?;
    let encounter = content
        .encounter_of(at, read.context.as_ref())
        .map(|(found, from)| content.encounter_for_charge(&found, from))
        .or_else(|| Some(only_numbered(encounter::visit(content, at, read.context.as_ref())?)));
    let event = ChargeEvent {
        source: content.source(at),
        patient,
        diagnosis: encounter.as_ref().map(|encounter| encounter.diagnosis.clone()).unwrap_or_default(),
        procedure: Vec::new(),
        encounter,
        charge: vec![charge_item(content, at, &read)],
        coverage: coverage::of_patient(content, &who),
        guarantor: Vec::new(),
        claim: None,
        total: None,
    };
    Some(content.event(at, &who, Payload::Charge(event)))
}

/// An encounter of which only the number is known.
fn only_numbered(number: Identifier) -> clinical::Encounter {
    clinical::Encounter {
        identifier: vec![number],
        status: SmolStr::new_static("unknown"),
        ..clinical::Encounter::default()
    }
}

fn charge_item(content: &Content<'_, '_>, at: usize, read: &ChargeItem<'_>) -> billing::ChargeItem {
    let mut performer = encounter::performers(content, at, &read.performer);
    performer.extend(
        read.enterer.as_ref().and_then(|who| people::practitioner(content, at, who, Some("enterer"))),
    );
    let reasons = (1..).zip(phi_concepts(&read.reason));
    billing::ChargeItem {
        identifier: identifiers(&read.identifier),
        r#type: SmolStr::new_static("charge"),
        status: text(&read.status),
        occurrence: occurrence(read.occurrence_date_time.as_ref(), read.occurrence_period.as_ref()),
        posted: date_time(read.entered_date.as_ref()),
        code: Phi::new(opt_concept(read.code.as_ref()).unwrap_or_default()),
        quantity: quantity(read.quantity.as_ref()),
        amount: money(read.price_override.as_ref()),
        diagnosis: reasons
            .map(|(rank, code)| EncounterDiagnosis {
                rank: Some(rank),
                code,
                ..EncounterDiagnosis::default()
            })
            .collect(),
        performer,
        product_code: opt_concept(read.product_codeable_concept.as_ref()),
        ..billing::ChargeItem::default()
    }
}

/// `billing.charge` of a Claim: its items are the lines.
pub(super) fn of_claim(content: &Content<'_, '_>, at: usize) -> Option<Event> {
    let read: Claim<'_> = content.at(at)?.read()?;
    let (who, patient) = content.patient_of(at, read.patient.as_ref())?;
    let diagnosis: Vec<_> = read.diagnosis.iter().filter_map(|one| diagnosis(content, at, one)).collect();
    let procedure: Vec<_> =
        read.procedure.iter().filter_map(|one| procedure(content, at, one)).map(|(_, found)| found).collect();
    let lines = Lines { content, at, read: &read, diagnosis: &diagnosis };
    let mut coverage = coverage::of_claim(content, at, &read.insurance);
    if coverage.is_empty() {
        coverage = coverage::of_patient(content, &who);
    }
    let event = ChargeEvent {
        source: content.source(at),
        patient,
        encounter: Some(encounter_of(content, at, &read)),
        charge: read.item.iter().map(|item| lines.line(item)).collect(),
        diagnosis: diagnosis.clone(),
        procedure,
        coverage,
        guarantor: Vec::new(),
        claim: identifiers(&read.identifier).into_iter().next().or_else(|| logical_id(content, at)),
        total: money(read.total.as_ref()),
    };
    Some(content.event(at, &who, Payload::Charge(event)))
}

fn logical_id(content: &Content<'_, '_>, at: usize) -> Option<Identifier> {
    let id = content.plan.bundle.entries[at].head.id.as_deref()?;
    let base = content.plan.bundle.base_of(at);
    let system = base.map_or_else(
        || format!("urn:waybill:feed:{}:Claim", content.inbound.feed),
        |base| format!("{base}Claim"),
    );
    Some(Identifier {
        r#type: Some(SmolStr::new_static("RI")),
        system: Some(system.into()),
        value: Phi::from(id),
        ..Identifier::default()
    })
}

fn diagnosis(content: &Content<'_, '_>, at: usize, read: &ClaimDiagnosis<'_>) -> Option<EncounterDiagnosis> {
    let coded = opt_concept(read.diagnosis_codeable_concept.as_ref())
        .map(|code| EncounterDiagnosis { code: Phi::new(code), ..EncounterDiagnosis::default() });
    let referred = || encounter::diagnosis(content.find(at, read.diagnosis_reference.as_ref()?)?);
    let found = coded.or_else(referred)?;
    Some(EncounterDiagnosis {
        rank: read.sequence,
        // Value set ex-diagnosistype, in the letters of table 0052 where it has the same.
        r#use: code(read.r#type.first()).map(|kind| match kind.as_str() {
            "admitting" => SmolStr::new_static("A"),
            "discharge" => SmolStr::new_static("F"),
            _ => kind,
        }),
        present_on_admission: code(read.on_admission.as_ref()).map(|code| match code.as_str() {
            // Value set ex-diagnosis-on-admission has `y`, `n`, `u` and `w`.
            "y" | "n" | "u" | "w" => code.to_uppercase().into(),
            _ => code,
        }),
        ..found
    })
}

fn procedure(
    content: &Content<'_, '_>,
    at: usize,
    read: &ClaimProcedure<'_>,
) -> Option<(Option<i32>, EncounterProcedure)> {
    let referred = || {
        let found = content.find(at, read.procedure_reference.as_ref()?)?;
        encounter::procedure(content, found)
    };
    let mut found = match opt_concept(read.procedure_codeable_concept.as_ref()) {
        Some(code) => EncounterProcedure { code: Phi::new(code), ..EncounterProcedure::default() },
        None => referred()?,
    };
    if let Some(date) = date_time(read.date.as_ref()) {
        found.performed_date_time = Some(date);
    }
    Some((read.sequence, found))
}

/// The encounter of the first item that names one the body has, with what the claim itself says of it.
fn encounter_of(content: &Content<'_, '_>, at: usize, read: &Claim<'_>) -> clinical::Encounter {
    let mut named = read.item.iter().flat_map(|item| &item.encounter);
    let found: Option<(Encounter<'_>, usize)> =
        named.clone().find_map(|reference| content.encounter_of(at, Some(reference)));
    let mut encounter = match found {
        Some((found, from)) => content.encounter_for_charge(&found, from),
        None => named
            .find_map(|reference: &Reference<'_>| {
                Some(only_numbered(encounter::visit(content, at, Some(reference))?))
            })
            .unwrap_or_else(|| clinical::Encounter {
                status: SmolStr::new_static("unknown"),
                ..clinical::Encounter::default()
            }),
    };
    if encounter.period.is_none() {
        encounter.period = period(read.billable_period.as_ref());
    }
    if encounter.location.is_empty() {
        encounter.location.extend(read.facility.as_ref().and_then(|place| people::place(content, at, place)));
    }
    let mut take_part = |reference: Option<&Reference<'_>>, role: &str| {
        let who = reference.and_then(|who| people::practitioner(content, at, who, Some(role)));
        encounter.participant.extend(who);
    };
    take_part(read.provider.as_ref(), "billing");
    take_part(read.enterer.as_ref(), "enterer");
    for member in &read.care_team {
        take_part(member.provider.as_ref(), &role_of(member));
    }
    for information in &read.supporting_info {
        // Categories of R4 and of the claims of the United States (UB-04 form locators 14, 15 and 17).
        let value = || opt_concept(information.code.as_ref());
        match code(information.category.as_ref()).as_deref() {
            Some("discharge" | "discharge-status" | "patientdischargestatus")
                if encounter.discharge_disposition.is_none() =>
            {
                encounter.discharge_disposition = value();
            }
            Some("pointoforigin" | "admission-source") if encounter.admit_source.is_none() => {
                encounter.admit_source = value();
            }
            Some("admtype" | "admission-type") if encounter.priority.is_none() => {
                encounter.priority = value();
            }
            _ => {}
        }
    }
    encounter
}

/// Value set claim-careteamrole in the words of the events.
fn role_of(member: &CareTeam<'_>) -> SmolStr {
    match code(member.role.as_ref()) {
        None => SmolStr::new_static("performer"),
        Some(role) => match role.as_str() {
            "primary" | "performing" | "rendering" => SmolStr::new_static("performer"),
            "attending" => SmolStr::new_static("attender"),
            "referring" => SmolStr::new_static("referrer"),
            _ => role,
        },
    }
}

struct Lines<'l, 'c, 'a> {
    content: &'l Content<'c, 'a>,
    at: usize,
    read: &'l Claim<'a>,
    diagnosis: &'l [EncounterDiagnosis],
}

impl Lines<'_, '_, '_> {
    fn line(&self, item: &ClaimItem<'_>) -> billing::ChargeItem {
        let pointed =
            |rank: &i32| self.diagnosis.iter().find(|diagnosis| diagnosis.rank == Some(*rank)).cloned();
        let procedure = item.procedure_sequence.iter().find_map(|sequence| {
            let found = self.read.procedure.iter().find(|procedure| procedure.sequence == Some(*sequence))?;
            procedure(self.content, self.at, found)
        });
        let serviced = occurrence(item.serviced_date.as_ref(), item.serviced_period.as_ref());
        billing::ChargeItem {
            identifier: item.sequence.map(number_of).into_iter().collect(),
            r#type: SmolStr::new_static("charge"),
            status: status_of(self.read).map(SmolStr::new_static),
            occurrence: serviced.or_else(|| period(self.read.billable_period.as_ref())),
            posted: moment(self.read.created.as_ref(), None),
            code: Phi::new(opt_concept(item.product_or_service.as_ref()).unwrap_or_default()),
            quantity: quantity(item.quantity.as_ref()),
            amount: money(item.net.as_ref()),
            unit_price: money(item.unit_price.as_ref()),
            diagnosis: item.diagnosis_sequence.iter().filter_map(pointed).collect(),
            diagnosis_pointer: item.diagnosis_sequence.to_vec(),
            performer: self.performers(item),
            procedure: procedure.map(|(_, procedure)| procedure.code),
            modifier: codes(&item.modifier),
            revenue_code: code(item.revenue.as_ref()),
            place_of_service: opt_concept(item.location_codeable_concept.as_ref()),
            ..billing::ChargeItem::default()
        }
    }

    /// The members of the care team that the item names.
    fn performers(&self, item: &ClaimItem<'_>) -> Vec<Practitioner> {
        let named = item.care_team_sequence.iter().filter_map(|sequence| {
            let member = self.read.care_team.iter().find(|member| member.sequence == Some(*sequence))?;
            people::practitioner(self.content, self.at, member.provider.as_ref()?, Some(&role_of(member)))
        });
        named.collect()
    }
}

/// What the lines of a claim are, in the words of ChargeItem.status; nothing to say of one that asks for payment. Who counts
/// money must not count what is only asked about beforehand, or taken back.
fn status_of(read: &Claim<'_>) -> Option<&'static str> {
    match (read.status.as_deref(), read.r#use.as_deref()) {
        (Some("entered-in-error"), _) => Some("entered-in-error"),
        (Some("cancelled"), _) => Some("aborted"),
        (Some("draft"), _) | (_, Some("preauthorization" | "predetermination")) => Some("planned"),
        _ => None,
    }
}

/// The number that an item has in its claim.
fn number_of(sequence: i32) -> Identifier {
    Identifier {
        r#type: Some(SmolStr::new_static("ITEM")),
        value: Phi::new(sequence.to_smolstr()),
        ..Identifier::default()
    }
}
