//! `make demo`: a whole Waybill on the real stack, real messages, trouble on purpose, and an account of all of it.
//!
//! 1. [`messages`]: what is sent: a seeded hospital's traffic, or the files of a folder.
//! 2. [`scene`]: three feeds send at once to the services, HL7 v2 over MLLP and FHIR over HTTP; one receiving system goes down and comes back, the other
//!    refuses one order for good.
//! 3. [`evidence`] and [`audit`]: what senders, Kafka, tracker and receivers each say, and whether they agree.
//! 4. [`closing`]: the balance sheet, four waybills, and where to look around.
//!
//! [`foreground`] is `make run`: the services against the stack as it stands, until Ctrl-C.

pub mod audit;
pub mod closing;
pub mod evidence;
pub mod foreground;
pub mod messages;
pub mod options;
pub mod scene;
pub mod screen;

use tokio::signal::unix::{SignalKind, signal};

/// Resolves at Ctrl-C, SIGTERM or the end of the terminal: each means that the services are to be stopped.
pub async fn stop_signal() {
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let mut signals: Vec<_> = kinds.into_iter().filter_map(|kind| signal(kind).ok()).collect();
    std::future::poll_fn(|context| {
        let ready = signals.iter_mut().any(|signal| signal.poll_recv(context).is_ready());
        if ready { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}
