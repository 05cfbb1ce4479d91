//! `make bench`: what the listen role costs, beside what it cannot do without, measured in turns in one run.
//!
//! - a null MLLP server: the price of sockets and framing;
//! - a raw producer with the same records and partitions: the price of storing them;
//! - ehr-ingest's listen role, which does both and parses, identifies and encodes in between;
//! - its normalize role, working off a backlog.
//!
//! `bench --quick` takes half a minute instead of three. The figures also go to `target/bench/result.json`.

mod cpu;
mod ingest;
mod load;
mod message;
mod null_server;
mod parse;
mod raw;
mod report;

use std::{fs, io::Write as _, path::Path, rc::Rc, sync::Arc, time::Duration};

use anyhow::{Context as _, Result, bail};
use waybill_kafka::{NoProbe, Producer, ProducerOptions};
use waybill_testkit::Stack;

use crate::{
    cpu::Processes,
    ingest::Ingest,
    load::{Check, Measured, Window},
    message::Template,
    null_server::NullServer,
    raw::Records,
    report::{Level, Report, Round, Row},
};

const INBOUND: &str = "inbound.message.v1";
const RAW: &str = "bench.raw.v1";

/// How long everything takes.
struct Plan {
    warm_up: Duration,
    window: Window,
    rounds: usize,
    /// Messages of the backlog.
    backlog: u64,
}

impl Plan {
    fn new(quick: bool) -> Self {
        let (seconds, rounds, backlog) = if quick { (1, 2, 20_000) } else { (4, 3, 100_000) };
        Self {
            // The broker's JIT needs it: the first runs after a start are half as fast.
            warm_up: Duration::from_secs(if quick { 3 } else { 20 }),
            window: Window { ramp: Duration::from_millis(300), measured: Duration::from_secs(seconds) },
            rounds,
            backlog,
        }
    }
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let plan = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [null_server::ARGUMENT] => return null_server::serve(),
        [] => Plan::new(false),
        ["--quick"] => Plan::new(true),
        ["parse"] => return report_parse(&parse::measure(Duration::from_millis(500), 7)?),
        _ => bail!("usage: bench [--quick | parse]"),
    };
    // One thread for the generator: it is measured by the process, and it must not take more than one of few cores.
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run(&plan))
}

async fn run(plan: &Plan) -> Result<()> {
    let stack = Stack::from_env();
    stack.reach().await?;
    let broker = broker_pid();
    if broker.is_none() {
        say("the broker is not a process of the local stack here: its CPU is not counted")?;
    }

    let mut listen = Ingest::listening(&stack, broker).await?;
    say("warming up")?;
    let warm = Window { ramp: Duration::ZERO, measured: plan.warm_up };
    load::closed_loop(listen.address()?, 64, Check::ControlId, warm, listen.processes()?).await?;

    let inbound = listen.topics().name(INBOUND);
    let partitions = waybill_contracts::topics::find(INBOUND)
        .context("inbound.message is not in the catalogue")?
        .partitions;
    listen.topics().create_one(RAW, partitions).await?;
    let written = waybill_kafka::read_all(listen.topics().config(), &inbound).await?;
    let records =
        Rc::new(Records::copied(&written[written.len().saturating_sub(1000)..], &listen.topics().name(RAW))?);
    drop(written);
    // As the acknowledgement path produces: nothing waits for company.
    let options = ProducerOptions { linger: Duration::ZERO, ..ProducerOptions::default() };
    let bench = Bench {
        null: NullServer::start()?,
        producer: Producer::start(listen.topics().config(), options, Arc::new(NoProbe))?,
        records,
        broker,
        window: plan.window,
    };
    let mut levels = Vec::new();
    for connections in [1, 8, 64] {
        let mut rounds = Vec::new();
        for round in 1..=plan.rounds {
            say(&format!("{connections} connections, round {round} of {}", plan.rounds))?;
            rounds.push(bench.round(&mut listen, connections).await?);
        }
        levels.push(Level { connections, rounds });
    }
    listen.stop().await?;

    say("normalize")?;
    let normalize = Ingest::listening(&stack, broker).await?.normalize(plan.backlog).await?;
    publish(&Report {
        cores: std::thread::available_parallelism()?.get(),
        message_bytes: Template::adt().message_bytes(),
        record_bytes: bench.records.value_bytes(),
        partitions,
        window_seconds: plan.window.measured.as_secs_f64(),
        levels,
        normalize,
    })
}

fn report_parse(parse: &parse::Parse) -> Result<()> {
    Ok(std::io::stdout().write_all(parse.table().as_bytes())?)
}

/// What is measured in turns.
struct Bench {
    null: NullServer,
    producer: Producer,
    records: Rc<Records>,
    broker: Option<u32>,
    window: Window,
}

impl Bench {
    async fn round(&self, listen: &mut Ingest, connections: usize) -> Result<Round> {
        let null = Processes { server: Some(self.null.pid()), broker: None };
        let null =
            load::closed_loop(self.null.address, connections, Check::FrameOnly, self.window, null).await;
        let raw = Processes { server: None, broker: self.broker };
        let raw = raw::closed_loop(&self.producer, &self.records, connections, self.window, raw).await;
        let processes = listen.processes()?;
        let address = listen.address()?;
        let listen = load::closed_loop(address, connections, Check::ControlId, self.window, processes).await;
        let row = |name: &'static str, measured: Result<Measured>| {
            Row::of(&measured.context(name)?).with_context(|| format!("{name}: nothing was done"))
        };
        Ok(Round {
            null: row("null MLLP server", null)?,
            raw: row("raw producer", raw)?,
            listen: row("ehr-ingest listen", listen)?,
        })
    }
}

/// The broker's process, where the local stack started it natively.
fn broker_pid() -> Option<u32> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = std::env::var_os("WAYBILL_STACK_DIR").map_or_else(|| root.join(".stack"), Into::into);
    let pid = fs::read_to_string(folder.join("pids/kafka")).ok()?.lines().next()?.parse().ok()?;
    cpu::of(pid).ok().map(|_| pid)
}

fn publish(report: &Report) -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("result.json"), serde_json::to_vec_pretty(report)?)?;
    std::io::stdout().write_all(report.table().as_bytes())?;
    Ok(())
}

/// To stderr, so that stdout holds the table alone.
fn say(what: &str) -> Result<()> {
    writeln!(std::io::stderr(), "bench: {what}")?;
    Ok(())
}
