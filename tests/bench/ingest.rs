//! ehr-ingest as a process of its own, in a namespace of its own.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use waybill_testkit::{Installation, Stack, Topics, Unit, eventually, pending};

use crate::{
    INBOUND,
    cpu::Processes,
    load::{self, Load},
    message::{Mode, Template},
    report::Normalize,
};

const READY: Duration = Duration::from_mins(1);
/// Bound of working off the backlog: ten times what it should take.
const DRAIN: Duration = Duration::from_mins(2);
const FEED: &str = "ehr";
/// Of every five messages one is a result.
const ONE_RESULT_IN: u64 = 5;
/// Connections that fill the backlog.
const FILLING: usize = 64;

/// An installation of which only ehr-ingest runs.
pub(crate) struct Ingest {
    installation: Installation,
    broker: Option<u32>,
}

impl Ingest {
    /// Starts the listen role alone; `partitions` of the topic that it writes, where not the catalogue's.
    pub(crate) async fn listening(
        stack: &Stack,
        broker: Option<u32>,
        partitions: Option<i32>,
    ) -> Result<Self> {
        // Traces would be measured with it.
        let stack = Stack { otlp: None, jaeger: None, ..stack.clone() };
        let builder = Installation::on(&stack).set(Unit::EhrIngest, "roles", vec!["listen"]);
        let mut ingest = Self { installation: builder.prepare().await?, broker };
        if let Some(partitions) = partitions {
            ingest.topics().delete_one(INBOUND).await?;
            ingest.topics().create_one(INBOUND, partitions).await?;
        }
        ingest.start().await?;
        Ok(ingest)
    }

    async fn start(&mut self) -> Result<()> {
        self.installation.start(Unit::EhrIngest)?;
        self.installation.wait_ready(READY).await
    }

    pub(crate) fn load(&self, connections: usize, template: Template, mode: Mode) -> Result<Load> {
        let address = self.installation.mllp(FEED)?;
        Ok(Load { address, connections, template, accepted: Some(mode.accepted()) })
    }

    pub(crate) fn topics(&self) -> &Topics {
        self.installation.topics()
    }

    /// Whom to charge while it is measured.
    pub(crate) fn processes(&mut self) -> Result<Processes> {
        let pid = self.installation.unit(Unit::EhrIngest)?.pid().context("ehr-ingest has ended")?;
        Ok(Processes { server: Some(pid), broker: self.broker })
    }

    pub(crate) async fn stop(&mut self) -> Result<()> {
        self.installation.stop().await
    }

    /// Takes `messages` in, then lets the normalize role alone work them off.
    pub(crate) async fn normalize(&mut self, messages: u64) -> Result<Normalize> {
        let load = self.load(FILLING, Template::adt(Mode::Enhanced), Mode::Enhanced)?;
        let results = Template::oru(Mode::Enhanced);
        load::fill(&load, &results, messages, ONE_RESULT_IN).await.context("filling the backlog")?;
        self.stop().await?;
        self.installation.set(Unit::EhrIngest, "roles", vec!["normalize"]);
        self.start().await?;
        // From the first record handled to the last: joining the group is not what is measured.
        let first = self.handled_at_least(1).await?;
        let (processes, begun) = (self.processes()?, Instant::now());
        let before = processes.usage()?;
        let last = self.handled_at_least(messages).await?;
        let (took, cpu) = (begun.elapsed(), processes.usage()?.since(before));
        ensure!(last > first, "the backlog of {messages} was gone before it could be measured");
        let done = last - first;
        let micros = |time: Option<Duration>| time.unwrap_or_default().as_secs_f64() * 1e6 / done as f64;
        Ok(Normalize {
            messages: done,
            one_result_in: ONE_RESULT_IN,
            per_second: done as f64 / took.as_secs_f64(),
            cpu_us: micros(cpu.server),
            per_second_and_core: 1e6 / micros(cpu.server),
            broker_cpu_us: micros(cpu.broker),
        })
    }

    async fn handled_at_least(&mut self, messages: u64) -> Result<u64> {
        let process = self.installation.unit(Unit::EhrIngest)?;
        eventually(&format!("{messages} messages are normalized"), DRAIN, async || {
            let handled =
                process.metric("waybill_handled_total", &["outcome=\"ok\""]).await?.unwrap_or_default()
                    as u64;
            if handled >= messages { Ok(handled) } else { pending(format!("{handled}")) }
        })
        .await
    }
}
