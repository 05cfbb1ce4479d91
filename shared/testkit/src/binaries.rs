//! The built binaries.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use anyhow::{Context as _, bail};

/// The binary of a service or tool: in `WAYBILL_BIN_DIR`, else where the running test or program was built to.
///
/// Without `WAYBILL_BIN_DIR` the workspace's binaries are brought up to date once per process, so that a test never
/// runs yesterday's service; `WAYBILL_BUILD=0` leaves that out.
pub fn find(name: &str) -> anyhow::Result<PathBuf> {
    static FOLDER: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| folder().map_err(|error| format!("{error:#}"))).as_ref();
    let path = folder.map_err(|error| anyhow::anyhow!(error.clone()))?.join(name);
    if path.is_file() {
        return Ok(path);
    }
    bail!("there is no {}: run `cargo build --workspace --bins`", path.display())
}

fn folder() -> anyhow::Result<PathBuf> {
    if let Some(folder) = env::var_os("WAYBILL_BIN_DIR") {
        return Ok(PathBuf::from(folder));
    }
    let program = env::current_exe().context("where does this program run?")?;
    // target/<profile>/deps/<test> or target/<profile>/<program>
    let folder = program.parent().context("a program without a folder")?;
    let is_test = folder.file_name().is_some_and(|name| name == "deps");
    let folder = if is_test { folder.parent().context("target/<profile>")? } else { folder };
    // A program was built by whoever started it, together with what it starts.
    if is_test && env::var("WAYBILL_BUILD").as_deref() != Ok("0") {
        build(folder)?;
    }
    Ok(folder.to_owned())
}

fn build(folder: &Path) -> anyhow::Result<()> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")).args(["build", "--quiet"]);
    for package in ["ehr-ingest", "lab-distributor", "confirmation-tracker", "waybillctl"] {
        command.args(["--package", package]);
    }
    command.arg("--bins");
    if folder.file_name().is_some_and(|name| name == "release") {
        command.arg("--release");
    }
    let status = command.status().context("cargo build")?;
    if status.success() { Ok(()) } else { bail!("`cargo build --workspace --bins` failed") }
}
