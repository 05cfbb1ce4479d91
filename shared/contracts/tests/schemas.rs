//! Schemas, examples and Rust types say the same. Whoever changes one of them alone meets a failure here.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail by panicking")]

#[path = "schemas/history.rs"]
mod history;
#[path = "schemas/walk.rs"]
mod walk;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use walk::{Schema, fields, files, folder, text};
use waybill_contracts::{
    BodyEncoding, Record, avro,
    billing::ChargeEvent,
    clinical::{AliasLevel, AppointmentEvent, EncounterChange, EncounterEvent, PatientEvent},
    delivery::{
        Manifest, ManifestStage, MessageState, Outcome, Receipt, Status, Subscription, SubscriptionState,
    },
    inbound::{InboundMessage, InboundRejected, Protocol},
    lab::{LabDelivery, LabOrder, LabResult},
    topics,
};

/// Runs a check over the type of every topic.
macro_rules! every_record {
    ($check:ident) => {{
        $check::<$crate::InboundMessage>();
        $check::<$crate::InboundRejected>();
        $check::<$crate::PatientEvent>();
        $check::<$crate::EncounterEvent>();
        $check::<$crate::AppointmentEvent>();
        $check::<$crate::LabOrder>();
        $check::<$crate::LabResult>();
        $check::<$crate::ChargeEvent>();
        $check::<$crate::LabDelivery>();
        $check::<$crate::Subscription>();
        $check::<$crate::Manifest>();
        $check::<$crate::Receipt>();
        $check::<$crate::Status>();
    }};
}
pub(crate) use every_record;

/// Name of a type's schema file.
pub(crate) fn schema_name<T: Record>() -> &'static str {
    &topics::find(T::TOPIC).unwrap().schema
}

fn examples<T: Record>() -> BTreeMap<String, String> {
    let examples = files(&folder().join("examples").join(schema_name::<T>()), "json");
    assert!(examples.len() > 1, "{} needs a full and a minimal example", T::TOPIC);
    examples
}

/// The JSON of the Rust values of all examples: every field is there, defaults filled in.
fn whole_values<T: Record>() -> Vec<Value> {
    let parse = |(name, text): (String, String)| {
        let value: T =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{} {name}: {error}", T::TOPIC));
        serde_json::to_value(&value).unwrap()
    };
    examples::<T>().into_iter().map(parse).collect()
}

#[test]
fn every_topic_has_a_schema_and_every_schema_a_topic() {
    let catalogued: BTreeSet<_> = topics::catalogue().iter().map(|topic| topic.schema.clone()).collect();
    let schemas: BTreeSet<_> = files(&folder(), "avsc").into_keys().collect();
    assert_eq!(schemas, catalogued);
    let described = std::fs::read_dir(folder().join("examples")).unwrap();
    let described: BTreeSet<_> =
        described.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(described, catalogued);
}

#[test]
fn every_schema_parses_and_shared_types_are_identical() {
    let mut shared: BTreeMap<String, (String, Value)> = BTreeMap::new();
    for (file, content) in files(&folder(), "avsc") {
        apache_avro::Schema::parse_str(&content).unwrap_or_else(|error| panic!("{file}: {error}"));
        let schema = Schema::new(&content);
        for (name, ty) in &schema.names {
            let resolved = schema.resolved(ty);
            let (first, known) =
                shared.entry(name.clone()).or_insert_with(|| (file.clone(), resolved.clone()));
            assert_eq!(*known, resolved, "{name} differs between {first} and {file}");
        }
    }
}

#[test]
fn examples_survive_the_way_through_avro() {
    fn check<T: Record + PartialEq + Debug>() {
        for (name, text) in examples::<T>() {
            let value: T =
                serde_json::from_str(&text).unwrap_or_else(|error| panic!("{} {name}: {error}", T::TOPIC));
            let mut datum = Vec::new();
            avro::encode(&value, &mut datum).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(avro::decode::<T>(T::schema(), &datum).unwrap(), value, "{} {name}", T::TOPIC);
            // What is written by position is what apache-avro writes by name.
            let mut by_name = Vec::new();
            T::writer().unwrap().write_ser(&mut by_name, &value).unwrap();
            assert_eq!(datum, by_name, "{} {name}", T::TOPIC);
            datum.push(0);
            assert!(avro::decode::<T>(T::schema(), &datum).is_err(), "a byte too many must not pass");
        }
    }
    every_record!(check);
}

#[test]
fn no_example_has_a_key_the_schema_lacks() {
    // serde ignores unknown keys, so that a newer writer can be read; a misspelt key in an example must not hide there.
    fn check<T: Record>() {
        let schema = Schema::new(T::SCHEMA);
        for (name, content) in examples::<T>() {
            let value: Value = serde_json::from_str(&content).unwrap();
            for at in schema.positions(&value).iter().filter(|at| at.ty["type"] == "record") {
                let known: BTreeSet<_> = fields(at.ty).map(|field| text(&field["name"])).collect();
                let object = value.pointer(&at.pointer).unwrap().as_object().unwrap();
                let unknown: Vec<_> = object.keys().filter(|key| !known.contains(key.as_str())).collect();
                assert!(unknown.is_empty(), "{} {name} {}: {unknown:?}", T::TOPIC, at.pointer);
            }
        }
    }
    every_record!(check);
}

#[test]
fn types_and_schemas_have_the_same_fields() {
    fn check<T: Record>() {
        let schema = Schema::new(T::SCHEMA);
        let mut filled = BTreeSet::new();
        for value in whole_values::<T>() {
            for at in schema.positions(&value) {
                filled.insert(at.field.clone());
                if at.ty["type"] == "record" {
                    // In the same order as well: records are written by position.
                    let of_schema: Vec<_> = fields(at.ty).map(|field| text(&field["name"])).collect();
                    let object = value.pointer(&at.pointer).unwrap().as_object().unwrap();
                    let of_type: Vec<_> = object.keys().map(String::as_str).collect();
                    assert_eq!(
                        of_type,
                        of_schema,
                        "{} {}: left the Rust type, right the schema",
                        T::TOPIC,
                        at.pointer
                    );
                }
            }
        }
        let bare: Vec<_> = schema.fields().into_iter().filter(|field| !filled.contains(field)).collect();
        assert!(bare.is_empty(), "no example of {} fills {bare:?}", T::TOPIC);
    }
    every_record!(check);
}

#[test]
fn defaults_of_types_are_those_of_schemas() {
    // A datum of an older writer is read without Avro's resolution: what it lacks gets the default of the type.
    fn check<T: Record>() {
        let schema = Schema::new(T::SCHEMA);
        for value in whole_values::<T>() {
            for at in schema.positions(&value).iter().filter(|at| at.ty["type"] == "record") {
                let mut expected = value.pointer(&at.pointer).unwrap().as_object().unwrap().clone();
                let mut bare = value.clone();
                let object = bare.pointer_mut(&at.pointer).unwrap().as_object_mut().unwrap();
                for field in fields(at.ty).filter(|field| field.get("default").is_some()) {
                    object.shift_remove(text(&field["name"]));
                    expected.insert(text(&field["name"]).to_owned(), field["default"].clone());
                }
                let read: T = serde_json::from_value(bare)
                    .unwrap_or_else(|error| panic!("{} {}: {error}", T::TOPIC, at.pointer));
                let read = serde_json::to_value(&read).unwrap();
                assert_eq!(
                    read.pointer(&at.pointer).unwrap(),
                    &Value::Object(expected),
                    "{} {}",
                    T::TOPIC,
                    at.pointer
                );
            }
        }
    }
    every_record!(check);
}

#[test]
fn what_is_marked_phi_is_phi_and_nothing_else_is() {
    fn check<T: Record + Debug>() {
        let schema = Schema::new(T::SCHEMA);
        for mut value in whole_values::<T>() {
            let hidden: Vec<_> =
                schema.positions(&value).into_iter().filter(|at| at.marked || at.inside_marked).collect();
            let mut marks = Vec::new();
            for (index, at) in hidden.iter().enumerate() {
                let mark = format!("Identifying-{index}");
                let place = value.pointer_mut(&at.pointer).unwrap();
                if at.ty == "bytes" {
                    *place = json!(STANDARD.encode(&mark));
                    marks.push(format!("{:?}", mark.as_bytes()));
                } else if at.ty == "string" {
                    *place = json!(mark);
                }
                marks.push(mark);
            }
            let read: T = serde_json::from_value(value.clone()).unwrap();
            assert_eq!(serde_json::to_value(&read).unwrap(), value);
            let shown = format!("{read:?}");
            for mark in marks {
                assert!(!shown.contains(&mark), "{}: {mark} shows in {shown}", T::TOPIC);
            }
            let marked = hidden.iter().filter(|at| at.marked).count();
            assert_eq!(
                shown.matches("[phi]").count(),
                marked,
                "{}: Phi in Rust and phi in the schema differ",
                T::TOPIC
            );
        }
    }
    every_record!(check);
}

/// All variants of an enum; a new one does not compile until it stands here.
macro_rules! variants {
    ($ty:ident: $($variant:ident),+) => {{
        let exhaustive = |value: &$ty| match value { $($ty::$variant => ()),+ };
        let all = [$($ty::$variant),+];
        all.iter().for_each(exhaustive);
        all.iter().map(|value| text(&serde_json::to_value(value).unwrap()).to_owned()).collect::<BTreeSet<_>>()
    }};
}

#[test]
fn enums_have_the_same_symbols() {
    let of_types = BTreeMap::from([
        ("io.waybill.AliasLevel", variants!(AliasLevel: Unknown, Patient, Account, Visit)),
        (
            "io.waybill.EncounterChange",
            variants!(EncounterChange: Unknown, Admit, Register, PreAdmit, Transfer, ToInpatient, ToOutpatient, Discharge, Update, CancelAdmit, CancelTransfer, CancelDischarge, CancelPreAdmit, Merge, Snapshot),
        ),
        ("io.waybill.BodyEncoding", variants!(BodyEncoding: Identity, Zstd)),
        ("io.waybill.Protocol", variants!(Protocol: Unknown, Mllp, Hl7Http, FhirHttp, File)),
        ("io.waybill.delivery.ManifestStage", variants!(ManifestStage: Normalized, Routed)),
        (
            "io.waybill.delivery.MessageState",
            variants!(MessageState: Open, Delivered, NoDestination, Overdue, Exception, Refused, Resolved),
        ),
        (
            "io.waybill.delivery.Outcome",
            variants!(Outcome: Expected, Attempted, Unknown, Accepted, Rejected, DeadLettered, Expired, Superseded, Filtered, Confirmed),
        ),
        ("io.waybill.delivery.SubscriptionState", variants!(SubscriptionState: Active, Retired)),
    ]);
    let mut seen = BTreeSet::new();
    for (file, content) in files(&folder(), "avsc") {
        for (name, ty) in Schema::new(&content).names.into_iter().filter(|(_, ty)| ty["type"] == "enum") {
            let of_schema: BTreeSet<_> =
                ty["symbols"].as_array().unwrap().iter().map(|symbol| text(symbol).to_owned()).collect();
            assert_eq!(
                of_types.get(name.as_str()),
                Some(&of_schema),
                "{name} in {file}: left Rust, right the schema"
            );
            seen.insert(name);
        }
    }
    assert_eq!(seen, of_types.keys().map(|name| (*name).to_owned()).collect());
}

#[test]
fn a_symbol_of_a_newer_writer_reads_as_the_default() {
    fn check<T: Record>() {
        let schema = Schema::new(T::SCHEMA);
        for value in whole_values::<T>() {
            for at in schema.positions(&value).iter().filter(|at| at.ty["type"] == "enum") {
                let mut newer = value.clone();
                *newer.pointer_mut(&at.pointer).unwrap() = json!("FROM_THE_FUTURE");
                let read =
                    serde_json::from_value::<T>(newer).ok().map(|read| serde_json::to_value(&read).unwrap());
                let read = read.map(|read| read.pointer(&at.pointer).unwrap().clone());
                assert_eq!(read.as_ref(), at.ty.get("default"), "{} {}", T::TOPIC, at.pointer);
            }
        }
    }
    every_record!(check);
}

#[test]
fn a_newer_outcome_in_avro_reads_as_unknown() {
    // As if the symbol that today's writer calls CONFIRMED were one that today's reader has never heard of.
    let newer =
        apache_avro::Schema::parse_str(&Receipt::SCHEMA.replace("\"CONFIRMED\"", "\"FROM_THE_FUTURE\""))
            .unwrap();
    let receipt: Receipt = serde_json::from_str(&examples::<Receipt>()["confirmed"]).unwrap();
    let mut datum = Vec::new();
    avro::encode(&receipt, &mut datum).unwrap();
    assert_eq!(avro::decode::<Receipt>(&newer, &datum).unwrap().outcome, Outcome::Unknown);
}

#[test]
fn bodies_and_digests_of_inbound_examples_are_true() {
    for (name, content) in examples::<InboundMessage>() {
        let message: InboundMessage = serde_json::from_str(&content).unwrap();
        let bytes = message.body.bytes().unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(message.sha256, Sha256::digest(&bytes).to_vec(), "{name}");
    }
    for (name, content) in examples::<InboundRejected>() {
        let message: InboundRejected = serde_json::from_str(&content).unwrap();
        assert_eq!(message.sha256, Sha256::digest(message.body.bytes().unwrap()).to_vec(), "{name}");
    }
}
