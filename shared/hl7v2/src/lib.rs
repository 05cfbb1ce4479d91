//! HL7 version 2 as it is really sent: read without copying, answer, edit, build, frame.
//!
//! - [`Header`] reads the MSH segment only, for routing; [`Message`] indexes the whole message in one pass.
//! - [`ack`] makes and reads acknowledgements; [`edit`] and [`MessageBuilder`] write messages.
//! - [`mllp`] frames messages on a byte stream; [`batch`] tells a batch from a message.
//!
//! What this crate deliberately does not know: any other crate of ours, the clock, and which segments a message
//! structure demands. Errors and `Debug` output carry positions and lengths, never content.

pub mod ack;
pub mod batch;
mod block;
mod builder;
pub mod charset;
mod continuation;
mod delimiters;
mod dtm;
pub mod edit;
mod error;
pub mod escape;
mod header;
mod index;
mod leaves;
mod message;
pub mod mllp;
mod path;
mod routing;
mod version;
mod view;

pub use builder::{BuildError, MessageBuilder};
pub use charset::Charset;
pub use continuation::Continuation;
pub use delimiters::Delimiters;
pub use dtm::{Dtm, Precision};
pub use error::{ParseError, ParseErrorReason};
pub use header::{AckCondition, Header};
pub use index::{Index, Warning, WarningKind};
pub use leaves::{Leaf, Leaves};
pub use message::{Message, Segment};
pub use path::{Path, PathError};
pub use version::Version;
pub use view::{Component, Field, Repetition, State, Subcomponent};
