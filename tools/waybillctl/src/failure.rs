//! How the tool ends.

use std::process::ExitCode;

use waybill_delivery::{Classify as _, ErrorClass};
use waybill_kafka::{KafkaError, RegistryError};

/// Exit codes. 64 and 69 are those of `sysexits.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// As it should be; of a message: delivered, closed by a person, or without a destination.
    Ok = 0,
    /// Something differs from what it should be.
    Differs = 1,
    /// The message is on its way.
    Open = 3,
    /// The message needs somebody: exception, overdue, or refused at the door.
    Exception = 4,
    /// No such message.
    NotFound = 5,
    /// Used wrongly.
    Usage = 64,
    /// Something that must answer does not.
    Unavailable = 69,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A setting or argument that cannot be used.
    #[error("{0}")]
    Usage(String),
    /// Something does not answer; the same command may work later.
    #[error("{0}")]
    Unavailable(String),
    /// Something answered and refused.
    #[error("{0}")]
    Failed(String),
    /// The result could not be written.
    #[error("cannot write: {0}")]
    Output(std::io::ErrorKind),
}

impl Failure {
    /// The exit code for it.
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::Unavailable(_) => Exit::Unavailable,
            Self::Failed(_) | Self::Output(_) => Exit::Differs,
        }
    }

    /// From Kafka at `servers`.
    pub(crate) fn kafka(servers: &str, error: &KafkaError) -> Self {
        match error {
            KafkaError::Settings(_) | KafkaError::Namespace(_) => Self::Usage(error.to_string()),
            KafkaError::Unavailable(what) => {
                Self::Unavailable(format!("Kafka at {servers} cannot be reached ({what})"))
            }
            _ => Self::Failed(error.to_string()),
        }
    }

    /// From the registry at `url`.
    pub(crate) fn registry(url: &str, error: &RegistryError) -> Self {
        match error {
            RegistryError::Settings(_) => Self::Usage(error.to_string()),
            RegistryError::Unavailable(what) => {
                Self::Unavailable(format!("the schema registry at {url} cannot be reached ({what})"))
            }
            _ if error.class() == ErrorClass::Unavailable => {
                Self::Unavailable(format!("the schema registry at {url} cannot be reached ({error})"))
            }
            _ => Self::Failed(format!("{error} ({url})")),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Output(error.kind())
    }
}
