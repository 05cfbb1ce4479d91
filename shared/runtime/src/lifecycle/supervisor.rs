//! The thread that listens for signals and ends a process that does not end itself.
//!
//! It has a small runtime of its own, so that it works however stuck the service's runtime is.

use std::io;
use std::process;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::Tasks;

/// Watches over a process from its start to its end.
pub(super) struct Supervisor {
    done: CancellationToken,
    thread: JoinHandle<()>,
}

impl Supervisor {
    /// Starts watching; the signals are caught when this returns.
    pub(super) fn start(
        shutdown: CancellationToken,
        drain_timeout: Duration,
        tasks: Tasks,
    ) -> io::Result<Self> {
        let done = CancellationToken::new();
        let watch = Watch { shutdown, drain_timeout, tasks, done: done.clone() };
        let (caught, is_caught) = mpsc::channel();
        let thread = thread::Builder::new().name("supervisor".to_owned()).spawn(move || {
            let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => {
                    let _ = caught.send(Err(error));
                    return;
                }
            };
            runtime.block_on(async {
                match Signals::catch() {
                    Ok(signals) => {
                        let _ = caught.send(Ok(()));
                        watch.run(signals).await;
                    }
                    Err(error) => {
                        let _ = caught.send(Err(error));
                    }
                }
            });
        })?;
        is_caught.recv().unwrap_or_else(|_| Err(io::Error::other("the supervisor thread ended")))?;
        Ok(Self { done, thread })
    }

    /// The process is about to end by itself.
    pub(super) fn finish(self) {
        self.done.cancel();
        let _ = self.thread.join();
    }
}

struct Watch {
    shutdown: CancellationToken,
    drain_timeout: Duration,
    tasks: Tasks,
    done: CancellationToken,
}

impl Watch {
    async fn run(self, mut signals: Signals) {
        tokio::select! {
            name = signals.next() => {
                tracing::info!(signal = name, drain_timeout_ms = self.drain_timeout.as_millis() as u64, "stopping");
                self.shutdown.cancel();
            }
            () = self.shutdown.cancelled() => {}
            () = self.done.cancelled() => return,
        }
        tokio::select! {
            name = signals.next() => {
                tracing::warn!(signal = name, "second signal: stopping at once");
                process::exit(1);
            }
            () = tokio::time::sleep(self.drain_timeout) => {
                tracing::error!(
                    drain_timeout_ms = self.drain_timeout.as_millis() as u64,
                    running = %self.tasks.running().join(", "),
                    "the drain took too long; stopping with work in flight",
                );
                process::exit(1);
            }
            () = self.done.cancelled() => {}
        }
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn catch() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
