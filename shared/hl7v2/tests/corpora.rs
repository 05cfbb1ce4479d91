//! Every public sample message is read right or refused with a reason.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "tests, one of which says what it skips")]

use std::collections::BTreeMap;

use waybill_hl7v2::ack::{self, Ack, AckCode};
use waybill_hl7v2::{Header, Index, Message, ParseErrorReason, edit, path};

#[path = "support/corpora.rs"]
mod corpora;
#[path = "support/exercise.rs"]
mod exercise;

/// Field `number` of MSH, by a split that shares nothing with the crate.
fn naive_msh(message: &[u8], number: usize) -> Vec<u8> {
    let text: String = message.iter().map(|byte| *byte as char).collect();
    let text = text.trim_start_matches("\u{ef}\u{bb}\u{bf}").trim_start_matches(['\r', '\n']);
    let line = text.split(['\r', '\n']).next().unwrap_or_default();
    let Some(separator) = line.chars().nth(3) else { return Vec::new() };
    line.split(separator)
        .nth(number - 1)
        .unwrap_or_default()
        .chars()
        .map(|character| character as u8)
        .collect()
}

fn check(name: &str, bytes: &[u8], index: &mut Index) -> Result<(), ParseErrorReason> {
    let message = Message::parse(bytes).map_err(|error| error.reason)?;
    let header = Header::parse(bytes).unwrap();
    for number in 3..=21 {
        let expected = naive_msh(bytes, number);
        assert_eq!(header.field(number).raw(), expected, "{name}: MSH-{number} of the header");
        let field = message.segment("MSH").unwrap().field(number);
        assert_eq!(field.raw(), expected, "{name}: MSH-{number} of the message");
    }
    assert_eq!(header.control_id(), naive_msh(bytes, 10), "{name}: MSH-10");
    assert_eq!(message.encode(), bytes, "{name}: encoded again");
    assert_eq!(Message::parse_in(index, bytes).unwrap().encode(), bytes, "{name}: in reused buffers");
    for segment in message.segments() {
        for field in segment.fields() {
            check_parts(name, field);
        }
    }
    check_ack(name, &header);
    let changed = edit::replace_field(bytes, path!("MSH-10"), b"NEW-1").unwrap();
    assert_eq!(Header::parse(&changed).unwrap().control_id(), b"NEW-1", "{name}: new MSH-10");
    if header.field(11).raw().len() + header.control_id().len() > 0 {
        let back = edit::replace_field_raw(&changed, path!("MSH-10"), header.control_id()).unwrap();
        assert_eq!(back, bytes, "{name}: changed and changed back");
    }
    Ok(())
}

/// Joining what was split gives the whole again, at every level.
fn check_parts(name: &str, field: waybill_hl7v2::Field<'_>) {
    let charset = waybill_hl7v2::Charset::utf8();
    let lengths: usize = field
        .repetitions()
        .map(|repetition| {
            let components = repetition.components().map(|component| {
                let leaves = component.subcomponents().map(|leaf| {
                    drop(leaf.text(&charset));
                    leaf.raw().len() + 1
                });
                leaves.sum::<usize>().max(1)
            });
            components.sum::<usize>().max(1)
        })
        .sum();
    assert_eq!(lengths.saturating_sub(1), field.raw().len(), "{name}: parts of a field");
}

fn check_ack(name: &str, header: &Header<'_>) {
    let ack = Ack::new(AckCode::AA, "A-1", "20240131101500+0000").reply_to(header);
    let view = ack::read(&ack).unwrap();
    assert_eq!((view.code, view.control_id), (Some(AckCode::AA), header.control_id()), "{name}: MSA");
    let answer = Header::parse(&ack).unwrap();
    assert_eq!(answer.field(2).raw(), header.field(2).raw(), "{name}: MSH-2 of the answer");
    assert_eq!(answer.field(12).raw(), header.field(12).raw(), "{name}: MSH-12 of the answer");
    assert_eq!(
        answer.sending_facility().raw(),
        header.receiving_facility().raw(),
        "{name}: MSH-4 of the answer"
    );
}

#[test]
fn every_sample_message_is_read_right_or_refused_with_a_reason() {
    let files = corpora::hl7v2_files();
    let mut index = Index::new();
    let mut refused: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let (mut read, mut five, mut guesses) = (0, 0, 0);
    for (path, bytes) in &files {
        for (number, message) in corpora::messages(bytes).iter().enumerate() {
            let name = format!("{}#{number}", path.display());
            match check(&name, message, &mut index) {
                Ok(()) => {
                    read += 1;
                    let header = Header::parse(message).unwrap();
                    five += usize::from(header.field(2).raw().len() == 5);
                    guesses += usize::from(header.charset(message).is_guess());
                }
                Err(reason) => refused.entry(format!("{reason:?}")).or_default().push(name),
            }
        }
    }
    eprintln!(
        "{} files, {read} messages read, {five} with five encoding characters, {guesses} charset guesses",
        files.len()
    );
    eprintln!("refused: {refused:#?}");
    if !files.is_empty() {
        let refusals: usize = refused.values().map(Vec::len).sum();
        assert!(read > 400 && five > 100 && refusals * 10 < read);
    }
}

/// Damage as it happens on the way: cut off, a byte changed, a piece left out. The same on every run.
#[test]
fn damaged_sample_messages_never_panic() {
    const DAMAGE: &[u8] = b"|^~\\&#\r\n\"\0\x0b\x1c\xff";
    let mut state = 0x2545_f491_u64;
    let mut below = |limit: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % limit.max(1)
    };
    for (_, bytes) in corpora::hl7v2_files().iter().filter(|(_, bytes)| bytes.len() < 20_000) {
        for _ in 0..4 {
            let mut damaged = bytes.clone();
            for _ in 0..below(6) {
                let at = below(damaged.len());
                if let Some(byte) = damaged.get_mut(at) {
                    *byte = DAMAGE[below(DAMAGE.len())];
                }
            }
            let (one, two) = (below(damaged.len()), below(damaged.len()));
            match below(3) {
                0 => damaged.truncate(one),
                1 => drop(damaged.drain(one.min(two)..one.max(two))),
                _ => {}
            }
            exercise::exercise(&damaged);
        }
    }
}
