//! The generator: a number of connections, on each the next message as soon as the last one is acknowledged.
//!
//! One thread, no allocation per message, frames built beforehand; what it costs is reported beside the results.

use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    rc::Rc,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::LocalSet,
};

use crate::{
    cpu::{Processes, Usage},
    message::Template,
};

/// Patients that the messages are about; enough to spread over the partitions, few enough to repeat.
const PATIENTS: u64 = 1000;

/// No control id is used twice in a run of the benchmark: a repeated message would be answered from a cache.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// How long to run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    /// Not measured: connections open, batches and caches find their size.
    pub(crate) ramp: Duration,
    pub(crate) measured: Duration,
}

/// What a window showed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Measured {
    pub(crate) done: u64,
    pub(crate) took: Duration,
    /// Sorted.
    pub(crate) latencies: Vec<Duration>,
    pub(crate) cpu: Usage,
}

impl Measured {
    /// `None` when nothing was done in the window.
    pub(crate) fn percentile(&self, percent: usize) -> Option<Duration> {
        let rank = (self.latencies.len() * percent).div_ceil(100);
        self.latencies.get(rank.saturating_sub(1)).copied()
    }
}

/// Counts what was done inside the window; shared by the tasks of one thread.
#[derive(Default)]
pub(crate) struct Meter {
    measuring: Cell<bool>,
    stop: Cell<bool>,
    latencies: RefCell<Vec<Duration>>,
}

impl Meter {
    pub(crate) fn stopped(&self) -> bool {
        self.stop.get()
    }

    pub(crate) fn done(&self, begun: Instant) {
        if self.measuring.get() {
            self.latencies.borrow_mut().push(begun.elapsed());
        }
    }

    /// Runs the window while the tasks around work, then tells them to stop.
    pub(crate) async fn run(&self, window: Window, processes: Processes) -> Result<Measured> {
        tokio::time::sleep(window.ramp).await;
        // Room beforehand, so that growing is not measured.
        self.latencies.borrow_mut().reserve(1 << 20);
        let (before, begun) = (processes.usage()?, Instant::now());
        self.measuring.set(true);
        tokio::time::sleep(window.measured).await;
        self.measuring.set(false);
        let (took, cpu) = (begun.elapsed(), processes.usage()?.since(before));
        self.stop.set(true);
        let mut latencies = self.latencies.take();
        latencies.sort_unstable();
        Ok(Measured { done: latencies.len() as u64, took, latencies, cpu })
    }
}

/// What is sent, and what is expected back.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    pub(crate) connections: usize,
    pub(crate) template: Template,
    /// `MSA-1|` of an acceptance, with the message's control id behind it; `None`: the answer is a constant.
    pub(crate) accepted: Option<&'static [u8]>,
}

/// Runs one window against a listener. Any answer but the one expected ends it with an error.
pub(crate) async fn closed_loop(load: &Load, window: Window, processes: Processes) -> Result<Measured> {
    let connections = load.connections;
    let meter = Rc::new(Meter::default());
    let local = LocalSet::new();
    let lanes: Vec<_> = (0..connections)
        .map(|_| {
            let (meter, load) = (meter.clone(), load.clone());
            local.spawn_local(async move {
                let mut lane = Lane::open(&load).await?;
                while !meter.stopped() {
                    let begun = Instant::now();
                    lane.exchange().await?;
                    meter.done(begun);
                }
                Ok::<_, anyhow::Error>(())
            })
        })
        .collect();
    local
        .run_until(async {
            let measured = meter.run(window, processes).await?;
            for lane in lanes {
                lane.await??;
            }
            Ok(measured)
        })
        .await
}

/// Sends a fixed number of messages: of every `results_in` one of the second template, the others of the load's own.
pub(crate) async fn fill(load: &Load, results: &Template, messages: u64, results_in: u64) -> Result<()> {
    let local = LocalSet::new();
    let left = Rc::new(Cell::new(messages));
    let lanes: Vec<_> = (0..load.connections)
        .map(|_| {
            let (left, load, mut other) = (left.clone(), load.clone(), results.clone());
            local.spawn_local(async move {
                let mut lane = Lane::open(&load).await?;
                let mut is_other = false;
                while let Some(rest) = left.get().checked_sub(1) {
                    left.set(rest);
                    if is_other != rest.is_multiple_of(results_in) {
                        is_other = !is_other;
                        std::mem::swap(&mut lane.template, &mut other);
                    }
                    lane.exchange().await?;
                }
                Ok::<_, anyhow::Error>(())
            })
        })
        .collect();
    local
        .run_until(async {
            for lane in lanes {
                lane.await??;
            }
            Ok(())
        })
        .await
}

/// One connection.
struct Lane {
    stream: TcpStream,
    accepted: Option<&'static [u8]>,
    template: Template,
    answer: Vec<u8>,
}

impl Lane {
    async fn open(load: &Load) -> Result<Self> {
        let address = load.address;
        let stream = TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
        // Without it, a message waits for the peer's delayed TCP acknowledgement.
        stream.set_nodelay(true)?;
        let (template, accepted) = (load.template.clone(), load.accepted);
        Ok(Self { stream, accepted, template, answer: Vec::with_capacity(4096) })
    }

    async fn exchange(&mut self) -> Result<()> {
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let stamped = self.template.stamp(id, id % PATIENTS);
        self.stream.write_all(stamped.frame).await?;
        self.answer.clear();
        while !self.answer.ends_with(b"\x1C\r") {
            ensure!(self.stream.read_buf(&mut self.answer).await? > 0, "the server closed the connection");
        }
        match self.accepted {
            Some(code) => acknowledged(&self.answer, code, stamped.id),
            None => Ok(()),
        }
    }
}

/// Whether `answer` holds a segment `MSA|<code>|<id>`.
fn acknowledged(answer: &[u8], accepted: &[u8], id: &[u8]) -> Result<()> {
    for segment in answer.split(|byte| *byte == b'\r') {
        if let Some(code) = segment.strip_prefix(b"MSA|") {
            ensure!(
                code.strip_prefix(accepted).is_some_and(|rest| rest.starts_with(id)),
                "not accepted: MSA-1 is {}",
                String::from_utf8_lossy(&code[..code.len().min(2)])
            );
            return Ok(());
        }
    }
    bail!("an answer without MSA")
}
