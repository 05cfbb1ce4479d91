//! `inbound.*`: messages as they came in.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::{Body, MessageId, Timestamp, avro::record_of, bytes_text, symbol};

type Text = Option<SmolStr>;

/// How a message came in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Protocol {
    /// Written by a version that knows more than this one.
    #[default]
    Unknown,
    /// HL7 v2 over MLLP.
    Mllp,
    /// HL7 v2 over HTTP.
    Hl7Http,
    /// FHIR R4 over HTTP.
    FhirHttp,
    /// A file.
    File,
}

macro_rules! inbound {
    ($(#[$meta:meta])* $name:ident { $($(#[$fmeta:meta])* $field:ident : $ty:ty),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase")]
        pub struct $name {
            /// Made from the bytes, the feed and the sender; also the trace id.
            pub message_id: MessageId,
            /// Feed by configuration.
            pub feed: SmolStr,
            /// How it came in.
            #[serde(deserialize_with = "symbol::or_default")]
            pub protocol: Protocol,
            /// MSH-3.1.
            #[serde(default)]
            pub sending_application: Text,
            /// MSH-4.1.
            #[serde(default)]
            pub sending_facility: Text,
            /// MSH-5.1.
            #[serde(default)]
            pub receiving_application: Text,
            /// MSH-6.1.
            #[serde(default)]
            pub receiving_facility: Text,
            /// MSH-9 as code^trigger^structure.
            #[serde(default)]
            pub message_type: Text,
            /// MSH-10.
            #[serde(default)]
            pub control_id: Text,
            /// MSH-12.1.
            #[serde(default)]
            pub version: Text,
            /// MSH-18, first repetition.
            #[serde(default)]
            pub character_set: Text,
            /// MSH-7.
            #[serde(default)]
            pub sent_at: Option<Timestamp>,
            /// When the last byte came in.
            pub received_at: Timestamp,
            /// Acknowledgement code answered: AA, AE, AR, CA, CE or CR; empty when nothing was owed or nothing could be
            /// answered.
            pub ack_code: String,
            /// SHA-256 of the bytes as received.
            #[serde(with = "bytes_text")]
            pub sha256: Vec<u8>,
            /// Of a message that came in a batch: the id made from the whole batch.
            #[serde(default)]
            pub batch_id: Option<MessageId>,
            /// BHS-11, else FHS-11.
            #[serde(default)]
            pub batch_control_id: Text,
            /// Place of the message in its batch, from 0.
            #[serde(default)]
            pub batch_index: Option<i32>,
            $($(#[$fmeta])* pub $field: $ty,)*
            /// The message byte for byte.
            pub body: Body,
        }
    };
}

inbound! {
    /// One message as it came in and was accepted: one record is one atomic commit (`inbound.message.v1`).
    InboundMessage {
        /// Codes of what was tolerated.
        #[serde(default)]
        warnings: Vec<String>,
        /// Feed profile and content hash in force.
        #[serde(default)]
        profile: Text,
    }
}
record_of!(
    InboundMessage,
    "inbound.message.v1",
    fn expected_size(&self) -> usize {
        self.body.stored() + 512
    }
);

inbound! {
    /// One message that was refused at the door: a refusal is a message too (`inbound.rejected.v1`).
    InboundRejected {
        /// Reason code, see `docs/reasons`.
        reason_code: String,
        /// ERR-2 as seg^occurrence^field^repetition^component^subcomponent.
        #[serde(default)]
        error_location: Text,
        /// ERR-3, table 0357.
        #[serde(default)]
        error_code: Option<i32>,
    }
}
record_of!(
    InboundRejected,
    "inbound.rejected.v1",
    fn expected_size(&self) -> usize {
        self.body.stored() + 512
    }
);
