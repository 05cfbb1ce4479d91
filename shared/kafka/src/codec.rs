//! Values in the Confluent wire format: a zero byte, the schema id (4 bytes, big endian), the Avro datum.

use std::{
    collections::HashMap,
    marker::PhantomData,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use apache_avro::Schema;
use parking_lot::RwLock;
use tokio::sync::Mutex;
use waybill_contracts::{
    Record, TopicName,
    avro::{self, DatumReader},
};

use crate::{CodecError, Registry, RegistryError, SchemaId, registry::Missing};

/// The bytes before a datum.
const FRAME: usize = 5;
/// A failed look-up is told to others this long, so that a hundred lanes do not ask a registry that is down a hundred times.
const FAILURE_HOLDS: Duration = Duration::from_millis(250);

/// Encodes and decodes values; cheap to clone. A schema that was had once is kept for ever.
#[derive(Clone, Debug)]
pub struct Codec {
    registry: Arc<Registry>,
    slots: Arc<RwLock<HashMap<SchemaId, Arc<Slot>>>>,
}

/// One schema id. The gate makes look-ups of one id single-flight.
#[derive(Debug, Default)]
struct Slot {
    reader: OnceLock<&'static DatumReader<'static>>,
    gate: Mutex<Asked>,
}

#[derive(Debug, Default)]
struct Asked {
    failed: Option<(Instant, RegistryError)>,
    /// When the registry first said, being well, that it does not know the id.
    absent_since: Option<Instant>,
}

impl Codec {
    /// Over a registry; asks nothing yet.
    pub fn start(registry: Arc<Registry>) -> Self {
        Self { registry, slots: Arc::default() }
    }

    /// The encoder for a topic, when the compiled-in schema is registered. The caller repeats it until ready.
    pub async fn encoder<T: Record>(&self, topic: &TopicName) -> Result<Encoder<T>, RegistryError> {
        let id = self.registry.id_of::<T>(topic).await?;
        // What we write we can read, registry or not.
        if let Some(reader) = DatumReader::new(T::schema()) {
            self.slot(id).keep(reader);
        }
        Ok(Encoder { id, record: PhantomData })
    }

    /// Decodes a value by the schema id in its frame.
    ///
    /// A registry that does not answer is `unavailable`; an id that it does not know, asked twice with
    /// `confirm_after` between, is `data`, and so are bytes left over after the datum.
    pub async fn decode<T: Record>(&self, value: &[u8]) -> Result<T, CodecError> {
        let (id, datum) = unframe(value)?;
        let reader = self.reader(id).await?;
        let (found, expected) = (reader.schema().name(), T::schema().name());
        if found != expected {
            let text =
                |name: Option<&apache_avro::schema::Name>| name.map(ToString::to_string).unwrap_or_default();
            return Err(CodecError::OtherRecord { found: text(found), expected: text(expected) });
        }
        Ok(reader.read(datum)?)
    }

    /// What reads values with this schema id.
    pub async fn reader(&self, id: SchemaId) -> Result<&'static DatumReader<'static>, RegistryError> {
        let slot = self.slot(id);
        if let Some(reader) = slot.reader.get() {
            return Ok(reader);
        }
        let mut asked = slot.gate.lock().await;
        if let Some(reader) = slot.reader.get() {
            return Ok(reader);
        }
        if let Some((at, error)) = &asked.failed
            && at.elapsed() < FAILURE_HOLDS
        {
            return Err(error.clone());
        }
        let error = match self.registry.text_of(id).await {
            Ok(text) => match parsed(&text) {
                Some(reader) => return Ok(slot.keep(reader)),
                None => RegistryError::NotAvro(id),
            },
            Err(Missing::Error(error)) => error,
            Err(Missing::Absent) => {
                let since = *asked.absent_since.get_or_insert_with(Instant::now);
                if since.elapsed() >= self.registry.config().confirm_after.get() {
                    RegistryError::Unknown(id)
                } else {
                    RegistryError::Unconfirmed(id)
                }
            }
        };
        asked.failed = Some((Instant::now(), error.clone()));
        Err(error)
    }

    fn slot(&self, id: SchemaId) -> Arc<Slot> {
        if let Some(slot) = self.slots.read().get(&id) {
            return slot.clone();
        }
        self.slots.write().entry(id).or_default().clone()
    }
}

impl Slot {
    /// Leaked, as are the schemas: as many as there are schema versions, and read for as long as the process lives.
    fn keep(&self, reader: DatumReader<'static>) -> &'static DatumReader<'static> {
        self.reader.get_or_init(|| Box::leak(Box::new(reader)))
    }
}

fn parsed(text: &str) -> Option<DatumReader<'static>> {
    let schema = Schema::parse_str(text).ok()?;
    // Only what can be read with is kept.
    DatumReader::new(&schema)?;
    DatumReader::new(Box::leak(Box::new(schema)))
}

fn unframe(value: &[u8]) -> Result<(SchemaId, &[u8]), CodecError> {
    match value {
        [] => Err(CodecError::NoValue),
        [0, a, b, c, d, datum @ ..] => Ok((SchemaId(u32::from_be_bytes([*a, *b, *c, *d])), datum)),
        _ => Err(CodecError::NotFramed),
    }
}

/// Encodes one record type for one topic.
#[derive(Debug)]
pub struct Encoder<T> {
    id: SchemaId,
    record: PhantomData<fn(&T)>,
}

impl<T> Clone for Encoder<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Encoder<T> {}

impl<T: Record> Encoder<T> {
    /// The frame and the datum.
    pub fn encode(&self, record: &T) -> Result<Vec<u8>, CodecError> {
        let mut value = Vec::with_capacity(record.expected_size() + FRAME);
        value.push(0);
        value.extend_from_slice(&self.id.0.to_be_bytes());
        avro::encode(record, &mut value)?;
        Ok(value)
    }

    /// Id of the schema that is written.
    pub fn schema_id(&self) -> SchemaId {
        self.id
    }
}
