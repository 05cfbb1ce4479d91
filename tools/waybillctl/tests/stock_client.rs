//! What our producer writes, a stock client decodes with the registry alone: `tests/stock_client`.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::{collections::BTreeMap, path::Path, process::Command, sync::Arc};

use serde_json::Value;
use waybill_contracts::{
    Namespace, Record,
    billing::ChargeEvent,
    clinical::{AppointmentEvent, EncounterEvent, PatientEvent},
    delivery::{Manifest, Receipt, Status, Subscription},
    inbound::{InboundMessage, InboundRejected},
    lab::{LabDelivery, LabOrder, LabResult},
    topics,
};
use waybill_kafka::{
    Cluster, Codec, KafkaConfig, NoProbe, OutRecord, Producer, ProducerOptions, Registry, RegistryConfig,
};
use waybill_testkit::Stack;

const TARGET: &str = "ward-ehr";

struct Place {
    namespace: Namespace,
    codec: Codec,
    producer: Producer,
    /// What the stock client must say, by topic.
    expected: BTreeMap<String, Vec<Value>>,
}

impl Place {
    /// Writes all examples of a topic.
    async fn write<T: Record>(&mut self) {
        let name = self.namespace.topic(&T::TOPIC.replace("{target}", TARGET));
        let encoder = self.codec.encoder::<T>(&name).await.unwrap();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/examples");
        let mut records = Vec::new();
        for entry in std::fs::read_dir(folder.join(&topics::find(T::TOPIC).unwrap().schema)).unwrap() {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            let record: T = serde_json::from_str(&text).unwrap();
            self.expected.entry(name.to_string()).or_default().push(serde_json::to_value(&record).unwrap());
            let value = encoder.encode(&record).unwrap();
            // One key: the order stays.
            records.push(OutRecord {
                topic: name.clone(),
                key: b"k".to_vec(),
                headers: vec![],
                value,
                partition: None,
            });
        }
        self.producer.send(records).await.unwrap();
    }
}

#[tokio::test]
async fn a_stock_client_reads_every_example_of_every_topic() {
    let Some(stack) = Stack::require().await else { return };
    let namespace = Namespace::new(&format!("ctl-stock-{}", std::process::id())).unwrap();
    let kafka = KafkaConfig { bootstrap_servers: stack.kafka.clone(), ..KafkaConfig::default() };
    let registry = RegistryConfig { url: stack.registry.clone(), ..RegistryConfig::default() };
    let with_addresses = |command: &mut Command| {
        command.env("WAYBILL_KAFKA__BOOTSTRAP_SERVERS", &kafka.bootstrap_servers);
        command.env("WAYBILL_REGISTRY__URL", &registry.url);
        command.output().unwrap()
    };
    for verb in [["topics", "apply"], ["schemas", "register"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_waybillctl"));
        let output =
            with_addresses(command.args(verb).args(["--target", TARGET, "--namespace", namespace.as_str()]));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    let registry_client = Arc::new(Registry::new(&registry).unwrap());
    let codec = Codec::start(Arc::clone(&registry_client));
    let producer = Producer::start(&kafka, ProducerOptions::default(), Arc::new(NoProbe)).unwrap();
    let mut place = Place { namespace: namespace.clone(), codec, producer, expected: BTreeMap::new() };
    place.write::<InboundMessage>().await;
    place.write::<InboundRejected>().await;
    place.write::<PatientEvent>().await;
    place.write::<EncounterEvent>().await;
    place.write::<AppointmentEvent>().await;
    place.write::<LabOrder>().await;
    place.write::<ChargeEvent>().await;
    place.write::<LabResult>().await;
    place.write::<LabDelivery>().await;
    place.write::<Subscription>().await;
    place.write::<Manifest>().await;
    place.write::<Receipt>().await;
    place.write::<Status>().await;

    let mut client = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/stock_client/run"));
    let output = with_addresses(client.args(place.expected.keys()));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut read: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let mut line: Value = serde_json::from_str(line).unwrap();
        read.entry(line["topic"].as_str().unwrap().to_owned()).or_default().push(line["value"].take());
    }
    assert_eq!(read, place.expected);

    let cluster = Cluster::new(&kafka).unwrap();
    let all = cluster.topics().await.unwrap();
    let ours: Vec<_> =
        all.keys().filter_map(|name| namespace.strip(name)).map(|name| namespace.topic(name)).collect();
    cluster.delete(&ours).await.unwrap();
    registry_client.delete_subjects(&format!("{}.", namespace.as_str())).await.unwrap();
}
