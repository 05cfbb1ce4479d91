//! Observation, with its components and members, as the events' flat list.

use std::collections::HashSet;

use smol_str::{SmolStr, ToSmolStr, format_smolstr};
use waybill_contracts::{Phi, fhir, lab};
use waybill_fhir::{
    resources::{Component, Observation, ReferenceRange},
    types::Quantity,
};

use super::{
    content::{Content, Found},
    datatypes::{
        code, codes, date_time, identifiers, moment, opt_concept, period, phi, quantity, range, ratio, text,
    },
    people,
};

/// Collects observations, each once, with what belongs to them.
#[derive(Default)]
pub(super) struct Collected {
    pub(super) observations: Vec<lab::Observation>,
    seen: HashSet<(usize, *const u8)>,
    /// Panels with components so far: their number is the sub-id that keeps the parts of each together (OBX-4).
    panels: usize,
}

/// Observations of an encounter that are in no report.
pub(super) fn of_encounter(content: &Content<'_, '_>, at: usize) -> Vec<lab::Observation> {
    let mut collected = Collected::default();
    for observation in content.observations.get(&at).into_iter().flatten() {
        if !content.reported.contains(observation)
            && let Some(found) = content.at(*observation)
        {
            collected.add(content, found);
        }
    }
    collected.observations
}

impl Collected {
    /// An observation, its components, then its members.
    pub(super) fn add<'a>(&mut self, content: &Content<'_, 'a>, found: Found<'a>) {
        // Members may go round in a circle.
        if !self.seen.insert((found.from, found.raw.as_ptr())) {
            return;
        }
        let Some(read) = found.read::<Observation<'_>>() else { return };
        let own = observation(content, found.from, &read);
        let is_panel = !read.component.is_empty() || !read.has_member.is_empty();
        let says_something = own.data_absent_reason.as_deref() != Some("unknown")
            || read.data_absent_reason.is_some()
            || !own.note.is_empty();
        if !read.component.is_empty() {
            self.panels += 1;
        }
        // A panel without a value of its own is only its parts.
        if !is_panel || says_something {
            self.observations.push(own.clone());
        }
        for component in &read.component {
            self.observations.push(self::component(&own, component, self.panels));
        }
        for member in &read.has_member {
            if let Some(found) = content.find(found.from, member) {
                self.add(content, found);
            }
        }
    }
}

/// What an Observation and its components say under the same names, and the fields given.
macro_rules! observed {
    ($read:expr, { $($field:ident: $value:expr),* $(,)? }) => {{
        let read = $read;
        lab::Observation {
            code: opt_concept(read.code.as_ref()).unwrap_or_default(),
            value_quantity: value_quantity(read.value_quantity.as_ref(), read.value_integer),
            value_codeable_concept: opt_concept(read.value_codeable_concept.as_ref()),
            value_string: string(read.value_string.as_deref(), read.value_boolean),
            value_range: range(read.value_range.as_ref()),
            value_ratio: ratio(read.value_ratio.as_ref()),
            value_date_time: date_time(read.value_date_time.as_ref()),
            value_time: text(&read.value_time),
            value_period: period(read.value_period.as_ref()),
            data_absent_reason: code(read.data_absent_reason.as_ref()),
            interpretation: codes(&read.interpretation),
            reference_range: reference_range(&read.reference_range),
            $($field: $value,)*
            ..lab::Observation::default()
        }
    }};
}

fn observation(content: &Content<'_, '_>, from: usize, read: &Observation<'_>) -> lab::Observation {
    let mut observation = observed!(read, {
        status: text(&read.status).unwrap_or_default(),
        effective_date_time: moment(
            read.effective_date_time.as_ref().or(read.effective_instant.as_ref()),
            read.effective_period.as_ref(),
        ),
        method: opt_concept(read.method.as_ref()),
        note: read.note.iter().filter_map(|note| phi(&note.text)).collect(),
        identifier: identifiers(&read.identifier).into_iter().next(),
        category: codes(&read.category),
        body_site: opt_concept(read.body_site.as_ref()),
        performer: people::practitioners(content, from, &read.performer, "performer"),
    });
    note_absence(&mut observation);
    observation
}

fn component(whole: &lab::Observation, read: &Component<'_>, panel: usize) -> lab::Observation {
    let mut component = observed!(read, {
        sub_id: Some(panel.to_smolstr()),
        status: whole.status.clone(),
        effective_date_time: whole.effective_date_time.clone(),
        method: whole.method.clone(),
        category: whole.category.clone(),
        body_site: whole.body_site.clone(),
        performer: whole.performer.clone(),
    });
    note_absence(&mut component);
    component
}

/// Exactly one value, or why there is none.
fn note_absence(observation: &mut lab::Observation) {
    let has_value = observation.value_quantity.is_some()
        || observation.value_codeable_concept.is_some()
        || observation.value_string.is_some()
        || observation.value_range.is_some()
        || observation.value_ratio.is_some()
        || observation.value_date_time.is_some()
        || observation.value_time.is_some()
        || observation.value_period.is_some();
    if has_value {
        observation.data_absent_reason = None;
    } else {
        observation.data_absent_reason.get_or_insert_with(|| SmolStr::new_static("unknown"));
    }
}

fn value_quantity(sent: Option<&Quantity<'_>>, integer: Option<i64>) -> Option<lab::Quantity> {
    let of_integer =
        || integer.map(|value| lab::Quantity { value: value.to_smolstr(), ..lab::Quantity::default() });
    quantity(sent).or_else(of_integer)
}

fn string(text: Option<&str>, boolean: Option<bool>) -> Option<Phi<String>> {
    text.map(str::to_owned).or_else(|| boolean.map(|value| value.to_string())).map(Phi::new)
}

/// As OBX-7 writes it: the text, else `low - high`, `>= low` or `<= high`; several with a semicolon between them.
fn reference_range(ranges: &[ReferenceRange<'_>]) -> Option<SmolStr> {
    let bound = |bound: &Option<Quantity<'_>>| {
        let bound = bound.as_ref()?;
        let unit = bound.unit.as_deref().or(bound.code.as_deref());
        let value = bound.value?.0;
        Some(unit.map_or_else(|| value.to_owned(), |unit| format!("{value} {unit}")))
    };
    let number = |bound: &Option<Quantity<'_>>| Some(bound.as_ref()?.value?.0.to_owned());
    let one = |range: &ReferenceRange<'_>| {
        text(&range.text).or_else(|| match (number(&range.low), bound(&range.low), bound(&range.high)) {
            (Some(low), _, Some(high)) => Some(format_smolstr!("{low} - {high}")),
            (_, Some(low), None) => Some(format_smolstr!(">= {low}")),
            (None, _, Some(high)) => Some(format_smolstr!("<= {high}")),
            _ => None,
        })
    };
    let texts: Vec<SmolStr> = ranges.iter().filter_map(one).collect();
    (!texts.is_empty()).then(|| texts.join("; ").into())
}

/// Table 0078: what must be told at once.
pub(super) fn is_critical(observations: &[lab::Observation]) -> bool {
    let mut flags = observations.iter().flat_map(|observation| &observation.interpretation);
    flags.any(|flag| matches!(flag.as_str(), "HH" | "LL" | "AA"))
}

/// The code of an observation that stands for a report of its own.
pub(super) fn code_of(observation: &Observation<'_>) -> fhir::CodeableConcept {
    opt_concept(observation.code.as_ref()).unwrap_or_default()
}
