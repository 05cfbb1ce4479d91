//! Parsing HL7 v2, in MB/s, beside two other crates over the same messages.
//!
//! - *routing*: MSH-3 to MSH-12 and PID-3, which is what finds a message's feed, type and patient;
//! - *tree*: the whole message parsed, every segment, field, repetition, component and subcomponent to be had. Here the lower
//!   levels are split when asked for, so the crates are also compared with
//! - *leaves*: the whole message parsed and every leaf visited.
//!
//! Rounds are interleaved, so that whatever else the machine does falls on all alike; ratios are of the same round.

use std::{
    fmt::Write as _,
    hint::black_box,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use serde::Serialize;
use waybill_hl7v2::{Header, Index, Message};
use waybill_simulator::generate::{GenerateConfig, Generator};

use crate::report::median;

/// Of the same seed come the same messages.
const SEED: u64 = 20_261_102;
/// Messages of the simulator: about a third of a megabyte.
const GENERATED: usize = 400;

type Run = Box<dyn FnMut(&[u8]) -> usize>;

/// A crate doing one of the three.
struct Subject {
    name: &'static str,
    run: Run,
}

/// MB/s of each subject in each round.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Parse {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
    /// Messages of the public corpora, where they are at hand.
    pub(crate) from_corpora: usize,
    /// Messages left out because a peer does not take them: not UTF-8, line feeds, names it refuses.
    pub(crate) left_out: usize,
    pub(crate) megabytes_per_second: Vec<(&'static str, Vec<f64>)>,
}

/// Measures `rounds` rounds of `window` for each subject.
pub(crate) fn measure(window: Duration, rounds: usize) -> Result<Parse> {
    let mut messages: Vec<Vec<u8>> =
        Generator::new(GenerateConfig::new(SEED, GENERATED)).map(|message| message.bytes).collect();
    let generated = messages.len();
    messages.extend(corpora());
    let all = messages.len();
    let mut place = 0;
    let mut from_corpora = 0;
    messages.retain(|message| {
        place += 1;
        let keep = is_read_by_all(message);
        from_corpora += usize::from(keep && place > generated);
        keep
    });
    let bytes = messages.iter().map(Vec::len).sum();
    let mut subjects = subjects();
    let mut figures: Vec<_> = subjects.iter().map(|subject| (subject.name, Vec::new())).collect();
    // The first round finds caches and clock speeds as they are, and is not kept.
    for round in 0..=rounds {
        for (subject, (_, figures)) in subjects.iter_mut().zip(&mut figures) {
            let speed = speed(subject, &messages, bytes, window)?;
            if round > 0 {
                figures.push(speed);
            }
        }
    }
    Ok(Parse {
        messages: messages.len(),
        bytes,
        from_corpora,
        left_out: all - messages.len(),
        megabytes_per_second: figures,
    })
}

fn speed(subject: &mut Subject, messages: &[Vec<u8>], bytes: usize, window: Duration) -> Result<f64> {
    let begun = Instant::now();
    let (mut rounds, mut found) = (0_usize, 0);
    while begun.elapsed() < window {
        for message in messages {
            found += black_box((subject.run)(black_box(message)));
        }
        rounds += 1;
    }
    ensure!(found > 0, "{} found nothing", subject.name);
    Ok((bytes * rounds) as f64 / begun.elapsed().as_secs_f64() / 1e6)
}

fn subjects() -> Vec<Subject> {
    let subject = |name, run| Subject { name, run };
    let (mut index, mut leaves) = (Index::new(), Index::new());
    vec![
        subject("waybill routing", Box::new(routing)),
        subject(
            "waybill tree",
            Box::new(move |bytes| {
                Message::parse_in(&mut index, bytes).map_or(0, |message| message.segment_count())
            }),
        ),
        subject("er7 tree", Box::new(|bytes| er7(bytes).map_or(0, |message| message.segments.len()))),
        subject("hl7kit tree", Box::new(|bytes| hl7kit(bytes).map_or(0, |message| message.segment_count()))),
        subject("waybill leaves", Box::new(move |bytes| own_leaves(&mut leaves, bytes))),
        subject("er7 leaves", Box::new(er7_leaves)),
        subject("hl7kit leaves", Box::new(hl7kit_leaves)),
    ]
}

fn routing(bytes: &[u8]) -> usize {
    let Ok(header) = Header::parse(bytes) else { return 0 };
    let fields: usize = (3..=12).map(|number| header.field(number).raw().len()).sum();
    fields + header.field_of(bytes, *b"PID", 3).raw().len()
}

fn own_leaves(index: &mut Index, bytes: &[u8]) -> usize {
    let Ok(message) = Message::parse_in(index, bytes) else { return 0 };
    message.segments().flat_map(|segment| segment.leaves()).map(|leaf| leaf.value.raw().len()).sum()
}

fn er7(bytes: &[u8]) -> Option<er7::Message> {
    er7::parse(std::str::from_utf8(bytes).ok()?).ok()
}

fn er7_leaves(bytes: &[u8]) -> usize {
    let Some(message) = er7(bytes) else { return 0 };
    let fields = message.segments.iter().flat_map(|segment| &segment.fields);
    let components =
        fields.flat_map(|field| &field.repetitions).flat_map(|repetition| &repetition.components);
    components.flat_map(|component| &component.subcomponents).map(|leaf| leaf.raw.len()).sum()
}

fn hl7kit(bytes: &[u8]) -> Option<hl7kit::Message> {
    hl7kit::Message::parse_bytes(bytes).ok()
}

fn hl7kit_leaves(bytes: &[u8]) -> usize {
    let Some(message) = hl7kit(bytes) else { return 0 };
    let mut sum = 0;
    for segment in message.segments() {
        for field in segment.fields() {
            for component in field.repetitions().flat_map(|repetition| repetition.components()) {
                for number in 1..=component.subcomponent_count() {
                    sum += component.subcomponent(number).map_or(0, |leaf| leaf.value().len());
                }
            }
        }
    }
    sum
}

fn is_read_by_all(message: &[u8]) -> bool {
    let own = Message::parse(message).map(|message| message.segment_count());
    // Line feeds mean other things to each; what differs in the number of segments is no fair comparison.
    let peers =
        [er7(message).map(|read| read.segments.len()), hl7kit(message).map(|read| read.segment_count())];
    own.is_ok_and(|own| peers == [Some(own), Some(own)])
}

/// The public messages: in `WAYBILL_CORPORA`, else in `shared/corpora` beside the clone; none where they are not there.
fn corpora() -> Vec<Vec<u8>> {
    let root = std::env::var_os("WAYBILL_CORPORA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpora"), PathBuf::from);
    let (mut folders, mut paths) = (vec![root.join("hl7v2")], Vec::new());
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "hl7") {
                paths.push(path);
            }
        }
    }
    paths.sort();
    // Files end lines with line feeds; on the wire it is the carriage return.
    let on_the_wire = |bytes: Vec<u8>| {
        String::from_utf8(bytes).ok().map(|text| text.replace("\r\n", "\r").replace('\n', "\r"))
    };
    paths.iter().filter_map(|path| on_the_wire(std::fs::read(path).ok()?)).map(String::into_bytes).collect()
}

impl Parse {
    pub(crate) fn table(&self) -> String {
        let mut text = format!(
            "HL7 v2 parsing: {} messages, {} kB ({} from the corpora; {} left out that a peer does not read); medians of {} \
             interleaved rounds, one thread\n\n",
            self.messages,
            self.bytes / 1000,
            self.from_corpora,
            self.left_out,
            self.megabytes_per_second.first().map_or(0, |(_, figures)| figures.len()),
        );
        for (name, figures) in &self.megabytes_per_second {
            let (crate_name, kind) = name.split_once(' ').unwrap_or((name, ""));
            let _ = write!(text, "  {kind:<8}  {crate_name:<8}{:>9.0} MB/s", median(figures.clone()));
            if crate_name == "waybill"
                && let Some(ratio) = self.against_best_peer(kind)
            {
                let _ = write!(text, "   × {ratio:.1} of the best other crate");
            }
            text.push('\n');
        }
        text
    }

    /// MB/s of one subject.
    pub(crate) fn median_of(&self, subject: &str) -> Option<f64> {
        let (_, figures) = self.megabytes_per_second.iter().find(|(name, _)| *name == subject)?;
        Some(median(figures.clone()))
    }

    /// Median over the rounds of how many times as fast as the fastest peer; `None` where there is no peer.
    pub(crate) fn against_best_peer(&self, kind: &str) -> Option<f64> {
        let of_kind = |own: bool| {
            self.megabytes_per_second.iter().filter(move |(name, _)| {
                name.split_once(' ').is_some_and(|(by, what)| what == kind && (by == "waybill") == own)
            })
        };
        let (_, own) = of_kind(true).next()?;
        of_kind(false).next()?;
        let ratios = own.iter().enumerate().map(|(round, own)| {
            let best =
                of_kind(false).filter_map(|(_, figures)| figures.get(round)).copied().fold(0.0, f64::max);
            own / best
        });
        Some(median(ratios.collect()))
    }
}
