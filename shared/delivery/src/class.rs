//! The one judgement that every error carries.

use std::fmt;

use serde::{Deserialize, Serialize};
use waybill_contracts::ReasonCode;

/// What a failure means for the record that met it (architecture §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ErrorClass {
    /// The record itself is wrong: dead-letter at once, a repeat cannot help.
    Data,
    /// The other side cannot now: repeat in order with backoff, never dead-letter.
    Unavailable,
    /// We are set up wrongly: the lane stops, an alert goes out, never dead-letter.
    Configuration,
    /// We broke an invariant: quarantine the record, alert.
    Defect,
}

impl ErrorClass {
    /// Every class.
    pub const ALL: [Self; 4] = [Self::Data, Self::Unavailable, Self::Configuration, Self::Defect];

    /// As headers, metrics and logs carry it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Unavailable => "unavailable",
            Self::Configuration => "configuration",
            Self::Defect => "defect",
        }
    }

    /// Reads what [`Self::as_str`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == text)
    }

    /// The same record may succeed later without anybody changing it.
    pub const fn is_retried(self) -> bool {
        matches!(self, Self::Unavailable | Self::Configuration)
    }
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Errors of a port say what they mean; nobody further in judges again.
pub trait Classify {
    /// Its class.
    fn class(&self) -> ErrorClass;
    /// Its reason code, with a page in `docs/reasons/`.
    fn reason(&self) -> ReasonCode;
}

#[cfg(test)]
mod tests {
    use super::ErrorClass;

    #[test]
    fn text_round_trips() {
        for class in ErrorClass::ALL {
            assert_eq!(ErrorClass::parse(class.as_str()), Some(class));
        }
        assert_eq!(ErrorClass::parse("other"), None);
    }
}
