//! The messages of a feed that were stored lately: a repeat is recognised and answered without storing it again.
//!
//! An optimisation. Empty, too small or lost at a restart, it costs a second record with the same id, which every
//! consumer recognises.

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasher, RandomState},
};

use waybill_contracts::MessageId;

/// Sender's application and facility, and the control id.
pub(crate) type Control<'a> = [&'a [u8]; 3];

/// Stands for a control id of a sender: 64 bits of a keyed hash. At 100 000 entries two meet once in 10⁹, and then a
/// warning is wrong, never an answer, because the whole message id is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Slot(u64);

/// Makes slots.
#[derive(Debug, Default)]
pub(crate) struct Slots(RandomState);

impl Slots {
    pub(crate) fn of(&self, control: Control<'_>) -> Slot {
        Slot(self.0.hash_one(control))
    }
}

/// Remembers up to a number of messages and forgets the oldest first.
pub(crate) struct Recent {
    /// Id of the last message with this control id.
    by_control: HashMap<Slot, MessageId>,
    order: VecDeque<Slot>,
    capacity: usize,
}

/// What is known of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Nothing.
    New,
    /// The same bytes were stored.
    Repeat,
    /// Other bytes with this control id were stored.
    Reused,
}

impl Recent {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { by_control: HashMap::new(), order: VecDeque::new(), capacity }
    }

    pub(crate) fn look(&self, slot: Slot, id: MessageId) -> Seen {
        match self.by_control.get(&slot) {
            None => Seen::New,
            Some(known) if *known == id => Seen::Repeat,
            Some(_) => Seen::Reused,
        }
    }

    /// The message is stored.
    pub(crate) fn remember(&mut self, slot: Slot, id: MessageId) {
        if self.capacity == 0 || self.by_control.insert(slot, id).is_some() {
            return;
        }
        self.order.push_back(slot);
        if self.order.len() > self.capacity
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_control.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_told_from_reused_control_ids_and_the_oldest_is_forgotten() {
        let id = |bytes: &[u8]| MessageId::derive("ehr", "", None, bytes);
        let mut recent = Recent::new(2);
        let slots = Slots::default();
        let control = |number: &'static str| slots.of([b"EHR", b"GH", number.as_bytes()]);
        assert_eq!(recent.look(control("1"), id(b"a")), Seen::New);
        recent.remember(control("1"), id(b"a"));
        assert_eq!(recent.look(control("1"), id(b"a")), Seen::Repeat);
        assert_eq!(recent.look(control("1"), id(b"b")), Seen::Reused);
        assert_eq!(recent.look(slots.of([b"LIS", b"GH", b"1"]), id(b"b")), Seen::New);
        recent.remember(control("1"), id(b"b"));
        assert_eq!(recent.look(control("1"), id(b"b")), Seen::Repeat);
        recent.remember(control("2"), id(b"c"));
        recent.remember(control("3"), id(b"d"));
        assert_eq!(recent.look(control("1"), id(b"b")), Seen::New);
        assert_eq!(recent.look(control("3"), id(b"d")), Seen::Repeat);
    }
}
