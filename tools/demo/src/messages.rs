//! What is sent.

use std::{collections::BTreeMap, path::Path};

use waybill_simulator::{
    folder,
    generate::{Feed, GenerateConfig, Generated, Generator, Kind},
    send::Outgoing,
};

/// One message to be sent.
#[derive(Clone, Debug)]
pub struct Letter {
    /// `ehr`, `lis` or `fhir`.
    pub feed: &'static str,
    /// The bytes and where they came from.
    pub outgoing: Outgoing,
    /// What it is; unknown for the user's own messages.
    pub kind: Option<Kind>,
    /// Filler order number of a result.
    pub filler_order: Option<String>,
    /// A result that is final or corrected.
    pub released: bool,
    /// Of a FHIR Bundle: how many resources of each type it brings.
    pub resources: BTreeMap<&'static str, usize>,
}

/// Names of the feeds: the EHR and the laboratory over MLLP, the clinic's FHIR over HTTP.
pub const FEEDS: [&str; 3] = ["ehr", "lis", FHIR];
/// The feed over HTTP.
pub const FHIR: &str = "fhir";
/// Share of FHIR Bundles: each holds what would be a dozen HL7 v2 messages.
const FHIR_SHARE: f64 = 0.07;

/// The traffic of a seeded hospital.
pub fn generated(seed: u64, count: usize) -> Vec<Letter> {
    let config = GenerateConfig { fhir_share: FHIR_SHARE, ..GenerateConfig::new(seed, count) };
    Generator::new(config).map(Letter::from).collect()
}

impl Letter {
    /// A message of which nothing is known.
    pub fn unknown(feed: &'static str, outgoing: Outgoing) -> Self {
        Self { feed, outgoing, kind: None, filler_order: None, released: false, resources: BTreeMap::new() }
    }
}

/// How many of each sort, for people.
pub fn summary(letters: &[Letter]) -> String {
    let mut sorts = BTreeMap::<&str, usize>::new();
    for letter in letters {
        *sorts.entry(sort(letter.kind)).or_default() += 1;
    }
    let sorts: Vec<_> = sorts.iter().map(|(sort, count)| format!("{count} {sort}")).collect();
    sorts.join(", ")
}

fn sort(kind: Option<Kind>) -> &'static str {
    match kind {
        Some(Kind::Adt) => "ADT",
        Some(Kind::Appointment) => "scheduling (SIU)",
        Some(Kind::Order) => "orders (ORM, OML)",
        Some(Kind::Charge) => "charges (DFT)",
        Some(Kind::Result) => "results (ORU)",
        Some(Kind::Bundle) => "FHIR Bundles",
        Some(Kind::NoDestination) => "that nobody wants",
        Some(Kind::MissingControlId | Kind::MissingPatient | Kind::BrokenBundle) => "to be refused",
        None => "of yours",
    }
}

impl From<Generated> for Letter {
    fn from(generated: Generated) -> Self {
        Self {
            feed: match generated.feed {
                Feed::Ehr => "ehr",
                Feed::Lis => "lis",
                Feed::Fhir => FHIR,
            },
            kind: Some(generated.expect.kind),
            filler_order: generated.filler_order.clone(),
            released: matches!(generated.result_status, Some("F" | "C")),
            resources: generated.resources.clone(),
            outgoing: Outgoing::from(generated),
        }
    }
}

/// The messages of a folder, and the names of the files that hold none, or answers only. FHIR goes to the feed over HTTP, results to the
/// laboratory's, all else to the EHR's; a file or batch with many messages is sent message by message.
pub fn from_folder(path: &Path) -> anyhow::Result<(Vec<Letter>, Vec<String>)> {
    let (mut letters, mut skipped) = (Vec::new(), Vec::new());
    for outgoing in folder::read(path, true)? {
        if outgoing.is_fhir() {
            letters.push(Letter::unknown(FHIR, outgoing));
            continue;
        }
        // Nobody answers an answer.
        if !has_header(&outgoing.bytes) || is_response(&outgoing.bytes) {
            skipped.push(outgoing.source.unwrap_or_default());
            continue;
        }
        let message_type = field(&outgoing.bytes, 8).unwrap_or_default();
        let feed = if message_type.starts_with(b"ORU") { "lis" } else { "ehr" };
        letters.push(Letter::unknown(feed, outgoing));
    }
    Ok((letters, skipped))
}

/// Whether there is a header that an acknowledgement could be made from: MSH, a separator, encoding characters.
/// Without one a receiver can only close the connection.
fn has_header(message: &[u8]) -> bool {
    message
        .windows(5)
        .any(|window| window.starts_with(b"MSH") && window[3..].iter().all(u8::is_ascii_punctuation))
}

fn is_response(message: &[u8]) -> bool {
    field(message, 8).is_some_and(|kind| kind.starts_with(b"ACK"))
        || message.windows(5).any(|window| window == b"\rMSA|")
}

/// The field of the first segment behind so many separators, as bytes; MSH-9 is behind 8.
pub(crate) fn field(message: &[u8], behind: usize) -> Option<&[u8]> {
    let start = message.windows(3).position(|window| window == b"MSH")?;
    let header = message[start..].split(|byte| *byte == b'\r').next()?;
    let separator = *header.get(3)?;
    header.split(|byte| *byte == separator).nth(behind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_the_message_s_own_separator() {
        assert_eq!(field(b"MSH#^~\\&#A#B#C#D#1##ADT^A01#7\rPID#", 8), Some(&b"ADT^A01"[..]));
        assert_eq!(field(b"\xef\xbb\xbfMSH|^~\\&|A|B|C|D|1||ADT^A01|7\r", 9), Some(&b"7"[..]));
        assert_eq!(field(b"no message", 9), None);
        assert!(has_header(b"MSH|^~\\&|") && !has_header(b"MSH|\rPID|1") && !has_header(b"PID|1"));
    }

    #[test]
    fn the_same_seed_gives_the_same_letters() {
        let bytes =
            |seed| generated(seed, 40).into_iter().map(|letter| letter.outgoing.bytes).collect::<Vec<_>>();
        assert_eq!(bytes(7), bytes(7));
        assert_ne!(bytes(7), bytes(8));
    }
}
