//! What is printed: lines that stay, and at a terminal one that is rewritten.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

/// Elsewhere than at a terminal, progress is a plain line this often.
const PLAIN_EVERY: Duration = Duration::from_secs(2);

/// Standard output.
#[derive(Debug)]
pub struct Screen {
    terminal: bool,
    /// A progress line stands there and is to be wiped before the next line.
    standing: bool,
    last: Option<Instant>,
}

impl Default for Screen {
    fn default() -> Self {
        Self { terminal: io::stdout().is_terminal(), standing: false, last: None }
    }
}

impl Screen {
    /// A line that stays.
    pub fn line(&mut self, text: &str) {
        self.wipe();
        // A closed standard output is no reason to stop: the exit code still says how it went.
        let _ = writeln!(io::stdout(), "{text}");
    }

    /// A headline.
    pub fn head(&mut self, text: &str) {
        let text = if self.terminal { format!("\n\x1b[1m{text}\x1b[0m") } else { format!("\n{text}") };
        self.line(&text);
    }

    /// The present state of long work.
    pub fn progress(&mut self, text: &str) {
        if self.terminal {
            let _ = write!(io::stdout(), "\r\x1b[2K  {text}");
            let _ = io::stdout().flush();
            self.standing = true;
        } else if self.last.is_none_or(|last| last.elapsed() >= PLAIN_EVERY) {
            self.last = Some(Instant::now());
            self.line(&format!("  {text}"));
        }
    }

    fn wipe(&mut self) {
        if std::mem::take(&mut self.standing) {
            let _ = write!(io::stdout(), "\r\x1b[2K");
        }
    }
}
