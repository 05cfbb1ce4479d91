//! HL7 v2 messages as canonical events.
//!
//! - [`plan`] decides what a message becomes and finds every error of content. The listener runs it before the write,
//!   so that such a message is refused and never stored as accepted; it allocates next to nothing.
//! - [`map`] is `plan` and then the events, which cannot fail any more.
//!
//! | message | events |
//! |---|---|
//! | ADT^A01, A03, A08 | `clinical.patient`, and `clinical.encounter` when there is a PV1 |
//! | ORU^R01 | one `lab.result` per patient of the message |
//! | anything else | none: NRM-0001; batches and several messages in one: NRM-0002 |

mod codes;
mod datatypes;
mod encounter;
mod extent;
mod lab;
mod observation;
mod patient;
mod people;

use std::ops::Range;

use waybill_contracts::{
    Body, EventId, Phi, ReasonCode,
    body::HL7_V2,
    clinical::{EncounterChange, EncounterEvent, EventSource, PatientEvent},
    inbound::InboundMessage,
    lab::LabResult,
    reason,
};
use waybill_hl7v2::{Header, Message, Path, Segment, WarningKind, ack::ErrorCode, batch, edit, path};

use self::{datatypes::Reading, encounter::Event as Visit};
use super::{Event, Mapped, Payload};
use crate::{feed::Feed, patient_id};

/// An error of content: the message is refused, its sender must change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Reason code.
    pub reason: ReasonCode,
    /// ERR-3.
    pub code: ErrorCode,
    /// ERR-2.
    pub location: Path,
    /// ERR-8; says what is missing, never what was there.
    pub text: &'static str,
}

/// What a message becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Adt(Visit),
    /// Segments of each patient, from PID to the next one.
    Results(Vec<Range<usize>>),
    Nothing(ReasonCode),
}

/// What `message` becomes.
///
/// # Errors
/// When its content does not allow what its event demands.
pub fn plan(message: &Message<'_>) -> Result<Plan, Refusal> {
    if message.warnings().iter().any(|warning| warning.kind == WarningKind::AdditionalHeader) {
        // Several messages: mapping them as one would mix patients.
        return Ok(Plan(Kind::Nothing(reason::BATCH_NOT_SPLIT)));
    }
    let header = message.header();
    match (header.message_code(), header.trigger_event()) {
        (b"ADT", b"A01") => plan_visit(message, Visit::Admit),
        (b"ADT", b"A03") => plan_visit(message, Visit::Discharge),
        (b"ADT", b"A08") => plan_visit(message, Visit::Update),
        (b"ORU", b"R01") => plan_results(message),
        _ => Ok(Plan(Kind::Nothing(reason::EVENT_NOT_MAPPED))),
    }
}

fn plan_visit(message: &Message<'_>, visit: Visit) -> Result<Plan, Refusal> {
    extent::check(message)?;
    let pid = message.segment("PID").ok_or(missing(path!("PID"), "PID is missing"))?;
    check_patient(&pid, 1)?;
    // An update may be of the patient alone.
    if visit != Visit::Update && message.segment("PV1").is_none() {
        return Err(missing(path!("PV1"), "PV1 is missing"));
    }
    Ok(Plan(Kind::Adt(visit)))
}

fn plan_results(message: &Message<'_>) -> Result<Plan, Refusal> {
    extent::check(message)?;
    let mut starts: Vec<usize> = message.segments_named("PID").map(|pid| pid.index()).collect();
    if starts.is_empty() {
        return Err(missing(path!("PID"), "PID is missing"));
    }
    starts.push(message.segment_count());
    let mut groups = Vec::with_capacity(starts.len() - 1);
    for (occurrence, bounds) in (1..).zip(starts.windows(2)) {
        let range = bounds[0]..bounds[1];
        let mut segments = range.clone().filter_map(|index| message.segment_at(index));
        if let Some(pid) = segments.next() {
            check_patient(&pid, occurrence)?;
        }
        if !segments.any(|segment| segment.name() == b"OBR") {
            return Err(missing(path!("OBR").in_occurrence(occurrence), "a patient has no OBR"));
        }
        groups.push(range);
    }
    Ok(Plan(Kind::Results(groups)))
}

fn check_patient(pid: &Segment<'_>, occurrence: u16) -> Result<(), Refusal> {
    if patient_id::has_identifier(&pid.field(3)) {
        return Ok(());
    }
    Err(Refusal {
        reason: reason::NO_PATIENT_IDENTIFIER,
        code: ErrorCode::RequiredFieldMissing,
        location: path!("PID-3").in_occurrence(occurrence),
        text: "PID-3 has no identifier",
    })
}

fn missing(location: Path, text: &'static str) -> Refusal {
    Refusal {
        reason: reason::REQUIRED_SEGMENT_MISSING,
        code: ErrorCode::SegmentSequenceError,
        location,
        text,
    }
}

/// The events of an accepted message; `bytes` are those of its body.
///
/// # Errors
/// When [`plan`] refuses it: the rules have become stricter since it was accepted.
pub fn map(inbound: &InboundMessage, bytes: &[u8], feed: &Feed) -> Result<Mapped, Refusal> {
    if batch::is_batch(bytes) {
        return Ok(Mapped::NoDestination(reason::BATCH_NOT_SPLIT));
    }
    // Accepted messages have a readable header; without one there is nothing to be mapped.
    let Ok(message) = Message::parse(bytes) else {
        return Ok(Mapped::NoDestination(reason::EVENT_NOT_MAPPED));
    };
    let Plan(kind) = plan(&message)?;
    let mapping = Mapping::new(inbound, &message, feed);
    Ok(match kind {
        Kind::Nothing(reason) => Mapped::NoDestination(reason),
        Kind::Adt(visit) => Mapped::Events(mapping.adt(visit)),
        Kind::Results(groups) => Mapped::Events(mapping.results(&groups)),
    })
}

/// Authority of identifiers that come without one: the feed's, else the sending facility.
pub(crate) fn default_authority<'a>(feed: &'a Feed, header: &Header<'a>) -> std::borrow::Cow<'a, str> {
    if let Some(authority) = &feed.default_authority {
        return authority.as_str().into();
    }
    let facility = header.sending_facility().component(1);
    facility.text(&waybill_hl7v2::Charset::utf8()).unwrap_or_default()
}

struct Mapping<'m> {
    inbound: &'m InboundMessage,
    message: &'m Message<'m>,
    feed: &'m Feed,
    reading: Reading,
    authority: std::borrow::Cow<'m, str>,
    source: EventSource,
}

impl<'m> Mapping<'m> {
    fn new(inbound: &'m InboundMessage, message: &'m Message<'m>, feed: &'m Feed) -> Self {
        let header = message.header();
        let utc_offset = feed.utc_offset_of(header);
        let reading = Reading { charset: message.charset(feed.charset), utc_offset };
        let occurred_at = message
            .segment("EVN")
            .and_then(|evn| {
                [6, 2].into_iter().find_map(|field| datatypes::date_time(&evn.field(field), &reading))
            })
            .or_else(|| datatypes::moment(header.timestamp(), &reading).map(Phi::new));
        let source = EventSource {
            message_id: inbound.message_id,
            feed: inbound.feed.clone(),
            message_type: inbound.message_type.clone(),
            control_id: inbound.control_id.clone(),
            sending_application: inbound.sending_application.clone(),
            sending_facility: inbound.sending_facility.clone(),
            occurred_at,
            sent_at: inbound.sent_at,
            received_at: inbound.received_at,
            profile: Some(feed.profile.clone()),
        };
        Self { inbound, message, feed, reading, authority: default_authority(feed, header), source }
    }

    fn adt(&self, visit: Visit) -> Vec<Event> {
        let Some(pid) = self.message.segment("PID") else { return Vec::new() };
        let patient = self.patient(&pid);
        let demographics =
            PatientEvent { source: self.source.clone(), patient: patient.clone(), alias: Vec::new() };
        let mut events = vec![self.event(&pid, 0, Payload::Patient(demographics))];
        if let Some(pv1) = self.message.segment("PV1") {
            let encounter = EncounterEvent {
                source: self.source.clone(),
                patient,
                encounter: encounter::encounter(self.message, &pv1, visit, &self.reading),
                coverage: encounter::coverages(self.message, &self.reading),
                guarantor: encounter::guarantors(self.message, &self.reading),
                change: change(visit),
                observation: Vec::new(),
            };
            events.push(self.event(&pid, 0, Payload::Encounter(encounter)));
        }
        events
    }

    fn results(&self, groups: &[Range<usize>]) -> Vec<Event> {
        let result = |(index, group): (usize, &Range<usize>)| {
            let pid = self.message.segment_at(group.start)?;
            let segments = || group.clone().filter_map(|at| self.message.segment_at(at));
            let report = lab::reports(segments(), &self.reading);
            let visit = segments().find(|segment| segment.name() == b"PV1");
            let result = LabResult {
                source: self.source.clone(),
                patient: self.patient(&pid),
                visit: visit.and_then(|pv1| encounter::visit(&pv1, &self.reading)),
                critical: lab::is_critical(&report),
                report,
                original: self.original(groups.len(), group),
            };
            Some(self.event(&pid, index, Payload::Result(result)))
        };
        groups.iter().enumerate().filter_map(result).collect()
    }

    /// The whole message, or this patient's part of it: MSH and the patient's segments.
    fn original(&self, patients: usize, group: &Range<usize>) -> Body {
        if patients == 1 {
            return Body::new(HL7_V2, self.message.raw());
        }
        let segments = self.message.segment("MSH").map(|msh| msh.index()).into_iter().chain(group.clone());
        Body::new(HL7_V2, &edit::copy_segments(self.message, segments))
    }

    fn patient(&self, pid: &Segment<'_>) -> waybill_contracts::fhir::Patient {
        let authority = Some(self.authority.as_ref()).filter(|authority| !authority.is_empty());
        patient::patient(pid, authority, &self.reading)
    }

    fn event(&self, pid: &Segment<'_>, index: usize, payload: Payload) -> Event {
        let key = patient_id::patient_key(&pid.field(3), &self.authority, &self.feed.keyer)
            // The plan has seen an identifier; a key of nothing keeps even a defect in order.
            .unwrap_or_else(|| self.feed.keyer.key("", ""));
        Event { id: EventId::derive(self.inbound.message_id, payload.topic(), index), key, payload }
    }
}

const fn change(visit: Visit) -> EncounterChange {
    match visit {
        Visit::Admit => EncounterChange::Admit,
        Visit::Discharge => EncounterChange::Discharge,
        Visit::Update => EncounterChange::Update,
    }
}
