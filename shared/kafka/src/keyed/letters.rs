//! What a lane sends for a record: its outputs, or its dead letter with what belongs to it.

use waybill_contracts::{Timestamp, TopicName};
use waybill_telemetry::metrics::{Label, Metric, count};

use super::{Shared, Work};
use crate::{
    Delivery, HandlerError, KeyedHandler, OutRecord,
    dead_letter::{DeadLetterHeaders, dead_letter},
};

/// Records that belong to one record that was read; kept until they are acknowledged, to be sent again.
pub(super) struct Parcel {
    outputs: Vec<OutRecord>,
    letter: Option<Letter>,
}

struct Letter {
    topic: TopicName,
    headers: DeadLetterHeaders,
}

impl Parcel {
    pub(super) fn outputs(outputs: Vec<OutRecord>) -> Self {
        Self { outputs, letter: None }
    }

    /// The dead letter of `work`, and what the handler writes with it.
    pub(super) fn dead_letter<H: KeyedHandler>(
        shared: &Shared<H>,
        work: &Work,
        mut error: HandlerError,
        attempts: u32,
        first_failed_at: Timestamp,
    ) -> Self {
        let record = &work.record;
        tracing::error!(
            topic = %record.topic, partition = record.partition, offset = record.offset,
            class = error.class.as_str(), code = %error.reason, detail = error.detail, attempts,
            "a record goes to the dead-letter topic"
        );
        let mut outputs = std::mem::take(&mut error.emit);
        outputs.extend(shared.handler.dead_letter(record, &error));
        let options = &shared.options;
        let name = shared.namespace.strip(&record.topic).unwrap_or(&record.topic);
        let headers = DeadLetterHeaders {
            topic: record.topic.to_string(),
            partition: record.partition,
            offset: record.offset,
            class: error.class,
            code: error.reason.to_string(),
            group: options.group.clone(),
            service: options.service.to_owned(),
            version: options.version.to_owned(),
            attempts,
            first_failed_at,
            failed_at: Timestamp::now(),
            replay_count: 0,
        };
        let topic = shared.namespace.topic(name).dead_letter(&options.group);
        Self { outputs, letter: Some(Letter { topic, headers: headers.keeping_origin(record) }) }
    }

    pub(super) fn is_dead_letter(&self) -> bool {
        self.letter.is_some()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.outputs.is_empty() && self.letter.is_none()
    }

    /// Enqueues everything as one group.
    pub(super) fn send<H>(&self, shared: &Shared<H>, work: &Work) -> Delivery {
        let letter = self.letter.as_ref();
        let letter = letter.map(|letter| dead_letter(letter.topic.as_str(), &work.record, &letter.headers));
        let total = self.outputs.len() + usize::from(letter.is_some());
        shared.producer.send_raw(total, self.outputs.iter().map(OutRecord::raw).chain(letter))
    }

    /// It is acknowledged.
    pub(super) fn count<H>(&self, shared: &Shared<H>, work: &Work) {
        let Some(letter) = &self.letter else { return shared.handled.increment(1) };
        shared.set_aside.increment(1);
        let labels = [
            Label::Topic(&work.record.topic),
            Label::Group(&shared.options.group),
            Label::Class(letter.headers.class.as_str()),
            Label::Reason(&letter.headers.code),
        ];
        count(Metric::DeadLetters, 1, &labels);
    }
}
