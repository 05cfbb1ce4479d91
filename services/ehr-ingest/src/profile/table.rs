//! Code tables: CSV (RFC 4180) with a header line, a source code per row and what it stands for.

use std::collections::HashMap;

/// Columns, in this order. `system` may be left out: the code then counts whatever system it is sent in.
const HEADERS: [&[&str]; 2] = [
    &["code", "system", "target_code", "target_system", "target_display"],
    &["code", "target_code", "target_system", "target_display"],
];

/// A table as it is looked up.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    rows: HashMap<String, Vec<Row>>,
    /// The table has the column `system`.
    pub(super) by_system: bool,
}

/// What a source code stands for. Empty text stands for nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// System that the source code must be sent in; empty: any.
    system: String,
    pub(super) code: String,
    pub(super) target_system: String,
    pub(super) display: String,
}

impl Table {
    /// Reads a table.
    ///
    /// # Errors
    /// What is wrong, with line numbers.
    pub(super) fn parse(csv: &[u8]) -> Result<Self, Vec<(usize, String)>> {
        // Spreadsheets write a byte order mark.
        let csv = csv.strip_prefix(b"\xef\xbb\xbf").unwrap_or(csv);
        let mut reader =
            csv::ReaderBuilder::new().has_headers(false).trim(csv::Trim::All).flexible(true).from_reader(csv);
        let mut problems = Vec::new();
        let mut table = Self::default();
        let (mut columns, mut any_row) = (None, false);
        for record in reader.records() {
            let record = match record {
                Ok(record) => record,
                Err(error) => {
                    let line = error.position().map_or(1, |position| line_at(csv, position.byte()));
                    problems.push((line, "is not UTF-8 text".to_owned()));
                    continue;
                }
            };
            let line = record.position().map_or(1, |position| line_at(csv, position.byte()));
            let Some(columns) = columns else {
                let found = HEADERS.into_iter().find(|header| record.iter().eq(header.iter().copied()));
                let Some(found) = found else {
                    let expected = HEADERS.map(|header| header.join(",")).join(" or ");
                    return Err(vec![(line, format!("the header line is not {expected}"))]);
                };
                table.by_system = found.len() == 5;
                columns = Some(found.len());
                continue;
            };
            any_row = true;
            if record.len() != columns {
                problems.push((line, format!("has {} columns where the header has {columns}", record.len())));
            } else if let Err(message) = table.add(&record) {
                problems.push((line, message));
            }
        }
        if problems.is_empty() && !any_row {
            problems.push((1, "the table has no rows".to_owned()));
        }
        if problems.is_empty() { Ok(table) } else { Err(problems) }
    }

    fn add(&mut self, record: &csv::StringRecord) -> Result<(), String> {
        let column = |number: usize| record.get(number).unwrap_or_default().to_owned();
        let shift = usize::from(self.by_system);
        let system = if self.by_system { column(1) } else { String::new() };
        let row = Row {
            system,
            code: column(1 + shift),
            target_system: column(2 + shift),
            display: column(3 + shift),
        };
        let code = column(0);
        if code.is_empty() || row.code.is_empty() {
            return Err("has no code or no target_code".to_owned());
        }
        let rows = self.rows.entry(code).or_default();
        if rows.iter().any(|other| other.system == row.system) {
            return Err("has a code that an earlier line has".to_owned());
        }
        rows.push(row);
        Ok(())
    }

    /// Whether every row has a target system: without one a coding beside the sender's own says nothing.
    pub(super) fn names_every_system(&self) -> bool {
        self.rows.values().flatten().all(|row| !row.target_system.is_empty())
    }

    /// What `code` stands for: in the system that it was sent in, else in any.
    pub(super) fn find(&self, code: &str, system: &str) -> Option<&Row> {
        let rows = self.rows.get(code)?;
        let of = |wanted: &str| rows.iter().find(|row| row.system == wanted);
        of(system).or_else(|| of(""))
    }
}

/// Line of the record from byte `start` on: blank lines in front of it are not its own.
fn line_at(csv: &[u8], start: u64) -> usize {
    let start = usize::try_from(start).unwrap_or(usize::MAX).min(csv.len());
    let blank = csv[start..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    memchr::memchr_iter(b'\n', &csv[..start + blank]).count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_by_code_and_system() {
        let csv = "\u{feff}code,system,target_code,target_system,target_display\r\n\
                   GLU,LAB1,2345-7,LN,\"Glucose, serum\"\r\nGLU,,2339-0,LN,Glucose\r\n";
        let table = Table::parse(csv.as_bytes()).unwrap();
        assert_eq!(table.find("GLU", "LAB1").unwrap().display, "Glucose, serum");
        assert_eq!(table.find("GLU", "LAB2").unwrap().code, "2339-0");
        assert_eq!(table.find("glu", "LAB1"), None);
        assert!(table.names_every_system());
    }

    #[test]
    fn faults_have_lines() {
        let problems = |csv: &str| Table::parse(csv.as_bytes()).unwrap_err();
        assert_eq!(problems("")[0].1, "the table has no rows");
        assert!(problems("a,b\n")[0].1.starts_with("the header line is not code,"));
        let head = "code,target_code,target_system,target_display\n";
        assert_eq!(problems(head)[0].1, "the table has no rows");
        assert_eq!(
            problems(&format!("{head}A,1,,\n\nA,2,,\nB,1\n,1,,\n")),
            [
                (4, "has a code that an earlier line has".to_owned()),
                (5, "has 2 columns where the header has 4".to_owned()),
                (6, "has no code or no target_code".to_owned()),
            ]
        );
        let latin = [head.as_bytes(), b"A,1,,caf\xe9\n"].concat();
        assert_eq!(Table::parse(&latin).unwrap_err(), [(2, "is not UTF-8 text".to_owned())]);
    }
}
