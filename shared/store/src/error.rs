//! What can go wrong, classified here and nowhere else.

use deadpool_postgres::PoolError;
use tokio_postgres::error::{DbError, SqlState};
use waybill_contracts::{ReasonCode, reason};
use waybill_delivery::{Classify, ErrorClass};

/// A failure of the database. No text in it comes from a value that was sent to the database.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached, or is going down, or lost the connection.
    #[error("the database does not answer: {what}")]
    Unavailable {
        /// What happened.
        what: String,
    },
    /// It did not answer in time.
    #[error("the database did not answer within its time")]
    Timeout,
    /// It refuses this service, or what is configured cannot be used.
    #[error("the database cannot be used: {what}")]
    Unusable {
        /// What is wrong.
        what: String,
    },
    /// The schema was migrated by a version that this one cannot work with.
    #[error("the database has schema version {found}, which this version does not know how to work with")]
    SchemaTooNew {
        /// Version found.
        found: i32,
    },
    /// A migration that was applied reads differently now.
    #[error("migration {version} was changed after it had been applied")]
    MigrationChanged {
        /// Its version.
        version: i32,
    },
    /// It refuses a statement of ours.
    #[error("the database refused a statement: SQLSTATE {sqlstate}{subject}")]
    Defect {
        /// SQLSTATE.
        sqlstate: String,
        /// Table and constraint, where named.
        subject: String,
    },
    /// What was stored cannot be read back.
    #[error("what is stored cannot be read: {what}")]
    Unreadable {
        /// Which column.
        what: String,
    },
    /// Another owner has stored offsets of this partition.
    #[error(
        "partition {partition} of {topic} belongs to another owner: expected offset {expected:?}, found {found:?}"
    )]
    Fenced {
        /// Topic.
        topic: String,
        /// Partition.
        partition: i32,
        /// What this owner had stored.
        expected: Option<i64>,
        /// What is stored.
        found: Option<i64>,
    },
}

impl Classify for StoreError {
    fn class(&self) -> ErrorClass {
        match self {
            // The partition is about to be taken away, or offsets are read anew: the same batch must not be set aside.
            Self::Unavailable { .. } | Self::Timeout | Self::Fenced { .. } => ErrorClass::Unavailable,
            Self::Unusable { .. } | Self::SchemaTooNew { .. } => ErrorClass::Configuration,
            Self::MigrationChanged { .. } | Self::Defect { .. } | Self::Unreadable { .. } => {
                ErrorClass::Defect
            }
        }
    }

    fn reason(&self) -> ReasonCode {
        match self {
            Self::Fenced { .. } => reason::OWNER_FENCED,
            _ => match self.class() {
                ErrorClass::Unavailable => reason::DATABASE_UNAVAILABLE,
                ErrorClass::Configuration => reason::DATABASE_REFUSES,
                ErrorClass::Data | ErrorClass::Defect => reason::DATABASE_DEFECT,
            },
        }
    }
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        if let Some(db) = error.as_db_error() {
            return of_database(db);
        }
        if error.is_closed() {
            return Self::Unavailable { what: "the connection is closed".to_owned() };
        }
        // These name a column or parameter, an address or an I/O error; none quotes a value.
        let what = root_cause(&error);
        let text = error.to_string();
        if text.starts_with("error deserializing") || text.starts_with("error serializing") {
            return Self::Defect { sqlstate: "none".to_owned(), subject: format!(", {text}") };
        }
        if text.starts_with("invalid configuration") || text.starts_with("authentication error") {
            return Self::Unusable { what: text };
        }
        Self::Unavailable { what }
    }
}

impl From<PoolError> for StoreError {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) => error.into(),
            PoolError::Timeout(_) => Self::Timeout,
            PoolError::Closed => Self::Unavailable { what: "the pool is closed".to_owned() },
            PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_) => {
                Self::Defect { sqlstate: "none".to_owned(), subject: ", pool".to_owned() }
            }
        }
    }
}

fn of_database(db: &DbError) -> StoreError {
    let code = db.code();
    let sqlstate = code.code();
    let unavailable = matches!(&sqlstate[..2], "08" | "53" | "57" | "58")
        || [
            SqlState::T_R_SERIALIZATION_FAILURE,
            SqlState::T_R_DEADLOCK_DETECTED,
            SqlState::LOCK_NOT_AVAILABLE,
            SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
            // A replica that was promoted elsewhere, or is still one.
            SqlState::READ_ONLY_SQL_TRANSACTION,
        ]
        .contains(code);
    if unavailable {
        return StoreError::Unavailable { what: format!("SQLSTATE {sqlstate}") };
    }
    let refused = sqlstate.starts_with("28")
        || [SqlState::INVALID_CATALOG_NAME, SqlState::INSUFFICIENT_PRIVILEGE, SqlState::INVALID_SCHEMA_NAME]
            .contains(code);
    if refused {
        return StoreError::Unusable { what: format!("SQLSTATE {sqlstate}") };
    }
    // Message and detail may quote values; names of tables and constraints are ours.
    let subject = [db.table(), db.constraint()]
        .into_iter()
        .flatten()
        .fold(String::new(), |text, name| text + ", " + name);
    StoreError::Defect { sqlstate: sqlstate.to_owned(), subject }
}

fn root_cause(error: &tokio_postgres::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
