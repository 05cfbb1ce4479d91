//! What a receiver does with a message, as rules that can be exchanged while it runs.

use serde::{Deserialize, Serialize};

use crate::peek::Peek;

/// What happens to one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Action {
    /// Take it and answer AA.
    Accept,
    /// Refuse its content: AE with this error code of table 0357 (204 unknown key identifier).
    Error {
        /// ERR-3.1.
        #[serde(default = "unknown_key")]
        code: u16,
    },
    /// Refuse to process it: AR with this error code of table 0357 (207: internal error, try again).
    Reject {
        /// ERR-3.1.
        #[serde(default = "internal_error")]
        code: u16,
    },
    /// Take it and say nothing.
    Silence,
    /// Take it and answer AA for another message: MSA-2 is not its MSH-10.
    WrongControlId,
    /// Take it and close the connection instead of answering.
    CloseAfterRead,
    /// Take it and answer AA this many milliseconds later.
    Slow {
        /// Delay in milliseconds.
        millis: u64,
    },
    /// Take it and answer with a frame that is no HL7 message.
    Garbage,
}

fn unknown_key() -> u16 {
    204
}

fn internal_error() -> u16 {
    207
}

impl Action {
    /// True when the message counts as received, whatever the sender gets to know about it.
    pub(super) fn takes(self) -> bool {
        !matches!(self, Self::Error { .. } | Self::Reject { .. })
    }

    /// Name in histories and statistics.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Error { .. } => "error",
            Self::Reject { .. } => "reject",
            Self::Silence => "silence",
            Self::WrongControlId => "wrong-control-id",
            Self::CloseAfterRead => "close-after-read",
            Self::Slow { .. } => "slow",
            Self::Garbage => "garbage",
        }
    }
}

/// Which messages a rule is about; everything given must hold, and nothing given means every message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Condition {
    /// MSH-10 is exactly this.
    pub control_id: Option<String>,
    /// MSH-9.1, or MSH-9.1 and 9.2: `ORU` or `ORU^R01`.
    pub message_type: Option<String>,
    /// Name of the segment in which `field` is looked at; any segment with this name may match.
    pub segment: Option<String>,
    /// Field number in `segment`.
    pub field: Option<usize>,
    /// The field, or its first component, is exactly this. Without `field`: the segment contains it.
    pub value: Option<String>,
    /// The message contains this text anywhere.
    pub contains: Option<String>,
}

impl Condition {
    /// Every message.
    pub fn any() -> Self {
        Self::default()
    }

    /// The message with this MSH-10.
    pub fn control_id(id: impl Into<String>) -> Self {
        Self { control_id: Some(id.into()), ..Self::default() }
    }

    /// Messages of this type, `ORU` or `ORU^R01`.
    pub fn message_type(kind: impl Into<String>) -> Self {
        Self { message_type: Some(kind.into()), ..Self::default() }
    }

    /// Messages in which this field, or its first component, has this value: `("OBX", 8, "HH")`.
    pub fn field(segment: impl Into<String>, field: usize, value: impl Into<String>) -> Self {
        Self {
            segment: Some(segment.into()),
            field: Some(field),
            value: Some(value.into()),
            ..Self::default()
        }
    }

    /// Messages containing this text.
    pub fn contains(text: impl Into<String>) -> Self {
        Self { contains: Some(text.into()), ..Self::default() }
    }

    fn holds(&self, bytes: &[u8], message: Option<&Peek<'_>>) -> bool {
        self.contains.as_ref().is_none_or(|text| contains(bytes, text.as_bytes()))
            && self.control_id.as_ref().is_none_or(|id| message.is_some_and(|m| m.control_id() == *id))
            && self.message_type.as_ref().is_none_or(|kind| message.is_some_and(|m| is_type(m, kind)))
            && self.segment.as_ref().is_none_or(|name| message.is_some_and(|m| self.in_segment(m, name)))
    }

    fn in_segment(&self, message: &Peek<'_>, name: &str) -> bool {
        let Some(value) = self.value.as_deref().map(str::as_bytes) else {
            return message.segments().any(|segment| segment.starts_with(name.as_bytes()));
        };
        message.segments().filter(|segment| segment.starts_with(name.as_bytes())).any(|segment| {
            match self.field {
                None => contains(segment, value),
                Some(number) => {
                    let field = message.field_of(segment, number);
                    field == value || message.component(field, 1) == value
                }
            }
        })
    }
}

fn is_type(message: &Peek<'_>, kind: &str) -> bool {
    let found = message.message_type();
    found == kind || found.split('^').next() == Some(kind)
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    needle.is_empty() || haystack.windows(needle.len()).any(|window| window == needle)
}

/// One exception to the default action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Which messages.
    #[serde(default)]
    pub when: Condition,
    /// What happens to them.
    pub action: Action,
    /// Only to every n-th of them (the n-th, the 2n-th, …).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<u64>,
    /// Only this often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
}

impl Rule {
    /// Applies to all messages for which the condition holds.
    pub fn new(when: Condition, action: Action) -> Self {
        Self { when, action, every: None, times: None }
    }

    /// The next `count` messages.
    pub fn next(count: u64, action: Action) -> Self {
        Self::new(Condition::any(), action).times(count)
    }

    /// Every `n`-th message.
    pub fn every(n: u64, action: Action) -> Self {
        Self { every: Some(n), ..Self::new(Condition::any(), action) }
    }

    /// The same rule, at most `count` times.
    #[must_use]
    pub fn times(self, count: u64) -> Self {
        Self { times: Some(count), ..self }
    }
}

/// A default and the exceptions from it; the first rule that applies decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Behaviour {
    /// When no rule applies.
    #[serde(default = "accept")]
    pub default: Action,
    /// In order of precedence.
    #[serde(default)]
    pub rules: Vec<Rule>,
}

fn accept() -> Action {
    Action::Accept
}

impl Behaviour {
    /// Accepts everything.
    pub fn accept() -> Self {
        Self::always(Action::Accept)
    }

    /// Does this to every message.
    pub fn always(default: Action) -> Self {
        Self { default, rules: Vec::new() }
    }

    /// With one more rule, after those it has.
    #[must_use]
    pub fn rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }
}

/// A behaviour and how often its rules matched and acted.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) behaviour: Behaviour,
    counts: Vec<(u64, u64)>,
}

impl Script {
    pub(super) fn new(behaviour: Behaviour) -> Self {
        let counts = vec![(0, 0); behaviour.rules.len()];
        Self { behaviour, counts }
    }

    pub(super) fn decide(&mut self, bytes: &[u8], message: Option<&Peek<'_>>) -> Action {
        for (rule, (matched, acted)) in self.behaviour.rules.iter().zip(&mut self.counts) {
            if !rule.when.holds(bytes, message) {
                continue;
            }
            *matched += 1;
            let its_turn = rule.every.is_none_or(|n| *matched % n.max(1) == 0);
            if its_turn && rule.times.is_none_or(|times| *acted < times) {
                *acted += 1;
                return rule.action;
            }
        }
        self.behaviour.default
    }
}

#[cfg(test)]
mod tests {
    use super::{Action, Behaviour, Condition, Rule, Script};
    use crate::peek::Peek;

    const RESULT: &[u8] = b"MSH|^~\\&|L|G|W|H|1||ORU^R01^ORU_R01|L1|P|2.5.1\rPID|||7\rOBR|1||LR9^GENLIS\rOBX|1|NM|||1|||N\rOBX|2|NM|||9|||HH\r";
    const VISIT: &[u8] = b"MSH|^~\\&|E|G|W|H|1||ADT^A01|E1|P|2.3\rPID|||7\r";

    fn decide(script: &mut Script, bytes: &[u8]) -> Action {
        script.decide(bytes, Peek::new(bytes).as_ref())
    }

    #[test]
    fn conditions_look_where_they_say() {
        for (when, result, visit) in [
            (Condition::any(), true, true),
            (Condition::control_id("L1"), true, false),
            (Condition::message_type("ORU"), true, false),
            (Condition::message_type("ADT^A01"), false, true),
            (Condition::field("OBX", 8, "HH"), true, false),
            (Condition::field("OBR", 3, "LR9"), true, false),
            (Condition::field("OBX", 8, "LL"), false, false),
            (Condition::contains("|E1|"), false, true),
        ] {
            let mut script = Script::new(Behaviour::accept().rule(Rule::new(when.clone(), Action::Silence)));
            assert_eq!(decide(&mut script, RESULT) == Action::Silence, result, "{when:?}");
            assert_eq!(decide(&mut script, VISIT) == Action::Silence, visit, "{when:?}");
        }
    }

    #[test]
    fn counts_are_kept() {
        let behaviour =
            Behaviour::accept().rule(Rule::next(1, Action::Garbage)).rule(Rule::every(3, Action::Silence));
        let mut script = Script::new(behaviour);
        let actions: Vec<_> = (0..7).map(|_| decide(&mut script, VISIT)).collect();
        let (a, s) = (Action::Accept, Action::Silence);
        assert_eq!(actions, [Action::Garbage, a, a, s, a, a, s]);
    }

    #[test]
    fn reads_from_json_and_refuses_unknown_keys() {
        let json = r#"{"default":{"kind":"slow","millis":5},"rules":[
            {"when":{"segment":"OBX","field":8,"value":"HH"},"action":{"kind":"error"},"times":2}]}"#;
        let behaviour: Behaviour = serde_json::from_str(json).unwrap();
        assert_eq!(behaviour.default, Action::Slow { millis: 5 });
        assert_eq!(behaviour.rules[0].action, Action::Error { code: 204 });
        assert!(serde_json::from_str::<Behaviour>(r#"{"defualt":{"kind":"accept"}}"#).is_err());
    }
}
