//! `make bench`: what parsing and the two roles of ehr-ingest cost, beside others that do the same, measured in turns in one
//! run.
//!
//! - parsing, beside two other crates;
//! - ehr-ingest's listen role, judging the content before the acknowledgement (AA) and not (CA), beside a null MLLP server,
//!   which is the price of sockets and framing, and a raw producer with the same records and partitions, which is the price
//!   of storing them;
//! - the whole mapping of a message to its events, of which the listener runs the judging part only;
//! - Apache Camel in the same place, raw and with a HAPI parse;
//! - ehr-ingest's normalize role, working off a backlog.
//!
//! `bench parse`, `bench listen`, `bench camel` and `bench normalize` do one of them; `--quick` takes a fraction of the time.
//! The figures also go to `target/bench/result.json`.

mod aims;
mod camel;
mod cpu;
mod ingest;
mod levels;
mod load;
mod mapping;
mod message;
mod null_server;
mod parse;
mod raw;
mod report;

use std::{fs, io::Write as _, path::Path, time::Duration};

use anyhow::{Context as _, Result, bail};
use waybill_testkit::Stack;

use crate::{
    ingest::Ingest,
    levels::Bench,
    load::Window,
    message::{Mode, Template},
    report::{Camel, Report},
};

const INBOUND: &str = "inbound.message.v1";
/// Connections of the comparison with Camel.
const CAMEL_CONNECTIONS: usize = 64;

/// What can be measured alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Parse,
    Listen,
    Camel,
    Normalize,
}

impl Part {
    const ALL: [Self; 4] = [Self::Parse, Self::Listen, Self::Camel, Self::Normalize];

    const fn name(self) -> &'static str {
        match self {
            Self::Parse => "parse",
            Self::Listen => "listen",
            Self::Camel => "camel",
            Self::Normalize => "normalize",
        }
    }
}

/// What is done, and how long it takes.
struct Plan {
    parts: Vec<Part>,
    warm_up: Duration,
    camel_warm_up: Duration,
    window: Window,
    rounds: usize,
    parse_window: Duration,
    parse_rounds: usize,
    /// Messages of the backlog.
    backlog: u64,
    /// Partitions of inbound.message; the catalogue's where it is `None`.
    partitions: Option<i32>,
    /// How many senders there are at once, one after the other.
    connections: Vec<usize>,
}

/// How a number of partitions is given.
const PARTITIONS: &str = "partitions=";
/// How numbers of connections are given.
const CONNECTIONS: &str = "connections=";

impl Plan {
    fn new(quick: bool) -> Self {
        let (seconds, rounds, backlog) = if quick { (1, 3, 20_000) } else { (3, 5, 100_000) };
        Self {
            parts: Part::ALL.to_vec(),
            // The broker's JIT needs it: the first runs after a start are half as fast.
            warm_up: Duration::from_secs(if quick { 3 } else { 20 }),
            // In a quick run too: until its own compiler is done a JVM takes twice the CPU, and the comparison would flatter us.
            camel_warm_up: Duration::from_mins(1),
            window: Window { ramp: Duration::from_millis(300), measured: Duration::from_secs(seconds) },
            rounds,
            parse_window: Duration::from_millis(if quick { 200 } else { 500 }),
            parse_rounds: if quick { 5 } else { 9 },
            backlog,
            partitions: None,
            connections: vec![1, 8, 64, 512],
        }
    }

    /// With what `arguments` say of partitions and connections; takes it out.
    fn adjusted(mut self, arguments: &mut Vec<&str>) -> Result<Self> {
        let count = |name: &str, text: &str| {
            let count = text.parse().ok().filter(|count| *count > 0);
            count.with_context(|| format!("{name}{text}: a number above zero is wanted"))
        };
        for argument in arguments.iter() {
            if let Some(text) = argument.strip_prefix(PARTITIONS) {
                self.partitions = Some(count(PARTITIONS, text)?);
            } else if let Some(text) = argument.strip_prefix(CONNECTIONS) {
                let counts = text.split(',').map(|text| Ok(usize::try_from(count(CONNECTIONS, text)?)?));
                self.connections = counts.collect::<Result<_>>()?;
            }
        }
        arguments.retain(|argument| !argument.starts_with(PARTITIONS) && !argument.starts_with(CONNECTIONS));
        Ok(self)
    }

    /// Only what is named; all where nothing is.
    fn only(self, names: &[&str]) -> Result<Self> {
        let known = |name: &&str| Part::ALL.iter().find(|part| part.name() == *name).copied();
        let Some(parts) = names.iter().map(known).collect::<Option<Vec<_>>>() else {
            bail!(
                "usage: bench [--quick] [partitions=N] [connections=N,…] [parse] [listen] [camel] [normalize]"
            );
        };
        Ok(if parts.is_empty() { self } else { Self { parts, ..self } })
    }

    fn has(&self, part: Part) -> bool {
        self.parts.contains(&part)
    }
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut names: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if names == [null_server::ARGUMENT] {
        return null_server::serve();
    }
    let given = names.len();
    names.retain(|name| *name != "--quick");
    let plan = Plan::new(names.len() < given).adjusted(&mut names)?.only(&names)?;
    // One thread for the generator: it is measured by the process, and it must not take more than one of few cores.
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run(&plan))
}

async fn run(plan: &Plan) -> Result<()> {
    let parse = if plan.has(Part::Parse) {
        say("parse")?;
        Some(parse::measure(plan.parse_window, plan.parse_rounds)?)
    } else {
        None
    };
    let mut report =
        Report::new(parse, std::thread::available_parallelism()?.get(), plan.window, plan.rounds);
    if plan.parts != [Part::Parse] {
        measure_services(plan, &mut report).await?;
    }
    publish(&report)
}

async fn measure_services(plan: &Plan, report: &mut Report) -> Result<()> {
    let stack = Stack::from_env();
    stack.reach().await?;
    let broker = levels::broker_pid();
    if broker.is_none() {
        say("the broker is not a process of the local stack here: its CPU is not counted")?;
    }
    let topic =
        waybill_contracts::topics::find(INBOUND).context("inbound.message is not in the catalogue")?;
    let partitions = plan.partitions.unwrap_or(topic.partitions);
    report.partitions = partitions;
    if plan.has(Part::Listen) || plan.has(Part::Camel) {
        let mut listen = Ingest::listening(&stack, broker, plan.partitions).await?;
        say("warming up")?;
        let warm = Window { ramp: Duration::ZERO, measured: plan.warm_up };
        let load = listen.load(64, Template::adt(Mode::Original), Mode::Original)?;
        load::closed_loop(&load, warm, listen.processes()?).await?;
        let mut bench = Bench::start(&mut listen, broker, partitions, plan.window, plan.rounds)?;
        if plan.has(Part::Listen) {
            report.levels = bench.levels(&plan.connections).await?;
            report.mapping_us = Some(mapping::measure(plan.parse_window, plan.parse_rounds)?);
        }
        if plan.has(Part::Camel) {
            report.camel = match camel::prepare()? {
                Ok(()) => bench.camel(&stack, CAMEL_CONNECTIONS, plan.camel_warm_up).await?,
                Err(why) => Camel::Skipped(why),
            };
        }
        listen.stop().await?;
    }
    if plan.has(Part::Normalize) {
        say("normalize")?;
        report.normalize =
            Some(Ingest::listening(&stack, broker, plan.partitions).await?.normalize(plan.backlog).await?);
    }
    Ok(())
}

fn publish(report: &Report) -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("result.json"), serde_json::to_vec_pretty(report)?)?;
    let text = report.table() + &aims::table(report);
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

/// To stderr, so that stdout holds the table alone.
fn say(what: &str) -> Result<()> {
    writeln!(std::io::stderr(), "bench: {what}")?;
    Ok(())
}
