//! Times: what is read is written and read again as the same, and its FHIR form is as precise.
#![no_main]

use libfuzzer_sys::fuzz_target;
use waybill_hl7v2::Dtm;

fuzz_target!(|bytes: &[u8]| {
    let Some(time) = Dtm::parse(bytes) else { return };
    assert_eq!(Dtm::parse(time.to_string().as_bytes()), Some(time));
    for offset in [None, Some(0), Some(-330)] {
        let fhir = time.to_fhir(offset);
        assert!(fhir.is_ascii() && fhir.len() >= 4);
        if let Some(millis) = time.unix_millis(offset) {
            let _ = Dtm::from_unix_millis(millis, 0);
        }
    }
    let _ = time.to_fhir_date();
});
