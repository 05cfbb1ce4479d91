//! Medians over the rounds, as a table and as JSON.

use std::{fmt::Write as _, time::Duration};

use serde::Serialize;

use crate::{
    load::{Measured, Window},
    parse::Parse,
};

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

/// One round: the variants measured one after the other.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Round {
    pub(crate) null: Row,
    pub(crate) raw: Row,
    /// Stored, then CA.
    pub(crate) stored: Row,
    /// Judged as it will be mapped, stored, then AA.
    pub(crate) judged: Row,
}

/// All rounds with messages of one size and so many connections, or records in flight.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Level {
    pub(crate) message_bytes: usize,
    pub(crate) record_bytes: usize,
    pub(crate) connections: usize,
    pub(crate) rounds: Vec<Round>,
}

/// One round beside Apache Camel.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct CamelRound {
    pub(crate) stored: Row,
    pub(crate) judged: Row,
    pub(crate) camel_raw: Row,
    pub(crate) camel_parsed: Row,
}

/// Apache Camel in the same place, or why it is missing.
#[derive(Clone, Debug, Serialize)]
pub(crate) enum Camel {
    Measured { connections: usize, rounds: Vec<CamelRound> },
    Skipped(String),
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
    pub(crate) parse: Option<Parse>,
    pub(crate) cores: usize,
    pub(crate) partitions: i32,
    pub(crate) window_seconds: f64,
    pub(crate) rounds: usize,
    pub(crate) levels: Vec<Level>,
    /// CPU of mapping the small message to its events.
    pub(crate) mapping_us: Option<f64>,
    pub(crate) camel: Camel,
    pub(crate) normalize: Option<Normalize>,
}

impl Report {
    pub(crate) fn new(parse: Option<Parse>, cores: usize, window: Window, rounds: usize) -> Self {
        Self {
            parse,
            cores,
            partitions: 0,
            window_seconds: window.measured.as_secs_f64(),
            rounds,
            levels: Vec::new(),
            mapping_us: None,
            camel: Camel::Skipped("it was not asked for".to_owned()),
            normalize: None,
        }
    }

    pub(crate) fn table(&self) -> String {
        let mut text = self.parse.as_ref().map(Parse::table).unwrap_or_default();
        if self.partitions == 0 {
            return text;
        }
        let _ = writeln!(
            text,
            "\n{} cores shared by generator, services and broker; inbound.message with {} partitions, acks=all; closed loop,\n\
             windows of {} s in turns, medians of {} rounds each; CPU in µs per message",
            self.cores, self.partitions, self.window_seconds, self.rounds,
        );
        for level in &self.levels {
            level.write(&mut text);
        }
        if let Some(micros) = self.mapping_us {
            let _ =
                writeln!(text, "\nmapping the 1.5 kB message to its events: {micros:.1} µs, after the ACK");
        }
        self.camel.write(&mut text);
        if let Some(normalize) = &self.normalize {
            let _ = writeln!(
                text,
                "\nehr-ingest normalize, backlog of {} messages (one of {} a result): {:.0} messages/s, {:.1} µs CPU each = {:.0} \
                 messages/s per core; broker {:.1} µs",
                normalize.messages,
                normalize.one_result_in,
                normalize.per_second,
                normalize.cpu_us,
                normalize.per_second_and_core,
                normalize.broker_cpu_us,
            );
        }
        text
    }
}

impl Level {
    fn write(&self, text: &mut String) {
        let title = format!(
            "{} B (record {} B), {} connections",
            self.message_bytes, self.record_bytes, self.connections
        );
        head(text, &title);
        let rows = |pick: fn(&Round) -> Row| self.rounds.iter().map(pick).collect::<Vec<_>>();
        line(text, "null MLLP server", &rows(|round| round.null), false);
        line(text, "raw producer", &rows(|round| round.raw), true);
        line(text, "listen, stored", &rows(|round| round.stored), false);
        line(text, "listen, judged, stored", &rows(|round| round.judged), false);
        let ratio = |of: fn(&Round) -> f64| median(self.rounds.iter().map(of).collect());
        let _ = writeln!(
            text,
            "  stored against raw: rate × {:.2}, p50 × {:.2}; its CPU against null + raw: × {:.2}",
            ratio(|round| round.stored.per_second / round.raw.per_second),
            ratio(|round| round.stored.p50_us / round.raw.p50_us),
            ratio(
                |round| round.stored.server_cpu_us / (round.null.server_cpu_us + round.raw.generator_cpu_us)
            ),
        );
    }
}

impl Camel {
    fn write(&self, text: &mut String) {
        let (connections, rounds) = match self {
            Self::Skipped(why) => {
                let _ = writeln!(text, "\nApache Camel: not measured, {why}");
                return;
            }
            Self::Measured { connections, rounds } => (connections, rounds),
        };
        head(text, &format!("beside Apache Camel 4.17.0, 1.5 kB, {connections} connections"));
        let rows = |pick: fn(&CamelRound) -> Row| rounds.iter().map(pick).collect::<Vec<_>>();
        line(text, "listen, stored", &rows(|round| round.stored), false);
        line(text, "listen, judged, stored", &rows(|round| round.judged), false);
        line(text, "Camel, raw", &rows(|round| round.camel_raw), false);
        line(text, "Camel, HAPI parse", &rows(|round| round.camel_parsed), false);
        let ratio = |of: fn(&CamelRound) -> f64| median(rounds.iter().map(of).collect());
        let _ = writeln!(
            text,
            "  CPU of Camel raw × {:.1} of stored; of Camel with HAPI × {:.1} of judged, × {:.1} of stored",
            ratio(|round| round.camel_raw.server_cpu_us / round.stored.server_cpu_us),
            ratio(|round| round.camel_parsed.server_cpu_us / round.judged.server_cpu_us),
            ratio(|round| round.camel_parsed.server_cpu_us / round.stored.server_cpu_us),
        );
    }
}

fn head(text: &mut String, title: &str) {
    let _ = writeln!(text, "\n{title}");
    let _ = writeln!(
        text,
        "  {:<24}{:>10}{:>11}{:>11}{:>10}{:>10}{:>11}",
        "", "msg/s", "p50 µs", "p99 µs", "CPU", "broker", "generator"
    );
}

/// A client is driven inside this process: its CPU is the generator's.
fn line(text: &mut String, name: &str, rows: &[Row], is_client: bool) {
    let row = Row::median(rows);
    let (cpu, generator) = if is_client {
        (row.generator_cpu_us, "–".to_owned())
    } else {
        (row.server_cpu_us, format!("{:.1}", row.generator_cpu_us))
    };
    let _ = writeln!(
        text,
        "  {name:<24}{:>10.0}{:>11.0}{:>11.0}{cpu:>10.1}{:>10.1}{generator:>11}",
        row.per_second, row.p50_us, row.p99_us, row.broker_cpu_us
    );
}

/// The middle value; of an even number the upper one. 0 of none.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
