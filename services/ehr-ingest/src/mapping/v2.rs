//! HL7 v2 messages as canonical events.
//!
//! - [`plan`] decides what a message becomes and finds every error of content. The listener runs it before the write,
//!   so that such a message is refused and never stored as accepted; it allocates next to nothing.
//! - [`map`] is `plan` and then the events, which cannot fail any more.
//!
//! | message | events |
//! |---|---|
//! | ADT^A01 to A08, A11 to A13, A28, A31, A38 | `clinical.patient`, and `clinical.encounter` when there is a visit (`adt`) |
//! | ADT^A40 to A47, A49 to A51, and the older A18, A30, A34 to A36 | `clinical.patient` on the key of each patient concerned, with the aliases; `clinical.encounter` per PV1 (`merge`) |
//! | SIU^S12 to S17, S26 | one `clinical.appointment` per patient of the message (`schedule`) |
//! | ORM^O01, OML^O21, O33, O35, OMG^O19 | one `lab.order` per patient of the message (`orders`) |
//! | ORU^R01, R30, R31, R32 | one `lab.result` per patient of the message (`lab`) |
//! | DFT^P03, P11 | one `billing.charge` per patient of the message (`charges`) |
//! | anything else | none: NRM-0001; orders of no laboratory: NRM-0010; appointments of no patient: NRM-0011; several messages in one: NRM-0002 |
//!
//! Absent and `""` (HL7 v2 §2.5.3: delete) read the same: the events have no way to say that a value was deleted, and a
//! consumer that takes absent for "no news" keeps the old one.

mod adt;
mod charges;
mod codes;
mod datatypes;
mod decimal;
mod encounter;
mod extent;
mod group;
mod insurance;
mod lab;
mod merge;
mod observation;
mod orders;
mod patient;
mod people;
mod schedule;
mod statuses;
mod timing;

use std::borrow::Cow;

use waybill_contracts::{
    Body, EventId, PatientKey, Phi, ReasonCode,
    body::HL7_V2,
    clinical::{EncounterChange, EventSource},
    fhir::Patient,
    inbound::InboundMessage,
    lab::LabResult,
    reason,
};
use waybill_hl7v2::{Header, Message, Path, Segment, WarningKind, ack::ErrorCode, batch, edit, path};

use self::{
    datatypes::Reading,
    group::{Group, first},
    merge::Renumbering,
    schedule::Slot,
};
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
    Visit(EncounterChange, Vec<Group>),
    Renumbering(Renumbering, Vec<Group>),
    Appointment(Slot, Vec<Group>),
    Orders(orders::Layout, Vec<Group>),
    Results(Vec<Group>),
    Charges(charges::Layout, Vec<Group>),
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
    let (code, trigger) = event(message);
    let extent = || whole(message).and_then(|()| extent::check(message));
    let kind = if let (b"ADT", Some(change)) = (code, adt::change(trigger)) {
        extent()?;
        Kind::Visit(change, adt::plan(message, change)?)
    } else if let (b"ADT", Some(what)) = (code, merge::renumbering(trigger)) {
        extent()?;
        Kind::Renumbering(what, merge::plan(message, what)?)
    } else if let (b"SIU", Some(slot)) = (code, schedule::slot(trigger)) {
        extent()?;
        match schedule::plan(message)? {
            groups if groups.is_empty() => Kind::Nothing(reason::APPOINTMENT_OF_NO_PATIENT),
            groups => Kind::Appointment(slot, groups),
        }
    } else if let Some(layout) = orders::layout(code, trigger) {
        extent()?;
        match orders::plan(message, layout)? {
            groups if groups.is_empty() => Kind::Nothing(reason::NOT_A_LABORATORY_ORDER),
            groups => Kind::Orders(layout, groups),
        }
    } else if let (b"DFT", Some(layout)) = (code, charges::layout(trigger)) {
        extent()?;
        Kind::Charges(layout, charges::plan(message)?)
    } else if let (b"ORU", b"R01" | b"R30" | b"R31" | b"R32") = (code, trigger) {
        extent()?;
        Kind::Results(plan_results(message)?)
    } else {
        Kind::Nothing(reason::EVENT_NOT_MAPPED)
    };
    Ok(Plan(kind))
}

/// Refuses a fragment: mapped by itself it would pass a part of a report for all of it. By DSC and ADD only; MSH-14 is
/// filled in by senders that continue nothing.
fn whole(message: &Message<'_>) -> Result<(), Refusal> {
    let last = message.segment_count().checked_sub(1).and_then(|last| message.segment_at(last));
    let goes_on = last.is_some_and(|last| last.name() == b"DSC" && last.field(1).value().is_some());
    let went_before = message.segment_at(1).is_some_and(|second| second.name() == b"ADD");
    let location = match (goes_on, went_before) {
        (false, false) => return Ok(()),
        (true, _) => path!("DSC-1"),
        (false, true) => path!("ADD"),
    };
    Err(Refusal {
        reason: reason::FRAGMENT,
        code: ErrorCode::SegmentSequenceError,
        location,
        text: "a message in several fragments is not taken; send it as one",
    })
}

/// Message type and event. Until 2.2 MSH-9 may be the type alone: of observations, orders and charges there was one event
/// then, and EVN-1 tells the others.
fn event<'m>(message: &'m Message<'_>) -> (&'m [u8], &'m [u8]) {
    let header = message.header();
    let trigger = match (header.message_code(), header.trigger_event()) {
        (b"ORU", b"") => b"R01",
        (b"ORM", b"") => b"O01",
        (b"DFT", b"") => b"P03",
        (_, b"") => message.get(path!("EVN-1.1")).value().unwrap_or_default().trim_ascii(),
        (_, trigger) => trigger,
    };
    (header.message_code(), trigger)
}

fn plan_results(message: &Message<'_>) -> Result<Vec<Group>, Refusal> {
    let groups = group::by_patient(message)?;
    for (occurrence, group) in (1..).zip(&groups) {
        if !group.has(message, &[b"OBR"]) {
            return Err(group::missing(path!("OBR").in_occurrence(occurrence), "a patient has no OBR"));
        }
    }
    Ok(groups)
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
    let Ok(received) = Message::parse(bytes) else {
        return Ok(Mapped::NoDestination(reason::EVENT_NOT_MAPPED));
    };
    let rewritten = feed.rewrite_v2(&received);
    let rewritten = rewritten.as_deref().and_then(|bytes| Message::parse(bytes).ok());
    let message = rewritten.as_ref().unwrap_or(&received);
    let Plan(kind) = plan(message)?;
    let mapping = Mapping::new(inbound, message, &received, feed);
    let outbox = match kind {
        Kind::Nothing(reason) => return Ok(Mapped::NoDestination(reason)),
        Kind::Visit(change, groups) => adt::events(&mapping, &groups, change),
        Kind::Renumbering(what, groups) => merge::events(&mapping, &groups, what),
        Kind::Appointment(slot, groups) => schedule::events(&mapping, &groups, slot),
        Kind::Orders(layout, groups) => orders::events(&mapping, &groups, layout),
        Kind::Results(groups) => mapping.results(&groups),
        Kind::Charges(layout, groups) => charges::events(&mapping, &groups, layout),
    };
    Ok(Mapped::Events(outbox.events))
}

/// Authority of identifiers that come without one: the feed's, else the sending facility.
pub(crate) fn default_authority<'a>(feed: &'a Feed, header: &Header<'a>) -> Cow<'a, str> {
    if let Some(authority) = &feed.default_authority {
        return feed.authority(authority).into();
    }
    let facility = header.sending_facility().component(1);
    let sent = facility.text(&waybill_hl7v2::Charset::utf8()).unwrap_or_default();
    match feed.authority(&sent) {
        name if *name == *sent => sent,
        name => name.to_owned().into(),
    }
}

struct Mapping<'m> {
    inbound: &'m InboundMessage,
    /// As the feed's profile has rewritten it: what is mapped.
    message: &'m Message<'m>,
    /// As it came in, with the same segments: what goes with a result.
    received: &'m Message<'m>,
    feed: &'m Feed,
    reading: Reading,
    authority: Cow<'m, str>,
    source: EventSource,
}

impl<'m> Mapping<'m> {
    fn new(
        inbound: &'m InboundMessage,
        message: &'m Message<'m>,
        received: &'m Message<'m>,
        feed: &'m Feed,
    ) -> Self {
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
        Self { inbound, message, received, feed, reading, authority: default_authority(feed, header), source }
    }

    fn results(&self, groups: &[Group]) -> Outbox {
        let mut outbox = Outbox::default();
        for group in groups {
            let segments = group.segments(self.message);
            let Some(pid) = self.message.segment_at(group.pid) else { continue };
            let report = lab::reports(segments.iter().copied(), &self.reading);
            let result = LabResult {
                source: self.source.clone(),
                patient: self.patient(&pid, &segments),
                visit: first(&segments, b"PV1").and_then(|pv1| encounter::visit(&pv1, &self.reading)),
                critical: lab::is_critical(&report),
                report,
                original: self.original(groups.len(), group),
            };
            outbox.push(self, self.key(&pid), Payload::Result(result));
        }
        outbox
    }

    /// The whole message, or this patient's part of it: MSH and the patient's segments.
    fn original(&self, patients: usize, group: &Group) -> Body {
        if patients == 1 {
            return Body::new(HL7_V2, self.received.raw());
        }
        let msh = self.message.segment("MSH").map(|msh| msh.index());
        Body::new(HL7_V2, &edit::copy_segments(self.received, msh.into_iter().chain(group.start..group.end)))
    }

    /// The patient of a PID, with the contacts among the segments.
    fn patient(&self, pid: &Segment<'_>, segments: &[Segment<'_>]) -> Patient {
        let authority = Some(self.authority.as_ref()).filter(|authority| !authority.is_empty());
        Patient {
            contact: patient::contacts(segments, &self.reading),
            ..patient::patient(pid, authority, &self.reading)
        }
    }

    /// The key of the patient of a PID.
    fn key(&self, pid: &Segment<'_>) -> PatientKey {
        patient_id::patient_key(&pid.field(3), &self.authority, &self.feed.keyer)
            // The plan has seen an identifier; a key of nothing keeps even a defect in order.
            .unwrap_or_else(|| self.feed.keyer.key("", ""))
    }
}

/// The events of a message as they are made, numbered by topic.
#[derive(Default)]
struct Outbox {
    events: Vec<Event>,
    /// Topics with the number of their next event.
    next: Vec<(&'static str, usize)>,
}

impl Outbox {
    fn push(&mut self, mapping: &Mapping<'_>, key: PatientKey, payload: Payload) {
        let id = EventId::derive(mapping.inbound.message_id, payload.topic(), self.number(payload.topic()));
        self.events.push(Event { id, key, payload });
    }

    /// Number of the next event of a topic.
    fn number(&mut self, topic: &'static str) -> usize {
        if let Some((_, next)) = self.next.iter_mut().find(|(known, _)| *known == topic) {
            *next += 1;
            return *next - 1;
        }
        self.next.push((topic, 1));
        0
    }
}
