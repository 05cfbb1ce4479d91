//! Appointments, orders and charges over MLLP and over HTTP, end to end; batches.

use waybill_contracts::{
    Record,
    billing::ChargeEvent,
    clinical::AppointmentEvent,
    inbound::{InboundMessage, InboundRejected, Protocol},
    lab::LabOrder,
};
use waybill_demo::scene::Receivers;
use waybill_simulator::generate::{self, ExpectedAck, GenerateConfig, Generator};
use waybill_testkit::{Installation, Stack, eventually, pending, tracker::Waybill};

use crate::{
    SOON,
    http::{self, HL7},
    installation, mllp, traces,
};

const HEAD: &str = "PID|1||GH0012345^^^GENHOSP^MR||Testcase^Clinical||19800101|F||||||||||ACC1^^^GENHOSP^AN\r\
                    PV1|1|O|CLINIC^1^1^GENHOSP||||1003000126^Welbyson^Marcus^^^DR^MD^^NPI||||||||||||VN1^^^GENHOSP^VN\r";

fn header(kind: &str, id: &str) -> String {
    format!("MSH|^~\\&|EHR|GENHOSP|WAYBILL|HUB|20261124090000-0500||{kind}|{id}|P|2.5.1\r")
}

pub(crate) fn appointment(id: &str) -> String {
    header("SIU^S12^SIU_S12", id)
        + "SCH|APT1^GENEHR|SCH1^GENSCH||||ROUTINE^Routine appointment^HL70276|CHECKUP^Check-up^HL70276|NORMAL^Routine^HL70277|30|min^minute^UCUM|^^30^20261201100000-0500^20261201103000-0500|||||1003000126^Welbyson^Marcus^^^DR^MD^^NPI||||1003000126^Welbyson^Marcus|||||Booked^^HL70278\r"
        + HEAD
        + "RGS|1|A\rAIS|1|A|NP30^New patient 30 min^L|20261201100000-0500|||30|min\r"
}

pub(crate) fn charge(id: &str) -> String {
    header("DFT^P03^DFT_P03", id)
        + "EVN||20261124090000-0500\r"
        + HEAD
        + "FT1|1|TX1|B1|20261124080000-0500|20261124090000-0500|CG|99213^Office visit^C4|||2|257.00&USD|128.50&USD|CLINIC^^HL70049|||||O|I10^Essential hypertension^I10|1003000126^Welbyson^Marcus^^^DR^MD^^NPI|||||99213^Office visit^C4|25\r"
        + "FT1|2|TX0|B1|20261123080000-0500|20261124090000-0500|CR|93000^ECG^C4|||1|-95.50&USD|-95.50&USD\r"
        + "DG1|1||I10^Essential hypertension^I10||20261124|A\r"
}

pub(crate) fn order(id: &str) -> String {
    header("ORM^O01^ORM_O01", id)
        + HEAD
        + "ORC|NW|OP1^GENEHR|||||||20261124090000-0500|||1003000126^Welbyson^Marcus^^^DR^MD^^NPI\r"
        + "OBR|1|OP1^GENEHR||24323-8^Comprehensive metabolic panel^LN||||||||||||1003000126^Welbyson^Marcus^^^DR^MD^^NPI\r"
}

async fn events<T: Record>(waybill: &Installation) -> Vec<T> {
    let decoded = waybill.topics().decoded::<T>(T::TOPIC).await.unwrap();
    decoded.into_iter().map(|(_, event)| event).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn scheduling_charges_and_orders_become_events_by_either_way() {
    let Some(stack) = Stack::require().await else { return };
    let receivers = Receivers::start(None).await.unwrap();
    let waybill = installation(&stack, &receivers).start().await.unwrap();
    // Traces of earlier runs have other ids.
    let run = waybill.namespace().replace('-', "").to_uppercase();
    let messages = [appointment(&format!("{run}A")), charge(&format!("{run}C")), order(&format!("{run}O"))];
    for message in &messages {
        let answer = mllp::ask(waybill.mllp("ehr").unwrap(), message.as_bytes(), SOON).await.unwrap();
        assert_eq!(mllp::code(&answer), "AA", "{answer}");
        let answer = http::post(&waybill, "/hl7", HL7, message.as_bytes()).await;
        assert_eq!((answer.status, mllp::code(&answer.body)), (200, "AA"), "{answer:?}");
    }
    let stored = events::<InboundMessage>(&waybill).await;
    for protocol in [Protocol::Mllp, Protocol::Hl7Http] {
        assert_eq!(stored.iter().filter(|message| message.protocol == protocol).count(), messages.len());
    }
    for message in &stored {
        let id = message.message_id;
        let settled = waybill.tracker().until(id, SOON, Waybill::is_settled).await.unwrap();
        assert_eq!(settled.reason_code.as_deref(), Some("TRK-0001"), "nobody subscribes yet: {settled:?}");
        if waybill.jaeger().is_some() {
            traces::is_whole(&waybill, id, &["confirmation-tracker", "ehr-ingest"]).await;
        }
    }
    the_events_say_what_was_sent(&waybill).await;
}

/// Twice each: once by each feed.
async fn the_events_say_what_was_sent(waybill: &Installation) {
    let appointments = events::<AppointmentEvent>(waybill).await;
    assert_eq!(appointments.len(), 2);
    for event in &appointments {
        let appointment = &event.appointment;
        let numbers: Vec<_> =
            appointment.identifier.iter().map(|number| number.value.expose().as_str()).collect();
        assert_eq!((numbers.as_slice(), appointment.status.as_str()), (&["APT1", "SCH1"][..], "booked"));
        assert_eq!(appointment.start.as_ref().unwrap().expose(), "2026-12-01T10:00:00-05:00");
        assert_eq!(event.visit.as_ref().unwrap().value.expose(), "VN1");
    }
    let charges = events::<ChargeEvent>(waybill).await;
    assert_eq!(charges.len(), 2);
    for event in &charges {
        let lines: Vec<_> = event
            .charge
            .iter()
            .map(|line| {
                let amount = line.amount.as_ref().unwrap();
                (line.identifier[0].value.expose().as_str(), line.r#type.as_str(), amount.value.as_str())
            })
            .collect();
        assert_eq!(lines, [("TX1", "charge", "257.00"), ("TX0", "credit", "-95.50")]);
        assert_eq!(event.charge[0].modifier, ["25"]);
        assert_eq!(event.diagnosis.len(), 1);
    }
    let orders = events::<LabOrder>(waybill).await;
    assert_eq!(orders.len(), 2);
    for event in &orders {
        let placer = event.order[0].placer_order_number.as_ref().unwrap();
        assert_eq!(placer.value.expose(), "OP1");
    }
    for patient in
        orders.iter().map(|order| &order.patient).chain(charges.iter().map(|charge| &charge.patient))
    {
        assert_eq!(patient.identifier[0].value.expose(), "GH0012345");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_batch_every_message_has_its_own_waybill_and_a_bad_one_loses_none() {
    let Some(stack) = Stack::require().await else { return };
    let receivers = Receivers::start(None).await.unwrap();
    let waybill = installation(&stack, &receivers).start().await.unwrap();
    let config = GenerateConfig { bad_share: 0.15, repeat_share: 0.0, ..GenerateConfig::new(99, 60) };
    let messages: Vec<_> = Generator::new(config).collect();
    let good = messages.iter().filter(|message| message.expect.ack == ExpectedAck::AA).count();
    assert!(good < messages.len() && good > 40, "{good} good ones");
    let batch = generate::batch(&messages, "BATCH1");

    let answer = http::post(&waybill, "/hl7", HL7, &batch).await;
    let codes: Vec<_> = answer
        .body
        .split('\r')
        .filter_map(|segment| segment.strip_prefix("MSA|"))
        .map(|msa| msa.split('|').next().unwrap_or_default())
        .collect();
    assert_eq!(codes.len(), messages.len(), "{answer:?}");
    assert!(answer.body.starts_with("FHS|") || answer.body.starts_with("BHS|"), "{answer:?}");
    for (message, code) in messages.iter().zip(&codes) {
        assert_eq!(message.expect.ack == ExpectedAck::AA, *code == "AA", "{} {code}", message.control_id);
    }

    let stored = events::<InboundMessage>(&waybill).await;
    let refused = events::<InboundRejected>(&waybill).await;
    assert_eq!((stored.len(), refused.len()), (good, messages.len() - good));
    for one in &stored {
        assert_eq!(one.batch_control_id.as_deref(), Some("BATCH1"));
        let index = usize::try_from(one.batch_index.unwrap()).unwrap();
        assert_eq!(one.body.bytes().unwrap(), messages[index].bytes, "byte for byte, message {index}");
    }
    let tracker = waybill.tracker();
    eventually("every message of the batch is settled", SOON, async || {
        let balance = tracker.balance().await?;
        if balance.known() == messages.len() as u64 && balance.open() == 0 && balance.balanced {
            return Ok(());
        }
        pending(format!("{balance:?}"))
    })
    .await
    .unwrap();
}
