//! Tasks and threads that nobody awaits, watched.

use std::any::Any;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Supervised tasks: the process drains and fails when one of them dies, and waits for all of them when it stops.
#[derive(Clone)]
pub struct Tasks(Arc<Inner>);

struct Inner {
    runtime: Handle,
    tracker: TaskTracker,
    shutdown: CancellationToken,
    failed: AtomicBool,
    /// Names of the tasks that run, for the one who waits for them in vain.
    running: Mutex<Vec<&'static str>>,
}

impl Tasks {
    /// Tasks of the current tokio runtime; one that dies cancels the token. A service gets them with its context.
    pub fn new(shutdown: CancellationToken) -> Self {
        Self(Arc::new(Inner {
            runtime: Handle::current(),
            tracker: TaskTracker::new(),
            shutdown,
            failed: AtomicBool::new(false),
            running: Mutex::default(),
        }))
    }

    /// Runs a future. An error or a panic makes the process drain and exit with 1; a normal end is just that.
    pub fn spawn(
        &self,
        name: &'static str,
        future: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        let task = self.0.runtime.spawn(future);
        self.watch(name, async {
            match task.await {
                Ok(result) => result.map_err(Death::Error),
                Err(error) if error.is_panic() => Err(Death::Panic),
                Err(_) => Ok(()),
            }
        });
    }

    /// Runs a function on an operating system thread of its own, under the same rules. It must watch the shutdown
    /// token itself.
    pub fn spawn_thread(
        &self,
        name: &'static str,
        function: impl FnOnce() -> anyhow::Result<()> + Send + 'static,
    ) -> io::Result<()> {
        let (done, end) = oneshot::channel();
        let runtime = self.0.runtime.clone();
        std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            // The function may spawn futures, as it could in a task.
            let _runtime = runtime.enter();
            let result: Result<anyhow::Result<()>, Box<dyn Any + Send>> =
                catch_unwind(AssertUnwindSafe(function));
            let _ =
                done.send(result.map_err(|_| Death::Panic).and_then(|result| result.map_err(Death::Error)));
        })?;
        self.watch(name, async { end.await.unwrap_or(Err(Death::Panic)) });
        Ok(())
    }

    fn watch(&self, name: &'static str, end: impl Future<Output = Result<(), Death>> + Send + 'static) {
        self.0.running.lock().push(name);
        let inner = Arc::clone(&self.0);
        let watched = async move {
            let end = end.await;
            let mut running = inner.running.lock();
            if let Some(position) = running.iter().position(|running| *running == name) {
                running.swap_remove(position);
            }
            drop(running);
            if let Err(death) = end {
                tracing::error!(task = name, error = %death, "a task died; the service stops");
                inner.failed.store(true, Ordering::SeqCst);
                inner.shutdown.cancel();
            }
        };
        self.0.tracker.spawn_on(watched, &self.0.runtime);
    }

    /// Waits until every task has ended. False: one of them died.
    pub(crate) async fn finish(&self) -> bool {
        self.0.tracker.close();
        self.0.tracker.wait().await;
        !self.0.failed.load(Ordering::SeqCst)
    }

    /// Names of the tasks that still run.
    pub(crate) fn running(&self) -> Vec<&'static str> {
        self.0.running.lock().clone()
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tasks").field(&self.running()).finish()
    }
}

/// How a task dies.
#[derive(Debug)]
pub(crate) enum Death {
    /// It returned an error.
    Error(anyhow::Error),
    /// It panicked; the panic hook has said where.
    Panic,
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // The alternate form prints the causes too.
            Self::Error(error) => write!(f, "{error:#}"),
            Self::Panic => f.write_str("panicked"),
        }
    }
}
