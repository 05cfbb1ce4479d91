//! Batch files: many messages under one header (HL7 v2.9.1 §2.10.3).

use super::Generated;

/// The messages as one file: FHS and BHS before them, BTS and FTS with their counts behind.
///
/// The headers have the sender of the first message; `id` goes into FHS-11 and BHS-11.
pub fn batch(messages: &[Generated], id: &str) -> Vec<u8> {
    let (application, facility) =
        messages.first().map_or(("EHR", "GENHOSP"), |message| message.feed.sender());
    let header = |name: &str| {
        format!("{name}|^~\\&|{application}|{facility}|WAYBILL|HUB|20261102060000||||{id}\r").into_bytes()
    };
    let mut file = [header("FHS"), header("BHS")].concat();
    for message in messages {
        file.extend_from_slice(&message.bytes);
    }
    file.extend_from_slice(format!("BTS|{}\rFTS|1\r", messages.len()).as_bytes());
    file
}

#[cfg(test)]
mod tests {
    use super::batch;
    use crate::generate::{GenerateConfig, Generator};

    #[test]
    fn a_batch_is_its_messages_between_headers_and_counts() {
        let messages: Vec<_> = Generator::new(GenerateConfig::new(5, 3)).collect();
        let file = batch(&messages, "B1");
        let inside: Vec<u8> = messages.iter().flat_map(|message| message.bytes.clone()).collect();
        assert!(file.starts_with(b"FHS|^~\\&|"));
        assert!(file.ends_with(b"BTS|3\rFTS|1\r"));
        assert!(file.windows(inside.len()).any(|window| window == inside));
    }
}
