//! What is done to the processes, and how long it takes until messages flow again.

use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use time::OffsetDateTime;
use tokio::process::Command;
use waybill_simulator::receive::ReceiverHandle;
use waybill_testkit::{Exit, Installation, Process, Unit, eventually, pending};

use crate::{
    report::{How, Outage},
    traffic::Traffic,
};

/// Longest time until all is well again: a broker checks its logs after kill -9, on two busy cores.
const RECOVERY: Duration = Duration::from_secs(90);
/// Longest time a stop in good order may take.
const STOP: Duration = Duration::from_secs(30);
/// Messages between one interruption and the next: a second's worth, so that each finds work in every service.
const BETWEEN: u64 = 300;

/// Watches the flow from end to end.
pub(crate) struct Watch<'a> {
    pub(crate) traffic: &'a Traffic,
    pub(crate) receivers: &'a BTreeMap<&'static str, ReceiverHandle>,
}

impl Watch<'_> {
    /// `kill -9`, and at once its next life.
    pub(crate) async fn kill(&self, name: &'static str, process: &mut Process) -> Result<Outage> {
        let (at, begun) = (OffsetDateTime::now_utc(), Instant::now());
        process.kill9().await?;
        self.next_life(name, process, How::Killed, at, begun).await
    }

    /// SIGTERM; it must end by itself, with exit code 0.
    pub(crate) async fn restart(&self, name: &'static str, process: &mut Process) -> Result<Outage> {
        let (at, begun) = (OffsetDateTime::now_utc(), Instant::now());
        let exit = process.terminate(STOP).await?;
        ensure!(exit == Exit::Code(0), "{name} ended with {exit:?} after SIGTERM\n{}", process.tail());
        self.next_life(name, process, How::Stopped, at, begun).await
    }

    async fn next_life(
        &self,
        victim: &'static str,
        process: &mut Process,
        how: How,
        at: OffsetDateTime,
        begun: Instant,
    ) -> Result<Outage> {
        process.start_again()?;
        process.wait_ready(RECOVERY).await?;
        let ready = begun.elapsed();
        self.flows(victim).await?;
        Ok(Outage { victim, how, at, ready, flowing: begun.elapsed() })
    }

    /// `kill -9` of the broker; the services must recover by themselves.
    pub(crate) async fn kill_broker(&self, installation: &mut Installation) -> Result<Outage> {
        let (at, begun) = (OffsetDateTime::now_utc(), Instant::now());
        stack("kill-broker").await?;
        stack("start-broker").await?;
        installation.wait_ready(RECOVERY).await?;
        let ready = begun.elapsed();
        self.flows("the broker").await?;
        Ok(Outage { victim: "broker", how: How::Killed, at, ready, flowing: begun.elapsed() })
    }

    /// `kill -9` of everything at once, as a power cut does; the services come back before there is a broker.
    pub(crate) async fn power_cut(&self, installation: &mut Installation) -> Result<Outage> {
        let (at, begun) = (OffsetDateTime::now_utc(), Instant::now());
        for unit in Unit::ALL {
            installation.unit(unit)?.kill9().await?;
        }
        stack("kill-broker").await?;
        for unit in Unit::ALL {
            installation.unit(unit)?.start_again()?;
        }
        stack("start-broker").await?;
        installation.wait_ready(RECOVERY).await?;
        let ready = begun.elapsed();
        self.flows("everything").await?;
        Ok(Outage { victim: "all of them at once", how: How::Killed, at, ready, flowing: begun.elapsed() })
    }

    /// SIGSTOP of a process until a replica has taken its partitions over, then SIGCONT: it comes back in the belief that
    /// they are still its own. The replica leaves in good order afterwards.
    pub(crate) async fn freeze(&self, installation: &mut Installation, unit: Unit) -> Result<Outage> {
        let (mut replica, _) = installation.start_replica(unit, &format!("{unit}-replica"))?;
        replica.wait_ready(RECOVERY).await?;
        let before = rebalances(&replica).await?;
        let (at, begun) = (OffsetDateTime::now_utc(), Instant::now());
        installation.unit(unit)?.freeze()?;
        eventually(&format!("a replica of {unit} takes over"), RECOVERY, async || {
            if rebalances(&replica).await? > before { Ok(()) } else { pending("no partitions were assigned") }
        })
        .await?;
        let ready = begun.elapsed();
        self.flows("a process that hangs").await?;
        let flowing = begun.elapsed();
        self.calm().await?;
        installation.unit(unit)?.thaw()?;
        self.calm().await?;
        installation.unit(unit)?.wait_ready(RECOVERY).await?;
        let exit = replica.terminate(STOP).await?;
        ensure!(exit == Exit::Code(0), "the replica of {unit} ended with {exit:?}\n{}", replica.tail());
        Ok(Outage { victim: unit.name(), how: How::Frozen, at, ready, flowing })
    }

    /// Waits until something new was acknowledged to the sender and something new arrived at every receiver.
    async fn flows(&self, after: &str) -> Result<()> {
        let accepted = self.traffic.accepted();
        let received: BTreeMap<_, _> =
            self.receivers.iter().map(|(name, r)| (*name, r.stats().received)).collect();
        eventually(&format!("messages flow again after {after}"), RECOVERY, async || {
            if self.traffic.accepted() <= accepted {
                return pending("nothing was acknowledged");
            }
            match self.receivers.iter().find(|(name, r)| r.stats().received <= received[*name]) {
                Some((name, _)) => pending(format!("nothing came to {name}")),
                None => Ok(()),
            }
        })
        .await
    }

    /// Lets some messages pass undisturbed.
    pub(crate) async fn calm(&self) -> Result<()> {
        let accepted = self.traffic.accepted();
        eventually("messages flow undisturbed", RECOVERY, async || {
            if !self.traffic.is_flowing() {
                return pending("a sender has nothing more to send");
            }
            match self.traffic.accepted() - accepted {
                BETWEEN.. => Ok(()),
                passed => pending(format!("{passed} were acknowledged")),
            }
        })
        .await
    }
}

/// How often partitions were assigned to a process, over all its groups.
async fn rebalances(process: &Process) -> Result<f64> {
    let metrics = process.metrics().await?;
    let assigned = metrics
        .lines()
        .filter(|line| line.starts_with("waybill_rebalances_total") && line.contains("kind=\"assigned\""));
    Ok(assigned.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
}

/// A command of the local stack's script.
async fn stack(command: &str) -> Result<()> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/local/stack");
    let output =
        Command::new(script).arg(command).output().await.context("the stack's script cannot be run")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`stack {command}` failed: {said}");
    Ok(())
}
