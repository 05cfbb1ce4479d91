//! What was read from files, and is read again when they change: certificates and tokens are renewed while the process
//! runs.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use parking_lot::Mutex;

/// Files are looked at this often, and only when somebody asks.
const PAUSE: Duration = Duration::from_secs(10);

type Load<T> = Box<dyn Fn() -> anyhow::Result<T> + Send + Sync>;

/// A value made of files.
pub(crate) struct Watched<T> {
    /// What it is, for the log.
    what: String,
    files: Vec<PathBuf>,
    load: Load<T>,
    state: Mutex<State<T>>,
}

struct State<T> {
    value: Arc<T>,
    stamps: Vec<Stamp>,
    looked: Instant,
}

/// Changes with the file.
type Stamp = Option<(SystemTime, u64)>;

impl<T> Watched<T> {
    /// Reads the files; what is wrong with them shows at the start.
    pub(crate) fn open(
        what: String,
        files: Vec<PathBuf>,
        load: impl Fn() -> anyhow::Result<T> + Send + Sync + 'static,
    ) -> anyhow::Result<Self> {
        // Before reading: a change in between is seen at the next look.
        let stamps = stamps(&files);
        let state = State { value: Arc::new(load()?), stamps, looked: Instant::now() };
        Ok(Self { what, files, load: Box::new(load), state: Mutex::new(state) })
    }

    /// The value as of the last look. Files that cannot be used leave the earlier value in force.
    pub(crate) fn get(&self, now: Instant) -> Arc<T> {
        let mut state = self.state.lock();
        if !self.files.is_empty() && now.saturating_duration_since(state.looked) >= PAUSE {
            state.looked = now;
            let stamps = stamps(&self.files);
            if stamps != state.stamps {
                match (self.load)() {
                    Ok(value) => {
                        tracing::info!(what = self.what, "files have changed and were read again");
                        (state.value, state.stamps) = (Arc::new(value), stamps);
                    }
                    Err(error) => {
                        let error = format!("{error:#}");
                        tracing::error!(
                            what = self.what,
                            error,
                            "files have changed and cannot be used; what was read before stays in force"
                        );
                    }
                }
            }
        }
        state.value.clone()
    }
}

fn stamps(files: &[PathBuf]) -> Vec<Stamp> {
    let stamp = |file: &PathBuf| {
        let metadata = std::fs::metadata(file).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    };
    files.iter().map(stamp).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_counts_at_the_next_look_and_an_unusable_one_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("number");
        let read = {
            let file = file.clone();
            move || Ok(std::fs::read_to_string(&file)?.parse::<u32>()?)
        };
        assert!(Watched::open("number".into(), vec![file.clone()], read.clone()).is_err());
        std::fs::write(&file, "1").unwrap();
        let (watched, start) =
            (Watched::open("number".into(), vec![file.clone()], read).unwrap(), Instant::now());
        std::fs::write(&file, "22").unwrap();
        assert_eq!(*watched.get(start), 1, "not looked at yet");
        assert_eq!(*watched.get(start + PAUSE), 22);
        std::fs::write(&file, "three").unwrap();
        assert_eq!(*watched.get(start + PAUSE * 2), 22);
        std::fs::write(&file, "4444").unwrap();
        assert_eq!(*watched.get(start + PAUSE * 3), 4444);
    }
}
