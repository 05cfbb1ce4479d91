//! Applies the rules to FHIR resources in JSON: names of authorities and codes, in the text itself, so that a decimal
//! keeps its digits and everything else its bytes.

mod json;

use self::json::{Kind, Node};
use super::{ElementRule, Mode, Profile, Untranslated, table::Row};

/// See [`Profile::rewrite_fhir`]; codes that no table has are added to `missing`.
pub(super) fn rewrite(profile: &Profile, json: &[u8], missing: &mut Vec<Untranslated>) -> Option<Vec<u8>> {
    if profile.elements.is_empty() && profile.authorities.is_empty() {
        return None;
    }
    let text = std::str::from_utf8(json).ok()?;
    let mut edits = Edits { profile, text, found: Vec::new(), missing };
    let root = json::parse(text, &mut |entry| edits.visit(entry, "entry"))?;
    edits.visit(&root, "");
    let mut found = edits.found;
    if found.is_empty() {
        return None;
    }
    found.sort_by_key(|edit| edit.start);
    let mut changed = String::with_capacity(text.len() + 256);
    let mut copied = 0;
    for edit in found {
        // One rule's place inside another's: the first stands.
        let Some(kept) = text.get(copied..edit.start) else { continue };
        changed.push_str(kept);
        changed.push_str(&edit.value);
        copied = edit.end;
    }
    changed.push_str(&text[copied..]);
    Some(changed.into_bytes())
}

struct Edit {
    start: usize,
    end: usize,
    value: String,
}

struct Edits<'p> {
    profile: &'p Profile,
    text: &'p str,
    found: Vec<Edit>,
    missing: &'p mut Vec<Untranslated>,
}

impl Edits<'_> {
    /// Looks at a value and all in it; `key` is the member that it is the value of.
    fn visit(&mut self, node: &Node, key: &str) {
        match node.kind {
            Kind::Object => {
                if key == "identifier" {
                    self.name_authority(node);
                }
                let profile = self.profile;
                if !profile.elements.is_empty()
                    && let Some(kind) =
                        node.member(self.text, "resourceType").and_then(|kind| kind.string(self.text))
                {
                    for rule in profile.elements.iter().filter(|rule| rule.resource == *kind) {
                        self.translate(node, rule, &rule.path);
                    }
                }
                for (name, value) in node.members(self.text) {
                    self.visit(value, name);
                }
            }
            Kind::Array => {
                for item in &node.children {
                    self.visit(item, key);
                }
            }
            Kind::String if matches!(key, "reference" | "url" | "ifNoneExist") => self.name_searched(node),
            Kind::String | Kind::Other => {}
        }
    }

    fn replace(&mut self, node: &Node, value: &str) {
        self.found.push(Edit { start: node.start, end: node.end, value: quoted(value) });
    }

    /// Identifier.system.
    fn name_authority(&mut self, identifier: &Node) {
        let Some(system) = identifier.member(self.text, "system") else { return };
        let Some(sent) = system.string(self.text) else { return };
        if let Some(name) = self.profile.authorities.canonical(&sent).filter(|name| **name != *sent) {
            self.replace(system, name);
        }
    }

    /// The system in a search such as `Patient?identifier=system|value`: it must go on finding what it found.
    fn name_searched(&mut self, node: &Node) {
        let Some(sent) = node.string(self.text) else { return };
        let Some((before, rest)) = sent.split_once("identifier=") else { return };
        let Some(end) = rest.find('|').or_else(|| rest.find("%7C")) else { return };
        if let Some(name) = self.profile.authorities.canonical(&rest[..end]) {
            let changed = format!("{before}identifier={name}{}", &rest[end..]);
            if changed != *sent {
                self.replace(node, &changed);
            }
        }
    }

    /// Follows `path` from `node` and translates the codes at its end.
    fn translate(&mut self, node: &Node, rule: &ElementRule, path: &[String]) {
        match (node.kind, path.split_first()) {
            (Kind::Array, _) => {
                for item in &node.children {
                    self.translate(item, rule, path);
                }
            }
            (Kind::Object, Some((name, rest))) => {
                if let Some(value) = node.member(self.text, name) {
                    self.translate(value, rule, rest);
                }
            }
            (Kind::Object, None) => match node.member(self.text, "coding") {
                Some(codings) => self.translate_concept(codings, rule),
                None => self.translate_coding(node, rule),
            },
            (Kind::String, None) => {
                let Some(code) = node.string(self.text) else { return };
                match rule.table.find(&code, "") {
                    Some(row) => self.replace(node, &row.code),
                    None => self.note(rule, &code),
                }
            }
            _ => {}
        }
    }

    fn note(&mut self, rule: &ElementRule, code: &str) {
        let place = format!("{}.{}", rule.resource, rule.path.join("."));
        self.missing.push(Untranslated { place, code: code.to_owned() });
    }

    /// CodeableConcept.coding.
    fn translate_concept(&mut self, codings: &Node, rule: &ElementRule) {
        let read = |coding: &Node| {
            let part = |name| coding.member(self.text, name).and_then(|part| part.string(self.text));
            (part("code").unwrap_or_default(), part("system").unwrap_or_default())
        };
        let sent: Vec<_> = codings.children.iter().map(|coding| (coding, read(coding))).collect();
        let found = sent
            .iter()
            .find_map(|(coding, (code, system))| rule.table.find(code, system).map(|row| (coding, row)));
        let Some((coding, row)) = found else {
            if let Some((_, (code, _))) = sent.iter().find(|(_, (code, _))| !code.is_empty()) {
                let code = code.clone().into_owned();
                self.note(rule, &code);
            }
            return;
        };
        if rule.mode == Mode::Replace {
            let (start, end) = (coding.start, coding.end);
            self.found.push(Edit { start, end, value: coding_of(row) });
        } else if !sent.iter().any(|(_, (_, system))| **system == *row.target_system) {
            // Before the closing bracket; the list is not empty, something in it was found.
            let at = codings.end - 1;
            self.found.push(Edit { start: at, end: at, value: format!(",{}", coding_of(row)) });
        }
    }

    /// A Coding by itself has no room for another: it is replaced in either mode only when the rule says so.
    fn translate_coding(&mut self, coding: &Node, rule: &ElementRule) {
        let part = |name| coding.member(self.text, name).and_then(|part| part.string(self.text));
        let Some(code) = part("code") else { return };
        match rule.table.find(&code, &part("system").unwrap_or_default()) {
            Some(row) if rule.mode == Mode::Replace => {
                let (start, end) = (coding.start, coding.end);
                self.found.push(Edit { start, end, value: coding_of(row) });
            }
            Some(_) => {}
            None => self.note(rule, &code),
        }
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn coding_of(row: &Row) -> String {
    let parts = [("system", &row.target_system), ("code", &row.code), ("display", &row.display)];
    let parts = parts.into_iter().filter(|(_, text)| !text.is_empty());
    let parts: Vec<String> = parts.map(|(name, text)| format!("\"{name}\":{}", quoted(text))).collect();
    format!("{{{}}}", parts.join(","))
}
