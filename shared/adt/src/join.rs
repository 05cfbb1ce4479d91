//! The algebra: registers of which the latest value stays, and bounded sets of facts.

use serde::{Deserialize, Serialize};

use crate::stamp::Stamp;

/// What two replicas know, put together: commutative, associative and idempotent.
pub trait Join {
    /// Adds what `other` knows.
    fn join(&mut self, other: &Self);
}

/// The value of the latest event that said something about it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Register<T> {
    stamp: Option<Stamp>,
    value: T,
}

impl<T: Clone + Default + PartialEq + Serialize> Register<T> {
    /// What an event says. Nothing said leaves what is known (HL7 v2.9.1 §2.9.4.1: no segment, no information), unless
    /// the event is `whole`: a snapshot in which absence says something.
    pub(crate) fn write(&mut self, stamp: Stamp, value: &T, whole: bool) {
        if whole || *value != T::default() {
            self.join(&Self { stamp: Some(stamp), value: value.clone() });
        }
    }

    pub(crate) fn get(&self) -> &T {
        &self.value
    }
}

impl<T: Clone + PartialEq + Serialize> Join for Register<T> {
    fn join(&mut self, other: &Self) {
        let later = match other.stamp.cmp(&self.stamp) {
            std::cmp::Ordering::Equal => is_greater(&other.value, &self.value),
            order => order.is_gt(),
        };
        if later {
            self.clone_from(other);
        }
    }
}

/// One event may have been mapped twice, by two versions: the same stamp, other content. Which one stays is of no
/// meaning, only the same everywhere.
fn is_greater<T: PartialEq + Serialize>(one: &T, other: &T) -> bool {
    one != other && serde_json::to_string(one).ok() > serde_json::to_string(other).ok()
}

/// What the newest events of each group said; those beyond `LIMIT` are forgotten, oldest first.
///
/// Keeping the newest of a union is a join as well: what one side has forgotten is older than all it kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Newest<T, const LIMIT: usize>(Vec<T>);

/// Something an event said.
pub(crate) trait Fact: Clone + PartialEq + Serialize {
    type Group: Ord;
    /// Facts of different groups do not crowd each other out.
    fn group(&self) -> Self::Group;
    fn stamp(&self) -> Stamp;
}

impl<T, const LIMIT: usize> Default for Newest<T, LIMIT> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Fact, const LIMIT: usize> Newest<T, LIMIT> {
    pub(crate) fn add(&mut self, fact: T) {
        match self.0.binary_search_by_key(&fact.stamp(), Fact::stamp) {
            Ok(known) => {
                if is_greater(&fact, &self.0[known]) {
                    self.0[known] = fact;
                }
            }
            Err(place) => {
                self.0.insert(place, fact);
                self.forget(place);
            }
        }
    }

    /// In order of their stamps.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &T> + Clone {
        self.0.iter()
    }

    /// Of the group of the fact at `place` the oldest goes when there are too many.
    fn forget(&mut self, place: usize) {
        let group = self.0[place].group();
        let of_group: Vec<_> = (0..self.0.len()).filter(|at| self.0[*at].group() == group).collect();
        if of_group.len() > LIMIT {
            self.0.remove(of_group[0]);
        }
    }
}

impl<T: Fact, const LIMIT: usize> Join for Newest<T, LIMIT> {
    fn join(&mut self, other: &Self) {
        for fact in &other.0 {
            self.add(fact.clone());
        }
    }
}
