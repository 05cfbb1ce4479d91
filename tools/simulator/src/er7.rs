//! Writing HL7 v2 text (ER7): segments as field lists, nothing more.

/// One segment: its name and its fields, numbered as in the standard.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    name: &'static str,
    /// `fields[0]` is field 1.
    fields: Vec<String>,
    /// Empty fields to add after the last one, as many interface engines do.
    trailing: usize,
}

impl Segment {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, fields: Vec::new(), trailing: 0 }
    }

    /// Sets field `number` (from 1) to text that is already encoded.
    pub(crate) fn set(mut self, number: usize, value: impl Into<String>) -> Self {
        if self.fields.len() < number {
            self.fields.resize(number, String::new());
        }
        self.fields[number - 1] = value.into();
        self
    }

    pub(crate) fn trailing(mut self, count: usize) -> Self {
        self.trailing = count;
        self
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Writes the segment with its terminating CR; empty fields at the end are left out unless asked for.
    pub(crate) fn write(&self, out: &mut String) {
        let used = self.fields.iter().rposition(|field| !field.is_empty()).map_or(0, |last| last + 1);
        out.push_str(self.name);
        for field in &self.fields[..used] {
            out.push('|');
            out.push_str(field);
        }
        out.extend(std::iter::repeat_n('|', self.trailing));
        out.push('\r');
    }
}

/// Escapes a text for one field; `five` when the message declares the truncation character `#` (v2.7 and many feeds).
pub(crate) fn escape(text: &str, five: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '|' => out.push_str("\\F\\"),
            '^' => out.push_str("\\S\\"),
            '&' => out.push_str("\\T\\"),
            '~' => out.push_str("\\R\\"),
            '\\' => out.push_str("\\E\\"),
            '#' if five => out.push_str("\\P\\"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{Segment, escape};

    #[test]
    fn fields_are_numbered_from_one_and_trimmed() {
        let mut out = String::new();
        Segment::new("PV1").set(2, "I").set(5, "").trailing(2).write(&mut out);
        assert_eq!(out, "PV1||I||\r");
    }

    #[test]
    fn separators_are_escaped() {
        assert_eq!(escape(r"a|b^c&d~e\f#g", true), r"a\F\b\S\c\T\d\R\e\E\f\P\g");
        assert_eq!(escape("#1", false), "#1");
    }
}
