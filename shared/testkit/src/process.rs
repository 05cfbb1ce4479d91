//! One service as a child process.

use std::{
    ffi::OsString,
    fs::{self, OpenOptions},
    net::SocketAddr,
    os::unix::process::ExitStatusExt as _,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use crate::{eventually, http, http::Answer, pending};

/// Lines of the log that an error shows.
const TAIL: usize = 25;

/// How a process is started: enough to start it again.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    pub(crate) name: String,
    pub(crate) binary: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) admin: SocketAddr,
    pub(crate) log: PathBuf,
    /// In a process group of its own: Ctrl-C at the terminal does not reach it.
    pub(crate) shielded: bool,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Self {
        status.code().map_or_else(|| Self::Signal(status.signal().unwrap_or(0)), Self::Code)
    }
}

/// A service that runs as a child process; dropping it kills the child.
#[derive(Debug)]
pub struct Process {
    launch: Launch,
    child: Child,
}

impl Process {
    pub(crate) fn start(launch: Launch) -> anyhow::Result<Self> {
        let child = spawn(&launch)?;
        Ok(Self { launch, child })
    }

    /// Name of the service, and of its log.
    pub fn name(&self) -> &str {
        &self.launch.name
    }

    /// Base address of its admin port.
    pub fn admin(&self) -> String {
        format!("http://{}", self.launch.admin)
    }

    /// Everything that was written to stdout and stderr so far, over all restarts.
    pub fn log(&self) -> String {
        fs::read(&self.launch.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// Where its log is.
    pub fn log_file(&self) -> &std::path::Path {
        &self.launch.log
    }

    /// `/metrics`.
    pub async fn metrics(&self) -> anyhow::Result<String> {
        http::get(&format!("{}/metrics", self.admin())).await
    }

    /// Value of the first sample of a metric that has all these labels (`name="value"`).
    pub async fn metric(&self, name: &str, labels: &[&str]) -> anyhow::Result<Option<f64>> {
        let text = self.metrics().await?;
        let fits = |line: &&str| {
            let rest = line.strip_prefix(name);
            rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
                && labels.iter().all(|label| line.contains(label))
        };
        Ok(text.lines().find(fits).and_then(|line| line.rsplit(' ').next()?.parse().ok()))
    }

    /// `/ready`, as it answers.
    pub async fn readiness(&self) -> anyhow::Result<Answer> {
        http::ask(&format!("{}/ready", self.admin())).await
    }

    /// Waits until it is ready; the error shows what it waits for and the end of its log.
    pub async fn wait_ready(&mut self, within: Duration) -> anyhow::Result<()> {
        self.await_readiness("is ready", within, |answer| answer.status == 200).await.map(drop)
    }

    /// Waits until it says that it is not ready and why: the body holds all these words.
    pub async fn wait_not_ready(&mut self, within: Duration, words: &[&str]) -> anyhow::Result<Answer> {
        let what = format!("is not ready because of {words:?}");
        let says = |text: &str| words.iter().all(|word| text.contains(word));
        self.await_readiness(&what, within, |answer| answer.status == 503 && says(&answer.body)).await
    }

    async fn await_readiness(
        &mut self,
        what: &str,
        within: Duration,
        holds: impl Fn(&Answer) -> bool,
    ) -> anyhow::Result<Answer> {
        let url = format!("{}/ready", self.admin());
        let mut ended = None;
        let what = format!("{} {what}", self.launch.name);
        let found = eventually(&what, within, async || {
            if let Some(status) = self.child.try_wait()? {
                ended = Some(Exit::from(status));
                return Ok(None);
            }
            let answer = http::ask(&url).await?;
            if holds(&answer) {
                Ok(Some(answer))
            } else {
                pending(format!("{} {}", answer.status, answer.body))
            }
        });
        match found.await {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => bail!("{} has ended: {ended:?}\n{}", self.launch.name, self.tail()),
            Err(error) => bail!("{error:#}\n{}", self.tail()),
        }
    }

    /// The end of its log.
    pub fn tail(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        let from = lines.len().saturating_sub(TAIL);
        format!("-- {} ({} lines)\n{}", self.launch.log.display(), lines.len(), lines[from..].join("\n"))
    }

    /// Its process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// `kill -9`, and waits until it is gone.
    pub async fn kill9(&mut self) -> anyhow::Result<()> {
        self.child.kill().await.with_context(|| format!("kill -9 of {}", self.launch.name))
    }

    /// SIGTERM, and how it ended; an error with its log when it did not end `within` the time.
    pub async fn terminate(&mut self, within: Duration) -> anyhow::Result<Exit> {
        self.signal(Signal::TERM)?;
        self.wait(within).await
    }

    /// SIGINT, and how it ended.
    pub async fn interrupt(&mut self, within: Duration) -> anyhow::Result<Exit> {
        self.signal(Signal::INT)?;
        self.wait(within).await
    }

    /// SIGSTOP: it hangs, its connections stay open.
    pub fn freeze(&self) -> anyhow::Result<()> {
        self.signal(Signal::STOP)
    }

    /// SIGCONT: it goes on.
    pub fn thaw(&self) -> anyhow::Result<()> {
        self.signal(Signal::CONT)
    }

    /// Waits until it ends by itself.
    pub async fn wait(&mut self, within: Duration) -> anyhow::Result<Exit> {
        match tokio::time::timeout(within, self.child.wait()).await {
            Ok(status) => Ok(Exit::from(status?)),
            Err(_) => bail!("{} did not end within {within:?}\n{}", self.launch.name, self.tail()),
        }
    }

    /// Starts it again as it was, on the same ports, after it has ended.
    pub fn start_again(&mut self) -> anyhow::Result<()> {
        if self.is_running() {
            bail!("{} still runs", self.launch.name);
        }
        self.child = spawn(&self.launch)?;
        Ok(())
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = self.child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
        let pid = pid.with_context(|| format!("{} has ended already\n{}", self.launch.name, self.tail()))?;
        kill_process(pid, signal).with_context(|| format!("signal to {}", self.launch.name))
    }
}

fn spawn(launch: &Launch) -> anyhow::Result<Child> {
    let log = OpenOptions::new().create(true).append(true).open(&launch.log);
    let log = log.with_context(|| format!("cannot write {}", launch.log.display()))?;
    let mut command = Command::new(&launch.binary);
    command
        .args(&launch.arguments)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .kill_on_drop(true);
    isolate(command.as_std_mut());
    if launch.shielded {
        command.process_group(0);
    }
    command.spawn().with_context(|| format!("cannot start {}", launch.binary.display()))
}

/// Takes away what would override a configuration file: the stack's addresses are in it already, and a variable for
/// one service is an unknown key for another.
pub(crate) fn isolate(command: &mut std::process::Command) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("WAYBILL_") || text == "RUST_LOG" || text == "OTEL_EXPORTER_OTLP_ENDPOINT" {
            command.env_remove(&name);
        }
    }
}
