//! Why an event differs from an expectation: each rule with its source.
//!
//! `v2-to-FHIR` are HL7's own maps; `FHIR converter` and `ReportStream` are the programs that made the expectations.

mod opinion;
mod scope;

use crate::{
    node::{Compared, Node},
    source::Source,
};

/// A reason for which the event is right and the expectation another's opinion.
pub(crate) struct Rule {
    pub(crate) name: &'static str,
    /// Where it is written.
    pub(crate) source: &'static str,
    /// The events have no place for what is expected: nothing was compared.
    pub(crate) not_carried: bool,
    pub(crate) applies: fn(&Difference<'_, '_>) -> bool,
}

/// The first rule that applies.
pub(crate) fn of(difference: &Difference<'_, '_>) -> Option<&'static Rule> {
    let mut rules = scope::RULES.iter().chain(opinion::RULES);
    rules.find(|rule| (rule.applies)(difference))
}

/// One field that is not equal.
pub(crate) struct Difference<'d, 'n> {
    pub(crate) compared: &'d Compared<'n>,
    /// The message that both sides were made from.
    pub(crate) message: &'d Source,
}

impl<'n> Difference<'_, 'n> {
    fn path(&self) -> &str {
        &self.compared.path
    }

    fn expected(&self) -> Option<&'n str> {
        self.compared.expected
    }

    /// The one value found instead.
    fn found(&self) -> Option<&'n str> {
        match self.compared.found.as_deref() {
            Some([one]) => Some(one),
            _ => None,
        }
    }

    /// The number itself, not what is said about it.
    fn is_value(&self) -> bool {
        self.path().rsplit('.').next() == Some("value")
    }

    /// The part is there and has no such field.
    fn found_none(&self) -> bool {
        self.compared.found.as_ref().is_some_and(Vec::is_empty)
    }

    /// There is no such part.
    fn part_is_missing(&self) -> bool {
        self.expected().is_some() && self.compared.found.is_none()
    }

    /// A part that nobody expects, of the kind at the end of the path.
    fn extra(&self) -> Option<&'n Node> {
        if self.expected().is_none() { self.compared.twin } else { None }
    }

    /// The innermost expected part of a kind that the field is in.
    fn within(&self, kind: &str) -> Option<&'n Node> {
        self.compared.within.iter().rev().find(|node| node.kind == kind).copied()
    }

    fn is(&self, path: &str, expected: &str, found: &str) -> bool {
        self.path().ends_with(path) && self.expected() == Some(expected) && self.found() == Some(found)
    }

    fn message_is_order(&self) -> bool {
        ["ORM", "OML", "OMG"].iter().any(|kind| self.message_is(kind))
    }

    fn message_is(&self, kind: &str) -> bool {
        self.message.message_type().0 == kind
    }
}
