//! A line that tells people how far long work is.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// A terminal is redrawn this often at most.
const REDRAW: Duration = Duration::from_millis(100);
/// Elsewhere there is a log line this often.
const LOG: Duration = Duration::from_secs(10);

/// Progress of long work: one line rewritten in place at a terminal, a log line every 10 s elsewhere.
#[derive(Debug)]
pub struct Progress {
    what: &'static str,
    total: Option<u64>,
    done: u64,
    note: String,
    started: Instant,
    shown: Option<Instant>,
    terminal: bool,
}

impl Progress {
    /// Work of a known size; `what` is a present participle, "sending messages".
    pub fn new(what: &'static str, total: u64) -> Self {
        Self { total: Some(total), ..Self::open_ended(what) }
    }

    /// Work that ends when it ends.
    pub fn open_ended(what: &'static str) -> Self {
        Self {
            what,
            total: None,
            done: 0,
            note: String::new(),
            started: Instant::now(),
            shown: None,
            terminal: io::stderr().is_terminal(),
        }
    }

    /// So much is done.
    pub fn set(&mut self, done: u64) {
        self.done = done;
        let every = if self.terminal { REDRAW } else { LOG };
        if self.shown.is_none_or(|at| at.elapsed() >= every) {
            self.show();
        }
    }

    /// One more is done.
    pub fn advance(&mut self) {
        self.set(self.done + 1);
    }

    /// What else is worth seeing, shown behind the numbers from now on.
    pub fn note(&mut self, note: impl Into<String>) {
        self.note = note.into();
    }

    /// Shows the last state and leaves the line.
    pub fn finish(mut self) {
        self.show();
        if self.terminal {
            let _ = writeln!(io::stderr());
        }
    }

    fn show(&mut self) {
        self.shown = Some(Instant::now());
        let line = self.line(self.started.elapsed());
        if self.terminal {
            // Return, text, erase to the end of the line. A terminal that went away is no reason to stop working.
            let mut out = io::stderr().lock();
            let _ = write!(out, "\r{line}\x1b[K");
            let _ = out.flush();
        } else {
            tracing::info!("{line}");
        }
    }

    fn line(&self, elapsed: Duration) -> String {
        let seconds = elapsed.as_secs_f64();
        let rate = if seconds > 0.0 { self.done as f64 / seconds } else { 0.0 };
        let done = match self.total {
            Some(total) if total > 0 => format!("{}/{total} ({} %)", self.done, self.done * 100 / total),
            _ => self.done.to_string(),
        };
        let gap = if self.note.is_empty() { "" } else { "  " };
        format!("{} {done}, {rate:.0}/s, {seconds:.0} s{gap}{}", self.what, self.note)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_how_much_how_fast_and_what_else() {
        let mut progress = Progress::new("sending", 500);
        progress.done = 250;
        progress.note("2 refused");
        assert_eq!(progress.line(Duration::from_secs(10)), "sending 250/500 (50 %), 25/s, 10 s  2 refused");
        assert_eq!(Progress::open_ended("reading").line(Duration::ZERO), "reading 0, 0/s, 0 s");
    }
}
