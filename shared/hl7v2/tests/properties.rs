//! Nothing panics and no byte is lost, whatever comes in.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::fmt::Write;

use proptest::collection::vec;
use proptest::prelude::*;
use waybill_hl7v2::escape::{Formatting, escape, unescape};
use waybill_hl7v2::{
    Charset, Delimiters, Dtm, Header, Index, Message, MessageBuilder, Path, State, edit, path,
};

#[path = "support/exercise.rs"]
mod exercise;
use exercise::exercise;

const ORU: &[u8] =
    b"MSH|^~\\&#|LAB^1.2.3^ISO|F|HUB|H|20240131101500-0500||ORU^R01^ORU_R01|C-1|P|2.5.1|||AL|NE||8859/1\r\
PID|1||17^^^HOSP&1.2&ISO^MR~4^^^SSA^SS||M\xfcller^Anna||19800229|F\rNTE|1||C:\\temp \\.br\\ \\X41\\ \\T\\\r\
ZB1|\"\"|x&y&&|~~a\rOBX|1|NM|718-7^Hb^LN||7.2|g/dL|||||F\r";

/// Bytes in which delimiters are frequent.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        3 => prop::sample::select(&b"\\\\\\|^~&#.brFSTREPXHNZ0A1\r\n\x0b\x1c"[..]),
        1 => any::<u8>()
    ];
    vec(byte, 0..60)
}

fn delimiters() -> impl Strategy<Value = Delimiters> {
    let standard = prop_oneof![Just(Delimiters::default()), Just(Delimiters::with_truncation())];
    let other = "[!-/:-@\\[-`{-~]{3,6}".prop_filter_map("delimiters", |text| {
        let bytes = text.as_bytes();
        Delimiters::new(bytes[0], &bytes[1..]).ok()
    });
    prop_oneof![standard, other]
}

fn formatting() -> impl Strategy<Value = Formatting> {
    prop_oneof![Just(Formatting::Keep), Just(Formatting::Plain)]
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..300)) {
        exercise(&bytes);
        exercise(&[b"MSH|^~\\&", &bytes[..]].concat());
    }

    #[test]
    fn mutated_messages_never_panic(
        changes in vec((0..ORU.len(), prop_oneof![any::<u8>(), prop::sample::select(&b"|^~\\&#\r\n\"\0"[..])]), 0..12),
        cut in 0..=ORU.len(),
        line_feeds in any::<bool>(),
    ) {
        let mut bytes = ORU.to_vec();
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        bytes.truncate(cut);
        if line_feeds {
            for byte in &mut bytes {
                *byte = if *byte == b'\r' { b'\n' } else { *byte };
            }
        }
        exercise(&bytes);
    }

    #[test]
    fn a_time_stamp_is_written_as_it_was_read(
        year in 1_u16..=9999,
        rest in "((0[1-9]|1[0-2])((0[1-9]|1[0-9]|2[0-8])(([01][0-9]|2[0-3])([0-5][0-9]([0-5][0-9](\\.[0-9]{1,9})?)?)?)?)?)?",
        offset in "([+-](0[0-9]|1[0-3])[0-5][0-9])?",
    ) {
        // Read as the zero that it is, and written with a plus sign.
        let offset = if offset == "-0000" { String::new() } else { offset };
        let text = format!("{year:04}{rest}{offset}");
        let read = Dtm::parse(text.as_bytes());
        prop_assert_eq!(read.map(|dtm| dtm.to_string()), Some(text));
    }

    #[test]
    fn what_is_escaped_is_unescaped_to_the_same(value in value(), delimiters in delimiters(), written in formatting()) {
        let escaped = escape(&value, &delimiters, written).into_owned();
        prop_assert_eq!(unescape(&escaped, &delimiters, Formatting::Keep).into_owned(), value);
        let separators = [delimiters.field(), delimiters.component(), delimiters.repetition(), delimiters.subcomponent()];
        prop_assert!(!escaped.iter().any(|byte| separators.contains(byte) || matches!(byte, b'\r' | b'\n' | 0x0b | 0x1c)));
    }

    #[test]
    fn escaping_a_received_value_again_changes_nothing_more(raw in value(), delimiters in delimiters(), form in formatting()) {
        let once = escape(&unescape(&raw, &delimiters, form), &delimiters, form).into_owned();
        let twice = escape(&unescape(&once, &delimiters, form), &delimiters, form).into_owned();
        prop_assert_eq!(once, twice);
    }

    #[test]
    fn replacing_a_field_changes_that_field_only(
        value in value().prop_filter("a value", |value| !value.is_empty() && value != b"\"\""),
        segment in prop::sample::select(&["MSH", "PID", "OBX", "ZB1"][..]),
        number in 3..12_u16,
        repetition in 0..4_u16,
        component in 0..5_u16,
    ) {
        let mut text = format!("{segment}-{number}");
        if repetition > 0 {
            write!(text, "[{repetition}]").unwrap();
        }
        if component > 0 {
            write!(text, ".{component}").unwrap();
        }
        let path: Path = text.parse().unwrap();
        let changed = edit::replace_field(ORU, path, &value).unwrap();
        let (before, after) = (Message::parse(ORU).unwrap(), Message::parse(&changed).unwrap());
        let State::Value(raw) = after.get(path) else { panic!("a value at {path}") };
        prop_assert_eq!(unescape(raw, after.delimiters(), Formatting::Keep).into_owned(), value);
        prop_assert_eq!(before.segment_count(), after.segment_count());
        for (old, new) in before.segments().zip(after.segments()) {
            if old.name() != segment.as_bytes() {
                prop_assert_eq!(old.raw(), new.raw());
                continue;
            }
            for other in (1..40).filter(|other| *other != usize::from(number)) {
                prop_assert_eq!(old.field(other).raw(), new.field(other).raw());
            }
        }
    }

    #[test]
    fn what_is_built_is_read_again(
        delimiters in delimiters(),
        values in vec("[^\"]{1,20}", 1..8),
    ) {
        let components: Vec<&str> = values.iter().map(String::as_str).collect();
        let built = MessageBuilder::new(delimiters)
            .segment("MSH").text(10, &values[0])
            .segment("PID").components(3, &components).repeat(3, &components).null(5)
            .build()
            .unwrap();
        let message = Message::parse(&built).unwrap();
        let header = Header::parse(&built).unwrap();
        prop_assert_eq!(message.delimiters(), &delimiters);
        prop_assert_eq!(header.field(10).unescaped().unwrap().into_owned(), values[0].as_bytes());
        let field = message.segment("PID").unwrap().field(3);
        prop_assert_eq!(field.repetitions().count(), 2);
        for (number, value) in values.iter().enumerate() {
            let read = field.repetition(2).component(number + 1).unescaped().unwrap();
            prop_assert_eq!(read.as_ref(), value.as_bytes());
        }
        prop_assert_eq!(message.get(path!("PID-5")), State::Null);
    }
}

#[test]
fn line_ends_are_told_apart_from_line_feeds_in_data() {
    use waybill_hl7v2::WarningKind::{
        BlankLine, CarriageReturnLineFeed, LineFeed, LineFeedInData, MalformedSegment,
    };
    let kinds = |bytes: &[u8]| -> (usize, Vec<_>) {
        let message = Message::parse(bytes).unwrap();
        (message.segment_count(), message.warnings().iter().map(|warning| warning.kind).collect())
    };
    assert_eq!(kinds(b"MSH|^~\\&|A\rPID|1\rOBX|1"), (3, vec![]));
    assert_eq!(kinds(b"MSH|^~\\&|A\nPID|1\nOBX|1\n"), (3, vec![LineFeed]));
    assert_eq!(kinds(b"MSH|^~\\&|A\r\nPID|1\r\n\r\nOBX|1\r\n"), (3, vec![CarriageReturnLineFeed, BlankLine]));
    assert_eq!(kinds(b"MSH|^~\\&|A\rNTE|1||one\ntwo|x\rOBX|1\r"), (3, vec![LineFeedInData]));
    assert_eq!(kinds(b"MSH|^~\\&|A\rPID|1\nOBX|1\r"), (3, vec![LineFeed]));
    assert_eq!(kinds(b"MSH|^~\\&|A\npid|1\nOBX|1\n"), (3, vec![LineFeed, MalformedSegment]));
}

#[test]
fn segments_fields_and_paths_are_found() {
    let mut index = Index::new();
    for _ in 0..2 {
        let message = Message::parse_in(&mut index, ORU).unwrap();
        let charset = message.charset(None);
        assert_eq!(message.segments_named("OBX").count(), 1);
        assert!(message.segment("OBXX").is_none() && message.segment("OB").is_none());
        assert_eq!(message.get(path!("PID-3[2].4.1")), State::Value(b"SSA"));
        assert_eq!(message.get(path!("PID-3.4.2")), State::Value(b"1.2"));
        assert_eq!(message.get(path!("ZB1-1")), State::Null);
        assert_eq!(message.get(path!("ZB1-9")), State::Absent);
        assert_eq!(message.get(path!("OBX[2]-5")), State::Absent);
        assert_eq!(message.get(path!("MSH-2")), State::Value(b"^~\\&#"));
        assert_eq!(message.text(path!("PID-5.1"), &charset).unwrap(), "Müller");
        assert_eq!(message.text(path!("NTE-3"), &charset).unwrap(), "C:\\temp \n A &");
        assert_eq!(message.text(path!("MSH-2"), &charset).unwrap(), "^~\\&#");
        assert_eq!(message.text(path!("ZB1-1"), &charset), None);
        let local = message.segment("ZB1").unwrap();
        assert!(local.is_local() && !local.is_malformed());
        assert_eq!((local.index(), local.field_count()), (3, 3));
        assert!(!format!("{message:?} {local:?} {:?}", message.header()).contains("ller"));
    }
    assert_eq!(Charset::utf8().name(), "UTF-8");
}

#[test]
fn fragments_of_a_longer_message_are_recognised() {
    let parse = |bytes: &'static [u8]| Message::parse(bytes).unwrap();
    assert!(parse(ORU).continuation().is_none());
    let first = parse(b"MSH|^~\\&|A||||||ORU^R01|1|P|2.4\rOBX|1|TX|1||part\rADD|\rDSC|P-1|F\r");
    let first = first.continuation().unwrap();
    assert_eq!((first.continues.raw(), first.continued_by.raw()), (&b""[..], &b"P-1"[..]));
    assert!(first.ends_within_segment && !first.starts_within_segment && !first.is_interactive);
    let last = parse(b"MSH|^~\\&|A||||||ORU^R01|2|P|2.4||P-1\rADD|ly|||||F\rOBX|2\r");
    let last = last.continuation().unwrap();
    assert_eq!((last.continues.raw(), last.continued_by.raw()), (&b"P-1"[..], &b""[..]));
    assert!(last.starts_within_segment && !last.ends_within_segment);
    let asked_for = parse(b"MSH|^~\\&|A||||||ORU^R01|2|P|2.4||P-1\rADD|ly\rDSC|P-2|I\r");
    let asked_for = asked_for.continuation().unwrap();
    assert!(
        asked_for.is_interactive
            && asked_for.starts_within_segment
            && !format!("{asked_for:?}").contains("P-")
    );
}

#[test]
fn text_switches_character_sets_where_msh_18_announces_others() {
    let text = |msh_18: &str, value: &str| {
        let bytes = format!("MSH|^~\\&|A||||||ADT^A08|1|P|2.4||||||{msh_18}\rPID|||||{value}\r").into_bytes();
        let message = Message::parse(&bytes).unwrap();
        message.text(path!("PID-5.1"), &message.charset(None)).unwrap().into_owned()
    };
    assert_eq!(text("ASCII~ISO IR87", r"\M2442\;3ED\C2842\ T"), "山田 T");
    assert_eq!(text("~8859/5", "\u{1b}-L\\XB8\\\u{1b}(B."), "И.");
    assert_eq!(text("8859/1~8859/5", r"\C2D4C\\XB8\\C2842\\XFC\"), "Иü");
    // Nothing announced, or no such set: byte for byte.
    assert_eq!(text("8859/1", r"\C2D4C\x"), r"\C2D4C\x");
    assert_eq!(text("8859/1~8859/5", r"\E\C2D4C\E\x"), r"\C2D4C\x");
}

#[test]
fn chosen_segments_are_copied_and_delimiters_are_not_edited() {
    let message = Message::parse(ORU).unwrap();
    assert_eq!(
        edit::copy_segments(&message, [3, 4, 99]),
        b"ZB1|\"\"|x&y&&|~~a\rOBX|1|NM|718-7^Hb^LN||7.2|g/dL|||||F\r"
    );
    assert_eq!(edit::replace_field(ORU, path!("MSH-2"), b"x"), Err(edit::EditError::Delimiters));
    assert_eq!(edit::replace_field(ORU, path!("PV1-2"), b"x"), Err(edit::EditError::NoSegment));
    assert_eq!(edit::replace_field(ORU, path!("PID"), b"x"), Err(edit::EditError::NoField));
    assert_eq!(edit::replace_field_raw(ORU, path!("PID-2"), b"a\r"), Err(edit::EditError::Value));
    let raw = edit::replace_field_raw(ORU, path!("PID-2"), b"a^b").unwrap();
    assert_eq!(Message::parse(&raw).unwrap().get(path!("PID-2.2")), State::Value(b"b"));
}

#[test]
fn a_builder_reports_its_first_mistake() {
    use waybill_hl7v2::BuildError;
    let new = || MessageBuilder::new(Delimiters::default());
    assert_eq!(new().build(), Err(BuildError::NoMsh));
    assert_eq!(new().text(1, "x").segment("MSH").build(), Err(BuildError::NoMsh));
    assert_eq!(new().segment("PID").build(), Err(BuildError::NoMsh));
    assert_eq!(new().segment("MSH").text(2, "x").build(), Err(BuildError::Field));
    assert_eq!(new().segment("MSH").text(3, "x").segment("pid").build(), Err(BuildError::SegmentName));
    assert_eq!(new().segment("MSH").raw(3, b"a|b").build(), Err(BuildError::Value));
}
