//! The listen role beside what it cannot do without, and beside Apache Camel.

use std::{fs, path::Path, rc::Rc, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use waybill_kafka::{NoProbe, Producer, ProducerOptions, RequestsPerBroker, Tail};
use waybill_testkit::Stack;

use crate::{
    INBOUND, camel,
    cpu::{self, Processes},
    ingest::Ingest,
    load::{self, Load, Measured, Window},
    message::{Mode, Template},
    null_server::NullServer,
    raw::{self, Records},
    report::{Camel, CamelRound, Level, Round, Row},
    say,
};

/// Records that the raw producer repeats, of each partition.
const COPIED: u32 = 300;

/// What is measured in turns.
pub(crate) struct Bench<'a> {
    listen: &'a mut Ingest,
    null: NullServer,
    /// With the options of the listener's.
    producer: Producer,
    broker: Option<u32>,
    partitions: i32,
    window: Window,
    rounds: usize,
}

impl<'a> Bench<'a> {
    pub(crate) fn start(
        listen: &'a mut Ingest,
        broker: Option<u32>,
        partitions: i32,
        window: Window,
        rounds: usize,
    ) -> Result<Self> {
        // As the acknowledgement path produces when nothing else does: nothing waits for company.
        let options = ProducerOptions {
            linger: Duration::ZERO,
            requests_per_broker: RequestsPerBroker::One,
            ..ProducerOptions::default()
        };
        let config = listen.topics().config();
        let producer = Producer::start(config, options, Arc::new(NoProbe))?;
        Ok(Self { null: NullServer::start()?, producer, listen, broker, partitions, window, rounds })
    }

    /// Two sizes, each with so many connections.
    pub(crate) async fn levels(&mut self, connections: &[usize]) -> Result<Vec<Level>> {
        let mut levels = Vec::new();
        for (raw_topic, template) in
            [("bench.small.v1", Template::adt as fn(Mode) -> Template), ("bench.large.v1", Template::large)]
        {
            let message_bytes = template(Mode::Original).message_bytes();
            let records = self.records(raw_topic, template).await?;
            for &connections in connections {
                let mut rounds = Vec::new();
                for round in 1..=self.rounds {
                    say(&format!(
                        "{message_bytes} B, {connections} connections, round {round} of {}",
                        self.rounds
                    ))?;
                    rounds.push(self.round(&records, template, connections).await?);
                }
                let record_bytes = records.value_bytes();
                levels.push(Level { message_bytes, record_bytes, connections, rounds });
            }
        }
        Ok(levels)
    }

    /// Some records of this size, as the listener writes them, for a topic of the same kind.
    async fn records(&mut self, topic: &str, template: fn(Mode) -> Template) -> Result<Rc<Records>> {
        let load = self.listen.load(8, template(Mode::Original), Mode::Original)?;
        let window = Window { ramp: Duration::ZERO, measured: Duration::from_secs(1) };
        load::closed_loop(&load, window, self.listen.processes()?).await.context("records to copy")?;
        let topics = self.listen.topics();
        topics.create_one(topic, self.partitions).await?;
        let written = Tail::open(topics.config(), &topics.name(INBOUND)).await?.older(COPIED).await?;
        Ok(Rc::new(Records::copied(&written, &topics.name(topic))?))
    }

    async fn round(
        &mut self,
        records: &Rc<Records>,
        template: fn(Mode) -> Template,
        connections: usize,
    ) -> Result<Round> {
        let null = Processes { server: Some(self.null.pid()), broker: None };
        let constant = Load {
            address: self.null.address,
            connections,
            template: template(Mode::Original),
            accepted: None,
        };
        let null = load::closed_loop(&constant, self.window, null).await;
        let inside = Processes { server: None, broker: self.broker };
        let raw = raw::closed_loop(&self.producer, records, connections, self.window, inside).await;
        Ok(Round {
            null: row("null MLLP server", null)?,
            raw: row("raw producer", raw)?,
            stored: self.own(template, Mode::Enhanced, connections).await?,
            judged: self.own(template, Mode::Original, connections).await?,
        })
    }

    async fn own(&mut self, template: fn(Mode) -> Template, mode: Mode, connections: usize) -> Result<Row> {
        let load = self.listen.load(connections, template(mode), mode)?;
        row("ehr-ingest listen", load::closed_loop(&load, self.window, self.listen.processes()?).await)
    }

    /// Camel in the same place, in turns with the listen role.
    pub(crate) async fn camel(
        &mut self,
        stack: &Stack,
        connections: usize,
        warm_up: Duration,
    ) -> Result<Camel> {
        let topics = self.listen.topics();
        let (raw, parsed) = ("bench.camel.raw.v1", "bench.camel.parsed.v1");
        topics.create_one(raw, self.partitions).await?;
        topics.create_one(parsed, self.partitions).await?;
        let raw = camel::Camel::start(stack, topics, raw, camel::Kind::Raw).await?;
        let parsed = camel::Camel::start(stack, topics, parsed, camel::Kind::Parsed).await?;
        let window = Window { ramp: Duration::ZERO, measured: warm_up };
        for camel in [&raw, &parsed] {
            say("Camel is warming up")?;
            self.peer(camel, connections, window).await?;
        }
        let mut rounds = Vec::new();
        for round in 1..=self.rounds {
            say(&format!("beside Camel, round {round} of {}", self.rounds))?;
            rounds.push(CamelRound {
                stored: self.own(Template::adt, Mode::Enhanced, connections).await?,
                judged: self.own(Template::adt, Mode::Original, connections).await?,
                camel_raw: self.peer(&raw, connections, self.window).await?,
                camel_parsed: self.peer(&parsed, connections, self.window).await?,
            });
        }
        Ok(Camel::Measured { connections, rounds })
    }

    async fn peer(&self, camel: &camel::Camel, connections: usize, window: Window) -> Result<Row> {
        let accepted = Some(Mode::Original.accepted());
        let load =
            Load { address: camel.address, connections, template: Template::adt(Mode::Original), accepted };
        let processes = Processes { server: Some(camel.pid()), broker: self.broker };
        row("Camel", load::closed_loop(&load, window, processes).await)
    }
}

fn row(name: &'static str, measured: Result<Measured>) -> Result<Row> {
    Row::of(&measured.context(name)?).with_context(|| format!("{name}: nothing was done"))
}

/// The broker's process, where the local stack started it natively.
pub(crate) fn broker_pid() -> Option<u32> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = std::env::var_os("WAYBILL_STACK_DIR").map_or_else(|| root.join(".stack"), Into::into);
    let pid = fs::read_to_string(folder.join("pids/kafka")).ok()?.lines().next()?.parse().ok()?;
    cpu::of(pid).ok().map(|_| pid)
}
