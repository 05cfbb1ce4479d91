//! What can be chosen, by environment.

use std::{env, path::PathBuf, time::Duration};

use anyhow::{Context as _, ensure};

/// Messages of the generator's traffic when nothing else is said.
const COUNT: usize = 600;

/// What can be chosen.
#[derive(Clone, Debug)]
pub struct Options {
    /// `DEMO_COUNT`: generated messages.
    pub count: usize,
    /// `DEMO_SEED`: the same seed sends the same messages.
    pub seed: u64,
    /// `DEMO_MESSAGES`: a folder of messages to send instead.
    pub folder: Option<PathBuf>,
    /// `DEMO_RATE`: messages per second over both feeds.
    pub rate: f64,
    /// `DEMO_OUTAGE`: seconds for which one receiver is down.
    pub outage: Duration,
    /// `DEMO_KEEP=1`: the services go on until Ctrl-C.
    pub keep: bool,
}

impl Options {
    /// From the environment; `fresh` is the seed where none is set.
    pub fn from_env(fresh: u64) -> anyhow::Result<Self> {
        let options = Self {
            count: number("DEMO_COUNT")?.unwrap_or(COUNT),
            seed: number("DEMO_SEED")?.unwrap_or(fresh),
            folder: env::var_os("DEMO_MESSAGES").filter(|folder| !folder.is_empty()).map(PathBuf::from),
            rate: number("DEMO_RATE")?.unwrap_or(60.0),
            outage: Duration::from_secs_f64(number::<f64>("DEMO_OUTAGE")?.unwrap_or(4.0).clamp(0.0, 600.0)),
            keep: env::var("DEMO_KEEP").is_ok_and(|value| !matches!(value.as_str(), "" | "0")),
        };
        ensure!(options.count > 0, "DEMO_COUNT: at least one message");
        ensure!(options.rate > 0.0, "DEMO_RATE: more than nothing");
        Ok(options)
    }
}

fn number<T: std::str::FromStr>(name: &str) -> anyhow::Result<Option<T>>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    match env::var(name) {
        Ok(text) if !text.is_empty() => {
            text.parse().map(Some).with_context(|| format!("{name}: not a number"))
        }
        _ => Ok(None),
    }
}
