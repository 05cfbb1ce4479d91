//! Columns for people.

use std::io::{self, Write};

/// Writes rows as columns, each as wide as its widest cell; the first row is the head. `indent` spaces stand in front.
pub(crate) fn write(out: &mut impl Write, indent: usize, rows: &[Vec<String>]) -> io::Result<()> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    // A column of numbers reads from the right.
    let numeric = |column: usize| {
        let mut cells = rows.iter().skip(1).filter_map(|row| row.get(column)).peekable();
        cells.peek().is_some()
            && cells.all(|cell| cell.is_empty() || cell.bytes().all(|b| b.is_ascii_digit() || b == b'-'))
    };
    let right: Vec<bool> = (0..columns).map(numeric).collect();
    for row in rows {
        let mut line = " ".repeat(indent);
        for (column, cell) in row.iter().enumerate() {
            let padding = " ".repeat(widths[column] - cell.chars().count());
            if column > 0 {
                line.push_str("  ");
            }
            if right[column] { line += &(padding + cell) } else { line += &(cell.clone() + &padding) }
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// Texts of files and of other systems for a screen: what would steer it, or begin another line, is shown as U+FFFD.
pub(crate) fn on_one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn nothing_steers_the_screen() {
        assert_eq!(super::on_one_line("a\u{1b}[2Jb\r\nÄ"), "a\u{fffd}[2Jb\u{fffd}\u{fffd}Ä");
    }

    #[test]
    fn columns_line_up_and_numbers_stand_right() {
        let rows = [["topic", "n"], ["a.v1", "7"], ["ä", "12"]].map(|row| row.map(str::to_owned).to_vec());
        let mut out = Vec::new();
        super::write(&mut out, 1, &rows).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), " topic   n\n a.v1    7\n ä      12\n");
    }
}
