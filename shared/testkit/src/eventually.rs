//! Waiting for a condition instead of sleeping.

use std::time::{Duration, Instant};

use anyhow::anyhow;

/// How often a condition is asked.
const INTERVAL: Duration = Duration::from_millis(50);

/// What a condition says while it does not hold: shown when the time is over.
#[derive(Debug)]
pub struct Pending(String);

/// The condition does not hold yet, because of `why`.
pub fn pending<T>(why: impl Into<String>) -> Result<T, Pending> {
    Err(Pending(why.into()))
}

impl<E: Into<anyhow::Error>> From<E> for Pending {
    fn from(error: E) -> Self {
        Self(format!("{:#}", error.into()))
    }
}

/// Asks `condition` until it holds and gives what it found; an error that names what was last seen when it does not
/// hold `within` the time.
pub async fn eventually<T>(
    what: &str,
    within: Duration,
    mut condition: impl AsyncFnMut() -> Result<T, Pending>,
) -> anyhow::Result<T> {
    let begun = Instant::now();
    loop {
        let last = match condition().await {
            Ok(found) => return Ok(found),
            Err(Pending(why)) => why,
        };
        if begun.elapsed() >= within {
            return Err(anyhow!("{what}: not within {within:?}; last seen: {last}"));
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn gives_what_it_found_or_says_what_it_saw() {
        let mut asked = 0;
        let found = eventually("a third time", Duration::from_secs(5), async || {
            asked += 1;
            if asked < 3 { pending("too early") } else { Ok(asked) }
        })
        .await;
        assert_eq!(found.unwrap(), 3);
        let never =
            eventually("the impossible", Duration::from_millis(1), async || pending::<()>("nothing")).await;
        assert!(never.unwrap_err().to_string().contains("last seen: nothing"));
    }
}
