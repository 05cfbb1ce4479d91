//! FHIR R4 (4.0.1) as far as events need it: readers for what comes in, builders for what is answered.
//!
//! - [`Bundle::read`] frames a body: each entry is a slice of the received bytes, read when it is needed and dropped again.
//! - [`walk::walk`] holds any resource to the rules of R4's JSON form; [`resources::checked`] reads one of the types that
//!   events are made of and says what it lacks.
//! - [`mod@reference`] knows the forms of a reference; [`Bundle::resolve`] finds what it points to.
//! - Everything that is wrong is an [`Issue`] with a place in FHIRPath and without any content; [`operation_outcome`] and
//!   [`respond`] make the answers.
//!
//! Tolerated: elements that R4 does not have, extensions of primitives (`_birthDate`), a byte order mark, any order of
//! elements. Not tolerated: what is empty, an element twice, a wrong JSON type, a date that is none.
//!
//! Deliberately unknown here: HTTP, profiles and terminology, events, feeds, and every other crate of ours.

pub mod bundle;
pub mod date;
pub mod issue;
pub mod json;
pub mod reference;
pub mod resources;
pub mod respond;
pub mod types;
pub mod types_of_r4;
pub mod walk;

pub use bundle::{Bundle, Kind};
pub use issue::{Issue, IssueCode, Severity, operation_outcome};
pub use reference::Target;
pub use types_of_r4::is_resource_type;
