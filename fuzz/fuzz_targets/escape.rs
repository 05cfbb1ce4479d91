//! What is escaped is unescaped to the same; what was received can be written again, and again, without changing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use waybill_hl7v2::Delimiters;
use waybill_hl7v2::escape::{Formatting, escape, unescape};

fuzz_target!(|input: (&[u8], bool, Option<[u8; 5]>)| {
    let (value, keep, own) = input;
    let standard = if keep { Delimiters::default() } else { Delimiters::with_truncation() };
    let delimiters = own.and_then(|own| Delimiters::new(own[0], &own[1..]).ok()).unwrap_or(standard);
    for form in [Formatting::Keep, Formatting::Plain] {
        let written = escape(value, &delimiters, form);
        assert_eq!(unescape(&written, &delimiters, Formatting::Keep).as_ref(), value);
        let structure =
            [delimiters.field(), delimiters.component(), delimiters.repetition(), delimiters.subcomponent()];
        assert!(
            !written
                .iter()
                .any(|byte| structure.contains(byte) || matches!(byte, b'\r' | b'\n' | 0x0b | 0x1c))
        );
        let once = escape(&unescape(value, &delimiters, form), &delimiters, form).into_owned();
        let twice = escape(&unescape(&once, &delimiters, form), &delimiters, form).into_owned();
        assert_eq!(once, twice);
    }
});
