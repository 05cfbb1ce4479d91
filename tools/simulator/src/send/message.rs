//! A message on its way out.

use crate::generate::Generated;
use crate::peek::{Peek, lossy};

/// Bytes to send and what the sender needs to know about them.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// MSH-10, with which MSA-2 is compared; empty when the message has none.
    pub control_id: String,
    /// The message without framing.
    pub bytes: Vec<u8>,
    /// The file it came from, if any.
    pub source: Option<String>,
    patient: u64,
}

impl Outgoing {
    /// Reads control id and patient from the message; of a FHIR Bundle its identifier is both.
    pub fn new(bytes: Vec<u8>) -> Self {
        if bytes.first() == Some(&b'{') {
            let bundle: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
            let control_id = bundle["identifier"]["value"].as_str().unwrap_or_default().to_owned();
            let patient = fnv1a(control_id.as_bytes());
            return Self { control_id, bytes, source: None, patient };
        }
        let peek = Peek::new(&bytes);
        let control_id = peek.map(|p| p.control_id()).unwrap_or_default();
        let patient = peek.map(|p| lossy(p.component(p.field("PID", 3), 1))).filter(|id| !id.is_empty());
        let patient = fnv1a(patient.as_deref().unwrap_or(&control_id).as_bytes());
        Self { control_id, bytes, source: None, patient }
    }

    /// Whether it is JSON, and so FHIR.
    pub fn is_fhir(&self) -> bool {
        self.bytes.first() == Some(&b'{')
    }

    /// False for bytes without an MSH segment: no receiver can answer those, so they end as given up or refused.
    pub fn is_hl7(&self) -> bool {
        Peek::new(&self.bytes).is_some()
    }

    /// With the name of the file it came from.
    #[must_use]
    pub fn from_file(self, name: impl Into<String>) -> Self {
        Self { source: Some(name.into()), ..self }
    }

    pub(super) fn patient_hash(&self) -> u64 {
        self.patient
    }
}

impl From<Generated> for Outgoing {
    fn from(message: Generated) -> Self {
        let patient = fnv1a(message.mrn.as_bytes());
        Self { control_id: message.control_id, bytes: message.bytes, source: None, patient }
    }
}

/// FNV-1a, 64 bit: the same patient takes the same connection in every run.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3))
}

#[cfg(test)]
mod tests {
    use super::Outgoing;
    use crate::generate::{GenerateConfig, Generator, Kind};

    #[test]
    fn a_generated_message_and_the_same_one_from_a_file_go_the_same_way() {
        for message in Generator::new(GenerateConfig::new(3, 200)) {
            let whole = message.expect.kind != Kind::MissingPatient;
            let read = Outgoing::new(message.bytes.clone());
            let made = Outgoing::from(message);
            assert_eq!(read.control_id, made.control_id);
            assert!(!whole || read.patient_hash() == made.patient_hash());
        }
    }
}
