//! A running ehr-ingest on the real stack, in a namespace of its own.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use toml::{Table, Value};
use waybill_contracts::{
    Record, TopicName,
    billing::ChargeEvent,
    clinical::{AppointmentEvent, EncounterEvent, PatientEvent},
    delivery::Manifest,
    inbound::{InboundMessage, InboundRejected},
    lab::{LabOrder, LabResult},
};
use waybill_hl7v2::ack;
use waybill_kafka::{Codec, InRecord, KafkaConfig, Registry, RegistryConfig, admin, read_all};
use waybill_testkit::{Stack, eventually, http, pending, ports};

pub(crate) const SOON: Duration = Duration::from_secs(30);

/// Topics with their partitions.
pub(crate) const TOPICS: [(&str, i32); 10] = [
    (InboundMessage::TOPIC, 3),
    (InboundRejected::TOPIC, 3),
    (PatientEvent::TOPIC, 3),
    (EncounterEvent::TOPIC, 3),
    (AppointmentEvent::TOPIC, 3),
    (LabOrder::TOPIC, 3),
    (LabResult::TOPIC, 3),
    (ChargeEvent::TOPIC, 3),
    (Manifest::TOPIC, 3),
    ("inbound.message.v1.dlq.ehr-ingest.normalize", 3),
];

/// The service and what it was given.
pub(crate) struct Door {
    pub(crate) mllp: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) kafka: KafkaConfig,
    registry: RegistryConfig,
    pub(crate) settings: Table,
    folder: TempDir,
    pub(crate) child: Option<Child>,
}

impl Door {
    /// A namespace with topics and schemas; the service is not started yet. `None`: there is no stack.
    pub(crate) async fn prepare(name: &str) -> Option<Self> {
        let door = Self::without_topics(name).await?;
        let topics: Vec<_> =
            TOPICS.iter().map(|(name, partitions)| (door.topic(name), *partitions)).collect();
        admin::create_topics(&door.kafka, &topics).await.unwrap();
        door.register().await;
        Some(door)
    }

    pub(crate) async fn without_topics(name: &str) -> Option<Self> {
        let stack = Stack::require().await?;
        let namespace = format!("ingest-{name}-{}", std::process::id());
        let kafka = KafkaConfig {
            bootstrap_servers: stack.kafka.clone(),
            namespace: namespace.clone(),
            ..KafkaConfig::default()
        };
        let registry = RegistryConfig { url: stack.registry.clone(), ..RegistryConfig::default() };
        let (mllp, admin) = (ports::free().unwrap(), ports::free().unwrap());
        let settings = format!(
            "[[feed]]\nname = \"door\"\nlisten = \"{mllp}\"\n[patient_key]\nallow_development_secret = true\n\
             [kafka]\nbootstrap_servers = \"{}\"\nnamespace = \"{namespace}\"\n[registry]\nurl = \"{}\"\n\
             [admin]\nlisten = \"{admin}\"\n",
            stack.kafka, stack.registry
        );
        let folder = tempfile::tempdir().unwrap();
        Some(Self { mllp, admin, kafka, registry, settings: settings.parse().unwrap(), folder, child: None })
    }

    pub(crate) async fn register(&self) {
        let registry = Registry::new(&self.registry).unwrap();
        for (name, schema) in [
            (InboundMessage::TOPIC, InboundMessage::SCHEMA),
            (InboundRejected::TOPIC, InboundRejected::SCHEMA),
            (PatientEvent::TOPIC, PatientEvent::SCHEMA),
            (EncounterEvent::TOPIC, EncounterEvent::SCHEMA),
            (AppointmentEvent::TOPIC, AppointmentEvent::SCHEMA),
            (LabOrder::TOPIC, LabOrder::SCHEMA),
            (ChargeEvent::TOPIC, ChargeEvent::SCHEMA),
            (LabResult::TOPIC, LabResult::SCHEMA),
            (Manifest::TOPIC, Manifest::SCHEMA),
        ] {
            registry.register(&self.topic(name), schema).await.unwrap();
        }
    }

    /// Sets a key of a section, or of the feed with `feed.<key>`.
    pub(crate) fn set(mut self, key: &str, value: impl Into<Value>) -> Self {
        let (section, key) = key.split_once('.').unwrap();
        let table = match self.settings.entry(section).or_insert_with(|| Table::new().into()) {
            Value::Array(feeds) => feeds[0].as_table_mut().unwrap(),
            section => section.as_table_mut().unwrap(),
        };
        table.insert(key.to_owned(), value.into());
        self
    }

    pub(crate) fn start(mut self) -> Self {
        let file = self.folder.path().join("config.toml");
        std::fs::write(&file, self.settings.to_string()).unwrap();
        let log = std::fs::File::create(self.folder.path().join("log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_ehr-ingest"))
            .arg("--config")
            .arg(file)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        self.child = Some(child.unwrap());
        self
    }

    pub(crate) async fn started(name: &str) -> Option<Self> {
        let door = Self::prepare(name).await?.start();
        door.ready().await;
        Some(door)
    }

    pub(crate) async fn ready(&self) {
        let ready = eventually("the service is ready", SOON, async || {
            let answer = http::ask(&format!("http://{}/ready", self.admin)).await?;
            if answer.status == 200 { Ok(()) } else { pending(answer.body) }
        });
        let ready = ready.await;
        assert!(ready.is_ok(), "{ready:?}\n{}", self.log());
    }

    pub(crate) fn topic(&self, name: &str) -> TopicName {
        self.kafka.namespace().unwrap().topic(name)
    }

    pub(crate) async fn connect(&self) -> Sender {
        Sender::to(self.mllp).await
    }

    /// All records of a topic, decoded.
    pub(crate) async fn records<T: Record>(&self) -> Vec<(InRecord, T)> {
        let codec = Codec::start(Registry::new(&self.registry).unwrap().into());
        let mut decoded = Vec::new();
        for record in read_all(&self.kafka, &self.topic(T::TOPIC)).await.unwrap() {
            let value = codec.decode(record.value().unwrap()).await.unwrap();
            decoded.push((record, value));
        }
        decoded
    }

    /// The same once there are at least `count`.
    pub(crate) async fn at_least<T: Record>(&self, count: usize) -> Vec<(InRecord, T)> {
        let found = eventually(T::TOPIC, SOON, async || {
            let records = self.records::<T>().await;
            if records.len() >= count { Ok(records) } else { pending(format!("{} records", records.len())) }
        });
        found.await.unwrap_or_else(|error| panic!("{error}\n{}", self.log()))
    }

    /// Value of a series, 0 when it is not there.
    pub(crate) async fn metric(&self, name: &str, label: &str) -> f64 {
        let text = http::get(&format!("http://{}/metrics", self.admin)).await.unwrap();
        let line = text.lines().find(|line| line.starts_with(name) && line.contains(label));
        line.and_then(|line| line.rsplit_once(' ')?.1.parse().ok()).unwrap_or(0.0)
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// SIGKILL: a crash.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// SIGTERM; the exit code.
    pub(crate) async fn terminate(&mut self) -> Option<i32> {
        let child = self.child.as_ref().unwrap();
        Command::new("kill").arg(child.id().to_string()).status().unwrap();
        self.ended().await
    }

    /// The exit code of a service that ends.
    pub(crate) async fn ended(&mut self) -> Option<i32> {
        let mut child = self.child.take().unwrap();
        tokio::task::spawn_blocking(move || child.wait().unwrap().code()).await.unwrap()
    }

    /// Ends the service and removes what it was given.
    pub(crate) async fn close(mut self) {
        if self.child.is_some() {
            assert_eq!(self.terminate().await, Some(0), "{}", self.log());
        }
        let topics: Vec<_> = TOPICS.iter().map(|(name, _)| self.topic(name)).collect();
        admin::delete_topics(&self.kafka, &topics).await.unwrap();
        let registry = Registry::new(&self.registry).unwrap();
        registry.delete_subjects(&format!("{}.", self.kafka.namespace)).await.unwrap();
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A sender, with its own framing.
pub(crate) struct Sender {
    pub(crate) stream: TcpStream,
    input: Vec<u8>,
}

impl Sender {
    pub(crate) async fn to(address: SocketAddr) -> Self {
        let stream =
            eventually("the listener accepts", SOON, async || Ok(TcpStream::connect(address).await?));
        Self { stream: stream.await.unwrap(), input: Vec::new() }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// Sends a message and reads its answer.
    pub(crate) async fn exchange(&mut self, message: &[u8]) -> Reply {
        self.write(&framed(message)).await;
        self.reply().await.expect("the connection was closed instead of an answer")
    }

    /// The next answer; `None` when the connection is closed.
    pub(crate) async fn reply(&mut self) -> Option<Reply> {
        self.frame().await.map(|answer| Reply::of(&answer))
    }

    /// The same as it came.
    pub(crate) async fn frame(&mut self) -> Option<Vec<u8>> {
        let read = async {
            loop {
                if let Some(end) = self.input.windows(2).position(|pair| pair == b"\x1c\r") {
                    let frame: Vec<u8> = self.input.drain(..end + 2).collect();
                    assert_eq!(frame[0], 0x0b, "an answer is a frame");
                    return Some(frame[1..end].to_vec());
                }
                let mut chunk = [0; 4096];
                match self.stream.read(&mut chunk).await {
                    Ok(0) | Err(_) => return None,
                    Ok(read) => self.input.extend_from_slice(&chunk[..read]),
                }
            }
        };
        tokio::time::timeout(SOON, read).await.expect("no answer in time")
    }
}

/// An answer, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) code: String,
    pub(crate) control_id: String,
    pub(crate) error: Option<String>,
    pub(crate) text: String,
}

impl Reply {
    fn of(bytes: &[u8]) -> Self {
        let view = ack::read(bytes).unwrap();
        let error = view.errors.first().and_then(|error| error.code).map(|code| code.as_str().to_owned());
        Self {
            code: view.code.unwrap().to_string(),
            control_id: String::from_utf8(view.control_id.to_vec()).unwrap(),
            error,
            text: String::from_utf8_lossy(bytes).into_owned(),
        }
    }

    pub(crate) fn is(&self, code: &str, control_id: &str, error: Option<&str>) {
        let found = (self.code.as_str(), self.control_id.as_str(), self.error.as_deref());
        assert_eq!(found, (code, control_id, error), "{}", self.text);
    }
}

pub(crate) fn framed(message: &[u8]) -> Vec<u8> {
    [b"\x0b", message, b"\x1c\r"].concat()
}

/// A message of patient 42 with this type and control id.
pub(crate) fn message(kind: &str, control_id: &str) -> Vec<u8> {
    let mut text = format!(
        "MSH|^~\\&|EHR|GENHOSP|||20260304101500-0500||{kind}|{control_id}|P|2.5.1\rPID|1||42^^^GENHOSP^MR||Fenwick^Isolde||19640229|F\r"
    );
    match kind {
        "ORU^R01" => text.push_str("OBR|1||F1^LIS|GLU^Glucose^L\rOBX|1|NM|GLU^Glucose^L||5.4|mmol/L|||||F\r"),
        _ => text.push_str("PV1|1|I|W1^2^3\r"),
    }
    text.into_bytes()
}

/// Bodies by control id.
pub(crate) fn bodies(records: &[(InRecord, InboundMessage)]) -> BTreeMap<String, Vec<Vec<u8>>> {
    let mut bodies: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
    for (_, record) in records {
        let control_id = record.control_id.clone().unwrap_or_default();
        bodies.entry(control_id.into()).or_default().push(record.body.bytes().unwrap().into_owned());
    }
    bodies
}
