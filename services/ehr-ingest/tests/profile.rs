//! What a feed profile does to messages.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::path::{Path, PathBuf};

use ehr_ingest::{
    accept::{Verdict, accept},
    config::FeedConfig,
    feed::Feed,
    mapping::{self, Event, Mapped, Payload},
    profile::Profile,
};
use waybill_contracts::{PatientKeyer, Timestamp};
use waybill_hl7v2::{Index, Message};

fn profiles() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles")
}

/// A profile of this text, beside these tables.
fn profile(text: &str, tables: &[(&str, &str)]) -> Profile {
    let folder = tempfile::tempdir().unwrap();
    for (name, csv) in tables {
        std::fs::write(folder.path().join(name), csv).unwrap();
    }
    let file = folder.path().join("profile.toml");
    std::fs::write(&file, format!("name = \"test\"\n{text}")).unwrap();
    Profile::load(&file).unwrap()
}

const HEAD: &str = "code,target_code,target_system,target_display\n";

fn rewritten(profile: &Profile, message: &str) -> String {
    let message = message.replace('\n', "\r");
    let parsed = Message::parse(message.as_bytes()).unwrap();
    let changed = profile.rewrite_v2(&parsed, None).unwrap_or_else(|| message.clone().into_bytes());
    String::from_utf8(changed).unwrap().replace('\r', "\n")
}

/// Rewrites segments behind a header of ORU^R01, and shows them without it.
fn segments(profile: &Profile, segments: &str) -> String {
    let header = "MSH|^~\\&|LIS|LAB|||20260101||ORU^R01|1|P|2.3\n";
    rewritten(profile, &format!("{header}{segments}")).strip_prefix(header).unwrap().to_owned()
}

fn feed(file: &str) -> Feed {
    let config =
        FeedConfig { name: "site".into(), profile: Some(profiles().join(file)), ..FeedConfig::default() };
    Feed::open(&config, PatientKeyer::new(b"test")).unwrap()
}

fn now() -> Timestamp {
    Timestamp::parse_rfc3339("2026-05-01T12:00:00Z").unwrap()
}

fn events(feed: &Feed, message: &str) -> ([u8; 16], Vec<Event>) {
    let bytes = message.replace('\n', "\r").into_bytes();
    match accept(feed, &bytes, now(), &mut Index::new()) {
        Verdict::Store { message, key, .. } => {
            assert_eq!(message.body.bytes().unwrap(), bytes, "stored byte for byte");
            assert_eq!(message.profile.as_ref(), Some(&feed.profile));
            match mapping::map(&message, &bytes, feed).unwrap() {
                Mapped::Events(events) => (key, events),
                Mapped::NoDestination(reason) => panic!("{reason}"),
            }
        }
        Verdict::Refuse { rejected, .. } => panic!("refused: {}", rejected.reason_code),
        Verdict::Several => panic!("several messages"),
    }
}

#[test]
fn every_example_can_be_used() {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(profiles()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let profile = Profile::load(&path).unwrap_or_else(|errors| panic!("{errors}"));
            assert_eq!(profile.name, path.file_stem().unwrap().to_str().unwrap());
            names.push(profile.name);
        }
    }
    assert!(names.len() >= 3, "{names:?}");
}

const CITY: &str = "MSH|^~\\&|LIS|CITY|||20260101080000||ORU^R01|L1|P|2.3\n\
    PID|1|4711^^^LAB-MRN^MR|||Doe^Jane||19800101|F|||||||||||123-45-6789\n\
    OBR|1|P1||CHEM^Chemistry^CITYLAB|||202601010700|||||||||||||||202601010800|||FIN\n\
    ZLR|1|x|F77^CITYLAB\n\
    OBX|1|NM|GLU^Glucose^CITYLAB||98|mg/dL|70-99|*H|||FIN\n\
    OBX|2|NM|K^Potassium^CITYLAB||7.1|mmol/L|3.5-5.1|CRIT-H|||PRE\n\
    OBX|3|CE|ORG^Organism^CITYLAB||ECO^E. coli^CITYLAB||||||FIN\n\
    OBX|4|ST|NOTE^Note^CITYLAB||ECO||||||FIN\n\
    ZLX|1|777\n";

#[test]
fn a_laboratory_of_its_own_kind_becomes_standard_results() {
    let feed = feed("city-lab.toml");
    let (key, events) = events(&feed, CITY);
    assert_eq!(key, *feed.keyer.key("CITYHOSP", "4711").as_bytes());
    let [event] = &events[..] else { panic!("one event") };
    assert_eq!(event.key.as_bytes(), &key);
    let Payload::Result(result) = &event.payload else { panic!("a result") };
    assert_eq!(result.original.bytes().unwrap(), CITY.replace('\n', "\r").as_bytes(), "as received");
    assert_eq!(result.source.profile.as_deref(), Some(feed.profile.as_str()));
    let patient = &result.patient;
    assert_eq!(patient.identifier[0].system.as_deref(), Some("CITYHOSP"));
    assert!(patient.identifier.iter().all(|one| one.value.expose() != "123-45-6789"), "dropped");
    let report = &result.report[0];
    assert_eq!(report.filler_order_number.as_ref().unwrap().value.expose(), "F77");
    assert_eq!(report.status, "final");
    assert_eq!(report.category, ["LAB"]);
    assert!(result.critical);
    let codes = |at: usize| -> Vec<&str> {
        report.result[at].code.coding.iter().filter_map(|coding| coding.code.as_deref()).collect()
    };
    assert_eq!((codes(0), codes(1)), (vec!["GLU", "2345-7"], vec!["K", "2823-3"]));
    assert_eq!(report.result[0].code.coding[1].system.as_deref(), Some("http://loinc.org"));
    assert_eq!(report.result[0].interpretation, ["H"]);
    assert_eq!(
        (report.result[0].status.as_str(), report.result[1].status.as_str()),
        ("final", "preliminary")
    );
    let organism = report.result[2].value_codeable_concept.as_ref().unwrap();
    assert_eq!(organism.coding[1].code.as_deref(), Some("112283007"));
    assert_eq!(report.result[3].value_string.as_ref().unwrap().expose(), "ECO", "text is no code");
}

#[test]
fn codes_that_no_table_has_are_named_to_the_analyst() {
    let feed = feed("city-lab.toml");
    let bytes = CITY.replace('\n', "\r");
    let missing = feed.rules.unwrap().untranslated_v2(&Message::parse(bytes.as_bytes()).unwrap(), None);
    let named: Vec<_> = missing.iter().map(|one| (one.place.as_str(), one.code.as_str())).collect();
    assert_eq!(named, [("OBX-3", "ORG"), ("OBX-3", "NOTE")]);
}

#[test]
fn one_patient_has_one_key_whatever_the_authority_is_called() {
    let feed = feed("hill-clinic.toml");
    let key = |pid_3: &str| {
        let message = format!("MSH|^~\\&|EHR|HILL|||20260101||ADT^A28|1|P|2.5\nPID|1||{pid_3}||Doe^Jane\n");
        let (key, events) = events(&feed, &message);
        let Payload::Patient(patient) = &events[0].payload else { panic!("a patient") };
        (key, patient.patient.identifier[0].system.clone())
    };
    let one = key("7^^^HILL^MR");
    assert_eq!(one.1.as_deref(), Some("HILL"));
    for same in [
        "7^^^HILL-EHR^MR",
        "7^^^&2.16.840.1.113883.19.7&ISO^MR",
        "7^^^HILL&2.16.840.1.113883.19.7&ISO^MR",
        "7^^^OLD&2.16.840.1.113883.19.7&ISO^MR",
        "7",
    ] {
        assert_eq!(key(same), one, "{same}");
    }
    assert_ne!(key("7^^^OTHER^MR"), one);
}

#[test]
fn a_vendors_own_event_is_mapped_as_the_one_it_stands_for() {
    let (_, events) = events(
        &feed("hill-clinic.toml"),
        "MSH|^~\\&|EHR|HILL|||20260101||ADT^Z08|1|P|2.5\nPID|1||7^^^HILL^MR||Doe^Jane||19800101|W|||||||||||A9\n\
         PV1|1|INPT|4E\nZPV|a|b|c|01\n",
    );
    let Payload::Patient(patient) = &events[0].payload else { panic!("a patient") };
    assert_eq!(patient.patient.gender.as_deref(), Some("female"));
    let Payload::Encounter(encounter) = &events[1].payload else { panic!("an encounter") };
    assert_eq!(encounter.encounter.class.as_ref().unwrap().code.as_deref(), Some("IMP"));
    // The copy is for A03 and A08 by name, and this was sent as Z08.
    assert_eq!(encounter.encounter.discharge_disposition, None);
}

#[test]
fn copies_and_moves_fill_what_is_empty() {
    let copy = profile("[[copy]]\nfrom = \"PID-2\"\nto = \"PID-3\"\n", &[]);
    assert_eq!(segments(&copy, "PID|1|7^^^A\n"), "PID|1|7^^^A|7^^^A\n");
    for kept in ["PID|1|7|8\n", "PID|1|7|\"\"\n", "PID|1||8\n", "PV1|1|7\n"] {
        assert_eq!(segments(&copy, kept), kept);
    }
    let moved = profile("[[move]]\nfrom = \"PID-2\"\nto = \"PID-3\"\noverwrite = true\n", &[]);
    assert_eq!(segments(&moved, "PID|1|7|8|9\n"), "PID|1||7|9\n");
    let typed = profile("[[move]]\nfrom = \"PID-2\"\nto = \"PID-3\"\nwhen = [\"ADT\"]\n", &[]);
    assert_eq!(segments(&typed, "PID|1|7\n"), "PID|1|7\n");
}

#[test]
fn a_z_segment_speaks_for_the_segment_before_it_and_never_for_another_patient() {
    let behind = profile("[[copy]]\nfrom = \"ZOX-1\"\nto = \"OBX-17\"\n", &[]);
    assert_eq!(
        segments(&behind, "PID|1\nOBX|1\nZOX|a\nOBX|2\nOBX|3\nZOX|c\n"),
        "PID|1\nOBX|1||||||||||||||||a\nZOX|a\nOBX|2\nOBX|3||||||||||||||||c\nZOX|c\n"
    );
    let visit = profile("[[copy]]\nfrom = \"PID-18\"\nto = \"PV1-19\"\n", &[]);
    let pv1 = format!("PV1|1{}", "|".repeat(17));
    assert_eq!(
        segments(&visit, "PID|1|||||||||||||||||A\nPV1|1\nPID|2\nPV1|1\nPID|3|||||||||||||||||C\nPV1|1\n"),
        format!("PID|1|||||||||||||||||A\n{pv1}|A\nPID|2\nPV1|1\nPID|3|||||||||||||||||C\n{pv1}|C\n")
    );
    let order = profile("[[copy]]\nfrom = \"ORC-2\"\nto = \"OBR-2\"\n", &[]);
    assert_eq!(
        segments(&order, "PID|1\nORC|RE|1\nOBR|1\nOBR|2\nORC|RE|3\nOBR|3\n"),
        "PID|1\nORC|RE|1\nOBR|1|1\nOBR|2\nORC|RE|3\nOBR|3|3\n"
    );
    let group = profile("[[copy]]\nfrom = \"OBR-3\"\nto = \"OBX-21\"\n", &[]);
    let obx = format!("OBX|1{}", "|".repeat(20));
    assert_eq!(
        segments(&group, "PID|1\nOBX|1\nOBR|1||a\nOBX|1\nOBX|1\nOBR|2\nOBX|1\n"),
        format!("PID|1\nOBX|1\nOBR|1||a\n{obx}a\n{obx}a\nOBR|2\nOBX|1\n")
    );
    let patient = profile("[[copy]]\nfrom = \"PV1-50\"\nto = \"PID-18\"\n", &[]);
    let pv1 = |number: &str| format!("PV1|1{}{number}", "|".repeat(49));
    assert_eq!(
        segments(&patient, &format!("PID|1\n{}\nPID|2\n", pv1("V"))),
        format!("PID|1{}V\n{}\nPID|2\n", "|".repeat(17), pv1("V"))
    );
    let header = profile("[[copy]]\nfrom = \"MSH-4\"\nto = \"PID-3.4\"\n", &[]);
    assert_eq!(segments(&header, "PID|1||7\nPID|2||8\n"), "PID|1||7^^^LAB\nPID|2||8^^^LAB\n");
}

#[test]
fn a_field_put_into_a_component_keeps_its_parts_apart() {
    let deeper = profile("[[copy]]\nfrom = \"ZPI-1\"\nto = \"PID-3.4\"\n", &[]);
    assert_eq!(segments(&deeper, "PID|1||7\nZPI|A^1.2^ISO~B\n"), "PID|1||7^^^A&1.2&ISO\nZPI|A^1.2^ISO~B\n");
    let higher = profile("[[copy]]\nfrom = \"PID-3.4\"\nto = \"ZPI-1\"\n", &[]);
    assert_eq!(segments(&higher, "PID|1||7^^^A&1.2&ISO\nZPI\n"), "PID|1||7^^^A&1.2&ISO\nZPI|A^1.2^ISO\n");
}

#[test]
fn defaults_are_escaped_and_drops_reach_every_repetition() {
    let fixed = profile(
        "[[default]]\nfield = \"PV1-10\"\nvalue = \"A|B&C\"\n[[default]]\nfield = \"PV1-2\"\nvalue = \"I\"\noverwrite = true\n",
        &[],
    );
    assert_eq!(segments(&fixed, "PV1|1|O\n"), "PV1|1|I||||||||A\\F\\B\\T\\C\n");
    let dropped = profile(
        "[[drop]]\nfield = \"PID-3.2\"\nreason = \"r\"\n[[drop]]\nfield = \"ZZZ\"\nreason = \"r\"\n",
        &[],
    );
    assert_eq!(segments(&dropped, "PID|1||1^2^3~4^5\nZZZ|1|2\n"), "PID|1||1^^3~4^\nZZZ||\n");
}

#[test]
fn translations_keep_the_senders_own_coding_when_they_add() {
    let csv = "code,system,target_code,target_system,target_display\nGLU,L,2345-7,LN,Glucose\n";
    let add =
        profile("[[translate]]\nfield = \"OBX-3\"\ntable = \"t.csv\"\nmode = \"add\"\n", &[("t.csv", csv)]);
    for (sent, becomes) in [
        ("GLU^Gl^L", "GLU^Gl^L^2345-7^Glucose^LN"),
        // Another system's code of the same letters.
        ("GLU^Gl^M", "GLU^Gl^M"),
        // The sender's own LOINC counts, in whichever place.
        ("GLU^Gl^L^1558-6^F^LN", "GLU^Gl^L^1558-6^F^LN"),
        ("1558-6^F^LN^GLU^Gl^L", "1558-6^F^LN^GLU^Gl^L"),
        // The alternate is taken: the second alternate.
        ("GLU^Gl^L^9^x^Y", "GLU^Gl^L^9^x^Y^^^^2345-7^Glucose^LN"),
        ("A^a^M~GLU^Gl^L", "A^a^M~GLU^Gl^L^2345-7^Glucose^LN"),
        ("", ""),
        ("\"\"", "\"\""),
    ] {
        let line = |field: &str| format!("OBX|1|NM|{field}|1\n");
        assert_eq!(segments(&add, &line(sent)), line(becomes), "{sent}");
    }
}

#[test]
fn translations_replace_where_a_table_of_hl7_has_the_code() {
    let csv = format!("{HEAD}FIN,F,,\n\"a,b\",Z,,\n");
    let replace = profile(
        "[[translate]]\nfield = \"OBX-11\"\ntable = \"t.csv\"\nmode = \"replace\"\n",
        &[("t.csv", &csv)],
    );
    for (sent, becomes) in
        [("FIN", "F"), (" FIN ", "F"), ("FIN^Final^LOCAL", "F^^"), ("a,b", "Z"), ("X", "X"), ("fin", "fin")]
    {
        let line = |field: &str| format!("OBX|1|NM|G||1||||||{field}\n");
        assert_eq!(segments(&replace, &line(sent)), line(becomes), "{sent}");
    }
    let part = profile(
        "[[translate]]\nfield = \"PID-3.5\"\ntable = \"t.csv\"\nmode = \"replace\"\n",
        &[("t.csv", &csv)],
    );
    assert_eq!(segments(&part, "PID|1||1^^^A^FIN~2^^^B^X~3^^^C^FIN\n"), "PID|1||1^^^A^F~2^^^B^X~3^^^C^F\n");
}

#[test]
fn odd_delimiters_and_character_sets_are_the_messages_own() {
    let csv = format!("{HEAD}é#,A&B,LN,Naïve\n");
    let add =
        profile("[[translate]]\nfield = \"OBX-3\"\ntable = \"t.csv\"\nmode = \"add\"\n", &[("t.csv", &csv)]);
    let latin = b"MSH#*~\\$#L#L###20260101##ORU*R01#1#P#2.5######8859/1\rOBX#1#NM#\xe9\\F\\*x\r";
    let message = Message::parse(latin).unwrap();
    let changed = add.rewrite_v2(&message, None).unwrap();
    assert_eq!(changed, [&latin[..latin.len() - 1], b"**A&B*Na\xefve*LN\r"].concat());
}

#[test]
fn without_a_rule_that_applies_nothing_is_changed() {
    let feed = feed("hill-clinic.toml");
    let bytes = b"MSH|^~\\&|EHR|HILL|||20260101||ADT^A28|1|P|2.5\rPID|1||7^^^HILL^MR||Doe^Jane\r";
    assert_eq!(feed.rewrite_v2(&Message::parse(bytes).unwrap()), None);
}
