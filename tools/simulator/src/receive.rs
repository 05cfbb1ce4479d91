//! A receiving system that acknowledges as it is told to: correctly, with errors, with the wrong id, late, or not at
//! all, and that remembers everything it saw.
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use waybill_simulator::receive::{Action, Behaviour, Condition, ReceiveConfig, Receiver, Rule};
//!
//! let receiver = Receiver::start(ReceiveConfig::default()).await?;
//! receiver.set_behaviour(Behaviour::accept().rule(Rule::new(
//!     Condition::field("OBR", 3, "LR10000001"),
//!     Action::Error { code: 204 },
//! )));
//! // … send to receiver.addr() …
//! receiver.wait_until(|stats| stats.taken == 10).await;
//! receiver.down().await;
//! # Ok(())
//! # }
//! ```

mod ack;
mod behaviour;
mod control;
mod handle;
mod ledger;

pub use self::behaviour::{Action, Behaviour, Condition, Rule};
pub use self::handle::{Receiver, ReceiverHandle};
pub use self::ledger::{Received, ReceiverStats};

use std::net::SocketAddr;

/// Where a receiver listens and what it keeps.
#[derive(Debug, Clone)]
pub struct ReceiveConfig {
    /// MLLP address; port 0 lets the system choose one.
    pub listen: SocketAddr,
    /// Address of the HTTP control interface, if it should have one.
    pub control: Option<SocketAddr>,
    /// Behaviour at the start.
    pub behaviour: Behaviour,
    /// Recognise a repeated MSH-10 and answer it with the original acknowledgement, as a real system does.
    pub dedupe: bool,
    /// Keep the bytes of every message in the history, not only their hash.
    pub keep_bytes: bool,
}

impl Default for ReceiveConfig {
    /// Any free port of the loopback interface, accepting everything, deduplicating, keeping bytes.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            control: None,
            behaviour: Behaviour::accept(),
            dedupe: true,
            keep_bytes: true,
        }
    }
}
