//! The rules of each data type, one message each: v2-to-FHIR's map of the type unless another source is named.

use crate::sample::{adt, of, said};

type Fields<'a> = &'a [(&'a str, usize, &'a str)];

fn patient(fields: Fields<'_>, path: &str, expected: &[&str]) {
    let events = super::events_of(of("ADT^A31", fields).as_bytes());
    assert_eq!(said(&events, &format!("patient.{path}")), expected, "{path} of {fields:?}");
}

fn observation(fields: Fields<'_>, path: &str, expected: &[&str]) {
    let result = [&[("OBR", 25, "F")], fields].concat();
    let events = super::events_of(of("ORU^R01", &result).as_bytes());
    assert_eq!(said(&events, &format!("report.result.{path}")), expected, "{path} of {fields:?}");
}

/// OBX-2, OBX-5 and OBX-6.
fn value(kind: &str, value: &str, unit: &str, path: &str, expected: &[&str]) {
    let fields = [("OBR", 25, "F"), ("OBX", 2, kind), ("OBX", 5, value), ("OBX", 6, unit)];
    let events = super::events_of(of("ORU^R01", &fields).as_bytes());
    assert_eq!(said(&events, &format!("report.result.{path}")), expected, "{path} of {kind} {value} {unit}");
}

#[test]
fn names() {
    let full: Fields<'_> = &[("PID", 5, "Family&own^Given^Further^Jr^Dr^MD^L^^^^^^^PhD")];
    patient(full, "name.family", &["Family"]);
    patient(full, "name.given", &["Given", "Further"]);
    patient(full, "name.prefix", &["Dr"]);
    patient(full, "name.suffix", &["Jr", "MD", "PhD"]);
    patient(full, "name.use", &["official"]);
    // What the patient is called by is a name of its own.
    let called: Fields<'_> = &[("PID", 5, "Family^Robert^^^^^L^^^^^^^^Bob")];
    patient(called, "name.given", &["Robert", "Bob"]);
    patient(called, "name.use", &["official", "nickname"]);
    // FN without the whole surname: its own parts, else the spouse's.
    patient(&[("PID", 5, "&van&Beethoven^L")], "name.family", &["van Beethoven"]);
    patient(&[("PID", 5, "&&&von&Arnim^B")], "name.family", &["von Arnim"]);
    patient(&[("PID", 5, "A^B~C^D^^^^^M"), ("PID", 9, "E^F")], "name.family", &["A", "C", "E"]);
    patient(&[("PID", 5, "\"\"^^^^^^L")], "name", &[]);
    patient(&[("PID", 5, "M\\T\\N^O\\X27\\B")], "name.family", &["M&N"]);
    patient(&[("PID", 5, "M\\T\\N^O\\X27\\B")], "name.given", &["O'B"]);
}

#[test]
fn addresses() {
    let full: Fields<'_> =
        &[("PID", 11, "1 Main St&Main St&1^Apt 2^City^ST^12345^US^H^^County^^^^^^^^^^c/o Doe")];
    patient(full, "address.line", &["1 Main St", "Apt 2", "c/o Doe"]);
    patient(full, "address.district", &["County"]);
    patient(full, "address.use", &["home"]);
    patient(&[("PID", 11, "1000&Hospital Lane^^C")], "address.line", &["1000", "Hospital Lane"]);
    patient(&[("PID", 11, "&Hospital Lane&1000^^C")], "address.line", &["1000 Hospital Lane"]);
    patient(&[("PID", 11, "S^^C^^^^^^055&Bergen&FIPS")], "address.district", &["Bergen"]);
    patient(&[("PID", 11, "S^^C"), ("PID", 12, "055")], "address.district", &["055"]);
    patient(&[("PID", 11, "S^^C~T^^D"), ("PID", 12, "055")], "address.district", &[]);
}

#[test]
fn telephones() {
    // XTN-12 before the parts, the parts before XTN-1; an address where the equipment is the Internet.
    let number = |xtn, expected: &[&str]| patient(xtn, "telecom.value", expected);
    number(&[("PID", 13, "(555)1^PRN^PH^^1^720^3013954^9^^^^+1 720 301 3954")], &["+1 720 301 3954"]);
    number(&[("PID", 13, "(555)1^PRN^PH^^1^720^3013954^9")], &["+1 720 3013954 X9"]);
    number(&[("PID", 13, "^PRN^PH^^^720^3013954")], &["720 3013954"]);
    number(&[("PID", 13, "(720)3013954^PRN^PH^^^^3013954")], &["(720)3013954"]);
    number(&[("PID", 13, "^PRN^PH^^^^3013954")], &["3013954"]);
    number(&[("PID", 13, "^NET^Internet^a@b.example")], &["a@b.example"]);
    number(&[("PID", 13, "a@b.example^NET")], &["a@b.example"]);
    number(&[("PID", 13, "^^^a@b.example")], &["a@b.example"]);
    number(&[("PID", 13, "^PRN^PH^^^^^^call me")], &[]);
    let system = |xtn, expected: &[&str]| patient(xtn, "telecom.system", expected);
    system(&[("PID", 13, "^^^a@b.example")], &["email"]);
    system(&[("PID", 13, "1"), ("PID", 14, "2^^FX")], &["phone", "fax"]);
    let r#use = |xtn, expected: &[&str]| patient(xtn, "telecom.use", expected);
    r#use(&[("PID", 13, "1"), ("PID", 14, "2")], &["home", "work"]);
    r#use(&[("PID", 13, "1^WPN^CP"), ("PID", 14, "2^PRS")], &["work", "mobile"]);
    r#use(&[("PID", 13, "^NET^Internet^a@b.example")], &["home"]);
    r#use(&[("PID", 40, "1^^CP~2^ORN^PH")], &["mobile"]);
}

#[test]
fn identifiers() {
    let system = |cx, expected: &[&str]| patient(cx, "identifier.system", expected);
    system(&[("PID", 3, "7^^^NS&1.2.3&ISO^MR")], &["urn:oid:1.2.3"]);
    system(&[("PID", 3, "7^^^&1.2.3&ISO^MR")], &["urn:oid:1.2.3"]);
    system(&[("PID", 3, "7^^^NS&AB12-0&UUID^MR")], &["urn:uuid:ab12-0"]);
    system(&[("PID", 3, "7^^^NS&ehr.example&DNS^MR")], &["ehr.example"]);
    system(&[("PID", 3, "7^^^NS^MR")], &["NS"]);
    // The whole URN where its last part belongs.
    system(&[("PID", 3, "7^^^NS&urn:oid:1.2.3&ISO^MR")], &["urn:oid:1.2.3"]);
    system(&[("PID", 3, "7^^^NS&urn:uuid:ab12-0&UUID^MR")], &["urn:uuid:ab12-0"]);
    // Beside a universal id its name.
    let assigner = |cx, expected: &[&str]| patient(cx, "identifier.assigner", expected);
    assigner(&[("PID", 3, "7^^^NS&1.2.3&ISO^MR")], &["NS"]);
    assigner(&[("PID", 3, "7^^^&1.2.3&ISO^MR~8^^^NS^PI")], &[]);
    // Without an authority the sending facility's.
    system(&[("PID", 3, "7^^^^MR")], &["B"]);
    let r#type = |cx, expected: &[&str]| patient(cx, "identifier.type", expected);
    r#type(&[("PID", 18, "A"), ("PID", 19, "S"), ("PID", 20, "D^CA")], &["MR", "AN", "SS", "DL"]);
    r#type(&[("PID", 3, "7^^^A^MR~8^^^B^PI"), ("PID", 2, "7^^^A^MR"), ("PID", 4, "9")], &["MR", "PI"]);
    system(&[("PID", 19, "S"), ("PID", 20, "D^CA")], &["A", "http://hl7.org/fhir/sid/us-ssn", "CA"]);
}

/// OBR-7 is when the specimen was taken, unless the service takes none (OBR-24).
#[test]
fn specimens() {
    let collected = |fields: Fields<'_>, expected: &[&str]| {
        let all = [&[("OBR", 25, "F"), ("OBR", 7, "20260304")], fields].concat();
        let events = super::events_of(of("ORU^R01", &all).as_bytes());
        assert_eq!(said(&events, "report.specimen.collectedDateTime"), expected, "{fields:?}");
    };
    collected(&[], &["2026-03-04"]);
    collected(&[("OBR", 24, "CH")], &["2026-03-04"]);
    collected(&[("OBR", 24, "RAD")], &[]);
    collected(&[("OBR", 24, "RAD"), ("OBR", 15, "BLD")], &["2026-03-04"]);
    collected(&[("SPM", 4, "BLD")], &["2026-03-04"]);
    collected(&[("SPM", 4, "BLD"), ("SPM", 17, "20260303^20260304")], &["2026-03-03"]);
    // A pair of numbers: the filler's, and the placer's beside it.
    let numbers = |pair: &str, identifier: &[&str], placer: &[&str]| {
        let events = super::events_of(of("ORU^R01", &[("OBR", 25, "F"), ("SPM", 2, pair)]).as_bytes());
        assert_eq!(said(&events, "report.specimen.identifier.value"), identifier, "{pair}");
        assert_eq!(said(&events, "report.specimen.placerIdentifier.value"), placer, "{pair}");
    };
    numbers("P1&WARD^F1&LAB", &["F1"], &["P1"]);
    numbers("P1&WARD", &["P1"], &[]);
    numbers("^F1&LAB", &["F1"], &[]);
}

/// OBR-32 is an NDL; many send an XCN there.
#[test]
fn interpreters() {
    let family = |sent: &str, expected: &[&str]| {
        let events = super::events_of(of("ORU^R01", &[("OBR", 25, "F"), ("OBR", 32, sent)]).as_bytes());
        assert_eq!(said(&events, "report.performer.name.family"), expected, "{sent}");
    };
    family("7&Doe&Jo^20260304080000^^WARD", &["Doe"]);
    family("7^Doe^Jo^^^Dr", &["Doe"]);
    family("7&Doe&Jo", &["Doe"]);
    family("7^^^WARD", &[]);
}

/// IN1-17 in FHIR's words where it has one; else as sent.
#[test]
fn relationships() {
    for (sent, expected) in [("SEL", "self"), ("SPO^Spouse", "spouse"), ("CHD", "child"), ("MTH", "MTH")] {
        let events = super::events_of(adt("A01", &[("IN1", 2, "P"), ("IN1", 17, sent)]).as_bytes());
        assert_eq!(said(&events, "coverage.relationship")[..1], [expected], "{sent}");
    }
    // The numbers of table 0344 are read where that table is used, IN2-72: in IN1-17 01 may be X12's spouse.
    let mixed = |in1: &str, in2: &str| {
        let fields: Fields<'_> = &[("IN1", 2, "P"), ("IN1", 17, in1), ("IN2", 72, in2)];
        said(&super::events_of(adt("A01", fields).as_bytes()), "coverage.relationship").into_iter().next()
    };
    for (sent, expected) in [
        ("01", "self"),
        ("2", "spouse"),
        ("04", "child"),
        ("18", "parent"),
        ("13", "other"),
        ("CHD", "child"),
    ] {
        assert_eq!(mixed("", sent).as_deref(), Some(expected), "{sent}");
    }
    assert_eq!(mixed("", "09"), None);
    assert_eq!(mixed("01", "02").as_deref(), Some("01"));
}

/// Where a patient is who is there, who is to come, and who is gone.
#[test]
fn places() {
    let status = |event: &str, fields: Fields<'_>, expected: &[&str]| {
        let all = [&[("PV1", 3, "W^R^B"), ("PV1", 19, "V1")], fields].concat();
        let events = super::events_of(of(event, &all).as_bytes());
        assert_eq!(said(&events, "encounter.location.status"), expected, "{event} {fields:?}");
    };
    status("ADT^A01", &[("PV1", 2, "I")], &["active"]);
    status("ADT^A01", &[("PV1", 2, "P")], &["planned"]);
    status("ADT^A05", &[], &["planned"]);
    status("ADT^A11", &[], &[]);
    status("ADT^A03", &[], &["completed"]);
    status("ADT^A08", &[], &["active"]);
    status("ADT^A08", &[("PV1", 45, "20260304")], &["completed"]);
    status("DFT^P03", &[("FT1", 4, "20260304"), ("FT1", 6, "CG"), ("FT1", 7, "99213")], &["active"]);
}

#[test]
fn patients() {
    patient(&[("PID", 7, "19610615120000-0500")], "birthDate", &["1961-06-15"]);
    patient(&[("PID", 7, "196106")], "birthDate", &["1961-06"]);
    patient(&[("PID", 7, "19611")], "birthDate", &[]);
    patient(&[("PID", 24, "Y")], "multipleBirthBoolean", &["true"]);
    patient(&[("PID", 24, "Y"), ("PID", 25, "2")], "multipleBirthBoolean", &[]);
    patient(&[("PID", 24, "Y"), ("PID", 25, "2")], "multipleBirthInteger", &["2"]);
    patient(&[("PID", 30, "N")], "deceasedBoolean", &["false"]);
    patient(&[("PID", 29, "20240101"), ("PID", 30, "Y")], "deceasedBoolean", &[]);
    for (sent, gender) in
        [("F", "female"), ("m", "male"), ("Female", "female"), ("A", "other"), ("X", "unknown")]
    {
        patient(&[("PID", 8, sent)], "gender", &[gender]);
    }
    patient(&[("PID", 22, "N^No^HL70189")], "ethnicity.coding.code", &["N", "2186-5"]);
    patient(&[("PID", 22, "2135-2^Hispanic^CDCREC")], "ethnicity.coding.code", &["2135-2"]);
    patient(
        &[("PID", 10, "2106-3^White^HL70005~W^White^L")],
        "race.coding.system",
        &["urn:oid:2.16.840.1.113883.6.238", "L"],
    );
    let kin: Fields<'_> =
        &[("NK1", 2, "Doe^Jo"), ("NK1", 3, "MTH^Mother"), ("NK1", 6, "1"), ("NK1", 15, "F")];
    patient(kin, "contact.name.family", &["Doe"]);
    patient(kin, "contact.relationship.coding.system", &["HL70063"]);
    patient(kin, "contact.telecom.use", &["work"]);
    patient(kin, "contact.gender", &["female"]);
}

#[test]
fn concepts() {
    let three = "1^One^LN^2^Two^L^^^said so^3^Three^SCT";
    observation(&[("OBX", 3, three)], "code.coding.code", &["1", "2", "3"]);
    observation(
        &[("OBX", 3, three)],
        "code.coding.system",
        &["http://loinc.org", "L", "http://snomed.info/sct"],
    );
    observation(&[("OBX", 3, three)], "code.text", &["said so"]);
    // A system by its object identifier only (CWE-14), and text without a code.
    let by_oid = "1^One^^^^^^^^^^^^2.16.840.1.113883.6.1";
    observation(&[("OBX", 3, by_oid)], "code.coding.system", &["http://loinc.org"]);
    observation(&[("OBX", 3, "^Only text")], "code.text", &["Only text"]);
    observation(&[("OBX", 3, "^Only text")], "code.coding", &[]);
    observation(&[("OBX", 3, "x^Salt & pepper^L")], "code.coding.display", &["Salt & pepper"]);
    observation(&[("OBX", 8, "H^High^HL70078~A")], "interpretation", &["H", "A"]);
    observation(
        &[("OBX", 16, "7^Doe^Jo^^^^MD^^NPI&2.16.840.1.113883.4.6&ISO^L")],
        "performer.identifier.type",
        &["NPI"],
    );
    observation(&[("OBX", 15, "05D1^Lab^CLIA")], "performer.identifier.value", &["05D1"]);
    observation(
        &[("OBX", 15, "05D1^Lab^CLIA"), ("OBX", 23, "Org^^^^^CLIA^XX^^^05D2")],
        "performer.identifier.value",
        &["05D2"],
    );
    observation(&[("OBX", 20, "LA^Left arm^L"), ("OBX", 21, "E1^NS")], "bodySite.coding.code", &["LA"]);
    observation(&[("OBX", 21, "E1^NS^1.2^ISO")], "identifier.system", &["urn:oid:1.2"]);
}

#[test]
fn values() {
    value("NM", "+4.10", "mmol/L^^UCUM", "valueQuantity.value", &["4.10"]);
    value("NM", "4", "g^gram^UCUM", "valueQuantity.code", &["g"]);
    value("NM", "4", "g", "valueQuantity.code", &[]);
    value("NM", "4", "g", "valueQuantity.unit", &["g"]);
    value("NM", "<4", "g", "valueQuantity.comparator", &["<"]);
    value("NM", "high", "", "valueString", &["high"]);
    value("SN", ">=^4", "g", "valueQuantity.comparator", &[">="]);
    value("SN", "^1^-^3", "cm", "valueRange.high.unit", &["cm"]);
    value("SN", "^1^:^128", "", "valueRatio.denominator.value", &["128"]);
    value("SN", ">^1^:^128", "", "valueRatio.numerator.comparator", &[">"]);
    value("SN", "^2^+", "mg/dL", "valueString", &["2+ mg/dL"]);
    value("SN", "<>^4", "", "valueString", &["<>4"]);
    value("NR", "1^9", "g", "valueRange.low.value", &["1"]);
    value("CWE", "1^One^LN", "", "valueCodeableConcept.coding.code", &["1"]);
    value("DR", "20260101^20260102", "", "valuePeriod.end", &["2026-01-02"]);
    value("VR", "a^b", "", "valueString", &["a-b"]);
    value("TM", "2230", "", "valueTime", &["22:30:00"]);
    value("DT", "202601", "", "valueDateTime", &["2026-01"]);
    value("DTM", "20260101080000.5+0100", "", "valueDateTime", &["2026-01-01T08:00:00.5+01:00"]);
    value("DT", "20260231", "", "valueString", &["20260231"]);
    value("FT", "a\\.br\\b\\E\\c", "", "valueString", &["a\nb\\c"]);
    value("TX", "a~b", "", "valueString", &["a\nb"]);
    value("ED", "LAB^application^pdf^Base64^QUJD", "", "valueAttachment.contentType", &["application/pdf"]);
    value("RP", "https://a.example^^image^PNG", "", "valueAttachment.contentType", &["image/png"]);
    value("RP", "https://a.example^^image^PNG", "", "valueAttachment.url", &["https://a.example"]);
    value("RP", "https://a.example^^image^PNG", "", "valueAttachment.title", &[]);
    value("NM", "", "", "dataAbsentReason", &["unknown"]);
    observation(
        &[("OBX", 2, "NM"), ("OBX", 5, ""), ("OBX", 11, "X")],
        "dataAbsentReason",
        &["not-performed"],
    );
    observation(&[("OBX", 2, "NM"), ("OBX", 5, ""), ("OBX", 11, "N")], "dataAbsentReason", &["not-asked"]);
}

/// What is declared in MSH-18, and what is not, comes out as text.
#[test]
fn character_sets() {
    let message = |charset: &str, name: &[u8]| {
        let head = format!("MSH|^~\\&|A|B|||20260304||ADT^A31|1|P|2.5.1||||||{charset}\rPID|||1^^^A^MR||");
        let bytes = [head.as_bytes(), name, b"^X\r"].concat();
        said(&super::events_of(&bytes), "patient.name.family")
    };
    assert_eq!(message("8859/1", b"M\xfcller"), ["Müller"]);
    assert_eq!(message("UNICODE UTF-8", "Müller".as_bytes()), ["Müller"]);
    assert_eq!(message("", "Müller".as_bytes()), ["Müller"]);
    assert_eq!(message("", b"M\xfcller"), ["Müller"]);
    assert_eq!(message("UNICODE UTF-8", b"M\xfcller"), ["Müller"]);
    assert_eq!(message("8859/2", b"\xa3uk"), ["Łuk"]);
}
