//! A stock client outside the project (Python, its own Avro reader) decodes what the services wrote.

use std::{path::Path, process::Stdio};

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::process::Command;
use waybill_demo::scene::Receivers;
use waybill_testkit::{Stack, eventually, pending};

use crate::{SOON, clinical, installation, mllp};

#[tokio::test(flavor = "multi_thread")]
async fn a_stock_client_decodes_every_topic() {
    let Some(stack) = Stack::require().await else { return };
    let receivers = Receivers::start(None).await.unwrap();
    let waybill = installation(&stack, &receivers).start().await.unwrap();
    let message = mllp::result("STOCK1");
    let answer = mllp::ask(waybill.mllp("lis").unwrap(), &message, SOON).await.unwrap();
    assert_eq!(mllp::code(&answer), "AA", "{answer}");
    let id = waybill
        .topics()
        .decoded::<waybill_contracts::inbound::InboundMessage>("inbound.message.v1")
        .await
        .unwrap()[0]
        .1
        .message_id;
    waybill.tracker().until(id, SOON, |waybill| waybill.state() == "delivered").await.unwrap();
    for other in [clinical::appointment("STOCK2"), clinical::charge("STOCK3"), clinical::order("STOCK4")] {
        let answer = mllp::ask(waybill.mllp("ehr").unwrap(), other.as_bytes(), SOON).await.unwrap();
        assert_eq!(mllp::code(&answer), "AA", "{answer}");
    }
    let tracker = waybill.tracker();
    eventually("all four are settled", SOON, async || {
        let balance = tracker.balance().await?;
        if balance.known() == 4 && balance.open() == 0 { Ok(()) } else { pending(format!("{balance:?}")) }
    })
    .await
    .unwrap();

    let names: Vec<_> = [
        "inbound.message.v1",
        "lab.result.v1",
        "clinical.appointment.v1",
        "billing.charge.v1",
        "lab.order.v1",
        "lab.delivery.ehr-portal.v1",
        "delivery.subscription.v1",
        "delivery.manifest.v1",
        "delivery.receipt.v1",
    ]
    .map(|topic| waybill.topics().name(topic).to_string())
    .into();
    let output = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("stock_client/run"))
        .args(&names)
        .args(["--bootstrap-servers", &stack.kafka, "--registry-url", &stack.registry])
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let records: Vec<Value> = output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect();
    for name in &names {
        assert!(records.iter().any(|record| record["topic"] == **name), "nothing of {name}");
    }
    let value =
        |topic: usize| &records.iter().find(|record| record["topic"] == *names[topic]).unwrap()["value"];
    assert_eq!(value(2)["appointment"]["identifier"][0]["value"], "APT1");
    assert_eq!(value(3)["charge"][1]["amount"]["value"], "-95.50");
    assert_eq!(value(4)["order"][0]["placerOrderNumber"]["value"], "OP1");
    let inbound = records.iter().find(|record| record["topic"] == *names[0]).unwrap();
    let value = &inbound["value"];
    assert_eq!(
        (&value["feed"], &value["controlId"], &value["ackCode"]),
        (&"lis".into(), &"STOCK1".into(), &"AA".into())
    );
    assert_eq!(value["messageId"], id.to_string());
    assert_eq!(value["body"]["size"], message.len());
    assert_eq!(decoded(&value["sha256"]), Sha256::digest(&message).as_slice());
    assert_eq!(decoded(&value["body"]["data"]), message);
    assert_eq!(inbound["headers"]["ce_id"], id.to_string());
    assert_eq!(inbound["headers"]["ce_type"], "inbound.message.v1");
}

/// Base 64 as Python prints it, by the rule itself.
fn decoded(text: &Value) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for letter in text.as_str().unwrap().bytes().filter(|letter| *letter != b'=') {
        let value = ALPHABET.iter().position(|known| *known == letter).unwrap();
        bits = (bits << 6) | value as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}
