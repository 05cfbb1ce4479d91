//! Which values of an HL7 v2 message are mapped: each is taken out, and the message is mapped again.

use std::collections::{BTreeMap, HashMap};

use ehr_ingest::profile::Profile;
use waybill_hl7v2::{Message, Path, edit};

use super::{
    coverage::{Coverage, Fate, Place},
    judge::{Judge, Outcome},
    rules,
};
use crate::files::Subject;

/// Bytes that are mapped again at most, some seconds' work; beyond it some values of each kind are tried.
const MOST_BYTES: usize = 32 << 20;
/// Values that are tried at most.
const MOST_VALUES: usize = 2000;

/// One value of a message.
struct Value {
    place: Place,
    path: Path,
    raw: Vec<u8>,
}

/// What became of the values of a message.
pub(super) fn coverage(judge: &Judge<'_>, subject: &Subject, profile: Option<&Profile>) -> Coverage {
    let bytes = &subject.bytes;
    let Ok(message) = Message::parse(bytes) else { return Coverage::default() };
    let baseline = judge.hl7(bytes);
    let mut coverage = Coverage::default();
    let (values, lost) = values(&message);
    for place in lost {
        coverage.count(place, Fate::Unmapped, 1);
        (coverage.values, coverage.tried) = (coverage.values + 1, coverage.tried + 1);
    }
    coverage.values += values.len();
    for value in chosen(values, bytes.len()) {
        coverage.tried += 1;
        let fate = if differs(judge, bytes, &baseline, &value) {
            Fate::Mapped
        } else {
            rules::hl7(&value.path, profile).map_or(Fate::Unmapped, |reason| Fate::Dropped(reason.to_owned()))
        };
        coverage.count(value.place, fate, 1);
    }
    coverage
}

/// Whether the events are others without the value, or with another in its place: where two fields say the same, taking one
/// out changes nothing although both are read.
fn differs(judge: &Judge<'_>, bytes: &[u8], baseline: &Outcome, value: &Value) -> bool {
    let other = [value.raw.as_slice(), b"1"].concat();
    [&b""[..], &other].into_iter().any(|raw| {
        edit::replace_field_raw(bytes, value.path, raw)
            .is_ok_and(|changed| !judge.hl7(&changed).means_the_same(baseline))
    })
}

/// All values, component by component; and those in segments that have no name.
fn values(message: &Message<'_>) -> (Vec<Value>, Vec<Place>) {
    let (mut values, mut lost) = (Vec::new(), Vec::new());
    let mut occurrences: HashMap<&[u8], u16> = HashMap::new();
    for segment in message.segments() {
        let occurrence = occurrences.entry(segment.name()).or_default();
        *occurrence = occurrence.saturating_add(1);
        let name = <[u8; 3]>::try_from(segment.name()).ok().and_then(Path::segment);
        let Some(name) = name.map(|path| path.in_occurrence(*occurrence)) else {
            lost.push(Place::Hl7 { segment: "(no segment)".to_owned(), field: 0, component: 0 });
            continue;
        };
        let first = if segment.name() == b"MSH" { 3 } else { 1 };
        for (number, field) in (1_u16..).zip(segment.fields()).filter(|(number, _)| *number >= first) {
            for (repetition, whole) in (1_u16..).zip(field.repetitions()) {
                let parts = whole.components().count();
                for (component, part) in (1_u16..).zip(whole.components()) {
                    if part.raw().is_empty() {
                        continue;
                    }
                    let at = if parts > 1 { component } else { 0 };
                    values.push(Value {
                        place: Place::Hl7 {
                            segment: name.segment_name().to_owned(),
                            field: number,
                            component: at,
                        },
                        path: name.at_field(number).at_repetition(repetition).at_component(at),
                        raw: part.raw().to_vec(),
                    });
                }
            }
        }
    }
    (values, lost)
}

/// All values, or of each kind as many as the bound allows, spread over the message.
fn chosen(values: Vec<Value>, message_bytes: usize) -> Vec<Value> {
    if values.len() <= MOST_VALUES && values.len().saturating_mul(message_bytes) <= MOST_BYTES {
        return values;
    }
    let mut kinds: BTreeMap<Place, Vec<Value>> = BTreeMap::new();
    for value in values {
        kinds.entry(value.place.clone()).or_default().push(value);
    }
    let most = (MOST_BYTES / message_bytes.max(1)).min(MOST_VALUES) / kinds.len().max(1);
    let some = |kind: Vec<Value>| {
        let step = kind.len().div_ceil(most.max(1));
        kind.into_iter().step_by(step)
    };
    kinds.into_values().flat_map(some).collect()
}
