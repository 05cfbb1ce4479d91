//! The commands of `docs/onboarding.md` do what the page says.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::{fs, path::Path, process::Command};

/// A command with the lines that its output must have, in that order.
fn commands(page: &str) -> Vec<(Vec<String>, Vec<String>)> {
    let mut found: Vec<(Vec<String>, Vec<String>)> = Vec::new();
    let mut is_console = false;
    for line in page.lines() {
        if line.starts_with("```") {
            is_console = line == "```console";
        } else if is_console && let Some(command) = line.strip_prefix("$ waybillctl ") {
            found.push((command.split_whitespace().map(str::to_owned).collect(), Vec::new()));
        } else if is_console && line != "…" {
            found.last_mut().unwrap().1.push(line.trim().to_owned());
        }
    }
    found
}

#[test]
fn every_command_prints_what_the_page_shows() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = fs::read_to_string(root.join("docs/onboarding.md")).unwrap();
    let commands = commands(&page);
    assert!(commands.len() >= 4, "{commands:?}");
    for (arguments, lines) in commands {
        let output = Command::new(env!("CARGO_BIN_EXE_waybillctl"))
            .current_dir(&root)
            .args(&arguments)
            .output()
            .unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        let mut rest = text.as_str();
        for line in lines {
            let at =
                rest.find(&line).unwrap_or_else(|| panic!("{arguments:?} prints no {line:?} here:\n{text}"));
            rest = &rest[at + line.len()..];
        }
    }
}
