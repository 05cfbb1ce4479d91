//! Reason codes: each permanent failure, each filter and each refusal has one, with a page in `docs/reasons/`.

use std::fmt;

/// A code that stays the same for ever; its page says cause and remedy.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ReasonCode(&'static str);

impl ReasonCode {
    /// The code's text.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Debug for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl From<ReasonCode> for String {
    fn from(code: ReasonCode) -> Self {
        code.0.to_owned()
    }
}

macro_rules! reasons {
    ($($(#[$meta:meta])* $name:ident = $code:literal;)*) => {
        $($(#[$meta])* pub const $name: ReasonCode = ReasonCode($code);)*
        /// Every code.
        pub const ALL: &[ReasonCode] = &[$($name),*];
    };
}

reasons! {
    /// No MSH, or one whose delimiters cannot be read.
    UNREADABLE_HEADER = "ING-0001";
    /// MSH-10 is empty.
    NO_CONTROL_ID = "ING-0002";
    /// A segment that the event demands is missing.
    REQUIRED_SEGMENT_MISSING = "ING-0003";
    /// The character set cannot be carried (UTF-16, UTF-32).
    UNSUPPORTED_CHARSET = "ING-0004";
    /// Larger than the feed allows.
    TOO_LARGE = "ING-0005";
    /// MSH-9 is empty or not of its form.
    NO_MESSAGE_TYPE = "ING-0006";
    /// The message could not be stored in time; the sender was told to repeat it.
    STORAGE_UNAVAILABLE = "ING-0007";
    /// A frame that is not MLLP.
    MALFORMED_FRAME = "ING-0008";
    /// MSH-11 or MSH-12 is not acceptable.
    HEADER_NOT_ACCEPTED = "ING-0009";
    /// A segment that the event demands has no patient identifier.
    NO_PATIENT_IDENTIFIER = "ING-0010";
    /// No JSON, no UTF-8, or nested or divided beyond what is taken.
    FHIR_NOT_READABLE = "ING-0020";
    /// JSON, but not of the form that FHIR R4 gives its resources.
    FHIR_NOT_OF_ITS_FORM = "ING-0021";
    /// A FHIR resource lacks what R4 demands, or breaks a rule of it.
    FHIR_RULE_BROKEN = "ING-0022";
    /// A FHIR reference points to nothing inside its Bundle or resource.
    FHIR_REFERENCE_UNRESOLVED = "ING-0023";
    /// A FHIR Bundle has the same resource twice.
    FHIR_ENTRY_REPEATED = "ING-0024";
    /// A bundle type, resource type or method that is not taken.
    FHIR_NOT_SUPPORTED = "ING-0025";
    /// A field that the event demands is empty.
    REQUIRED_FIELD_MISSING = "ING-0011";
    /// A part of a message that is continued in others (DSC, ADD).
    FRAGMENT = "ING-0012";
    /// A request without a token, or with one that this feed does not know.
    NOT_AUTHENTICATED = "ING-0030";
    /// A request for something that is not served: path, method, content type, content coding.
    REQUEST_NOT_SERVED = "ING-0031";
    /// A request whose body did not come in: too slow, cut off, or no memory left for it.
    REQUEST_NOT_RECEIVED = "ING-0032";
    /// No mapping for this message type and event.
    EVENT_NOT_MAPPED = "NRM-0001";
    /// A batch; its messages are not split yet.
    BATCH_NOT_SPLIT = "NRM-0002";
    /// The message came by a feed that is not configured here.
    FEED_UNKNOWN = "NRM-0003";
    /// Orders of drugs, diets or supplies, and no other.
    NOT_A_LABORATORY_ORDER = "NRM-0010";
    /// An appointment without a patient.
    APPOINTMENT_OF_NO_PATIENT = "NRM-0011";
    /// Nobody subscribes to the topics of its events.
    NO_SUBSCRIBER = "TRK-0001";
    /// The normalizer has not accounted for a received message in its time.
    MANIFEST_OVERDUE = "TRK-0002";
    /// Receipts for a message that nobody received.
    ORPHAN = "TRK-0003";
    /// A destination has not confirmed in its time.
    LINE_OVERDUE = "TRK-0004";
    /// No rule of the routing table matches.
    NO_ROUTE = "LAB-0001";
    /// The target refused the content (AE, CE).
    TARGET_REFUSED = "LAB-0002";
    /// The target is not, or no longer, configured.
    TARGET_UNKNOWN = "LAB-0003";
    /// Sent, and no answer came.
    NO_ANSWER = "LAB-0004";
    /// The target cannot be reached.
    TARGET_UNREACHABLE = "LAB-0005";
    /// The target refuses this type, event, version or processing id (AR, CR with 200 to 203).
    TARGET_REFUSES_TYPE = "LAB-0006";
    /// The target says that it cannot now (AR, CR without such a code; 206, 207).
    TARGET_BUSY = "LAB-0007";
    /// The answer is not an acknowledgement of what was sent (MSA-2).
    ANSWER_MISMATCH = "LAB-0008";
    /// The result came in a format that none of its targets speaks.
    FORMAT_NOT_SPOKEN = "LAB-0009";
    /// A record that cannot be decoded.
    UNDECODABLE = "KAF-0001";
    /// The handler failed on this record (class `defect`).
    HANDLER_DEFECT = "KAF-0002";
    /// A record that its handler refused as invalid.
    INVALID_RECORD = "KAF-0003";
    /// Kafka does not answer, or does not take records now.
    BROKER_UNAVAILABLE = "KAF-0004";
    /// Kafka refuses: the topic is missing, or this service may not use it.
    BROKER_REFUSES = "KAF-0005";
    /// The broker does not take this record (too large).
    RECORD_REFUSED = "KAF-0006";
    /// The schema registry does not answer.
    REGISTRY_UNAVAILABLE = "KAF-0007";
    /// The schema is not registered, or the registry refuses this service.
    SCHEMA_NOT_REGISTERED = "KAF-0008";
    /// The value names a schema that the registry does not know.
    SCHEMA_UNKNOWN = "KAF-0009";
    /// The database does not answer.
    DATABASE_UNAVAILABLE = "STO-0001";
    /// The database refuses: password, rights, or a schema that another version made.
    DATABASE_REFUSES = "STO-0002";
    /// The database refuses a statement of ours (class `defect`).
    DATABASE_DEFECT = "STO-0003";
    /// Another owner has stored offsets of this partition.
    OWNER_FENCED = "STO-0004";
}
