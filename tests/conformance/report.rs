//! The figures of a corpus.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path, sync::Mutex};

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
    by_rule: BTreeMap<&'static str, (usize, &'static Rule)>,
    unexplained: Vec<(String, String)>,
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
        } else {
            self.compared += 1;
        }
        if field.equal {
            self.equal += 1;
        } else if let Some(rule) = rule {
            self.by_rule.entry(rule.name).or_insert((0, rule)).0 += 1;
        } else {
            let expected = field.expected.map_or_else(|| "nothing".to_owned(), str::to_owned);
            let found = match (&field.found, field.twin) {
                (Some(found), _) => found.join(" | "),
                (None, Some(extra)) => extra.summary(),
                (None, None) => "no such part".to_owned(),
            };
            let line = format!("expected {expected}; found {found}  [{pair}]");
            self.unexplained.push((field.path.clone(), line));
        }
    }

    /// Prints the figures, writes them, and fails below the threshold.
    pub(crate) fn finish(mut self, threshold: f64) {
        let rules = || self.by_rule.values().filter(|(_, rule)| !rule.not_carried);
        let explained: usize = rules().map(|(count, _)| count).sum();
        let share = |count: usize| 100.0 * count as f64 / self.compared.max(1) as f64;
        let mut text = format!(
            "{}: {} pairs; {} fields compared, {} equal ({:.2} %), {} by rule, {} unexplained; equal or by rule {:.2} %; \
             {} more not carried by the events\n",
            self.corpus,
            self.pairs,
            self.compared,
            self.equal,
            share(self.equal),
            explained,
            self.unexplained.len(),
            share(self.equal + explained),
            self.not_carried,
        );
        for (outcome, count) in &self.outcomes {
            let _ = writeln!(text, "  {count:5} messages {outcome}");
        }
        let kinds: Vec<_> = self.not_mapped.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        if !kinds.is_empty() {
            let _ = writeln!(text, "  not compared, no event is made of them: {}", kinds.join(", "));
        }
        for (name, (count, rule)) in &self.by_rule {
            let what = if rule.not_carried { "not carried" } else { "by rule" };
            let _ = writeln!(text, "  {count:5} {what}: {name} [{}]", rule.source);
        }
        self.unexplained.sort();
        for (path, line) in &self.unexplained {
            let _ = writeln!(text, "  unexplained: {path}: {line}");
        }
        let _ = std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes());
        write(&self.corpus, &text);
        let passed = share(self.equal + explained);
        assert!(
            passed >= threshold,
            "{}: {passed:.2} % equal or explained, {threshold} % wanted",
            self.corpus
        );
    }
}

/// One file for all corpora; the tests run side by side.
fn write(corpus: &str, text: &str) {
    static TEXTS: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());
    let mut texts = TEXTS.lock().unwrap();
    texts.insert(corpus.to_owned(), text.to_owned());
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let all: String = texts.values().map(String::as_str).collect::<Vec<_>>().join("\n");
    fs::write(target.join("conformance.txt"), all).unwrap();
}
