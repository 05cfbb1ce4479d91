//! What the mapping leaves out on purpose, and why.

use ehr_ingest::profile::Profile;
use waybill_hl7v2::Path;

const SET_ID: &str = "numbers the segments of one kind; their order says the same";
const RECEIVER: &str = "the receiver; kept with the stored message";
const ACCEPTANCE: &str = "decides acceptance and the answer; kept with the stored message";
const PROTOCOL: &str = "of the exchange between sender and receiver, not of its content";

/// Fields of HL7 v2 that no event has a place for, by segment and number.
const HL7: &[(&str, &[u16], &str)] = &[
    ("MSH", &[5, 6], RECEIVER),
    ("MSH", &[8, 13, 14, 17, 19, 20, 21], PROTOCOL),
    ("MSH", &[11, 12, 15, 16], ACCEPTANCE),
    ("MSH", &[18], "the character set, by which all text is read; kept with the stored message"),
    ("EVN", &[1], "the event again; MSH-9 says it"),
    ("PID", &[1], SET_ID),
    ("PV1", &[1], SET_ID),
    ("NK1", &[1], SET_ID),
    ("OBR", &[1], SET_ID),
    ("OBX", &[1], SET_ID),
    ("NTE", &[1], SET_ID),
    ("IN1", &[1], SET_ID),
    ("DG1", &[1], SET_ID),
    ("GT1", &[1], SET_ID),
    ("AL1", &[1], SET_ID),
    ("IAM", &[1], SET_ID),
    ("PR1", &[1], SET_ID),
    ("FT1", &[1], SET_ID),
    ("SPM", &[1], SET_ID),
    ("TQ1", &[1], SET_ID),
    ("RGS", &[1], SET_ID),
    ("AIS", &[1], SET_ID),
    ("AIG", &[1], SET_ID),
    ("AIL", &[1], SET_ID),
    ("AIP", &[1], SET_ID),
    (
        "ORC",
        &[2, 3],
        "the order's number; the one in OBR counts where both are sent (HL7 v2, OBR-2 and OBR-3)",
    ),
    ("NTE", &[2], "who wrote the comment; the comment is kept"),
    ("DSC", &[1, 2], PROTOCOL),
];

/// Segments of HL7 v2 that say nothing about a patient.
const SEGMENTS: &[(&str, &str)] =
    &[("SFT", "the sender's software"), ("UAC", "the sender's user"), ("FTS", PROTOCOL), ("BTS", PROTOCOL)];

/// Why a field is not mapped, when that is on purpose: by the profile, else by the mapping.
pub(super) fn hl7<'p>(path: &Path, profile: Option<&'p Profile>) -> Option<&'p str> {
    let covers = |place: &Path| {
        place.segment_name() == path.segment_name()
            && (place.field() == 0 || place.field() == path.field())
            && (place.component() == 0 || place.component() == path.component().max(1))
            && (place.repetition() == 0 || place.repetition() == path.repetition())
    };
    let by_profile = profile.into_iter().flat_map(Profile::dropped).find(|dropped| covers(&dropped.place));
    if let Some(dropped) = by_profile {
        return Some(&dropped.reason);
    }
    let field = HL7
        .iter()
        .find(|(segment, fields, _)| *segment == path.segment_name() && fields.contains(&path.field()));
    let segment = SEGMENTS.iter().find(|(segment, _)| *segment == path.segment_name());
    field.map(|(.., reason)| *reason).or_else(|| segment.map(|(_, reason)| *reason))
}

/// The same for an element of FHIR, by what stands in its path.
pub(super) fn fhir(path: &str) -> Option<&'static str> {
    let element = path.split_once('.').map_or("", |(_, element)| element);
    let is =
        |name: &str| element == name || element.starts_with(name) && element[name.len()..].starts_with('.');
    if is("text") {
        Some("the narrative: the same content for people")
    } else if is("meta") {
        Some("of the sender's storage, not of the content")
    } else if path.starts_with("Bundle.entry.request") || path.starts_with("Bundle.entry.response") {
        Some("says what is done with an entry; the answer follows it")
    } else if path.starts_with("Bundle.entry.search") || path.starts_with("Bundle.link") {
        Some(PROTOCOL)
    } else {
        None
    }
}
