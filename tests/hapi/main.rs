//! HAPI (Java), an implementation of HL7 that is not ours, as the sender: over MLLP with every public sample message, and
//! as a FHIR client.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking and says what it saw")]

mod fhir;
mod mllp;

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::process::Command;

/// Bound of what happens in a second or two on an idle machine.
const SOON: Duration = Duration::from_secs(60);

/// Runs a program of this folder under Java; its standard output by lines.
async fn java(profile: &str, program: &str, arguments: &[&str]) -> Vec<String> {
    let output = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("hapi/run"))
        .args([profile, program])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// Writes each file and a list of them all, as the programs read it.
fn listed(folder: &Path, files: impl IntoIterator<Item = Vec<u8>>) -> PathBuf {
    let mut paths = String::new();
    for (index, bytes) in files.into_iter().enumerate() {
        let path = folder.join(format!("{index}"));
        std::fs::write(&path, bytes).unwrap();
        paths.push_str(path.to_str().unwrap());
        paths.push('\n');
    }
    let list = folder.join("list");
    std::fs::write(&list, paths).unwrap();
    list
}
