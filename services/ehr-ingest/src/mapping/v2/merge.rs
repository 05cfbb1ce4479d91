//! ADT messages that change numbers: merges, moves and renumberings (A40 to A47, A49 to A51, and their predecessors
//! A18, A30, A34 to A36), HL7 v2.9.1 §3.6.2.
//!
//! - A number is replaced, at one level: patient (PID-3 for MRG-1), account (PID-18 for MRG-3) or visit (PV1-19 for MRG-5).
//!   The alias says so, on the key of the patient who has it now and on the key of the one in MRG-1.
//! - A move (A43, A44, A45) leaves the number as it is; the alias then has the same number twice, and what changes is
//!   whose it is: the account's patient, the visit's account. A moved account or visit never makes one patient of two.
//! - What is subordinate follows by itself: the visits of a merged patient are not named again.

use std::collections::{HashMap, hash_map::Entry};

use smol_str::SmolStr;
use waybill_contracts::{
    PatientKey,
    clinical::{Alias, AliasLevel, Encounter, EncounterChange, EncounterEvent, PatientEvent},
    fhir::{Identifier, Patient, PatientLink},
};
use waybill_hl7v2::{Message, Path, Segment, path};

use super::{
    Mapping, Outbox, Refusal,
    datatypes::{Reading, identifier, identifiers},
    encounter,
    group::{self, Group, first},
    insurance, patient,
    people::names,
};
use crate::{mapping::Payload, patient_id};

/// What an event changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Renumbering {
    /// A18, A30, A34, A40, A43, A47: the patient's number in MRG-1 is replaced by the one in PID-3.
    Patient,
    /// A46: the patient's external number, MRG-4 by PID-2; sites that have none fill in MRG-1.
    ExternalPatient,
    /// A36: patient and account.
    PatientAndAccount,
    /// A35, A41, A49: MRG-3 by PID-18.
    Account,
    /// A44: the account goes from the patient in MRG-1 to the one in PID-3.
    MoveAccount,
    /// A42, A50: MRG-5 by PV1-19.
    Visit,
    /// A51: MRG-6 by PV1-50.
    AlternateVisit,
    /// A45: the visit goes from the account in MRG-3 to the one in PID-18.
    MoveVisit,
}

/// What an ADT event renumbers; `None` for an event of another kind.
pub(super) fn renumbering(trigger: &[u8]) -> Option<Renumbering> {
    Some(match trigger {
        b"A18" | b"A30" | b"A34" | b"A40" | b"A43" | b"A47" => Renumbering::Patient,
        b"A46" => Renumbering::ExternalPatient,
        b"A36" => Renumbering::PatientAndAccount,
        b"A35" | b"A41" | b"A49" => Renumbering::Account,
        b"A44" => Renumbering::MoveAccount,
        b"A42" | b"A50" => Renumbering::Visit,
        b"A51" => Renumbering::AlternateVisit,
        b"A45" => Renumbering::MoveVisit,
        _ => return None,
    })
}

/// An MRG with the PID before it and the PV1 that belongs to it.
#[derive(Clone, Copy)]
struct Pair<'m> {
    pid: Segment<'m>,
    mrg: Segment<'m>,
    pv1: Option<Segment<'m>>,
}

/// The pairs of one patient: `PID { MRG [PV1] }`. A PV1 before its MRG counts where there is only one.
fn pairs<'m>(pid: &Segment<'m>, segments: &[Segment<'m>]) -> Vec<Pair<'m>> {
    let mut pairs: Vec<Pair<'m>> = Vec::new();
    for segment in segments {
        match (segment.name(), pairs.last_mut()) {
            (b"MRG", _) => pairs.push(Pair { pid: *pid, mrg: *segment, pv1: None }),
            (b"PV1", Some(pair)) if pair.pv1.is_none() => pair.pv1 = Some(*segment),
            _ => {}
        }
    }
    if let [only @ Pair { pv1: None, .. }] = pairs.as_mut_slice() {
        only.pv1 = first(segments, b"PV1");
    }
    pairs
}

/// Each patient's segments, with all the numbers that the event is about.
pub(super) fn plan(message: &Message<'_>, what: Renumbering) -> Result<Vec<Group>, Refusal> {
    let groups = group::by_patient(message)?;
    let mut mrgs: u16 = 0;
    for group in &groups {
        let Some(pid) = message.segment_at(group.pid) else { continue };
        let pairs = pairs(&pid, &group.segments(message));
        if pairs.is_empty() {
            return Err(group::missing(path!("MRG").in_occurrence(mrgs.saturating_add(1)), "MRG is missing"));
        }
        for pair in pairs {
            mrgs = mrgs.saturating_add(1);
            check(&pair, what).map_err(|refusal| match refusal.location.segment_name() {
                "MRG" => Refusal { location: refusal.location.in_occurrence(mrgs), ..refusal },
                _ => refusal,
            })?;
        }
    }
    Ok(groups)
}

fn check(pair: &Pair<'_>, what: Renumbering) -> Result<(), Refusal> {
    let mrg = |number| patient_id::has_identifier(&pair.mrg.field(number));
    let require =
        |there: bool, location: Path, text| if there { Ok(()) } else { Err(group::empty(location, text)) };
    let pv1 = |number: usize, location, text| match &pair.pv1 {
        None => Err(group::missing(path!("PV1"), "PV1 is missing")),
        Some(pv1) => require(patient_id::has_identifier(&pv1.field(number)), location, text),
    };
    let account = || {
        require(mrg(3), path!("MRG-3"), "MRG-3 has no account number")?;
        require(
            patient_id::has_identifier(&pair.pid.field(18)),
            path!("PID-18"),
            "PID-18 has no account number",
        )
    };
    match what {
        Renumbering::Patient => require(mrg(1), path!("MRG-1"), "MRG-1 has no identifier"),
        Renumbering::ExternalPatient => require(mrg(4) || mrg(1), path!("MRG-4"), "MRG-4 has no identifier"),
        Renumbering::PatientAndAccount => {
            require(mrg(1), path!("MRG-1"), "MRG-1 has no identifier")?;
            account()
        }
        Renumbering::Account => account(),
        Renumbering::MoveAccount => {
            let there = mrg(3) || patient_id::has_identifier(&pair.pid.field(18));
            require(there, path!("PID-18"), "PID-18 has no account number")
        }
        Renumbering::Visit => {
            require(mrg(5), path!("MRG-5"), "MRG-5 has no visit number")?;
            pv1(19, path!("PV1-19"), "PV1-19 has no visit number")
        }
        Renumbering::AlternateVisit => {
            require(mrg(6), path!("MRG-6"), "MRG-6 has no visit number")?;
            pv1(50, path!("PV1-50"), "PV1-50 has no visit number")
        }
        Renumbering::MoveVisit => pv1(19, path!("PV1-19"), "PV1-19 has no visit number"),
    }
}

/// For each patient: the event on the key of the one who is left, on the key of each whose number it was, and one for each
/// visit that the message describes.
pub(super) fn events(mapping: &Mapping<'_>, groups: &[Group], what: Renumbering) -> Outbox {
    let mut outbox = Outbox::default();
    for group in groups {
        let Some(pid) = mapping.message.segment_at(group.pid) else { continue };
        let segments = group.segments(mapping.message);
        let pairs = pairs(&pid, &segments);
        let key = mapping.key(&pid);
        let survivor = mapping.patient(&pid, &segments);
        let aliases: Vec<Vec<Alias>> = pairs.iter().map(|pair| aliases(mapping, pair, what)).collect();
        // Those whose number it was, unless it is the same patient.
        let mut others: Vec<Other> = Vec::new();
        let mut place_of: HashMap<PatientKey, usize> = HashMap::new();
        for (pair, aliases) in pairs.iter().zip(&aliases) {
            let Some(found) = other(mapping, pair, aliases).filter(|other| other.key != key) else {
                continue;
            };
            match place_of.entry(found.key) {
                Entry::Occupied(place) => others[*place.get()].alias.extend(found.alias),
                Entry::Vacant(place) => {
                    place.insert(others.len());
                    others.push(found);
                }
            }
        }
        let replaced = aliases.iter().flatten().any(|alias| alias.level == AliasLevel::Patient);
        let (link, back) = if replaced { ("replaces", "replaced-by") } else { ("seealso", "seealso") };
        let mut now = survivor.clone();
        now.link = others.iter().map(|other| to(link, &other.patient.identifier)).collect();
        let event = |patient, alias: Vec<Alias>| {
            let (coverage, guarantor) = (Vec::new(), Vec::new());
            Payload::Patient(PatientEvent {
                source: mapping.source.clone(),
                patient,
                alias,
                coverage,
                guarantor,
            })
        };
        outbox.push(mapping, key, event(now, aliases.into_iter().flatten().collect()));
        for other in others {
            let before =
                Patient { active: !replaced, link: vec![to(back, &survivor.identifier)], ..other.patient };
            outbox.push(mapping, other.key, event(before, other.alias));
        }
        let coverage = insurance::coverages(&segments, &mapping.reading);
        let guarantor = insurance::guarantors(&segments, &mapping.reading);
        for pair in &pairs {
            if let Some(pv1) = &pair.pv1 {
                let encounter = EncounterEvent {
                    source: mapping.source.clone(),
                    patient: survivor.clone(),
                    encounter: renumbered(pair, pv1, &mapping.reading),
                    coverage: coverage.clone(),
                    guarantor: guarantor.clone(),
                    change: EncounterChange::Merge,
                    observation: Vec::new(),
                };
                outbox.push(mapping, key, Payload::Encounter(encounter));
            }
        }
    }
    outbox
}

/// The patient in an MRG.
struct Other {
    key: PatientKey,
    patient: Patient,
    alias: Vec<Alias>,
}

fn other(mapping: &Mapping<'_>, pair: &Pair<'_>, aliases: &[Alias]) -> Option<Other> {
    // An authority that was left out is that of the number beside it.
    let authority = patient_id::patient_authority(&pair.pid.field(3));
    let authority = authority.as_deref().unwrap_or(&mapping.authority);
    let key = patient_id::patient_key(&pair.mrg.field(1), authority, &mapping.feed.keyer)?;
    let retired_now = |number: &Identifier| {
        let is_of = |alias: &Alias| alias.level == AliasLevel::Patient && same(&alias.from, number);
        aliases.iter().any(|alias| is_of(alias) && !same(&alias.from, &alias.to))
    };
    let numbers = mapping.prior_numbers(pair, 1).into_iter();
    let patient = Patient {
        identifier: numbers
            .map(|number| if retired_now(&number) { retired(number) } else { number })
            .collect(),
        // Prior name (MRG-7).
        name: names(&pair.mrg.field(7), &mapping.reading),
        ..Patient::default()
    };
    Some(Other { key, patient, alias: aliases.to_vec() })
}

fn to(kind: &str, other: &[Identifier]) -> PatientLink {
    PatientLink { r#type: kind.into(), other: other.to_vec() }
}

/// The encounter under its present number and account; the number it had comes after, marked as old.
fn renumbered(pair: &Pair<'_>, pv1: &Segment<'_>, reading: &Reading) -> Encounter {
    let mut encounter = encounter::encounter(&[pair.pid], pv1, EncounterChange::Merge, reading);
    for (field, present) in [(5, 19), (6, 50)] {
        if let (Some(from), Some(to)) =
            (visit_number(&pair.mrg, field, reading), visit_number(pv1, present, reading))
            && !same(&from, &to)
        {
            encounter.identifier.push(retired(from));
        }
    }
    encounter
}

fn aliases(mapping: &Mapping<'_>, pair: &Pair<'_>, what: Renumbering) -> Vec<Alias> {
    let reading = &mapping.reading;
    let patient = || couple(&mapping.prior_numbers(pair, 1), &mapping.present_numbers(pair));
    let account = || {
        let from = identifier(&pair.mrg.field(3).repetition(1), Some("AN"), None, reading);
        one(AliasLevel::Account, from, patient::account(&pair.pid, reading))
    };
    let visit = |field, present| {
        let to = pair.pv1.and_then(|pv1| visit_number(&pv1, present, reading));
        one(AliasLevel::Visit, visit_number(&pair.mrg, field, reading), to)
    };
    match what {
        Renumbering::Patient => patient(),
        Renumbering::ExternalPatient => {
            let external = |segment: &Segment<'_>, field: usize| {
                identifier(&segment.field(field).repetition(1), None, None, reading)
            };
            match (external(&pair.mrg, 4), external(&pair.pid, 2)) {
                (Some(from), Some(to)) => one(AliasLevel::Patient, Some(from), Some(to)),
                // PID-2 is gone since 2.7: the number is then one of PID-3.
                (Some(from), None) => couple(&[from], &mapping.present_numbers(pair)),
                (None, _) => patient(),
            }
        }
        Renumbering::PatientAndAccount => [patient(), account()].concat(),
        Renumbering::Account | Renumbering::MoveAccount => account(),
        Renumbering::Visit => [visit(5, 19), visit(6, 50)].concat(),
        Renumbering::AlternateVisit => visit(6, 50),
        Renumbering::MoveVisit => visit(5, 19),
    }
}

fn visit_number(segment: &Segment<'_>, field: usize, reading: &Reading) -> Option<Identifier> {
    identifier(&segment.field(field).repetition(1), Some("VN"), None, reading)
}

/// A move may leave out the number that stays.
fn one(level: AliasLevel, from: Option<Identifier>, to: Option<Identifier>) -> Vec<Alias> {
    let (Some(from), Some(to)) = (from.clone().or_else(|| to.clone()), to.or(from)) else {
        return Vec::new();
    };
    vec![alias(level, from, to)]
}

fn alias(level: AliasLevel, from: Identifier, to: Identifier) -> Alias {
    let from = if same(&from, &to) { from } else { retired(from) };
    Alias { level, from, to }
}

fn same(one: &Identifier, other: &Identifier) -> bool {
    one.value == other.value && one.system == other.system
}

/// Each old identifier with the present one of the same type and authority, else of the same type, else of the same
/// authority (HL7 v2.9.1 §3.6.2: only identifiers of one type are merged). Where nothing fits, the patient's number
/// stands for the first: that is what the message is for.
fn couple(from: &[Identifier], to: &[Identifier]) -> Vec<Alias> {
    let find = |from: &Identifier| {
        let same_type = |to: &&Identifier| from.r#type.is_some() && to.r#type == from.r#type;
        let same_authority = |to: &&Identifier| from.system.is_some() && to.system == from.system;
        to.iter()
            .find(|to| same_type(to) && same_authority(to))
            .or_else(|| to.iter().find(same_type))
            // A number without a type may be any.
            .or_else(|| to.iter().find(|to| from.r#type.is_none() && same_authority(to)))
    };
    let coupled: Vec<Alias> = from
        .iter()
        .filter_map(|from| Some((from, find(from)?)))
        .map(|(from, to)| alias(AliasLevel::Patient, from.clone(), to.clone()))
        .collect();
    // What both have says nothing, as long as something else does.
    let is_news = |alias: &Alias| !same(&alias.from, &alias.to);
    if coupled.iter().any(is_news) {
        return coupled.into_iter().filter(is_news).collect();
    }
    if !coupled.is_empty() {
        return coupled;
    }
    match (patient_number(from), patient_number(to)) {
        (Some(from), Some(to)) => vec![alias(AliasLevel::Patient, from.clone(), to.clone())],
        _ => Vec::new(),
    }
}

fn retired(identifier: Identifier) -> Identifier {
    Identifier { r#use: Some(SmolStr::new_static("old")), ..identifier }
}

impl Mapping<'_> {
    /// PID-3.
    fn present_numbers(&self, pair: &Pair<'_>) -> Vec<Identifier> {
        let authority = Some(self.authority.as_ref()).filter(|authority| !authority.is_empty());
        identifiers(&pair.pid.field(3), None, authority, &self.reading)
    }

    /// The patient numbers of an MRG field; one without an authority has that of the patient's number now.
    fn prior_numbers(&self, pair: &Pair<'_>, field: usize) -> Vec<Identifier> {
        let present = self.present_numbers(pair);
        let authority = patient_number(&present).and_then(|number| number.system.as_deref());
        identifiers(&pair.mrg.field(field), None, authority, &self.reading)
    }
}

/// The one that a patient is known by, as [`patient_id`] chooses it.
fn patient_number(numbers: &[Identifier]) -> Option<&Identifier> {
    ["MR", "MRN", "PI"]
        .into_iter()
        .find_map(|kind| numbers.iter().find(|number| number.r#type.as_deref() == Some(kind)))
        .or_else(|| numbers.iter().find(|number| number.system.is_some()))
        .or_else(|| numbers.first())
}
