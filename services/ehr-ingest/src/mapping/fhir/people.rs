//! Who and where: practitioners, organizations and places behind references.

use smol_str::SmolStr;
use waybill_contracts::{
    Phi,
    clinical::EncounterLocation,
    fhir::{HumanName, Identifier, Practitioner},
};
use waybill_fhir::{
    Target,
    reference::split_token,
    resources::{self, Location, Organization, PractitionerRole, RelatedPerson, Resource},
    types::{self, Reference},
};

use super::{
    content::Content,
    datatypes::{NPI, identifier, identifiers, name, text},
};

/// How many references in a row are followed (PractitionerRole to Practitioner; Location to what it is a part of).
const MAX_STEPS: usize = 8;

/// A clinician or organization in a role; `None` when the reference says nothing at all.
pub(super) fn practitioner(
    content: &Content<'_, '_>,
    from: usize,
    reference: &Reference<'_>,
    role: Option<&str>,
) -> Option<Practitioner> {
    let (identifier, name) = person(content, from, reference, 0);
    (identifier.is_some() || name.is_some()).then(|| Practitioner {
        identifier,
        name,
        role: role.map(SmolStr::from),
    })
}

/// All of them, in one role.
pub(super) fn practitioners<'r>(
    content: &Content<'_, '_>,
    from: usize,
    references: impl IntoIterator<Item = &'r Reference<'r>>,
    role: &str,
) -> Vec<Practitioner> {
    references
        .into_iter()
        .filter_map(|reference| practitioner(content, from, reference, Some(role)))
        .collect()
}

fn person(
    content: &Content<'_, '_>,
    from: usize,
    reference: &Reference<'_>,
    step: usize,
) -> (Option<Identifier>, Option<HumanName>) {
    let named = || named(reference.display.as_deref());
    let (found_id, found_name) = match content.find(from, reference) {
        None => (None, None),
        Some(found) => match found.resource_type {
            PractitionerRole::TYPE => match found.read::<PractitionerRole<'_>>() {
                Some(role) if step < MAX_STEPS => {
                    let who = role.practitioner.as_ref().or(role.organization.as_ref());
                    let (id, name) =
                        who.map(|who| person(content, found.from, who, step + 1)).unwrap_or_default();
                    (id.or_else(|| best(&role.identifier)), name)
                }
                _ => (None, None),
            },
            Organization::TYPE => found
                .read::<Organization<'_>>()
                .map(|found| (best(&found.identifier), self::named(found.name.as_deref())))
                .unwrap_or_default(),
            RelatedPerson::TYPE => found
                .read::<RelatedPerson<'_>>()
                .map(|found| (best(&found.identifier), found.name.first().map(name)))
                .unwrap_or_default(),
            _ => found
                .read::<resources::Practitioner<'_>>()
                .map(|found| (best(&found.identifier), found.name.first().map(name)))
                .unwrap_or_default(),
        },
    };
    (found_id.or_else(|| identifier_in(reference)), found_name.or_else(named))
}

/// The identifier that a reference itself carries: a logical one, or the condition of a conditional one.
pub(super) fn identifier_in(reference: &Reference<'_>) -> Option<Identifier> {
    if let Some(logical) = &reference.identifier {
        return identifier(logical);
    }
    match Target::of(reference.reference.as_deref()?) {
        Target::Conditional { token, .. } => {
            let (system, value) = split_token(token);
            (!value.is_empty()).then(|| Identifier {
                r#use: None,
                r#type: (system == NPI).then(|| SmolStr::new_static("NPI")),
                system: Some(system.into()).filter(|system: &SmolStr| !system.is_empty()),
                value: Phi::new(value.into()),
                assigner: None,
            })
        }
        _ => None,
    }
}

/// The NPI, else the first identifier.
fn best(values: &[types::Identifier<'_>]) -> Option<Identifier> {
    let all = identifiers(values);
    super::datatypes::of_kind(&all, "NPI").or_else(|| all.into_iter().next())
}

/// A name that came as one text; it is not taken apart.
fn named(text: Option<&str>) -> Option<HumanName> {
    text.map(|text| HumanName { family: Some(Phi::from(text)), ..HumanName::default() })
}

/// Identifier and name of an organization.
pub(super) fn organization(
    content: &Content<'_, '_>,
    from: usize,
    reference: &Reference<'_>,
) -> (Option<Identifier>, Option<SmolStr>) {
    let found: Option<Organization<'_>> = content.read(from, Some(reference));
    let id = found.as_ref().and_then(|found| best(&found.identifier)).or_else(|| identifier_in(reference));
    let name = found.and_then(|found| text(&found.name)).or_else(|| text(&reference.display));
    (id, name)
}

/// A place, with what it is a part of, spelled out as HL7 v2's PL.
pub(super) fn place(
    content: &Content<'_, '_>,
    from: usize,
    reference: &Reference<'_>,
) -> Option<EncounterLocation> {
    let mut place = EncounterLocation::default();
    let mut next = Some((from, reference.clone()));
    for _ in 0..MAX_STEPS {
        let Some((from, reference)) = next.take() else { break };
        let Some(found) = content.find(from, &reference) else {
            let name = text(&reference.display)
                .or_else(|| identifier_in(&reference).map(|identifier| identifier.value.into_exposed()));
            place.facility = place.facility.or(name);
            break;
        };
        let Some(location) = found.read::<Location<'_>>() else {
            place.facility = place.facility.or_else(|| organization(content, from, &reference).1);
            break;
        };
        let name = text(&location.name)
            .or_else(|| location.identifier.first().and_then(|identifier| text(&identifier.value)))
            .or_else(|| text(&reference.display));
        // R4 value set location-physical-type.
        let mut kinds = location.physical_type.iter().flat_map(|kind| &kind.coding);
        let level = match kinds.find_map(|coding| coding.code.as_deref()) {
            Some("bd") => &mut place.bed,
            Some("ro" | "ho" | "ca") => &mut place.room,
            Some("wa" | "area" | "wi") => &mut place.point_of_care,
            Some("lvl" | "co") => &mut place.floor,
            Some("bu") => &mut place.building,
            _ => &mut place.facility,
        };
        if level.is_none() {
            *level = name;
        }
        next = location.part_of.or(location.managing_organization).map(|whole| (found.from, whole));
    }
    (place != EncounterLocation::default()).then_some(place)
}
