//! Writing the acknowledgement of a batch (HL7 v2 §2.10.3.3): a batch of the acknowledgements of its messages.

use super::BatchSegment;
use crate::{
    Delimiters,
    escape::{Formatting, escape},
};

/// The acknowledgement of a batch while it is written, in the order of what it answers.
#[derive(Debug, Default)]
pub struct BatchAnswer {
    bytes: Vec<u8>,
    separators: [Option<u8>; 2],
    messages: usize,
    batches: usize,
}

/// What is said in a header of the answer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Heading<'a> {
    /// FHS-7, BHS-7, as HL7 text.
    pub timestamp: &'a str,
    /// FHS-10, BHS-10, for the sender's staff. No patient data.
    pub comment: &'a str,
    /// FHS-11, BHS-11 of the answer itself.
    pub control_id: &'a str,
}

impl BatchAnswer {
    /// FHS, answering `received`; `None` where only the trailer came.
    pub fn file_header(&mut self, received: Option<&BatchSegment<'_>>, heading: Heading<'_>) {
        self.separators[0] = Some(self.header(b"FHS", received, heading));
        self.batches = 0;
    }

    /// BHS, answering `received`; `None` where only the trailer came.
    pub fn batch_header(&mut self, received: Option<&BatchSegment<'_>>, heading: Heading<'_>) {
        self.separators[1] = Some(self.header(b"BHS", received, heading));
        self.messages = 0;
    }

    /// The acknowledgement of a message: complete segments.
    pub fn message(&mut self, acknowledgement: &[u8]) {
        self.bytes.extend_from_slice(acknowledgement);
        self.messages += 1;
    }

    /// The end of a batch: BTS where there is a BHS.
    pub fn batch_end(&mut self) {
        self.batches += 1;
        self.trailer(1, b"BTS", self.messages);
    }

    /// The end of a file: FTS where there is an FHS.
    pub fn file_end(&mut self) {
        self.trailer(0, b"FTS", self.batches);
    }

    /// The segments.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Parties change places; the reference control id is the received control id.
    fn header(&mut self, name: &[u8], received: Option<&BatchSegment<'_>>, heading: Heading<'_>) -> u8 {
        let usable = received.and_then(|received| Some((received, received.delimiters()?)));
        let delimiters = usable.map_or_else(Delimiters::default, |(_, delimiters)| delimiters);
        let field = |number| usable.map_or(&b""[..], |(received, _)| received.header_field(number).raw());
        let encoding_characters = match field(2) {
            b"" => b"^~\\&",
            sent => sent,
        };
        let text = |value: &str| escape(value.as_bytes(), &delimiters, Formatting::Plain).into_owned();
        let (timestamp, comment, control_id) =
            (text(heading.timestamp), text(heading.comment), text(heading.control_id));
        let fields: [&[u8]; 11] = [
            encoding_characters,
            field(5),
            field(6),
            field(3),
            field(4),
            &timestamp,
            b"",
            b"",
            &comment,
            &control_id,
            field(11),
        ];
        self.segment(name, &fields, delimiters.field());
        delimiters.field()
    }

    fn trailer(&mut self, level: usize, name: &[u8], count: usize) {
        if let Some(separator) = self.separators[level].take() {
            self.segment(name, &[count.to_string().as_bytes()], separator);
        }
    }

    fn segment(&mut self, name: &[u8], fields: &[&[u8]], separator: u8) {
        self.bytes.extend_from_slice(name);
        crate::ack::put_fields(&mut self.bytes, fields, separator);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{Part, parts};

    #[test]
    fn the_answer_mirrors_headers_parties_and_control_ids() {
        let input = b"FHS|^~\\&|EHR|GH|HUB|W|2026||||F-1\rBHS!@%$*!EHR!GH!HUB!W!2026!!!!B-1\r";
        let found: Vec<_> = parts(input).collect();
        let [Part::FileHeader(file), Part::BatchHeader(batch)] = found[..] else { panic!("{found:?}") };
        let heading = Heading { timestamp: "20260102+0000", comment: "a|b", control_id: "A" };
        let mut answer = BatchAnswer::default();
        answer.file_header(Some(&file), heading);
        answer.batch_header(Some(&batch), Heading { comment: "", ..heading });
        answer.message(b"MSH|x\rMSA|AA|1\r");
        answer.message(b"MSH|x\rMSA|AE|2\r");
        answer.batch_end();
        answer.batch_header(None, Heading::default());
        answer.batch_end();
        answer.file_end();
        let expected = "FHS|^~\\&|HUB|W|EHR|GH|20260102+0000|||a\\F\\b|A|F-1\r\
            BHS!@%$*!HUB!W!EHR!GH!20260102+0000!!!!A!B-1\rMSH|x\rMSA|AA|1\rMSH|x\rMSA|AE|2\rBTS!2\r\
            BHS|^~\\&\rBTS|0\rFTS|2\r";
        assert_eq!(String::from_utf8(answer.into_bytes()).unwrap(), expected);
    }

    #[test]
    fn without_headers_there_are_no_trailers() {
        let mut answer = BatchAnswer::default();
        answer.message(b"MSH|x\r");
        answer.batch_end();
        answer.file_end();
        assert_eq!(answer.into_bytes(), b"MSH|x\r");
    }
}
