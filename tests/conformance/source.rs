//! The message of a pair: read apart from the code under test, and made complete where the door would refuse it.

/// A message by lines and fields.
pub(crate) struct Source {
    lines: Vec<Vec<String>>,
    /// Of the message: field, component, repetition, escape, subcomponent.
    delimiters: Vec<char>,
    /// What was added so that the message is one: see [`Source::complete`].
    pub(crate) added_identifier: bool,
    /// Sent as an admission.
    pub(crate) converted: bool,
}

impl Source {
    /// Splits at line ends and separators, no more.
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)).into_owned();
        let separator = text.chars().nth(3).unwrap_or('|');
        let lines: Vec<Vec<String>> = text
            .split(['\r', '\n'])
            .filter(|line| !line.trim().is_empty())
            .map(|line| line.split(separator).map(str::to_owned).collect())
            .collect();
        let mut delimiters = vec![separator];
        delimiters.extend(text.chars().skip(4).take(4));
        Self { lines, delimiters, added_identifier: false, converted: false }
    }

    /// Message type and trigger event.
    pub(crate) fn message_type(&self) -> (String, String) {
        let mut parts = self.field("MSH", 9).split(self.delimiters[1]).map(str::to_owned);
        (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
    }

    /// The field of the first segment of a name, as it stands there.
    pub(crate) fn field(&self, segment: &str, number: usize) -> &str {
        // The separator itself is MSH-1.
        let at = if segment == "MSH" { number - 1 } else { number };
        let found = self.lines.iter().find(|line| line[0] == segment);
        found.and_then(|line| line.get(at)).map_or("", String::as_str)
    }

    /// Whether a text stands anywhere in the segments of the names, escaped or not.
    pub(crate) fn says(&self, segments: &[&str], text: &str) -> bool {
        let escaped = text.replace('&', "\\T\\");
        let mut fields = self.lines.iter().filter(|line| segments.contains(&line[0].as_str())).flatten();
        fields.any(|field| field.contains(text) || field.contains(&escaped))
    }

    /// Whether a text stands anywhere.
    pub(crate) fn says_ignoring_case(&self, text: &str) -> bool {
        let text = text.to_ascii_lowercase();
        self.lines.iter().flatten().any(|field| field.to_ascii_lowercase().contains(&text))
    }

    /// Whether a coded value is sent with the name of a coding system: CWE-1 and CWE-3, or CWE-4 and CWE-6.
    pub(crate) fn codes(&self, code: &str, system: &str) -> bool {
        let (component, repetition) = (self.delimiters[1], self.delimiters[2]);
        self.lines.iter().flatten().flat_map(|field| field.split(repetition)).any(|value| {
            let parts: Vec<&str> = value.split(component).collect();
            [0, 3].iter().any(|at| parts.get(*at) == Some(&code) && parts.get(at + 2) == Some(&system))
        })
    }

    /// All values of a field in all segments of a name.
    pub(crate) fn fields<'s>(&'s self, segment: &'s str, number: usize) -> impl Iterator<Item = &'s str> {
        let lines = self.lines.iter().filter(move |line| line[0] == segment);
        lines.filter_map(move |line| line.get(number)).map(String::as_str)
    }

    /// The unit pairs of one field leave out what no message may be without: a patient's identifier, a control id, an
    /// order of the result. They get these; what was added is not compared.
    pub(crate) fn complete(mut self) -> Self {
        // The door splits a batch; what is compared is the message in it.
        self.lines.retain(|line| !["FHS", "BHS", "BTS", "FTS"].contains(&line[0].as_str()));
        let (kind, _) = self.message_type();
        let has = |lines: &[Vec<String>], name: &str| lines.iter().any(|line| line[0] == name);
        if self.field("MSH", 10).is_empty() {
            self.set("MSH", 9, "CONFORMANCE");
        }
        if !has(&self.lines, "PID") {
            self.lines.insert(1, vec!["PID".to_owned()]);
        }
        if self.field("PID", 3).is_empty() {
            self.set("PID", 3, "ADDED");
            self.added_identifier = true;
        }
        if ["ORU", "OML"].contains(&kind.as_str()) && !has(&self.lines, "OBR") {
            // Of a visit or a contact: an admission carries both.
            if has(&self.lines, "OBX") {
                let at = self.lines.iter().position(|line| line[0] == "OBX").unwrap_or(self.lines.len());
                self.lines.insert(at, vec!["OBR".to_owned(), "1".to_owned()]);
            } else {
                self.converted = true;
                self.set("MSH", 8, &["ADT", "A01", "ADT_A01"].join(&self.delimiters[1].to_string()));
                if !has(&self.lines, "PV1") {
                    self.lines.push(vec!["PV1".to_owned()]);
                }
            }
        }
        self
    }

    fn set(&mut self, segment: &str, at: usize, value: &str) {
        let Some(line) = self.lines.iter_mut().find(|line| line[0] == segment) else { return };
        if line.len() <= at {
            line.resize(at + 1, String::new());
        }
        value.clone_into(&mut line[at]);
    }

    /// As it is sent.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let separator = self.delimiters[0].to_string();
        self.lines.iter().map(|line| line.join(&separator) + "\r").collect::<String>().into_bytes()
    }
}
