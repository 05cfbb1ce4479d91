//! FHIR R4 bodies as canonical events.

mod identity;
pub(crate) mod plan;
