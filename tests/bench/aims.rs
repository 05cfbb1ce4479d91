//! What parser and listener aim at, and whether a run reached it.
//!
//! Beside each aim of the listener stands its *bound*: what it would show if it did nothing but what the null server and the
//! raw producer of the same run do. Where the bound itself misses the aim, the machine decides and not the listener
//! (docs/adr/0011).

use std::fmt::Write as _;

use crate::report::{Camel, CamelRound, Level, Report, Round, median};

/// Connections that the aims speak of.
const CONNECTIONS: usize = 64;

/// One of them.
#[derive(Debug)]
struct Aim {
    what: &'static str,
    wanted: Wanted,
    seen: f64,
    /// The same of null server and raw producer alone, where there is such a thing.
    bound: Option<f64>,
}

#[derive(Clone, Copy, Debug)]
enum Wanted {
    AtLeast(f64),
    AtMost(f64),
}

impl Wanted {
    fn is_met_by(self, value: f64) -> bool {
        match self {
            Self::AtLeast(least) => value >= least,
            Self::AtMost(most) => value <= most,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtLeast(least) => format!("≥ {least}"),
            Self::AtMost(most) => format!("≤ {most}"),
        }
    }
}

/// All that the run measured, as a table; empty when it measured none.
pub(crate) fn table(report: &Report) -> String {
    let mut aims = Vec::new();
    parsing(report, &mut aims);
    let small = report.levels.iter().map(|level| level.message_bytes).min();
    let level = |connections| {
        report
            .levels
            .iter()
            .find(|level| Some(level.message_bytes) == small && level.connections == connections)
    };
    if let Some(level) = level(CONNECTIONS) {
        under_load(level, report.mapping_us, &mut aims);
    }
    if let Some(level) = level(1) {
        alone(level, &mut aims);
    }
    if let Camel::Measured { rounds, .. } = &report.camel {
        beside_camel(rounds, level(CONNECTIONS), &mut aims);
    }
    let mut text = String::new();
    if !aims.is_empty() {
        let _ = writeln!(text, "\n  {:<46}{:>8}{:>10}{:>14}", "aims", "aim", "seen", "null + raw");
    }
    for aim in aims {
        let bound = aim.bound.map_or_else(|| "–".to_owned(), |bound| format!("{bound:.1}"));
        let verdict = if aim.wanted.is_met_by(aim.seen) {
            "reached"
        } else if aim.bound.is_some_and(|bound| !aim.wanted.is_met_by(bound)) {
            "missed, out of reach here"
        } else {
            "missed"
        };
        let wanted = aim.wanted.text();
        let _ = writeln!(text, "  {:<46}{wanted:>8}{:>10.1}{bound:>14}   {verdict}", aim.what, aim.seen);
    }
    text
}

fn parsing(report: &Report, aims: &mut Vec<Aim>) {
    let Some(parse) = &report.parse else { return };
    let routing = parse.median_of("waybill routing").map(|speed| speed / 1000.0);
    let tree = parse.against_best_peer("tree");
    let found = [("routing, GB/s", 1.0, routing), ("full tree, × the best other crate", 15.0, tree)];
    aims.extend(found.into_iter().filter_map(|(what, least, seen)| {
        Some(Aim { what, wanted: Wanted::AtLeast(least), seen: seen?, bound: None })
    }));
}

fn under_load(level: &Level, mapping_us: Option<f64>, aims: &mut Vec<Aim>) {
    let of = |figure: fn(&Round) -> f64| median(level.rounds.iter().map(figure).collect());
    let floor = floor(level);
    aims.extend([
        Aim {
            what: "64 connections, stored, CPU in µs",
            wanted: Wanted::AtMost(15.0),
            seen: of(|round| round.stored.server_cpu_us),
            bound: Some(floor),
        },
        Aim {
            what: "64 connections, stored, p50 in ms",
            wanted: Wanted::AtMost(2.0),
            seen: of(|round| round.stored.p50_us / 1000.0),
            bound: Some(of(|round| (round.null.p50_us + round.raw.p50_us) / 1000.0)),
        },
    ]);
    // What it would take if the events were built before the acknowledgement, which needs their plan only.
    aims.extend(mapping_us.map(|mapping| Aim {
        what: "64 connections, judged and mapped, CPU in µs",
        wanted: Wanted::AtMost(25.0),
        seen: of(|round| round.judged.server_cpu_us) + mapping,
        bound: Some(floor),
    }));
}

fn alone(level: &Level, aims: &mut Vec<Aim>) {
    let of = |figure: fn(&Round) -> f64| median(level.rounds.iter().map(figure).collect());
    aims.push(Aim {
        what: "1 connection, p50, × raw",
        wanted: Wanted::AtMost(1.3),
        seen: of(|round| round.stored.p50_us / round.raw.p50_us),
        bound: Some(of(|round| (round.null.p50_us + round.raw.p50_us) / round.raw.p50_us)),
    });
}

fn beside_camel(rounds: &[CamelRound], level: Option<&Level>, aims: &mut Vec<Aim>) {
    let of = |figure: fn(&CamelRound) -> f64| median(rounds.iter().map(figure).collect());
    let best = |camel: f64| level.map(|level| camel / floor(level));
    aims.extend([
        Aim {
            what: "Camel raw, CPU, × stored",
            wanted: Wanted::AtLeast(3.0),
            seen: of(|round| round.camel_raw.server_cpu_us / round.stored.server_cpu_us),
            bound: best(of(|round| round.camel_raw.server_cpu_us)),
        },
        Aim {
            what: "Camel with HAPI, CPU, × judged",
            wanted: Wanted::AtLeast(15.0),
            seen: of(|round| round.camel_parsed.server_cpu_us / round.judged.server_cpu_us),
            bound: best(of(|round| round.camel_parsed.server_cpu_us)),
        },
    ]);
}

/// CPU of sockets and framing, and of storing, in µs per message.
fn floor(level: &Level) -> f64 {
    let each = |round: &Round| round.null.server_cpu_us + round.raw.generator_cpu_us;
    median(level.rounds.iter().map(each).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{load::Window, report::Row};

    fn row(cpu: f64, p50_us: f64) -> Row {
        Row {
            per_second: 1.0,
            p50_us,
            p99_us: p50_us,
            server_cpu_us: cpu,
            broker_cpu_us: 0.0,
            generator_cpu_us: cpu,
        }
    }

    #[test]
    fn what_is_missed_is_told_from_what_is_out_of_reach() {
        let window = Window { ramp: std::time::Duration::ZERO, measured: std::time::Duration::ZERO };
        let mut report = Report::new(None, 2, window, 1);
        assert_eq!(table(&report), "");
        let round = Round {
            null: row(9.0, 100.0),
            raw: row(8.0, 200.0),
            stored: row(20.0, 1500.0),
            judged: row(26.0, 1500.0),
        };
        report.mapping_us = Some(1.0);
        report.levels =
            vec![Level { message_bytes: 1500, record_bytes: 1700, connections: 64, rounds: vec![round] }];
        let text = table(&report);
        let verdicts: Vec<_> =
            text.lines().skip(2).map(|line| line.rsplit("   ").next().unwrap_or_default()).collect();
        assert_eq!(verdicts, ["missed, out of reach here", "reached", "missed"], "{text}");
    }
}
