//! Medians over the rounds, as a table and as JSON.

use std::{fmt::Write as _, time::Duration};

use serde::Serialize;

use crate::load::Measured;

/// One window of one variant, per message.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) per_second: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    /// What is measured; for the raw producer that is this process, generator included.
    pub(crate) server_cpu_us: f64,
    /// 0 where no broker takes part or its process cannot be seen.
    pub(crate) broker_cpu_us: f64,
    pub(crate) generator_cpu_us: f64,
}

impl Row {
    /// `None` when nothing was done in the window.
    pub(crate) fn of(measured: &Measured) -> Option<Self> {
        let micros = |time: Duration| time.as_secs_f64() * 1e6;
        let per_message = |time: Option<Duration>| time.map_or(0.0, micros) / measured.done as f64;
        Some(Self {
            per_second: measured.done as f64 / measured.took.as_secs_f64(),
            p50_us: micros(measured.percentile(50)?),
            p99_us: micros(measured.percentile(99)?),
            server_cpu_us: per_message(measured.cpu.server),
            broker_cpu_us: per_message(measured.cpu.broker),
            generator_cpu_us: per_message(Some(measured.cpu.own)),
        })
    }

    /// Each column's median.
    fn median(rows: &[Self]) -> Self {
        let of = |column: fn(&Self) -> f64| median(rows.iter().map(column).collect());
        Self {
            per_second: of(|row| row.per_second),
            p50_us: of(|row| row.p50_us),
            p99_us: of(|row| row.p99_us),
            server_cpu_us: of(|row| row.server_cpu_us),
            broker_cpu_us: of(|row| row.broker_cpu_us),
            generator_cpu_us: of(|row| row.generator_cpu_us),
        }
    }
}

/// One round: the three variants measured one after the other.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Round {
    pub(crate) null: Row,
    pub(crate) raw: Row,
    pub(crate) listen: Row,
}

/// All rounds with so many connections, or records in flight.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Level {
    pub(crate) connections: usize,
    pub(crate) rounds: Vec<Round>,
}

/// The normalize role working off a backlog.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Normalize {
    pub(crate) messages: u64,
    /// Of every so many messages one is a result, the others are admissions.
    pub(crate) one_result_in: u64,
    pub(crate) per_second: f64,
    pub(crate) cpu_us: f64,
    pub(crate) per_second_and_core: f64,
    pub(crate) broker_cpu_us: f64,
}

/// Everything, with what is needed to read it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) cores: usize,
    pub(crate) message_bytes: usize,
    pub(crate) record_bytes: usize,
    pub(crate) partitions: i32,
    pub(crate) window_seconds: f64,
    pub(crate) levels: Vec<Level>,
    pub(crate) normalize: Normalize,
}

impl Report {
    pub(crate) fn table(&self) -> String {
        let mut text = format!(
            "\n{} cores shared by generator, services and broker; ADT of {} B, record value of {} B, inbound.message with {} partitions, \
             acks=all;\nclosed loop, windows of {} s in turns, medians of {} rounds; CPU in µs per message\n\n",
            self.cores,
            self.message_bytes,
            self.record_bytes,
            self.partitions,
            self.window_seconds,
            self.levels.first().map_or(0, |level| level.rounds.len()),
        );
        let _ = writeln!(
            text,
            "{:>5}  {:<22}{:>10}{:>11}{:>11}{:>10}{:>10}{:>11}",
            "conns", "", "msg/s", "p50 µs", "p99 µs", "CPU", "broker", "generator"
        );
        for level in &self.levels {
            let variant =
                |pick: fn(&Round) -> Row| Row::median(&level.rounds.iter().map(pick).collect::<Vec<_>>());
            for (name, row, client) in [
                ("null MLLP server", variant(|round| round.null), false),
                ("raw producer", variant(|round| round.raw), true),
                ("ehr-ingest listen", variant(|round| round.listen), false),
            ] {
                // The raw producer is driven inside this process: its CPU is the generator's.
                let (cpu, generator) = if client {
                    (row.generator_cpu_us, "–".to_owned())
                } else {
                    (row.server_cpu_us, format!("{:.1}", row.generator_cpu_us))
                };
                let _ = writeln!(
                    text,
                    "{:>5}  {name:<22}{:>10.0}{:>11.0}{:>11.0}{cpu:>10.1}{:>10.1}{generator:>11}",
                    level.connections, row.per_second, row.p50_us, row.p99_us, row.broker_cpu_us
                );
            }
            let ratio = |of: fn(&Round) -> f64| median(level.rounds.iter().map(of).collect());
            let _ = writeln!(
                text,
                "       listen against raw: rate × {:.2}, p50 × {:.2}; its CPU against null + raw: × {:.2}\n",
                ratio(|round| round.listen.per_second / round.raw.per_second),
                ratio(|round| round.listen.p50_us / round.raw.p50_us),
                ratio(|round| round.listen.server_cpu_us
                    / (round.null.server_cpu_us + round.raw.generator_cpu_us)),
            );
        }
        let normalize = &self.normalize;
        let _ = writeln!(
            text,
            "ehr-ingest normalize, backlog of {} messages (one of {} a result): {:.0} messages/s, {:.1} µs CPU each = {:.0} messages/s per core; broker {:.1} µs",
            normalize.messages,
            normalize.one_result_in,
            normalize.per_second,
            normalize.cpu_us,
            normalize.per_second_and_core,
            normalize.broker_cpu_us,
        );
        text
    }
}

/// The middle value; of an even number the upper one. 0 of none.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
