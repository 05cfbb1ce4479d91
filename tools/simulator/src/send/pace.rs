//! A rate shared by all connections.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// How far the schedule may fall behind before it is forgotten: after a short stall the sender catches up, after an
/// outage it does not send everything at once.
const CATCH_UP: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Pace {
    interval: Option<Duration>,
    next: Mutex<Instant>,
}

impl Pace {
    /// `rate` in messages per second; no limit when absent or not positive.
    pub(super) fn new(rate: Option<f64>, start: Instant) -> Self {
        let interval = rate.filter(|rate| *rate > 0.0).map(|rate| Duration::from_secs_f64(1.0 / rate));
        Self { interval, next: Mutex::new(start) }
    }

    /// Waits for the caller's turn.
    pub(super) async fn turn(&self) {
        let Some(interval) = self.interval else { return };
        let turn = {
            let mut next = self.next.lock();
            let earliest = Instant::now().checked_sub(CATCH_UP).unwrap_or(*next);
            let turn = (*next).max(earliest);
            *next = turn + interval;
            turn
        };
        tokio::time::sleep_until(turn).await;
    }
}
