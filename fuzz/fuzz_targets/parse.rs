//! Any bytes: nothing panics, every byte is found again, and the ways to one value agree (the checks of the property tests).
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../shared/hl7v2/tests/support/exercise.rs"]
mod exercise;

fuzz_target!(|bytes: &[u8]| exercise::exercise(bytes));
