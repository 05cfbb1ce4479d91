//! Whole installations for tests and for the demo: real services as real processes on the real stack.
//!
//! - [`Stack`]: the addresses of Kafka, registry, PostgreSQL and Jaeger; [`Stack::require`] skips a test where there is none,
//!   except in CI, where it fails.
//! - [`Installation`]: one Waybill in a namespace and a database of its own, on free ports, built and driven like a
//!   user's: binaries, configuration files, `waybillctl`.
//! - [`Process`]: one service as a child process, with its log, its admin port and its signals.
//! - [`Tracker`], [`Jaeger`], [`Topics`]: what can be asked afterwards. [`Proxy`]: a wire that can be cut.
//! - [`eventually`]: waiting for a condition, so that no test sleeps. [`corpora`]: the public sample messages.
//! - [`compliance`](compliance::compliance): what every service binary must show.
//!
//! Nothing of a service's code is used here, and no service uses this.

pub mod binaries;
pub mod compliance;
pub mod corpora;
pub mod http;
pub mod jaeger;
pub mod ports;
pub mod tracker;

mod database;
mod eventually;
mod installation;
mod process;
mod proxy;
mod settings;
mod stack;
mod topics;

pub use eventually::{Pending, eventually, pending};
pub use installation::{Builder, Installation, Target};
pub use jaeger::Jaeger;
pub use process::{Exit, Process};
pub use proxy::Proxy;
pub use settings::{TOKEN, Unit};
pub use stack::Stack;
pub use topics::Topics;
pub use tracker::Tracker;
