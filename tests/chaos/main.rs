//! Messages flow at 300 a second while every process of the way is killed in turn, again and again; then everything
//! must add up: acknowledged ⊆ stored ⊆ accounted for, delivered in order, and a balance of zero.
//!
//! `WAYBILL_CHAOS_ROUNDS` says how often each is killed (1 where it says nothing; `make chaos` says 10). The broker is
//! the local stack's, so nothing else may use it meanwhile: cargo runs one test binary after the other.

#![expect(clippy::print_stdout, reason = "the table at the end is what `make chaos` is for")]

mod checker;
mod checker_tests;
mod evidence;
mod outages;
mod report;
mod traffic;

use std::{
    collections::{BTreeMap, HashSet},
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use waybill_simulator::receive::{ReceiveConfig, Receiver, ReceiverHandle};
use waybill_testkit::{Builder, Installation, Stack, Unit, eventually, pending};

use crate::{
    checker::{Evidence, count, judge, settled},
    outages::Watch,
    report::Outage,
    traffic::{History, PORTAL, REGISTRY, Traffic},
};

/// A round is ten interruptions of a few seconds each; the senders have enough for a machine busy with other things.
const LONGEST_ROUND: Duration = Duration::from_mins(4);
/// Bound of what may still be done after the last message: deliveries are repeated, offsets re-read.
const SETTLING: Duration = Duration::from_mins(3);

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_whatever_dies() {
    let Some(stack) = Stack::require().await else { return };
    let rounds = std::env::var("WAYBILL_CHAOS_ROUNDS").map_or(1, |text| text.parse().unwrap());
    run(&stack, rounds).await.unwrap();
}

async fn run(stack: &Stack, rounds: u32) -> Result<()> {
    let mut receivers = BTreeMap::new();
    for name in [PORTAL, REGISTRY] {
        receivers.insert(name, Receiver::start(ReceiveConfig::default()).await?);
    }
    let mut installation = install(stack, &receivers).await?;
    let (ehr, lis) = (installation.mllp("ehr")?, installation.mllp("lis")?);

    let (mut history, mut outages) = (History::default(), Vec::new());
    for round in 1..=rounds {
        println!("  round {round} of {rounds}");
        let traffic = Traffic::start(ehr, lis, round, LONGEST_ROUND);
        let watch = Watch { traffic: &traffic, receivers: &receivers };
        let interrupted = interrupt(&mut installation, &watch, &mut outages).await;
        traffic.stop(&mut history).await?;
        interrupted?;
    }

    let stopped = Instant::now();
    let evidence = settle(&installation, &history, &receivers).await?;
    print!("{}", summary(&outages, &history, &receivers, &evidence));
    println!("  settled and read {:.1} s after the last message", stopped.elapsed().as_secs_f64());
    let findings: Vec<_> = judge(&evidence).iter().map(ToString::to_string).collect();
    ensure!(
        findings.is_empty(),
        "it does not add up (logs in {}):\n  {}",
        installation.folder().display(),
        findings.join("\n  ")
    );
    let balance = installation.tracker().balance().await?;
    ensure!(balance.balanced && balance.open() == 0, "the balance sheet is not zero: {balance:?}");
    installation.stop().await
}

/// Short sessions: a killed member's partitions go to its next life after three seconds, not thirty. No traces: the
/// trace store keeps everything in memory.
async fn install(stack: &Stack, receivers: &BTreeMap<&'static str, ReceiverHandle>) -> Result<Installation> {
    let stack = Stack { otlp: None, ..stack.clone() };
    let builder = Installation::on(&stack).set_all("kafka.session_timeout", "3s");
    traffic::routing(receivers).into_iter().fold(builder, Builder::target).start().await
}

/// One round: SIGKILL to every victim in turn, a stop in good order of each service, a hang of those that have a second
/// replica, SIGKILL to all at once.
async fn interrupt(
    installation: &mut Installation,
    watch: &Watch<'_>,
    outages: &mut Vec<Outage>,
) -> Result<()> {
    watch.calm().await?;
    for unit in Unit::ALL {
        outages.push(watch.kill(unit.name(), installation.unit(unit)?).await?);
        watch.calm().await?;
    }
    outages.push(watch.kill_broker(installation).await?);
    watch.calm().await?;
    for unit in Unit::ALL {
        outages.push(watch.restart(unit.name(), installation.unit(unit)?).await?);
        watch.calm().await?;
    }
    // Not ehr-ingest: its senders know one address only and wait for it.
    for unit in [Unit::LabDistributor, Unit::ConfirmationTracker] {
        outages.push(watch.freeze(installation, unit).await?);
        watch.calm().await?;
    }
    outages.push(watch.power_cut(installation).await?);
    watch.calm().await
}

/// Waits until the tracker has settled everything that is stored, then takes all evidence.
async fn settle(
    installation: &Installation,
    history: &History,
    receivers: &BTreeMap<&'static str, ReceiverHandle>,
) -> Result<Evidence> {
    let (topics, tracker) = (installation.topics(), installation.tracker());
    let mut evidence = Evidence { sent: history.sent.clone(), ..Evidence::default() };
    let settled = eventually("everything stored is settled at the tracker", SETTLING, async || {
        let balance = tracker.balance().await?;
        if balance.open() > 0 || !balance.balanced {
            return pending(format!("{balance:?}"));
        }
        // All anew: what was on its way when the senders were switched off may still have been stored.
        evidence.stored = evidence::stored(topics).await?;
        evidence.refused = evidence::refused(topics).await?;
        evidence.verdicts = evidence::verdicts(topics).await?;
        let ids: HashSet<_> = evidence.stored.iter().map(|record| &record.message_id).collect();
        let verdict_is_final =
            |id: &&&String| evidence.verdicts.get(**id).is_some_and(|verdict| settled(&verdict.state));
        let final_ones = ids.iter().filter(verdict_is_final).count();
        if final_ones < ids.len() {
            pending(format!("{final_ones} of {} messages", ids.len()))
        } else {
            Ok(())
        }
    })
    .await;
    // What is not settled is for the referee to name.
    if let Err(error) = settled {
        println!("{error:#}");
    }
    evidence.asked = evidence::asked(&tracker, &evidence.stored).await?;
    evidence.received = traffic::arrivals(receivers);
    Ok(evidence)
}

fn summary(
    outages: &[Outage],
    history: &History,
    receivers: &BTreeMap<&'static str, ReceiverHandle>,
    evidence: &Evidence,
) -> String {
    let table = report::table(outages, &history.acknowledged, &traffic::arrival_times(receivers));
    format!("\n{table}\n{}\n", report::counts(&count(evidence), history.resends))
}
