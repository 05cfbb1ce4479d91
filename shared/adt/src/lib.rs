//! From ADT events to the state of encounters and patients, whatever the order and however often each event comes.
//!
//! - [`EncounterState`] folds the `clinical.encounter` events of one encounter: cancels, transfers, class changes, late
//!   updates, discharges, snapshots (HL7 v2.9.1 §3.3).
//! - [`Aliases`] folds merges, moves and changes of number (A40 to A50); chains and cycles resolve to one survivor.
//! - [`PatientState`] folds demographics.
//! - [`Census`] holds all three together and answers who and what is where, after all merges.
//!
//! Each is a join-semilattice: [`Join::join`] is commutative, associative and idempotent, and applying an event is joining
//! what the event says. Events are never applied *to* a state; they are remembered as facts, the few that can still
//! matter, and the state is computed from the facts. So a cancel may come before what it cancels, an update after the
//! discharge it preceded, and a replay changes nothing.
//!
//! Which of two facts is the later one is decided by [`Stamp`]: when it happened (EVN-6, EVN-2, MSH-7), when it was sent
//! (MSH-7), the event's id. The time of arrival never counts: it differs at every replay.
//!
//! Deliberately absent: HL7 and FHIR as they are sent, Kafka, clocks, and any key made from MSH-10. An event without a
//! visit number is not folded, and says so ([`NotFolded`]).

mod aliases;
mod census;
mod encounter;
mod join;
mod key;
mod pairs;
mod patient;
mod stamp;

pub use aliases::{Aliases, Link};
pub use census::{Census, Visit};
pub use encounter::{EncounterState, Folded, Notice};
pub use join::Join;
pub use key::{EncounterKey, Keying, Name, NotFolded};
pub use patient::{Demographics, PatientState};
pub use stamp::Stamp;
