//! SIU^S12 to S17 and S26 as appointments: SCH, and the services, people and places of its resources.

use smol_str::SmolStr;
use waybill_contracts::{
    Phi,
    clinical::{Appointment, AppointmentEvent, EncounterLocation},
};
use waybill_hl7v2::{Message, Segment, path};

use super::{
    Mapping, Outbox, Refusal, adt,
    datatypes::{Reading, Value, code, concept, concept_of, entity, leaf},
    encounter,
    group::{self, Group, first, named},
    insurance, patient,
    people::practitioners,
    statuses,
    timing::{self, Timing, moment_at},
};
use crate::mapping::Payload;

/// What happened to the appointment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// S12, S13, S14: booked, rescheduled, modified.
    Booked,
    /// S15: cancelled; S16: discontinued.
    Cancelled,
    /// S17: deleted, it should never have been.
    Deleted,
    /// S26: the patient did not come.
    NoShow,
}

/// What a SIU event says; `None` for an event of another kind.
pub(super) fn slot(trigger: &[u8]) -> Option<Slot> {
    Some(match trigger {
        b"S12" | b"S13" | b"S14" => Slot::Booked,
        b"S15" | b"S16" => Slot::Cancelled,
        b"S17" => Slot::Deleted,
        b"S26" => Slot::NoShow,
        _ => return None,
    })
}

/// Each patient of the appointment: it may have several, and none (HL7 v2 §10.4: a room or a device is booked).
pub(super) fn plan(message: &Message<'_>) -> Result<Vec<Group>, Refusal> {
    if message.segment("SCH").is_none() {
        return Err(group::missing(path!("SCH"), "SCH is missing"));
    }
    if message.segment("PID").is_none() {
        return Ok(Vec::new());
    }
    group::by_patient(message)
}

/// One event per patient, all of the same appointment.
pub(super) fn events(mapping: &Mapping<'_>, groups: &[Group], slot: Slot) -> Outbox {
    let mut outbox = Outbox::default();
    let reading = &mapping.reading;
    let all: Vec<Segment<'_>> = mapping.message.segments().collect();
    let Some(sch) = first(&all, b"SCH") else { return outbox };
    let appointment = appointment(&all, &sch, slot, reading);
    for group in groups {
        let segments = group.segments(mapping.message);
        let Some(pid) = mapping.message.segment_at(group.pid) else { continue };
        let pv1 = first(&segments, b"PV1");
        let mut appointment = appointment.clone();
        // Who attends and refers in PV1 comes after those of the schedule.
        for (number, role) in [(7, "attender"), (8, "referrer")] {
            let people = pv1.map(|pv1| practitioners(&pv1.field(number), role, reading));
            appointment.participant.extend(people.unwrap_or_default());
        }
        let event = AppointmentEvent {
            source: mapping.source.clone(),
            patient: mapping.patient(&pid, &segments),
            appointment,
            visit: pv1.and_then(|pv1| encounter::visit(&pv1, reading)),
            account: patient::account(&pid, reading),
            coverage: insurance::coverages(&segments, reading),
            guarantor: insurance::guarantors(&segments, reading),
            diagnosis: encounter::diagnoses(&segments, reading),
        };
        outbox.push(mapping, mapping.key(&pid), Payload::Appointment(event));
    }
    outbox
}

fn appointment(all: &[Segment<'_>], sch: &Segment<'_>, slot: Slot, reading: &Reading) -> Appointment {
    let field = |number| sch.field(number);
    let number = |field: usize, kind| entity(&sch.field(field), kind, reading);
    let times = times(all, sch, reading);
    // The whole appointment's, else that of its first service (AIS-10).
    let filler_status = code(&field(25), reading)
        .or_else(|| first(all, b"AIS").and_then(|ais| code(&ais.field(10), reading)));
    Appointment {
        identifier: [number(1, "PLAC"), number(2, "FILL")].into_iter().flatten().collect(),
        status: status(slot, filler_status.as_deref()).into(),
        status_code: concept_of(&field(25), "HL70278", reading),
        event_reason: concept(&field(6).repetition(1), reading),
        reason_code: concept(&field(7).repetition(1), reading).map(Phi::new),
        appointment_type: concept_of(&field(8), "HL70277", reading),
        service_type: named(all, b"AIS")
            .filter_map(|ais| concept(&ais.field(3).repetition(1), reading))
            .collect(),
        start: times.start,
        end: times.end,
        minutes_duration: times.minutes,
        priority: times.priority,
        comment: comment(all, reading),
        participant: named(all, b"AIP")
            .flat_map(|aip| practitioners(&aip.field(3), "performer", reading))
            .chain(practitioners(&field(12), "placer-contact", reading))
            .chain(practitioners(&field(16), "filler-contact", reading))
            .chain(practitioners(&field(20), "enterer", reading))
            .collect(),
        location: places(all, slot, reading),
        placer_group_number: number(4, "PGN"),
        parent: number(23, "PLAC").or_else(|| number(24, "FILL")),
        occurrence: encounter::number(&field(3), reading),
        ..Appointment::default()
    }
}

/// The event decides that an appointment is off; else SCH-25 says how far it is.
fn status(slot: Slot, filler_status: Option<&str>) -> &'static str {
    match slot {
        Slot::Cancelled => "cancelled",
        Slot::Deleted => "entered-in-error",
        Slot::NoShow => "noshow",
        Slot::Booked => filler_status.and_then(statuses::appointment).unwrap_or("booked"),
    }
}

struct Times {
    start: Option<Phi<SmolStr>>,
    end: Option<Phi<SmolStr>>,
    minutes: Option<i32>,
    priority: Option<SmolStr>,
}

/// Start: the first resource that has one (AIS-4, AIP-6, AIL-6, AIG-8), else TQ1, else SCH-11, which TQ1 has replaced
/// since 2.5. End: as sent, else start and duration. Duration: SCH-9, else that of the first service (AIS-7).
fn times(all: &[Segment<'_>], sch: &Segment<'_>, reading: &Reading) -> Times {
    const STARTS: [(&[u8], usize); 4] = [(b"AIS", 4), (b"AIP", 6), (b"AIL", 6), (b"AIG", 8)];
    let starts = STARTS.into_iter().flat_map(|(name, field)| {
        all.iter().filter(move |segment| segment.name() == name).map(move |segment| segment.field(field))
    });
    let text = |segment: &Segment<'_>, field: usize| code(&segment.field(field), reading);
    let timed = first(all, b"TQ1").map(|tq1| Timing::of_segment(&tq1, reading)).unwrap_or_default();
    let timing = Timing::of_field(&sch.field(11), reading);
    let minutes = timing::minutes(text(sch, 9), text(sch, 10))
        .or_else(|| named(all, b"AIS").find_map(|ais| timing::minutes(text(ais, 7), text(ais, 8))));
    let resource = starts
        .map(|field| field.repetition(1))
        .find_map(|whole| Some((moment_at(&whole, 1, reading)?, leaf(&whole, 1).raw().to_vec())));
    let sch_11 = sch.field(11).repetition(1);
    let priority = timing.priority_code.clone().or_else(|| timed.priority_code.clone());
    let (start, raw, end) = match resource {
        // The end in SCH-11 is of the whole appointment, as long as it starts with this resource.
        Some((start, raw)) => {
            let same = |other: &Timing| other.start.as_ref().is_none_or(|other| *other == start);
            let end = if same(&timing) { timing.end } else { None };
            let end = if end.is_none() && same(&timed) { timed.end } else { end };
            (Some(start), raw, end)
        }
        None if timed.start.is_some() || timed.end.is_some() => {
            let raw = first(all, b"TQ1").map(|tq1| leaf(&tq1.field(7).repetition(1), 1).raw().to_vec());
            (timed.start, raw.unwrap_or_default(), timed.end)
        }
        None => (timing.start, leaf(&sch_11, 4).raw().to_vec(), timing.end),
    };
    let end = end.or_else(|| timing::after(&raw, minutes?, reading));
    Times { start, end, minutes, priority }
}

/// All comments, one line each.
fn comment(all: &[Segment<'_>], reading: &Reading) -> Option<Phi<SmolStr>> {
    let lines: Vec<SmolStr> =
        named(all, b"NTE").flat_map(|nte| adt::notes(nte, reading)).map(Phi::into_exposed).collect();
    (!lines.is_empty()).then(|| Phi::new(lines.join("\n").into()))
}

/// AIL-3, and what AIG-3 books beside people and rooms, by its name.
fn places(all: &[Segment<'_>], slot: Slot, reading: &Reading) -> Vec<EncounterLocation> {
    let status = (slot == Slot::Booked).then_some("planned");
    all.iter()
        .filter_map(|segment| match segment.name() {
            b"AIL" => encounter::location(&segment.field(3), status, reading),
            b"AIG" => {
                let resource = segment.field(3).repetition(1);
                let name = leaf(&resource, 2).read(reading).or_else(|| leaf(&resource, 1).read(reading))?;
                Some(EncounterLocation {
                    status: status.map(SmolStr::new_static),
                    point_of_care: Some(name),
                    ..EncounterLocation::default()
                })
            }
            _ => None,
        })
        .collect()
}
