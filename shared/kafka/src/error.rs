//! Errors of this crate, each classified where it happens.

use rdkafka::types::RDKafkaErrorCode as Code;
use waybill_contracts::{HeaderError, ReasonCode, reason, topics::NamespaceError};
use waybill_delivery::{Classify, ErrorClass};

/// A client that cannot be made or has died.
#[derive(Debug, Clone, thiserror::Error)]
pub enum KafkaError {
    /// The settings are not ones a client accepts.
    #[error("the Kafka client refuses its settings: {0}")]
    Settings(String),
    /// The namespace cannot be part of a topic name.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    /// The client met an error that it cannot survive.
    #[error("the Kafka client died: {0}")]
    Fatal(String),
    /// A thread of a loop ended without being asked to.
    #[error("the {0} thread died")]
    Thread(&'static str),
    /// No asynchronous runtime around the call.
    #[error("a producer needs a tokio runtime around it")]
    NoRuntime,
    /// The cluster did not answer.
    #[error("Kafka does not answer: {0}")]
    Unavailable(String),
    /// The cluster answered and refused.
    #[error("Kafka refuses: {0}")]
    Refused(String),
}

impl Classify for KafkaError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Settings(_) | Self::Namespace(_) | Self::Refused(_) => ErrorClass::Configuration,
            Self::Unavailable(_) => ErrorClass::Unavailable,
            Self::Fatal(_) | Self::Thread(_) | Self::NoRuntime => ErrorClass::Defect,
        }
    }

    fn reason(&self) -> ReasonCode {
        match self.class() {
            ErrorClass::Configuration => reason::BROKER_REFUSES,
            _ => reason::BROKER_UNAVAILABLE,
        }
    }
}

impl KafkaError {
    /// From a client's error at creation.
    pub(crate) fn creation(error: &rdkafka::error::KafkaError) -> Self {
        Self::Settings(error.to_string())
    }

    /// From the answer to a request.
    pub(crate) fn of(error: &rdkafka::error::KafkaError) -> Self {
        match error.rdkafka_error_code().map(class_of) {
            Some(ErrorClass::Configuration | ErrorClass::Data) => Self::Refused(error.to_string()),
            _ => Self::Unavailable(error.to_string()),
        }
    }
}

/// Records that were not acknowledged.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ProduceError {
    /// More records wait for their acknowledgement than the options allow; nothing was enqueued.
    #[error("{in_flight} records wait for acknowledgement already")]
    Full {
        /// How many.
        in_flight: usize,
    },
    /// The broker, or the client for it, did not take a record; it may have been written all the same.
    #[error("a record to {topic} was not acknowledged: {what}")]
    Failed {
        /// Its topic.
        topic: String,
        /// What that means.
        class: ErrorClass,
        /// What was said.
        what: String,
    },
    /// The producer has been dropped.
    #[error("the producer is closed")]
    Closed,
}

impl ProduceError {
    pub(crate) fn failed(topic: &str, error: &rdkafka::error::KafkaError) -> Self {
        let class = error.rdkafka_error_code().map_or(ErrorClass::Unavailable, class_of);
        Self::Failed { topic: topic.to_owned(), class, what: error.to_string() }
    }
}

impl Classify for ProduceError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Full { .. } | Self::Closed => ErrorClass::Unavailable,
            Self::Failed { class, .. } => *class,
        }
    }

    fn reason(&self) -> ReasonCode {
        match self.class() {
            ErrorClass::Data => reason::RECORD_REFUSED,
            ErrorClass::Configuration => reason::BROKER_REFUSES,
            ErrorClass::Unavailable | ErrorClass::Defect => reason::BROKER_UNAVAILABLE,
        }
    }
}

/// What a client's error code means for a record: whatever is not known to be anything else may pass by itself.
pub(crate) fn class_of(code: Code) -> ErrorClass {
    match code {
        Code::MessageSizeTooLarge
        | Code::InvalidMessageSize
        | Code::InvalidRecord
        | Code::InvalidTimestamp => ErrorClass::Data,
        Code::UnknownTopic
        | Code::UnknownTopicOrPartition
        | Code::UnknownPartition
        | Code::InvalidTopic
        | Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::TransactionalIdAuthorizationFailed
        | Code::Authentication
        | Code::SaslAuthenticationFailed
        | Code::UnsupportedSASLMechanism
        | Code::IllegalSASLState
        | Code::SecurityDisabled
        | Code::PolicyViolation
        | Code::InvalidPartitions
        | Code::InvalidReplicationFactor
        | Code::InvalidConfig
        | Code::TopicAlreadyExists
        | Code::UnsupportedVersion
        | Code::InvalidArgument => ErrorClass::Configuration,
        _ => ErrorClass::Unavailable,
    }
}

/// A value that cannot be encoded or decoded.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// No value: a tombstone where a record was expected.
    #[error("the record has no value")]
    NoValue,
    /// Not the registry's wire format.
    #[error("the value does not begin with a schema id")]
    NotFramed,
    /// Its schema is not known, or cannot be had now.
    #[error(transparent)]
    Registry(#[from] crate::RegistryError),
    /// Written with the schema of another record.
    #[error("the value was written as {found}, expected {expected}")]
    OtherRecord {
        /// Full name in the writer's schema.
        found: String,
        /// Full name of ours.
        expected: String,
    },
    /// The datum is not one.
    #[error(transparent)]
    Datum(#[from] waybill_contracts::DatumError),
    /// A header is missing or unreadable.
    #[error(transparent)]
    Header(#[from] HeaderError),
}

impl Classify for CodecError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Registry(error) => error.class(),
            Self::NoValue | Self::NotFramed | Self::OtherRecord { .. } | Self::Datum(_) | Self::Header(_) => {
                ErrorClass::Data
            }
        }
    }

    fn reason(&self) -> ReasonCode {
        match self {
            Self::Registry(error) => error.reason(),
            _ => reason::UNDECODABLE,
        }
    }
}
