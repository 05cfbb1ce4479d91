//! A field is replaced: that place holds the value, nothing else has changed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use waybill_hl7v2::escape::{Formatting, unescape};
use waybill_hl7v2::{Message, Path, State, edit};

fuzz_target!(|input: (&[u8], &[u8], [u8; 3], u8, u8)| {
    let (bytes, value, name, field, component) = input;
    let name = name.map(|byte| byte.to_ascii_uppercase());
    let Ok(name) = std::str::from_utf8(&name) else { return };
    let component = if component == 0 { String::new() } else { format!(".{component}") };
    let Ok(path) = format!("{name}-{field}{component}").parse::<Path>() else { return };
    let Ok(changed) = edit::replace_field(bytes, path, value) else { return };
    let (before, after) = (Message::parse(bytes).unwrap(), Message::parse(&changed).unwrap());
    match after.get(path) {
        State::Value(raw) => assert_eq!(unescape(raw, after.delimiters(), Formatting::Keep).as_ref(), value),
        State::Null => assert_eq!(value, b"\"\""),
        State::Absent => assert!(value.is_empty()),
    }
    assert_eq!(before.segment_count(), after.segment_count());
    let mut met = false;
    for (old, new) in before.segments().zip(after.segments()) {
        if !met && old.name() == name.as_bytes() {
            met = true;
            for other in (1..=old.field_count()).filter(|other| *other != usize::from(field)) {
                assert_eq!(old.field(other).raw(), new.field(other).raw());
            }
        } else {
            assert_eq!(old.raw(), new.raw());
        }
    }
});
