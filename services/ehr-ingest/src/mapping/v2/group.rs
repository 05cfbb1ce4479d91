//! The segments of one patient within a message.

use waybill_contracts::reason;
use waybill_hl7v2::{Message, Path, Segment, ack::ErrorCode, path};

use super::Refusal;
use crate::patient_id;

/// Indices of one patient's segments: a message may be about several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Group {
    /// Of the PID.
    pub(super) pid: usize,
    /// Of the first segment: of the message, when it has one patient only.
    pub(super) start: usize,
    /// After the last one.
    pub(super) end: usize,
}

impl Group {
    pub(super) fn segments<'m>(&self, message: &'m Message<'m>) -> Vec<Segment<'m>> {
        (self.start..self.end).filter_map(|index| message.segment_at(index)).collect()
    }

    /// Whether any of the group's segments has one of the names.
    pub(super) fn has(&self, message: &Message<'_>, names: &[&[u8]]) -> bool {
        let mut segments = (self.start..self.end).filter_map(|index| message.segment_at(index));
        segments.any(|segment| names.contains(&segment.name()))
    }
}

/// One group per PID; each must name its patient.
pub(super) fn by_patient(message: &Message<'_>) -> Result<Vec<Group>, Refusal> {
    by_patient_if(message, |_| true)
}

/// One group per PID for which `starts` says so; the first always does.
pub(super) fn by_patient_if(
    message: &Message<'_>,
    starts: impl Fn(&Segment<'_>) -> bool,
) -> Result<Vec<Group>, Refusal> {
    let count = message.segment_count();
    let mut groups: Vec<Group> = Vec::new();
    for (occurrence, pid) in (1..).zip(message.segments_named("PID")) {
        if !groups.is_empty() && !starts(&pid) {
            continue;
        }
        if !patient_id::has_identifier(&pid.field(3)) {
            return Err(Refusal {
                reason: reason::NO_PATIENT_IDENTIFIER,
                code: ErrorCode::RequiredFieldMissing,
                location: path!("PID-3").in_occurrence(occurrence),
                text: "PID-3 has no identifier",
            });
        }
        if let Some(last) = groups.last_mut() {
            last.end = pid.index();
        }
        groups.push(Group { pid: pid.index(), start: pid.index(), end: count });
    }
    match groups.as_mut_slice() {
        [] => Err(missing(path!("PID"), "PID is missing")),
        // What stands before PID in spite of the structure, such as PV1, is still this patient's.
        [only] => {
            only.start = 0;
            Ok(groups)
        }
        _ => Ok(groups),
    }
}

/// The first segment of a name.
pub(super) fn first<'m>(segments: &[Segment<'m>], name: &[u8]) -> Option<Segment<'m>> {
    segments.iter().find(|segment| segment.name() == name).copied()
}

/// All segments of a name.
pub(super) fn named<'s, 'm>(
    segments: &'s [Segment<'m>],
    name: &'static [u8],
) -> impl Iterator<Item = &'s Segment<'m>> {
    segments.iter().filter(move |segment| segment.name() == name)
}

/// A segment that the event demands is not there.
pub(super) fn missing(location: Path, text: &'static str) -> Refusal {
    Refusal {
        reason: reason::REQUIRED_SEGMENT_MISSING,
        code: ErrorCode::SegmentSequenceError,
        location,
        text,
    }
}

/// A field that the event demands is empty.
pub(super) fn empty(location: Path, text: &'static str) -> Refusal {
    Refusal { reason: reason::REQUIRED_FIELD_MISSING, code: ErrorCode::RequiredFieldMissing, location, text }
}
