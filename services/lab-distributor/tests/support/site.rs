//! An installation with two targets: one that does as the test says, one that accepts everything.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use waybill_contracts::{MessageId, delivery::Receipt};
use waybill_kafka::{InRecord, NoProbe, OutRecord, Producer, ProducerOptions};
use waybill_simulator::receive::{Behaviour, ReceiveConfig, Received, Receiver, ReceiverHandle};
use waybill_testkit::{Installation, Stack, Target, Topics, Unit, eventually, pending, tracker::Waybill};

pub(crate) const SOON: Duration = Duration::from_secs(60);
pub(crate) const ALPHA: &str = "alpha";
pub(crate) const BETA: &str = "beta";
pub(crate) const GARBAGE: &[u8] = b"\x07not Avro";

pub(crate) struct Site {
    pub(crate) alpha: ReceiverHandle,
    pub(crate) beta: ReceiverHandle,
    waybill: Installation,
}

impl Site {
    pub(crate) async fn started(behaviour: Behaviour, dedupe: bool) -> Option<Self> {
        Self::with(behaviour, dedupe, "1s").await
    }

    /// `None`: there is no stack.
    pub(crate) async fn with(behaviour: Behaviour, dedupe: bool, ack_timeout: &str) -> Option<Self> {
        let stack = Stack::require().await?;
        let alpha = ReceiveConfig { behaviour, dedupe, ..ReceiveConfig::default() };
        let alpha = Receiver::start(alpha).await.unwrap();
        let beta = Receiver::start(ReceiveConfig::default()).await.unwrap();
        let released = "{ status = [\"final\", \"corrected\"] }";
        let ack_timeout = format!("ack_timeout = \"{ack_timeout}\"");
        let waybill = Installation::on(&stack)
            .target(
                Target::new(ALPHA, alpha.addr()).when(released).with(&ack_timeout).with("connections = 3"),
            )
            .target(Target::new(BETA, beta.addr()).when(released))
            .set(Unit::LabDistributor, "deliver.backoff_initial", "20ms")
            .set(Unit::LabDistributor, "deliver.backoff_max", "500ms")
            .set_all("kafka.session_timeout", "6s")
            .start()
            .await
            .unwrap();
        Some(Self { alpha, beta, waybill })
    }

    /// Sends a result; it must be accepted.
    pub(crate) async fn send(&self, message: &[u8]) {
        let mut stream = TcpStream::connect(self.waybill.mllp("lis").unwrap()).await.unwrap();
        stream.write_all(&[b"\x0b", message, b"\x1c\r"].concat()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\x1c\r") {
            let read = tokio::time::timeout(SOON, stream.read_buf(&mut answer)).await;
            assert_ne!(read.unwrap().unwrap(), 0, "closed instead of an answer");
        }
        assert!(answer.windows(7).any(|part| part == b"MSA|AA|"), "{}", answer.escape_ascii());
    }

    /// The waybill of a message once it satisfies a condition.
    pub(crate) async fn until(&self, control_id: &str, condition: impl Fn(&Waybill) -> bool) -> Waybill {
        let tracker = self.waybill.tracker();
        let found =
            eventually(control_id, SOON, async || match &tracker.by_control_id(control_id).await?[..] {
                [one] if condition(one) => Ok(one.clone()),
                other => pending(format!("{other:?}")),
            });
        found.await.unwrap_or_else(|error| panic!("{error:#}\n{}", self.waybill.tails()))
    }

    /// Any open waybill that satisfies a condition.
    pub(crate) async fn any_open(&self, condition: impl Fn(&Waybill) -> bool) -> Waybill {
        let tracker = self.waybill.tracker();
        let found = eventually("an open waybill", SOON, async || {
            let open = tracker.whole(&[("state", "open")]).await?;
            match open.iter().find(|waybill| condition(waybill)) {
                Some(waybill) => Ok(waybill.clone()),
                None => pending(format!("{open:?}")),
            }
        });
        found.await.unwrap_or_else(|error| panic!("{error:#}\n{}", self.waybill.tails()))
    }

    /// The waybill of a message once all its lines are settled.
    pub(crate) async fn settled(&self, control_id: &str) -> Waybill {
        self.until(control_id, |waybill| waybill.is_settled() && !waybill.lines.is_empty()).await
    }

    /// What alpha was sent of a message, each time.
    pub(crate) fn arrived(&self, case: &str) -> Vec<Vec<u8>> {
        let order = format!("|F-{case}^");
        let of = |bytes: &Vec<u8>| bytes.windows(order.len()).any(|part| part == order.as_bytes());
        self.alpha.history().into_iter().filter_map(|received| received.bytes).filter(of).collect()
    }

    /// Receipts of a message's line, in order of attempts.
    pub(crate) async fn receipts(&self, waybill: &Waybill, destination: &str) -> Vec<Receipt> {
        let id = waybill.id().unwrap();
        let all = self.topics().decoded::<Receipt>("delivery.receipt.v1").await.unwrap();
        let of = |receipt: &Receipt| receipt.message_id == id && receipt.destination == destination;
        let mut receipts: Vec<_> = all.into_iter().map(|(_, receipt)| receipt).filter(of).collect();
        receipts.sort_by_key(|receipt| (receipt.attempt, receipt.at));
        receipts
    }

    pub(crate) async fn dead_letters(&self, topic: &str, count: usize) -> Vec<InRecord> {
        let letters = eventually(topic, SOON, async || {
            let letters = self.topics().records(topic).await?;
            if letters.len() == count { Ok(letters) } else { pending(format!("{} letters", letters.len())) }
        });
        letters.await.unwrap_or_else(|error| panic!("{error:#}\n{}", self.waybill.tails()))
    }

    /// A record with the headers of another one, and a value that is none.
    pub(crate) async fn write_garbage(&self, topic: &str, like: &InRecord) {
        let config = self.topics().config();
        let producer = Producer::start(config, ProducerOptions::default(), Arc::new(NoProbe)).unwrap();
        let headers = like.event_headers().unwrap();
        let headers =
            waybill_contracts::EventHeaders { correlation_id: MessageId::from_bytes([7; 16]), ..headers };
        let key = like.key().unwrap_or_default().to_vec();
        let record = OutRecord::event(self.topics().name(topic), key, headers, GARBAGE.to_vec());
        producer.send(vec![record]).await.unwrap();
    }

    pub(crate) fn topics(&self) -> &Topics {
        self.waybill.topics()
    }

    pub(crate) fn waybillctl(&self, arguments: &[&str]) -> String {
        String::from_utf8(self.waybill.waybillctl(arguments).unwrap().stdout).unwrap()
    }

    pub(crate) fn log(&self) -> String {
        self.waybill.logs()
    }

    pub(crate) async fn kill_distributor(&mut self) {
        self.waybill.unit(Unit::LabDistributor).unwrap().kill9().await.unwrap();
    }

    pub(crate) fn start_distributor(&mut self) {
        self.waybill.unit(Unit::LabDistributor).unwrap().start_again().unwrap();
    }

    pub(crate) async fn not_ready(&mut self, words: &[&str]) {
        self.waybill.unit(Unit::LabDistributor).unwrap().wait_not_ready(SOON, words).await.unwrap();
    }

    pub(crate) async fn ready(&mut self, within: Duration) {
        self.waybill.unit(Unit::LabDistributor).unwrap().wait_ready(within).await.unwrap();
    }

    pub(crate) async fn stop(mut self) {
        self.waybill.stop().await.unwrap();
    }
}

/// A final result of a patient.
pub(crate) fn result(id: &str, patient: usize) -> Vec<u8> {
    format!(
        "MSH|^~\\&|LIS|GENLAB|WAYBILL|HUB|20261124090000||ORU^R01^ORU_R01|{id}|P|2.5.1\r\
         PID|1||GH00{patient:02}^^^GENHOSP^MR||Fenwick^Isolde||19640229|F\r\
         OBR|1||F-{id}^LIS|2823-3^Potassium^LN|||20261124085500|||||||||||||||20261124085900||CH|F\r\
         OBX|1|NM|2823-3^Potassium^LN||4.1|mmol/L|3.5-5.1|N|||F\r"
    )
    .into_bytes()
}

/// MSH-10 as the sender had it, which the filler order number repeats, of a result of this patient.
pub(crate) fn source_id(received: &Received, patient: usize) -> Option<&str> {
    let text = std::str::from_utf8(received.bytes.as_deref()?).ok()?;
    text.contains(&format!("|GH00{patient:02}^")).then_some(())?;
    text.split("|F-").nth(1)?.split('^').next()
}
