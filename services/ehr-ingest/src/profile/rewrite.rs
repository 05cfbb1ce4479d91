//! Applies the rules to an HL7 v2 message.

use std::{borrow::Cow, cell::OnceCell, collections::BTreeMap};

use waybill_hl7v2::{Charset, Delimiters, Field, Message, Path, Repetition, edit};

use super::{
    Action, Mode, Profile, Rule, Untranslated,
    authority::{FIELDS, encode},
    table::{Row, Table},
};

/// See [`Profile::rewrite_v2`]; codes that no table has are added to `missing`.
pub(super) fn rewrite(
    profile: &Profile,
    message: &Message<'_>,
    charset: Option<Charset>,
    missing: &mut Vec<Untranslated>,
) -> Option<Vec<u8>> {
    let mut draft =
        Draft { message, configured: charset, charset: OnceCell::new(), changes: BTreeMap::new() };
    let is_late = |rule: &Rule| matches!(rule.action, Action::Translate { .. } | Action::Drop);
    let applies = |rule: &&Rule| rule.when.is_empty() || rule.when.iter().any(|kind| kind.covers(message));
    for rule in profile.rules.iter().filter(|rule| !is_late(rule)).filter(applies) {
        draft.apply(rule, missing);
    }
    if !profile.authorities.is_empty() {
        draft.name_authorities(profile);
    }
    for rule in profile.rules.iter().filter(|rule| is_late(rule)).filter(applies) {
        draft.apply(rule, missing);
    }
    if draft.changes.is_empty() {
        return None;
    }
    // Encoded values never hold a separator, and places in MSH-1 and MSH-2 are refused when the profile is read.
    edit::replace_fields(message, &draft.changes).ok()
}

/// A message with the fields that have changed so far.
struct Draft<'m> {
    message: &'m Message<'m>,
    configured: Option<Charset>,
    charset: OnceCell<Charset>,
    changes: BTreeMap<(usize, u16), Vec<u8>>,
}

impl Draft<'_> {
    fn delimiters(&self) -> Delimiters {
        *self.message.delimiters()
    }

    /// Looks at all bytes, so only when asked for.
    fn charset(&self) -> Charset {
        *self.charset.get_or_init(|| self.message.charset(self.configured))
    }

    fn name(&self, segment: usize) -> &[u8] {
        self.message.segment_at(segment).map(|segment| segment.name()).unwrap_or_default()
    }

    fn field(&self, segment: usize, number: u16) -> &[u8] {
        if let Some(changed) = self.changes.get(&(segment, number)) {
            return changed;
        }
        let segment = self.message.segment_at(segment);
        segment.map(|segment| segment.field(usize::from(number)).raw()).unwrap_or_default()
    }

    /// What stands at `place` in that segment, encoded.
    fn get(&self, segment: usize, place: Path) -> &[u8] {
        let field = Field::from_raw(self.field(segment, place.field()), self.delimiters());
        if place.repetition() == 0 && place.component() == 0 {
            return field.raw();
        }
        let repetition = field.repetition(usize::from(place.repetition().max(1)));
        if place.component() == 0 {
            return repetition.raw();
        }
        let component = repetition.component(usize::from(place.component()));
        if place.subcomponent() == 0 {
            return component.raw();
        }
        component.subcomponent(usize::from(place.subcomponent())).raw()
    }

    fn set(&mut self, segment: usize, place: Path, value: &[u8]) {
        let field =
            edit::replace_within(self.field(segment, place.field()), &self.delimiters(), place, value);
        self.changes.insert((segment, place.field()), field);
    }

    fn apply(&mut self, rule: &Rule, missing: &mut Vec<Untranslated>) {
        for segment in 0..self.message.segment_count() {
            if self.name(segment) != rule.target.segment_name().as_bytes() {
                continue;
            }
            match &rule.action {
                Action::Take { from, moves, overwrite } => {
                    self.take(segment, *from, rule.target, *moves, *overwrite);
                }
                Action::Set { value, overwrite } => {
                    if *overwrite || self.get(segment, rule.target).is_empty() {
                        let value = encode(value, self.delimiters(), &self.charset());
                        if self.get(segment, rule.target) != value {
                            self.set(segment, rule.target, &value);
                        }
                    }
                }
                Action::Translate { table, mode } => {
                    self.translate(segment, rule.target, table, *mode, missing);
                }
                Action::Drop if rule.target.field() == 0 => self.clear(segment),
                Action::Drop => {
                    for place in self.places(segment, rule.target) {
                        if !self.get(segment, place).is_empty() {
                            self.set(segment, place, b"");
                        }
                    }
                }
            }
        }
    }

    /// Empties all fields of a segment.
    fn clear(&mut self, segment: usize) {
        let count = self.message.segment_at(segment).map_or(0, |segment| segment.field_count());
        for number in (1..=count).filter_map(|number| u16::try_from(number).ok()) {
            if !self.field(segment, number).is_empty() {
                self.changes.insert((segment, number), Vec::new());
            }
        }
    }

    /// The place in every repetition of its field, when it is a component and names no repetition.
    fn places(&self, segment: usize, place: Path) -> Vec<Path> {
        if place.component() == 0 || place.repetition() > 0 {
            return vec![place];
        }
        let field = Field::from_raw(self.field(segment, place.field()), self.delimiters());
        (1..).zip(field.repetitions()).map(|(number, _)| place.at_repetition(number)).collect()
    }

    fn take(&mut self, segment: usize, from: Path, to: Path, moves: bool, overwrite: bool) {
        if !overwrite && !self.get(segment, to).is_empty() {
            return;
        }
        let Some(source) = self.source(segment, from.segment_name().as_bytes()) else { return };
        let value = at_level(self.get(source, from), from, to, self.delimiters()).into_owned();
        if value.is_empty() {
            return;
        }
        self.set(segment, to, &value);
        if moves {
            self.set(source, from, b"");
        }
    }

    /// The segment `name` that says something about the segment `target`: itself, or one of the same patient, or one in
    /// front of all patients.
    ///
    /// Segments that open a group (PV1, ORC, OBR …) speak for what follows them; all others, Z segments above all, stand
    /// behind what they add to.
    fn source(&self, target: usize, name: &[u8]) -> Option<usize> {
        let target_name = self.name(target);
        if target_name == name {
            return Some(target);
        }
        let is = |wanted: &[u8], at: &usize| self.name(*at) == wanted;
        let start = (0..=target).rev().find(|at| is(b"PID", at)).unwrap_or(0);
        let end = (target + 1..self.message.segment_count()).find(|at| is(b"PID", at));
        let end = end.unwrap_or(self.message.segment_count());
        let behind = || (target + 1..end).take_while(|at| !is(target_name, at)).find(|at| is(name, at));
        let opens = matches!(name, b"MSH" | b"EVN" | b"PID" | b"PV1" | b"ORC" | b"OBR" | b"SCH" | b"RGS");
        let found = if opens {
            // An ORC is for the OBR that follows it, not for the one after that.
            let stops = |at: &usize| name == b"ORC" && is(target_name, at);
            let before = (start..target).rev().take_while(|at| !stops(at)).find(|at| is(name, at));
            // What is said of the patient as a whole may stand behind: PV1 behind PID.
            let of_all = matches!(target_name, b"EVN" | b"PID" | b"PD1" | b"PV1" | b"PV2");
            before.or_else(|| if of_all { behind() } else { None })
        } else {
            behind().or_else(|| {
                // In front of the only one of its name it can mean no other.
                let alone = (start..end).filter(|at| is(target_name, at)).count() == 1;
                if alone { (start..target).rev().find(|at| is(name, at)) } else { None }
            })
        };
        found.or_else(|| {
            let first_patient = (0..start).find(|at| is(b"PID", at)).unwrap_or(start);
            (0..first_patient).rev().find(|at| is(name, at))
        })
    }

    /// Gives every authority that has several names the one that counts.
    fn name_authorities(&mut self, profile: &Profile) {
        for segment in 0..self.message.segment_count() {
            for (name, fields, hd) in FIELDS {
                if name.as_slice() != self.name(segment) {
                    continue;
                }
                for number in *fields {
                    let field = self.field(segment, *number);
                    if field.is_empty() {
                        continue;
                    }
                    let changed = profile.authorities.rewrite(field, self.delimiters(), *hd, &self.charset());
                    if let Some(changed) = changed {
                        self.changes.insert((segment, *number), changed);
                    }
                }
            }
        }
    }

    fn translate(
        &mut self,
        segment: usize,
        place: Path,
        table: &Table,
        mode: Mode,
        missing: &mut Vec<Untranslated>,
    ) {
        if place.segment_name() == "OBX" && place.field() == 5 && !self.value_is_coded(segment) {
            return;
        }
        let charset = self.charset();
        let mut note = |code: &str| {
            missing.push(Untranslated { place: place.to_string(), code: code.to_owned() });
        };
        if place.component() > 0 {
            for place in self.places(segment, place) {
                let code = self.text(segment, place, &charset);
                if code.is_empty() {
                    continue;
                }
                match table.find(&code, "") {
                    None => note(&code),
                    Some(row) => self.set(segment, place, &encode(&row.code, self.delimiters(), &charset)),
                }
            }
            return;
        }
        let whole = Field::from_raw(self.field(segment, place.field()), self.delimiters());
        let numbers: Vec<u16> = (1..).zip(whole.repetitions()).map(|(number, _)| number).collect();
        for number in numbers.into_iter().filter(|number| [0, *number].contains(&place.repetition())) {
            let at = place.at_repetition(number);
            let change = {
                let field = Field::from_raw(self.field(segment, place.field()), self.delimiters());
                coded(&field.repetition(usize::from(number)), table, mode, &charset, &mut note)
            };
            let Some((first, row)) = change else { continue };
            let parts = [(first, &row.code), (first + 1, &row.display), (first + 2, &row.target_system)];
            for (component, text) in parts {
                let at = at.at_component(component);
                // What the table does not say must not be said by what it replaces.
                if !text.is_empty() || !self.get(segment, at).is_empty() {
                    self.set(segment, at, &encode(text, self.delimiters(), &charset));
                }
            }
        }
    }

    fn text(&self, segment: usize, place: Path, charset: &Charset) -> String {
        let raw = self.get(segment, place);
        let text = Field::from_raw(raw, self.delimiters()).repetition(1).component(1).subcomponent(1);
        text.text(charset).map(|text| text.trim().to_owned()).unwrap_or_default()
    }

    /// OBX-2 says that OBX-5 holds codes.
    fn value_is_coded(&self, segment: usize) -> bool {
        matches!(self.field(segment, 2), b"CE" | b"CWE" | b"CNE" | b"CF" | b"IS" | b"ID")
    }
}

/// Where the coding of `row` goes in a coded element: the number of its first component.
fn coded<'t>(
    whole: &Repetition<'_>,
    table: &'t Table,
    mode: Mode,
    charset: &Charset,
    note: &mut impl FnMut(&str),
) -> Option<(u16, &'t Row)> {
    let text = |number: u16| -> Cow<'_, str> {
        whole.component(usize::from(number)).subcomponent(1).text(charset).unwrap_or_default()
    };
    // Code, text and system; the alternate three; the second alternate three (CWE-10 to 12, since 2.7).
    let codings = [1, 4, 10].map(|first| (first, text(first), text(first + 2)));
    let mut sent = codings.iter().filter(|(_, code, _)| !code.trim().is_empty()).peekable();
    let (_, first_code, _) = *sent.peek()?;
    let found = sent
        .find_map(|(first, code, system)| table.find(code.trim(), system.trim()).map(|row| (*first, row)));
    let Some((first, row)) = found else {
        note(first_code.trim());
        return None;
    };
    match mode {
        Mode::Replace => Some((first, row)),
        Mode::Add => {
            let known = codings
                .iter()
                .any(|(_, code, system)| system.trim() == row.target_system && !code.trim().is_empty());
            let is_free =
                |number: u16| (number..number + 3).all(|part| whole.component(usize::from(part)).is_absent());
            // The sender's own coding in the target's system counts; without room there is none for another.
            if known { None } else { [4, 10].into_iter().find(|number| is_free(*number)).map(|at| (at, row)) }
        }
    }
}

/// A value as it is written one level up or down: components of a field are subcomponents of a component.
fn at_level<'v>(value: &'v [u8], from: Path, to: Path, delimiters: Delimiters) -> Cow<'v, [u8]> {
    let level = |path: Path| match (path.repetition(), path.component(), path.subcomponent()) {
        (_, 1.., 1..) => 3,
        (_, 1.., 0) => 2,
        (1.., 0, _) => 1,
        _ => 0,
    };
    let first =
        |value: &'v [u8], separator: u8| value.split(|byte| *byte == separator).next().unwrap_or_default();
    let (component, subcomponent) = (delimiters.component(), delimiters.subcomponent());
    match (level(from), level(to)) {
        (0, 0) | (1, 0 | 1) | (2, 2) | (3, _) => Cow::Borrowed(value),
        (0, 1) => Cow::Borrowed(first(value, delimiters.repetition())),
        (0 | 1, 2) => {
            let parts = first(value, delimiters.repetition()).split(|byte| *byte == component);
            let parts: Vec<&[u8]> = parts.map(|part| first(part, subcomponent)).collect();
            Cow::Owned(parts.join(&subcomponent))
        }
        (0 | 1, _) => {
            Cow::Borrowed(first(first(first(value, delimiters.repetition()), component), subcomponent))
        }
        (2, 3) => Cow::Borrowed(first(value, subcomponent)),
        // A component becomes a field: its subcomponents are components there.
        _ => Cow::Owned(
            value.iter().map(|byte| if *byte == subcomponent { component } else { *byte }).collect(),
        ),
    }
}
