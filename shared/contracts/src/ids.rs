//! Identity: made from what is named, never at random, so that a repeat joins what it repeats.

use std::{fmt, str::FromStr};

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::timestamp::Timestamp;

/// Id of an inbound message: a `UUIDv8` (RFC 9562 §5.8) made from the message itself, and the trace id.
///
/// 48 bits of message time (milliseconds; zero when the message has none), then SHA-256 over feed, sender and the bytes' own
/// SHA-256.
/// The same bytes from the same feed and sender get the same id on every replica and at every resend.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(Uuid);

impl MessageId {
    /// Derives the id; see the type for the rule. `sender` is MSH-3|MSH-4 or what stands for it.
    pub fn derive(feed: &str, sender: &str, sent_at: Option<Timestamp>, bytes: &[u8]) -> Self {
        Self::derive_hashed(feed, sender, sent_at, &Sha256::digest(bytes).into())
    }

    /// The same from the SHA-256 of the bytes, for those who need that too: a message is hashed once.
    pub fn derive_hashed(feed: &str, sender: &str, sent_at: Option<Timestamp>, sha256: &[u8; 32]) -> Self {
        let mut hasher = Sha256::new();
        // Lengths first, so that no two splits of the same text meet.
        for part in [feed.as_bytes(), sender.as_bytes(), sha256] {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        let digest = hasher.finalize();
        let millis = sent_at.map_or(0, Timestamp::as_millis).clamp(0, (1 << 48) - 1);
        let mut id = [0_u8; 16];
        id[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
        id[6..].copy_from_slice(&digest[..10]);
        Self(uuid::Builder::from_custom_bytes(id).into_uuid())
    }

    /// The 16 bytes; also the trace id's.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// From 16 bytes, as a trace id carries them.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// As a UUID.
    pub const fn as_uuid(&self) -> Uuid {
        self.0
    }

    /// 32 hexadecimal digits: the trace id as Jaeger shows it.
    pub fn trace_id(&self) -> String {
        self.0.simple().to_string()
    }
}

/// Id of an event: `UUIDv5` over (message id, topic, index).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(Uuid);

impl EventId {
    /// Derives the id of the `index`th event that a message became on `topic` (without namespace).
    pub fn derive(message: MessageId, topic: &str, index: usize) -> Self {
        Self(Uuid::new_v5(&message.0, format!("{topic}/{index}").as_bytes()))
    }

    /// The 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// As a UUID.
    pub const fn as_uuid(&self) -> Uuid {
        self.0
    }

    /// MSH-10 of what goes to `target` for this event: 20 characters (the limit before HL7 v2.7) of base 32,
    /// the same for every attempt, so that the receiver can recognise a repeat.
    pub fn outbound_control_id(&self, target: &str) -> String {
        const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        let digest = Sha256::new().chain_update(self.0.as_bytes()).chain_update(target.as_bytes()).finalize();
        digest[..20].iter().map(|byte| char::from(ALPHABET[usize::from(byte & 31)])).collect()
    }
}

macro_rules! uuid_text {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }
        impl FromStr for $name {
            type Err = uuid::Error;
            /// With or without hyphens.
            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                Uuid::parse_str(text).map(Self)
            }
        }
        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.0.hyphenated().encode_lower(&mut Uuid::encode_buffer()))
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(|_| de::Error::custom("not a UUID"))
            }
        }
    };
}
uuid_text!(MessageId);
uuid_text!(EventId);

/// Key of a patient's records: HMAC-SHA-256(secret, assigning authority | identifier), the first 16 bytes.
///
/// One patient's events keep their order, and no identifier can be read in a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PatientKey([u8; 16]);

impl PatientKey {
    /// The 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// Makes patient keys under one secret; every service of an installation must hold the same one.
#[derive(Clone)]
pub struct PatientKeyer(Hmac<Sha256>);

impl PatientKeyer {
    /// With the installation's secret; any length is legal, 32 random bytes are right.
    pub fn new(secret: &[u8]) -> Self {
        // A key longer than a block is hashed first (RFC 2104 §2): that makes any length acceptable.
        let mut block = [0_u8; 64];
        if secret.len() > block.len() {
            block[..32].copy_from_slice(&Sha256::digest(secret));
        } else {
            block[..secret.len()].copy_from_slice(secret);
        }
        Self(Hmac::new(&block.into()))
    }

    /// The key of the patient whom `authority` knows by `identifier`.
    pub fn key(&self, authority: &str, identifier: &str) -> PatientKey {
        let mut mac = self.0.clone();
        mac.update(authority.as_bytes());
        mac.update(b"|");
        mac.update(identifier.as_bytes());
        let tag = mac.finalize().into_bytes();
        let mut key = [0; 16];
        key.copy_from_slice(&tag[..16]);
        PatientKey(key)
    }
}

impl fmt::Debug for PatientKeyer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PatientKeyer([secret])")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn message_id_is_a_uuid_v8_with_the_message_time_in_front() {
        let id = MessageId::derive("lis", "LAB|GH", Some(Timestamp::from_millis(0x0123_4567_89ab)), b"MSH|");
        assert_eq!(id.as_uuid().get_version_num(), 8);
        assert!(id.to_string().starts_with("01234567-89ab-8"));
        assert_eq!(id.trace_id(), id.to_string().replace('-', ""));
    }

    #[test]
    fn the_secret_changes_the_key_and_the_split_matters() {
        let (a, b) = (PatientKeyer::new(b"a"), PatientKeyer::new(b"b"));
        assert_ne!(a.key("GH", "1"), b.key("GH", "1"));
        assert_eq!(a.key("GH", "1"), PatientKeyer::new(b"a").key("GH", "1"));
        assert!(format!("{a:?}").contains("[secret]"));
        assert_eq!(
            PatientKeyer::new(&[7; 100]).key("", ""),
            PatientKeyer::new(&Sha256::digest([7; 100])).key("", "")
        );
    }

    proptest! {
        #[test]
        fn ids_depend_on_every_part(feed in "[a-z]{1,8}", sender in "[A-Z|]{0,8}", body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let id = MessageId::derive(&feed, &sender, None, &body);
            prop_assert_eq!(id, MessageId::derive(&feed, &sender, None, &body));
            let mut other = body.clone();
            other.push(0);
            prop_assert_ne!(id, MessageId::derive(&feed, &sender, None, &other));
            prop_assert_ne!(id, MessageId::derive(&format!("{feed}x"), &sender, None, &body));
            prop_assert_eq!(id.to_string().parse::<MessageId>().unwrap(), id);
            prop_assert_eq!(id.trace_id().parse::<MessageId>().unwrap(), id);
            let event = EventId::derive(id, "lab.result.v1", 0);
            prop_assert_ne!(event, EventId::derive(id, "lab.result.v1", 1));
            let control = event.outbound_control_id("ehr");
            prop_assert_eq!(control.len(), 20);
            prop_assert_ne!(control, event.outbound_control_id("his"));
        }
    }
}
