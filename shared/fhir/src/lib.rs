//! FHIR R4 (4.0.1) as far as events need it: readers for what comes in, builders for what is answered.

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
