//! One lane: records in order, their outputs on the way behind them.

use std::{
    collections::VecDeque, future::Future, panic::AssertUnwindSafe, pin::pin, sync::Arc, time::Duration,
};

use futures_util::FutureExt;
use tokio::sync::mpsc::UnboundedReceiver;
use waybill_contracts::Timestamp;
use waybill_delivery::{Classify, ErrorClass};
use waybill_telemetry::metrics::{Label, Metric, count};

use super::{Shared, Work, assignment::Assignment, letters::Parcel};
use crate::{Delivery, HandlerError, KeyedHandler, OutRecord, ProduceError, probe::Trouble};

/// A full producer empties in milliseconds; it is looked at again after this.
const FULL: Duration = Duration::from_millis(5);

/// A record whose outputs are on their way.
struct Flight {
    work: Work,
    parcel: Parcel,
    delivery: Delivery,
    attempts: u32,
}

/// Told by a wait that something else came first.
enum Waited {
    /// The time is over.
    Over,
    /// The partition is called back.
    CalledBack,
}

pub(super) struct Lane<H> {
    index: usize,
    shared: Arc<Shared<H>>,
    /// In the order sent.
    flights: VecDeque<Flight>,
    /// The oldest flight failed, and why.
    failed: Option<ProduceError>,
    /// Assignments of which a record was given up: what comes after it would overtake it.
    given_up: Vec<Arc<Assignment>>,
}

impl<H: KeyedHandler> Lane<H> {
    pub(super) fn new(index: usize, shared: Arc<Shared<H>>) -> Self {
        Self { index, shared, flights: VecDeque::new(), failed: None, given_up: Vec::new() }
    }

    pub(super) async fn run(mut self, mut works: UnboundedReceiver<Vec<Work>>) {
        loop {
            let batch = tokio::select! {
                biased;
                result = front(&mut self.flights) => {
                    self.settle(result);
                    self.repair().await;
                    continue;
                }
                batch = works.recv() => batch,
            };
            let Some(batch) = batch else { break };
            for work in batch {
                self.repair().await;
                self.handle(work).await;
            }
        }
        while !self.flights.is_empty() {
            let result = front(&mut self.flights).await;
            self.settle(result);
            self.repair().await;
        }
    }

    /// Works on one record until its outputs are on their way, or it is given up.
    async fn handle(&mut self, work: Work) {
        if self.is_over(&work.assignment) {
            return self.give_up(&work.assignment);
        }
        let mut attempts = 0;
        let mut first_failed_at = None;
        loop {
            attempts += 1;
            let Some(result) = self.attempt(&work, attempts).await else {
                return self.give_up(&work.assignment);
            };
            let error = match result {
                Ok(outputs) => {
                    self.clear();
                    return self.launch(work, Parcel::outputs(outputs), attempts).await;
                }
                Err(error) => error,
            };
            let first = *first_failed_at.get_or_insert_with(Timestamp::now);
            if !error.class.is_retried() {
                self.clear();
                let letter = Parcel::dead_letter(&self.shared, &work, error, attempts, first);
                return self.launch(work, letter, attempts).await;
            }
            self.report(&work, &error, attempts);
            // What an attempt says is written whatever becomes of the record; the record itself comes again.
            drop(self.shared.producer.send(error.emit));
            match self.wait(&work.assignment, attempts).await {
                Waited::Over => {}
                Waited::CalledBack => return self.give_up(&work.assignment),
            }
        }
    }

    /// Runs the handler once; `None` when the partition went meanwhile. A panic is its error.
    async fn attempt(&mut self, work: &Work, attempt: u32) -> Option<Result<Vec<OutRecord>, HandlerError>> {
        let shared = self.shared.clone();
        let gone = work.assignment.gone.clone();
        // The handler is only polled again after a panic if it is asked again from the start.
        let running =
            AssertUnwindSafe(async { shared.handler.handle(&work.record, attempt).await }).catch_unwind();
        let mut running = pin!(running);
        loop {
            tokio::select! {
                biased;
                result = &mut running => return Some(result.unwrap_or_else(|_| Err(HandlerError::panicked()))),
                () = gone.cancelled() => return None,
                result = front(&mut self.flights), if self.failed.is_none() => self.settle(result),
            }
        }
    }

    async fn wait(&mut self, assignment: &Assignment, attempts: u32) -> Waited {
        let mut over = pin!(tokio::time::sleep(self.shared.wait(attempts)));
        loop {
            tokio::select! {
                biased;
                () = assignment.draining.cancelled() => return Waited::CalledBack,
                result = front(&mut self.flights), if self.failed.is_none() => self.settle(result),
                () = &mut over => return Waited::Over,
            }
        }
    }

    /// Sends a parcel behind those on their way.
    async fn launch(&mut self, work: Work, parcel: Parcel, attempts: u32) {
        if parcel.is_empty() {
            parcel.count(&self.shared, &work);
            return work.done();
        }
        self.repair().await;
        if self.is_over(&work.assignment) {
            return self.give_up(&work.assignment);
        }
        let delivery = self.send(&parcel, &work).await;
        self.flights.push_back(Flight { work, parcel, delivery, attempts });
    }

    /// Waits where the producer is full: it is others' records that must get through first.
    async fn send(&self, parcel: &Parcel, work: &Work) -> Delivery {
        loop {
            let delivery = parcel.send(&self.shared, work);
            if !delivery.is_full() || work.assignment.gone.is_cancelled() {
                return delivery;
            }
            tokio::time::sleep(FULL).await;
        }
    }

    /// The oldest flight has landed or failed.
    fn settle(&mut self, result: Result<(), ProduceError>) {
        match result {
            Ok(()) => {
                if let Some(flight) = self.flights.pop_front() {
                    flight.parcel.count(&self.shared, &flight.work);
                    flight.work.done();
                }
            }
            Err(error) => self.failed = Some(error),
        }
    }

    /// While the oldest flight has failed: lets the others end, waits, and sends all of them again in order.
    async fn repair(&mut self) {
        let mut attempt = 0;
        while let Some(error) = self.failed.take() {
            for flight in self.flights.iter_mut().skip(1) {
                // Whatever became of it, it is sent again behind what failed before it.
                let _ = (&mut flight.delivery).await;
            }
            attempt += 1;
            self.explain(&error, attempt);
            let rebalanced = self.shared.rebalanced.clone();
            let notified = rebalanced.notified();
            self.drop_called_back();
            if !self.flights.is_empty() {
                tokio::select! {
                    () = tokio::time::sleep(self.shared.wait(attempt)) => {}
                    () = notified => self.drop_called_back(),
                }
            }
            let mut flights = std::mem::take(&mut self.flights);
            for flight in &mut flights {
                flight.delivery = self.send(&flight.parcel, &flight.work).await;
            }
            self.flights = flights;
            while self.failed.is_none() && !self.flights.is_empty() {
                let result = front(&mut self.flights).await;
                self.settle(result);
            }
            if self.failed.is_none() {
                self.clear();
            }
        }
    }

    /// What cannot be sent now and belongs to a partition that is called back is left to its next owner.
    fn drop_called_back(&mut self) {
        let flights = std::mem::take(&mut self.flights);
        for flight in flights {
            if flight.work.assignment.draining.is_cancelled() {
                self.give_up(&flight.work.assignment);
            } else {
                self.flights.push_back(flight);
            }
        }
    }

    fn explain(&mut self, error: &ProduceError, attempt: u32) {
        let Some(flight) = self.flights.front_mut() else { return };
        let record = &flight.work.record;
        tracing::warn!(topic = %record.topic, partition = record.partition, offset = record.offset, attempt, %error,
            "outputs are not acknowledged; they are sent again");
        count(
            Metric::Retries,
            1,
            &[Label::Target(&self.shared.options.group), Label::Class(error.class().as_str())],
        );
        match error.class() {
            ErrorClass::Data if !flight.parcel.is_dead_letter() => {
                // The broker will never take these outputs, so the record that made them cannot be done.
                let error = HandlerError::of(error);
                flight.parcel =
                    Parcel::dead_letter(&self.shared, &flight.work, error, flight.attempts, Timestamp::now());
            }
            ErrorClass::Data | ErrorClass::Configuration | ErrorClass::Defect => {
                self.shared.health.set(Trouble::Lane(self.index), error.to_string());
            }
            ErrorClass::Unavailable => {}
        }
    }

    fn report(&self, work: &Work, error: &HandlerError, attempts: u32) {
        let record = &work.record;
        tracing::warn!(topic = %record.topic, partition = record.partition, offset = record.offset, attempts,
            class = error.class.as_str(), code = %error.reason, detail = error.detail, "a record will be tried again");
        count(
            Metric::Retries,
            1,
            &[Label::Target(&self.shared.options.group), Label::Class(error.class.as_str())],
        );
        if error.class == ErrorClass::Configuration {
            self.shared.health.set(Trouble::Lane(self.index), error.to_string());
        }
    }

    fn clear(&self) {
        self.shared.health.clear(&Trouble::Lane(self.index));
    }

    fn is_over(&mut self, assignment: &Arc<Assignment>) -> bool {
        self.given_up.retain(|given| !given.gone.is_cancelled());
        assignment.gone.is_cancelled() || self.given_up.iter().any(|given| Arc::ptr_eq(given, assignment))
    }

    /// A record of it is not done: the next owner of the partition does it.
    fn give_up(&mut self, assignment: &Arc<Assignment>) {
        self.clear();
        self.shared.abandoned.increment(1);
        if !self.is_over(assignment) {
            self.given_up.push(assignment.clone());
        }
    }
}

/// The fate of the oldest flight; never, when there is none. Losing a race against it loses nothing.
fn front(flights: &mut VecDeque<Flight>) -> impl Future<Output = Result<(), ProduceError>> + use<'_> {
    let delivery = flights.front_mut().map(|flight| &mut flight.delivery);
    async move {
        match delivery {
            Some(delivery) => delivery.await,
            None => std::future::pending().await,
        }
    }
}
