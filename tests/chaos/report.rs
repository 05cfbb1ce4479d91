//! The table at the end: what was done to whom, how long it hurt, and the counts.

use std::{fmt::Write as _, time::Duration};

use time::OffsetDateTime;

use crate::checker::Counts;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// SIGKILL.
    Killed,
    /// SIGTERM, exit code 0.
    Stopped,
    /// SIGSTOP until a replica has taken over, then SIGCONT.
    Frozen,
}

/// One interruption.
#[derive(Clone, Debug)]
pub(crate) struct Outage {
    pub(crate) victim: &'static str,
    pub(crate) how: How,
    pub(crate) at: OffsetDateTime,
    /// From the signal until the next life said it was ready.
    pub(crate) ready: Duration,
    /// From the signal until messages flowed from end to end again; the next interruption came after that.
    pub(crate) flowing: Duration,
}

/// The longest pause between two events that touches `from..until`; `times` is sorted.
pub(crate) fn longest_pause(
    times: &[OffsetDateTime],
    from: OffsetDateTime,
    until: OffsetDateTime,
) -> Duration {
    let after = times.partition_point(|time| *time <= from).saturating_sub(1);
    let touching = times[after..].windows(2).take_while(|pair| pair[0] < until);
    touching.map(|pair| pair[1] - pair[0]).max().unwrap_or_default().unsigned_abs()
}

/// Outages by victim and kind, in the order they first happened.
pub(crate) fn table(
    outages: &[Outage],
    acknowledged: &[OffsetDateTime],
    arrived: &[OffsetDateTime],
) -> String {
    let mut text = format!(
        "  {:<26}{:>6}  {:>17}  {:>17}  {:>17}  {:>17}\n",
        "", "times", "ready again", "flowing again", "pause of ACKs", "pause of arrivals"
    );
    let mut kinds: Vec<(&str, How)> = Vec::new();
    for outage in outages {
        if !kinds.contains(&(outage.victim, outage.how)) {
            kinds.push((outage.victim, outage.how));
        }
    }
    for (victim, how) in kinds {
        let of_kind: Vec<_> =
            outages.iter().filter(|outage| (outage.victim, outage.how) == (victim, how)).collect();
        let spread = |measure: &dyn Fn(&Outage) -> Duration| {
            let mut values: Vec<_> = of_kind.iter().map(|outage| measure(outage)).collect();
            values.sort_unstable();
            let (median, most) = (values[(values.len() - 1) / 2], values[values.len() - 1]);
            format!("{:.1} ({:.1}) s", median.as_secs_f64(), most.as_secs_f64())
        };
        let pause = |times: &[OffsetDateTime]| {
            spread(&|outage| longest_pause(times, outage.at, outage.at + outage.flowing))
        };
        let signal = match how {
            How::Killed => "KILL",
            How::Stopped => "TERM",
            How::Frozen => "STOP",
        };
        let _ = writeln!(
            text,
            "  {:<26}{:>6}  {:>17}  {:>17}  {:>17}  {:>17}",
            format!("{signal} {victim}"),
            of_kind.len(),
            spread(&|outage| outage.ready),
            spread(&|outage| outage.flowing),
            pause(acknowledged),
            pause(arrived),
        );
    }
    text.push_str("  median (longest) of each\n");
    text
}

/// The counts, in words.
pub(crate) fn counts(counts: &Counts, resends: usize) -> String {
    format!(
        "  sent {} messages with {resends} resends: {} accepted, {} refused for their content, {} without an answer ({} of them stored)\n  \
         stored {} records of {} messages: {} duplicates absorbed\n  \
         delivered {} times, {} of them repeats\n",
        counts.sent,
        counts.accepted,
        counts.refused,
        counts.unanswered,
        counts.unanswered_but_stored,
        counts.stored_records,
        counts.stored_messages,
        counts.stored_records - counts.stored_messages,
        counts.deliveries,
        counts.repeats,
    )
}

#[test]
fn pauses_are_found() {
    let at = |seconds: i64| OffsetDateTime::UNIX_EPOCH + Duration::from_secs(seconds as u64);
    let times = [at(1), at(2), at(6), at(7), at(20)];
    assert_eq!(longest_pause(&times, at(3), at(5)), Duration::from_secs(4));
    assert_eq!(longest_pause(&times, at(6), at(7)), Duration::from_secs(1));
    assert_eq!(longest_pause(&times, at(0), at(30)), Duration::from_secs(13));
    assert_eq!(longest_pause(&times, at(21), at(30)), Duration::ZERO);
    assert_eq!(longest_pause(&[], at(0), at(1)), Duration::ZERO);
}
