//! Acknowledgements, written and read.

#![expect(clippy::unwrap_used, reason = "tests")]

use waybill_hl7v2::ack::{self, Ack, AckCode, AckError, AckReadError, ErrorCode, ErrorView, Severity};
use waybill_hl7v2::{Delimiters, Header, path};

const ELR: &[u8] = b"MSH|^~\\&#|LAB^1.2^ISO|LABF|HUB|HUBF|20240131||ORU^R01^ORU_R01|C\\T\\1|P^T|2.5.1^USA|||AL|NE||8859/1\rPID|1\r";

fn reply(message: &[u8], ack: &Ack<'_>) -> String {
    String::from_utf8_lossy(&ack.reply_to(&Header::parse(message).unwrap())).into_owned()
}

#[test]
fn the_answer_mirrors_separators_parties_version_and_charset_of_the_sender() {
    let ack = Ack::new(AckCode::CA, "A-1", "20240131101500+0000");
    assert_eq!(
        reply(ELR, &ack),
        "MSH|^~\\&#|HUB|HUBF|LAB^1.2^ISO|LABF|20240131101500+0000||ACK^R01^ACK|A-1|P^T|2.5.1^USA||||||8859/1\r\
         MSA|CA|C\\T\\1\r"
    );
    let custom = b"MSH*!@%$*A*B*C*D*2024**ADT!A01*7*P*2.3\rEVN*A01\r";
    assert_eq!(reply(custom, &ack), "MSH*!@%$*C*D*A*B*20240131101500+0000**ACK!A01*A-1*P*2.3\rMSA*CA*7\r");
}

#[test]
fn errors_are_written_as_the_version_demands() {
    let errors = [
        AckError::new(ErrorCode::RequiredFieldMissing)
            .at(path!("PID-3[2].4"))
            .with_text("PID-3.4 is needed | ü"),
        AckError { severity: Severity::Warning, ..AckError::new(ErrorCode::ApplicationInternalError) },
    ];
    let ack = Ack::new(AckCode::AE, "A", "2024").with_errors(&errors).with_text("see ERR");
    let header = Header::parse(ELR).unwrap();
    let bytes = ack.reply_to(&header);
    let expected = b"MSA|AE|C\\T\\1|see ERR\r\
        ERR||PID^1^3^2^4|101^Required field missing^HL70357|E||||PID-3.4 is needed \\F\\ \xfc\r\
        ERR|||207^Application internal error^HL70357|W\r";
    assert!(bytes.ends_with(expected), "{}", String::from_utf8_lossy(&bytes));
    let old = reply(b"MSH|^~\\&|A|B|C|D|2024||ADT^A01|7|P|2.3\r", &ack);
    assert!(
        old.ends_with(
            "MSA|AE|7|see ERR\rERR|PID^1^3^101&Required field missing&HL70357\r\
             ERR|^^^207&Application internal error&HL70357\r"
        ),
        "{old}"
    );
}

#[test]
fn an_unreadable_header_is_answered_when_its_control_id_can_be_found() {
    let ack = Ack::new(AckCode::AR, "A", "2024");
    let broken = ack.reply_to_unreadable(b"MSH|^^\\&|A|B|C|D|2024||ADT^A01|7|P|2.3\rPID|\r").unwrap();
    assert_eq!(broken, b"MSH|^~\\&|C|D|A|B|2024||ACK|A|P|2.3\rMSA|AR|7\r");
    let late = ack.reply_to_unreadable(b"junk MSH|^~\\&|A|B|C|D|2024||ADT^A01|7").unwrap();
    assert!(late.ends_with(b"MSA|AR|7\r"));
    for hopeless in [&b""[..], b"MSH", b"MSH|", b"MSHA^~\\&|A", b"MSH||A|B|C|D|", b"GET / HTTP/1.1\r\n"] {
        assert_eq!(ack.reply_to_unreadable(hopeless), None);
    }
}

#[test]
fn what_is_written_is_read_again() {
    let errors = [AckError::new(ErrorCode::DuplicateKeyIdentifier).with_text("seen")];
    let ack = Ack::new(AckCode::AE, "A", "2024").with_errors(&errors);
    let bytes = ack.reply_to(&Header::parse(ELR).unwrap());
    let view = ack::read(&bytes).unwrap();
    assert_eq!(view.code, Some(AckCode::AE));
    assert!(view.has_text && view.acknowledges(b"C\\T\\1", &Delimiters::default()));
    assert!(
        !view.acknowledges(b"C", &Delimiters::default()) && !view.acknowledges(b"", &Delimiters::default())
    );
    let error = ErrorView { code: Some(ErrorCode::DuplicateKeyIdentifier), severity: Some(Severity::Error) };
    assert_eq!(view.errors, [error]);
}

#[test]
fn answers_of_real_receivers_are_read() {
    let none = ack::read(b"MSH|^~\\&|A\rMSA|AA|7\r").unwrap();
    assert_eq!(
        (none.code, none.control_id, none.errors.len(), none.has_text),
        (Some(AckCode::AA), &b"7"[..], 0, false)
    );
    let condition = ack::read(b"MSH|^~\\&|A\nMSA|AR|7|busy|||207\n").unwrap();
    assert_eq!(
        condition.errors,
        [ErrorView { code: Some(ErrorCode::ApplicationInternalError), severity: None }]
    );
    let old = ack::read(b"MSH|^~\\&|A\rMSA|AE|7\rERR|PID^1^3^101&x~PV1^1^2^103\r").unwrap();
    assert_eq!(old.errors.len(), 2);
    let unknown = ack::read(b"MSH|^~\\&|A\rMSA|ZZ|7\rERR|||E17^own\r").unwrap();
    assert_eq!((unknown.code, unknown.errors[0].code), (None, None));
    let escaped = ack::read(b"MSH!^~\\&!A\rMSA!AA!a|b\r").unwrap();
    assert!(escaped.acknowledges(b"a\\F\\b", &Delimiters::default()));
    assert_eq!(ack::read(b"MSH|^~\\&|A\rPID|1\r").unwrap_err(), AckReadError::NoMsa);
    assert!(matches!(ack::read(b"\x06").unwrap_err(), AckReadError::Message(_)));
}

/// One error at PID-3, answered to a message with this MSH; each line of the answer.
fn answer(msh: &[u8]) -> Vec<String> {
    let errors =
        [AckError::new(ErrorCode::RequiredFieldMissing).at(path!("PID-3")).with_text("PID-3 is empty")];
    let ack = Ack::new(AckCode::AE, "A", "2024").with_errors(&errors);
    let bytes = ack.reply_to(&Header::parse(msh).unwrap());
    String::from_utf8_lossy(&bytes).split_terminator('\r').map(str::to_owned).collect()
}

#[test]
fn the_form_of_the_answer_follows_the_senders_version() {
    const OLD: [&str; 2] = ["MSA|AE|7|PID-3 is empty", "ERR|PID^1^3^101&Required field missing&HL70357"];
    const NEW: [&str; 2] =
        ["MSA|AE|7", "ERR||PID^1^3^1|101^Required field missing^HL70357|E||||PID-3 is empty"];
    // MSH-12, MSH-9 of the answer, MSA and ERR.
    for (version, kind, [msa, err]) in [
        ("2.1", "ACK^A01", OLD),
        ("2.2", "ACK^A01", OLD),
        ("2.3", "ACK^A01", OLD),
        ("2.3.1", "ACK^A01^ACK", OLD),
        ("2.4", "ACK^A01^ACK", OLD),
        ("2.5", "ACK^A01^ACK", NEW),
        ("2.5.1", "ACK^A01^ACK", NEW),
        ("2.5.1^USA^x", "ACK^A01^ACK", NEW),
        ("2.8.2", "ACK^A01^ACK", NEW),
        ("2.9.1", "ACK^A01^ACK", NEW),
        // Nobody knows: as it is written today.
        ("", "ACK^A01^ACK", NEW),
        ("banana", "ACK^A01^ACK", NEW),
    ] {
        let msh = format!("MSH|^~\\&|A|B|C|D|2024||ADT^A01^ADT_A01|7|P|{version}\rPID|1\r");
        let header = format!("MSH|^~\\&|C|D|A|B|2024||{kind}|A|P|{version}");
        assert_eq!(answer(msh.as_bytes()), [header.trim_end_matches('|'), msa, err], "{version}");
    }
}

#[test]
fn separators_parties_and_processing_id_are_the_senders() {
    // MSH of the sender, and of the answer.
    for (sent, expected) in [
        // Nothing but what an answer needs.
        ("MSH|^~\\&|||||||ADT^A01|7", "MSH|^~\\&|||||2024||ACK^A01^ACK|A"),
        // No trigger event: none is made up.
        ("MSH|^~\\&|A|B|C|D|||ADT|7|P|2.5", "MSH|^~\\&|C|D|A|B|2024||ACK|A|P|2.5"),
        // Five encoding characters, others, and the fewest there may be.
        ("MSH|^~\\&#|A|B|C|D|||ADT^A01|7|T|2.7", "MSH|^~\\&#|C|D|A|B|2024||ACK^A01^ACK|A|T|2.7"),
        ("MSH$%~\\*$A%1%x$B$C$D$$$ADT%A01$7$P%T$2.5", "MSH$%~\\*$C$D$A%1%x$B$2024$$ACK%A01%ACK$A$P%T$2.5"),
        // What it asks for is not asked back: an acknowledgement is never acknowledged.
        (
            "MSH|^~\\&|A|B|C|D|||ADT^A01|7|P|2.5|||AL|AL|DEU|8859/1~UTF-8",
            "MSH|^~\\&|C|D|A|B|2024||ACK^A01^ACK|A|P|2.5||||||8859/1",
        ),
    ] {
        assert_eq!(answer(format!("{sent}\r").as_bytes())[0], expected, "{sent}");
    }
}
