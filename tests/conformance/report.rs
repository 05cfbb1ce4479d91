//! The figures of a corpus.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use crate::{node::Compared, rules::Rule};

/// What was compared, and with what result.
pub(crate) struct Report {
    corpus: String,
    pairs: usize,
    outcomes: BTreeMap<String, usize>,
    not_mapped: BTreeMap<String, usize>,
    compared: usize,
    equal: usize,
    not_carried: usize,
    /// Parts that nobody expects: beside the expectation, so no part of what is compared, but in need of a rule.
    beyond: usize,
    /// The differences of each rule.
    by_rule: BTreeMap<&'static str, (&'static Rule, Vec<String>)>,
    unexplained: Vec<String>,
}

impl Report {
    pub(crate) fn new(corpus: &str) -> Self {
        Self {
            corpus: corpus.to_owned(),
            pairs: 0,
            outcomes: BTreeMap::new(),
            not_mapped: BTreeMap::new(),
            compared: 0,
            equal: 0,
            not_carried: 0,
            beyond: 0,
            by_rule: BTreeMap::new(),
            unexplained: Vec::new(),
        }
    }

    pub(crate) fn pair(&mut self, name: &str, outcome: &str) {
        self.pairs += 1;
        let outcome = if outcome == "mapped" { outcome.to_owned() } else { format!("{outcome} ({name})") };
        *self.outcomes.entry(outcome).or_default() += 1;
    }

    /// A message type that the events have no place for.
    pub(crate) fn not_mapped(&mut self, message_type: &str) {
        *self.not_mapped.entry(message_type.to_owned()).or_default() += 1;
    }

    pub(crate) fn field(&mut self, pair: &str, field: &Compared<'_>, rule: Option<&'static Rule>) {
        if rule.is_some_and(|rule| rule.not_carried) {
            self.not_carried += 1;
        } else if field.expected.is_none() {
            self.beyond += 1;
        } else {
            self.compared += 1;
        }
        if field.equal {
            self.equal += 1;
            return;
        }
        let expected = field.expected.unwrap_or("nothing");
        let found = match (&field.found, field.twin) {
            (Some(found), _) if found.is_empty() => "no such field".to_owned(),
            (Some(found), _) => found.join(" | "),
            (None, Some(extra)) => extra.summary(),
            (None, None) => "no such part".to_owned(),
        };
        let line = format!("{}: expected {expected}; found {found}  [{pair}]", field.path);
        match rule {
            Some(rule) => self.by_rule.entry(rule.name).or_insert((rule, Vec::new())).1.push(line),
            None => self.unexplained.push(line),
        }
    }

    /// The figures, and with them every difference under its rule.
    fn texts(&mut self) -> (String, String) {
        let mut text = format!(
            "{}: {} pairs; {} fields compared, {}; {} parts beyond the expectation; {} fields that the events do not \
             carry; without a rule {}\n",
            self.corpus,
            self.pairs,
            self.compared,
            share(self.equal, self.compared),
            self.beyond,
            self.not_carried,
            self.unexplained.len(),
        );
        for (outcome, count) in &self.outcomes {
            let _ = writeln!(text, "  {count:5} messages {outcome}");
        }
        let kinds: Vec<_> = self.not_mapped.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        if !kinds.is_empty() {
            let _ = writeln!(text, "  not compared, no event is made of them: {}", kinds.join(", "));
        }
        self.unexplained.sort();
        for line in &self.unexplained {
            let _ = writeln!(text, "  no rule: {line}");
        }
        let mut listed = text.clone();
        for (name, (rule, lines)) in &mut self.by_rule {
            let what = if rule.not_carried { "not carried" } else { "by rule" };
            let head = format!("  {:5} {what}: {name} [{}]\n", lines.len(), rule.source);
            text.push_str(&head);
            listed.push_str(&head);
            lines.sort();
            for line in lines {
                let _ = writeln!(listed, "          {line}");
            }
        }
        (text, listed)
    }
}

fn share(equal: usize, compared: usize) -> String {
    let hundredths = 100.0 * equal as f64 / compared.max(1) as f64;
    format!("{equal} equal ({hundredths:.2} %), {} differ", compared - equal)
}

/// Prints the figures, writes them with every difference, and fails where one has no rule or too few fields are equal.
pub(crate) fn finish(mut reports: Vec<Report>, threshold: usize) {
    let sum = |of: fn(&Report) -> usize| reports.iter().map(of).sum::<usize>();
    let (equal, compared) = (sum(|report| report.equal), sum(|report| report.compared));
    let total = format!("all corpora: {compared} fields compared, {}\n", share(equal, compared));
    let (texts, lists): (Vec<String>, Vec<String>) = reports.iter_mut().map(Report::texts).unzip();
    let _ = std::io::Write::write_all(&mut std::io::stderr(), (total.clone() + &texts.concat()).as_bytes());
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    fs::write(target.join("conformance.txt"), total.clone() + &lists.join("\n")).unwrap();

    let unexplained: Vec<&String> = reports.iter().flat_map(|report| &report.unexplained).collect();
    assert!(unexplained.is_empty(), "differences without a rule: {unexplained:#?}");
    assert!(100 * equal >= threshold * compared, "{total}, {threshold} % wanted");
}
