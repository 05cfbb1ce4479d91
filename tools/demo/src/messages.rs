//! What is sent.

use std::path::Path;

use waybill_simulator::{
    folder,
    generate::{Feed, GenerateConfig, Generated, Generator, Kind},
    send::Outgoing,
};

/// One message to be sent.
#[derive(Clone, Debug)]
pub struct Letter {
    /// `ehr` or `lis`.
    pub feed: &'static str,
    /// The bytes and where they came from.
    pub outgoing: Outgoing,
    /// What it is; unknown for the user's own messages.
    pub kind: Option<Kind>,
    /// Filler order number of a result.
    pub filler_order: Option<String>,
    /// A result that is final or corrected.
    pub released: bool,
}

/// Names of the feeds.
pub const FEEDS: [&str; 2] = ["ehr", "lis"];

/// The traffic of a seeded hospital.
pub fn generated(seed: u64, count: usize) -> Vec<Letter> {
    Generator::new(GenerateConfig::new(seed, count)).map(Letter::from).collect()
}

impl From<Generated> for Letter {
    fn from(generated: Generated) -> Self {
        Self {
            feed: match generated.feed {
                Feed::Ehr => "ehr",
                Feed::Lis => "lis",
            },
            kind: Some(generated.expect.kind),
            filler_order: generated.filler_order.clone(),
            released: matches!(generated.result_status, Some("F" | "C")),
            outgoing: Outgoing::from(generated),
        }
    }
}

/// The messages of a folder, and the names of the files that hold none. Results go to the laboratory's feed, all else
/// to the EHR's; a file or batch with many messages is sent message by message.
pub fn from_folder(path: &Path) -> anyhow::Result<(Vec<Letter>, Vec<String>)> {
    let (mut letters, mut skipped) = (Vec::new(), Vec::new());
    for outgoing in folder::read(path, true)? {
        if !has_header(&outgoing.bytes) {
            skipped.push(outgoing.source.unwrap_or_default());
            continue;
        }
        let message_type = field(&outgoing.bytes, 8).unwrap_or_default();
        let feed = if message_type.starts_with(b"ORU") { "lis" } else { "ehr" };
        letters.push(Letter { feed, outgoing, kind: None, filler_order: None, released: false });
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
