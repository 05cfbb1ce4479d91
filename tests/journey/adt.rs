//! The state of encounters from what is in the topics: a hospital's ADT traffic with cancels, merges and repeats, by four
//! connections at once, folded by `waybill-adt`, is what the hospital itself knows.

use std::collections::{BTreeMap, HashMap};

use waybill_adt::{Census, Name};
use waybill_contracts::{
    EventId, Phi, Record,
    clinical::{EncounterEvent, PatientEvent},
};
use waybill_demo::{
    evidence::Sent,
    messages::Letter,
    scene::{self, Receivers},
    screen::Screen,
};
use waybill_simulator::{
    generate::{GenerateConfig, Generated, Generator, Kind},
    send::{CancellationToken, SendConfig, Sender},
};
use waybill_testkit::{Installation, Stack, Unit};

use crate::installation;

#[tokio::test(flavor = "multi_thread")]
async fn folded_events_are_what_the_hospital_knows() {
    let Some(stack) = Stack::require().await else { return };
    let receivers = Receivers::start(None).await.unwrap();
    // The hospital writes its local time, with the offset only now and then.
    let local = installation(&stack, &receivers).set(Unit::EhrIngest, "feed.0.utc_offset", "-05:00");
    let waybill = local.start().await.unwrap();
    let config = GenerateConfig {
        lab_share: 0.0,
        unrouted_share: 0.0,
        bad_share: 0.0,
        repeat_share: 0.2,
        patients: 25,
        ..GenerateConfig::new(20_261_102, 900)
    };
    let messages: Vec<_> =
        Generator::new(config).filter(|message| message.expect.kind == Kind::Adt).collect();
    let hospital = Hospital::of(&messages);
    assert!(hospital.status.len() > 60 && hospital.merged.len() > 2, "{} visits", hospital.status.len());

    send(&waybill, &receivers, messages).await;
    let patients = decoded::<PatientEvent>(&waybill).await;
    let encounters = decoded::<EncounterEvent>(&waybill).await;
    let mut census = Census::default();
    for (id, event) in &patients {
        census.apply_patient(*id, event).unwrap();
    }
    for (id, event) in &encounters {
        census.apply_encounter(*id, event).unwrap();
    }
    // Another order, and everything twice.
    let mut backwards = Census::default();
    for (id, event) in encounters.iter().rev().chain(&encounters) {
        backwards.apply_encounter(*id, event).unwrap();
    }
    for (id, event) in patients.iter().rev().chain(&patients) {
        backwards.apply_patient(*id, event).unwrap();
    }
    assert_eq!(census, backwards);

    let visits = census.encounters();
    let mut statuses = BTreeMap::<&str, usize>::new();
    for visit in &visits {
        let number = visit.key.visit.value.expose().as_str();
        let status = hospital.status[number];
        assert_eq!(visit.folded.encounter.status, status, "visit {number}: {:?}", visit.folded.notices);
        assert!(visit.folded.notices.is_empty(), "visit {number}: {:?}", visit.folded.notices);
        let ended = visit.folded.encounter.period.as_ref().is_some_and(|period| period.end.is_some());
        assert_eq!(ended, hospital.ended[number], "end of visit {number}");
        let ward = visit.folded.encounter.location.first().and_then(|place| place.point_of_care.as_deref());
        if status != "cancelled" {
            assert_eq!(ward, Some(hospital.ward[number].as_str()), "ward of visit {number}");
        }
        let owner = visit.patient.as_ref().unwrap();
        assert_eq!(
            owner.value.expose(),
            hospital.survivor(&hospital.owner[number]),
            "patient of visit {number}"
        );
        *statuses.entry(status).or_default() += 1;
    }
    assert_eq!(visits.len(), hospital.status.len());
    let all = ["in-progress", "finished", "cancelled"];
    assert!(all.iter().all(|status| statuses.contains_key(status)), "{statuses:?}");
    for old in hospital.merged.keys() {
        let asked = Name { value: Phi::from(old.as_str()), ..visits[0].patient.clone().unwrap() };
        let found = census.patient(&asked).unwrap();
        assert_eq!(found.name.value.expose(), hospital.survivor(old));
    }
    println!(
        "{} events of {} visits, by status {statuses:?}",
        encounters.len() + patients.len(),
        visits.len()
    );
}

async fn decoded<T: Record>(waybill: &Installation) -> Vec<(EventId, T)> {
    let decoded = waybill.topics().decoded::<T>(T::TOPIC).await.unwrap();
    decoded
        .into_iter()
        .map(|(record, event)| (record.event_headers().unwrap().id.parse().unwrap(), event))
        .collect()
}

/// By four connections, so that what concerns two patients overtakes; settled when this returns.
async fn send(waybill: &Installation, receivers: &Receivers, messages: Vec<Generated>) {
    let letters: Vec<Letter> = messages.into_iter().map(Letter::from).collect();
    let config = SendConfig { connections: 4, ..SendConfig::to(waybill.mllp("ehr").unwrap().to_string()) };
    let outgoing = letters.iter().map(|letter| letter.outgoing.clone()).collect();
    let report = Sender::new(config).run(outgoing, CancellationToken::new()).await;
    assert_eq!(report.failures, 0, "{:?}\n{}", report.acked, waybill.tails());
    let records = report.records.into_iter();
    let sent = records.map(|record| Sent { letter: letters[record.index].clone(), record }).collect();
    let evidence = scene::settle(waybill, receivers, sent, &mut Screen::default()).await.unwrap();
    let audit = waybill_demo::audit::Audit::of(&evidence, &scene::plan(&[]));
    assert!(audit.findings.is_empty(), "{:#?}\n{}", audit.findings, waybill.tails());
}

/// What the messages say when read in the order in which they were written, one after the other.
#[derive(Default)]
struct Hospital {
    status: HashMap<String, &'static str>,
    ended: HashMap<String, bool>,
    ward: HashMap<String, String>,
    owner: HashMap<String, String>,
    merged: BTreeMap<String, String>,
}

impl Hospital {
    fn of(messages: &[Generated]) -> Self {
        let mut hospital = Self::default();
        for message in messages.iter().filter(|message| !message.repeat) {
            hospital.happen(message);
        }
        hospital
    }

    fn happen(&mut self, message: &Generated) {
        let text: String = message.bytes.iter().map(|byte| char::from(*byte)).collect();
        let field = |name: &str, number: usize| {
            let segment = text.split('\r').find(|segment| segment.starts_with(name))?;
            let first = segment.split('|').nth(number)?.split('^').next()?;
            Some(first.to_owned()).filter(|value| !value.is_empty())
        };
        let trigger = &message.message_type[4..];
        if trigger == "A40" {
            self.merged.insert(field("MRG", 1).unwrap(), message.mrn.clone());
        }
        let Some(visit) = field("PV1", 19) else { return };
        let status = match trigger {
            "A01" | "A02" | "A04" | "A06" | "A07" | "A12" | "A13" => Some("in-progress"),
            "A03" => Some("finished"),
            "A05" => Some("planned"),
            "A11" | "A38" => Some("cancelled"),
            _ => None,
        };
        if let Some(status) = status {
            self.ended.insert(visit.clone(), status == "finished");
            self.status.insert(visit.clone(), status);
        }
        if let Some(ward) = field("PV1", 3) {
            self.ward.insert(visit.clone(), ward);
        }
        self.owner.insert(visit, message.mrn.clone());
    }

    fn survivor<'a>(&'a self, mrn: &'a str) -> &'a str {
        let mut at = mrn;
        while let Some(next) = self.merged.get(at) {
            at = next;
        }
        at
    }
}
