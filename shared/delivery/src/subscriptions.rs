//! Who confirms which topic, as declared in `delivery.subscription`.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    time::Duration,
};

use waybill_contracts::{
    Timestamp,
    delivery::{Subscription, SubscriptionState},
};

/// The table of subscriptions: per topic and consumer the latest declaration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subscriptions(BTreeMap<String, BTreeMap<String, Terms>>);

/// What a consumer promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Terms {
    at: Timestamp,
    retired: bool,
    deadline_ms: i64,
}

impl Subscriptions {
    /// Joins a declaration: the latest one counts, whatever order they come in.
    pub fn declare(&mut self, subscription: &Subscription) {
        let terms = Terms {
            at: subscription.at,
            retired: subscription.state == SubscriptionState::Retired,
            deadline_ms: subscription.deadline_ms,
        };
        match self.0.entry(subscription.topic.clone()).or_default().entry(subscription.consumer.clone()) {
            Entry::Vacant(vacant) => {
                vacant.insert(terms);
            }
            Entry::Occupied(mut known) => {
                let latest = terms.max(*known.get());
                known.insert(latest);
            }
        }
    }

    /// Consumers that must confirm an event of `topic` made at `made_at`, each with its deadline.
    ///
    /// A consumer that retired still owes what was made before. One that subscribed later owes as well, because a new
    /// consumer group reads its topic from the beginning.
    pub fn owed(&self, topic: &str, made_at: Timestamp) -> impl Iterator<Item = (&str, Duration)> {
        self.0.get(topic).into_iter().flatten().filter_map(move |(consumer, terms)| {
            let owes = !terms.retired || made_at < terms.at;
            owes.then(|| {
                (consumer.as_str(), Duration::from_millis(u64::try_from(terms.deadline_ms).unwrap_or(0)))
            })
        })
    }
}

impl<'a> FromIterator<&'a Subscription> for Subscriptions {
    fn from_iter<T: IntoIterator<Item = &'a Subscription>>(declarations: T) -> Self {
        let mut table = Self::default();
        for declaration in declarations {
            table.declare(declaration);
        }
        table
    }
}
