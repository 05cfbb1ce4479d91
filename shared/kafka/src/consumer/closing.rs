//! A member that is told to stop while a rebalance waits for its answer.

use std::{
    sync::{Arc, mpsc},
    time::Duration,
};

use parking_lot::Mutex;
use rdkafka::{
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer as _},
    message::BorrowedMessage,
};
use tokio::{sync::Notify, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;
use waybill_contracts::TopicName;

use super::{Member, Settings, Start, health, run};
use crate::{KafkaConfig, KafkaError, NoProbe, TopicPartition, admin};

#[path = "../../tests/it/real.rs"]
mod real;

const PATIENCE: Duration = Duration::from_secs(60);

/// Owns partitions, and holds its polling thread at shutdown until it may go on.
struct Held {
    owned: Mutex<Vec<TopicPartition>>,
    assigned: Notify,
    draining: Notify,
    go_on: Mutex<mpsc::Receiver<()>>,
}

impl Held {
    fn offsets(&self) -> Vec<(TopicPartition, i64)> {
        self.owned.lock().iter().map(|at| (at.clone(), 0)).collect()
    }
}

impl Member for Held {
    fn assigned(&self, partitions: &[TopicPartition]) -> Start {
        self.owned.lock().extend(partitions.iter().cloned());
        if !partitions.is_empty() {
            self.assigned.notify_one();
        }
        Start::Committed
    }
    fn revoked(&self, partitions: &[TopicPartition], _: bool) -> Vec<(TopicPartition, i64)> {
        self.owned.lock().retain(|at| !partitions.contains(at));
        partitions.iter().map(|at| (at.clone(), 0)).collect()
    }
    fn has_room(&self) -> bool {
        true
    }
    fn take(&self, _: &BorrowedMessage<'_>) {}
    fn dispatch(&self) {}
    fn moved(&self) -> Vec<(TopicPartition, i64)> {
        self.offsets()
    }
    fn drain(&self) {
        self.draining.notify_one();
        let _ = self.go_on.lock().recv_timeout(PATIENCE);
    }
    fn is_idle(&self) -> bool {
        true
    }
}

struct Running {
    member: Arc<Held>,
    go_on: mpsc::Sender<()>,
    stop: CancellationToken,
    task: JoinHandle<Result<(), KafkaError>>,
}

fn start(config: &KafkaConfig, topic: &TopicName, group: &str) -> Running {
    let (go_on, held) = mpsc::channel();
    let stop = CancellationToken::new();
    let member = Arc::new(Held {
        owned: Mutex::default(),
        assigned: Notify::new(),
        draining: Notify::new(),
        go_on: Mutex::new(held),
    });
    let settings =
        Settings { group: group.to_owned(), topics: vec![topic.clone()], drain: Duration::from_secs(5) };
    let (config, shared, token) = (config.clone(), member.clone(), stop.clone());
    let task =
        tokio::spawn(async move { run(&config, settings, shared, health(Arc::new(NoProbe)), token).await });
    Running { member, go_on, stop, task }
}

impl Running {
    async fn end(self) {
        self.stop.cancel();
        let _ = self.go_on.send(());
        timeout(PATIENCE, self.task).await.unwrap().unwrap().unwrap();
    }
}

/// The members of the group once it is stable: its rebalance is over for the coordinator, if not for every member.
fn stable_members(observer: &BaseConsumer, group: &str) -> Option<usize> {
    let list = observer.fetch_group_list(Some(group), Duration::from_secs(5)).ok()?;
    let found = list.groups().iter().find(|found| found.name() == group)?;
    (found.state() == "Stable").then(|| found.members().len())
}

async fn until_stable(config: &KafkaConfig, group: &str, members: usize) {
    let observer: BaseConsumer = config.client().create().unwrap();
    let (group, begun) = (group.to_owned(), std::time::Instant::now());
    tokio::task::spawn_blocking(move || {
        while stable_members(&observer, &group) != Some(members) {
            assert!(begun.elapsed() < PATIENCE, "{group} does not reach {members} stable members");
            std::thread::sleep(Duration::from_millis(20));
        }
    })
    .await
    .unwrap();
}

/// A consumer that is closed now has two events to answer: partitions that go to the new member, and then everything. It
/// takes the answer to the first for an answer to both, and aborts the process when it ends before the second one's answer
/// commits (`rd_kafka_cgrp_terminated: assert: !rd_kafka_assignment_in_progress`).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_while_a_rebalance_waits_for_an_answer() {
    let Some(config) = real::real() else { return };
    // So long that it cannot be what frees the partitions.
    let config = KafkaConfig { session_timeout: KafkaConfig::default().session_timeout, ..config };
    let session = *config.session_timeout;
    let topic = config.namespace().unwrap().topic("in.v1");
    admin::create_topics(&config, &[(topic.clone(), 6)]).await.unwrap();
    let group = format!("{}.closing", config.namespace);
    for _ in 0..3 {
        let first = start(&config, &topic, &group);
        timeout(PATIENCE, first.member.assigned.notified()).await.unwrap();
        first.stop.cancel();
        timeout(PATIENCE, first.member.draining.notified()).await.unwrap();
        let second = start(&config, &topic, &group);
        until_stable(&config, &group, 2).await;
        first.end().await;
        let taken_over = timeout(session / 2, second.member.assigned.notified()).await;
        assert!(taken_over.is_ok(), "the group was not told that a member left");
        second.end().await;
    }
    admin::delete_topics(&config, &[topic]).await.unwrap();
    let client: AdminClient<DefaultClientContext> = config.client().create().unwrap();
    client.delete_groups(&[&group], &AdminOptions::new()).await.unwrap();
}
