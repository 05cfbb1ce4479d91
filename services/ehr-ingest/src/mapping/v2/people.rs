//! Names, addresses, telephone numbers and clinicians.

use waybill_contracts::{
    Phi,
    fhir::{Address, ContactPoint, HumanName, Identifier, Practitioner},
};
use waybill_hl7v2::{Field, Repetition};

use super::{
    codes,
    datatypes::{Reading, Value, authority, leaf, phi},
};

/// XPN, all repetitions.
pub(super) fn names(field: &Field<'_>, reading: &Reading) -> Vec<HumanName> {
    field.repetitions().filter_map(|whole| name(&whole, reading)).collect()
}

/// XPN.
pub(super) fn name(whole: &Repetition<'_>, reading: &Reading) -> Option<HumanName> {
    let name = name_at(whole, 1, reading)?;
    let r#use = leaf(whole, 7).read(reading).and_then(|code| codes::name_use(&code));
    Some(HumanName { r#use: r#use.map(str::to_owned), ..name })
}

/// The name inside an XPN (from component 1) or XCN (from component 2): family, given, further, suffix, prefix, degree.
fn name_at(whole: &Repetition<'_>, first: usize, reading: &Reading) -> Option<HumanName> {
    let part = |number| phi(&leaf(whole, first + number), reading);
    let name = HumanName {
        r#use: None,
        family: part(0),
        given: part(1).into_iter().chain(part(2)).collect(),
        prefix: part(4).into_iter().collect(),
        suffix: part(3).into_iter().chain(part(5)).collect(),
    };
    (name != HumanName::default()).then_some(name)
}

/// XAD, all repetitions.
pub(super) fn addresses(field: &Field<'_>, reading: &Reading) -> Vec<Address> {
    field.repetitions().filter_map(|whole| address(&whole, reading)).collect()
}

fn address(whole: &Repetition<'_>, reading: &Reading) -> Option<Address> {
    let part = |number| phi(&leaf(whole, number), reading);
    let street = whole.component(1);
    // SAD: the whole line, else dwelling number and street name.
    let line = phi(&street.subcomponent(1), reading).or_else(|| {
        let parts = [3, 2].map(|number| street.subcomponent(number).read(reading));
        let line = parts.into_iter().flatten().collect::<Vec<_>>().join(" ");
        (!line.is_empty()).then(|| Phi::new(line))
    });
    let mut address = Address {
        r#use: None,
        line: line.into_iter().chain(part(2)).collect(),
        city: part(3),
        district: part(9),
        state: part(4),
        postal_code: part(5),
        country: part(6),
    };
    if address == Address::default() {
        return None;
    }
    address.r#use =
        leaf(whole, 7).read(reading).and_then(|code| codes::address_use(&code)).map(str::to_owned);
    Some(address)
}

/// XTN, all repetitions of both fields; `home` and `work` where the number itself says nothing.
pub(super) fn telecoms(home: &Field<'_>, work: Option<&Field<'_>>, reading: &Reading) -> Vec<ContactPoint> {
    let of = |field: &Field<'_>, place| {
        let read = |whole: Repetition<'_>| telecom(&whole, place, reading);
        field.repetitions().filter_map(read).collect::<Vec<_>>()
    };
    let mut telecoms = of(home, "home");
    telecoms.extend(work.map(|work| of(work, "work")).unwrap_or_default());
    telecoms
}

fn telecom(whole: &Repetition<'_>, place: &str, reading: &Reading) -> Option<ContactPoint> {
    let part = |number| leaf(whole, number).read(reading);
    let (use_code, equipment) = (part(2), part(3));
    let email = use_code.as_deref() == Some("NET") || equipment.as_deref() == Some("Internet");
    // The number as written (XTN-1, until 2.6), unformatted (XTN-12), or country, area, local and extension.
    let number = || {
        let country = part(5).map(|code| format!("+{}", code.trim_start_matches('+')));
        let parts = [country, part(6), part(7)];
        let mut number = parts.into_iter().flatten().collect::<Vec<_>>().join(" ");
        if let Some(extension) = part(8).filter(|_| !number.is_empty()) {
            number.push_str(" x");
            number.push_str(&extension);
        }
        (!number.is_empty()).then_some(number)
    };
    let value =
        if email { part(4).or_else(|| part(1)) } else { part(1).or_else(|| part(12)).or_else(number) };
    let (value, is_email) = match value {
        Some(value) => (value, email),
        // An address alone, whatever the equipment says.
        None => (part(4)?, true),
    };
    let system = if is_email { Some("email") } else { equipment.as_deref().and_then(codes::telecom_system) };
    let mobile = (equipment.as_deref() == Some("CP")).then_some("mobile");
    let r#use = mobile.or(match use_code.as_deref() {
        Some(code) => codes::telecom_use(code),
        None => Some(place),
    });
    Some(ContactPoint {
        system: Some(system.unwrap_or("phone").to_owned()),
        r#use: r#use.map(str::to_owned),
        value: Phi::new(value),
    })
}

/// XCN, all repetitions, in one role.
pub(super) fn practitioners(field: &Field<'_>, role: &str, reading: &Reading) -> Vec<Practitioner> {
    field.repetitions().filter_map(|whole| practitioner(&whole, role, reading)).collect()
}

/// XCN: id, name, authority (XCN-9), type (XCN-13).
fn practitioner(whole: &Repetition<'_>, role: &str, reading: &Reading) -> Option<Practitioner> {
    let identifier = leaf(whole, 1).read(reading).map(|value| {
        let kind = leaf(whole, 13).read(reading);
        clinician_id(value, kind, authority(&whole.component(9), reading))
    });
    let name = name_at(whole, 2, reading);
    person(identifier, name, role)
}

/// NDL (OBR-32): the name is in the subcomponents of component 1, the authority in 9 to 11.
pub(super) fn interpreters(field: &Field<'_>, role: &str, reading: &Reading) -> Vec<Practitioner> {
    field
        .repetitions()
        .filter_map(|whole| {
            let person_of = whole.component(1);
            let part = |number| person_of.subcomponent(number).read(reading);
            let identifier = part(1).map(|value| clinician_id(value, None, part(9)));
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
        .collect()
}

fn person(identifier: Option<Identifier>, name: Option<HumanName>, role: &str) -> Option<Practitioner> {
    (identifier.is_some() || name.is_some()).then(|| Practitioner {
        identifier,
        name,
        role: Some(role.to_owned()),
    })
}

fn clinician_id(value: String, kind: Option<String>, system: Option<String>) -> Identifier {
    // Feeds say "NPI" as the authority more often than as the type.
    let kind = kind.or_else(|| system.clone().filter(|authority| authority == "NPI"));
    Identifier { r#use: None, r#type: kind, system, value: Phi::new(value) }
}
