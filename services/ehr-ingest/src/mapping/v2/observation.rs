//! OBX as an observation.

use smol_str::{SmolStr, format_smolstr};
use waybill_contracts::{
    Phi,
    fhir::{CodeableConcept, Period, Practitioner},
    lab::{Attachment, Observation, Quantity, Range, Ratio},
};
use waybill_hl7v2::{Repetition, Segment};

use super::{
    codes,
    datatypes::{Reading, Value, code, concept, date_time, each, entity, leaf, moment, range},
    decimal::decimal,
    people::{coded_organization, organizations, practitioners},
};

/// The observations of an OBX: one per repetition of OBX-5, but repeated text is one text of several lines.
pub(super) fn observations(obx: &Segment<'_>, reading: &Reading) -> Vec<Observation> {
    let status = code(&obx.field(11), reading).unwrap_or_default();
    let frame = Observation {
        code: concept(&obx.field(3).repetition(1), reading).unwrap_or_default(),
        sub_id: code(&obx.field(4), reading),
        status: codes::observation_status(&status).into(),
        interpretation: interpretation(obx, reading),
        reference_range: obx.field(7).read(reading),
        effective_date_time: date_time(&obx.field(14), reading),
        method: concept(&obx.field(17).repetition(1), reading),
        body_site: concept(&obx.field(20).repetition(1), reading),
        identifier: entity(&obx.field(21), "FILL", reading),
        performer: performers(obx, reading),
        ..Observation::default()
    };
    let kind = code(&obx.field(2), reading).unwrap_or_default();
    let unit = Unit::of(obx, reading);
    let values = each(&obx.field(5), |whole| value(&kind, &whole, &unit, reading));
    let mut observations: Vec<Observation> = Vec::with_capacity(values.len().max(1));
    for value in values {
        match (value, observations.last_mut().and_then(|last| last.value_string.as_mut())) {
            (Found::Text(line), Some(text)) => {
                // Grown in place: there may be millions of lines, and a copy for each would take hours.
                let mut lines = std::mem::take(text).into_exposed();
                lines.push('\n');
                lines.push_str(&line);
                *text = Phi::new(lines);
            }
            (value, _) => observations.push(value.put_into(frame.clone())),
        }
    }
    if observations.is_empty() {
        observations
            .push(Observation { data_absent_reason: Some(codes::absent_reason(&status).into()), ..frame });
    }
    observations
}

/// Who made the observation (OBX-16), and where (OBX-23, until 2.5 OBX-15).
fn performers(obx: &Segment<'_>, reading: &Reading) -> Vec<Practitioner> {
    let mut performers = practitioners(&obx.field(16), "performer", reading);
    let before = performers.len();
    performers.extend(organizations(&obx.field(23), ORGANIZATION, reading));
    if performers.len() == before {
        performers.extend(coded_organization(&obx.field(15).repetition(1), ORGANIZATION, reading));
    }
    performers
}

/// Role of the laboratory itself.
const ORGANIZATION: &str = "performing-organization";

/// OBX-8: codes of table 0078, in component 1 since 2.7.
fn interpretation(obx: &Segment<'_>, reading: &Reading) -> Vec<SmolStr> {
    each(&obx.field(8), |flag| leaf(&flag, 1).read(reading))
}

/// A value of OBX-5, typed.
enum Found {
    Quantity(Quantity),
    Concept(CodeableConcept),
    Text(String),
    Range(Range),
    Ratio(Ratio),
    DateTime(SmolStr),
    Period(Period),
    Time(SmolStr),
    Attachment(Attachment),
}

impl Found {
    fn put_into(self, mut observation: Observation) -> Observation {
        match self {
            Self::Quantity(value) => observation.value_quantity = Some(value),
            Self::Concept(value) => observation.value_codeable_concept = Some(value),
            Self::Text(value) => observation.value_string = Some(Phi::new(value)),
            Self::Range(value) => observation.value_range = Some(value),
            Self::Ratio(value) => observation.value_ratio = Some(value),
            Self::DateTime(value) => observation.value_date_time = Some(Phi::new(value)),
            Self::Period(value) => observation.value_period = Some(value),
            Self::Time(value) => observation.value_time = Some(value),
            Self::Attachment(value) => observation.value_attachment = Some(value),
        }
        observation
    }
}

/// One repetition of OBX-5 by the type in OBX-2. A value that is not of its type is kept as text: nothing is lost.
fn value(kind: &str, whole: &Repetition<'_>, unit: &Unit, reading: &Reading) -> Option<Found> {
    let text = || whole.read(reading);
    let part = |number| leaf(whole, number).read(reading);
    let typed = match kind {
        "NM" => quantity_text(&text()?, unit).map(Found::Quantity),
        "SN" => structured(part, unit),
        "NR" => Some(Found::Range(Range { low: plain(part(1), unit), high: plain(part(2), unit) })),
        // Its own unit stands in the subcomponents of component 2.
        "CQ" => plain(part(1), &Unit { text: part(2).or_else(|| unit.text.clone()), ..Unit::default() })
            .map(Found::Quantity),
        "CE" | "CWE" | "CNE" | "CF" | "IS" | "ID" => concept(whole, reading).map(Found::Concept),
        "TS" | "DTM" | "DT" => moment(leaf(whole, 1).raw(), reading).map(Found::DateTime),
        "DR" => range(whole, reading).map(Found::Period),
        // Variant ranges of older versions: v2-to-FHIR writes them out.
        "VR" => part(1).zip(part(2)).map(|(from, to)| Found::Text(format!("{from}-{to}"))),
        "TM" => time(&text()?).map(Found::Time),
        "ED" | "RP" => Some(Found::Attachment(attachment(kind, whole, reading))),
        _ => None,
    };
    typed.or_else(|| text().map(|text| Found::Text(text.into())))
}

/// OBX-6.
#[derive(Default)]
struct Unit {
    text: Option<SmolStr>,
    code: Option<SmolStr>,
    system: Option<SmolStr>,
}

impl Unit {
    fn of(obx: &Segment<'_>, reading: &Reading) -> Self {
        let whole = obx.field(6).repetition(1);
        let part = |number| whole.component(number).read(reading);
        let (code, text) = (part(1), part(2));
        let system = part(3).map(|name| codes::code_system(&name));
        // A code means something in a system only.
        Self { text: text.or_else(|| code.clone()), code: code.filter(|_| system.is_some()), system }
    }

    fn quantity(&self, comparator: Option<&str>, value: String) -> Quantity {
        Quantity {
            comparator: comparator.map(SmolStr::from),
            value: value.into(),
            unit: self.text.clone(),
            system: self.system.clone(),
            code: self.code.clone(),
        }
    }
}

fn plain(text: Option<SmolStr>, unit: &Unit) -> Option<Quantity> {
    Some(unit.quantity(None, decimal(&text?)?))
}

/// NM, and what analysers put there all the same: a comparator in front.
fn quantity_text(text: &str, unit: &Unit) -> Option<Quantity> {
    let (comparator, rest) = split_comparator(text);
    Some(unit.quantity(comparator, decimal(rest.trim())?))
}

fn split_comparator(text: &str) -> (Option<&'static str>, &str) {
    for comparator in ["<=", ">=", "<", ">"] {
        if let Some(rest) = text.strip_prefix(comparator) {
            return (Some(comparator), rest);
        }
    }
    (None, text)
}

/// SN: comparator, number, separator or suffix, number (HL7 v2 §2A.3.71).
fn structured(part: impl Fn(usize) -> Option<SmolStr>, unit: &Unit) -> Option<Found> {
    let (sent, first, separator, second) = (part(1), part(2), part(3), part(4));
    // What is neither a comparator nor "not equal" says nothing about the numbers.
    let comparator = sent.as_deref().filter(|sent| ["<", "<=", ">", ">=", "<>"].contains(sent));
    let typed = match (comparator, separator.as_deref(), &second) {
        (None, Some("-"), Some(second)) => plain(first.clone(), unit)
            .zip(plain(Some(second.clone()), unit))
            .map(|(low, high)| Found::Range(Range { low: Some(low), high: Some(high) })),
        (None | Some("<" | "<=" | ">" | ">="), Some(":" | "/"), Some(second)) => {
            let numerator = first.as_deref().and_then(decimal).map(|value| unit.quantity(comparator, value));
            numerator
                .zip(plain(Some(second.clone()), unit))
                .map(|(numerator, denominator)| Found::Ratio(Ratio { numerator, denominator }))
        }
        // "not equal" has no FHIR comparator.
        (None | Some("<" | "<=" | ">" | ">="), None, None) => {
            let value = first.as_deref().and_then(decimal);
            value.map(|value| Found::Quantity(unit.quantity(comparator, value)))
        }
        _ => None,
    };
    // "2+", and whatever else a suffix may say: as it would be printed, with its unit.
    typed.or_else(|| {
        let text = [sent, first, separator, second].into_iter().flatten().collect::<Vec<_>>().concat();
        let unit = unit.text.iter().filter(|_| !text.is_empty());
        let text =
            std::iter::once(text.as_str()).chain(unit.map(SmolStr::as_str)).collect::<Vec<_>>().join(" ");
        (!text.is_empty()).then_some(Found::Text(text))
    })
}

/// TM `HHMM[SS[.S…]]` as FHIR `time`; an offset has no place there.
fn time(text: &str) -> Option<SmolStr> {
    let local = text.split(['+', '-']).next()?;
    let (digits, fraction) =
        local.split_once('.').map_or((local, None), |(digits, part)| (digits, Some(part)));
    let two =
        |at: usize| digits.get(at..at + 2).filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
    let seconds = match digits.len() {
        4 => "00",
        6 => two(4)?,
        _ => return None,
    };
    let (hour, minute) = (two(0)?, two(2)?);
    if hour > "23" || minute > "59" || seconds > "60" {
        return None;
    }
    let fraction = fraction.filter(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    Some(format_smolstr!(
        "{hour}:{minute}:{seconds}{}",
        fraction.map(|part| format!(".{part}")).unwrap_or_default()
    ))
}

/// Table 0191 shares these with MIME.
const MIME_TYPES: [&str; 5] = ["application", "audio", "image", "text", "video"];

/// ED: type, subtype, encoding, data. RP: pointer, application, type, subtype. The bytes stay in the original.
fn attachment(kind: &str, whole: &Repetition<'_>, reading: &Reading) -> Attachment {
    let part = |number| leaf(whole, number).read(reading);
    let (main, subtype) = if kind == "ED" { (part(2), part(3)) } else { (part(3), part(4)) };
    let (title, url) = if kind == "ED" { (main.clone(), None) } else { (None, part(1)) };
    let content_type = match (main.map(|main| main.to_ascii_lowercase()), subtype) {
        (Some(main), Some(subtype)) if MIME_TYPES.contains(&main.as_str()) => {
            Some(format_smolstr!("{main}/{}", subtype.to_ascii_lowercase()))
        }
        (_, subtype) => subtype,
    };
    let size = if kind == "ED" { whole.component(5).raw().len() } else { 0 };
    Attachment { content_type, title: title.map(Phi::new), size: size as i64, url: url.map(Phi::new) }
}
