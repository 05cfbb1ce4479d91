//! Waiting between tries: exponential with full jitter.

use std::time::Duration;

/// Upper bounds 200 ms, 400 ms, 800 ms … 30 s; the wait is a random part of the bound ("full jitter"), so that
/// many waiters do not come back together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// Bound of the first wait.
    pub initial: Duration,
    /// Bound that is never exceeded.
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { initial: Duration::from_millis(200), max: Duration::from_secs(30) }
    }
}

impl Backoff {
    /// With bounds from `initial`, doubled per attempt, up to `max`.
    pub const fn new(initial: Duration, max: Duration) -> Self {
        Self { initial, max }
    }

    /// The longest wait after the `attempt`th failure, counted from 1.
    pub fn bound(&self, attempt: u32) -> Duration {
        let factor = 1_u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX);
        self.initial.saturating_mul(factor).min(self.max)
    }

    /// The wait after the `attempt`th failure, counted from 1; `random` lies in 0..1 and is the caller's.
    pub fn delay(&self, attempt: u32, random: f64) -> Duration {
        let part = if random.is_finite() { random.clamp(0.0, 1.0) } else { 1.0 };
        self.bound(attempt).mul_f64(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_double_up_to_the_maximum() {
        let backoff = Backoff::default();
        let bounds: Vec<u128> = (1..=10).map(|attempt| backoff.bound(attempt).as_millis()).collect();
        assert_eq!(bounds, [200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000]);
        assert_eq!(backoff.bound(0), backoff.bound(1));
        assert_eq!(backoff.bound(u32::MAX), backoff.max);
    }

    #[test]
    fn the_wait_is_the_random_part_of_the_bound() {
        let backoff = Backoff::default();
        assert_eq!(backoff.delay(3, 0.0), Duration::ZERO);
        assert_eq!(backoff.delay(3, 0.5), Duration::from_millis(400));
        assert_eq!(backoff.delay(3, 7.0), Duration::from_millis(800));
        assert_eq!(backoff.delay(3, f64::NAN), Duration::from_millis(800));
    }
}
