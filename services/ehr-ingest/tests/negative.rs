//! Input that is wrong, row by row: the answer, the place and code of the error, the reason that is stored, and what is
//! tolerated with a warning. Where a row of the corpora is accepted, the rule that its source checks is one of a guide or
//! of a code system; a recipient tolerates it (HL7 v2 §2.5.2, §2.7.1).

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]

use std::fs;

use ehr_ingest::{
    accept::{Reply, Verdict, accept},
    config::FeedConfig,
    feed::Feed,
    mapping::{self, Mapped},
};
use waybill_contracts::{PatientKeyer, Timestamp};
use waybill_hl7v2::{Header, Index, ack};
use waybill_testkit::corpora;

/// What is expected: `code place error reason`, or `code [warnings]` of what is accepted; `-`: no answer, `close`.
type Row = (&'static str, &'static str);

/// What becomes of a message, in the form of the tables; everything that must hold of all of them is checked here.
fn outcome(bytes: &[u8]) -> String {
    let feed = Feed::new(&FeedConfig::default(), PatientKeyer::new(b"negative"));
    let now = Timestamp::from_millis(1_800_000_000_000);
    let shown = |reply: &Reply, stored: &str| {
        if let Reply::Ack { code, bytes: answer } = reply {
            assert_eq!(stored, code.as_str(), "the record has the code of the answer");
            let view = ack::read(answer).unwrap();
            assert_eq!(view.code, Some(*code));
            if let Ok(header) = Header::parse(bytes) {
                assert_eq!(view.control_id, header.control_id(), "MSA-2");
            }
            // A positive answer has no error, a negative one has exactly one.
            assert_eq!(view.errors.len(), usize::from(!code.is_positive()));
        } else {
            assert_eq!(stored, "", "nothing is answered");
        }
        match reply {
            Reply::Ack { code, .. } => code.to_string(),
            Reply::NotOwed => "-".to_owned(),
            Reply::Close => "close".to_owned(),
        }
    };
    match accept(&feed, bytes, now, &mut Index::new()) {
        Verdict::Store { message, reply, .. } => {
            assert_eq!(message.body.bytes().unwrap(), bytes, "stored byte for byte");
            let code = shown(&reply, &message.ack_code);
            format!("{code} [{}]", message.warnings.join(" "))
        }
        Verdict::Refuse { rejected, reply } => {
            assert_eq!(rejected.body.bytes().unwrap(), bytes, "kept byte for byte");
            let code = shown(&reply, &rejected.ack_code);
            let place = rejected.error_location.unwrap_or_default();
            let error = rejected.error_code.map(|code| code.to_string()).unwrap_or_default();
            if let Some(answer) = reply.bytes() {
                let text = String::from_utf8_lossy(answer).into_owned();
                let err = text.split('\r').find(|line| line.starts_with("ERR")).unwrap();
                // ERR-2, or ERR-1 before 2.5, whose ELD has no repetition; both by the default separators here.
                let short = place.rsplitn(2, "^1").last().unwrap_or_default();
                assert!(err.contains(&*place) || err.contains(short), "{err}: not at {place}");
                assert!(err.contains(&error), "{err}: not {error}");
            }
            format!("{code} {place} {error} {}", rejected.reason_code)
        }
        Verdict::Several => "several".to_owned(),
    }
}

fn check(folder: &str, rows: &[Row]) {
    let Some(folder) = corpora::folder(folder) else { return };
    let mut found: Vec<String> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| rows.iter().any(|(file, _)| file == name))
        .collect();
    found.sort();
    assert_eq!(found.len(), rows.len(), "files are missing: {found:?}");
    let outcomes: Vec<_> =
        rows.iter().map(|(file, _)| outcome(&fs::read(folder.join(file)).unwrap())).collect();
    let wrong: Vec<_> = rows
        .iter()
        .zip(&outcomes)
        .filter(|((_, expected), found)| expected != found)
        .map(|((file, expected), found)| format!("{file}\n  expected {expected}\n  found    {found}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_laboratory_report_with_one_defect() {
    check(
        "hl7v2/data-exchange/negative/in",
        &[
            ("PHLIP_FLU_2.5.1_NO_MSH3.txt", "AA [LINE_FEED]"),
            ("PHLIP_FLU_2.5.1_NO_MSH4.txt", "AA [LINE_FEED]"),
            ("PHLIP_FLU_2.5.1_NO_MSH5.txt", "AA [LINE_FEED]"),
            ("PHLIP_FLU_2.5.1_NO_MSH6.txt", "AA [LINE_FEED]"),
            ("PHLIP_FLU_2.5.1_NO_MSH9.txt", "AE MSH^1^9^1 101 ING-0006"),
            ("PHLIP_FLU_2.5.1_NO_MSH10.txt", "AE MSH^1^10^1 101 ING-0002"),
            ("PHLIP_FLU_2.5.1_NO_MSH11.txt", "AA [LINE_FEED PROCESSING_ID_MISSING]"),
            ("PHLIP_FLU_2.5.1_NO_MSH12.txt", "AA [LINE_FEED VERSION_MISSING]"),
            ("PHLIP_FLU_2.5.1_NO_PROFILE_IDENTIFIER.txt", "AA [LINE_FEED]"),
            ("PHLIP_FLU_2.5.1_OBX2CWE_OBX5ST.txt", "AA [LINE_FEED]"),
            ("PHLIP_FLU_2.5.1_TWO_OBX_WITH_SAME_OBX3_AND_OBX4.txt", "AA [LINE_FEED]"),
            ("PHLIP_FLU_2.5.1_TWO_OBX_WITH_SAME_OBX3_NULL_OBX4.txt", "AA [LINE_FEED]"),
            ("PHLIP_FLU_2.5.1_VALID_MESSAGE_WITH_PV1_Added.txt", "AA [LINE_FEED]"),
            ("PHLIP_FLU_2.5.1_WITH_PID22.1_NO_PID22.3.txt", "AA [LINE_FEED]"),
        ],
    );
}

#[test]
fn messages_that_their_author_calls_invalid() {
    check(
        "hl7v2/rethinkhealth",
        &[
            ("invalid-missing-msh.hl7", "close MSH^1 100 ING-0001"),
            ("invalid-trailing-empty-fields.hl7", "AE PV1^1 100 ING-0003"),
            ("invalid-wrong-version.hl7", "AE PV1^1 100 ING-0003"),
            ("edge-empty-segments.hl7", "AE PID^1^3^1 101 ING-0010"),
        ],
    );
}

#[test]
fn malformed_headers_of_orders() {
    check(
        "hl7v2/trusted-intermediary/Test/Message",
        &[
            ("msh_present_but_missing_all_fields.hl7", "close MSH^1 101 ING-0001"),
            ("msh_present_but_missing_msh-6.hl7", "AE PID^1 100 ING-0003"),
            ("msh_present_but_missing_msh-9.hl7", "AE MSH^1^9^1 101 ING-0006"),
            ("msh_present_but_missing_msh-10.hl7", "AE MSH^1^10^1 101 ING-0002"),
            ("orm_obx-5_is_not_a_numeric_value.hl7", "AE PID^1 100 ING-0003"),
        ],
    );
}

/// A header of type `kind` with version and MSH-18.
fn header(kind: &str, version: &str, charset: &str) -> String {
    format!("MSH|^~\\&|EHR|GH|HUB|W|20260304101500-0500||{kind}|N1|P|{version}||||||{charset}\r")
}

const PID: &str = "PID|1||42^^^GH^MR||Fenwick^Isolde||19640229|F\r";

fn admission(pid: &str) -> Vec<u8> {
    [&header("ADT^A01", "2.5.1", "UNICODE UTF-8"), pid, "PV1|1|I|W1^2^3\r"].concat().into_bytes()
}

fn result(version: &str, charset: &str, rest: &[u8]) -> Vec<u8> {
    [header("ORU^R01", version, charset).as_bytes(), PID.as_bytes(), b"OBR|1||F1|GLU^Glucose^L\r", rest]
        .concat()
}

/// 10,000 observations.
fn many() -> String {
    let lines: Vec<String> = (0..10_000).map(|n| format!("OBX|{n}|ST|C{n}^x^L||v|||||F\r")).collect();
    lines.concat()
}

#[test]
fn everything_else_that_is_wrong() {
    let utf16 =
        |text: &str, bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
    let whole = String::from_utf8(admission(PID)).unwrap();
    let many = many();
    let large =
        format!("OBX|1|ED|PDF^Report^L||^application^pdf^Base64^{}|||||F\r", "QUJD".repeat(768 * 1024));
    let nested = "OBX|1|ST|A^x^L||a\\F\\\\E\\F\\\\T\\|||||F\rOBX|2|ST|B^x^L||\\\\H\\\\Xzz\\|||||F\r";
    let open = "OBX|1|ST|A^x^L||C:\\temp|||||F\rNTE|1||\\\\server\\share\\\r";
    let rows: &[(&str, Vec<u8>, &str)] = &[
        ("nothing", vec![], "close MSH^1 100 ING-0001"),
        ("no HL7", b"GET / HTTP/1.1\r\n\r\n".to_vec(), "close MSH^1 100 ING-0001"),
        ("UTF-16, little endian", utf16(&whole, u16::to_le_bytes), "close MSH^1 101 ING-0004"),
        ("UTF-16, big endian", utf16(&whole, u16::to_be_bytes), "close MSH^1 101 ING-0004"),
        (
            "UTF-16 with a mark",
            utf16(&format!("\u{feff}{whole}"), u16::to_le_bytes),
            "close MSH^1 101 ING-0004",
        ),
        ("10,000 segments", result("2.5.1", "UNICODE UTF-8", many.as_bytes()), "AA []"),
        ("3 MB in OBX-5", result("2.5.1", "UNICODE UTF-8", large.as_bytes()), "AA []"),
        ("nested escapes", result("2.5.1", "UNICODE UTF-8", nested.as_bytes()), "AA []"),
        ("unterminated escapes", result("2.5.1", "UNICODE UTF-8", open.as_bytes()), "AA []"),
        (
            "Latin-1 declared as UTF-8",
            result("2.5.1", "UNICODE UTF-8", b"OBX|1|ST|A^x^L||M\xfcller|||||F\r"),
            "AA [CHARSET_NOT_UTF8]",
        ),
        (
            "Latin-1 without MSH-18",
            result("2.5.1", "", b"OBX|1|ST|A^x^L||M\xfcller|||||F\r"),
            "AA [CHARSET_UNDECLARED]",
        ),
        (
            "unknown MSH-18",
            result("2.5.1", "KLINGON", b"OBX|1|ST|A^x^L||\xfc|||||F\r"),
            "AA [CHARSET_UNKNOWN]",
        ),
        ("no PID", admission(""), "AE PID^1 100 ING-0003"),
        ("no PID-3", admission("PID|1||||Fenwick\r"), "AE PID^1^3^1 101 ING-0010"),
        ("null PID-3", admission("PID|1||\"\"||Fenwick\r"), "AE PID^1^3^1 101 ING-0010"),
        ("birth date 19", admission("PID|1||42^^^GH^MR||Fenwick||19|F\r"), "AA []"),
        ("birth date 20261345", admission("PID|1||42^^^GH^MR||Fenwick||20261345|F\r"), "AA []"),
        ("two MSH in one frame", format!("{whole}{whole}").into_bytes(), "several"),
        (
            "two MSH, the first without MSH-10",
            format!("{}{whole}", whole.replace("|N1|", "||")).into_bytes(),
            "several",
        ),
        ("a batch trailer behind a message", format!("{whole}BTS|1\r").into_bytes(), "several"),
        ("MSH twice, the second no header", format!("{whole}MSH\r").into_bytes(), "AA [ADDITIONAL_HEADER]"),
        ("a segment before MSH", format!("EVN|A01\r{whole}").into_bytes(), "AR MSH^1 100 ING-0001"),
        ("a delimiter twice", whole.replace("^~\\&", "^^\\&").into_bytes(), "AR MSH^1 101 ING-0001"),
        ("a letter as separator", whole.replace('|', "x").into_bytes(), "close MSH^1 101 ING-0001"),
        ("empty MSH-10", whole.replace("|N1|", "||").into_bytes(), "AE MSH^1^10^1 101 ING-0002"),
        ("null MSH-10", whole.replace("|N1|", "|\"\"|").into_bytes(), "AE MSH^1^10^1 101 ING-0002"),
        (
            "empty MSH-9, before 2.5",
            whole.replace("ADT^A01", "").replace("2.5.1", "2.3").into_bytes(),
            "AE MSH^1^9^1 101 ING-0006",
        ),
        ("an event that nobody knows", whole.replace("ADT^A01", "ADT^Z99").into_bytes(), "AA []"),
        ("a type that nobody knows", whole.replace("ADT^A01", "ZZZ^Z01").into_bytes(), "AA []"),
        ("a version that is none", whole.replace("2.5.1", "banana").into_bytes(), "AA [VERSION_UNKNOWN]"),
        (
            "a version that there never was",
            whole.replace("2.5.1", "1.0").into_bytes(),
            "AA [VERSION_UNKNOWN]",
        ),
        (
            "an acknowledgement",
            b"MSH|^~\\&|A|B|C|D|2026||ACK^A01|7|P|2.5|||AL|AL\rMSA|AA|1\r".to_vec(),
            "- [RESPONSE]",
        ),
        (
            "an acknowledgement without MSH-10",
            b"MSH|^~\\&|A|B|C|D|2026||ACK||P|2.5\rMSA|AA|1\r".to_vec(),
            "- MSH^1^10^1 101 ING-0002",
        ),
        (
            "a response",
            b"MSH|^~\\&|A|B|C|D|2026||RSP^K22|7|P|2.5\rSFT|x\rMSA|AA|1\r".to_vec(),
            "- [RESPONSE]",
        ),
        (
            "a response that asks for a commit",
            b"MSH|^~\\&|A|B|C|D|2026||RSP^K22|7|P|2.5|||AL|NE\rMSA|AA|1\r".to_vec(),
            "CA [RESPONSE]",
        ),
        (
            "no PID, enhanced mode",
            String::from_utf8(admission(""))
                .unwrap()
                .replace("2.5.1|||", "2.5.1|||AL|NE")
                .replace("NE|||", "NE||")
                .into_bytes(),
            "CA []",
        ),
        (
            "no MSH-9, enhanced mode",
            b"MSH|^~\\&|A|B|C|D|2026|||7|P|2.5|||AL|NE\r".to_vec(),
            "CE MSH^1^9^1 101 ING-0006",
        ),
        (
            "no MSH-9, answered on success only",
            b"MSH|^~\\&|A|B|C|D|2026|||7|P|2.5|||SU|NE\r".to_vec(),
            "- MSH^1^9^1 101 ING-0006",
        ),
        (
            "line feeds, blank lines and a mark",
            format!("\u{feff}\n{}", whole.replace('\r', "\n\n")).into_bytes(),
            "AA [BYTE_ORDER_MARK BLANK_LINE LINE_FEED]",
        ),
    ];
    let found: Vec<_> = rows.iter().map(|(_, bytes, _)| outcome(bytes)).collect();
    let wrong: Vec<_> = rows
        .iter()
        .zip(&found)
        .filter(|((_, _, expected), found)| expected != found)
        .map(|((what, _, expected), found)| format!("{what}\n  expected {expected}\n  found    {found}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_tolerated_is_mapped() {
    let feed = Feed::new(&FeedConfig::default(), PatientKeyer::new(b"negative"));
    let large =
        format!("OBX|1|ED|PDF^Report^L||^application^pdf^Base64^{}|||||F\r", "QUJD".repeat(768 * 1024));
    let many = many();
    for bytes in [
        admission("PID|1||42^^^GH^MR||Fenwick||19|F\r"),
        result("2.5.1", "KLINGON", b"OBX|1|ST|A^x^L||\xfc|||||F\r"),
        result("2.5.1", "UNICODE UTF-8", large.as_bytes()),
        result("2.5.1", "UNICODE UTF-8", many.as_bytes()),
        result("2.5.1", "UNICODE UTF-8", b"OBX|1|ST|A^x^L||C:\\temp|||||F\r"),
    ] {
        let Verdict::Store { message, .. } =
            accept(&feed, &bytes, Timestamp::from_millis(1), &mut Index::new())
        else {
            panic!("not stored")
        };
        assert!(matches!(mapping::map(&message, &bytes, &feed).unwrap(), Mapped::Events(_)));
    }
}
