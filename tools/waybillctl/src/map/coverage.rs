//! What became of fields, counted.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// A kind of value: a field or component of HL7 v2, an element of FHIR.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// Component 0: the field has no others.
    Hl7 {
        segment: String,
        field: u16,
        component: u16,
    },
    Fhir(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hl7 { segment, field: 0, .. } => f.write_str(segment),
            Self::Hl7 { segment, field, component: 0 } => write!(f, "{segment}-{field}"),
            Self::Hl7 { segment, field, component } => write!(f, "{segment}-{field}.{component}"),
            Self::Fhir(path) => f.write_str(path),
        }
    }
}

/// What becomes of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Without it the events differ.
    Mapped,
    /// Left out on purpose.
    Dropped(String),
    Unmapped,
}

/// Values of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) mapped: usize,
    pub(super) dropped: usize,
    pub(super) unmapped: usize,
    /// Why some were dropped; of a row without counts, why nothing is said.
    pub(super) reason: Option<String>,
    /// Messages that have one.
    pub(super) messages: usize,
}

/// What became of the values of one message, or of many.
#[derive(Clone, Debug, Default)]
pub(super) struct Coverage {
    pub(super) rows: BTreeMap<Place, Row>,
    /// Values that were tried.
    pub(super) tried: usize,
    /// Values that there are: more, where a message was so large that only some of each kind were tried.
    pub(super) values: usize,
}

impl Coverage {
    pub(super) fn count(&mut self, place: Place, fate: Fate, times: usize) {
        let row = self.rows.entry(place).or_default();
        row.messages = 1;
        match fate {
            Fate::Mapped => row.mapped += times,
            Fate::Unmapped => row.unmapped += times,
            Fate::Dropped(reason) => {
                row.dropped += times;
                row.reason = Some(reason);
            }
        }
    }

    /// Says why nothing is said.
    pub(super) fn leave_out(&mut self, place: Place, reason: &str) {
        let row = self.rows.entry(place).or_default();
        row.messages = 1;
        row.reason = Some(reason.to_owned());
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.tried += other.tried;
        self.values += other.values;
        for (place, row) in &other.rows {
            let sum = self.rows.entry(place.clone()).or_default();
            *sum = sum.plus(row);
        }
    }

    pub(super) fn is_sampled(&self) -> bool {
        self.tried < self.values
    }

    pub(super) fn totals(&self) -> Row {
        self.rows.values().fold(Row::default(), |sum, row| sum.plus(row))
    }

    /// The rows for people: a field that has components in one message is written by components in all.
    pub(super) fn folded(&self) -> BTreeMap<Place, Row> {
        let by_component: BTreeSet<(&str, u16)> = self
            .rows
            .keys()
            .filter_map(|place| match place {
                Place::Hl7 { segment, field, component: 1.. } => Some((segment.as_str(), *field)),
                _ => None,
            })
            .collect();
        let mut folded: BTreeMap<Place, Row> = BTreeMap::new();
        for (place, row) in &self.rows {
            let place = match place {
                Place::Hl7 { segment, field, component: 0 } if by_component.contains(&(segment, *field)) => {
                    Place::Hl7 { segment: segment.clone(), field: *field, component: 1 }
                }
                place => place.clone(),
            };
            let sum = folded.entry(place).or_default();
            *sum = sum.plus(row);
        }
        folded
    }
}

impl Row {
    fn plus(&self, other: &Self) -> Self {
        Self {
            mapped: self.mapped + other.mapped,
            dropped: self.dropped + other.dropped,
            unmapped: self.unmapped + other.unmapped,
            reason: self.reason.clone().or_else(|| other.reason.clone()),
            messages: self.messages + other.messages,
        }
    }
}
