//! The record that librdkafka delivers twice.
//!
//! At every rebalance librdkafka pauses what it keeps and resumes it at the position that the application has reached
//! (`rd_kafka_assignment_pause` in `rd_kafka_rebalance_op_incr`, 2.12.1). That position moves only when the polled event is
//! opened (`rd_kafka_event_message_next`), not when it leaves the queue. A pause that falls between the two saves the old
//! position, so the record just polled is fetched and delivered again. Seen once in about forty rebalances on a loaded machine.

use parking_lot::Mutex;
use waybill_contracts::Timestamp;

/// The record of an assignment that was read last.
#[derive(Debug, Default)]
pub(crate) struct LastRead(Mutex<Option<(i64, Timestamp)>>);

/// How a record stands to the one read before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Behind it.
    Next,
    /// It is the same one.
    Repeat,
    /// Another one, not behind it: the partition lost its end or was made anew, and what comes is new all the same.
    Back,
}

impl LastRead {
    /// Remembers a record and says how it stands to the one before.
    pub(crate) fn read(&self, offset: i64, timestamp: Timestamp) -> Order {
        let mut last = self.0.lock();
        let order = match *last {
            Some(before) if before == (offset, timestamp) => Order::Repeat,
            Some((before, _)) if offset <= before => Order::Back,
            _ => Order::Next,
        };
        *last = Some((offset, timestamp));
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_very_same_record_is_a_repeat() {
        let (last, at) = (LastRead::default(), Timestamp::from_millis);
        assert_eq!(last.read(5, at(1)), Order::Next);
        assert_eq!(last.read(5, at(1)), Order::Repeat);
        assert_eq!(last.read(6, at(1)), Order::Next);
        assert_eq!(last.read(9, at(2)), Order::Next);
        assert_eq!(last.read(9, at(3)), Order::Back, "another record at the same offset");
        assert_eq!(last.read(0, at(4)), Order::Back);
        assert_eq!(last.read(1, at(5)), Order::Next);
    }
}
