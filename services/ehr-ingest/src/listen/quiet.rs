//! A log line that a sender could repeat without end, at most once a second.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Enough for somebody who reads, and for an alert; the counters have the exact number.
const PAUSE: Duration = Duration::from_secs(1);

/// Lets one line pass per second and counts the others.
#[derive(Debug, Default)]
pub(crate) struct Quiet(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last: Option<Instant>,
    unsaid: u64,
}

impl Quiet {
    /// Whether to say it now, and how often it was left unsaid before.
    pub(crate) fn say(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock();
        if state.last.is_some_and(|last| now.saturating_duration_since(last) < PAUSE) {
            state.unsaid += 1;
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_second_says_how_many_were_left_out() {
        let (quiet, start) = (Quiet::default(), Instant::now());
        assert_eq!(quiet.say(start), Some(0));
        for _ in 0..1000 {
            assert_eq!(quiet.say(start + PAUSE / 2), None);
        }
        assert_eq!(quiet.say(start + PAUSE), Some(1000));
        assert_eq!(quiet.say(start + PAUSE * 3), Some(0));
    }
}
