//! The command line: `simulator generate | send | receive`.

use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};

use crate::folder;
use crate::generate::{Feed, GenerateConfig, Generator};
use crate::receive::{Action, Behaviour, ReceiveConfig, Receiver, ReceiverHandle};
use crate::send::{CancellationToken, Outgoing, Progress, SendConfig, SendReport, Sender};

/// Hospital systems to try Waybill with: some that send HL7 v2 and FHIR, one that receives HL7 v2.
#[derive(Debug, Parser)]
#[command(name = "simulator", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write generated messages to a folder, with a manifest of what to expect of each.
    Generate(GenerateArgs),
    /// Send generated messages, or those of a folder, and wait for every acknowledgement.
    Send(SendArgs),
    /// Receive messages and acknowledge them as told.
    Receive(ReceiveArgs),
}

#[derive(Debug, Args)]
struct Traffic {
    /// Same seed, same messages.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Number of messages.
    #[arg(long, default_value_t = 500)]
    count: usize,
    /// Share of deliberately bad messages, 0 to 1.
    #[arg(long, default_value_t = 0.01)]
    bad_share: f64,
    /// Share of FHIR Bundles, 0 to 1.
    #[arg(long, default_value_t = 0.0)]
    fhir_share: f64,
    /// Only what this system sends: ehr, lis or fhir.
    #[arg(long, value_parser = feed)]
    feed: Option<Feed>,
}

#[derive(Debug, Args)]
struct GenerateArgs {
    #[command(flatten)]
    traffic: Traffic,
    /// Folder to write to.
    #[arg(long)]
    out: PathBuf,
    /// Write the HL7 v2 messages as batch files of this many instead.
    #[arg(long)]
    batch: Option<usize>,
}

#[derive(Debug, Args)]
struct SendArgs {
    /// `host:port` of the listener.
    #[arg(long, default_value = "127.0.0.1:2575")]
    to: String,
    /// Post HL7 v2 over HTTP to `--to` instead of sending it over MLLP.
    #[arg(long)]
    over_http: bool,
    /// Send the laboratory's messages here instead.
    #[arg(long)]
    lis_to: Option<String>,
    /// Post FHIR Bundles here.
    #[arg(long, default_value = "127.0.0.1:8080")]
    fhir_to: String,
    /// Bearer token of what goes over HTTP.
    #[arg(long, env = "SIMULATOR_TOKEN", hide_env_values = true)]
    token: Option<String>,
    #[command(flatten)]
    traffic: Traffic,
    /// Send the *.hl7, *.txt and FHIR *.json files below this folder instead of generated messages.
    #[arg(long)]
    folder: Option<PathBuf>,
    /// Send each message of a file with several, or of a batch, in its own frame.
    #[arg(long, requires = "folder")]
    split: bool,
    /// Connections per listener.
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// Messages per second and listener; unlimited when not given.
    #[arg(long)]
    rate: Option<f64>,
    /// Seconds to wait for an acknowledgement before sending again.
    #[arg(long, default_value_t = 10.0)]
    ack_timeout: f64,
    /// Seconds after which an unacknowledged message is given up.
    #[arg(long, default_value_t = 120.0)]
    give_up_after: f64,
    /// Write the full history as JSON to this file.
    #[arg(long)]
    report: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct ReceiveArgs {
    /// MLLP address.
    #[arg(long, default_value = "127.0.0.1:2601")]
    listen: SocketAddr,
    /// Address of the HTTP control interface.
    #[arg(long)]
    control: Option<SocketAddr>,
    /// JSON file with the behaviour to start with; accepts everything when not given.
    #[arg(long)]
    behaviour: Option<PathBuf>,
    /// Take a repeated MSH-10 as a new message.
    #[arg(long)]
    no_dedupe: bool,
    /// Milliseconds before each acknowledgement.
    #[arg(long, conflicts_with = "behaviour")]
    slow: Option<u64>,
}

fn feed(text: &str) -> Result<Feed, String> {
    match text {
        "ehr" => Ok(Feed::Ehr),
        "lis" => Ok(Feed::Lis),
        "fhir" => Ok(Feed::Fhir),
        _ => Err("ehr, lis or fhir".to_owned()),
    }
}

/// Runs the program: 0 when everything was done, 1 when not, 64 for wrong usage.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way too, and are no failure. A closed output is nobody's concern.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(64) } else { ExitCode::SUCCESS };
        }
    };
    let outcome = tokio::runtime::Runtime::new().context("cannot start the runtime").and_then(|runtime| {
        runtime.block_on(async {
            match cli.command {
                Command::Generate(args) => generate(&args),
                Command::Send(args) => send(args).await,
                Command::Receive(args) => receive(args).await,
            }
        })
    });
    match outcome {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "simulator: {error:#}");
            ExitCode::FAILURE
        }
    }
}

impl Traffic {
    fn messages(&self) -> impl Iterator<Item = crate::generate::Generated> {
        let fhir_share = if self.feed == Some(Feed::Fhir) { 1.0 } else { self.fhir_share };
        let usual = GenerateConfig::new(self.seed, self.count);
        let config = GenerateConfig { bad_share: self.bad_share, fhir_share, ..usual };
        let feed = self.feed;
        Generator::new(config).filter(move |message| feed.is_none_or(|feed| feed == message.feed))
    }
}

fn generate(args: &GenerateArgs) -> anyhow::Result<ExitCode> {
    if let Some(size) = args.batch {
        let written = folder::write_batches(&args.out, args.traffic.messages(), size)?;
        writeln!(std::io::stdout(), "{written} batches in {}", args.out.display())?;
        return Ok(ExitCode::SUCCESS);
    }
    let manifest = folder::write(&args.out, args.traffic.messages())?;
    writeln!(std::io::stdout(), "{} messages in {}", manifest.len(), args.out.display())?;
    Ok(ExitCode::SUCCESS)
}

async fn send(args: SendArgs) -> anyhow::Result<ExitCode> {
    let runs = runs(&args)?;
    let cancel = CancellationToken::new();
    let interrupt = tokio::spawn(cancel_on_interrupt(cancel.clone()));
    let progress: Vec<_> = runs.iter().map(|(sender, _)| sender.progress()).collect();
    let display = tokio::spawn(show_progress(progress));
    let tasks: Vec<_> = runs
        .into_iter()
        .map(|(sender, messages)| {
            let cancel = cancel.clone();
            tokio::spawn(async move { sender.run(messages, cancel).await })
        })
        .collect();
    let mut reports = Vec::new();
    for task in tasks {
        reports.push(task.await?);
    }
    display.abort();
    interrupt.abort();
    for report in &reports {
        print_report(report)?;
    }
    if let Some(path) = &args.report {
        std::fs::write(path, serde_json::to_vec_pretty(&reports)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    let complete = reports.iter().all(|report| report.failures == 0);
    Ok(if complete { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// One sender per listener with what goes there.
fn runs(args: &SendArgs) -> anyhow::Result<Vec<(Sender, Vec<Outgoing>)>> {
    let timing = SendConfig {
        connections: args.connections,
        rate: args.rate,
        ack_timeout: Duration::try_from_secs_f64(args.ack_timeout).context("--ack-timeout")?,
        give_up_after: Duration::try_from_secs_f64(args.give_up_after).context("--give-up-after")?,
        ..SendConfig::to("")
    };
    let token = args.token.as_deref();
    let to = |way: SendConfig| SendConfig { target: way.target, transport: way.transport, ..timing.clone() };
    let hl7 = |target: &str| {
        to(if args.over_http { SendConfig::hl7_over_http(target, token) } else { SendConfig::to(target) })
    };
    let (lis, other): (Vec<_>, Vec<_>) = match &args.folder {
        Some(folder) => (Vec::new(), folder::read(folder, args.split)?),
        None => {
            let own =
                |message: &crate::generate::Generated| args.lis_to.is_some() && message.feed == Feed::Lis;
            let (lis, other): (Vec<_>, Vec<_>) = args.traffic.messages().partition(own);
            let outgoing = |generated: Vec<_>| generated.into_iter().map(Outgoing::from).collect();
            (outgoing(lis), outgoing(other))
        }
    };
    let (fhir, ehr): (Vec<_>, Vec<_>) = other.into_iter().partition(Outgoing::is_fhir);
    let ways = [
        (args.lis_to.as_deref().map(hl7), lis),
        (Some(to(SendConfig::fhir(&*args.fhir_to, token))), fhir),
        (Some(hl7(&args.to)), ehr),
    ];
    let used = ways.into_iter().filter(|(_, messages)| !messages.is_empty());
    Ok(used.filter_map(|(config, messages)| Some((Sender::new(config?), messages))).collect())
}

async fn cancel_on_interrupt(cancel: CancellationToken) {
    if tokio::signal::ctrl_c().await.is_ok() {
        cancel.cancel();
    }
}

/// One line, rewritten, and only for somebody who watches.
async fn show_progress(progress: Vec<Arc<Progress>>) {
    if !std::io::stderr().is_terminal() {
        return;
    }
    loop {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let sum = |of: fn(&Progress) -> u64| progress.iter().map(|p| of(p)).sum::<u64>();
        let _ = write!(
            std::io::stderr(),
            "\r{}/{} accepted, {} refused, {} resent ",
            sum(|p| p.snapshot().accepted),
            sum(|p| p.snapshot().total),
            sum(|p| p.snapshot().refused),
            sum(|p| p.snapshot().resends),
        );
    }
}

fn print_report(report: &SendReport) -> std::io::Result<()> {
    let codes: Vec<_> = report.acked.iter().map(|(code, count)| format!("{code} {count}")).collect();
    writeln!(
        std::io::stdout(),
        "\nsent {} · {} · resends {} · without answer {} · {:.0}/s accepted · p50 {:?} p99 {:?} max {:?}",
        report.sent,
        if codes.is_empty() { "no answers".to_owned() } else { codes.join(", ") },
        report.resends,
        report.failures,
        report.accepted_per_second(),
        report.latency.p50,
        report.latency.p99,
        report.latency.max,
    )
}

async fn receive(args: ReceiveArgs) -> anyhow::Result<ExitCode> {
    let behaviour = match (&args.behaviour, args.slow) {
        (Some(path), _) => {
            let json = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            serde_json::from_slice(&json).with_context(|| format!("behaviour in {}", path.display()))?
        }
        (None, Some(millis)) => Behaviour::always(Action::Slow { millis }),
        (None, None) => Behaviour::accept(),
    };
    let config = ReceiveConfig {
        listen: args.listen,
        control: args.control,
        behaviour,
        dedupe: !args.no_dedupe,
        // A receiver at the command line may run for days; hashes are enough for its history.
        keep_bytes: false,
    };
    let receiver =
        Receiver::start(config).await.with_context(|| format!("cannot listen on {}", args.listen))?;
    writeln!(std::io::stdout(), "receiving on {}", receiver.addr())?;
    if let Some(control) = receiver.control_addr() {
        writeln!(std::io::stdout(), "control on http://{control}")?;
    }
    tokio::select! {
        () = show_stats(&receiver) => {}
        signal = wait_for_end() => signal?,
    }
    let stats = receiver.stats();
    writeln!(std::io::stdout(), "\n{}", serde_json::to_string(&stats)?)?;
    Ok(ExitCode::SUCCESS)
}

async fn show_stats(receiver: &ReceiverHandle) {
    if !std::io::stderr().is_terminal() {
        return std::future::pending().await;
    }
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let stats = receiver.stats();
        let _ = write!(
            std::io::stderr(),
            "\r{} received, {} different, {} repeated, {} connections ",
            stats.received,
            stats.taken,
            stats.duplicates,
            stats.open
        );
    }
}

/// Interrupt from the keyboard or termination by a supervisor.
async fn wait_for_end() -> std::io::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        interrupt = tokio::signal::ctrl_c() => interrupt,
        _ = terminate.recv() => Ok(()),
    }
}
