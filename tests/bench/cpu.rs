//! CPU time of a process as the kernel counts it, all threads together, ended ones included.

use std::{fs, time::Duration};

use anyhow::{Context, Result};

/// Unit of the times in `/proc/PID/stat`. The kernel fixed it at 100 for every architecture this runs on (`USER_HZ`).
const TICKS_PER_SECOND: u64 = 100;

/// User and system time so far, in steps of 10 ms.
pub(crate) fn of(pid: u32) -> Result<Duration> {
    let stat =
        fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("process {pid} is gone"))?;
    // The name in brackets may hold spaces and brackets itself; what follows the last one is fields 3, 4, …
    let (_, fields) = stat.rsplit_once(')').context("no process name in /proc/PID/stat")?;
    let mut times = fields.split_ascii_whitespace().skip(11).map(str::parse::<u64>);
    let (Some(Ok(user)), Some(Ok(system))) = (times.next(), times.next()) else {
        anyhow::bail!("no CPU times in /proc/{pid}/stat");
    };
    Ok(Duration::from_millis((user + system) * 1000 / TICKS_PER_SECOND))
}

/// The processes whose CPU a run is charged with; the generator is this process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Processes {
    /// What is measured; `None` when it is a client inside this process.
    pub(crate) server: Option<u32>,
    /// The broker; `None` where none takes part, or when it runs elsewhere (a container, another machine).
    pub(crate) broker: Option<u32>,
}

/// CPU time at one moment, or between two.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    pub(crate) server: Option<Duration>,
    pub(crate) broker: Option<Duration>,
    pub(crate) own: Duration,
}

impl Processes {
    pub(crate) fn usage(self) -> Result<Usage> {
        Ok(Usage {
            server: self.server.map(of).transpose()?,
            broker: self.broker.map(of).transpose()?,
            own: of(std::process::id())?,
        })
    }
}

impl Usage {
    pub(crate) fn since(self, earlier: Self) -> Self {
        let spent = |now: Option<Duration>, then: Option<Duration>| Some(now?.saturating_sub(then?));
        Self {
            server: spent(self.server, earlier.server),
            broker: spent(self.broker, earlier.broker),
            own: self.own.saturating_sub(earlier.own),
        }
    }
}
