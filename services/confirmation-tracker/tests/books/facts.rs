//! Records, made by hand, and books to put them into.

use std::time::Duration;

use confirmation_tracker::{
    ledger::{Intake, Ledger, Transition},
    queries::{self, Entry, Period},
};
use waybill_contracts::{
    EventId, MessageId, Timestamp,
    delivery::{
        Manifest, ManifestEvent, ManifestStage, ManifestTarget, Outcome, Receipt, Subscription,
        SubscriptionState,
    },
};
use waybill_delivery::{
    Waybill,
    record::{self, Allowances, Received},
};
use waybill_store::{Move, Partition, StoreError, testing::TestSchema};

pub(crate) const ALLOW: Allowances =
    Allowances { manifest_within: Duration::from_mins(1), orphan_grace: Duration::from_mins(5) };
pub(crate) const LAB: &str = "lab.result.v1";
pub(crate) const ROUTER: &str = "lab-distributor";

pub(crate) struct TestBooks {
    pub(crate) schema: TestSchema,
    pub(crate) ledger: Ledger,
}

impl TestBooks {
    pub(crate) async fn create() -> Option<Self> {
        let schema = TestSchema::create().await?;
        let ledger = Ledger::new(schema.store(), "confirmation-tracker");
        ledger.migrate().await.unwrap();
        Some(Self { schema, ledger })
    }

    /// Another replica's.
    pub(crate) fn replica(&self) -> Ledger {
        Ledger::new(self.schema.store(), "confirmation-tracker")
    }

    pub(crate) async fn with_subscription(self) -> Self {
        self.ledger.declare(&[subscription(0)]).await.unwrap();
        self
    }

    pub(crate) async fn message(&self, id: MessageId) -> Entry {
        queries::message(self.ledger.store(), id).await.unwrap().unwrap()
    }

    /// Totals and rows say the same, and everything adds up.
    pub(crate) async fn assert_balanced(&self) {
        let (totals, counted) = queries::recount(self.ledger.store(), &Period::default()).await.unwrap();
        let sorted = |mut rows: Vec<(waybill_delivery::balance::Account, _)>| {
            rows.sort_by(|(a, _), (b, _)| a.cmp(b));
            rows
        };
        assert!(totals.is_balanced());
        assert_eq!(sorted(totals.rows), sorted(counted.rows));
        assert_eq!(totals.messages, counted.messages);
    }

    /// Bodies that wait in the outbox, oldest first.
    pub(crate) async fn outbox(&self) -> Vec<waybill_contracts::delivery::Status> {
        let store = self.ledger.store();
        let mut connection = store.connection().await.unwrap();
        let rows =
            connection.client().unwrap().query("SELECT body FROM outbox ORDER BY id", &[]).await.unwrap();
        connection.release();
        rows.iter().map(|row| serde_json::from_str(row.get(0)).unwrap()).collect()
    }

    pub(crate) async fn drop(self) {
        self.schema.drop().await.unwrap();
    }
}

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_772_611_200_000 + seconds * 1000)
}

pub(crate) fn message(number: u32) -> MessageId {
    MessageId::derive("lis", "LAB|GH", None, &number.to_be_bytes())
}

pub(crate) fn event(id: MessageId) -> EventId {
    EventId::derive(id, LAB, 0)
}

pub(crate) fn subscription(declared: i64) -> Subscription {
    Subscription {
        consumer: ROUTER.into(),
        topic: LAB.into(),
        deadline_ms: 60_000,
        service: ROUTER.into(),
        version: "0.1.0".into(),
        state: SubscriptionState::Active,
        at: at(declared),
    }
}

pub(crate) fn received(seconds: i64) -> Waybill {
    record::received(&Received { feed: Some("lis".into()), received_at: at(seconds) }, &ALLOW)
}

pub(crate) fn normalized(id: MessageId, seconds: i64, topics: &[&str]) -> Waybill {
    let events = topics
        .iter()
        .map(|topic| ManifestEvent { event_id: EventId::derive(id, topic, 0), topic: (*topic).into() });
    let manifest = Manifest { events: events.collect(), ..manifest(id, ManifestStage::Normalized, seconds) };
    record::manifest(&manifest, &ALLOW).unwrap()
}

pub(crate) fn routed(id: MessageId, seconds: i64, targets: &[&str]) -> Waybill {
    let targets =
        targets.iter().map(|target| ManifestTarget { target: (*target).into(), deadline_ms: 300_000 });
    let manifest = Manifest {
        event_id: Some(event(id)),
        consumer: Some(ROUTER.into()),
        targets: targets.collect(),
        ..manifest(id, ManifestStage::Routed, seconds)
    };
    record::manifest(&manifest, &ALLOW).unwrap()
}

pub(crate) fn receipt(id: MessageId, target: &str, outcome: Outcome, attempt: i32, seconds: i64) -> Waybill {
    let receipt = Receipt {
        message_id: id,
        event_id: event(id),
        topic: LAB.into(),
        destination: target.into(),
        outcome,
        attempt,
        reason_code: (outcome == Outcome::Rejected).then(|| "LAB-0002".into()),
        acknowledgement: (outcome == Outcome::Confirmed).then(|| "AA".into()),
        outbound_control_id: Some(event(id).outbound_control_id(target)),
        evidence_sha256: None,
        at: at(seconds),
    };
    record::receipt(&receipt, Some("lis".into()), &ALLOW)
}

fn manifest(id: MessageId, stage: ManifestStage, seconds: i64) -> Manifest {
    Manifest {
        message_id: id,
        stage,
        feed: "lis".into(),
        message_type: Some("ORU^R01^ORU_R01".into()),
        control_id: Some(format!("C{}", id.as_bytes()[15])),
        received_at: Some(at(0)),
        events: Vec::new(),
        event_id: None,
        consumer: None,
        targets: Vec::new(),
        reason_code: None,
        version: "test".into(),
        at: at(seconds),
    }
}

pub(crate) fn partition(number: i32) -> Partition {
    Partition { topic: "delivery.receipt.v1".into(), partition: number }
}

/// One partition read by one owner.
pub(crate) struct Owner {
    pub(crate) ledger: Ledger,
    pub(crate) partition: Partition,
    pub(crate) stands: Option<i64>,
}

impl Owner {
    pub(crate) async fn of(ledger: Ledger, partition: Partition) -> Self {
        let stands = ledger.stored_offsets(std::slice::from_ref(&partition)).await.unwrap()[0];
        Self { ledger, partition, stands }
    }

    pub(crate) async fn apply(
        &mut self,
        facts: Vec<(MessageId, Waybill)>,
    ) -> Result<Vec<Transition>, StoreError> {
        let next = self.stands.unwrap_or(0) + facts.len() as i64;
        let step = Move { partition: self.partition.clone(), previous: self.stands, next };
        let transitions = self.ledger.apply(&intake(facts), &[step], at(1000)).await?;
        self.stands = Some(next);
        Ok(transitions)
    }
}

pub(crate) fn intake(facts: Vec<(MessageId, Waybill)>) -> Intake {
    let mut intake = Intake::default();
    for (id, waybill) in facts {
        intake.add(id, waybill, None);
    }
    intake
}
