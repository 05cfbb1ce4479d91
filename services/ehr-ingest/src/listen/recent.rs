//! The messages of a feed that came lately: a repeat is recognised and answered as the first time, without storing it
//! again.
//!
//! An optimisation. Empty or too small, it costs a second record with the same id, which every consumer recognises.
//! An acknowledgement is made of the message, its code and the time it came in, so that two of these are all that is kept.

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasher, RandomState},
};

use parking_lot::Mutex;
use waybill_contracts::{MessageId, Timestamp};
use waybill_hl7v2::ack::AckCode;

/// Sender's application and facility, and the control id.
pub(crate) type Control<'a> = [&'a [u8]; 3];

/// What stands for the control id of a FHIR request, whose identity is its id alone: never that of an HL7 v2 message, whose
/// first part has no NUL.
pub(crate) fn fhir_control(id: &MessageId) -> Control<'_> {
    [b"\0fhir", b"", id.as_bytes()]
}

/// Stands for a control id of a sender: 64 bits of a keyed hash. At 100 000 entries two meet once in 10⁹, and then a
/// warning is wrong, never an answer, because the whole message id is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Slot(u64);

/// Makes slots.
#[derive(Debug, Default)]
struct Slots(RandomState);

impl Slots {
    fn of(&self, control: Control<'_>) -> Slot {
        Slot(self.0.hash_one(control))
    }
}

/// Remembers up to a number of messages and forgets the oldest first.
struct Recent {
    /// The last message with this control id.
    by_control: HashMap<Slot, (MessageId, Known)>,
    order: VecDeque<Slot>,
    capacity: usize,
}

/// What is remembered of a feed.
pub(crate) struct Memory {
    slots: Slots,
    recent: Mutex<Recent>,
}

impl Memory {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { slots: Slots::default(), recent: Mutex::new(Recent::new(capacity)) }
    }

    /// Where a message with this control id is remembered, and what is known of it.
    pub(crate) fn look(&self, control: Control<'_>, id: MessageId) -> (Slot, Seen) {
        let slot = self.slots.of(control);
        (slot, self.recent.lock().look(slot, id))
    }

    /// See [`Recent::remember`].
    pub(crate) fn remember(&self, slot: Slot, id: MessageId, known: Known) {
        self.recent.lock().remember(slot, id, known);
    }

    /// See [`Recent::remember_older`].
    pub(crate) fn remember_older(&self, control: Control<'_>, id: MessageId, known: Known) -> bool {
        self.recent.lock().remember_older(self.slots.of(control), id, known)
    }
}

/// How a message was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// When it came in.
    pub(crate) received_at: Timestamp,
    /// MSA-1; `None`: nothing was owed.
    pub(crate) code: Option<AckCode>,
}

/// What is known of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Nothing.
    New,
    /// The same bytes were stored.
    Repeat(Known),
    /// Other bytes with this control id were accepted.
    Reused,
}

impl Recent {
    fn new(capacity: usize) -> Self {
        Self { by_control: HashMap::new(), order: VecDeque::new(), capacity }
    }

    fn look(&self, slot: Slot, id: MessageId) -> Seen {
        match self.by_control.get(&slot) {
            None => Seen::New,
            Some((known, how)) if *known == id => Seen::Repeat(*how),
            // Corrected by its sender.
            Some((_, how)) if how.code.is_some_and(|code| !code.is_positive()) => Seen::New,
            Some(_) => Seen::Reused,
        }
    }

    /// The message is stored.
    fn remember(&mut self, slot: Slot, id: MessageId, known: Known) {
        if self.capacity == 0 || self.by_control.insert(slot, (id, known)).is_some() {
            return;
        }
        self.order.push_back(slot);
        if self.order.len() > self.capacity
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_control.remove(&oldest);
        }
    }

    /// The message was stored before all that is known; `false`: there is no room for older ones.
    fn remember_older(&mut self, slot: Slot, id: MessageId, known: Known) -> bool {
        if self.order.len() >= self.capacity {
            return false;
        }
        if let std::collections::hash_map::Entry::Vacant(free) = self.by_control.entry(slot) {
            free.insert((id, known));
            self.order.push_front(slot);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(at: i64) -> Known {
        Known { received_at: Timestamp::from_millis(at), code: Some(AckCode::AA) }
    }

    #[test]
    fn repeats_are_told_from_reused_control_ids_and_the_oldest_is_forgotten() {
        let id = |bytes: &[u8]| MessageId::derive("ehr", "", None, bytes);
        let mut recent = Recent::new(2);
        let slots = Slots::default();
        let control = |number: &'static str| slots.of([b"EHR", b"GH", number.as_bytes()]);
        assert_eq!(recent.look(control("1"), id(b"a")), Seen::New);
        recent.remember(control("1"), id(b"a"), known(1));
        assert_eq!(recent.look(control("1"), id(b"a")), Seen::Repeat(known(1)));
        assert_eq!(recent.look(control("1"), id(b"b")), Seen::Reused);
        assert_eq!(recent.look(slots.of([b"LIS", b"GH", b"1"]), id(b"b")), Seen::New);
        recent.remember(control("1"), id(b"b"), known(2));
        assert_eq!(recent.look(control("1"), id(b"b")), Seen::Repeat(known(2)));
        recent.remember(control("2"), id(b"c"), known(3));
        recent.remember(control("3"), id(b"d"), known(4));
        assert_eq!(recent.look(control("1"), id(b"b")), Seen::New);
        assert_eq!(recent.look(control("3"), id(b"d")), Seen::Repeat(known(4)));
    }

    #[test]
    fn what_is_read_back_never_replaces_what_came_since() {
        let id = |bytes: &[u8]| MessageId::derive("ehr", "", None, bytes);
        let (mut recent, slots) = (Recent::new(3), Slots::default());
        let slot = |number: u8| slots.of([b"EHR", b"GH", &[number]]);
        recent.remember(slot(1), id(b"new"), known(9));
        assert!(recent.remember_older(slot(1), id(b"old"), known(1)));
        assert_eq!(recent.look(slot(1), id(b"new")), Seen::Repeat(known(9)));
        assert!(recent.remember_older(slot(2), id(b"b"), known(5)));
        assert!(recent.remember_older(slot(3), id(b"c"), known(4)));
        assert!(!recent.remember_older(slot(4), id(b"d"), known(3)));
        // The oldest goes first: what was read back last.
        recent.remember(slot(5), id(b"e"), known(10));
        assert_eq!(recent.look(slot(3), id(b"c")), Seen::New);
        assert_eq!(recent.look(slot(2), id(b"b")), Seen::Repeat(known(5)));
    }
}
