//! FHIR's data types as the events have them: the elements are the same, the texts become owned.

use smol_str::SmolStr;
use waybill_contracts::{Phi, fhir, lab};
use waybill_fhir::{
    date::DateTime,
    types::{
        Address, CodeableConcept, Coding, ContactPoint, HumanName, Identifier, Money, OptText, Period,
        Quantity, Range, Ratio, Texts,
    },
};

use super::identity::type_code;

/// NPI of the United States.
pub(super) const NPI: &str = "http://hl7.org/fhir/sid/us-npi";

pub(super) fn text(value: &OptText<'_>) -> Option<SmolStr> {
    value.as_deref().map(SmolStr::from)
}

pub(super) fn phi(value: &OptText<'_>) -> Option<Phi<SmolStr>> {
    value.as_deref().map(Phi::from)
}

fn phis(values: &Texts<'_>) -> Vec<Phi<SmolStr>> {
    values.iter().flatten().map(|value| Phi::from(&**value)).collect()
}

pub(super) fn date_time(value: Option<&DateTime<'_>>) -> Option<Phi<SmolStr>> {
    value.map(|value| Phi::from(value.as_str()))
}

/// Of a choice between a moment and a span: the moment, else the beginning.
pub(super) fn moment(at: Option<&DateTime<'_>>, span: Option<&Period<'_>>) -> Option<Phi<SmolStr>> {
    date_time(at.or_else(|| span?.start.as_ref()))
}

pub(super) fn period(value: Option<&Period<'_>>) -> Option<fhir::Period> {
    let value = value?;
    let period = fhir::Period { start: date_time(value.start.as_ref()), end: date_time(value.end.as_ref()) };
    (period != fhir::Period::default()).then_some(period)
}

/// Of a choice between a moment and a span: the span, or one that starts and ends at the moment.
pub(super) fn occurrence(at: Option<&DateTime<'_>>, span: Option<&Period<'_>>) -> Option<fhir::Period> {
    period(span).or_else(|| {
        let at = date_time(at)?;
        Some(fhir::Period { start: Some(at.clone()), end: Some(at) })
    })
}

pub(super) fn coding(value: &Coding<'_>) -> fhir::Coding {
    fhir::Coding { system: text(&value.system), code: text(&value.code), display: text(&value.display) }
}

/// The text stays the sender's; without one it is the first display, as HL7 v2 has it.
pub(super) fn concept(value: &CodeableConcept<'_>) -> fhir::CodeableConcept {
    let display = || value.coding.iter().find_map(|coding| text(&coding.display));
    fhir::CodeableConcept {
        coding: value.coding.iter().map(coding).collect(),
        text: text(&value.text).or_else(display),
    }
}

pub(super) fn opt_concept(value: Option<&CodeableConcept<'_>>) -> Option<fhir::CodeableConcept> {
    value.map(concept).filter(|concept| *concept != fhir::CodeableConcept::default())
}

pub(super) fn concepts(values: &[CodeableConcept<'_>]) -> Vec<fhir::CodeableConcept> {
    values.iter().map(concept).collect()
}

pub(super) fn phi_concepts(values: &[CodeableConcept<'_>]) -> Vec<Phi<fhir::CodeableConcept>> {
    values.iter().map(concept).map(Phi::new).collect()
}

/// The codes alone, of every coding; the text where there is none.
pub(super) fn codes(values: &[CodeableConcept<'_>]) -> Vec<SmolStr> {
    let mut codes: Vec<SmolStr> = Vec::new();
    for value in values {
        let before = codes.len();
        codes.extend(value.coding.iter().filter_map(|coding| text(&coding.code)));
        if codes.len() == before {
            codes.extend(text(&value.text));
        }
    }
    codes
}

/// The first code, else the text.
pub(super) fn code(value: Option<&CodeableConcept<'_>>) -> Option<SmolStr> {
    let value = value?;
    value.coding.iter().find_map(|coding| text(&coding.code)).or_else(|| text(&value.text))
}

/// `None` without a value.
pub(super) fn identifier(value: &Identifier<'_>) -> Option<fhir::Identifier> {
    let system = text(&value.system);
    let npi = || (system.as_deref() == Some(NPI)).then(|| SmolStr::new_static("NPI"));
    Some(fhir::Identifier {
        r#use: text(&value.r#use),
        r#type: type_code(value.r#type.as_ref()).map(SmolStr::from).or_else(npi),
        value: Phi::from(value.value.as_deref()?),
        system,
        assigner: value.assigner.as_ref().and_then(|assigner| text(&assigner.display)),
    })
}

pub(super) fn identifiers(values: &[Identifier<'_>]) -> Vec<fhir::Identifier> {
    values.iter().filter_map(identifier).collect()
}

/// The first identifier of table 0203's `kind`.
pub(super) fn of_kind(values: &[fhir::Identifier], kind: &str) -> Option<fhir::Identifier> {
    values.iter().find(|value| value.r#type.as_deref() == Some(kind)).cloned()
}

pub(super) fn names(values: &[HumanName<'_>]) -> Vec<fhir::HumanName> {
    values.iter().map(name).filter(|name| *name != fhir::HumanName::default()).collect()
}

/// A name that is only a text is not taken apart: it stands whole where the family name does.
pub(super) fn name(value: &HumanName<'_>) -> fhir::HumanName {
    let given = phis(&value.given);
    let whole = || if given.is_empty() { phi(&value.text) } else { None };
    fhir::HumanName {
        r#use: text(&value.r#use),
        family: phi(&value.family).or_else(whole),
        given,
        prefix: phis(&value.prefix),
        suffix: phis(&value.suffix),
    }
}

pub(super) fn addresses(values: &[Address<'_>]) -> Vec<fhir::Address> {
    values.iter().map(address).collect()
}

pub(super) fn address(value: &Address<'_>) -> fhir::Address {
    let mut address = fhir::Address {
        r#use: text(&value.r#use),
        line: phis(&value.line),
        city: phi(&value.city),
        district: phi(&value.district),
        state: phi(&value.state),
        postal_code: phi(&value.postal_code),
        country: phi(&value.country),
    };
    if address.line.is_empty() && address.city.is_none() && address.postal_code.is_none() {
        address.line.extend(phi(&value.text));
    }
    address
}

pub(super) fn telecoms(values: &[ContactPoint<'_>]) -> Vec<fhir::ContactPoint> {
    let telecom = |value: &ContactPoint<'_>| {
        Some(fhir::ContactPoint {
            system: text(&value.system),
            r#use: text(&value.r#use),
            value: Phi::from(value.value.as_deref()?),
        })
    };
    values.iter().filter_map(telecom).collect()
}

pub(super) fn money(value: Option<&Money<'_>>) -> Option<fhir::Money> {
    let value = value?;
    Some(fhir::Money { value: value.value?.0.into(), currency: text(&value.currency) })
}

/// `None` without a value: a unit alone says nothing.
pub(super) fn quantity(value: Option<&Quantity<'_>>) -> Option<lab::Quantity> {
    let value = value?;
    Some(lab::Quantity {
        comparator: text(&value.comparator),
        value: value.value?.0.into(),
        unit: text(&value.unit),
        system: text(&value.system),
        code: text(&value.code),
    })
}

pub(super) fn range(value: Option<&Range<'_>>) -> Option<lab::Range> {
    let value = value?;
    let range = lab::Range { low: quantity(value.low.as_ref()), high: quantity(value.high.as_ref()) };
    (range != lab::Range::default()).then_some(range)
}

pub(super) fn ratio(value: Option<&Ratio<'_>>) -> Option<lab::Ratio> {
    let value = value?;
    Some(lab::Ratio {
        numerator: quantity(value.numerator.as_ref())?,
        denominator: quantity(value.denominator.as_ref())?,
    })
}
