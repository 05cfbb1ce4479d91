//! From the files to rules, or to everything that is wrong with them.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path as File, PathBuf},
    sync::Arc,
};

use toml::Spanned;
use waybill_hl7v2::{Charset, Path};

use super::{
    Action, ContentHash, Dropped, ElementRule, MessageType, Mode, Profile, ProfileErrors, ProfileProblem,
    Rule, authority::Authorities, file, table::Table,
};
use crate::feed::parse_utc_offset;

pub(super) fn load(path: &File) -> Result<Profile, ProfileErrors> {
    let mut reader = Reader::new(path);
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => return Err(reader.refuse(None, format!("cannot be read: {}", error.kind()))),
    };
    let found = match toml::from_str::<file::File>(&text) {
        Ok(found) => found,
        Err(error) => {
            let line = error.span().map(|span| line_at(&text, span.start));
            let message = error.message().trim_end().replace("unknown field", "unknown key");
            return Err(reader.refuse(line, message));
        }
    };
    reader.hash.add(text.as_bytes());
    reader.text = text;
    let profile = reader.compile(found);
    if reader.problems.is_empty() { Ok(profile) } else { Err(ProfileErrors(reader.problems)) }
}

fn line_at(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

struct Reader<'f> {
    path: &'f File,
    text: String,
    hash: ContentHash,
    problems: Vec<ProfileProblem>,
    /// By the name in the profile; `None` when something is wrong with it.
    tables: BTreeMap<String, Option<Arc<Table>>>,
}

impl<'f> Reader<'f> {
    fn new(path: &'f File) -> Self {
        Self {
            path,
            text: String::new(),
            hash: ContentHash::default(),
            problems: Vec::new(),
            tables: BTreeMap::new(),
        }
    }

    fn refuse(&self, line: Option<usize>, message: String) -> ProfileErrors {
        ProfileErrors(vec![ProfileProblem { file: self.path.to_owned(), line, message }])
    }

    /// Notes what is wrong with something, at its line.
    fn wrong<T>(&mut self, at: &Spanned<T>, message: impl Into<String>) {
        let line = Some(line_at(&self.text, at.span().start));
        self.problems.push(ProfileProblem { file: self.path.to_owned(), line, message: message.into() });
    }

    fn compile(&mut self, found: file::File) -> Profile {
        self.check(&found.name, is_name, "name has 1 to 40 letters, digits, '-' and '_'");
        let not_empty = |text: &str| !text.trim().is_empty();
        for (key, legal, message) in [
            (&found.default_authority, &not_empty as &dyn Fn(&str) -> bool, "default_authority is empty"),
            (
                &found.charset,
                &|name| Charset::named(name).is_some(),
                "charset is not a character set of HL7 table 0211 or a WHATWG label",
            ),
            (
                &found.utc_offset,
                &|offset| parse_utc_offset(offset).is_some(),
                "utc_offset is not of the form +01:00",
            ),
        ] {
            if let Some(value) = key {
                self.check(value, legal, message);
            }
        }
        let authorities = self.authorities(&found.authority);
        let (mut rules, mut elements, mut dropped) = (Vec::new(), Vec::new(), Vec::new());
        for (entries, moves) in [(&found.copy, false), (&found.moves, true)] {
            rules.extend(entries.iter().filter_map(|entry| self.take(entry, moves)));
        }
        rules.extend(found.default.iter().filter_map(|entry| self.set(entry)));
        for entry in &found.translate {
            self.translate(entry, &mut rules, &mut elements);
        }
        for entry in &found.drop {
            if let Some(rule) = self.drop(entry) {
                dropped.push(Dropped { place: rule.target, reason: entry.reason.get_ref().clone() });
                rules.push(rule);
            }
        }
        let text = |value: Option<Spanned<String>>| value.map(Spanned::into_inner);
        Profile {
            name: found.name.into_inner(),
            sha256: std::mem::take(&mut self.hash).finish(),
            default_authority: text(found.default_authority),
            charset: text(found.charset),
            utc_offset: text(found.utc_offset),
            accept: found.accept,
            ack: found.ack,
            authorities,
            rules,
            elements,
            dropped,
        }
    }

    fn check(&mut self, value: &Spanned<String>, legal: impl Fn(&str) -> bool, message: &str) {
        if !legal(value.get_ref()) {
            self.wrong(value, message);
        }
    }

    fn authorities(&mut self, entries: &[file::Authority]) -> Authorities {
        let mut authorities = Authorities::default();
        for entry in entries {
            let name = entry.name.get_ref().trim();
            if name.is_empty() {
                self.wrong(&entry.name, "name is empty");
            }
            if entry.aliases.get_ref().is_empty() {
                self.wrong(&entry.aliases, "aliases is empty: the authority has no other name");
            }
            if !authorities.add(name, name) {
                self.wrong(&entry.name, "another [[authority]] has this name already");
            }
            for alias in entry.aliases.get_ref() {
                if alias.get_ref().trim().is_empty() {
                    self.wrong(alias, "an alias is empty");
                } else if !authorities.add(alias.get_ref().trim(), name) {
                    self.wrong(alias, "the alias is in use already");
                }
            }
        }
        authorities
    }

    fn take(&mut self, entry: &file::Take, moves: bool) -> Option<Rule> {
        let (from, to) = (self.place(&entry.from, "from"), self.place(&entry.to, "to"));
        let when = self.when(&entry.when);
        let (from, target) = (from?, to?);
        if from == target || same_field_overlap(from, target) {
            self.wrong(&entry.to, "to is where the value stands already");
            return None;
        }
        Some(Rule { target, when, action: Action::Take { from, moves, overwrite: entry.overwrite } })
    }

    fn set(&mut self, entry: &file::Default) -> Option<Rule> {
        let target = self.place(&entry.field, "field");
        let when = self.when(&entry.when);
        let value = entry.value.get_ref().clone();
        if value.is_empty() {
            self.wrong(&entry.value, "value is empty; a field that must be empty is one to [[drop]]");
        }
        Some(Rule { target: target?, when, action: Action::Set { value, overwrite: entry.overwrite } })
    }

    fn translate(&mut self, entry: &file::Translate, rules: &mut Vec<Rule>, elements: &mut Vec<ElementRule>) {
        let table = self.table(&entry.table);
        if let Some(table) = &table
            && entry.mode == Mode::Add
            && !table.names_every_system()
        {
            self.wrong(&entry.table, "a row has no target_system, which mode = \"add\" needs");
        }
        let when = self.when(&entry.when);
        match (&entry.field, &entry.element) {
            (Some(field), None) => {
                let place = self.place(field, "field");
                let is_part = place.is_some_and(|place| place.component() > 0);
                if is_part && entry.mode == Mode::Add {
                    self.wrong(field, "field names a component: there is no room for a further coding in it");
                }
                if is_part && table.as_ref().is_some_and(|table| table.by_system) {
                    self.wrong(
                        field,
                        "field names a component, which has no system; the table has the column",
                    );
                }
                if let (Some(target), Some(table)) = (place, table) {
                    rules.push(Rule { target, when, action: Action::Translate { table, mode: entry.mode } });
                }
            }
            (None, Some(element)) => {
                if !when.is_empty() {
                    self.wrong(element, "when is for message types of HL7 v2");
                }
                let parts: Option<(&str, Vec<String>)> =
                    element.get_ref().split_once('.').and_then(|(resource, path)| {
                        let parts: Vec<String> = path.split('.').map(str::to_owned).collect();
                        let legal = is_resource(resource) && parts.iter().all(|part| is_element(part));
                        legal.then_some((resource, parts))
                    });
                match (parts, table) {
                    (None, _) => self.wrong(element, "element is not of the form Resource.element"),
                    (Some((resource, path)), Some(table)) => elements.push(ElementRule {
                        resource: resource.to_owned(),
                        path,
                        table,
                        mode: entry.mode,
                    }),
                    _ => {}
                }
            }
            _ => self.wrong(&entry.table, "needs either field (HL7 v2) or element (FHIR)"),
        }
    }

    fn drop(&mut self, entry: &file::Drop) -> Option<Rule> {
        if entry.reason.get_ref().trim().is_empty() {
            self.wrong(&entry.reason, "reason is empty");
        }
        let when = self.when(&entry.when);
        let target = match Path::parse(entry.field.get_ref()) {
            Ok(path) if path.field() == 0 => {
                if !path.segment_name().starts_with('Z') {
                    self.wrong(&entry.field, "only a Z segment can be dropped as a whole");
                    return None;
                }
                path
            }
            _ => self.place(&entry.field, "field")?,
        };
        Some(Rule { target, when, action: Action::Drop })
    }

    /// A field or a part of one; of every occurrence of its segment.
    fn place(&mut self, text: &Spanned<String>, key: &str) -> Option<Path> {
        let message = match Path::parse(text.get_ref()) {
            Err(_) => "is not a place such as PID-3, PID-3.4 or PID-3[2].4",
            Ok(path) if path.field() == 0 => "names a segment, not a field",
            Ok(path) if path.occurrence() > 0 => {
                "names one occurrence of a segment; rules are for all of them"
            }
            Ok(path) if path.segment_name() == "MSH" && path.field() <= 2 => {
                "is MSH-1 or MSH-2, by which everything else is read"
            }
            Ok(path) if matches!(path.segment_name(), "FHS" | "BHS" | "FTS" | "BTS") => {
                "is in the header or trailer of a batch, which is taken off at the door"
            }
            Ok(path) => return Some(path),
        };
        self.wrong(text, format!("{key} {message}"));
        None
    }

    fn when(&mut self, types: &[Spanned<String>]) -> Vec<MessageType> {
        let mut found = Vec::with_capacity(types.len());
        for text in types {
            let (code, trigger) =
                text.get_ref().split_once('^').map_or((text.get_ref().as_str(), None), |(c, t)| (c, Some(t)));
            let legal = |part: &str| {
                part.len() == 3 && part.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
            };
            if !legal(code) || !trigger.is_none_or(legal) {
                self.wrong(text, "when has something else than a type such as ADT or ADT^A01");
            }
            found.push(MessageType { code: code.to_owned(), trigger: trigger.map(str::to_owned) });
        }
        found
    }

    /// The table with this name; read once, however many rules use it.
    fn table(&mut self, name: &Spanned<String>) -> Option<Arc<Table>> {
        if let Some(known) = self.tables.get(name.get_ref()) {
            return known.clone();
        }
        let file = self.path.parent().unwrap_or(File::new("")).join(name.get_ref());
        let table = self.read_table(&file, name);
        self.tables.insert(name.get_ref().clone(), table.clone());
        table
    }

    fn read_table(&mut self, file: &PathBuf, name: &Spanned<String>) -> Option<Arc<Table>> {
        let content = match fs::read(file) {
            Ok(content) => content,
            Err(error) => {
                self.wrong(name, format!("table {} cannot be read: {}", file.display(), error.kind()));
                return None;
            }
        };
        self.hash.add(&content);
        match Table::parse(&content) {
            Ok(table) => Some(Arc::new(table)),
            Err(problems) => {
                self.problems.extend(problems.into_iter().map(|(line, message)| ProfileProblem {
                    file: file.clone(),
                    line: Some(line),
                    message,
                }));
                None
            }
        }
    }
}

/// One is a part of the other.
fn same_field_overlap(from: Path, to: Path) -> bool {
    let levels = |path: Path| [path.repetition(), path.component(), path.subcomponent()];
    from.segment_name() == to.segment_name()
        && from.field() == to.field()
        && levels(from).into_iter().zip(levels(to)).all(|(one, other)| one == 0 || other == 0 || one == other)
}

fn is_name(name: &str) -> bool {
    (1..=40).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

fn is_resource(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_uppercase())
        && name.bytes().all(|byte| byte.is_ascii_alphabetic())
}

fn is_element(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
}
