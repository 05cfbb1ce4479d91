//! Records of either side as nodes with fields, and their comparison.

use std::fmt::Write as _;

use crate::canon::Value;

/// Part of a record: named values and smaller parts. A field may have several values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Node {
    /// `Patient`, `identifier` …
    pub(crate) kind: &'static str,
    pub(crate) fields: Vec<(&'static str, Value)>,
    pub(crate) children: Vec<Self>,
}

impl Node {
    pub(crate) fn new(kind: &'static str) -> Self {
        Self { kind, ..Self::default() }
    }

    pub(crate) fn field(mut self, name: &'static str, value: Option<Value>) -> Self {
        self.fields.extend(value.map(|value| (name, value)));
        self
    }

    pub(crate) fn fields(mut self, name: &'static str, values: impl IntoIterator<Item = Value>) -> Self {
        self.fields.extend(values.into_iter().map(|value| (name, value)));
        self
    }

    /// Children that say nothing are left out.
    pub(crate) fn with(mut self, children: impl IntoIterator<Item = Self>) -> Self {
        self.children.extend(children.into_iter().filter(|child| !child.is_empty()));
        self
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.children.is_empty()
    }

    /// Leaves out parts that cannot be compared.
    pub(crate) fn without(&mut self, parent: &str, kind: &str) {
        for child in self.children.iter_mut().filter(|child| child.kind == parent) {
            child.children.retain(|part| part.kind != kind);
        }
    }

    fn values(&self, name: &str) -> impl Iterator<Item = &Value> {
        self.fields.iter().filter(move |(field, _)| *field == name).map(|(_, value)| value)
    }

    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.values(name).next().map(|value| value.raw.as_str())
    }

    /// In one line, for the list of differences.
    pub(crate) fn summary(&self) -> String {
        let mut text = String::new();
        for (name, value) in &self.fields {
            let _ = write!(text, "{name}={} ", value.raw);
        }
        for child in &self.children {
            let _ = write!(text, "{}({}) ", child.kind, child.summary());
        }
        text.trim_end().to_owned()
    }

    /// How many fields of `self` the other has with the same value; what names a thing says more than how it is.
    fn likeness(&self, other: &Self) -> usize {
        let weight = |(name, value): &(&'static str, Value)| {
            let equal = other.values(name).any(|found| found.canonical == value.canonical);
            match *name {
                _ if !equal => 0,
                "code" | "value" | "display" => 8,
                "family" | "birthDate" | "start" | "ward" | "room" | "bed" | "facility" => 4,
                _ => 1,
            }
        };
        let own: usize = self.fields.iter().map(weight).sum();
        let children = self.children.iter().map(|child| {
            let twins = other.children.iter().filter(|twin| twin.kind == child.kind);
            twins.map(|twin| child.likeness(twin)).max().unwrap_or_default()
        });
        own + children.sum::<usize>()
    }
}

/// One field that both sides were asked for.
pub(crate) struct Compared<'n> {
    /// `Patient.identifier.system`
    pub(crate) path: String,
    /// `None`: the expectation has no such part although it has others of its kind.
    pub(crate) expected: Option<&'n str>,
    /// What was found instead, all values of the field; `None`: the whole part is missing.
    pub(crate) found: Option<Vec<&'n str>>,
    pub(crate) equal: bool,
    /// The expected parts that the field is in, the outermost first.
    pub(crate) within: Vec<&'n Node>,
    /// The part that it was compared with.
    pub(crate) twin: Option<&'n Node>,
}

/// Kinds whose members are counted: one that nobody expects is a difference. Of a coded value the sender's codes may
/// stand beside the expected ones.
const COUNTED: [&str; 13] = [
    "identifier",
    "name",
    "address",
    "telecom",
    "contact",
    "Coverage",
    "DiagnosticReport",
    "Observation",
    "ServiceRequest",
    "Appointment",
    "ChargeItem",
    "location",
    "Diagnosis",
];

/// Compares every field below `expected` with its counterpart.
pub(crate) fn compare<'n>(expected: &'n Node, found: &'n Node) -> Vec<Compared<'n>> {
    let mut comparison = Comparison { within: Vec::new(), fields: Vec::new() };
    comparison.children(expected, found);
    comparison.fields
}

/// What is compared with the parts of a part that was not found.
static NOTHING: Node = Node { kind: "", fields: Vec::new(), children: Vec::new() };

struct Comparison<'n> {
    within: Vec<&'n Node>,
    fields: Vec<Compared<'n>>,
}

impl<'n> Comparison<'n> {
    fn path(&self, last: &str) -> String {
        let kinds = self.within.iter().map(|node| node.kind);
        kinds.chain([last]).collect::<Vec<_>>().join(".")
    }

    fn part(&mut self, expected: &'n Node, found: Option<&'n Node>) {
        self.within.push(expected);
        let mut names: Vec<&str> = expected.fields.iter().map(|(name, _)| *name).collect();
        names.dedup();
        for name in names {
            let mut left: Vec<&Value> = found.iter().flat_map(|found| found.values(name)).collect();
            let all: Vec<&str> = left.iter().map(|value| value.raw.as_str()).collect();
            for value in expected.values(name) {
                let at = left.iter().position(|found| found.canonical == value.canonical);
                self.fields.push(Compared {
                    path: self.path(name),
                    expected: Some(&value.raw),
                    found: found.is_some().then(|| all.clone()),
                    equal: at.map(|at| left.remove(at)).is_some(),
                    within: self.within.clone(),
                    twin: found,
                });
            }
        }
        self.children(expected, found.unwrap_or(&NOTHING));
        self.within.pop();
    }

    fn children(&mut self, expected: &'n Node, found: &'n Node) {
        let mut kinds: Vec<&str> = Vec::new();
        for child in &expected.children {
            if !kinds.contains(&child.kind) {
                kinds.push(child.kind);
            }
        }
        for kind in kinds {
            let of =
                |node: &'n Node| node.children.iter().filter(|child| child.kind == kind).collect::<Vec<_>>();
            let (wanted, mut there) = (of(expected), of(found));
            for (child, twin) in pair(&wanted, &mut there) {
                self.part(child, twin);
            }
            if COUNTED.contains(&kind) {
                for extra in there {
                    self.fields.push(Compared {
                        path: self.path(kind),
                        expected: None,
                        found: None,
                        equal: false,
                        within: self.within.clone(),
                        twin: Some(extra),
                    });
                }
            }
        }
    }
}

/// The likest twin for each, best matches first, then in the order they stand; takes the twins out of `there`.
fn pair<'n>(wanted: &[&'n Node], there: &mut Vec<&'n Node>) -> Vec<(&'n Node, Option<&'n Node>)> {
    let mut scores: Vec<(usize, usize, usize)> = Vec::new();
    for (at, child) in wanted.iter().enumerate() {
        for (twin_at, twin) in there.iter().enumerate() {
            scores.push((child.likeness(twin), at, twin_at));
        }
    }
    // Of two equally like, the one that stands at the same place.
    scores.sort_by_key(|(score, at, twin_at)| (std::cmp::Reverse(*score), at.abs_diff(*twin_at), *at));
    let (mut twins, mut taken) = (vec![None; wanted.len()], vec![false; there.len()]);
    for (_, at, twin_at) in scores {
        if twins[at].is_none() && !taken[twin_at] {
            twins[at] = Some(there[twin_at]);
            taken[twin_at] = true;
        }
    }
    let mut at = 0;
    there.retain(|_| {
        at += 1;
        !taken[at - 1]
    });
    wanted.iter().copied().zip(twins).collect()
}
