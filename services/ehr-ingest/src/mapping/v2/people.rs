//! Names, addresses, telephone numbers and clinicians.

use smol_str::{SmolStr, format_smolstr};
use waybill_contracts::{
    Phi,
    fhir::{Address, ContactPoint, HumanName, Identifier, Practitioner},
};
use waybill_hl7v2::{Component, Dtm, Field, Repetition};

use super::{
    codes,
    datatypes::{Authority, Reading, Value, each, leaf, phi},
};

/// XPN, all repetitions.
pub(super) fn names(field: &Field<'_>, reading: &Reading) -> Vec<HumanName> {
    let names = |whole: Repetition<'_>| name(&whole, reading).into_iter().chain(called_by(&whole, reading));
    field.repetitions().flat_map(names).collect()
}

/// What a person is called by (XPN-15): a name of its own.
fn called_by(whole: &Repetition<'_>, reading: &Reading) -> Option<HumanName> {
    let given = phi(&leaf(whole, 15), reading)?;
    Some(HumanName {
        r#use: Some(SmolStr::new_static("nickname")),
        given: vec![given],
        ..HumanName::default()
    })
}

/// XPN.
pub(super) fn name(whole: &Repetition<'_>, reading: &Reading) -> Option<HumanName> {
    name_at(whole, &XPN, reading)
}

/// Where the parts of a name stand.
struct NameParts {
    /// Family, given, further, suffix, prefix and degree follow each other from here.
    first: usize,
    /// Name type code, table 0200.
    kind: usize,
    /// Professional suffix.
    professional: usize,
}

const XPN: NameParts = NameParts { first: 1, kind: 7, professional: 14 };
const XCN: NameParts = NameParts { first: 2, kind: 10, professional: 21 };

fn name_at(whole: &Repetition<'_>, at: &NameParts, reading: &Reading) -> Option<HumanName> {
    if whole.is_absent() {
        return None;
    }
    let text = |number| phi(&leaf(whole, number), reading);
    let part = |number| text(at.first + number);
    let name = HumanName {
        r#use: None,
        family: part(0).or_else(|| own_family(&whole.component(at.first), reading)),
        given: part(1).into_iter().chain(part(2)).collect(),
        prefix: part(4).into_iter().collect(),
        suffix: [part(3), part(5), text(at.professional)].into_iter().flatten().collect(),
    };
    if name == HumanName::default() {
        return None;
    }
    let r#use = leaf(whole, at.kind).read(reading).and_then(|code| codes::name_use(&code));
    Some(HumanName { r#use: r#use.map(SmolStr::new_static), ..name })
}

/// FN without the whole surname (FN-1): own prefix and own surname, else those of the spouse.
fn own_family(family: &Component<'_>, reading: &Reading) -> Option<Phi<SmolStr>> {
    let part = |number| family.subcomponent(number).read(reading);
    let joined = |numbers: [usize; 2]| {
        let parts: Vec<_> = numbers.into_iter().filter_map(part).collect();
        (!parts.is_empty()).then(|| Phi::new(parts.join(" ").into()))
    };
    joined([2, 3]).or_else(|| joined([4, 5]))
}

/// XAD, all repetitions.
pub(super) fn addresses(field: &Field<'_>, reading: &Reading) -> Vec<Address> {
    each(field, |whole| address(&whole, reading))
}

/// XAD, or the AD of older versions.
pub(super) fn address(whole: &Repetition<'_>, reading: &Reading) -> Option<Address> {
    let part = |number| phi(&leaf(whole, number), reading);
    // CWE as text: the text, else the code.
    let county = whole.component(9);
    let county = phi(&county.subcomponent(2), reading).or_else(|| phi(&county.subcomponent(1), reading));
    let mut address = Address {
        r#use: None,
        // Other designation (XAD-2), and the addressee (XAD-19) as the last line.
        line: street(&whole.component(1), reading).into_iter().chain(part(2)).chain(part(19)).collect(),
        city: part(3),
        district: county,
        state: part(4),
        postal_code: part(5),
        country: part(6),
    };
    if address == Address::default() {
        return None;
    }
    address.r#use =
        leaf(whole, 7).read(reading).and_then(|code| codes::address_use(&code)).map(SmolStr::new_static);
    Some(address)
}

/// SAD: the whole line, then street name and dwelling number where the line does not say them already. Without the whole
/// line the two make one.
fn street(sad: &Component<'_>, reading: &Reading) -> Vec<Phi<SmolStr>> {
    let part = |number| sad.subcomponent(number).read(reading);
    let lines: Vec<SmolStr> = match (part(1), part(2), part(3)) {
        (Some(whole), name, number) => {
            let more = [name, number].into_iter().flatten().filter(|part| !whole.contains(part.as_str()));
            let more: Vec<_> = more.collect();
            std::iter::once(whole).chain(more).collect()
        }
        (None, Some(name), Some(number)) => vec![format_smolstr!("{number} {name}")],
        (None, name, number) => name.into_iter().chain(number).collect(),
    };
    lines.into_iter().map(Phi::new).collect()
}

/// XTN, all repetitions of both fields; `home` and `work` where the number itself says nothing.
pub(super) fn telecoms(home: &Field<'_>, work: Option<&Field<'_>>, reading: &Reading) -> Vec<ContactPoint> {
    let mut telecoms = telecoms_of(home, Some("home"), reading);
    telecoms.extend(work.map(|work| telecoms_of(work, Some("work"), reading)).unwrap_or_default());
    telecoms
}

/// XTN, all repetitions; `place` is the use of those whose use code says nothing about it.
pub(super) fn telecoms_of(
    field: &Field<'_>,
    place: Option<&'static str>,
    reading: &Reading,
) -> Vec<ContactPoint> {
    each(field, |whole| telecom(&whole, place, reading))
}

fn telecom(whole: &Repetition<'_>, place: Option<&'static str>, reading: &Reading) -> Option<ContactPoint> {
    let part = |number| leaf(whole, number).read(reading);
    let (use_code, equipment) = (part(2), part(3));
    let is = |name: &str| equipment.as_deref().is_some_and(|sent| sent.eq_ignore_ascii_case(name));
    let email = use_code.as_deref() == Some("NET") || is("Internet") || is("X.400");
    let value = if email { part(4).or_else(|| part(1)) } else { number(part) };
    let (value, is_email) = match value {
        Some(value) => (value, email),
        // An address alone, whatever the equipment says.
        None => (part(4)?, true),
    };
    let system = if is_email { Some("email") } else { equipment.as_deref().and_then(codes::telecom_system) };
    let mobile = (equipment.as_deref() == Some("CP")).then_some("mobile");
    // XTN-2, else what the field stands for; a mobile telephone (XTN-3) where neither says anything.
    let r#use = use_code.as_deref().and_then(codes::telecom_use).or(place).or(mobile);
    Some(ContactPoint {
        system: Some(SmolStr::new_static(system.unwrap_or("phone"))),
        r#use: r#use.map(SmolStr::new_static),
        value: Phi::new(value),
    })
}

/// The number unformatted (XTN-12), else from its parts (XTN-5 to 8), else as it was written until 2.6 (XTN-1).
fn number(part: impl Fn(usize) -> Option<SmolStr>) -> Option<SmolStr> {
    if let Some(unformatted) = part(12) {
        return Some(unformatted);
    }
    let (written, local) = (part(1), part(7));
    // A local number without its area is worth less than what was written.
    let (Some(local), true) = (&local, part(6).is_some() || written.is_none()) else {
        return written.or(local);
    };
    let country = part(5).map(|code| format_smolstr!("+{}", code.trim_start_matches('+')));
    let parts = [country, part(6), Some(local.clone())];
    let mut number = parts.into_iter().flatten().collect::<Vec<_>>().join(" ");
    if let Some(extension) = part(8) {
        number.push_str(" X");
        number.push_str(&extension);
    }
    Some(number.into())
}

/// XCN, all repetitions, in one role.
pub(super) fn practitioners(field: &Field<'_>, role: &str, reading: &Reading) -> Vec<Practitioner> {
    each(field, |whole| practitioner(&whole, role, reading))
}

/// XCN: id, name, authority (XCN-9), type (XCN-13).
fn practitioner(whole: &Repetition<'_>, role: &str, reading: &Reading) -> Option<Practitioner> {
    let identifier = leaf(whole, 1).read(reading).map(|value| {
        let kind = leaf(whole, 13).read(reading);
        clinician_id(value, kind, Authority::hd(&whole.component(9), reading))
    });
    person(identifier, name_at(whole, &XCN, reading), role)
}

/// NDL (OBR-32): the name is in the subcomponents of component 1, the authority in 9 to 11. Where its start (component 2)
/// is no time, an XCN was sent, as OBR-16 has it.
pub(super) fn interpreters(field: &Field<'_>, role: &str, reading: &Reading) -> Vec<Practitioner> {
    each(field, |whole| {
        let start = leaf(&whole, 2);
        if !start.is_absent() && Dtm::parse(start.raw()).is_none() {
            return practitioner(&whole, role, reading);
        }
        let person_of = whole.component(1);
        let part = |number| person_of.subcomponent(number).read(reading);
        let identifier = part(1).map(|value| clinician_id(value, None, Authority::named(part(9))));
        let phi_part = |number| part(number).map(Phi::new);
        let name = HumanName {
            r#use: None,
            family: phi_part(2),
            given: phi_part(3).into_iter().chain(phi_part(4)).collect(),
            prefix: phi_part(6).into_iter().collect(),
            suffix: phi_part(5).into_iter().chain(phi_part(7)).collect(),
        };
        person(identifier, (name != HumanName::default()).then_some(name), role)
    })
}

fn person(identifier: Option<Identifier>, name: Option<HumanName>, role: &str) -> Option<Practitioner> {
    (identifier.is_some() || name.is_some()).then(|| Practitioner {
        identifier,
        name,
        role: Some(role.into()),
    })
}

/// XON, all repetitions: an organization under its name, with the number in XON-10, until 2.4 in XON-3.
pub(super) fn organizations(field: &Field<'_>, role: &str, reading: &Reading) -> Vec<Practitioner> {
    let organization = |whole: Repetition<'_>| {
        let part = |number| leaf(&whole, number).read(reading);
        let identifier = part(10).or_else(|| part(3)).map(|value| {
            let Authority { system, assigner } = Authority::hd(&whole.component(6), reading);
            Identifier { r#use: None, r#type: part(7), system, value: Phi::new(value), assigner }
        });
        let name = part(1).map(|name| HumanName { family: Some(Phi::new(name)), ..HumanName::default() });
        person(identifier, name, role)
    };
    each(field, organization)
}

/// CWE that names an organization, as OBX-15: code, name, system.
pub(super) fn coded_organization(
    whole: &Repetition<'_>,
    role: &str,
    reading: &Reading,
) -> Option<Practitioner> {
    let part = |number| leaf(whole, number).read(reading);
    let identifier = part(1).map(|value| Identifier {
        r#use: None,
        r#type: None,
        system: part(3),
        value: Phi::new(value),
        assigner: None,
    });
    let name = part(2).map(|name| HumanName { family: Some(Phi::new(name)), ..HumanName::default() });
    person(identifier, name, role)
}

/// Authority of the National Provider Identifier.
const NPI_OID: &str = "urn:oid:2.16.840.1.113883.4.6";

fn clinician_id(value: SmolStr, kind: Option<SmolStr>, authority: Authority) -> Identifier {
    let Authority { system, assigner } = authority;
    // Feeds say "NPI" as the authority more often than as the type.
    let npi = system.as_deref().is_some_and(|authority| matches!(authority, "NPI" | "NPIID" | NPI_OID));
    let kind = kind.or_else(|| npi.then(|| SmolStr::new_static("NPI")));
    Identifier { r#use: None, r#type: kind, system, value: Phi::new(value), assigner }
}
