//! A value per partition, found by a borrowed topic name: once per record, without an allocation.

use std::{collections::HashMap, sync::Arc};

use crate::TopicPartition;

/// Values by topic and partition.
pub(crate) struct Partitions<T> {
    by_topic: HashMap<Arc<str>, Vec<Option<T>>>,
}

impl<T> Default for Partitions<T> {
    fn default() -> Self {
        Self { by_topic: HashMap::new() }
    }
}

impl<T> Partitions<T> {
    pub(crate) fn insert(&mut self, at: &TopicPartition, value: T) {
        let Ok(index) = usize::try_from(at.partition) else { return };
        let values = self.by_topic.entry(at.topic.clone()).or_default();
        if values.len() <= index {
            values.resize_with(index + 1, || None);
        }
        values[index] = Some(value);
    }

    pub(crate) fn get(&self, topic: &str, partition: i32) -> Option<&T> {
        self.by_topic.get(topic)?.get(usize::try_from(partition).ok()?)?.as_ref()
    }

    pub(crate) fn remove(&mut self, at: &TopicPartition) -> Option<T> {
        self.by_topic.get_mut(&at.topic)?.get_mut(usize::try_from(at.partition).ok()?)?.take()
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.by_topic.values().flatten().flatten()
    }
}
