//! Records and their Avro datum; the wire frame around it belongs to the registry's client.

mod by_position;

use std::sync::OnceLock;

use apache_avro::{Schema, reader::datum::GenericDatumReader, writer::datum::GenericDatumWriter};
use serde::{Serialize, de::DeserializeOwned};

use self::by_position::ByPosition;

/// A record of a topic.
pub trait Record: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Topic in the catalogue, without a namespace.
    const TOPIC: &'static str;
    /// Its schema as compiled in, the text of `schemas/<topic>.avsc`.
    const SCHEMA: &'static str;
    /// The parsed schema.
    fn schema() -> &'static Schema;
    /// What writes it; nothing where the compiled-in schema is none.
    fn writer() -> Option<&'static GenericDatumWriter<'static>>;
    /// About how many bytes its datum will have, so that the buffer need not grow.
    fn expected_size(&self) -> usize {
        512
    }
}

/// A datum that cannot be written or read. Class `data`; the text never quotes a value.
#[derive(Debug, thiserror::Error)]
pub enum DatumError {
    /// The value does not fit its schema: a defect, caught by the drift test.
    #[error("cannot encode a record of {topic}")]
    Encode {
        /// The topic.
        topic: &'static str,
    },
    /// The bytes are no datum of the writer's schema.
    #[error("cannot decode a record of {topic}")]
    Decode {
        /// The topic.
        topic: &'static str,
    },
    /// Bytes are left over after the datum.
    #[error("{left} bytes left over after a record of {topic}")]
    Trailing {
        /// The topic.
        topic: &'static str,
        /// How many.
        left: usize,
    },
}

/// Implements [`Record`] for a type; its schema file is named like its topic, unless another name is given.
macro_rules! record_of {
    ($ty:ty, $topic:literal, in $file:literal $(, $expected_size:item)?) => {
        impl $crate::avro::Record for $ty {
            const TOPIC: &'static str = $topic;
            const SCHEMA: &'static str =
                include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../schemas/", $file, ".avsc"));
            fn schema() -> &'static apache_avro::Schema {
                static SCHEMA: std::sync::OnceLock<apache_avro::Schema> = std::sync::OnceLock::new();
                $crate::avro::parsed(&SCHEMA, Self::SCHEMA)
            }
            fn writer() -> Option<&'static apache_avro::writer::datum::GenericDatumWriter<'static>> {
                static WRITER: $crate::avro::Writer = std::sync::OnceLock::new();
                $crate::avro::writer(&WRITER, Self::schema())
            }
            $($expected_size)?
        }
    };
    ($ty:ty, $topic:literal $(, $expected_size:item)?) => {
        $crate::avro::record_of!($ty, $topic, in $topic $(, $expected_size)?);
    };
}
pub(crate) use record_of;

pub(crate) fn parsed(cell: &'static OnceLock<Schema>, text: &str) -> &'static Schema {
    // A compiled-in schema that does not parse is caught by a test; `Null` makes every use of it fail.
    cell.get_or_init(|| Schema::parse_str(text).unwrap_or(Schema::Null))
}

/// A writer is made once for each type: resolving the names of a schema takes longer than writing a small record.
pub(crate) type Writer = OnceLock<Option<GenericDatumWriter<'static>>>;

pub(crate) fn writer(
    cell: &'static Writer,
    schema: &'static Schema,
) -> Option<&'static GenericDatumWriter<'static>> {
    cell.get_or_init(|| GenericDatumWriter::builder(schema).human_readable(false).build().ok()).as_ref()
}

/// Appends the datum of `record` in its compiled-in schema to `into`.
pub fn encode<T: Record>(record: &T, into: &mut Vec<u8>) -> Result<(), DatumError> {
    let error = || DatumError::Encode { topic: T::TOPIC };
    T::writer().ok_or_else(error)?.write_ser(into, &ByPosition(record)).map_err(|_| error())?;
    Ok(())
}

/// Reads datums that were written with one schema, whose names it has resolved once.
pub struct DatumReader<'s> {
    schema: &'s Schema,
    reader: GenericDatumReader<'s>,
}

impl<'s> DatumReader<'s> {
    /// `None` for a schema with a name that it does not define.
    pub fn new(schema: &'s Schema) -> Option<Self> {
        let reader = GenericDatumReader::builder(schema).human_readable(false).build().ok()?;
        Some(Self { schema, reader })
    }

    /// What the datums were written with.
    pub fn schema(&self) -> &'s Schema {
        self.schema
    }

    /// Reads a datum; all bytes must be used.
    ///
    /// Fields that the writer did not know take the default of the type, which the drift test holds equal to the schema's.
    pub fn read<T: Record>(&self, mut datum: &[u8]) -> Result<T, DatumError> {
        let record =
            self.reader.read_deser(&mut datum).map_err(|_| DatumError::Decode { topic: T::TOPIC })?;
        match datum.len() {
            0 => Ok(record),
            left => Err(DatumError::Trailing { topic: T::TOPIC, left }),
        }
    }
}

impl std::fmt::Debug for DatumReader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DatumReader").field("schema", &self.schema.name()).finish_non_exhaustive()
    }
}

/// Reads one datum that was written with `writer`: see [`DatumReader::read`].
pub fn decode<T: Record>(writer: &Schema, datum: &[u8]) -> Result<T, DatumError> {
    DatumReader::new(writer).ok_or(DatumError::Decode { topic: T::TOPIC })?.read(datum)
}
