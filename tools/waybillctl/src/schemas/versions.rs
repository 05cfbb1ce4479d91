//! Earlier versions of a schema: from git, and from `history/`, which a shallow clone has too.

use std::{path::Path, process::Command};

/// A version.
pub(crate) struct Version {
    /// Where it is from.
    pub(crate) label: String,
    /// Its text.
    pub(crate) text: String,
}

/// All versions that were found, each text once.
#[derive(Default)]
pub(crate) struct Versions {
    pub(crate) all: Vec<Version>,
    git: usize,
    frozen: usize,
    /// Why git says nothing.
    pub(crate) no_git: Option<String>,
}

impl Versions {
    /// How many were seen.
    pub(crate) fn seen(&self) -> String {
        format!("{} in git, {} in history", plural(self.git), self.frozen)
    }

    fn add(&mut self, label: String, text: String) {
        if !self.all.iter().any(|known| known.text == text) {
            self.all.push(Version { label, text });
        }
    }
}

fn plural(count: usize) -> String {
    if count == 1 { "1 version".to_owned() } else { format!("{count} versions") }
}

/// Versions of `<folder>/<name>.avsc`, the oldest first.
pub(crate) fn of(folder: &Path, name: &str) -> Versions {
    let mut versions = Versions::default();
    for number in 1.. {
        let Ok(text) =
            std::fs::read_to_string(folder.join("history").join(name).join(format!("{number}.avsc")))
        else {
            break;
        };
        versions.frozen += 1;
        versions.add(format!("history/{number}"), text);
    }
    match commits(folder, name) {
        Ok(commits) => {
            for (commit, path) in commits.iter().rev() {
                // A commit that removed the file has none; one outside a shallow clone is not listed in the first place.
                let Ok(text) = git(folder, &["show", &format!("{commit}:{path}")]) else { continue };
                versions.git += 1;
                versions.add(format!("commit {}", commit.get(..10).unwrap_or(commit)), text);
            }
        }
        Err(reason) => versions.no_git = Some(reason),
    }
    versions
}

/// Commits that changed the file, the newest first, with its path then: it may have been renamed.
fn commits(folder: &Path, name: &str) -> Result<Vec<(String, String)>, String> {
    let file = format!("{name}.avsc");
    let log = git(folder, &["log", "--follow", "--format=commit %H", "--name-only", "--", &file])?;
    let root = git(folder, &["rev-parse", "--show-toplevel"])?;
    let mut found = Vec::new();
    let mut commit = "";
    for line in log.lines().filter(|line| !line.is_empty()) {
        match line.strip_prefix("commit ") {
            Some(id) => commit = id,
            // Git takes a new file that resembles another for its copy: what is there still has a history of its own.
            None if !line.ends_with(&file) && Path::new(root.trim()).join(line).exists() => break,
            None => found.push((commit.to_owned(), line.to_owned())),
        }
    }
    Ok(found)
}

fn git(folder: &Path, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(arguments)
        .output()
        .map_err(|error| format!("git: {error}"))?;
    if output.status.success() {
        String::from_utf8(output.stdout).map_err(|_| "git: not UTF-8".to_owned())
    } else {
        let text = String::from_utf8_lossy(&output.stderr);
        Err(text.lines().next().unwrap_or("git failed").to_owned())
    }
}
