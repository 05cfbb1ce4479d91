//! A frame that holds several messages: which they are, what is wrong around them, and the one answer.
//!
//! Every message is judged, stored and answered as if it had come alone; the answer has the headers and trailers that the
//! batch had. So two messages in a frame without any are answered with two acknowledgements in a frame.

use std::ops::Range;

use waybill_contracts::{MessageId, Timestamp};
use waybill_hl7v2::{
    Dtm,
    batch::{BatchAnswer, BatchSegment, Heading, Part, parts},
};

use super::{
    Reply,
    envelope::{answer_id, hl7_time, sender},
};
use crate::{config::BatchAck, feed::Feed};

/// Most messages of a frame. Far above any batch in use; a frame of nothing but `MSH|` would hold three million.
pub const MAX_MESSAGES: usize = 50_000;

/// The messages of a frame and what is around them.
#[derive(Debug)]
pub struct Layout<'a> {
    /// Made from the whole frame.
    pub id: MessageId,
    /// In their order.
    pub messages: Vec<Entry>,
    files: Vec<File<'a>>,
    batches: Vec<Batch<'a>>,
}

/// One message of a frame.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Where in the frame it stands.
    pub range: Range<usize>,
    batch: usize,
}

/// Where a message stood.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Id of the batch.
    pub id: MessageId,
    /// BHS-11, else FHS-11.
    pub control_id: &'a [u8],
    /// From 0.
    pub index: usize,
}

/// More than [`MAX_MESSAGES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany;

#[derive(Clone, Copy, Debug, Default)]
struct Ends<'a> {
    header: Option<BatchSegment<'a>>,
    trailer: Option<BatchSegment<'a>>,
}

#[derive(Debug, Default)]
struct File<'a> {
    ends: Ends<'a>,
    /// Of the layout's batches.
    batches: Range<usize>,
}

#[derive(Debug, Default)]
struct Batch<'a> {
    ends: Ends<'a>,
    file: usize,
    /// Of the layout's messages.
    messages: Range<usize>,
}

impl Ends<'_> {
    const fn is_there(&self) -> bool {
        self.header.is_some() || self.trailer.is_some()
    }

    const fn is_incomplete(&self) -> bool {
        self.header.is_some() != self.trailer.is_some()
    }

    /// What the trailer says, where it says something else.
    fn says_else(&self, found: usize) -> bool {
        self.trailer.and_then(|trailer| trailer.count()).is_some_and(|said| said != Ok(found))
    }
}

impl<'a> Layout<'a> {
    /// Splits a frame; `id` is derived from its SHA-256 like a message's.
    ///
    /// # Errors
    /// When there are too many messages.
    pub fn read(feed: &Feed, frame: &'a [u8], sha256: &[u8; 32]) -> Result<Self, TooMany> {
        let mut layout =
            Self { id: MessageId::from_bytes([0; 16]), messages: vec![], files: vec![], batches: vec![] };
        let (mut in_file, mut in_batch) = (false, false);
        for part in parts(frame) {
            match part {
                Part::FileHeader(segment) => {
                    layout.begin_file(Some(segment));
                    (in_file, in_batch) = (true, false);
                }
                Part::BatchHeader(segment) => {
                    in_file |= layout.ensure_file(in_file);
                    layout.begin_batch(Some(segment));
                    in_batch = true;
                }
                Part::Message(range) | Part::Stray(range) => {
                    if layout.messages.len() == MAX_MESSAGES {
                        return Err(TooMany);
                    }
                    in_file |= layout.ensure_file(in_file);
                    in_batch |= layout.ensure_batch(in_batch);
                    layout.messages.push(Entry { range, batch: layout.batches.len() - 1 });
                    if let Some(batch) = layout.batches.last_mut() {
                        batch.messages.end += 1;
                    }
                }
                Part::BatchTrailer(segment) => {
                    in_file |= layout.ensure_file(in_file);
                    layout.ensure_batch(in_batch);
                    if let Some(batch) = layout.batches.last_mut() {
                        batch.ends.trailer = Some(segment);
                    }
                    in_batch = false;
                }
                Part::FileTrailer(segment) => {
                    layout.ensure_file(in_file);
                    if let Some(file) = layout.files.last_mut() {
                        file.ends.trailer = Some(segment);
                    }
                    (in_file, in_batch) = (false, false);
                }
            }
        }
        layout.id = layout.derive_id(feed, sha256);
        Ok(layout)
    }

    fn begin_file(&mut self, header: Option<BatchSegment<'a>>) {
        let at = self.batches.len();
        self.files.push(File { ends: Ends { header, trailer: None }, batches: at..at });
    }

    fn ensure_file(&mut self, is_open: bool) -> bool {
        if !is_open {
            self.begin_file(None);
        }
        true
    }

    fn begin_batch(&mut self, header: Option<BatchSegment<'a>>) {
        let (file, at) = (self.files.len() - 1, self.messages.len());
        self.batches.push(Batch { ends: Ends { header, trailer: None }, file, messages: at..at });
        self.files[file].batches.end += 1;
    }

    fn ensure_batch(&mut self, is_open: bool) -> bool {
        if !is_open {
            self.begin_batch(None);
        }
        true
    }

    /// The first header there is, BHS before FHS.
    fn header(&self) -> Option<BatchSegment<'a>> {
        let of_batch = self.batches.iter().find_map(|batch| batch.ends.header);
        of_batch.or_else(|| self.files.iter().find_map(|file| file.ends.header))
    }

    fn derive_id(&self, feed: &Feed, sha256: &[u8; 32]) -> MessageId {
        let Some(header) = self.header() else {
            return MessageId::derive_hashed(&feed.name, "", None, sha256);
        };
        let sent_at = Dtm::parse(header.header_field(7).component(1).raw());
        let sent_at = sent_at.and_then(|dtm| dtm.unix_millis(Some(0))).map(Timestamp::from_millis);
        let sender = sender(header.header_field(3).raw(), header.header_field(4).raw());
        MessageId::derive_hashed(&feed.name, &sender, sent_at, sha256)
    }

    /// Where the message with this index stands.
    pub fn place(&self, index: usize) -> Place<'a> {
        let batch = &self.batches[self.messages[index].batch];
        let control_id = |ends: &Ends<'a>| {
            ends.header.map(|header| header.header_field(11).raw()).filter(|id| !id.is_empty())
        };
        let control_id = control_id(&batch.ends).or_else(|| control_id(&self.files[batch.file].ends));
        Place { id: self.id, control_id: control_id.unwrap_or_default(), index }
    }

    /// BHS-12, else FHS-12: the batch that this one corrects.
    pub fn corrects(&self) -> Option<&'a [u8]> {
        self.header().map(|header| header.header_field(12).raw()).filter(|id| !id.is_empty())
    }

    /// What is wrong around the message with this index, as codes of the record.
    pub fn warnings(&self, index: usize) -> Vec<&'static str> {
        let batch = &self.batches[self.messages[index].batch];
        let file = &self.files[batch.file];
        let mut codes = Vec::new();
        let mut note = |is_so: bool, code| codes.extend(is_so.then_some(code));
        note(batch.ends.says_else(batch.messages.len()), "BATCH_COUNT_MISMATCH");
        note(batch.ends.is_incomplete(), "BATCH_INCOMPLETE");
        note(file.ends.says_else(file.batches.len()), "FILE_COUNT_MISMATCH");
        note(file.ends.is_incomplete(), "FILE_INCOMPLETE");
        note(!batch.ends.is_there() && !file.ends.is_there(), "SEVERAL_MESSAGES_IN_FRAME");
        codes
    }

    /// The answer to the frame, from the replies to its messages. `received_at` is when it came first.
    pub fn answer(&self, replies: &[Reply], content: BatchAck, received_at: Timestamp) -> Reply {
        let has_ack = replies.iter().any(|reply| reply.code().is_some());
        let is_closed = replies.contains(&Reply::Close);
        let is_bare = !self.files.iter().any(|file| file.ends.is_there())
            && !self.batches.iter().any(|batch| batch.ends.is_there());
        if !has_ack && is_closed {
            return Reply::Close;
        }
        // Acknowledgements, or messages whose senders want no answer; an empty batch gets an empty one.
        if !has_ack && (is_bare || !replies.is_empty()) {
            return Reply::NotOwed;
        }
        let (control_id, timestamp) = (answer_id(self.id), hl7_time(received_at));
        let heading = Heading { timestamp: &timestamp, comment: "", control_id: &control_id };
        let mut answer = BatchAnswer::default();
        for file in &self.files {
            if file.ends.is_there() {
                let comment = mismatch("FTS", &file.ends, file.batches.len(), "batches");
                answer.file_header(file.ends.header.as_ref(), Heading { comment: &comment, ..heading });
            }
            for batch in &self.batches[file.batches.clone()] {
                let replies = &replies[batch.messages.clone()];
                if batch.ends.is_there() {
                    let mismatch = mismatch("BTS", &batch.ends, batch.messages.len(), "messages");
                    let lost = replies.iter().filter(|reply| **reply == Reply::Close).count();
                    let lost = (lost > 0).then(|| format!("{lost} without a usable MSH were refused"));
                    let said: Vec<_> = [Some(mismatch).filter(|said| !said.is_empty()), lost]
                        .into_iter()
                        .flatten()
                        .collect();
                    let comment = said.join("; ");
                    answer.batch_header(batch.ends.header.as_ref(), Heading { comment: &comment, ..heading });
                }
                for reply in replies {
                    if let Reply::Ack { code, bytes } = reply
                        && !(content == BatchAck::Errors && code.is_positive())
                    {
                        answer.message(bytes);
                    }
                }
                answer.batch_end();
            }
            answer.file_end();
        }
        let bytes = answer.into_bytes();
        let worst = replies.iter().filter_map(Reply::code).find(|code| !code.is_positive());
        let code = worst.or_else(|| replies.iter().find_map(Reply::code));
        match (bytes.is_empty(), code) {
            (true, _) => Reply::NotOwed,
            (false, code) => Reply::Ack { code: code.unwrap_or(waybill_hl7v2::ack::AckCode::AA), bytes },
        }
    }
}

fn mismatch(trailer: &str, ends: &Ends<'_>, found: usize, what: &str) -> String {
    match ends.trailer.and_then(|segment| segment.count()) {
        Some(Ok(said)) if said != found => format!("{trailer}-1 says {said}, {found} {what} were found"),
        Some(Err(())) => format!("{trailer}-1 is no number, {found} {what} were found"),
        _ => String::new(),
    }
}
