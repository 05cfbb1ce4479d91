//! Section `[feed.ack]`.

use serde::{Deserialize, Serialize};

/// How a feed's messages are answered: section `[feed.ack]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AckConfig {
    /// Who decides which acknowledgement is due.
    pub mode: AckMode,
    /// What the answer to a batch holds.
    pub batch: BatchAck,
    /// MLLP release 2: a commit frame (0x06 stored, 0x15 not) before every other answer.
    pub commit_frames: bool,
}

/// Who decides which acknowledgement is due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AckMode {
    /// MSH-15 and MSH-16. With NE in both the sender gets an answer in original mode: nearly all of them wait for one.
    #[default]
    AsSent,
    /// MSH-15 and MSH-16 to the letter: with NE in both there is no answer.
    Strict,
    /// Always AA, AE or AR, whatever MSH-15 and MSH-16 say.
    Original,
    /// Always CA, CE or CR, whatever MSH-15 and MSH-16 say.
    Enhanced,
}

/// What the answer to a batch holds (HL7 v2 §2.10.3.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BatchAck {
    /// An acknowledgement of every message.
    #[default]
    All,
    /// Acknowledgements of those that were not accepted; the answer may be empty.
    Errors,
}
