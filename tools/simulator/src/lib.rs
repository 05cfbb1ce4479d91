//! The other side of every wire: a hospital that sends and a system that receives.
//!
//! - [`generate`] invents a hospital's traffic, the same for the same seed: patients, stays, laboratory results,
//!   and the quirks of real feeds.
//! - [`send`] delivers messages over MLLP as a careful sender does: stop-and-wait, patient order kept, the same bytes
//!   again until they are acknowledged.
//! - [`receive`] takes messages in and acknowledges them as it is told to: well, badly, late or never.
//!
//! Deliberately absent: any crate of ours. Framing, reading and acknowledging are written here a second time, so that
//! an error in `waybill-hl7v2` meets an independent opinion.

pub mod cli;
mod er7;
pub mod folder;
mod frame;
pub mod generate;
mod peek;
pub mod phi;
pub mod receive;
mod rng;
pub mod send;
mod text;

/// Lower-case hexadecimal SHA-256: how histories name a message without showing it.
pub fn sha256_hex(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    use std::fmt::Write;
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
