//! Two independent parsers read the public samples too. Where they differ from this crate, a rule says why, and applying
//! that rule to the input makes the difference go away; what no rule explains fails.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "tests, which say what they compared")]

use std::borrow::Cow;
use std::collections::BTreeMap;

use waybill_hl7v2::escape::{Formatting, unescape};
use waybill_hl7v2::{Message, ParseErrorReason, WarningKind};

#[path = "support/corpora.rs"]
mod corpora;

/// Where a leaf stands: field, repetition, component, subcomponent.
type Place = [usize; 4];

/// What a parser makes of a message: per segment the name and every leaf that was sent, raw and as text. MSH-1 and MSH-2 of
/// the header are compared as leaves, too.
#[derive(Debug, PartialEq, Eq, Clone)]
struct Segment {
    name: String,
    leaves: Vec<(Place, String)>,
}

#[derive(Debug, PartialEq, Eq, Clone, Copy, PartialOrd, Ord)]
enum Rule {
    // --- structure
    /// A line feed ends a segment for them. Here it does so only where the sender ends segments with it or a segment
    /// follows; otherwise it is data that must not be lost (healthcare.md §1.4: bytes are kept).
    LineFeedIsData,
    /// They drop lines of blanks, or (hl7kit) trim blanks at the ends of segments. Here a blank is data.
    BlanksAreData,
    // --- refusals
    /// hl7kit refuses a segment whose name is not three letters or digits; here it is a warning (§2.5.2: ignore what is
    /// unexpected).
    NameIsTolerated,
    /// They fall back to standard delimiters, or let any character be one; here delimiters that cannot work are refused.
    DelimitersAreChecked,
    /// hl7kit numbers the fields of a second MSH, FHS or BHS as if MSH-1 were none.
    EveryHeaderHasDelimiters,
    /// A batch header begins no message here.
    BatchIsNoMessage,
    // --- text
    /// er7 gives `""` as empty text; here null is no text.
    NullIsNoText,
    /// hl7kit turns `\.br\` into a line feed on every reading; here only where plain text is asked for.
    FormattingIsKept,
    /// `\P\` stands for the truncation character where MSH-2 declares one (v2.7); they do not know it.
    TruncationIsKnown,
    /// In `C:\temp\F\x` they take `\temp\` for a sequence and miss `\F\`. Here what is no sequence takes only its first
    /// character, so the next sequence is found.
    UnknownTakesNothing,
    /// They read `\Xdd..\` as UTF-8 with replacement characters; here they are bytes, decoded with the value.
    HexIsBytes,
}

#[derive(Default)]
struct Tally {
    rules: BTreeMap<Rule, usize>,
    messages: usize,
    segments: usize,
    leaves: usize,
}

impl Tally {
    fn note(&mut self, rule: Rule) {
        *self.rules.entry(rule).or_default() += 1;
    }
}

/// A second parser.
trait Peer {
    fn tree(text: &str) -> Result<Vec<Segment>, String>;
    /// The text of a leaf.
    fn text(message: &str, place: &[usize; 5]) -> String;
    /// What this parser does to a line before it looks at it.
    fn line(line: &str) -> &str;
    /// Whether it takes MSH-1 and MSH-2 of this segment for what they are.
    fn reads_header(index: usize) -> bool;
    /// The rule by which it refuses a message that is accepted here.
    fn refusal(text: &str) -> Option<Rule>;
}

struct Hl7kit;
struct Er7;

impl Peer for Hl7kit {
    fn tree(text: &str) -> Result<Vec<Segment>, String> {
        let message = hl7kit::Message::parse(text).map_err(|error| error.to_string())?;
        let segments = message.segments().map(|segment| {
            let mut leaves = Vec::new();
            for field in segment.fields() {
                for repetition in field.repetitions() {
                    for component in repetition.components() {
                        for number in 1..=component.subcomponent_count() {
                            let value = component.subcomponent(number).unwrap().value();
                            let place = [field.number(), repetition.index(), component.index(), number];
                            leaves.push((place, value.to_owned()));
                        }
                    }
                }
            }
            segment_of(segment.name(), leaves)
        });
        Ok(segments.collect())
    }

    fn text(message: &str, [segment, field, repetition, component, subcomponent]: &[usize; 5]) -> String {
        let message = hl7kit::Message::parse(message).unwrap();
        let field = message.segment_at(*segment).unwrap().field(*field).unwrap();
        let component = field.repetition(*repetition).unwrap().component(*component).unwrap();
        component.subcomponent(*subcomponent).unwrap().decoded().into_owned()
    }

    fn line(line: &str) -> &str {
        line.trim_matches(|character: char| {
            character.is_ascii_whitespace() || matches!(character, '\u{b}' | '\u{1c}')
        })
    }

    fn reads_header(index: usize) -> bool {
        index == 0
    }

    fn refusal(text: &str) -> Option<Rule> {
        let message = Message::parse(text.as_bytes()).unwrap();
        let names = message
            .segments()
            .all(|segment| segment.name().len() == 3 && segment.name().iter().all(u8::is_ascii_alphanumeric));
        (!names).then_some(Rule::NameIsTolerated)
    }
}

impl Peer for Er7 {
    fn tree(text: &str) -> Result<Vec<Segment>, String> {
        let message = er7::parse(text).map_err(|error| error.to_string())?;
        let segments = message.segments.iter().map(|segment| {
            let mut leaves = Vec::new();
            for (field, value) in segment.fields.iter().enumerate() {
                for (repetition, value) in value.repetitions.iter().enumerate() {
                    for (component, value) in value.components.iter().enumerate() {
                        for (subcomponent, value) in value.subcomponents.iter().enumerate() {
                            let place = [field + 1, repetition + 1, component + 1, subcomponent + 1];
                            leaves.push((place, value.raw.clone()));
                        }
                    }
                }
            }
            segment_of(&segment.name, leaves)
        });
        Ok(segments.collect())
    }

    fn text(message: &str, [segment, field, repetition, component, subcomponent]: &[usize; 5]) -> String {
        let message = er7::parse(message).unwrap();
        let field = message.segments[*segment].field(*field).unwrap();
        let component = field.repetition(*repetition).unwrap().component(*component).unwrap();
        component.subcomponent(*subcomponent).unwrap().value(&message.separators).into_owned()
    }

    fn line(line: &str) -> &str {
        if line.trim().is_empty() { "" } else { line }
    }

    fn reads_header(_: usize) -> bool {
        true
    }

    fn refusal(_: &str) -> Option<Rule> {
        None
    }
}

fn segment_of(name: &str, leaves: Vec<(Place, String)>) -> Segment {
    let sent = leaves.into_iter().filter(|(_, raw)| !raw.is_empty());
    Segment { name: name.to_owned(), leaves: sent.collect() }
}

fn own_tree(message: &Message<'_>) -> Vec<Segment> {
    let owned = |raw: &[u8]| String::from_utf8(raw.to_vec()).unwrap();
    let segments = message.segments().map(|segment| {
        let mut leaves = Vec::new();
        for (field, value) in segment.fields().enumerate() {
            for (repetition, value) in value.repetitions().enumerate() {
                for (component, value) in value.components().enumerate() {
                    for (subcomponent, value) in value.subcomponents().enumerate() {
                        let place = [field + 1, repetition + 1, component + 1, subcomponent + 1];
                        leaves.push((place, owned(value.raw())));
                    }
                }
            }
        }
        segment_of(&owned(segment.name()), leaves)
    });
    segments.collect()
}

fn compare<P: Peer>(name: &str, text: &str, tally: &mut Tally) {
    let own = Message::parse(text.as_bytes());
    let theirs = P::tree(text);
    let (own, theirs) = match (own, theirs) {
        (Err(_), Err(_)) => return,
        (Err(error), Ok(_)) => {
            let rule = match error.reason {
                ParseErrorReason::Batch => Rule::BatchIsNoMessage,
                // The last one: a header cut off inside MSH-2, which a fallback hides.
                ParseErrorReason::InvalidDelimiter
                | ParseErrorReason::DuplicateDelimiter
                | ParseErrorReason::EncodingCharacterCount
                | ParseErrorReason::TruncatedMsh => Rule::DelimitersAreChecked,
                reason => panic!("{name}: refused only here: {reason:?}"),
            };
            return tally.note(rule);
        }
        (Ok(_), Err(error)) => {
            let rule = P::refusal(text).unwrap_or_else(|| panic!("{name}: refused only there: {error}"));
            return tally.note(rule);
        }
        (Ok(own), Ok(theirs)) => (own, theirs),
    };
    let mut tree = own_tree(&own);
    let mut input = Cow::Borrowed(text);
    if tree != theirs {
        // Their rules about lines, applied to the input.
        let ends = text.replace("\r\n", "\r").replace('\n', "\r");
        if own.warnings().iter().any(|warning| warning.kind == WarningKind::LineFeedInData) {
            tally.note(Rule::LineFeedIsData);
        }
        let lines: Vec<_> = ends.split('\r').map(P::line).filter(|line| !line.is_empty()).collect();
        if lines.len() != ends.split('\r').filter(|line| !line.is_empty()).count()
            || lines.concat().len() != ends.replace('\r', "").len()
        {
            tally.note(Rule::BlanksAreData);
        }
        input = Cow::Owned(lines.join("\r"));
        tree = own_tree(&Message::parse(input.as_bytes()).unwrap());
    }
    assert_eq!(tree.len(), theirs.len(), "{name}: number of segments");
    for (index, (own, theirs)) in tree.iter_mut().zip(theirs).enumerate() {
        if *own == theirs {
            continue;
        }
        let headed = matches!(own.name.as_str(), "MSH" | "FHS" | "BHS");
        assert!(headed && !P::reads_header(index), "{name}: segment {index}, {}", own.name);
        tally.note(Rule::EveryHeaderHasDelimiters);
        own.leaves.clear();
    }
    tally.messages += 1;
    let delimiters = *Message::parse(input.as_bytes()).unwrap().delimiters();
    let escape = char::from(delimiters.escape());
    for (index, segment) in tree.iter().enumerate() {
        tally.segments += 1;
        tally.leaves += segment.leaves.len();
        for ([field, repetition, component, subcomponent], raw) in &segment.leaves {
            let header = segment.name == "MSH" && *field <= 2;
            if header || !(raw.contains(escape) || raw == "\"\"") {
                continue;
            }
            let own = unescape(raw.as_bytes(), &delimiters, Formatting::Keep);
            let theirs = P::text(&input, &[index, *field, *repetition, *component, *subcomponent]);
            if *own != *theirs.as_bytes() {
                let rule = text_rule(raw, escape, &theirs);
                tally.note(rule.unwrap_or_else(|| panic!("{name}: text of {}-{field}", segment.name)));
            }
        }
    }
}

/// Why the text of a leaf differs.
fn text_rule(raw: &str, escape: char, theirs: &str) -> Option<Rule> {
    let bodies: Vec<&str> = raw.split(escape).collect();
    let between = bodies.get(1..bodies.len() - 1).unwrap_or_default();
    let known = |body: &&str| matches!(*body, "F" | "S" | "T" | "R" | "E" | "H" | "N" | ".br");
    if raw == "\"\"" {
        Some(Rule::NullIsNoText)
    } else if theirs.contains('\u{fffd}') {
        Some(Rule::HexIsBytes)
    } else if between.contains(&".br") && theirs.contains('\n') {
        Some(Rule::FormattingIsKept)
    } else if between.contains(&"P") {
        Some(Rule::TruncationIsKnown)
    } else if between.len() > 1 && !between.iter().all(known) {
        Some(Rule::UnknownTakesNothing)
    } else {
        None
    }
}

/// The bytes as text: where they are no UTF-8, each byte as the character of its number, which keeps the structure.
fn text_of(bytes: &[u8]) -> String {
    std::str::from_utf8(bytes)
        .map_or_else(|_| bytes.iter().map(|byte| char::from(*byte)).collect(), str::to_owned)
}

/// Samples that show each rule, so that it is tried without the corpora, too.
const SAMPLES: &[&str] = &[
    "MSH|^~\\&|A|B\rPID|1||x~y^z&w||\"\"\rOBX|1|TX|||a\\T\\b\\X41\\",
    "MSH|^~\\&#|A|B\rNTE|1||a\\P\\b",
    "MSH|^~\\&|A|B\rNTE|1||one\ntwo|x\rOBX|1",
    "MSH|^~\\&|A|B\rNTE|1||blank  \r   \rOBX|1",
    "MSH|^~\\&|A|B\rZ|1\rOBX|1",
    "MSH|^|A|B\rOBX|1",
    "BHS|^~\\&|A|B\rMSH|^~\\&|A",
    "MSH|^~\\&|A|B\rNTE|1||one\\.br\\two|C:\\temp\\F\\x|\\XE4\\",
    "MSH!@%*+#!A!B\rNTE!1!!a%b@c+d*F*",
    "MSH|^~|A|B\rNTE|1||a^b~c&d",
    "MSH|^~\\&|A|B\rMSH|^~\\&|C|D",
];

fn run<P: Peer>(expected: &[Rule]) {
    let mut tally = Tally::default();
    for (number, sample) in SAMPLES.iter().enumerate() {
        compare::<P>(&format!("sample {number}"), sample, &mut tally);
    }
    assert_eq!(tally.rules.keys().copied().collect::<Vec<_>>(), expected, "rules the samples show");
    for (path, bytes) in &corpora::hl7v2_files() {
        for (number, message) in corpora::messages(bytes).iter().enumerate() {
            compare::<P>(&format!("{}#{number}", path.display()), &text_of(message), &mut tally);
        }
    }
    eprintln!(
        "{} messages, {} segments, {} leaves alike; {:?}",
        tally.messages, tally.segments, tally.leaves, tally.rules
    );
}

#[test]
fn hl7kit_reads_the_samples_alike() {
    use Rule::*;
    run::<Hl7kit>(&[
        LineFeedIsData,
        BlanksAreData,
        NameIsTolerated,
        DelimitersAreChecked,
        EveryHeaderHasDelimiters,
        FormattingIsKept,
        TruncationIsKnown,
        UnknownTakesNothing,
        HexIsBytes,
    ]);
}

#[test]
fn er7_reads_the_samples_alike() {
    use Rule::*;
    run::<Er7>(&[
        LineFeedIsData,
        BlanksAreData,
        DelimitersAreChecked,
        BatchIsNoMessage,
        NullIsNoText,
        TruncationIsKnown,
        UnknownTakesNothing,
        HexIsBytes,
    ]);
}
