//! Pre-built frames: the same message again and again, with another control id and patient written in place.

use std::{io::Write, ops::Range};

/// Digits of the control id and of the patient's number.
const DIGITS: usize = 12;
const BLANK: &str = "000000000000";

const ADT: &str = "MSH|^~\\&|EHR|BENCH|WAYBILL|HUB|20261102060000+0000||ADT^A01^ADT_A01|{id}|P|2.5.1|||{mode}||UNICODE UTF-8\r\
EVN|A01|20261102055930+0000|||REGCLERK^Ashworth^Moira^^^^^^BENCH|20261102055500+0000\r\
PID|1||{mrn}^^^BENCH^MR||Testpatient^Quentin^R^^Mr^^L||19580317|M|||14 Sample Lane^Apt 3^Springfield^IL^62701^USA^H||^PRN^PH^^1^217^5550142|^WPN^PH^^1^217^5550199|en^English^ISO639|M^Married^HL70002|||||||||||||||N\r\
PD1|||Springfield Family Practice^^10451|1093817465^Oduya^Helena^^^Dr^MD^^NPI\r\
NK1|1|Testpatient^Imogen^K|SPO^Spouse^HL70063|14 Sample Lane^Apt 3^Springfield^IL^62701^USA|^PRN^PH^^1^217^5550143||C^Emergency contact^HL70131\r\
PV1|1|I|4WEST^412^B^BENCH^^^^^Medical ward|E|||1093817465^Oduya^Helena^^^Dr^MD^^NPI|1457382910^Brandvold^Lars^^^Dr^MD^^NPI||MED|||1|7|||1457382910^Brandvold^Lars^^^Dr^MD^^NPI|INP|VN{mrn}^^^BENCH^VN|||||||||||||||||||||||||20261102055500+0000\r\
PV2|||^Chest pain, unspecified|||||20261102|20261106|4|Observation on telemetry\r\
AL1|1|DA^Drug allergy^HL70127|70618^Penicillin^RXNORM|MO^Moderate^HL70128|Rash\r\
GT1|1||Testpatient^Quentin^R||14 Sample Lane^Apt 3^Springfield^IL^62701^USA\r\
DG1|1||R07.9^Chest pain, unspecified^I10|Chest pain, unspecified|20261102055500|A\r\
IN1|1|PPO1^Preferred provider plan|60054|Example Health Plan|PO Box 14079^^Lexington^KY^40512^USA||^WPN^PH^^1^800^5550110|GRP88213|Example Manufacturing|||20260101|20261231||PPO|Testpatient^Quentin^R|SEL^Self^HL70063|19580317|14 Sample Lane^Apt 3^Springfield^IL^62701^USA|||1|||||||||||||W{mrn}\r";

const ORU: &str = "MSH|^~\\&|LIS|BENCH|WAYBILL|HUB|20261102061500+0000||ORU^R01^ORU_R01|{id}|P|2.5.1|||{mode}||UNICODE UTF-8\r\
PID|1||{mrn}^^^BENCH^MR||Testpatient^Quentin^R^^Mr^^L||19580317|M\r\
PV1|1|I|4WEST^412^B^BENCH|||||1457382910^Brandvold^Lars^^^Dr^MD^^NPI||||||||||||VN{mrn}^^^BENCH^VN\r\
ORC|RE|ORD{id}^EHR|LAB{id}^LIS||CM||||20261102060500+0000|||1457382910^Brandvold^Lars^^^Dr^MD^^NPI\r\
OBR|1|ORD{id}^EHR|LAB{id}^LIS|24323-8^Comprehensive metabolic panel^LN|||20261102060700+0000||||||||BLD|1457382910^Brandvold^Lars^^^Dr^MD^^NPI||||||20261102061430+0000||CH|F\r\
OBX|1|NM|2345-7^Glucose^LN||104|mg/dL^^UCUM|70-99|H|||F|||20261102060700+0000\r\
OBX|2|NM|3094-0^Urea nitrogen^LN||14|mg/dL^^UCUM|7-20|N|||F|||20261102060700+0000\r\
OBX|3|NM|2160-0^Creatinine^LN||0.92|mg/dL^^UCUM|0.70-1.30|N|||F|||20261102060700+0000\r\
OBX|4|NM|2951-2^Sodium^LN||139|mmol/L^^UCUM|136-145|N|||F|||20261102060700+0000\r\
OBX|5|NM|2823-3^Potassium^LN||4.1|mmol/L^^UCUM|3.5-5.1|N|||F|||20261102060700+0000\r\
OBX|6|NM|2075-0^Chloride^LN||102|mmol/L^^UCUM|98-107|N|||F|||20261102060700+0000\r\
NTE|1|L|Specimen slightly haemolysed; potassium may be raised.\r";

/// Repeated in a large result.
const OBSERVATION: &str =
    "OBX|{set}|NM|2951-2^Sodium^LN||139|mmol/L^^UCUM|136-145|N|||F|||20261102060700+0000\r";
const OBSERVATIONS: usize = 180;

/// Which acknowledgement a message asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// MSH-15 and 16 empty: AA, which says that the content was understood: the mapping judges it before it is stored.
    Original,
    /// MSH-15 AL, MSH-16 NE: CA, which says that the message is stored and no more.
    Enhanced,
}

impl Mode {
    fn apply(self, text: &str) -> String {
        text.replace(
            "{mode}",
            match self {
                Self::Original => "|",
                Self::Enhanced => "AL|NE",
            },
        )
    }

    /// MSA-1 of a message that is accepted.
    pub(crate) const fn accepted(self) -> &'static [u8] {
        match self {
            Self::Original => b"AA|",
            Self::Enhanced => b"CA|",
        }
    }
}

/// A framed message and the places that change from one to the next.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    frame: Vec<u8>,
    ids: Vec<Range<usize>>,
    patients: Vec<Range<usize>>,
}

impl Template {
    /// An admission of 1.5 kB.
    pub(crate) fn adt(mode: Mode) -> Self {
        Self::new(&mode.apply(ADT))
    }

    /// A result with six observations, 1.1 kB.
    pub(crate) fn oru(mode: Mode) -> Self {
        Self::new(&mode.apply(ORU))
    }

    /// A result with 186 observations, 16 kB.
    pub(crate) fn large(mode: Mode) -> Self {
        let observations =
            (7..).take(OBSERVATIONS).map(|set| OBSERVATION.replace("{set}", &format!("{set}")));
        Self::new(&[mode.apply(ORU), observations.collect()].concat())
    }

    fn new(text: &str) -> Self {
        let mut template = Self { frame: vec![0x0B], ids: Vec::new(), patients: Vec::new() };
        for part in text.split_inclusive('}') {
            let (before, places) = if let Some(before) = part.strip_suffix("{id}") {
                (before, &mut template.ids)
            } else if let Some(before) = part.strip_suffix("{mrn}") {
                (before, &mut template.patients)
            } else {
                template.frame.extend_from_slice(part.as_bytes());
                continue;
            };
            template.frame.extend_from_slice(before.as_bytes());
            places.push(template.frame.len()..template.frame.len() + DIGITS);
            template.frame.extend_from_slice(BLANK.as_bytes());
        }
        template.frame.extend_from_slice(b"\x1C\r");
        template
    }

    /// The message without its frame.
    pub(crate) fn message(&self) -> &[u8] {
        &self.frame[1..self.frame.len() - 2]
    }

    /// Length of the message without its frame, in bytes.
    pub(crate) fn message_bytes(&self) -> usize {
        self.message().len()
    }

    /// Makes this the message with that number, about that patient.
    pub(crate) fn stamp(&mut self, id: u64, patient: u64) -> Stamped<'_> {
        for (places, number) in [(&self.ids, id), (&self.patients, patient)] {
            for place in places {
                // A number of more digits than there is room for is cut; it has 10^12 before that happens.
                let _ = write!(&mut self.frame[place.clone()], "{number:012}");
            }
        }
        let id = self.ids.first().cloned().unwrap_or_default();
        Stamped { frame: &self.frame, id: &self.frame[id] }
    }
}

/// A frame ready to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamped<'a> {
    pub(crate) frame: &'a [u8],
    /// MSH-10.
    pub(crate) id: &'a [u8],
}

#[cfg(test)]
mod tests {
    use super::{Mode, Template};

    #[test]
    fn stamps_change_every_place_and_nothing_else() {
        for (mut template, bytes) in [
            (Template::adt(Mode::Original), 1400..1600),
            (Template::adt(Mode::Enhanced), 1400..1600),
            (Template::oru(Mode::Original), 1100..1200),
            (Template::large(Mode::Enhanced), 15_500..16_500),
        ] {
            let blank = template.stamp(0, 0).frame.to_vec();
            let stamped = template.stamp(42, 7);
            assert_eq!(stamped.id, b"000000000042");
            let text = String::from_utf8(stamped.frame.to_vec()).unwrap();
            assert_eq!(text.split('|').nth(9), Some("000000000042"));
            assert!(text.contains("|000000000007^^^BENCH^MR|"), "PID-3");
            assert!(!text.contains('{'), "every place was found");
            let restored = text.replace("000000000042", super::BLANK).replace("000000000007", super::BLANK);
            assert_eq!(restored.as_bytes(), blank);
            assert!(bytes.contains(&template.message_bytes()), "{}", template.message_bytes());
        }
    }
}
