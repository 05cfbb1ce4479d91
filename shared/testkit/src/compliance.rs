//! What every service binary must show, whatever it does.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;
use toml::Table;

use crate::{
    Exit, Process, Stack, Unit, binaries, eventually, http, ports,
    process::{Launch, isolate},
    settings::{self, Addresses},
};

const SOON: Duration = Duration::from_secs(20);

/// Checks all of it, without any stack: each error says what is missing.
pub async fn compliance(unit: Unit) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let subject = Subject::new(unit, folder.path())?;
    subject.example_is_valid().context("the example configuration")?;
    subject.configuration_is_printed().context("--print-config")?;
    subject.unknown_key_is_refused().context("an unknown key")?;
    subject.bad_usage_is_refused().context("bad usage")?;
    subject.taken_port_is_reported().context("an admin port that is taken")?;
    let mut process = subject.start()?;
    subject
        .ports_answer(&mut process)
        .await
        .with_context(|| format!("the admin port\n{}", process.tail()))?;
    let exit = process.terminate(Duration::from_secs(40)).await?;
    ensure!(exit == Exit::Code(0), "SIGTERM: {exit:?}\n{}", process.tail());
    logs_are_json(&process.log()).with_context(|| format!("logs\n{}", process.tail()))?;
    let mut process = subject.start()?;
    subject.ports_answer(&mut process).await?;
    let exit = process.interrupt(Duration::from_secs(40)).await?;
    ensure!(exit == Exit::Code(0), "SIGINT: {exit:?}\n{}", process.tail());
    Ok(())
}

struct Subject {
    unit: Unit,
    binary: PathBuf,
    folder: PathBuf,
    example: PathBuf,
    config: Table,
    addresses: Addresses,
}

impl Subject {
    fn new(unit: Unit, folder: &Path) -> anyhow::Result<Self> {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../services").join(unit.name());
        let addresses = Addresses::free()?;
        // Nobody listens there.
        let nobody = ports::free()?;
        let stack = Stack {
            kafka: nobody.to_string(),
            registry: format!("http://{nobody}"),
            postgres: format!("postgres://nobody@{nobody}/none"),
            otlp: None,
            jaeger: None,
        };
        let routes = folder.join("routes.toml");
        fs::write(&routes, "")?;
        let config = settings::base(unit, &stack, "compliance", &addresses, &routes.display().to_string());
        Ok(Self {
            unit,
            binary: binaries::find(unit.name())?,
            folder: folder.to_owned(),
            example: example.join("config.example.toml"),
            config,
            addresses,
        })
    }

    fn run(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        let mut command = Command::new(&self.binary);
        isolate(&mut command);
        command.args(arguments).stdin(Stdio::null());
        command.output().with_context(|| format!("{} does not start", self.binary.display()))
    }

    fn write(&self, name: &str, config: &Table) -> anyhow::Result<String> {
        let file = self.folder.join(name);
        fs::write(&file, toml::to_string(config)?)?;
        Ok(file.display().to_string())
    }

    fn example_is_valid(&self) -> anyhow::Result<()> {
        let output = self.run(&["--config", &self.example.display().to_string(), "--check-config"])?;
        expect(&output, 0)
    }

    fn configuration_is_printed(&self) -> anyhow::Result<()> {
        let output = self.run(&["--config", &self.write("print.toml", &self.config)?, "--print-config"])?;
        expect(&output, 0)?;
        let printed: Table = String::from_utf8(output.stdout)?.parse().context("not TOML")?;
        let namespace = printed["kafka"]["namespace"].as_str();
        ensure!(namespace == Some("compliance"), "the file's namespace is printed as {namespace:?}");
        expect(&self.run(&["--config", &self.write("printed.toml", &printed)?, "--check-config"])?, 0)
    }

    fn unknown_key_is_refused(&self) -> anyhow::Result<()> {
        for key in ["no_such_key", "kafka.no_such_key", "admin.no_such_key"] {
            let mut config = self.config.clone();
            settings::put(&mut config, key, 1.into());
            let output = self.run(&["--config", &self.write("unknown.toml", &config)?])?;
            expect(&output, 64)?;
            ensure!(text(&output).contains("no_such_key"), "{key} is not named:\n{}", text(&output));
        }
        Ok(())
    }

    fn bad_usage_is_refused(&self) -> anyhow::Result<()> {
        expect(&self.run(&["--no-such-flag"])?, 64)?;
        expect(&self.run(&["--config", "/no/such/file.toml"])?, 64)?;
        expect(&self.run(&["--help"])?, 0)?;
        let version = self.run(&["--version"])?;
        expect(&version, 0)?;
        ensure!(
            text(&version).contains(self.unit.name()),
            "--version does not name the service: {}",
            text(&version)
        );
        Ok(())
    }

    fn taken_port_is_reported(&self) -> anyhow::Result<()> {
        let taken = TcpListener::bind("127.0.0.1:0")?;
        let address = taken.local_addr()?.to_string();
        let mut config = self.config.clone();
        settings::put(&mut config, "admin.listen", address.clone().into());
        let output = self.run(&["--config", &self.write("taken.toml", &config)?])?;
        expect(&output, 1)?;
        ensure!(text(&output).contains(&address), "{address} is not named:\n{}", text(&output));
        Ok(())
    }

    fn start(&self) -> anyhow::Result<Process> {
        Process::start(Launch {
            name: self.unit.name().to_owned(),
            binary: self.binary.clone(),
            arguments: vec!["--config".into(), self.write("run.toml", &self.config)?.into()],
            admin: self.addresses.admin(self.unit),
            log: self.folder.join("run.log"),
            shielded: false,
        })
    }

    /// With nothing it depends on: alive, not ready, and it says why.
    async fn ports_answer(&self, process: &mut Process) -> anyhow::Result<()> {
        let admin = process.admin();
        eventually("/live answers", SOON, async || Ok(http::get(&format!("{admin}/live")).await?)).await?;
        let ready = process.wait_not_ready(SOON, &[]).await?;
        serde_json::from_str::<Value>(&ready.body)
            .with_context(|| format!("/ready is not JSON: {}", ready.body))?;
        let version = http::json(&format!("{admin}/version")).await?.context("/version")?;
        ensure!(version["service"] == self.unit.name(), "/version says {version}");
        let metrics = process.metrics().await?;
        ensure!(
            metrics.lines().any(|line| line.starts_with("# TYPE ")),
            "/metrics has no metric:\n{metrics}"
        );
        let unknown = http::ask(&format!("{admin}/no-such-path")).await?;
        ensure!(unknown.status == 404, "an unknown path answers {}", unknown.status);
        Ok(())
    }
}

/// Every line is an object with a level and a message.
fn logs_are_json(log: &str) -> anyhow::Result<()> {
    ensure!(!log.trim().is_empty(), "nothing was logged");
    for line in log.lines() {
        let Ok(Value::Object(entry)) = serde_json::from_str(line) else { bail!("not a JSON object: {line}") };
        ensure!(entry.contains_key("level") && entry.contains_key("message"), "no level or message: {line}");
    }
    Ok(())
}

fn text(output: &Output) -> String {
    let said = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8_lossy(&said).into_owned()
}

fn expect(output: &Output, code: i32) -> anyhow::Result<()> {
    ensure!(
        output.status.code() == Some(code),
        "{} instead of exit code {code}:\n{}",
        output.status,
        text(output)
    );
    Ok(())
}
