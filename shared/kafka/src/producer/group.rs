//! Groups of records that are acknowledged together, and the task that wakes their waiters.

use std::{
    mem,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::ProduceError;

/// Records sent by one call.
pub(super) struct Group {
    remaining: AtomicUsize,
    failed: OnceLock<ProduceError>,
    waker: AtomicWaker,
}

impl Group {
    pub(super) fn new(total: usize) -> Arc<Self> {
        Arc::new(Self {
            remaining: AtomicUsize::new(total),
            failed: OnceLock::new(),
            waker: AtomicWaker::new(),
        })
    }

    /// The first failure decides; later ones are the same trouble.
    pub(super) fn fail(&self, error: ProduceError) {
        let _ = self.failed.set(error);
    }

    /// One report; gives the waiter to wake when the group's fate is known now.
    pub(super) fn report(&self, result: Result<(), ProduceError>) -> Option<Waker> {
        if let Err(error) = result {
            self.fail(error);
        }
        let last = self.remaining.fetch_sub(1, Ordering::AcqRel) == 1;
        if last || self.failed.get().is_some() { self.waker.take() } else { None }
    }

    fn fate(&self) -> Option<Result<(), ProduceError>> {
        match self.failed.get() {
            Some(error) => Some(Err(error.clone())),
            None => (self.remaining.load(Ordering::Acquire) == 0).then_some(Ok(())),
        }
    }

    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<Result<(), ProduceError>> {
        if let Some(fate) = self.fate() {
            return Poll::Ready(fate);
        }
        self.waker.register(cx.waker());
        // A report may have come between the look and the registration.
        self.fate().map_or(Poll::Pending, Poll::Ready)
    }
}

/// Collects the waiters of a batch of reports and wakes them from inside the runtime: the polling thread pays one
/// wake-up across threads per batch, not one per record.
#[derive(Default)]
pub(super) struct Hub {
    waiters: Mutex<Vec<Waker>>,
    ready: Notify,
    closed: AtomicBool,
}

impl Hub {
    /// From the polling thread.
    pub(super) fn push(&self, waker: Waker) {
        let mut waiters = self.waiters.lock();
        waiters.push(waker);
        let first = waiters.len() == 1;
        drop(waiters);
        if first {
            self.ready.notify_one();
        }
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.ready.notify_one();
    }

    /// The task; ends once closed.
    pub(super) async fn run(&self) {
        let mut batch = Vec::new();
        loop {
            self.ready.notified().await;
            mem::swap(&mut *self.waiters.lock(), &mut batch);
            batch.drain(..).for_each(Waker::wake);
            if self.closed.load(Ordering::Acquire) && self.waiters.lock().is_empty() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[tokio::test]
    async fn a_group_is_done_with_its_last_report_or_its_first_failure() {
        let (whole, broken, hub) = (Group::new(2), Group::new(3), Arc::new(Hub::default()));
        let task = tokio::spawn({
            let hub = hub.clone();
            async move { hub.run().await }
        });
        let wait = |group: Arc<Group>| tokio::spawn(async move { poll_fn(|cx| group.poll(cx)).await });
        let (first, second) = (wait(whole.clone()), wait(broken.clone()));
        tokio::task::yield_now().await;
        assert!(whole.report(Ok(())).is_none());
        whole.report(Ok(())).into_iter().for_each(|waker| hub.push(waker));
        assert!(broken.report(Ok(())).is_none());
        broken.report(Err(ProduceError::Closed)).into_iter().for_each(|waker| hub.push(waker));
        assert!(first.await.unwrap().is_ok());
        assert!(matches!(second.await.unwrap(), Err(ProduceError::Closed)));
        assert!(broken.report(Ok(())).is_none(), "woken once");
        hub.close();
        task.await.unwrap();
    }
}
