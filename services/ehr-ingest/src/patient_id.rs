//! Which identifier of PID-3 a patient is known by, and the key made from it.

use std::borrow::Cow;

use waybill_contracts::{PatientKey, PatientKeyer};
use waybill_hl7v2::{Charset, Field, Repetition};

/// Types of table 0203 that name a patient, best first: never simply the first repetition, which may be an account or
/// an insurance number.
const BY_TYPE: [&[u8]; 3] = [b"MR", b"MRN", b"PI"];

/// The key of the patient in PID-3, under the authority in CX-4, else `default_authority`; `None` without an identifier.
///
/// The namespace (CX-4.1) goes before the universal id: senders add the latter at will, and the key must stay the same.
pub(crate) fn patient_key(
    pid_3: &Field<'_>,
    default_authority: &str,
    keyer: &PatientKeyer,
) -> Option<PatientKey> {
    let chosen = choose(pid_3)?;
    let identifier = id(&chosen)?;
    let authority = authority(&chosen).unwrap_or(Cow::Borrowed(default_authority));
    Some(keyer.key(authority.trim(), identifier.trim()))
}

/// The authority of the identifier that [`patient_key`] is made from, where it was sent.
pub(crate) fn patient_authority<'a>(pid_3: &Field<'a>) -> Option<Cow<'a, str>> {
    authority(&choose(pid_3)?)
}

/// Whether PID-3, or another CX field, names anything at all.
pub(crate) fn has_identifier(pid_3: &Field<'_>) -> bool {
    choose(pid_3).is_some()
}

fn choose<'a>(pid_3: &Field<'a>) -> Option<Repetition<'a>> {
    let named = || pid_3.repetitions().filter(|whole| id(whole).is_some());
    BY_TYPE
        .into_iter()
        .find_map(|kind| named().find(|whole| whole.component(5).raw() == kind))
        .or_else(|| named().find(|whole| authority(whole).is_some()))
        .or_else(|| named().next())
}

// Identifiers are compared as text; both roles must come to the same key without looking at the whole message, so the
// character set is not asked for: valid UTF-8 is read as that, anything else as windows-1252.
fn id<'a>(whole: &Repetition<'a>) -> Option<Cow<'a, str>> {
    whole.component(1).subcomponent(1).text(&Charset::utf8()).filter(|text| !text.trim().is_empty())
}

fn authority<'a>(whole: &Repetition<'a>) -> Option<Cow<'a, str>> {
    let hd = whole.component(4);
    let part = |number| hd.subcomponent(number).text(&Charset::utf8()).filter(|text| !text.trim().is_empty());
    part(1).or_else(|| part(2))
}

#[cfg(test)]
mod tests {
    use waybill_hl7v2::Message;

    use super::*;

    fn key(pid_3: &str, default_authority: &str) -> Option<PatientKey> {
        let bytes = format!("MSH|^~\\&|A\rPID|1||{pid_3}\r");
        let message = Message::parse(bytes.as_bytes()).unwrap();
        let field = message.segment("PID").unwrap().field(3);
        patient_key(&field, default_authority, &PatientKeyer::new(b"test"))
    }

    #[test]
    fn the_medical_record_number_counts_wherever_it_stands() {
        let keyer = PatientKeyer::new(b"test");
        let expected = Some(keyer.key("GH", "7"));
        assert_eq!(key("7^^^GH^MR", ""), expected);
        assert_eq!(key("123^^^SSA^SS~9^^^GH^PI~7^^^GH^MR", ""), expected);
        assert_eq!(key(" 7 ^^^GH&1.2.3&ISO^MR", "OTHER"), expected);
        assert_eq!(key("7", "GH"), expected);
        assert_eq!(key("1~7^^^GH", "X"), expected);
        assert_eq!(key("~^^^GH^MR~7^^^GH^AN", ""), expected);
    }

    #[test]
    fn no_identifier_no_key() {
        for pid_3 in ["", "\"\"", "^^^GH^MR", "~", "   ^^^GH^MR", "\"\"^^^GH^MR"] {
            assert_eq!(key(pid_3, "GH"), None, "{pid_3}");
        }
    }
}
