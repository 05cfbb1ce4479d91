//! A line per message, and what it came to.

use std::{
    io::{IsTerminal as _, Write},
    time::{Duration, Instant},
};

use super::{Done, answer::Outcome};
use crate::failure::Failure;

/// What has been answered so far.
pub(super) struct Report {
    started: Instant,
    files: usize,
    accepted: usize,
    refused: usize,
    unanswered: usize,
    times: Vec<Duration>,
    /// Standard error is somebody's screen.
    is_watched: bool,
}

impl Report {
    pub(super) fn new(files: usize) -> Self {
        let is_watched = std::io::stderr().is_terminal();
        Self {
            started: Instant::now(),
            files,
            accepted: 0,
            refused: 0,
            unanswered: 0,
            times: Vec::new(),
            is_watched,
        }
    }

    pub(super) fn all_accepted(&self) -> bool {
        self.refused + self.unanswered == 0
    }

    pub(super) fn add(&mut self, done: &Done, out: &mut impl Write) -> Result<(), Failure> {
        let count = match done.answer.outcome {
            Outcome::Accepted => &mut self.accepted,
            Outcome::Refused => &mut self.refused,
            Outcome::Unanswered => &mut self.unanswered,
        };
        *count += 1;
        self.times.push(done.took);
        self.clear();
        let errors =
            if done.answer.errors.is_empty() { "-".to_owned() } else { done.answer.errors.join("; ") };
        let milliseconds = done.took.as_secs_f64() * 1000.0;
        let line = format!(
            "{}  {}  {errors}  {milliseconds:.1} ms  {}",
            done.control_id, done.answer.code, done.name
        );
        writeln!(out, "{}", crate::table::on_one_line(&line))?;
        self.progress();
        Ok(())
    }

    pub(super) fn finish(&mut self, out: &mut impl Write) -> Result<(), Failure> {
        self.clear();
        let (sent, seconds) = (self.times.len(), self.started.elapsed().as_secs_f64());
        let rate = if seconds > 0.0 { sent as f64 / seconds } else { 0.0 };
        self.times.sort_unstable();
        let at = |share: f64| {
            let index = (share * sent as f64) as usize;
            self.times.get(index.min(sent.saturating_sub(1))).map_or(0.0, |time| time.as_secs_f64() * 1000.0)
        };
        writeln!(
            out,
            "{sent} sent: {} accepted, {} refused, {} not answered; {seconds:.1} s, {rate:.0}/s; \
             p50 {:.1} ms, p99 {:.1} ms, longest {:.1} ms",
            self.accepted,
            self.refused,
            self.unanswered,
            at(0.5),
            at(0.99),
            at(1.0)
        )?;
        Ok(())
    }

    /// On the screen only; where it cannot be written nobody misses it.
    fn progress(&self) {
        if self.is_watched {
            let failed = self.refused + self.unanswered;
            let mut screen = std::io::stderr();
            let _ = write!(
                screen,
                "\r{} of {} files or more, {failed} not accepted",
                self.times.len(),
                self.files
            );
            let _ = screen.flush();
        }
    }

    fn clear(&self) {
        if self.is_watched {
            let _ = write!(std::io::stderr(), "\r\u{1b}[K");
        }
    }
}
